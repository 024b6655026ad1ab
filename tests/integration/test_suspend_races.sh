# shellcheck shell=bash disable=SC2034,SC2119,SC2120
# Suspension by hand and by a queue, against the ends of tasks, kills, and the deaths of master and agent, in an order that a seed decides:
# every task begins once, ends once, and nothing stays behind.

# shellcheck source=tests/integration/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

AGENT_SIZE=(--cpus 2 --mem 2G)
setup_file() {
        BEFORE=$(machine_objects)
        pick_ports
        start_master
        start_agent "${AGENT_SIZE[@]}"
        expect_status 0 mete queue set urgent --policy priority --preemption suspend --grace 100ms --min-gain 100ms --preemptions 100
}
teardown_file() {
        stop_cluster
        expect_nothing_left
        expect_objects "$BEFORE"
}

JOBS=()
submit() { # submit SECONDS-TENTHS [OPTION...]
        # shellcheck disable=SC2016 # for the task's shell
        JOBS+=("$(mete run -d --mem 16M "${@:2}" -- /bin/bash -c 'echo begun; for ((i = 0; i < $0; i++)); do sleep 0.1; done; echo done' "$1")")
}
restart_master() {
        kill_hard master
        start_master
}
restart_agent() {
        kill_hard agent
        launch_agent "${AGENT_SIZE[@]}"
}
one_step() { # one_step JOB
        case $((RANDOM % 16)) in
        [0-4]) mete suspend "$1" ;;
        [5-8]) mete resume "$1" ;;
        9) mete suspend "$1.0" && mete resume "$1.0" ;;
        10) mete suspend "$1" & mete kill --grace 1s "$1" ;;
        11) restart_master ;;
        12) restart_agent ;;
        *) mete explain "$1" ;;
        esac
}
no_live_jobs() { mete jobs --json | holds 'length == 0'; }
# What is held by now goes on, once: a task that came back frozen just before is asked again.
all_end() {
        local job
        for job in "${JOBS[@]}"; do mete resume "$job" >/dev/null 2>&1 || true; done
        no_live_jobs
}
expect_each_once() {
        local job task state output
        for job in "${JOBS[@]}"; do
                task=$(mete inspect --json "$job" | jq -c '.tasks[0]')
                state=$(jq -r .state <<<"$task")
                output=$(cat "$(jq -r '.sandbox // "/nowhere"' <<<"$task")/stdout" 2>/dev/null || true)
                [ "$(jq -r '.attempts // 0' <<<"$task")" -le 1 ] && [ "$(grep -c begun <<<"$output")" -le 1 ] || fail "begun twice: $task: $output"
                case $state in
                TASK_FINISHED) expect_equal "$output" $'begun\ndone' "output of $job" ;;
                TASK_KILLED) expect_no_match "$output" 'done.*done' "output of $job" ;;
                *) fail "job $job: $task" ;;
                esac
        done
}

test_by_hand() {
        RANDOM=11
        for _ in 1 2 3 4 5 6; do submit 15 --cpus 0.3; done
        for _ in $(seq 60); do one_step "${JOBS[RANDOM % 6]}" >/dev/null 2>&1 || true; done
        wait_until 30 agent_active || fail "the agent did not come back"
        wait_until 120 all_end || fail "they do not end: $(mete jobs; tail -3 "$SCRATCH/master.log")"
        expect_each_once
}

test_by_the_queue() {
        RANDOM=12
        for _ in 1 2 3; do submit 30 --cpus 1 --queue urgent --priority 100 --duration 30s; done
        for step in $(seq 24); do
                submit 2 --cpus $((1 + RANDOM % 2)) --queue urgent --priority $((500 + step)) --duration 300ms
                case $((step % 6)) in
                2) restart_master ;;
                5) restart_agent ;;
                *) mete explain "${JOBS[RANDOM % 3]}" >/dev/null ;;
                esac
        done
        wait_until 30 agent_active || fail "the agent did not come back"
        wait_until 180 no_live_jobs || fail "they do not end: $(mete jobs; tail -3 "$SCRATCH/master.log")"
        expect_each_once
        expect_equal "$(for job in "${JOBS[@]}"; do mete inspect --json "$job" | jq -r '.tasks[0].state'; done | sort -u)" TASK_FINISHED "states"
        [ "$(mete inspect --json "${JOBS[0]}" | jq '.tasks[0].preemptions // 0')" -gt 0 ] || fail "nobody was suspended"
}
