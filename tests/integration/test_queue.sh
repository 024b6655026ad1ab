# shellcheck shell=bash disable=SC2034,SC2119,SC2154,SC2016
# Jobs on real tasks: the order of policies, backfill, dependencies, arrays, retries, services, time limits, ports, gangs; the master
# dies in the middle.

setup_file() {
        BEFORE=$(machine_objects)
        pick_ports
        start_master
        start_agent --cpus 2 --mem 2G --resources 'ports:[31000-31009]'
}
teardown_file() {
        stop_cluster
        expect_nothing_left
        expect_objects "$BEFORE"
}

UNTIL='until [ -e stop ]; do sleep 0.05; done'
job_field() { mete inspect --json "$1" | jq -r "$2"; }
job_state_is() { [ "$(job_field "$1" .state)" = "$2" ]; }
wait_job() { wait_until "${3:-60}" job_state_is "$1" "$2" || fail "job $1: expected $2, got $(mete inspect --json "$1" | jq -c '{state, pending_reason, tasks}')"; }
blocker() { mete run -d --name blocker-$RANDOM --cpus 2 --mem 64M --priority 999 --duration 1h -- /bin/sh -c "$UNTIL"; }
unblock() { touch "$(job_field "$1.0" .sandbox)/stop"; }
queue_of() { expect_status 0 mete queue set default "$@"; }
started_in_order() { # started_in_order JOB...
        local job at last=0
        for job in "$@"; do
                at=$(job_field "$job.0" .started)
                awk -v a="$last" -v b="$at" 'BEGIN { exit !(b != "null" && b > a) }' || fail "job $job started at $at, the one before at $last"
                last=$at
        done
}
wait_jobs() { local job; for job in "$@"; do wait_job "$job" JOB_FINISHED; done; }
quick() { mete run -d --cpus 2 --mem 64M "$@" -- /bin/true; }

test_policies_decide_on_order() {
        local first a b c
        queue_of --policy fifo
        first=$(blocker)
        wait_state "$first.0" TASK_RUNNING
        a=$(quick --duration 30s --priority 1) b=$(quick --duration 10s --priority 2) c=$(quick --duration 20s --priority 3)
        unblock "$first"
        wait_jobs "$a" "$b" "$c"
        started_in_order "$first" "$a" "$b" "$c"
        queue_of --policy sjf
        first=$(blocker)
        wait_state "$first.0" TASK_RUNNING
        a=$(quick --name longest --duration 30s) b=$(quick --name shortest --duration 10s) c=$(quick --name middle --duration 20s)
        unblock "$first"
        wait_jobs "$a" "$b" "$c"
        started_in_order "$first" "$b" "$c" "$a"
        queue_of --policy priority
        first=$(blocker)
        wait_state "$first.0" TASK_RUNNING
        a=$(quick --priority 1) b=$(quick --priority 3) c=$(quick --priority 2)
        kill_hard master # in the middle of it
        start_master
        wait_until 30 agent_active
        unblock "$first"
        wait_jobs "$a" "$b" "$c"
        started_in_order "$first" "$b" "$c" "$a"
        queue_of --policy fifo
}

# The head needs the whole machine; what is short enough runs before it, what is not does not.
test_backfill() {
        local running head long short
        running=$(mete run -d --name holder-$RANDOM --cpus 1 --mem 64M --duration 1h -- /bin/sh -c "$UNTIL")
        wait_state "$running.0" TASK_RUNNING
        head=$(mete run -d --cpus 2 --mem 64M --duration 10s -- /bin/true)
        long=$(mete run -d --cpus 1 --mem 64M --duration 10h -- /bin/true)
        short=$(mete run -d --cpus 1 --mem 64M --duration 10s -- /bin/true)
        wait_job "$short" JOB_FINISHED
        job_state_is "$head" JOB_QUEUED || fail "the head cannot have started"
        job_state_is "$long" JOB_QUEUED || fail "one that lasts longer than the head's reservation was let before it"
        unblock "$running"
        wait_jobs "$head" "$long"
        started_in_order "$short" "$head" "$long"
}

test_dependencies() {
        local first second never
        first=$(mete run -d --cpus 0.1 --mem 32M -- /bin/sh -c "$UNTIL")
        second=$(mete run -d --cpus 0.1 --mem 32M --after "$first" -- /bin/true)
        never=$(mete run -d --cpus 0.1 --mem 32M --after "$first:failed" -- /bin/true)
        wait_state "$first.0" TASK_RUNNING
        expect_match "$(job_field "$second" .pending_reason)" "$first"
        kill_hard master
        start_master
        wait_until 30 agent_active
        unblock "$first"
        wait_job "$second" JOB_FINISHED
        wait_job "$never" JOB_FAILED
        expect_match "$(job_field "$never" '.tasks[0].message')" "job $first, for which it waits, finished"
}

test_arrays_see_their_index() {
        local job
        job=$(mete run -d --cpus 0.1 --mem 32M --array 5-11:3 -- /bin/sh -c 'echo $METE_ARRAY_INDEX $METE_TASK_INDEX $METE_TASK_COUNT $METE_JOB_ID')
        wait_job "$job" JOB_FINISHED
        expect_equal "$(for i in 0 1 2; do cat "$(job_field "$job.$i" .sandbox)/stdout"; done | tr '\n' ,)" "5 0 3 $job,8 1 3 $job,11 2 3 $job," "what the tasks saw"
}

test_retries_and_services() {
        local job
        job=$(mete run -d --cpus 0.1 --mem 32M --restart on-failure:1 -- /bin/sh -c 'exit 3')
        wait_job "$job" JOB_FAILED
        expect_equal "$(job_field "$job.0" .attempts)" 2 "attempts"
        expect_equal "$(job_field "$job.0" .exit_code)" 3 "exit code"
        job=$(mete run -d --cpus 0.1 --mem 32M --restart always -- /bin/true)
        wait_until 30 attempts_at_least "$job.0" 3 || fail "the service was not started again: $(mete inspect --json "$job")"
        job_state_is "$job" JOB_RUNNING || fail "a service is $(job_field "$job" .state)"
        expect_status 0 mete kill "$job"
        wait_job "$job" JOB_KILLED
}
attempts_at_least() { [ "$(job_field "$1" .attempts)" -ge "$2" ]; }

test_time_limit() {
        local job
        job=$(mete run -d --cpus 0.1 --mem 32M --time-limit 1s -- /bin/sh -c "$UNTIL")
        wait_job "$job" JOB_FAILED
        expect_equal "$(job_field "$job.0" .message)" "time limit of 1.0s reached" "message"
        expect_between "$(job_field "$job.0" '.finished - .started')" 0.9 30 "run time"
}

test_ports_are_given_once() {
        local job
        job=$(mete run -d --cpus 0.1 --mem 32M --count 2 --ports 2 -- /bin/sh -c "echo \$PORT0 \$PORT1; $UNTIL")
        wait_state "$job.0" TASK_RUNNING
        wait_state "$job.1" TASK_RUNNING
        expect_equal "$(job_field "$job" '[.tasks[].ports[]] | unique | length')" 4 "different ports"
        expect_equal "$(tr -d '\n' <"$(job_field "$job.0" .sandbox)/stdout")" "$(job_field "$job.0" '.ports | join(" ")')" "PORT0 PORT1"
        kill_hard master
        start_master
        wait_until 30 agent_active
        expect_equal "$(job_field "$job" '[.tasks[].ports[]] | unique | length')" 4 "different ports, after a restart"
        unblock "$job"
        touch "$(job_field "$job.1" .sandbox)/stop"
        wait_job "$job" JOB_FINISHED
}

test_a_gang_starts_together() {
        local running gang
        running=$(mete run -d --name holder-$RANDOM --cpus 1 --mem 64M --duration 1h -- /bin/sh -c "$UNTIL")
        wait_state "$running.0" TASK_RUNNING
        gang=$(mete run -d --cpus 1 --mem 64M --count 2 --gang -- /bin/sh -c "$UNTIL")
        quick=$(mete run -d --cpus 1 --mem 64M --duration 1s -- /bin/true)
        wait_job "$quick" JOB_FINISHED
        job_state_is "$gang" JOB_QUEUED || fail "a part of the gang started"
        unblock "$running"
        wait_state "$gang.0" TASK_RUNNING
        wait_state "$gang.1" TASK_RUNNING
        expect_status 0 mete kill "$gang"
        wait_job "$gang" JOB_KILLED
}

test_queues_are_apart() {
        local job
        expect_status 0 mete queue set night --policy sjf
        job=$(mete run -d --cpus 0.1 --mem 32M --queue night -- /bin/true)
        wait_job "$job" JOB_FINISHED
        expect_status 1 mete run -d --queue day -- /bin/true
        expect_match "$ERR" "there is no queue 'day'"
        expect_status 0 mete queue remove night
}

# The first job of one queue waits for the whole machine, of which a half is free: that is kept for it for some seconds only.
test_what_one_queue_waits_for_is_not_kept_from_others() {
        local running head other
        expect_status 0 mete queue set night
        running=$(mete run -d --name holder-$RANDOM --cpus 1 --mem 64M --duration 1h -- /bin/sh -c "$UNTIL")
        wait_state "$running.0" TASK_RUNNING
        head=$(mete run -d --cpus 2 --mem 64M -- /bin/true)
        other=$(mete run -d --queue night --cpus 1 --mem 32M -- /bin/true)
        wait_job "$other" JOB_FINISHED
        job_state_is "$head" JOB_QUEUED || fail "the head cannot have started"
        unblock "$running"
        wait_job "$head" JOB_FINISHED
        expect_status 0 mete queue remove night
}
