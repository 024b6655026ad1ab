# shellcheck shell=bash disable=SC2034,SC2119,SC2154,SC2016
# Cores that a task has to itself: nobody else of the agent runs on them, from before it starts until after its end, also over a death of the
# agent. On two cores, below a master that only speaks.

setup_file() {
        BEFORE=$(machine_objects)
        AGENT_OPTIONS=(--resources 'cores:[0-1]' --cpus 2)
        start_bare_cluster
}
teardown_file() {
        AGENT_OPTIONS+=(--kill-tasks-on-exit)
        stop agent 30
        start_bare_agent
        stop agent 30
        stop master 10
        expect_nothing_left
        expect_objects "$BEFORE"
}
cores() { jq -cn --argjson first "$1" --argjson last "$2" '{name: "cores", type: 1, ranges: {range: [{begin: $first, end: $last}]}}'; }
WAITING='echo 1 >started; while :; do sleep 0.05; done'
start_task() { # start_task ID [RESOURCES]
        launch_task "$1" "$WAITING" '' "${2:+$2,}"
        wait_until 20 started "$1" || fail "$1 does not run: $(grep UPDATE "$CALLS" | grep -F "\"$1\"" | tail -1)"
}
started() { [ -s "$(sandbox_of_task "$1")/started" ]; }
pids_of() { cat "$(find /sys/fs/cgroup -path "*$CGROUP_ROOT/containers/$(basename "$(sandbox_of_task "$1")")/cgroup.procs" 2>/dev/null | head -1)"; }
cpus_of() { # of every process of the task, one line each that differs
        local pid
        for pid in $(pids_of "$1"); do sed -n 's/^Cpus_allowed_list:\t//p' "/proc/$pid/status" 2>/dev/null; done | sort -u
}
runs_on() { [ "$(cpus_of "$1")" = "$2" ]; }
wait_cpus() { wait_until 10 runs_on "$1" "$2" || fail "$1 runs on $(cpus_of "$1" | tr '\n' ' '), not on $2"; }
quota_of() { cat "$(find /sys/fs/cgroup -path "*$CGROUP_ROOT/containers/$(basename "$(sandbox_of_task "$1")")/$2" 2>/dev/null | head -1)" 2>/dev/null; }
refused_task() { # refused_task ID PATTERN RESOURCES
        launch_task "$1" true '' "${3:+$3,}"
        wait_update "$1" "(.status.state == 3 or .status.state == 7) and (.status.message | test(\"$2\"))"
}
end_task() {
        kill_task "$1" 0
        wait_update "$1" '.status.state == 4'
}

test_they_are_offered() {
        jq -es '[.[] | select(.call == "SUBSCRIBE")] | last | .subscribe.agent_info.resources | any(.name == "cores")' "$CALLS" >/dev/null || fail "not offered"
        expect_match "$(mete-agent --doctor --json | jq -r '.[].isolation')" 'cores' "rows of --doctor"
        expect_status 1 timeout 20 mete-agent --resources 'cores:[0-900]' --cpus 1000
        expect_match "$ERR" 'there is no core [0-9]+ here' "a core that is not there"
        expect_status 1 timeout 20 mete-agent --resources 'cores:[0-1]' --cpus 1
        expect_match "$ERR" '2 cores are more than --cpus 1' "more cores than cpus"
}

test_nobody_else_runs_there() {
        start_task share
        wait_cpus share 0-1
        LAUNCH_CPUS=1 start_task own "$(cores 1 1)"
        wait_cpus own 1
        wait_cpus share 0
        start_task later
        wait_cpus later 0
        # All of its own: nothing to throttle it by.
        expect_match "$(quota_of own cpu.max)$(quota_of own cpu.cfs_quota_us)" '^(max|-1)' "quota of the one"
        expect_match "$(quota_of share cpu.max)$(quota_of share cpu.cfs_quota_us)" '^30000' "quota of the other"
}

test_what_is_refused() {
        LAUNCH_CPUS=1 refused_task taken 'of 1 some are container' "$(cores 1 1)"
        LAUNCH_CPUS=1 refused_task last 'would leave no core' "$(cores 0 0)"
        refused_task few 'give as many cpus' "$(cores 0 0)"
        LAUNCH_CPUS=1 refused_task missing 'not all are there|give a range' "$(cores 4000 4000)"
        wait_cpus own 1
        wait_cpus share 0
}

test_a_death_of_the_agent_changes_nothing() {
        kill_hard agent
        wait_cpus own 1
        start_bare_agent
        wait_cpus own 1
        wait_cpus share 0
        start_task after
        wait_cpus after 0
        LAUNCH_CPUS=1 refused_task taken2 'of 1 some are container' "$(cores 1 1)"
}

test_the_others_get_them_back() {
        end_task own
        wait_cpus share 0-1
        wait_cpus after 0-1
        LAUNCH_CPUS=1 start_task again "$(cores 0 0)"
        wait_cpus again 0
        wait_cpus share 1
        kill_hard agent
        end_while_away "$(pids_of again | head -1)"
        start_bare_agent
        wait_cpus share 0-1
        end_task share
        end_task after
        end_task later
}
end_while_away() {
        kill -KILL "$1"
        wait_until 10 [ ! -d "/proc/$1" ] || fail "process $1 does not end"
}

test_all_cores_of_one() {
        LAUNCH_CPUS=2 start_task whole "$(cores 0 1)"
        wait_cpus whole 0-1
        refused_task nothing_left 'none is left to share'
        end_task whole
        start_task free
        wait_cpus free 0-1
        end_task free
}
