# shellcheck shell=bash disable=SC2034,SC2119,SC2120
# Agents that fall silent, die and are given up, as two schedulers see it: one that knows partitions and an old one.

# shellcheck source=tests/integration/framework.sh
. "$(dirname "${BASH_SOURCE[0]}")/framework.sh"
AGENT_OPTIONS=(--kill-tasks-on-exit --executor-reregistration-timeout 15s --executor-shutdown-grace-period 1s)

setup_file() {
        cp "$BIN/mete" "$SCRATCH/mete" # where everybody may run it
        pick_ports
        start_master --agent-ping-timeout 500ms --max-agent-ping-timeouts 3
        start_agent
}
teardown_file() {
        stop_cluster
        expect_nothing_left
}
restart_master() { # restart_master [OPTION...]
        stop master 20
        start_master "$@"
        wait_until 30 agent_active || fail "the agent did not come back: $(tail -5 "$SCRATCH/agent.log")"
}
agent_id() { mete agents --json | jq -r '.[0].agent_id'; }
agent_state_is() { mete agents --json | holds ".[0].state == \"AGENT_$1\""; }

# Both schedulers with a command task and a task of an executor; the names of the tasks are theirs alone, so that both may have the same.
start_both() {
        local name
        for name in new old; do
                as $name start_framework "$name" # "old" is a word that framework.py knows
                [ $name = old ] || as $name call '{"type":"SUPPRESS","suppress":{}}' # what it leaves is for the other
                as $name launch "$(command_task plain),$(task own await "$(executor mine)")"
                as $name wait_update plain RUNNING
                as $name wait_update own RUNNING
        done
}
as_both() {
        local name
        for name in new old; do as $name "$@"; done
}
# Which process and which container: the same before and after.
who_runs() {
        local id
        for id in plain own; do
                status_of $id RUNNING | jq -c '[.task_id.value, .container_status.executor_pid, .container_status.container_id.value]'
        done
        sed 's/.*) //' "/proc/$(status_of own RUNNING | jq .container_status.executor_pid)/stat" | cut -d' ' -f20 # when it started
}
end_both() { # what runs ends by itself, is told once, and was started once
        local id
        touch "$(command_sandbox plain)/go" "$(sandbox mine)/own.go"
        for id in plain own; do
                wait_update $id FINISHED
                expect_equal "$(count "$(of $id FINISHED)")" 1 "ends of $id"
                expect_equal "$(count "$(of $id FAILED) or $(of $id KILLED) or $(of $id GONE)")" 0 "other ends of $id"
        done
        expect_equal "$(cat "$(command_sandbox plain)/starts")" started "starts of the command task"
        expect_equal "$(grep -c '^launch own$' "$(sandbox mine)/log")" 1 "starts of the executor's task"
        stop_framework
}
of() { printf '(.type == "UPDATE" and .update.status.task_id.value == "%s" and .update.status.state == "TASK_%s")' "$1" "$2"; } # of TASK STATE
facts() { jq -r '[.source, .reason, has("uuid"), has("unreachable_time"), .agent_id.value] | map(tostring) | join(" ")'; }
reconciled() { event "$(of "$1" "$2") and .update.status.reason == \"REASON_RECONCILIATION\""; }
reconcile() { # reconcile STATE AGENT [STATE]: of the task that is asked for without naming its agent, where that makes a difference
        call "{\"type\":\"RECONCILE\",\"reconcile\":{\"tasks\":[{\"task_id\":{\"value\":\"plain\"}},{\"task_id\":{\"value\":\"own\"},\"agent_id\":{\"value\":\"$2\"}}]}}"
        wait_until 20 reconciled plain "${3:-$1}" || fail "reconciliation did not answer ${3:-$1}: $(tail -3 "$EVENTS")"
        wait_until 20 reconciled own "$1" || fail "reconciliation with the agent's id did not answer $1: $(tail -3 "$EVENTS")"
}
failures() { count ".type == \"FAILURE\" and .failure.agent_id.value == \"$1\" and (.failure | has(\"executor_id\") | not)"; }

check_unreachable() { # check_unreachable STATE AGENT
        local id
        for id in plain own; do
                wait_update $id "$1"
                expect_equal "$(count "$(of $id "$1") and .update.status.reason != \"REASON_RECONCILIATION\"")" 1 "statuses $1 of $id"
                expect_equal "$(status_of $id "$1" | facts)" "SOURCE_MASTER REASON_AGENT_REMOVED false true $2" "facts of $id"
        done
        expect_equal "$(failures "$2")" 1 "FAILURE events"
        reconcile "$1" "$2"
}
back() { event "$(of "$1" RUNNING) and .update.status.reason == \"REASON_AGENT_REREGISTERED\""; }
check_back() { # check_back AGENT
        local id
        for id in plain own; do
                wait_until 20 back $id || fail "$id did not come back: $(tail -3 "$EVENTS") $(tail -5 "$SCRATCH/agent.log")"
                expect_equal "$(jq -s "[.[] | select($(of $id RUNNING) and .update.status.reason == \"REASON_AGENT_REREGISTERED\")]" "$EVENTS" | jq '.[0].update.status' | facts)" \
                        "SOURCE_MASTER REASON_AGENT_REREGISTERED false false $1" "facts of $id"
        done
        reconcile RUNNING "$1"
}

test_a_silent_agent_is_given_up_and_comes_back() {
        local agent new old
        start_both
        agent=$(agent_id) new=$(as new who_runs) old=$(as old who_runs)
        trap 'kill -CONT "$(cat "$SCRATCH/agent.pid")"' EXIT
        kill -STOP "$(cat "$SCRATCH/agent.pid")"
        as new check_unreachable UNREACHABLE "$agent"
        as old check_unreachable LOST "$agent"
        # Somebody held what was left of it.
        expect_equal "$(cat "$SCRATCH/new.events" "$SCRATCH/old.events" | jq -s '[.[] | select(.type == "RESCIND")] | length > 0')" true "RESCIND"
        kill -CONT "$(cat "$SCRATCH/agent.pid")"
        as_both check_back "$agent"
        expect_equal "$(agent_id)" "$agent" "agent id"
        expect_equal "$(as new who_runs)" "$new" "processes"
        expect_equal "$(as old who_runs)" "$old" "processes of the old scheduler"
        as_both end_both
        wait_until 20 no_containers || fail "left: $(ls "$SCRATCH/agent/meta/containers")"
}

test_an_agent_that_dies_and_is_back_in_time_loses_nothing() {
        local agent new old
        restart_master # gives agents their usual time
        start_both
        agent=$(agent_id) new=$(as new who_runs) old=$(as old who_runs)
        kill_agent
        start_agent
        expect_equal "$(agent_id)" "$agent" "agent id"
        as_both reconcile RUNNING "$agent"
        expect_equal "$(as new who_runs)" "$new" "processes"
        as_both end_both
        expect_equal "$(cat "$SCRATCH/new.events" "$SCRATCH/old.events" | jq -s '[.[] | select(.type == "FAILURE" and (.failure | has("executor_id") | not))] | length')" 0 "FAILURE events"
        expect_equal "$(cat "$SCRATCH/new.events" "$SCRATCH/old.events" | grep -cE 'TASK_(UNREACHABLE|LOST)')" 0 "lost tasks"
}

test_an_agent_that_dies_and_is_back_too_late_brings_its_tasks() {
        local agent new
        restart_master --agent-reregister-timeout 1s
        start_both
        agent=$(agent_id) new=$(as new who_runs)
        kill_hard agent
        as new check_unreachable UNREACHABLE "$agent"
        as old check_unreachable LOST "$agent"
        start_agent
        as_both check_back "$agent"
        expect_equal "$(agent_id)" "$agent" "agent id"
        expect_equal "$(as new who_runs)" "$new" "processes"
        as_both end_both
}

# Last: what was gone once never comes back.
test_an_agent_that_is_gone_takes_its_tasks_along() {
        local agent id
        restart_master
        start_both
        agent=$(agent_id)
        cp "$SCRATCH/agent/meta/agent" "$SCRATCH/identity"
        expect_status 1 setpriv --reuid=65534 --regid=65534 --clear-groups "$SCRATCH/mete" gone "$agent"
        expect_match "$ERR" "root|privileg|may" "refusal of somebody who is not root"
        agent_state_is ACTIVE || fail "somebody who is not root marked the agent gone"
        expect_status 0 mete gone "$agent"
        for id in plain own; do
                as new wait_update $id GONE_BY_OPERATOR
                as old wait_update $id LOST
                expect_equal "$(as new status_of $id GONE_BY_OPERATOR | facts)" "SOURCE_MASTER REASON_AGENT_REMOVED_BY_OPERATOR false false $agent" "facts of $id"
                expect_equal "$(as old status_of $id LOST | facts)" "SOURCE_MASTER REASON_AGENT_REMOVED_BY_OPERATOR false false $agent" "facts of $id"
        done
        as new reconcile GONE_BY_OPERATOR "$agent" UNKNOWN
        as old reconcile LOST "$agent"
        expect_equal "$(as new failures "$agent")" 1 "FAILURE events"
        wait_until 20 stopped agent || fail "the agent lives on: $(tail -5 "$SCRATCH/agent.log")"
        expect_nothing_left
        # An agent begins anew after that; one that insists on its id, as a copy of its disk would, is refused.
        cp "$SCRATCH/identity" "$SCRATCH/agent/meta/agent"
        launch_agent
        wait_until 20 stopped agent || fail "the agent was not refused: $(tail -5 "$SCRATCH/agent.log")"
        agent_state_is GONE || fail "it came back: $(mete agents --json)"
        expect_nothing_left
        as_both stop_framework
}
