# shellcheck shell=bash disable=SC2034,SC2119,SC2154,SC2016,SC2012
# Many launches, kills and deaths of the agent leave no cgroup, mount, process, namespace, BPF object or sandbox garbage.

setup_file() {
        BEFORE=$(machine_objects)
        AGENT_OPTIONS=()
        start_cluster
        RUNNING=$(machine_objects)
}
teardown_file() {
        AGENT_OPTIONS=(--kill-tasks-on-exit)
        stop agent 30
        start_agent
        stop_cluster
        expect_nothing_left
        expect_objects "$BEFORE"
}
job_ended() { mete inspect --json "$1" | holds '.state == "JOB_FINISHED" or .state == "JOB_FAILED" or .state == "JOB_KILLED"'; }
no_task_garbage() {
        [ -z "$(find /sys/fs/cgroup -type d -path "*$CGROUP_ROOT/containers/*" 2>/dev/null)" ] &&
                [ -z "$(find "$SCRATCH/run/containers" "$SCRATCH/agent/overlays" "$SCRATCH/agent/meta/containers" -mindepth 1 -maxdepth 1 2>/dev/null)" ] &&
                ! grep -qF "$SCRATCH/run/containers" /proc/self/mounts
}
expect_no_task_garbage() {
        wait_until 20 no_task_garbage || fail "left: $(find /sys/fs/cgroup -type d -path "*$CGROUP_ROOT/containers/*" | head -5) $(find "$SCRATCH/run/containers" "$SCRATCH/agent/overlays" "$SCRATCH/agent/meta/containers" -mindepth 1 -maxdepth 1 | head -5)"
}
# Sandboxes hold the task's own files and nothing of ours.
expect_clean_sandboxes() {
        local strange
        strange=$(find "$SCRATCH/agent/slaves" -path '*/runs/*/*' -not -name stdout -not -name stderr | head -5)
        [ -z "$strange" ] || fail "strange files in sandboxes: $strange"
}

test_200_tasks_launched_killed_and_reaped() {
        local job
        job=$(mete run -d --count 200 --cpus 0.02 --mem 8M -- "$PAYLOAD" until ./never)
        local deadline=$((SECONDS + 120 * SLOW)) round=0
        # Kill while some are being launched, some run and some wait.
        while ! mete inspect --json "$job" | holds '.tasks | map(select(.state == "TASK_RUNNING")) | length >= 20' >/dev/null; do
                [ $SECONDS -lt $deadline ] || fail "no 20 running tasks: $(mete jobs --json)"
        done
        while [ $round -lt 20 ]; do
                mete kill --grace 0 "$job.$((RANDOM % 200))" >/dev/null 2>&1 || true
                round=$((round + 1))
        done
        expect_status 0 mete kill --grace 0 "$job"
        wait_until 120 job_ended "$job" || fail "the job did not end: $(mete inspect --json "$job" | jq -c '.state, (.tasks | group_by(.state) | map({(.[0].state): length}))')"
        expect_no_task_garbage
        expect_clean_sandboxes
        expect_objects "$RUNNING"
}
test_200_tasks_run_to_their_end() {
        local job
        job=$(mete run -d --count 200 --cpus 0.02 --mem 8M -- /bin/true)
        wait_until 120 job_ended "$job" || fail "the job did not end: $(mete inspect --json "$job" | jq -c '.tasks | group_by(.state) | map({(.[0].state): length})')"
        expect_equal "$(mete inspect --json "$job" | jq '[.tasks[] | select(.state == "TASK_FINISHED" and .exit_code == 0)] | length')" 200 "finished tasks"
        expect_no_task_garbage
        expect_objects "$RUNNING"
}
# Fifty launches, each with its own death of the agent: somewhere between before it was sent and after it ended.
test_agent_killed_at_random_moments_of_50_launches() {
        local job jobs=() rounds=${METE_TEST_KILLS:-50}
        for _ in $(seq "$rounds"); do
                job=$(mete run -d --cpus 0.1 --mem 8M -- /bin/true)
                jobs+=("$job")
                sleep "0.0$(printf %02d $((RANDOM % 30)))" # the random moment under test
                kill_agent
                start_agent
        done
        for job in "${jobs[@]}"; do
                wait_until 60 job_ended "$job" || fail "job $job did not end: $(mete inspect --json "$job" | jq -c '[.tasks[] | {task_id, state, message}]')"
        done
        # A life that is cut off before its first words is one all the same.
        expect_between "$(grep -c 'registered with the master' "$SCRATCH/agent.log")" $((rounds * 9 / 10)) $((rounds + 1)) "lives of the agent that said so"
        # Interrupted launches fail, and say so; no task may have ended in any other way.
        local ends odd
        ends=$(for job in "${jobs[@]}"; do mete inspect --json "$job" | jq -r '.tasks[] | "\(.state) \(.message // "")"'; done)
        sort <<<"$ends" | uniq -c
        odd=$(grep -vE '^TASK_FINISHED|interrupted|never' <<<"$ends" || true)
        [ -z "$odd" ] || fail "odd ends: $odd"
        expect_no_task_garbage
        expect_objects "$RUNNING"
}
