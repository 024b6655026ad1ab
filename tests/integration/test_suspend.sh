# shellcheck shell=bash disable=SC2034,SC2119,SC2154,SC2016
# A long task of low priority is frozen, a short one of high priority runs, the long one goes on where it stopped: seen in what it
# writes and in its CPU time. Also by hand, and over deaths of the master.

setup_file() {
        BEFORE=$(machine_objects)
        pick_ports
        start_master
        start_agent --cpus 2 --mem 2G
        expect_status 0 mete queue set default --policy priority --preemption suspend --grace 0s --min-gain 0s
}
teardown_file() {
        stop_cluster
        expect_nothing_left
        expect_objects "$BEFORE"
}

# It counts, one line a number, for as many as it is told: a line that is missing or there twice is work lost or done again.
sandbox_of() { mete inspect --json "$1" | jq -r .sandbox; }
lines_of() { wc -l <"$(sandbox_of "$1")/stdout"; }
counts() { [ "$(lines_of "$1")" -gt "${2:-5}" ]; }
suspended() { mete inspect --json "$1" | holds '.suspended == true'; }
not_suspended() { mete inspect --json "$1" | holds '.suspended != true'; }
cpu_of() { mete inspect --json "$1" | jq -r '.usage.cpu_usage_seconds // 0'; }
job_state_is() { [ "$(mete inspect --json "$1" | jq -r .state)" = "$2" ]; }
wait_job() { wait_until "${3:-60}" job_state_is "$1" "$2" || fail "job $1: expected $2, got $(mete inspect --json "$1" | jq -c '{state, pending_reason}')"; }
# Slow enough to be caught in the middle, and CPU time to be seen.
start_counting() { # start_counting [OPTION...]: prints the job's id
        mete run -d --cpus 2 --mem 64M --priority 1 --duration 1h "$@" -- /bin/bash -c \
                'i=0; while [ ! -e stop ]; do i=$((i+1)); echo $i; for ((k = 0; k < 2000; k++)); do :; done; done; echo over'
}
# Every number once, in order.
expect_no_work_lost() {
        local out
        out=$(sandbox_of "$1")/stdout
        expect_equal "$(awk '$1 == "over" { over++; next } $1 != NR { wrong = 1 } END { print wrong + 0, over }' "$out")" "0 1" "numbers out of order, and ends, in what it wrote"
}
finish() { touch "$(sandbox_of "$1")/stop"; }

test_the_long_one_makes_way_and_goes_on() {
        local long short at cpu
        long=$(start_counting)
        wait_until 20 counts "$long.0" || fail "it does not count"
        short=$(mete run -d --cpus 2 --mem 64M --priority 900 --duration 1s -- /bin/bash -c 'until [ -e stop ]; do sleep 0.05; done')
        wait_until 30 suspended "$long.0" || fail "it was not suspended: $(mete inspect --json "$short" | jq -c .pending_reason)"
        wait_state "$short.0" TASK_RUNNING
        at=$(lines_of "$long.0") cpu=$(cpu_of "$long.0")
        wait_until 10 used_a_second_interval "$short.0" # so that another report of usage came
        expect_equal "$(lines_of "$long.0")" "$at" "lines of the frozen one while the other one runs"
        expect_between "$(cpu_of "$long.0")" "$cpu" "$(awk -v c="$cpu" 'BEGIN { print c + 0.5 }')" "CPU seconds of the frozen one"
        finish "$short.0"
        wait_job "$short" JOB_FINISHED
        wait_until 30 not_suspended "$long.0" || fail "it was not resumed"
        wait_until 20 counts "$long.0" $((at + 50)) || fail "it does not go on"
        finish "$long.0"
        wait_job "$long" JOB_FINISHED
        expect_no_work_lost "$long.0"
        expect_between "$(mete inspect --json "$long.0" | jq .preemptions)" 1 1 "preemptions"
        expect_between "$(mete inspect --json "$long.0" | jq .suspended_seconds)" 0.05 600 "seconds suspended"
}
used_a_second_interval() { mete inspect --json "$1" | holds '.usage.timestamp - .started > 1.5'; }

test_the_master_dies_in_every_phase_of_it() {
        local long short
        long=$(start_counting)
        wait_until 20 counts "$long.0" || fail "it does not count"
        short=$(mete run -d --cpus 2 --mem 64M --priority 900 --duration 1s -- /bin/bash -c 'until [ -e stop ]; do sleep 0.05; done')
        kill_hard master
        start_master
        wait_until 30 agent_active
        wait_until 30 suspended "$long.0" || fail "it was not suspended"
        wait_state "$short.0" TASK_RUNNING
        kill_hard master
        start_master
        wait_until 30 agent_active
        suspended "$long.0" || fail "it is not suspended any more"
        expect_equal "$(mete agents --json | jq '.[0].cpus_used')" 2 "booked cores"
        finish "$short.0"
        wait_job "$short" JOB_FINISHED
        kill_hard master
        start_master
        wait_until 30 agent_active
        wait_until 30 not_suspended "$long.0" || fail "it was not resumed"
        finish "$long.0"
        wait_job "$long" JOB_FINISHED
        expect_no_work_lost "$long.0"
        wait_until 10 nothing_booked || fail "booked: $(mete agents --json | jq -c '.[0] | {cpus_used, memory_used_bytes}')"
}
nothing_booked() { mete agents --json | holds '.[0] | .cpus_used == 0 and .memory_used_bytes == 0'; }

test_by_hand() {
        local long other
        long=$(start_counting)
        wait_until 20 counts "$long.0" || fail "it does not count"
        expect_status 0 mete suspend "$long"
        wait_until 20 suspended "$long.0" || fail "it was not suspended"
        expect_status 0 mete explain "$long"
        expect_match "$OUT" '1 of its tasks is suspended until'
        other=$(mete run -d --cpus 2 --mem 64M -- /bin/true)
        wait_job "$other" JOB_FINISHED # its CPU is free for others meanwhile
        suspended "$long.0" || fail "the queue resumed what its owner suspended"
        expect_status 0 mete resume "$long"
        wait_until 20 not_suspended "$long.0" || fail "it was not resumed"
        expect_status 0 mete suspend "$long.0"
        wait_until 20 suspended "$long.0" || fail "it was not suspended again"
        expect_status 0 mete kill "$long" # thaws
        wait_job "$long" JOB_KILLED
        wait_until 10 nothing_booked || fail "booked: $(mete agents --json | jq -c '.[0] | {cpus_used, memory_used_bytes}')"
}
