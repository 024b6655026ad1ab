# shellcheck shell=bash disable=SC2034,SC2119,SC2154,SC2016,SC2012,SC2153
# Ways out: what container runtimes and agents got wrong before, tried against this one. Each test holds a door that was found open once.

HIDDEN=/etc/mete-test-secret.$$
setup_file() {
        BEFORE=$(machine_objects)
        echo 'operator secret' >"$HIDDEN"
        chmod 640 "$HIDDEN"
        AGENT_OPTIONS+=(--hide "$HIDDEN" --log-max-size 64K --log-files 3)
        start_cluster
        echo 'host file' >"$SCRATCH/host-file"
        chmod 666 "$SCRATCH/host-file"
        make_image "$SCRATCH/image"
        cp "$BIN/mete" "$SCRATCH/mete" # where tasks see it
}
teardown_file() {
        rm -f "$HIDDEN"
        stop_cluster
        expect_nothing_left
        expect_objects "$BEFORE"
}
make_image() {
        mkdir -p "$1"/{bin,etc,proc,sys,dev,tmp,run,mnt}
        cp "$PAYLOAD" "$1/bin/payload"
        cp /bin/busybox "$1/bin/sh"
        printf 'root:x:0:0:root:/:/bin/sh\napp:x:1234:1235:app:/:/bin/sh\n' >"$1/etc/passwd"
        printf 'root:x:0:\napp:x:1235:\n' >"$1/etc/group"
        chmod -R a+rX "$1"
}
# With a shell in between: setpriv itself still has root's capabilities when it executes.
as_nobody() { setpriv --reuid nobody --regid nogroup --clear-groups /bin/sh -c 'exec "$@"' sh "$@"; }
sandbox_of() { mete inspect --json "$1" | jq -r .sandbox; }
# refuses COMMAND...: anything but success; what it said is in $OUT.
refuses() {
        local status=0
        OUT=$("$@" 2>&1) || status=$?
        [ $status -ne 0 ] || fail "worked: $*"$'\n'"${OUT:0:1000}"
}

# A task with the host's network reaches both APIs. Its user is not who submitted it: as nobody it would read the output of every other
# task of nobody, as root start one without any isolation, or pose as an agent.
test_tasks_are_nobody_to_the_apis() {
        local job who
        job=$(mete run -d --mem 32M -- /bin/sh -c 'echo private; exec '"$PAYLOAD"' until ./never')
        wait_state "$job.0" TASK_RUNNING
        for who in nobody root; do
                local inside=(mete run --net host --user "$who" -- "$SCRATCH/mete")
                refuses "${inside[@]}" logs --master "$METE_MASTER" "$job"
                expect_no_match "$OUT" private "what a task of $who read of another"
                refuses "${inside[@]}" kill --master "$METE_MASTER" "$job"
                refuses "${inside[@]}" jobs --master "$METE_MASTER"
                refuses "${inside[@]}" run --master "$METE_MASTER" --cap-add SYS_ADMIN --seccomp unconfined -- /bin/true
                expect_match "$OUT" "inside a task" "the refusal to $who"
                expect_status 0 mete run --net host --user $who -- /bin/sh -c "
                        printf '{\"type\":\"READ_LOG\",\"read_log\":{\"task_id\":\"$job.0\",\"stream\":\"stdout\"}}' >call
                        printf '\010\001\042\000' >subscribe
                        curl -s -o /dev/null -w '%{http_code} ' -H 'Content-Type: application/json' --data-binary @call http://127.0.0.1:$((PORT + 1))/mete/v1
                        curl -s -o /dev/null -w '%{http_code}' -H 'Content-Type: application/json' --data-binary '{\"type\":\"GET_CONTAINERS\"}' http://127.0.0.1:$((PORT + 1))/mete/v1"
                expect_equal "$OUT" "403 403" "the agent's answers to a task of $who"
        done
        expect_status 0 mete logs "$job" # and from outside
        expect_equal "$OUT" private "the output"
        expect_status 0 mete kill --grace 0 "$job"
}
# A web page that was given our address by its own DNS sends its own name.
test_foreign_host_names_are_refused() {
        local port host
        for port in "$PORT" $((PORT + 1)); do
                local call='{"type":"LIST_JOBS"}'
                [ "$port" = "$PORT" ] || call='{"type":"GET_CONTAINERS"}'
                for host in rebound.example.com 127.0.0.1.example.com; do
                        expect_equal "$(curl -s -o /dev/null -w '%{http_code}' -H "Host: $host" -H 'Content-Type: application/json' -d "$call" "http://127.0.0.1:$port/mete/v1")" 403 "Host: $host"
                done
                for host in "127.0.0.1:$port" localhost "$(hostname)" '[::1]:1'; do
                        expect_equal "$(curl -s -o /dev/null -w '%{http_code}' -H "Host: $host" -H 'Content-Type: application/json' -d "$call" "http://127.0.0.1:$port/mete/v1")" 200 "Host: $host"
                done
        done
}
# One socket beside the ports: the agent's, in a directory that only executors are shown, and no abstract one, which has no permissions.
test_no_socket_but_the_agents_for_executors() {
        local socket=$SCRATCH/run/socket/agent.sock net
        expect_equal "$(grep -i mete /proc/net/unix | awk '{ print $8 }')" "$socket" "unix sockets"
        for net in none host; do
                expect_status 0 mete run --net $net --user root -- /bin/sh -c "
                        for place in /run/mete-agent ${socket%/*} $socket; do [ ! -e \$place ] || echo \"sees \$place\"; done"
                expect_equal "$OUT" "" "what a task without an executor sees with net $net"
        done
}

# passwd(1) replaces files of /etc by rename, and with the old file goes what is mounted on it.
test_masks_survive_replacement() {
        local job
        job=$(mete run -d --user root --mem 32M -- /bin/sh -c "cat $HIDDEN; until [ -e go ]; do $PAYLOAD stamp >/dev/null; done; cat $HIDDEN; echo end")
        wait_state "$job.0" TASK_RUNNING
        cp -p "$HIDDEN" "$HIDDEN.new" && mv "$HIDDEN.new" "$HIDDEN"
        touch "$(sandbox_of "$job.0")/go"
        wait_state "$job.0" TASK_FINISHED
        expect_equal "$(mete logs "$job")" end "what root inside read of a hidden file"
}
test_kernel_interfaces_are_closed_to_root() {
        expect_status 0 mete run --user root -- /bin/sh -c '
                for f in kpagecount kpageflags kpagecgroup slabinfo pagetypeinfo kcore keys timer_list kallsyms vmallocinfo mtrr; do
                        [ -z "$(head -c 8 /proc/$f 2>/dev/null | tr -d "\0")" ] || echo read $f
                done
                for f in sysrq-trigger sys/kernel/core_pattern sys/kernel/modprobe sys/kernel/hostname sys/vm/drop_caches irq/default_smp_affinity; do
                        (echo x >/proc/$f) 2>/dev/null && echo wrote $f
                done
                (echo "module x +p" >/proc/dynamic_debug/control) 2>/dev/null && echo wrote dynamic_debug
                (echo "some 150000 1000000" >/proc/pressure/cpu) 2>/dev/null && echo wrote pressure
                find /sys -type f -perm /222 2>/dev/null | head -300 | while read -r f; do (: >"$f") 2>/dev/null && echo wrote $f; done
                find /sys/fs/cgroup -mindepth 1 -maxdepth 1 -name release_agent
                mkdir /sys/fs/cgroup/x 2>/dev/null && echo made a cgroup
                mount -t tmpfs none /mnt 2>/dev/null && echo mounted
                umount /proc/kcore 2>/dev/null && echo unmounted
                exit 0'
        expect_equal "$OUT" "" "what root inside could do"
}

# Minutes of the agent's only loop for 2 KiB of JSON from anybody.
test_costly_seccomp_profile() {
        jq -nc '{defaultAction: "SCMP_ACT_ALLOW", syscalls: [range(8) as $i | {names: ["ioctl"], action: "SCMP_ACT_ERRNO",
                args: [range(6) as $k | {index: (($i * 5 + $k) % 6), value: ($i * 7919 + $k), op: (if $k % 2 == 0 then "SCMP_CMP_GT" else "SCMP_CMP_LT" end)}]}]}' >"$SCRATCH/costly.json"
        refuses timeout $((10 * SLOW)) mete run --seccomp "$SCRATCH/costly.json" -- /bin/true
        expect_match "$OUT" "at most 3 rules" "the refusal"
        expect_status 0 mete run -- /bin/true
}
test_other_system_call_tables() {
        refuses mete run -- "$PAYLOAD" i386
        expect_no_match "$OUT" "i386 [0-9]" "getpid by the i386 gate"
}

# An image lies behind somebody's private directory: the overlay's root is open, the way to it is not.
test_rootfs_within_reach_of_the_submitter() {
        mkdir -p "$SCRATCH/private"
        make_image "$SCRATCH/private/image"
        echo 'for me alone' >"$SCRATCH/private/image/note"
        chmod 700 "$SCRATCH/private"
        refuses as_nobody "$BIN/mete" run --rootfs "$SCRATCH/private/image" -- /bin/sh -c 'cat /note'
        expect_match "$OUT" "rootfs.*cannot be opened by uid" "the refusal"
        ln -sfn "$SCRATCH/private/image" "$SCRATCH/way"
        refuses as_nobody "$BIN/mete" run --rootfs "$SCRATCH/way" -- /bin/sh -c 'cat /note'
        chmod 711 "$SCRATCH/private" "$SCRATCH/private/image" # to be passed through, not to be listed
        refuses as_nobody "$BIN/mete" run --rootfs "$SCRATCH/private/image" -- /bin/sh -c 'ls /'
        chmod 755 "$SCRATCH/private" "$SCRATCH/private/image"
        expect_status 0 as_nobody "$BIN/mete" run --rootfs "$SCRATCH/way" -- /bin/sh -c 'cat /note'
        chmod 700 "$SCRATCH/private" # root may, also for a task of nobody
        expect_status 0 mete run --rootfs "$SCRATCH/private/image" --user app -- /bin/sh -c 'cat /note'
}
# What has no effect inside must not be a way to root for a user outside.
test_set_user_id_files_of_a_sandbox() {
        local job sandbox
        job=$(mete run -d --user root --mem 32M -- /bin/sh -c "cp $PAYLOAD program && chmod 4755 program && chmod 777 . && exec $PAYLOAD until ./go")
        wait_state "$job.0" TASK_RUNNING
        sandbox=$(sandbox_of "$job.0")
        wait_until 5 test -u "$sandbox/program" || fail "no program"
        refuses as_nobody "$sandbox/program" report
        refuses as_nobody ls "$sandbox"
        touch "$sandbox/go"
        wait_state "$job.0" TASK_FINISHED
        refuses as_nobody "$sandbox/program" report
}
test_set_user_id_and_capabilities_in_an_image() {
        cp -a "$SCRATCH/image" "$SCRATCH/image-suid"
        cp "$PAYLOAD" "$SCRATCH/image-suid/bin/capable"
        chmod 6755 "$SCRATCH/image-suid/bin/payload"
        setcap cap_sys_admin,cap_dac_override+ep "$SCRATCH/image-suid/bin/capable"
        expect_match "$(getcap "$SCRATCH/image-suid/bin/capable")" "cap_sys_admin" "the file's capabilities on the host"
        local program
        for program in payload capable; do
                expect_status 0 mete run --rootfs "$SCRATCH/image-suid" --user app -- /bin/$program report
                expect_match "$OUT" "uid 1234" "effective uid"
                expect_match "$OUT" "status CapEff:.0000000000000000" "capabilities"
        done
}

# Images in which something else stands where directories and files belong.
test_hostile_images() {
        local evil=$SCRATCH/evil thing place
        for place in proc dev sys mnt; do
                for thing in file fifo link; do
                        rm -rf "$evil" && cp -a "$SCRATCH/image" "$evil" && rm -rf "${evil:?}/$place"
                        case $thing in file) echo x >"$evil/$place" ;; fifo) mkfifo "$evil/$place" ;; link) ln -s /proc/1/root/tmp "$evil/$place" ;; esac
                        refuses timeout $((10 * SLOW)) mete run --rootfs "$evil" --user 1234 -- /bin/payload stamp
                done
        done
        for thing in fifo link huge; do
                rm -rf "$evil" && cp -a "$SCRATCH/image" "$evil" && rm -f "$evil/etc/passwd"
                case $thing in fifo) mkfifo "$evil/etc/passwd" ;; link) ln -s /etc/shadow "$evil/etc/passwd" ;; huge) truncate -s 1T "$evil/etc/passwd" ;; esac
                refuses timeout $((10 * SLOW)) mete run --rootfs "$evil" --user app -- /bin/payload stamp
        done
        expect_status 0 mete run --rootfs "$SCRATCH/image" --user app -- /bin/payload stamp
}
test_programs_that_are_the_shim() {
        local who before
        before=$(md5sum <"$BIN/mete-shim")
        printf '#!/proc/self/exe\n' >"$SCRATCH/script"
        chmod 755 "$SCRATCH/script"
        for who in nobody root; do
                # Root inside may execute the sealed copy, which then finds none of what the agent gives it.
                mete run --user $who -- /proc/self/exe -- 0 >"$SCRATCH/out" 2>&1 || true
                expect_match "$(cat "$SCRATCH/out")" "Permission denied|Bad file descriptor|started by mete-agent" "the shim as a program of $who"
                refuses mete run --user $who -- "$SCRATCH/script"
                refuses mete run --user $who -- /proc/1/exe
        done
        expect_equal "$(md5sum <"$BIN/mete-shim")" "$before" "the shim's program"
        expect_status 0 mete run --user root -- /bin/true
}
test_working_directories() {
        local d
        for d in /proc/1/cwd /proc/1/root /proc/self/fd/0 /proc/self/fd/4 /proc/self/fd/9 /proc/thread-self/fd/3; do
                refuses mete run --user root --workdir $d -- /bin/pwd
        done
        expect_status 0 mete run --workdir /proc/self/root -- /bin/sh -c '[ ! -e /proc/1/root/etc ] && ls -d /proc/self/cwd/etc/passwd'
}
test_init_is_out_of_reach() {
        expect_status 0 mete run --user root -- /bin/sh -c '
                for s in KILL STOP; do kill -$s 1; done
                for f in mem environ maps auxv; do head -c 1 /proc/1/$f 2>/dev/null | grep -q . && echo read $f; done
                for f in root cwd exe fd/0 fd/3 ns/mnt; do readlink /proc/1/$f; done
                kill -0 1 && echo alive'
        expect_equal "$OUT" alive "what root inside saw of init"
}

# The sandbox is the task's: whatever it puts where its log files are, nothing is written elsewhere, and nothing waits.
test_log_files_replaced_under_rotation() {
        local job sandbox
        expect_status 0 timeout $((20 * SLOW)) mete run -d --user root --mem 32M -- /bin/sh -c "echo mine >mine; exec $PAYLOAD swap 2 $SCRATCH/host-file"
        job=$OUT
        wait_state "$job.0" TASK_FINISHED
        expect_equal "$(cat "$SCRATCH/host-file")" 'host file' "the file of the host"
        timeout $((5 * SLOW)) mete logs "$job" >/dev/null 2>&1 || [ $? -ne 124 ] || fail "reading the log hangs"
        expect_status 0 mete run -- /bin/true
}
test_output_flood_with_a_reader_that_sleeps() {
        local job reader
        job=$(mete run -d --mem 32M -- "$PAYLOAD" lines 1500000 32)
        mete logs -f "$job" >/dev/null 2>&1 &
        reader=$!
        kill -STOP $reader
        wait_state "$job.0" TASK_FINISHED 30
        kill -KILL $reader
        expect_between "$(du -sk "$(sandbox_of "$job.0")" | cut -f1)" 1 600 "KiB kept of 48 MB of output"
}

test_deep_trees_and_sparse_files() {
        expect_status 0 mete run --mem 64M -- /bin/sh -c "truncate -s 1T big; exec $PAYLOAD deep 3000"
        expect_equal "$OUT" "deep 3000" "depth in the sandbox"
        expect_status 0 mete run --rootfs "$SCRATCH/image" --user root --workdir /mnt --mem 64M -- /bin/payload deep 3000
        expect_match "$OUT" "deep [0-9]{3}" "depth in the overlay"
        wait_until 15 no_overlay || fail "left: $(find "$SCRATCH/agent/overlays" -mindepth 1 | head -3 | cut -c1-200)"
}
no_overlay() { [ -z "$(find "$SCRATCH/agent/overlays" -mindepth 1 -print -quit 2>/dev/null)" ]; }
# Inodes cost memory, and the memory is the task's.
test_inode_bomb() {
        local status=0
        timeout $((30 * SLOW)) mete run --mem 16M -- "$PAYLOAD" inodes 1000000 /tmp >"$SCRATCH/out" 2>"$SCRATCH/err" || status=$?
        case $status in
        137) expect_match "$(cat "$SCRATCH/err")" memory "the cause" ;;
        0) expect_between "$(cut -d' ' -f2 "$SCRATCH/out")" 1 300000 "files in 16 MiB" ;;
        *) fail "status $status: $(cat "$SCRATCH/err")" ;;
        esac
}
test_large_commands_and_environments() {
        local -a env=() args
        local i
        local value long
        printf -v value 'v%.0s' {1..100}
        printf -v long 'x%.0s' {1..10000}
        for i in {1..500}; do env+=(--env "V$i=$value"); done
        args=({1..4000})
        expect_status 0 mete run "${env[@]}" -- /bin/sh -c 'echo $# $V500' sh "${args[@]}"
        expect_match "$OUT" "^4000 v{100}$" "arguments and environment"
        args=()
        for i in {1..20}; do args+=("$long"); done
        refuses mete run -- /bin/true "${args[@]}"
}
# Connections that say nothing, half a request, or half a body.
test_idle_connections_and_slow_bodies() {
        local port text pids=()
        for port in "$PORT" $((PORT + 1)); do
                for text in '' 'POST /mete/v1 HTTP/1.1'$'\r\n''Host: ' 'POST /mete/v1 HTTP/1.1'$'\r\n''Content-Type: application/json'$'\r\n''Content-Length: 60000'$'\r\n\r\n''{"type":'; do
                        "$PAYLOAD" hold "$port" 300 "$text" >"$SCRATCH/held.${#pids[@]}" &
                        pids+=($!)
                done
        done
        for i in "${!pids[@]}"; do wait_until 10 test -s "$SCRATCH/held.$i" || fail "connections are not accepted"; done
        expect_status 0 timeout $((10 * SLOW)) mete run -- /bin/echo through
        expect_equal "$OUT" through output
        kill "${pids[@]}"
}
