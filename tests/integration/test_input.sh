# shellcheck shell=bash disable=SC2034,SC2119,SC2154,SC2016,SC2012
# Bad input and hostile peers: a refusal that names the field and what would be accepted, and nothing left behind.

setup_file() {
        BEFORE=$(machine_objects)
        start_cluster
}
teardown_file() {
        stop_cluster
        expect_nothing_left
        expect_objects "$BEFORE"
}
# refused PATTERN ARGS...: `mete run` refuses, the sentence matches, no job exists afterwards.
refused() {
        local pattern=$1 before after
        shift
        before=$(mete jobs -a --json | jq length)
        local status=0
        mete run "$@" >"$SCRATCH/out" 2>"$SCRATCH/err" || status=$?
        [ $status -ne 0 ] || fail "accepted: mete run $*"
        expect_match "$(cat "$SCRATCH/err")" "$pattern" "refusal of: mete run ${*:0:200}"
        after=$(mete jobs -a --json | jq length)
        expect_equal "$after" "$before" "jobs after the refusal of: mete run ${*:0:100}"
}
test_resources() {
        refused "cpus" --cpus 0 -- /bin/true
        refused "cpus" --cpus -1 -- /bin/true
        refused "cpus" --cpus nan -- /bin/true
        refused "cpus" --cpus 1e9 -- /bin/true
        refused "cpus.*largest|cpus.*at most|cpus.*has" --cpus 4000 -- /bin/true
        refused "cpus_limit|cpus-limit" --cpus 1 --cpus-limit 0.5 -- /bin/true
        refused "mem" --mem 0 -- /bin/true
        refused "mem" --mem -5M -- /bin/true
        refused "mem" --mem 5Q -- /bin/true
        refused "mem" --mem 99999999G -- /bin/true
        refused "mem" --mem 64M --mem-limit 32M -- /bin/true
        refused "pids" --pids 0 -- /bin/true
        refused "count" --count 0 -- /bin/true
        refused "count" --count 99999999 -- /bin/true
}
test_names() {
        refused "name" --name a/b -- /bin/true
        refused "name" --name .. -- /bin/true
        refused "name" --name $'a\nb' -- /bin/true
        refused "name" --name "$(printf 'x%.0s' $(seq 4096))" -- /bin/true
        refused "name" --name '' -- /bin/true
        refused "hostname" --hostname 'a b' -- /bin/true
        refused "env" --env '=x' -- /bin/true
        refused "command|COMMAND" --
        refused "net" --net bridge -- /bin/true
        refused "cap" --cap-add NO_SUCH -- /bin/true
        refused "rlimit" --rlimit nosuch=1 -- /bin/true
        refused "rlimit" --rlimit nofile=x -- /bin/true
        refused "rootfs" --rootfs relative/path -- /bin/true
        refused "rootfs" --rootfs /a/../b -- /bin/true
        refused "seccomp" --seccomp "$SCRATCH/no-such-file" -- /bin/true
}
# What only the machine can know fails the task before anything runs, with its stage, object and reason.
failed_task() { # failed_task PATTERN ARGS...
        local pattern=$1 status=0
        shift
        mete run "$@" >"$SCRATCH/out" 2>"$SCRATCH/err" || status=$?
        [ $status -ne 0 ] || fail "ran: mete run $*"
        expect_match "$(cat "$SCRATCH/err")" "$pattern" "failure of: mete run $*"
}
test_missing_things() {
        expect_status 127 mete run -- /no/such/binary
        expect_status 126 mete run -- /etc/passwd
        failed_task "/no/such/binary.*[Nn]o such file" -- /no/such/binary
        failed_task "no-such-program.*[Nn]o such file|no-such-program.*not found" -- no-such-program
        failed_task "/etc/passwd.*([Pp]ermission|denied)" -- /etc/passwd
        failed_task "rootfs.*/no/such/dir" --rootfs /no/such/dir -- /bin/true
        mkdir -p "$SCRATCH/empty"
        failed_task "user.*ghost" --rootfs "$SCRATCH/empty" --user ghost -- /bin/true
        failed_task "user.*no-such-user" --user no-such-user -- /bin/true
        failed_task "rootfs.*(directory|file)" --rootfs /etc/passwd -- /bin/true
        wait_until 10 nothing_of_tasks || fail "left: $(leftovers_of_tasks)"
}
leftovers_of_tasks() { find "$SCRATCH/run/containers" "$SCRATCH/agent/overlays" "$SCRATCH/agent/meta/containers" -mindepth 1 -maxdepth 1 2>/dev/null; find /sys/fs/cgroup -type d -path "*$CGROUP_ROOT/containers/*"; }
nothing_of_tasks() { [ -z "$(leftovers_of_tasks)" ]; }
test_seccomp_profiles() {
        local text
        for text in 'not json' '[]' '{"defaultAction":"SCMP_ACT_NOPE"}' '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":"read","action":"SCMP_ACT_ALLOW"}]}' \
                '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":5}]}' '{"syscalls":[]}' \
                '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_ERRNO","args":[{"index":9,"value":1,"op":"SCMP_CMP_EQ"}]}]}'; do
                printf '%s' "$text" >"$SCRATCH/profile"
                failed_task "seccomp" --seccomp "$SCRATCH/profile" -- /bin/true
        done
}
post() { # post BODY-FILE TYPE -> status in $CODE, body in $BODY
        BODY=$(curl -s -o - -w '\n%{http_code}' -X POST -H "Content-Type: $2" --data-binary "@$1" "http://127.0.0.1:$PORT/mete/v1")
        CODE=${BODY##*$'\n'}
        BODY=${BODY%$'\n'*}
}
test_bodies() {
        printf '{"type":"SUBMIT","submit":{"job":{"command":["/bin/true"' >"$SCRATCH/body"
        post "$SCRATCH/body" application/json && expect_equal "$CODE" 400 "truncated JSON"
        printf 'hello' >"$SCRATCH/body"
        post "$SCRATCH/body" application/json && expect_equal "$CODE" 400 "no JSON"
        expect_match "$BODY" "message" "refusal"
        head -c 20000000 /dev/zero >"$SCRATCH/body"
        post "$SCRATCH/body" application/json && expect_equal "$CODE" 413 "20 MB body"
        printf '\xff\xff\xff\xff\xff' >"$SCRATCH/body"
        post "$SCRATCH/body" application/x-protobuf && expect_equal "$CODE" 400 "no protobuf"
        printf '{}' >"$SCRATCH/body"
        post "$SCRATCH/body" text/plain && expect_equal "$CODE" 415 "another type"
        post "$SCRATCH/body" application/json && expect_equal "$CODE" 400 "no call type"
        expect_match "$BODY" "type" "the field named"
        printf '{"type":"SUBMIT","submit":{"job":{"command":["/bin/true"],"cpus":"many"}}}' >"$SCRATCH/body"
        post "$SCRATCH/body" application/json && expect_equal "$CODE" 400 "cpus as text"
        expect_match "$BODY" "cpus" "the field named"
        printf '%s' "$(printf '[%.0s' $(seq 20000))" >"$SCRATCH/body"
        post "$SCRATCH/body" application/json && expect_equal "$CODE" 400 "deep nesting"
        expect_equal "$(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$PORT/mete/v1")" 405 "GET"
        expect_equal "$(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$PORT/no/such")" 404 "unknown path"
        expect_status 0 mete version --json # and it still answers
}
test_unknown_ids() {
        expect_status 1 mete kill 999999
        expect_match "$ERR" "999999" "the id named"
        expect_status 1 mete logs nosuch.0
        expect_status 1 mete inspect 'a/b'
}
test_daemons_bind_loopback_only() {
        local status=0
        timeout 5 mete-master --address 0.0.0.0 --port $((PORT + 3)) --work-dir "$SCRATCH/m2" >"$SCRATCH/out" 2>&1 || status=$?
        case $status in 0 | 124) fail "bound 0.0.0.0 without --insecure" ;; esac
        expect_match "$(cat "$SCRATCH/out")" "insecure" "the refusal"
        status=0
        timeout 5 mete-agent --master "127.0.0.1:$PORT" --address 0.0.0.0 --port $((PORT + 3)) --work-dir "$SCRATCH/a2" --runtime-dir "$SCRATCH/r2" --cgroup-root "$CGROUP_ROOT-2" >"$SCRATCH/out" 2>&1 || status=$?
        case $status in 0 | 124) fail "bound 0.0.0.0 without --insecure" ;; esac
        expect_match "$(cat "$SCRATCH/out")" "insecure" "the refusal"
}
# Who asks is known from the kernel: an ordinary user runs as itself, never as root.
as_nobody() { setpriv --reuid nobody --regid nogroup --clear-groups "$@"; }
test_ordinary_users_run_as_themselves() {
        expect_status 0 as_nobody "$BIN/mete" run -- /usr/bin/id -u
        expect_equal "$OUT" "$(id -u nobody)" "uid inside"
        local status=0
        as_nobody "$BIN/mete" run --user root -- /usr/bin/id -u >"$SCRATCH/out" 2>"$SCRATCH/err" || status=$?
        [ $status -ne 0 ] || fail "an ordinary user got --user root: $(cat "$SCRATCH/out")"
        expect_match "$(cat "$SCRATCH/err")" "user" "the refusal"
        local job
        job=$(mete run -d --user root --mem 32M -- "$PAYLOAD" until ./never)
        wait_state "$job.0" TASK_RUNNING
        as_nobody "$BIN/mete" kill "$job" 2>/dev/null && fail "an ordinary user killed root's job"
        expect_status 0 mete kill --grace 0 "$job"
}
# A path of the host that a user names is opened with that user's rights: a private directory of somebody else is none to run in.
test_rootfs_of_others_is_refused() {
        mkdir -p "$SCRATCH/private/image/bin" "$SCRATCH/public/image/bin"
        cp /bin/busybox "$SCRATCH/private/image/bin/sh"
        cp /bin/busybox "$SCRATCH/public/image/bin/sh"
        chmod 700 "$SCRATCH/private"
        expect_status 0 as_nobody "$BIN/mete" run --rootfs "$SCRATCH/public/image" -- /bin/sh -c 'echo ran'
        expect_equal "$OUT" ran output
        local status=0
        as_nobody "$BIN/mete" run --rootfs "$SCRATCH/private/image" -- /bin/sh -c 'echo ran' >"$SCRATCH/out" 2>"$SCRATCH/err" || status=$?
        [ $status -ne 0 ] || fail "nobody ran in a directory that only root may enter"
        expect_match "$(cat "$SCRATCH/err")" "rootfs.*ermission denied" "the refusal"
        expect_status 0 mete run --rootfs "$SCRATCH/private/image" -- /bin/sh -c 'echo ran' # root may say so
        ln -sfn "$SCRATCH/private/image" "$SCRATCH/public/link"
        as_nobody "$BIN/mete" run --rootfs "$SCRATCH/public/link" -- /bin/sh -c 'echo ran' >"$SCRATCH/out" 2>&1 && fail "a link led nobody into it"
        return 0
}
