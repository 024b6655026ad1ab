# shellcheck shell=bash disable=SC2034,SC2119,SC2154,SC2016
# Freezing and thawing tasks as the agent does it, with nothing above it but a master that sends commands: no work is lost, a kill works,
# checks wait, and the agent may die at any moment of it.

setup_file() {
        BEFORE=$(machine_objects)
        AGENT_OPTIONS=()
        start_bare_cluster
}
teardown_file() {
        AGENT_OPTIONS=(--kill-tasks-on-exit)
        stop agent 30
        launch_agent
        wait_until 30 grep -q '"call": "SUBSCRIBE"' "$CALLS" || fail "the agent did not come back"
        stop agent 30
        stop master 10
        expect_nothing_left
        expect_objects "$BEFORE"
}

counting() { launch_task "$1" 'i=0; while :; do i=$((i+1)); echo $i >count.new; mv count.new count; done' "${2:-}"; }
count_of() { cat "$(sandbox_of_task "$1")/count"; }
counts() { [ -s "$(sandbox_of_task "$1")/count" ]; }
cgroup_of() { # cgroup_of TASK FILE: of the v2 tree
        local container
        container=$(basename "$(sandbox_of_task "$1")")
        find /sys/fs/cgroup -path "*$CGROUP_ROOT/containers/$container/$2" 2>/dev/null | head -1
}
is_frozen() { grep -q 'frozen 1' "$(cgroup_of "$1" cgroup.events)"; }
not_frozen() { grep -q 'frozen 0' "$(cgroup_of "$1" cgroup.events)"; }
suspend() { command_of_master "{\"suspend\":{\"framework_id\":{\"value\":\"f\"},\"task_id\":{\"value\":\"$1\"},\"suspended\":$2,\"sequence\":$3}}"; }
answered() { # answered TASK SEQUENCE FILTER: the last SUSPENDED of it
        jq -es --arg t "$1" --argjson n "$2" "[.[] | select(.call == \"SUSPENDED\") | .suspended | select(.task_id.value == \$t and .sequence == \$n)] | last | . != null and ($3)" "$CALLS"
}
wait_answer() { wait_until 20 answered "$@" || fail "no such SUSPENDED of $1, sequence $2: $3: $(grep SUSPENDED "$CALLS" | tail -2)"; }
reported() { jq -es --arg t "$1" "[.[] | select(.call == \"SUBSCRIBE\")] | last | .subscribe.tasks[]? | select(.task.task_id.value == \$t) | ($2)" "$CALLS"; }
stands_still() { # stands_still TASK: its count does not change while the other one's does
        local before other
        before=$(count_of "$1") other=$(count_of witness)
        wait_until 10 witness_advanced "$other" || fail "the witness does not run"
        expect_equal "$(count_of "$1")" "$before" "count of $1, frozen"
}
witness_advanced() { [ "$(count_of witness)" -gt $(($1 + 20)) ]; }

test_frozen_and_thawed_without_loss() {
        local at pid
        counting witness
        counting long
        wait_until 20 counts witness && wait_until 20 counts long || fail "the tasks do not count"
        suspend long true 1
        wait_answer long 1 '.suspended and .error == null and .usage.cpu_usage_seconds > 0'
        is_frozen long || fail "the kernel says otherwise"
        stands_still long
        at=$(count_of long)
        suspend long false 2
        wait_answer long 2 '.suspended == false and .error == null'
        wait_until 10 goes_on long "$at" || fail "it does not go on"
        expect_equal "$(jq -es '[.[] | select(.call == "UPDATE" and .update.status.task_id.value == "long")] | last | .update.status.state' "$CALLS")" 1 "state"
}
goes_on() { [ "$(count_of "$1")" -gt "$2" ]; }

test_repeated_and_stale_commands() {
        suspend long true 5
        wait_answer long 5 .suspended
        : >"$CALLS"
        suspend long true 5
        wait_answer long 5 '.suspended and .error == null'
        suspend long false 4
        wait_answer long 4 '.suspended and (.error | test("older than the 5"))'
        is_frozen long || fail "a stale command thawed it"
        suspend nobody true 1
        wait_answer nobody 1 '.suspended == false and (.error | test("no such task"))'
}

test_a_restart_keeps_it_frozen() {
        is_frozen long || fail "not frozen before"
        : >"$CALLS"
        kill_hard agent
        is_frozen long || fail "it ran when the agent died"
        start_bare_agent
        reported long '.suspended == true and .suspend_sequence == 5' || fail "the registration does not say it: $(grep SUBSCRIBE "$CALLS")"
        stands_still long
        suspend long true 5
        wait_answer long 5 '.suspended and .error == null'
        suspend long false 6
        wait_answer long 6 '.suspended == false'
        not_frozen long || fail "it is still frozen"
}

# What a death between record and kernel leaves: the record is carried out by the next agent, in both directions.
test_the_record_wins_over_a_half_done_step() {
        suspend long true 7
        wait_answer long 7 .suspended
        kill_hard agent
        echo 0 >"$(cgroup_of long cgroup.freeze)"
        start_bare_agent
        wait_until 10 is_frozen long || fail "the record was not carried out"
        suspend long false 8
        wait_answer long 8 '.suspended == false'
        kill_hard agent
        echo 1 >"$(cgroup_of long cgroup.freeze)"
        start_bare_agent
        wait_until 10 not_frozen long || fail "it stays frozen, and nobody wants that"
}

test_before_it_runs_it_is_frozen_as_soon_as_it_does() {
        local BATCH=$SCRATCH/batch
        launch_task early 'i=0; while :; do i=$((i+1)); echo $i >count; done'
        suspend early true 1
        send_batch "$BATCH"
        wait_answer early 1 '.suspended and .error == null'
        is_frozen early || fail "answered, but it runs"
        BATCH='' kill_task early 0
        wait_update early '.status.state == 4'
}

test_a_kill_thaws_and_the_task_can_clean_up() {
        launch_task clean 'trap "echo bye >left; exit 0" TERM; echo 1 >count; while :; do sleep 0.02; done'
        wait_until 20 counts clean || fail "it does not run"
        suspend clean true 1
        wait_answer clean 1 .suspended
        kill_task clean 20
        wait_update clean '.status.state == 4'
        expect_equal "$(cat "$(sandbox_of_task clean)/left")" bye "what it wrote on SIGTERM"
}

test_a_kill_without_grace_ends_a_frozen_task() {
        counting hard
        wait_until 20 counts hard || fail "it does not run"
        suspend hard true 1
        wait_answer hard 1 .suspended
        kill_task hard 0
        wait_update hard '.status.state == 4'
        suspend hard true 2
        wait_answer hard 2 '.suspended == false and .error != null'
}

# Frozen for longer than it may run, and for many intervals of a check of which two failures in a row end it.
test_checks_wait_and_do_not_fail() {
        local limit=$((3 + SLOW)) tenths=$((3 * SLOW)) health
        health='"type":1,"delay_seconds":0,"interval_seconds":0.2,"consecutive_failures":2,"grace_period_seconds":0,"command":{"value":"true"}'
        health+=",\"timeout_seconds\":$((tenths / 10)).$((tenths % 10))"
        launch_task checked 'i=0; while :; do i=$((i+1)); echo $i >count; sleep 0.02; done' \
                "\"health_check\":{$health},\"max_completion_time\":{\"nanoseconds\":${limit}000000000},"
        wait_update checked '.status.healthy == true'
        suspend checked true 1
        wait_answer checked 1 .suspended
        witness_for_seconds $((limit + 1))
        is_frozen checked || fail "it is not frozen any more"
        suspend checked false 2
        wait_answer checked 2 '.suspended == false'
        ! update_of checked '.status.healthy == false' || fail "frozen time counted as ill health"
        ! update_of checked '.status.state >= 2' || fail "frozen time counted for its completion"
        wait_update checked '.status.state == 3' # its own time is over then
}
# No event says that nothing happens: the time of the checks must pass.
witness_for_seconds() { timeout "$1" tail -f /dev/null || true; }

test_usage_goes_on() {
        suspend long true 20
        wait_answer long 20 .suspended
        : >"$CALLS"
        wait_until 10 jq -es 'any(.[]; .call == "USAGE" and any(.usage.rows[]; .task_id.value == "long"))' "$CALLS" || fail "no usage of a frozen task"
        suspend long false 21
        wait_answer long 21 '.suspended == false'
        kill_task long 0
        kill_task witness 0
        wait_update long '.status.state == 4'
        wait_update witness '.status.state == 4'
}
