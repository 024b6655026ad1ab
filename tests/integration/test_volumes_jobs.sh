# shellcheck shell=bash disable=SC2034,SC2154,SC2016
# Jobs with persistent volumes on real tasks: what one job wrote the next one reads, somewhere else; who needs a volume that is in use waits
# and says so, also when master and agent die meanwhile; what can never be had is refused.

setup_file() {
        BEFORE=$(machine_objects)
        AGENT_OPTIONS=()
        pick_ports
        start_master
        start_agent --cpus 2 --mem 1G --resources 'disk:1000'
        STORE=$SCRATCH/agent/volumes
        expect_status 0 mete queue set dev
        expect_status 0 mete reserve "$(hostname)" dev disk=200M
        expect_status 0 mete volumes create "$(hostname)" dev results 100M
}
teardown_file() {
        stop agent 30
        AGENT_OPTIONS=(--kill-tasks-on-exit)
        start_agent --cpus 2 --mem 1G --resources 'disk:1000'
        stop_cluster
        expect_nothing_left
        expect_objects "$BEFORE"
}

UNTIL='until [ -e stop ]; do sleep 0.05; done'
in_dev() { mete run --queue dev --cpus 0.1 --mem 32M "$@"; }
job_field() { mete inspect --json "$1" | jq -r "$2"; }
waits_with() { [ "$(mete explain --json "$1" | jq -r .reason)" = "$2" ]; }
unblock() { touch "$(job_field "$1.0" .sandbox)/stop"; }

test_1_one_job_writes_and_the_next_one_reads() {
        local before
        expect_status 0 in_dev --volume results:out -- /bin/sh -c 'echo kept >out/file; mkdir out/more && echo too >out/more/file'
        expect_equal "$(cat "$STORE/dev/results/file")" kept "the volume's file"
        expect_status 0 in_dev --volume results:some/where:ro -- /bin/sh -c 'cat some/where/file some/where/more/file; echo x 2>/dev/null >some/where/new || echo read-only'
        expect_equal "$(tr '\n' ' ' <<<"$OUT")" "kept too read-only " "what the second job saw"
        expect_status 0 in_dev -- /bin/sh -c 'ls -A'
        expect_match "$OUT" '^(std(out|err)[[:space:]]*)*$' "the sandbox of a job without volumes"
        before=$(mete volumes --json | jq -c '.[0] | [.volume_id, .role, .tasks]')
        expect_equal "$before" '["results","dev",null]' "the volume afterwards"
}

test_2_a_volume_in_use_is_waited_for() {
        local first second
        first=$(in_dev -d --volume results:v -- /bin/sh -c "echo first >>v/log; $UNTIL; echo first ends >>v/log")
        wait_state "$first.0" TASK_RUNNING
        second=$(in_dev -d --volume results:v -- /bin/sh -c 'echo second >>v/log')
        wait_until 20 waits_with "$second" VOLUME_IN_USE || fail "$(mete explain --json "$second")"
        expect_match "$(mete explain "$second")" "volume results on .* is in use by job $first"
        expect_match "$(mete queue dev)" "is in use by job $first"
        expect_status 1 mete volumes destroy "$(hostname)" results
        kill_hard master
        kill_hard agent
        start_master
        start_agent --cpus 2 --mem 1G --resources 'disk:1000'
        wait_until 20 waits_with "$second" VOLUME_IN_USE || fail "$(mete explain --json "$second")"
        expect_equal "$(mete volumes --json | jq -r '.[0].tasks[0]')" "$first.0" "who uses it"
        unblock "$first"
        wait_until 60 job_is "$second" JOB_FINISHED || fail "$(mete inspect --json "$second")"
        expect_equal "$(tr '\n' , <"$STORE/dev/results/log")" "first,first ends,second," "what they wrote, in order"
}
job_is() { [ "$(job_field "$1" .state)" = "$2" ]; }

# The tasks of one job take turns; what another queue's work needs is not kept from it.
test_3_tasks_of_a_job_take_turns() {
        local job
        job=$(in_dev -d --count 3 --volume results:v -- /bin/sh -c 'mkdir v/alone && rmdir v/alone && echo $METE_TASK_INDEX >>v/turns')
        expect_status 0 mete run --cpus 1 --mem 32M -- /bin/true
        wait_until 60 job_is "$job" JOB_FINISHED || fail "$(mete inspect --json "$job")"
        expect_equal "$(sort "$STORE/dev/results/turns" | tr '\n' ,)" "0,1,2," "who had its turn"
}

test_4_what_can_never_be_had_is_refused() {
        expect_status 1 mete run -d --volume results:v -- /bin/true
        expect_match "$ERR" "volume 'results' is of role 'dev'"
        expect_status 1 in_dev -d --volume result:v -- /bin/true
        expect_match "$ERR" "there is no volume 'result'"
        expect_status 0 mete volumes destroy "$(hostname)" results
        expect_status 1 in_dev -d --volume results:v -- /bin/true
        expect_status 0 mete unreserve "$(hostname)" dev disk=200M
}
