# shellcheck shell=bash disable=SC2034,SC2119,SC2120
# Schedulers that die and come back, or do not: what becomes of their tasks, and that nothing of them is left.

# shellcheck source=tests/integration/framework.sh
. "$(dirname "${BASH_SOURCE[0]}")/framework.sh"
AGENT_OPTIONS=(--kill-tasks-on-exit --executor-reregistration-timeout 15s --executor-shutdown-grace-period 1s)

setup_file() { start_cluster; }
teardown_file() {
        stop_cluster
        expect_nothing_left
}
start_tasks() {
        launch "$(command_task plain),$(task own await "$(executor mine)")"
        wait_update plain RUNNING
        wait_update own RUNNING
}
kill_scheduler() {
        kill_hard "$FRAMEWORK"
        wait_until 20 disconnected "$1" || fail "the master believes in the dead scheduler"
}
frameworks() { curl -s "http://127.0.0.1:$PORT/frameworks"; }
disconnected() { frameworks | holds "any(.frameworks[]; .id == \"$1\" and .connected == false)"; }
completed() { frameworks | holds "any(.completed_frameworks[]; .id == \"$1\")"; }
told() { event ".type == \"$1\""; }                                  # told EVENT
is() { event "$(of "$1" "$2") and .update.status.reason == \"$3\""; } # is TASK STATE REASON
of() { printf '(.type == "UPDATE" and .update.status.task_id.value == "%s" and .update.status.state == "TASK_%s")' "$1" "$2"; }
nothing_runs() { no_containers && [ -z "$(find /sys/fs/cgroup -path "*$CGROUP_ROOT/containers/*" -name cgroup.procs -exec cat {} + 2>/dev/null)" ]; }
expect_ended() { # expect_ended FRAMEWORK: with all that it had, for ever
        wait_until 20 completed "$1" || fail "the framework lives on: $(tail -n 5 "$SCRATCH/master.log")"
        wait_until 20 nothing_runs || fail "left: $(ls "$SCRATCH/agent/meta/containers")"
        expect_equal "$(frameworks | jq -r --arg id "$1" '.completed_frameworks[] | select(.id == $id) | [.completed_tasks[].state] | sort | join(" ")')" "TASK_KILLED TASK_KILLED" "its tasks"
        as late subscribe "id=$1"
        wait_until 20 as late told ERROR || fail "its id was accepted again: $(cat "$SCRATCH/late.events")"
        expect_match "$(jq -r 'select(.type == "ERROR").error.message' "$SCRATCH/late.events")" "remove|complete" "refusal"
}

test_a_scheduler_that_is_back_in_time_keeps_its_tasks() {
        local id pid sandbox
        start_framework
        start_tasks
        id=$(framework_id) pid=$(status_of own RUNNING | jq .container_status.executor_pid)
        kill_scheduler "$id"
        # What ends meanwhile is told later.
        touch "$(command_sandbox plain)/go"
        as again start_framework "id=$id"
        expect_equal "$(as again framework_id)" "$id" "framework id"
        as again wait_update plain FINISHED
        as again call '{"type":"RECONCILE","reconcile":{}}'
        wait_until 20 as again is own RUNNING REASON_RECONCILIATION || fail "no answer: $(tail -n 3 "$SCRATCH/again.events")"
        expect_equal "$(as again status_of own RUNNING | jq .container_status.executor_pid)" "$pid" "process"
        touch "$(sandbox mine)/own.go"
        as again wait_update own FINISHED
        expect_equal "$(grep -cE 'TASK_(KILLED|LOST|FAILED|GONE)' "$SCRATCH/again.events")" 0 "other ends"
        as again stop_framework
        wait_until 20 nothing_runs || fail "left: $(ls "$SCRATCH/agent/meta/containers")"
}

test_a_scheduler_that_stays_away_loses_its_tasks() {
        local id
        start_framework failover=0.2
        start_tasks
        id=$(framework_id)
        kill_hard framework
        expect_ended "$id"
}

test_teardown_ends_executors_and_command_tasks() {
        local id
        start_framework
        start_tasks
        id=$(framework_id)
        stop_framework
        expect_ended "$id"
        expect_equal "$(grep -cE 'TASK_(KILLED|LOST|FAILED|GONE)' "$EVENTS")" 0 "statuses after the teardown"
}

# The master that knew it is gone, and so is the scheduler: its failover timeout counts from when an agent told of it.
test_a_scheduler_that_never_comes_to_the_next_master_loses_its_tasks() {
        local id
        start_framework failover=0.2
        start_tasks
        id=$(framework_id)
        kill -STOP "$(cat "$SCRATCH/framework.pid")" # it must not be seen to go
        kill_hard master
        kill_hard framework
        start_master --agent-reregister-timeout 3s
        wait_until 30 agent_active || fail "the agent did not come back"
        expect_ended "$id"
}
