# shellcheck shell=bash disable=SC2016 # what is quoted is for the tasks' shells
# Health checks, checks, the completion time and the kill policy of command tasks, as a scheduler sees them.

SCHEDULER=$(dirname "${BASH_SOURCE[0]}")/scheduler.py

setup_file() { start_cluster; }
teardown_file() {
        stop_cluster
        expect_nothing_left
}

# run_task TASK [ACTION...]: TASK is JSON without ids. The statuses go into $SCRATCH/statuses, the last one into $LAST.
run_task() {
        local task=$1
        shift
        jq --arg id "t-$RANDOM$RANDOM" '. + {task_id: {value: $id}}' <<<"$task" >"$SCRATCH/task.json"
        python3 "$SCHEDULER" "127.0.0.1:$PORT" "$SCRATCH/task.json" "$@" >"$SCRATCH/statuses" 2>"$SCRATCH/scheduler.log" ||
                fail "$(cat "$SCRATCH/scheduler.log" "$SCRATCH/statuses")"
        LAST=$(tail -n 1 "$SCRATCH/statuses")
}
statuses() { jq -c "$1" "$SCRATCH/statuses"; }

test_health_is_told_when_it_changes() {
        # Unhealthy from the third to the fifth check.
        run_task '{"command": {"value": "until test \"$(cat count)\" -ge 8; do sleep 1; done"}, "health_check": {"type": "COMMAND",
                "command": {"value": "n=$(($(cat count || echo 0) + 1)); echo $n >count; test $n -lt 3 -o $n -gt 5"}, "delay_seconds": 0, "interval_seconds": 0.1, "grace_period_seconds": 0, "consecutive_failures": 1000}}'
        expect_equal "$(jq -r .state <<<"$LAST")" TASK_FINISHED state
        expect_equal "$(statuses 'select(.reason == "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED") | [.state, .healthy]' | tr '\n' ' ')" \
                '["TASK_RUNNING",true] ["TASK_RUNNING",false] ["TASK_RUNNING",true] ' "the changes"
}

test_failing_health_kills() {
        run_task '{"command": {"value": "sleep 1000"}, "kill_policy": {"grace_period": {"nanoseconds": 1000000000}}, "health_check": {"type": "TCP",
                "tcp": {"port": 9}, "delay_seconds": 0, "interval_seconds": 0.1, "grace_period_seconds": 0, "consecutive_failures": 3}}'
        expect_equal "$(jq -c '[.state, .healthy]' <<<"$LAST")" '["TASK_KILLED",false]' "the end"
        expect_equal "$(statuses 'select(.healthy == false and .state == "TASK_RUNNING")' | wc -l)" 1 "updates of a task that is not healthy"
}

test_check_status_is_told_when_it_changes() {
        run_task '{"command": {"value": "until test \"$(cat count)\" -ge 6; do sleep 1; done"}, "check": {"type": "COMMAND",
                "command": {"command": {"value": "n=$(($(cat count || echo 0) + 1)); echo $n >count; test $n -ge 3 && exit 4; exit 1"}}, "delay_seconds": 0, "interval_seconds": 0.1}}'
        expect_equal "$(jq -r .state <<<"$LAST")" TASK_FINISHED state
        expect_equal "$(statuses 'select(.state == "TASK_RUNNING") | .check_status' | tr '\n' ' ')" \
                '{"type":"COMMAND","command":{}} {"type":"COMMAND","command":{"exit_code":1}} {"type":"COMMAND","command":{"exit_code":4}} ' "the statuses"
}

test_completion_time() {
        run_task '{"command": {"value": "trap : TERM; while :; do sleep 1; done"}, "max_completion_time": {"nanoseconds": 500000000}}'
        expect_equal "$(jq -r '.state + " " + .reason' <<<"$LAST")" "TASK_FAILED REASON_MAX_COMPLETION_TIME_REACHED" "the end"
}

# The time counts from the task's start: what it was dead for the agent does not give again.
test_completion_time_goes_on_while_the_agent_is_dead() {
        local limit=$((5 * SLOW)) restarted
        jq -n --argjson limit "$limit" '{task_id: {value: "overdue"}, command: {value: "exec sleep 1000"}, max_completion_time: {nanoseconds: ($limit * 1000000000)}}' >"$SCRATCH/overdue.json"
        python3 "$SCHEDULER" "127.0.0.1:$PORT" "$SCRATCH/overdue.json" >"$SCRATCH/overdue.statuses" 2>"$SCRATCH/scheduler.log" &
        wait_until 20 grep -q TASK_RUNNING "$SCRATCH/overdue.statuses" || fail "it does not run: $(cat "$SCRATCH/scheduler.log")"
        kill_agent
        wait_until 20 overdue "$limit" || fail "time stands still"
        restarted=$(date +%s)
        start_agent
        wait_until 20 grep -q TASK_FAILED "$SCRATCH/overdue.statuses" || fail "it goes on: $(cat "$SCRATCH/overdue.statuses")"
        expect_equal "$(jq -rs 'last.reason' "$SCRATCH/overdue.statuses")" REASON_MAX_COMPLETION_TIME_REACHED
        # A whole limit after the restart it would have ended anyway.
        expect_between "$(jq -s 'last.timestamp' "$SCRATCH/overdue.statuses")" "$((restarted - 1))" "$((restarted + limit - 1))" "the end"
}
overdue() { [ "$(date +%s)" -gt "$(jq -s "[.[] | select(.state == \"TASK_RUNNING\")][0].timestamp + $1 + 1 | floor" "$SCRATCH/overdue.statuses")" ]; }

test_the_grace_of_a_kill() {
        local started=$SECONDS
        # Longer than any deadline here: the kill's own grace counts, and one that comes again and is shorter.
        local task='{"command": {"value": "trap : TERM; while :; do sleep 1; done"}, "kill_policy": {"grace_period": {"nanoseconds": 900000000000}}}'
        local id='{"task_id": {"value": "kill-me"}, "kill_policy": {"grace_period": {"nanoseconds": 0}}}'
        jq '. + {task_id: {value: "kill-me"}}' <<<"$task" >"$SCRATCH/task.json"
        python3 "$SCHEDULER" "127.0.0.1:$PORT" "$SCRATCH/task.json" 'TASK_RUNNING=kill:{"task_id": {"value": "kill-me"}}' \
                "TASK_KILLING=kill:$id" >"$SCRATCH/statuses" || fail "$(cat "$SCRATCH/statuses")"
        expect_equal "$(jq -r .state "$SCRATCH/statuses" | tr '\n' ' ')" "TASK_STARTING TASK_RUNNING TASK_KILLING TASK_KILLED " "the states"
        [ $((SECONDS - started)) -lt 600 ] || fail "the first grace was waited for"
}
