# shellcheck shell=bash disable=SC2034,SC2119,SC2120
# What the integration tests share: a cluster of the real binaries on loopback, assertions, and the proof that nothing is left.
# A test file defines functions test_*; `setup_file` and `teardown_file` run around them. Every wait has a deadline.

: "${BUILD:?}" "${SCRATCH:?}" # set by tests/integration/run
BIN=$BUILD/bin
PAYLOAD=$SCRATCH/payload # copied there: a path that is visible in host-root tasks
export PATH=$BIN:$PATH NO_COLOR=1
SLOW=${METE_TEST_SLOW:-1} # factor for deadlines, larger under emulation
CGROUP_ROOT=mete/test-$$-$RANDOM

fail() {
        echo "FAIL: $*" >&2
        exit 1
}

# wait_until SECONDS COMMAND...: polls, because most of what is waited for has no event that a shell can see.
wait_until() {
        local deadline=$((SECONDS + $1 * SLOW))
        shift
        until "$@" >/dev/null 2>&1; do
                [ $SECONDS -lt $deadline ] || return 1
                sleep 0.05
        done
}

expect_equal() { [ "$1" = "$2" ] || fail "${3:-value}: expected \"$2\", got \"$1\""; }
expect_match() { [[ $1 =~ $2 ]] || fail "${3:-text}: expected a match for /$2/, got: $1"; }
expect_no_match() { [[ ! $1 =~ $2 ]] || fail "${3:-text}: expected no match for /$2/, got: $1"; }
# expect_between VALUE LOW HIGH WHAT: decimals allowed.
expect_between() { awk -v v="$1" -v l="$2" -v h="$3" 'BEGIN { exit !(v != "" && v >= l && v <= h) }' || fail "$4: expected $2 to $3, got $1"; }
# expect_status N COMMAND...: runs it, output in $OUT and $ERR.
expect_status() {
        local want=$1 got=0
        shift
        "$@" >"$SCRATCH/out" 2>"$SCRATCH/err" || got=$?
        OUT=$(cat "$SCRATCH/out") ERR=$(cat "$SCRATCH/err")
        [ "$got" = "$want" ] || fail "expected exit status $want, got $got from: $*"$'\n'"stdout: ${OUT:0:2000}"$'\n'"stderr: ${ERR:0:2000}"
}

# ---- cluster ------------------------------------------------------------------------------------------------

pick_ports() { # four consecutive free ports on loopback
        local port p
        for _ in $(seq 50); do
                port=$((20000 + RANDOM % 10000))
                for p in 0 1 2 3; do
                        (exec 3<>"/dev/tcp/127.0.0.1/$((port + p))") 2>/dev/null && continue 2
                done
                PORT=$port
                export METE_MASTER=127.0.0.1:$PORT
                return
        done
        fail "no free ports"
}

start_master() {
        mete-master --port "$PORT" --work-dir "$SCRATCH/master" "$@" >>"$SCRATCH/master.log" 2>&1 &
        echo $! >"$SCRATCH/master.pid"
        wait_until 20 master_answers || fail "the master did not come up: $(tail -5 "$SCRATCH/master.log")"
}

# holds FILTER: the document on stdin exists and the filter is true for it. By itself, jq -e takes no input for success.
holds() { jq -es "length > 0 and (.[0] | ($1))"; }
master_answers() { mete version --json | holds '.master'; } # without one it says so, and is content
agent_active() { mete agents --json | holds 'any(.[]; .state == "AGENT_ACTIVE")'; }

launch_agent() { # launch_agent [OPTION...]: without waiting
        "${AGENT_WRAPPER[@]}" mete-agent --master "127.0.0.1:$PORT" --port $((PORT + 1)) --work-dir "$SCRATCH/agent" --hide "$SCRATCH/master" --runtime-dir "${RUNTIME_DIR:-$SCRATCH/run}" \
                --cgroup-root "$CGROUP_ROOT" "${AGENT_OPTIONS[@]}" "$@" >>"$SCRATCH/agent.log" 2>&1 &
        echo $! >"$SCRATCH/agent.pid"
}
start_agent() {
        launch_agent "$@"
        wait_until 30 agent_active || fail "the agent did not register: $(tail -5 "$SCRATCH/agent.log")"
}
AGENT_OPTIONS=(--kill-tasks-on-exit)
AGENT_WRAPPER=()

# The daemons' pids live in files: a test function is a subshell, and the next one must find them.
running() { # running NAME: not gone and not a zombie, of which no thread is left that still holds files
        local stat process
        [ -s "$SCRATCH/$1.pid" ] || return 1
        process=/proc/$(cat "$SCRATCH/$1.pid" 2>/dev/null)
        stat=$(sed 's/.*) //' "$process/stat" 2>/dev/null) || return 1
        [ -n "$stat" ] || return 1
        [ "${stat%% *}" != Z ] || [ "$(find "$process/task" -mindepth 1 -maxdepth 1 2>/dev/null | wc -l)" -gt 1 ]
}
stopped() { ! running "$1"; }
# stop NAME SECONDS: SIGTERM and wait; fails the test when it does not end.
stop() {
        running "$1" || return 0
        kill -TERM "$(cat "$SCRATCH/$1.pid")"
        wait_until "$2" stopped "$1" || fail "the $1 did not stop: $(tail -5 "$SCRATCH/$1.log")"
}
kill_hard() { # kill_hard NAME
        kill -KILL "$(cat "$SCRATCH/$1.pid")"
        wait_until 10 stopped "$1" || fail "the $1 survived SIGKILL"
}

# The master sees a killed agent as disconnected only after its connection broke; wait for that before a new one counts as "active".
kill_agent() {
        kill_hard agent
        wait_until 20 agent_inactive || fail "the master still believes in the dead agent"
}
agent_inactive() { ! agent_active; }

start_cluster() {
        pick_ports
        start_master
        start_agent
}
stop_cluster() {
        stop agent 30
        stop master 20
}
start_dev() { # start_dev [OPTION...]
        mete dev --port "$PORT" "$@" >>"$SCRATCH/dev.log" 2>&1 &
        echo $! >"$SCRATCH/dev.pid"
        wait_until 30 agent_active || fail "mete dev did not come up: $(tail -5 "$SCRATCH/dev.log")"
}

# ---- asking -------------------------------------------------------------------------------------------------

stat_of() { mete stats --json "$1" | jq -r --arg f "$2" '.[0][$f] | if . == null then "" else . end'; } # stat_of TASK FIELD
task_state() { mete inspect --json "$1" 2>/dev/null | jq -r '.state'; }
state_is() { [ "$(task_state "$1")" = "$2" ]; }
wait_state() { wait_until "${3:-20}" state_is "$1" "$2" || fail "task $1: expected state $2 in time, it is $(task_state "$1")"; }

# ---- nothing is left ----------------------------------------------------------------------------------------

# What of this test's cluster still exists: cgroups, mounts, state directories. Empty when all is gone.
leftovers() {
        find /sys/fs/cgroup -maxdepth 6 -type d -path "*/$CGROUP_ROOT*" 2>/dev/null
        grep -F "$SCRATCH/run" /proc/self/mounts
        find "$SCRATCH/run" -mindepth 1 2>/dev/null | head -20
        find "$SCRATCH/agent/meta/containers" "$SCRATCH/agent/overlays" -mindepth 1 -maxdepth 1 2>/dev/null
}
nothing_left() { [ -z "$(leftovers)" ]; }
expect_nothing_left() { wait_until 15 nothing_left || fail "left behind:"$'\n'"$(leftovers)"; }

# Objects of the whole machine that a leak would add to: BPF programs and maps, mount and network namespaces, our processes.
machine_objects() {
        printf 'bpf_programs %s\n' "$(bpftool prog show 2>/dev/null | grep -cE '^[0-9]+:')"
        printf 'bpf_maps %s\n' "$(bpftool map show 2>/dev/null | grep -cE '^[0-9]+:')"
        printf 'mount_namespaces %s\n' "$(readlink /proc/[0-9]*/ns/mnt 2>/dev/null | sort -u | wc -l)"
        printf 'net_namespaces %s\n' "$(readlink /proc/[0-9]*/ns/net 2>/dev/null | sort -u | wc -l)"
        printf 'mounts %s\n' "$(wc -l </proc/self/mounts)"
        printf 'processes %s\n' "$(cat /proc/[0-9]*/comm 2>/dev/null | grep -cE '^mete-(shim|init|agent|master)$')"
}
# Fewer than before is no leak: what else runs on this machine may have ended meanwhile.
objects_as_before() { join <(sort <<<"$1") <(machine_objects | sort) | awk '$3 > $2 { grown = 1 } END { exit grown }'; }
expect_objects() { wait_until 15 objects_as_before "$1" || fail "the machine holds more objects than before:"$'\n'"before: $1"$'\n'"now: $(machine_objects)"; }

# ---- an agent alone, below a master that only speaks (bare_master.py) ------------------------------------------

start_bare_master() {
        CALLS=$SCRATCH/calls
        : >"$CALLS"
        python3 "$here/bare_master.py" "$PORT" "$CALLS" >>"$SCRATCH/master.log" 2>&1 &
        echo $! >"$SCRATCH/master.pid"
}
subscribed() { [ "$(grep -c '"call": "SUBSCRIBE"' "$CALLS")" -gt "$1" ]; }
start_bare_agent() {
        local before
        before=$(grep -c '"call": "SUBSCRIBE"' "$CALLS")
        launch_agent "$@"
        wait_until 30 subscribed "$before" || fail "the agent did not register: $(tail -5 "$SCRATCH/agent.log")"
}
start_bare_cluster() {
        pick_ports
        start_bare_master
        start_bare_agent "$@"
}
# command_of_master JSON. With BATCH naming a file it waits there for send_batch: the agent then gets all in one piece.
command_of_master() {
        if [ -n "${BATCH:-}" ]; then
                printf '%s\n' "$1" >>"$BATCH"
        else
                curl -sf -d "$1" "http://127.0.0.1:$PORT/command" || fail "the bare master did not take $1"
        fi
}
send_batch() { # send_batch FILE
        BATCH='' command_of_master "$(jq -cs . "$1")"
        rm "$1"
}
# launch_task ID SCRIPT [MORE FIELDS,] [MORE RESOURCES,]
launch_task() {
        command_of_master "$(jq -cn --arg id "$1" --arg script "$2" "{launch: {framework: {user: \"root\", name: \"x\", id: {value: \"f\"}, checkpoint: true}, skip_starting: true,
                ${LAUNCH_MORE:-} task: {${3:-} name: \$id, task_id: {value: \$id}, agent_id: {value: \"00000000-0000-4000-8000-000000000000-S0\"}, command: {value: \$script},
                resources: [${4:-} {name: \"cpus\", type: 0, scalar: {value: ${LAUNCH_CPUS:-0.3}}}, {name: \"mem\", type: 0, scalar: {value: 32}}]}}}")"
}
kill_task() { command_of_master "{\"kill\":{\"framework_id\":{\"value\":\"f\"},\"task_id\":{\"value\":\"$1\"},\"grace_seconds\":$2}}"; } # kill_task ID GRACE
update_of() { jq -es --arg t "$1" "any(.[]; .call == \"UPDATE\" and .update.status.task_id.value == \$t and (.update | $2))" "$CALLS"; } # update_of ID FILTER
wait_update() { wait_until 20 update_of "$@" || fail "no update of $1 with $2: $(grep UPDATE "$CALLS" | grep -F "\"$1\"" | tail -2) $(tail -3 "$SCRATCH/agent.log")"; }
sandbox_of_task() { find "$SCRATCH/agent/slaves" -mindepth 7 -maxdepth 7 -path "*/executors/$1/runs/*" -type d ! -name '*.state' 2>/dev/null | tail -1; }
volume() { # volume ROLE ID PATH [ro]: the resource
        jq -cn --arg role "$1" --arg id "$2" --arg path "$3" --argjson mode "$([ "${4:-}" = ro ] && echo 2 || echo 1)" \
                '{name: "disk", type: 0, scalar: {value: 16}, reservations: [{type: 2, role: $role}], disk: {persistence: {id: $id}, volume: {mode: $mode, container_path: $path}}}'
}
assign() { # assign VERSION RESOURCE...
        local version=$1
        shift
        command_of_master "$(printf '%s\n' "$@" | jq -cs --argjson n "$version" '{assign: {version: $n, resources: .}}')"
}
