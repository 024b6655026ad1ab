# shellcheck shell=bash disable=SC2034,SC2119,SC2154,SC2016,SC2012,SC2046
# libmete: what it exports, what a user compiles against an installed tree, and its examples with two agents on one machine.

setup_file() {
        BEFORE=$(machine_objects)
        PREFIX=$SCRATCH/prefix
        make -C "$here/../.." --no-print-directory B="$BUILD" prefix="$PREFIX" install-files
        export PKG_CONFIG_PATH=$PREFIX/lib/pkgconfig
        cp "$BUILD"/examples/{spawner,worker,wordcount} "$SCRATCH/" # where host-root tasks can see them
        pick_ports
        start_master
        start_agent --cpus 2 --mem 1G
        start_agent2
}
teardown_file() {
        stop agent2 30
        stop_cluster
        expect_nothing_left
        expect_objects "$BEFORE"
}
start_agent2() {
        mete-agent --master "127.0.0.1:$PORT" --port $((PORT + 2)) --work-dir "$SCRATCH/agent2" --hide "$SCRATCH/master" --runtime-dir "$SCRATCH/run2" \
                --cgroup-root "$CGROUP_ROOT-2" --cpus 2 --mem 1G "${AGENT_OPTIONS[@]}" >>"$SCRATCH/agent2.log" 2>&1 &
        echo $! >"$SCRATCH/agent2.pid"
        wait_until 30 active_agents 2 || fail "the second agent did not register: $(tail -5 "$SCRATCH/agent2.log")"
}
active_agents() { mete agents --json | holds "[.[] | select(.state == \"AGENT_ACTIVE\")] | length == $1"; }

# ---- the library ----------------------------------------------------------------------------------------------

test_only_its_own_names_are_visible() {
        local so=$PREFIX/lib/libmete.so.0
        expect_match "$(readelf -d "$so")" 'Library soname: \[libmete\.so\.0\]' soname
        expect_equal "$(nm -D --defined-only "$so" | awk '{ print $3 }' | grep -vE '^(mete_[a-z_0-9]+@@METE_0|METE_0)$' || true)" "" "names that should not be visible"
        expect_equal "$(nm --defined-only --extern-only "$PREFIX/lib/libmete.a" | awk 'NF == 3 { print $3 }' | grep -v '^mete_' || true)" "" "names in the static library"
        # All that the header declares is there.
        local name
        for name in $(grep -oE '\bmete_[a-z_]+\(' "$PREFIX/include/mete/mete.h" | tr -d '(' | sort -u); do
                grep -q "METE_API.*\b$name(" "$PREFIX/include/mete/mete.h" || continue
                nm -D --defined-only "$so" | grep -q " $name@@METE_0$" || fail "$name is declared and not there"
        done
        expect_no_match "$(readelf -d "$so")" 'libbpf|libcgroup|libseccomp|sqlite' "what it needs"
}

test_header_compiles_as_c_and_cplusplus() {
        echo '#include <mete.h>' >"$SCRATCH/only.c"
        cp "$SCRATCH/only.c" "$SCRATCH/only.cc"
        expect_status 0 cc -std=c11 -Wall -Wextra -Werror -pedantic -fsyntax-only $(pkg-config --cflags mete) "$SCRATCH/only.c"
        expect_status 0 clang++ -std=c++11 -Wall -Wextra -Werror -fsyntax-only $(pkg-config --cflags mete) "$SCRATCH/only.cc"
}

# The program in the guide, with nothing but what was installed: shared, and static beside names that the library has inside.
test_guide_against_the_installed_tree() {
        sed -n '/^```c$/,/^```$/p' "$here/../../docs/SDK.md" | sed '/^```/d' >"$SCRATCH/hello.c"
        expect_status 0 cc -Wall -Wextra -Wno-unused-parameter -Werror $(pkg-config --cflags mete) -o "$SCRATCH/hello" "$SCRATCH/hello.c" $(pkg-config --libs mete)
        expect_match "$(readelf -d "$SCRATCH/hello")" 'NEEDED.*libmete\.so\.0' "what it needs"
        LD_LIBRARY_PATH=$PREFIX/lib expect_status 0 timeout $((60 * SLOW)) "$SCRATCH/hello"
        expect_match "$OUT" "hello-1: TASK_FINISHED" "what the guide's program prints"
        printf 'int loop_new(void); int error_set(void);\nint loop_new(void) { return 1; }\nint error_set(void) { return 2; }\n' >"$SCRATCH/clash.c"
        expect_status 0 cc $(pkg-config --cflags mete) -o "$SCRATCH/hello-static" "$SCRATCH/hello.c" "$SCRATCH/clash.c" "$PREFIX/lib/libmete.a" \
                $(pkg-config --static --libs-only-l mete | sed 's/-lmete//')
        expect_no_match "$(readelf -d "$SCRATCH/hello-static")" libmete "what the static one needs"
        expect_status 0 timeout $((60 * SLOW)) "$SCRATCH/hello-static"
}

# ---- the examples ---------------------------------------------------------------------------------------------

# A field of what the worker said of itself.
said() { sed -n "s/^$1[: \t]*//p" "$2" | head -1; }

# Each on an agent of its own, in a container: namespaces that are neither the host's nor the other worker's (the network is the host's, as
# Mesos has it), no capability beyond the small set, a seccomp filter, and the limits of executor and task together.
test_executors_are_isolated_as_promised() {
        local worker file kind
        expect_status 0 timeout $((90 * SLOW)) "$SCRATCH/spawner" -n 2 "$SCRATCH/worker" self "$PAYLOAD report" "mount -t tmpfs none /mnt; echo mounting ended with \$?" \
                "$PAYLOAD spin 3"
        expect_equal "$(grep -oE '^== worker [0-9] on [^:]+: self' <<<"$OUT" | awk '{ print $5 }' | sort -u | wc -l)" 2 "agents that worked"
        for worker in 0 1; do
                file=$SCRATCH/worker-$worker
                awk -v w="$worker" '/^== worker / { on = $3 == w } on' <<<"$OUT" >"$file"
                for kind in mnt pid ipc uts; do
                        [ -n "$(said "namespace $kind" "$file")" ] || fail "worker $worker told no $kind namespace: $(cat "$file")"
                        [ "$(said "namespace $kind" "$file")" != "$(readlink "/proc/self/ns/$kind" | cut -d: -f2)" ] || fail "worker $worker has the host's $kind namespace"
                done
                expect_equal "$(said "namespace net" "$file")" "$(readlink /proc/self/ns/net | cut -d: -f2)" "network of worker $worker"
                expect_equal "$(said Seccomp "$file")" 2 "Seccomp of worker $worker"
                expect_equal "$(said NoNewPrivs "$file")" 1 "NoNewPrivs of worker $worker"
                expect_equal "$(said CapEff "$file")" 0000000000000000 "capabilities of worker $worker, which is not root"
                expect_equal $((16#$(said CapBnd "$file") & (1 << 21 | 1 << 19 | 1 << 12 | 1 << 13))) 0 "SYS_ADMIN, SYS_PTRACE, NET_ADMIN, NET_RAW of worker $worker"
                expect_match "$(cat "$file")" "mounting ended with [1-9]" "mounting from inside"
                expect_match "$(cat "$file")" "process 1 mete-init" "processes that worker $worker sees"
                expect_equal "$(sed -n 's/^process [0-9]* //p' "$file" | grep -vE '^(mete-init|worker|sh|payload|mount)$' || true)" "" "processes of others that worker $worker sees"
                expect_between "$(said cpu_seconds "$file")" 0.3 0.9 "seconds of CPU in 3 s on 0.2 cores"
        done
        expect_equal "$(cat "$SCRATCH/worker-0" "$SCRATCH/worker-1" | sed -n 's/^namespace mnt//p' | sort -u | wc -l)" 2 "mount namespaces of two workers"
}

# 64 MiB for executor and task together: what takes more is killed.
test_executors_keep_to_their_memory() {
        expect_status 1 timeout $((90 * SLOW)) "$SCRATCH/spawner" "$SCRATCH/worker" "$PAYLOAD eat 200000000"
        expect_match "$OUT" "eat 200000000 \(status 137\)" "what became of it"
        expect_status 0 timeout $((90 * SLOW)) "$SCRATCH/spawner" "$SCRATCH/worker" "$PAYLOAD eat 40000000"
}

make_files() { # make_files N: N texts of known length
        local i
        for i in $(seq "$1"); do seq $((i * 100)) >"$SCRATCH/text-$i"; done
}

test_words_are_counted_across_agents() {
        make_files 12
        expect_status 0 timeout $((90 * SLOW)) "$SCRATCH/wordcount" "$SCRATCH"/text-*
        expect_equal "$(tail -1 <<<"$OUT")" "$(cat "$SCRATCH"/text-* | wc -w)"$'\t'total "the sum"
        expect_equal "$(grep -c "/text-" <<<"$OUT")" 12 "files counted"
        expect_equal "$(awk -F'\t' '/text-/ { print $3 }' <<<"$OUT" | sort -u | wc -l)" 2 "agents that counted"
}

# Whatever runs on one of the agents takes its executor with it: the other one gets it done.
test_lost_tasks_are_tried_elsewhere() {
        local bad
        bad=$(mete agents --json | jq -r '.[0].agent_id')
        make_files 6
        expect_status 0 timeout $((120 * SLOW)) "$SCRATCH/wordcount" -c "[ \"\$MESOS_SLAVE_ID\" != $bad ] || kill -9 \$PPID; wc -w <" "$SCRATCH"/text-{1..6}
        expect_equal "$(tail -1 <<<"$OUT")" "$(cat "$SCRATCH"/text-{1..6} | wc -w)"$'\t'total "the sum"
        expect_match "$ERR" "REASON_EXECUTOR_TERMINATED" "why tasks were tried again"
        expect_no_match "$OUT" "$bad" "the agent on which nothing succeeds"
}

# The agents die and come back under running executors: they subscribe again, and each file is counted once.
test_executors_outlive_their_agents() {
        make_files 6
        touch "$SCRATCH/wait"
        timeout $((120 * SLOW)) "$SCRATCH/wordcount" -c "while [ -e $SCRATCH/wait ]; do sleep 0.1; done; wc -w <" "$SCRATCH"/text-{1..6} >"$SCRATCH/count.out" 2>"$SCRATCH/count.err" &
        local counter=$!
        wait_until 30 running_tasks 6 || fail "the files are not being counted"
        kill_hard agent
        kill_hard agent2
        wait_until 20 active_agents 0 || fail "the master still believes in the dead agents"
        start_agent --cpus 2 --mem 1G
        start_agent2
        rm "$SCRATCH/wait"
        wait $counter || fail "the count failed: $(cat "$SCRATCH/count.err")"
        expect_equal "$(tail -1 "$SCRATCH/count.out")" "$(cat "$SCRATCH"/text-{1..6} | wc -w)"$'\t'total "the sum"
        expect_equal "$(cat "$SCRATCH/count.err")" "" "what was tried again"
        expect_equal "$(awk -F'\t' '/text-/ { print $3 }' "$SCRATCH/count.out" | sort -u | wc -l)" 2 "agents that counted"
}
running_tasks() { curl -s "http://127.0.0.1:$PORT/tasks" | holds "[.tasks[] | select(.state == \"TASK_RUNNING\")] | length == $1"; }
