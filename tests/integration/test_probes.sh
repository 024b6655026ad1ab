# shellcheck shell=bash disable=SC2034,SC2119,SC2154,SC2016,SC2012
# Probe CPU time against the kernel's own accounting, and counting while the agent is dead.

setup_file() {
        BEFORE=$(machine_objects)
        start_cluster
}
teardown_file() {
        stop_cluster
        expect_nothing_left
        expect_objects "$BEFORE"
}

# expect_parity NAME ARGS...: the payload's work, then both figures within 0.1 %.
expect_parity() {
        local name=$1 task probe kernel
        shift
        expect_status 0 mete run --name "$name" --cpus 1 --mem 64M -- "$PAYLOAD" "$@"
        task=$(mete jobs -a --json | jq -r --arg n "$name" '.[] | select(.spec.name == $n) | .job_id').0
        expect_equal "$(stat_of "$task" source)" ebpf source
        probe=$(stat_of "$task" cpu_usage_seconds)
        kernel=$(stat_of "$task" cpu_kernel_seconds)
        echo "$name: probes $probe s, kernel $kernel s"
        awk -v p="$probe" -v k="$kernel" 'BEGIN { d = (p - k) / k; exit !(k > 0.5 && d < 0.001 && d > -0.001) }' || fail "$name: probes say $probe s, the kernel $kernel s"
        expect_between "$(stat_of "$task" runqueue_wait_seconds)" 0 1000 runqueue_wait_seconds
}
test_parity_for_a_spinner() { expect_parity spinner spin 10; }
test_parity_for_1ms_on_off() { expect_parity duty duty 1000 1000 10; }
test_parity_for_fork_heavy_work() { expect_parity forks forks 10; }

# The probes are pinned: five seconds without an agent are counted all the same.
test_counting_goes_on_without_an_agent() {
        AGENT_OPTIONS=(--kill-tasks-on-exit)
        local job task before after
        job=$(mete run -d --cpus 1 --mem 64M -- "$PAYLOAD" spin 600)
        task=$job.0
        wait_state "$task" TASK_RUNNING
        wait_until 20 usage_above "$task" 0.5
        kill_agent
        before=$(stat_of "$task" cpu_usage_seconds)
        sleep 5 # the time under test, not a synchronisation
        start_agent
        wait_until 20 usage_above "$task" "$before"
        local kernel
        # Both of one sample: the next one is a second later.
        read -r after kernel < <(mete stats --json "$task" | jq -r '.[0] | "\(.cpu_usage_seconds) \(.cpu_kernel_seconds)"')
        # The spinner has a core to itself at most; a busy machine gives it less: the kernel's figure is the judge.
        awk -v a="$after" -v b="$before" 'BEGIN { exit !(a - b > 1) }' || fail "counted only $before -> $after over 5 s without an agent"
        awk -v p="$after" -v k="$kernel" 'BEGIN { d = p - k; exit !(d < 0.02 * k && d > -0.02 * k) }' || fail "probes $after s, kernel $kernel s after the gap"
        expect_equal "$(stat_of "$task" source)" ebpf source
        expect_status 0 mete kill --grace 0 "$job"
        wait_state "$task" TASK_KILLED
        probe=$(stat_of "$task" cpu_usage_seconds)
        kernel=$(stat_of "$task" cpu_kernel_seconds)
        awk -v p="$probe" -v k="$kernel" 'BEGIN { d = (p - k) / k; exit !(d < 0.001 && d > -0.001) }' || fail "at the end: probes $probe s, kernel $kernel s"
}
usage_above() { awk -v v="$(stat_of "$1" cpu_usage_seconds)" -v l="$2" 'BEGIN { exit !(v > l) }'; }

# Without BPF the agent says so in one line and reads cgroup files under the same names.
test_without_ebpf_the_files_serve() {
        stop agent 30
        wait_until 20 agent_inactive
        start_agent --no-ebpf
        expect_equal "$(grep -c 'measuring from cgroup files' "$SCRATCH/agent.log")" 1 "lines about it"
        expect_status 0 mete run --name files --cpus 1 --mem 64M -- "$PAYLOAD" spin 2
        local task
        task=$(mete jobs -a --json | jq -r '.[] | select(.spec.name == "files") | .job_id').0
        expect_equal "$(stat_of "$task" source)" cgroup source
        expect_between "$(stat_of "$task" cpu_usage_seconds)" 0.5 2.2 cpu_usage_seconds
}
