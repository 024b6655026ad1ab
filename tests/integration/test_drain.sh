# shellcheck shell=bash disable=SC2034,SC2119,SC2120
# Agents that are drained, deactivated and reactivated: tasks of the queue go elsewhere, frameworks are told why, and no death of
# the master forgets it.

# shellcheck source=tests/integration/framework.sh
. "$(dirname "${BASH_SOURCE[0]}")/framework.sh"
# shellcheck source=tests/integration/operator.sh
. "$(dirname "${BASH_SOURCE[0]}")/operator.sh"
AGENT_OPTIONS=(--kill-tasks-on-exit --cpus 2 --mem 2G --executor-shutdown-grace-period 1s)

setup_file() {
        pick_ports
        start_master
        start_agent --hostname first
        start_agent2
}
teardown_file() {
        stop agent2 30
        stop_cluster
        expect_nothing_left
}

drain() { printf '{"type":"DRAIN_AGENT","drain_agent":{"agent_id":"%s"%s}}' "$1" "${2:-}"; } # drain AGENT [MEMBERS]
reactivate() { printf '{"type":"REACTIVATE_AGENT","reactivate_agent":{"agent_id":"%s"}}' "$1"; }
is_drained() { agent_is "$1" '.drain.state == "DRAINED" and .deactivated'; }
submit() { mete run -d --cpus 0.5 --mem 64M "$@"; }

test_a_job_moves_to_the_other_agent() {
        local job host
        job=$(submit -- /bin/sleep 600)
        wait_state "$job.0" TASK_RUNNING
        host=$(host_of "$job.0")
        accepted "$(drain "$host")"
        expect_equal "$(jq -r '.agents[0].drain.state' <<<"$ANSWER")" DRAINING "state"
        wait_until 30 runs_on "$job.0" "$(other "$host")" || fail "the task did not move: $(mete inspect --json "$job.0")"
        wait_until 20 is_drained "$host" || fail "not drained: $(mete agents --json)"
        expect_equal "$(get /slaves | jq -r --arg h "$host" '.slaves[] | select(.hostname == $h) | "\(.active) \(.deactivated) \(.drain_info.state)"')" \
                "false true DRAINED" "/slaves"
        accepted "$(reactivate "$host")"
        agent_is "$host" '(.deactivated | not) and (has("drain") | not)' || fail "not reactivated: $(mete agents --json)"
        mete kill "$job" >/dev/null
        wait_state "$job.0" TASK_KILLED
}

# The task ignores SIGTERM: the drain is still under way when the master dies.
test_a_drain_survives_the_master() {
        local job host
        # shellcheck disable=SC2016 # for the task's shell
        job=$(submit -- /bin/sh -c 'trap "" TERM; while :; do sleep 0.1; done')
        wait_state "$job.0" TASK_RUNNING
        host=$(host_of "$job.0")
        accepted "$(drain "$host" ',"max_grace_seconds":2')"
        restart_master
        wait_until 30 active_agents 2 || fail "the agents did not come back"
        agent_is "$host" '.deactivated and .drain.max_grace_seconds == 2' || fail "forgotten: $(mete agents --json)"
        wait_until 40 runs_on "$job.0" "$(other "$host")" || fail "the task did not move: $(mete inspect --json "$job.0")"
        wait_until 20 is_drained "$host" || fail "not drained: $(mete agents --json)"
        mete kill "$job" >/dev/null
        wait_state "$job.0" TASK_KILLED
        accepted "$(reactivate "$host")"
}

test_frameworks_are_told() {
        local where
        accepted '{"type":"DEACTIVATE_AGENT","deactivate_agent":{"agent_id":"second"}}'
        start_framework
        launch "$(command_task plain),$(task own await "$(executor mine)")"
        wait_update plain RUNNING
        wait_update own RUNNING
        where=$(status_of plain RUNNING | jq -r .agent_id.value)
        expect_equal "$where" "$(agent_field first .agent_id)" "the agent that is not deactivated"
        accepted "$(drain first)"
        wait_update plain KILLED
        wait_update own KILLED
        expect_equal "$(status_of plain KILLED | jq -r .reason)" REASON_AGENT_DRAINING "reason"
        expect_equal "$(status_of own KILLED | jq -r .reason)" REASON_AGENT_DRAINING "reason"
        wait_until 20 is_drained first || fail "not drained: $(mete agents --json)" # the executor ended too
        wait_until 10 no_containers || fail "left: $(ls "$SCRATCH/agent/meta/containers")"
        stop_framework
        accepted "$(reactivate first)"
        accepted "$(reactivate second)"
}

test_a_restarted_agent_is_still_deactivated() {
        accepted '{"type":"DEACTIVATE_AGENT","deactivate_agent":{"agent_id":"first"}}'
        kill_hard agent
        wait_until 20 active_agents 1 || fail "the master believes in the dead agent"
        launch_agent --hostname first
        wait_until 30 active_agents 2 || fail "the agent did not come back"
        agent_is first .deactivated || fail "forgotten: $(mete agents --json)"
        accepted "$(reactivate first)"
}

# The last test: the agent does not come back.
test_a_drained_agent_is_marked_gone() {
        accepted "$(drain second ',"mark_gone":true')"
        wait_until 20 agent_is second '.state == "AGENT_GONE"' || fail "not gone: $(mete agents --json)"
        wait_until 30 stopped agent2 || fail "the agent lives on"
        refused 409 "$(reactivate "$(agent_field second .agent_id)")"
        expect_match "$SENTENCE" "was marked gone"
}
