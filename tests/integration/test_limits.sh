# shellcheck shell=bash disable=SC2034,SC2119,SC2154,SC2016,SC2012
# The hard partition: CPU, memory and processes, as the kernel and the probes see it.

setup_file() {
        BEFORE=$(machine_objects)
        start_cluster
}
teardown_file() {
        stop_cluster
        expect_nothing_left
        expect_objects "$BEFORE"
}

# A busy loop under --cpus 0.2 gets a fifth of a core over 5 s: by the kernel's accounting and by the probes alike. Both figures
# and the moment they were read come from one sample, so that neither start-up nor the sampling interval counts.
sampled_later_than() { awk -v t="$(stat_of "$1" timestamp)" -v from="$2" 'BEGIN { exit !(t != "" && t >= from) }'; }
cores_between() { jq -s --arg f "$1" '(.[1][0][$f] - .[0][0][$f]) / (.[1][0].timestamp - .[0][0].timestamp)' "$SCRATCH/first" "$SCRATCH/second"; }
test_cpu_quota_holds() {
        local job task begin
        job=$(mete run -d --name quota --cpus 0.2 --mem 32M -- "$PAYLOAD" spin 600)
        task=$job.0
        wait_state "$task" TASK_RUNNING
        begin=$(date +%s)
        wait_until 20 sampled_later_than "$task" $((begin + 2)) || fail "no sample"
        mete stats --json "$task" >"$SCRATCH/first"
        begin=$(jq '.[0].timestamp + 5' "$SCRATCH/first")
        wait_until 20 sampled_later_than "$task" "$begin" || fail "no second sample"
        mete stats --json "$task" >"$SCRATCH/second"
        expect_between "$(cores_between cpu_kernel_seconds)" 0.19 0.21 "cores by the kernel's accounting"
        expect_between "$(cores_between cpu_usage_seconds)" 0.19 0.21 "cores by cpu_usage_seconds"
        expect_equal "$(stat_of "$task" cpu_limit_cores)" 0.2 cpu_limit_cores
        expect_between "$(cores_between cpu_throttled_seconds)" 0.2 1 "throttled seconds per second"
        expect_equal "$(stat_of "$task" source)" ebpf source
        expect_status 0 mete kill --grace 0 "$job"
        wait_state "$task" TASK_KILLED
}

# Overrunning the memory limit: killed, and the status names memory, the cgroup, the limit and the peak.
test_memory_limit_kills_and_says_so() {
        expect_status 137 mete run --name hog --cpus 1 --mem 64M -- "$PAYLOAD" eat 200000000
        expect_match "$ERR" "memory limit reached: cgroup " "the sentence on stderr"
        expect_match "$ERR" "$CGROUP_ROOT" "the sentence on stderr"
        expect_match "$ERR" "64(\.0)? ?MiB|67108864" "the sentence on stderr"
        expect_match "$ERR" "peak" "the sentence on stderr"
        local task
        task=$(mete jobs -a --json | jq -r '.[] | select(.spec.name == "hog") | .job_id').0
        expect_equal "$(stat_of "$task" exit_code)" 137 exit_code
        expect_equal "$(stat_of "$task" reason)" REASON_CONTAINER_LIMITATION_MEMORY reason
        expect_between "$(stat_of "$task" memory_peak_bytes)" 60000000 67108864 memory_peak_bytes
        expect_equal "$(stat_of "$task" memory_limit_bytes)" 67108864 memory_limit_bytes
        expect_equal "$(stat_of "$task" state)" TASK_FAILED state
}

# The smallest limit that is accepted: whatever happens, it ends in order and says what was too small.
test_smallest_memory_limit() {
        local status=0
        mete run --cpus 1 --mem 4M -- "$PAYLOAD" eat 50000000 >"$SCRATCH/out" 2>"$SCRATCH/err" || status=$?
        expect_equal $status 137 "exit status"
        expect_match "$(cat "$SCRATCH/err")" "memory limit reached.*4.0 MiB" "the sentence on stderr"
}

# Files in the private /tmp are memory too.
test_memory_limit_counts_tmpfs() {
        expect_status 137 mete run --cpus 1 --mem 64M -- /bin/sh -c 'head -c 200000000 /dev/zero >/tmp/x'
        expect_match "$ERR" "memory.*peak" "the sentence on stderr"
}

test_memory_request_below_limit() {
        expect_status 0 mete run --name soft --cpus 0.5 --mem 32M --mem-limit 128M --cpus-limit 1 -- "$PAYLOAD" eat 80000000
        local task
        task=$(mete jobs -a --json | jq -r '.[] | select(.spec.name == "soft") | .job_id').0
        expect_equal "$(stat_of "$task" memory_limit_bytes)" 134217728 memory_limit_bytes
        expect_equal "$(stat_of "$task" cpu_limit_cores)" 1 cpu_limit_cores
}

fork_bomb_full() { [ "$(stat_of "$1" pids)" -ge 60 ]; }
# A fork bomb stops at its limit and dies whole.
test_fork_bomb_stops_and_dies() {
        local job task cgroup
        job=$(mete run -d --name bomb --cpus 0.5 --mem 64M --pids 64 -- "$PAYLOAD" forkbomb)
        task=$job.0
        wait_state "$task" TASK_RUNNING
        wait_until 20 fork_bomb_full "$task" || fail "the bomb did not grow: $(stat_of "$task" pids) processes"
        expect_between "$(stat_of "$task" pids)" 60 65 "processes of the bomb"
        cgroup=$(find /sys/fs/cgroup -type d -path "*$CGROUP_ROOT/containers/*" | head -1)
        [ -n "$cgroup" ] || fail "no cgroup of the task found"
        expect_status 0 mete kill --grace 0 "$job"
        wait_state "$task" TASK_KILLED
        wait_until 10 test ! -d "$cgroup" || fail "the cgroup outlived the kill: $cgroup"
        expect_match "$(mete logs "$task")" "errno 11" "what the bomb saw" # EAGAIN
}
