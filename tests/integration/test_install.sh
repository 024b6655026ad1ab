# shellcheck shell=bash disable=SC2034
# `make install` below a prefix of its own: everything is in place, the programs find each other there, and uninstalling leaves nothing.

setup_file() {
        BEFORE=$(machine_objects)
        PREFIX=$SCRATCH/usr
        install_files install-files prefix="$PREFIX"
        export PATH=$PREFIX/bin:$PATH
        pick_ports
}
teardown_file() {
        stop dev 40
        expect_objects "$BEFORE"
}
install_files() { make -C "$here/../.." --no-print-directory B="$BUILD" "$@"; }

test_everything_is_in_place() {
        local file
        for file in bin/mete bin/mete-sim sbin/mete-master sbin/mete-agent libexec/mete/mete-shim libexec/mete/mete-fetcher; do
                [ -x "$PREFIX/$file" ] || fail "$file is not installed"
        done
        for file in share/man/man1/mete.1 share/man/man1/mete-sim.1 share/man/man3/libmete.3 share/man/man8/mete-master.8 \
                share/man/man8/mete-agent.8 share/bash-completion/completions/mete share/mete/job.schema.json \
                lib/libmete.so lib/libmete.a lib/pkgconfig/mete.pc include/mete/mete.h include/mete/proto/scheduler.pb-c.h \
                lib/systemd/system/mete-master.service lib/systemd/system/mete-agent.service; do
                [ -s "$PREFIX/$file" ] || fail "$file is not installed"
        done
}

test_installed_programs_find_each_other() {
        expect_equal "$(command -v mete)" "$PREFIX/bin/mete" "the mete that runs"
        start_dev --work-dir "$SCRATCH/dev"
        expect_equal "$(readlink "/proc/$(pgrep -P "$(cat "$SCRATCH/dev.pid")" -x mete-agent)/exe")" "$PREFIX/sbin/mete-agent" "the agent that runs"
        expect_status 3 mete run --mem 32M -- /bin/sh -c 'echo from a task; exit 3'
        expect_equal "$OUT" "from a task" "output"
        stop dev 40
}

test_units_name_the_installed_daemons() {
        local name
        for name in master agent; do
                expect_match "$(grep ^ExecStart= "$PREFIX/lib/systemd/system/mete-$name.service")" "^ExecStart=$PREFIX/sbin/mete-$name " "mete-$name.service"
        done
        # What keeps tasks alive over a restart of the agent.
        grep -qx KillMode=process "$PREFIX/lib/systemd/system/mete-agent.service" || fail "mete-agent.service would kill the tasks"
        if command -v systemd-analyze >/dev/null; then
                OUT=$(systemd-analyze verify --man=no "$PREFIX"/lib/systemd/system/mete-*.service 2>&1 | grep -F mete- || true)
                expect_equal "$OUT" "" "what systemd says about the units"
        fi
}

# As its unit runs it: an ordinary user without any capability, which still tells who asks.
test_the_master_needs_no_privilege() {
        install -d -o nobody -g nogroup -m 700 "$SCRATCH/master"
        setpriv --reuid nobody --regid nogroup --clear-groups --bounding-set -all --no-new-privs \
                mete-master --port "$PORT" --work-dir "$SCRATCH/master" >>"$SCRATCH/master.log" 2>&1 &
        echo $! >"$SCRATCH/master.pid"
        wait_until 20 mete version --json || fail "the master did not come up: $(tail -5 "$SCRATCH/master.log")"
        start_agent
        expect_status 0 mete run --mem 32M --user daemon -- /bin/sh -c 'id -u'
        expect_equal "$OUT" 1 "user of a task that root submitted"
        expect_status 1 setpriv --reuid nobody --regid nogroup --clear-groups mete run --mem 32M --user daemon -- /bin/true
        expect_match "$ERR" "only root chooses another user" "refusal"
        stop agent 30
        stop master 20
        expect_nothing_left
}

test_uninstall_leaves_nothing() {
        local stage=$SCRATCH/stage
        install_files install-files DESTDIR="$stage" prefix=/usr
        [ -x "$stage/usr/bin/mete" ] || fail "DESTDIR is not honoured"
        expect_match "$(cat "$stage/usr/lib/systemd/system/mete-agent.service")" "ExecStart=/usr/sbin/mete-agent " "DESTDIR stays out of what is installed"
        install_files uninstall DESTDIR="$stage" prefix=/usr
        expect_equal "$(find "$stage/usr" -mindepth 1 2>/dev/null)" "" "left after uninstall"
        install_files uninstall prefix="$PREFIX"
        expect_equal "$(find "$PREFIX" ! -type d)" "" "left after uninstall"
}
