# shellcheck shell=bash disable=SC2034,SC2119,SC2120
# Executors of a framework's own: several tasks in one container, with a scheduler that speaks the API over HTTP.

# shellcheck source=tests/integration/framework.sh
. "$(dirname "${BASH_SOURCE[0]}")/framework.sh"
AGENT_OPTIONS=(--kill-tasks-on-exit --executor-shutdown-grace-period 1s --executor-registration-timeout "$((20 * SLOW))s"
        --executor-environment-variables '{"FROM_OPTION":"yes","MESOS_CHECKPOINT":"no"}')

setup_file() {
        start_cluster
        start_framework
}
teardown_file() {
        stop_framework
        stop_cluster
        expect_nothing_left
}

launches() { grep -c "^launch $2\$" "$(sandbox "$1")/log"; }
container() { basename "$(readlink "$(sandbox "$1")")"; }
memory_limit() { cat /sys/fs/cgroup/"$CGROUP_ROOT/containers/$(container "$1")"/memory.max /sys/fs/cgroup/memory/"$CGROUP_ROOT/containers/$(container "$1")"/memory.limit_in_bytes 2>/dev/null; }
limit_is() { [ "$(memory_limit "$1")" = $(($2 << 20)) ]; }
executor_gone() { event ".type == \"FAILURE\" and .failure.executor_id.value == \"$1\""; }
end_executor() {
        call "{\"type\":\"SHUTDOWN\",\"shutdown\":{\"agent_id\":\"AGENT\",\"executor_id\":{\"value\":\"$1\"}}}"
        wait_until 20 executor_gone "$1" || fail "executor $1 did not end: $(tail -5 "$SCRATCH/agent.log")"
}

test_several_tasks_in_one_container_that_grows_and_shrinks() {
        local x
        x=$(executor grow)
        launch "$(task g1 stay "$x"),$(task g2 stay "$x" 100)"
        wait_update g1 RUNNING
        wait_update g2 RUNNING
        wait_until 5 limit_is grow $((64 + 32 + 100)) || fail "limit with two tasks: $(memory_limit grow)"
        launch "$(task g3 stay "$x" 200)"
        wait_update g3 RUNNING
        limit_is grow $((64 + 32 + 100 + 200)) || fail "limit with three tasks: $(memory_limit grow)"
        expect_equal "$(status_of g1 RUNNING | jq -r .container_status.container_id.value)" "$(status_of g3 RUNNING | jq -r .container_status.container_id.value)" "container"
        expect_equal "$(status_of g1 RUNNING | jq -r '.source + " " + .executor_id.value')" "SOURCE_EXECUTOR grow"
        # What is in use is not taken away, and nothing is killed for it.
        message grow "eat 250"
        wait_until 20 uses grow 260000000 || fail "the executor does not eat"
        message grow "finish g3"
        wait_update g3 FINISHED
        wait_until 5 shrunk_a_bit || fail "limit while memory is in use: $(memory_limit grow)"
        message grow "free"
        wait_until 20 limit_is grow $((64 + 32 + 100)) || fail "limit after the end: $(memory_limit grow)"
        call '{"type":"KILL","kill":{"task_id":{"value":"g1"},"kill_policy":{"grace_period":{"nanoseconds":7000000000}}}}'
        wait_update g1 KILLED
        expect_match "$(grep '^kill' "$(sandbox grow)/log")" '"nanoseconds": 7000000000'
        end_executor grow
        wait_until 5 grep -q 'executor grow: ended: Executor exited with status 0' "$SCRATCH/agent.log" || fail "the log: $(grep 'executor grow' "$SCRATCH/agent.log")"
        wait_update g2 FAILED
        expect_equal "$(status_of g2 FAILED | jq -r '.source + " " + .reason')" "SOURCE_AGENT REASON_EXECUTOR_TERMINATED"
        expect_equal "$(launches grow 'g[123]')" 3 launches
}
uses() {
        local dir=$CGROUP_ROOT/containers/$(container "$1")
        [ "$(cat /sys/fs/cgroup/"$dir"/memory.current /sys/fs/cgroup/memory/"$dir"/memory.usage_in_bytes 2>/dev/null)" -gt "$2" ]
}
shrunk_a_bit() { [ "$(memory_limit grow)" -lt $(((64 + 32 + 100 + 200) << 20)) ] && [ "$(memory_limit grow)" -gt 262144000 ]; }

test_groups_arrive_together() {
        local x
        x=$(executor group | jq -c '.resources += [{"name":"disk","type":"SCALAR","scalar":{"value":16}}]')
        call "{\"launch_group\":{\"executor\":$x,\"task_group\":{\"tasks\":[$(task p1 stay null | jq -c 'del(.executor)'),$(task p2 stay null | jq -c 'del(.executor)')]}}}"
        wait_update p1 RUNNING
        wait_update p2 RUNNING
        expect_equal "$(grep -c 'event LAUNCH_GROUP' "$(sandbox group)/log")" 1 "events"
        end_executor group
}

test_messages_go_both_ways_over_the_unix_socket_too() {
        launch "$(task m1 stay "$(executor unix unix)")"
        wait_update m1 RUNNING
        message unix "hello there"
        wait_until 10 event ".type == \"MESSAGE\" and .message.executor_id.value == \"unix\" and .message.data == \"$(printf 'hello there' | base64)\"" || fail "no echo: $(cat "$(sandbox unix)/log")"
        end_executor unix
}

# Without a network the socket is the only way to the agent, and must be one to its successor too.
test_an_executor_without_network_speaks_over_the_socket() {
        local seen
        launch "$(task w1 stay "$(executor lonely unix | jq -c '.labels = {labels: [{key: "mete.network", value: "none"}]}')" |
                jq -c '.labels = {labels: [{key: "mete.network", value: "none"}]}')"
        wait_update w1 RUNNING
        message lonely "look seen"
        wait_until 10 grep -q 'env MESOS_SANDBOX' "$(sandbox lonely)/seen" || fail "nothing seen"
        seen=$(cat "$(sandbox lonely)/seen")
        expect_match "$seen" 'env MESOS_DOMAIN_SOCKET=/run/mete-agent/agent.sock'
        expect_match "$seen" 'ns net:'
        expect_no_match "$seen" "ns $(readlink /proc/self/ns/net | sed 's/[][]/\\&/g')"
        kill_agent
        start_agent
        wait_until 20 grep -q 'executor lonely: subscribed again' "$SCRATCH/agent.log" || fail "it did not subscribe again: $(cat "$(sandbox lonely)/log")"
        message lonely "finish w1"
        wait_update w1 FINISHED
        expect_equal "$(launches lonely w1)" 1 launches
        end_executor lonely
}

test_executors_see_the_isolation_and_environment_that_they_were_promised() {
        local seen
        launch "$(task i1 stay "$(executor inside)")"
        wait_update i1 RUNNING
        message inside "look seen"
        wait_until 10 grep -q MESOS_SANDBOX "$(sandbox inside)/seen" || fail "nothing seen"
        seen=$(cat "$(sandbox inside)/seen")
        expect_match "$seen" $'NoNewPrivs:\t1'
        expect_match "$seen" $'Seccomp:\t2'
        expect_match "$seen" $'CapEff:\t0000000000000000'
        expect_match "$seen" $'CapBnd:\t00000000000004fb' # as a command task's
        expect_match "$seen" $'Uid:\t65534'
        local kind
        for kind in pid mnt ipc uts; do
                expect_no_match "$seen" "ns $(readlink /proc/self/ns/$kind | sed 's/[][]/\\&/g')"
        done
        expect_match "$seen" "env MESOS_AGENT_ENDPOINT=127.0.0.1:$((PORT + 1))"
        expect_match "$seen" "env MESOS_SLAVE_PID=slave\(1\)@127.0.0.1:$((PORT + 1))"
        expect_match "$seen" 'env MESOS_CHECKPOINT=1'
        expect_match "$seen" 'env MESOS_RECOVERY_TIMEOUT=15mins'
        expect_match "$seen" 'env MESOS_SUBSCRIPTION_BACKOFF_MAX=2secs'
        expect_match "$seen" 'env MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD=1secs'
        expect_match "$seen" 'env MESOS_EXECUTOR_ID=inside'
        expect_match "$seen" 'env FROM_OPTION=yes'
        expect_match "$seen" 'env MESOS_DOMAIN_SOCKET=/'
        expect_no_match "$seen" 'env MESOS_TASK_ID='
        end_executor inside
}

test_an_executor_that_dies_takes_its_tasks_along() {
        local x
        x=$(executor mortal)
        launch "$(task d1 stay "$x")"
        wait_update d1 RUNNING
        message mortal "exit 7"
        wait_update d1 FAILED
        wait_until 10 executor_gone mortal || fail "no FAILURE"
        expect_equal "$(jq -s '[.[] | select(.type == "FAILURE" and .failure.executor_id.value == "mortal")][0].failure.status' "$EVENTS")" $((7 << 8)) "wait status"
        expect_match "$(status_of d1 FAILED | jq -r .message)" 'exited with status 7'
        # Its name is free again.
        launch "$(task d2 stay "$x")"
        wait_update d2 RUNNING
        end_executor mortal
}

test_memory_beyond_the_limit_is_named() {
        launch "$(task o1 stay "$(executor hungry)")"
        wait_update o1 RUNNING
        message hungry "eat 300"
        wait_update o1 FAILED
        expect_equal "$(status_of o1 FAILED | jq -r '.reason')" REASON_CONTAINER_LIMITATION_MEMORY
        expect_equal "$(status_of o1 FAILED | jq -r '.limitation.resources[0].name')" mem
}

test_executors_that_cannot_start_fail_their_tasks() {
        local x='{"executor_id":{"value":"none"},"type":"CUSTOM","command":{"shell":false,"value":"/no/such/program"},"resources":'$(resources 0.1 64)'}'
        launch "$(task n1 stay "$x")"
        wait_update n1 FAILED
        expect_equal "$(status_of n1 FAILED | jq -r '.reason')" REASON_CONTAINER_LAUNCH_FAILED
}

test_what_an_executor_needs_is_fetched_first() {
        local x
        x=$(executor fetched | jq -c --arg uri "$SCRATCH/framework.py" '.command = {value: "exec python3 ./framework.py executor", uris: [{value: $uri}]}')
        launch "$(task f1 stay "$x")"
        wait_update f1 RUNNING
        end_executor fetched
        x=$(executor unfetched | jq -c '.command.uris = [{value: "/no/such/file"}]')
        launch "$(task f2 stay "$x")"
        wait_update f2 FAILED
        expect_equal "$(status_of f2 FAILED | jq -r '.reason')" REASON_CONTAINER_LAUNCH_FAILED
        expect_match "$(status_of f2 FAILED | jq -r '.message')" '/no/such/file'
}

test_executors_that_never_subscribe_are_killed() {
        kill_agent
        start_agent --executor-registration-timeout 1s
        launch "$(task q1 stay "$(executor silent | jq -c '.command.value = "exec sleep 1000"')")"
        wait_update q1 FAILED
        expect_equal "$(status_of q1 FAILED | jq -r '.reason')" REASON_EXECUTOR_REGISTRATION_TIMEOUT
        kill_agent
        start_agent
}

test_a_deaf_executor_is_killed_after_the_grace() {
        launch "$(task k1 stay "$(executor deaf)")"
        wait_update k1 RUNNING
        message deaf deaf
        message deaf ping
        wait_until 10 event '.type == "MESSAGE" and .message.executor_id.value == "deaf"' || fail "no echo"
        end_executor deaf
        wait_update k1 FAILED
}

# The heart of it: kill -9 of the agent under two running tasks; updates that were made meanwhile arrive, nothing runs twice.
test_executors_outlive_the_agent() {
        local x
        x=$(executor survivor)
        launch "$(task r1 stay "$x"),$(task r2 stay "$x"),$(task r4 await "$x")"
        wait_update r1 RUNNING
        wait_update r2 RUNNING
        wait_update r4 RUNNING
        kill_agent
        touch "$(sandbox survivor)/r4.go"
        wait_until 10 grep -q '^not told' "$(sandbox survivor)/log" || fail "r4 has not ended: $(cat "$(sandbox survivor)/log")"
        start_agent
        wait_until 20 grep -q 'executor survivor: subscribed again' "$SCRATCH/agent.log" || fail "it did not subscribe again: $(tail -5 "$SCRATCH/agent.log")"
        launch "$(task r3 finish "$x")"
        wait_update r3 FINISHED
        message survivor "finish r1"
        wait_update r1 FINISHED
        # What the framework has acknowledged is the agent's no more, but for those who look.
        wait_until 10 completed_in_state survivor r1 || fail "r1 is not among the completed: $(curl -s "http://127.0.0.1:$((PORT + 1))/state")"
        wait_until 10 limit_is survivor $((64 + 32)) || fail "limit: $(memory_limit survivor)"
        wait_update r4 FINISHED
        expect_equal "$(count '.type == "UPDATE" and .update.status.state == "TASK_FINISHED" and .update.status.task_id.value == "r4"')" 1 "ends of r4"
        expect_equal "$(launches survivor 'r[1234]')" 4 launches
        expect_equal "$(count '.type == "UPDATE" and .update.status.state == "TASK_FINISHED" and .update.status.task_id.value == "r1"')" 1 "ends of r1"
        end_executor survivor
        wait_update r2 FAILED
}

completed_in_state() { # completed_in_state EXECUTOR TASK: of an executor that lives, and not twice
        curl -s "http://127.0.0.1:$((PORT + 1))/state" |
                holds "[.frameworks[].executors[] | select(.id == \"$1\") | .completed_tasks[] | select(.id == \"$2\" and .state == \"TASK_FINISHED\" and .statuses == [])] | length == 1"
}

# What the framework has not acknowledged is told again, by another agent and under the same uuid, until it is.
test_updates_wait_for_their_acknowledgement() {
        launch "$(task u1 await "$(executor waiting)")"
        wait_update u1 RUNNING
        call '{"hold":true}'
        wait_until 5 drained || fail "calls are left"
        touch "$(sandbox waiting)/u1.go"
        wait_update u1 FINISHED
        kill_agent
        start_agent
        wait_until 20 told_twice || fail "not told again"
        expect_equal "$(jq -rs '[.[] | select(.type == "UPDATE" and .update.status.task_id.value == "u1" and .update.status.state == "TASK_FINISHED") | .update.status.uuid] | unique | length' "$EVENTS")" 1 "uuids"
        call '{"hold":false}'
        kill_agent
        start_agent
        wait_until 20 grep -q 'executor waiting: subscribed again' "$SCRATCH/agent.log" || fail "not back"
        end_executor waiting
        wait_until 20 no_containers || fail "left: $(ls "$SCRATCH/agent/meta/containers")"
}
told_twice() { [ "$(count '.type == "UPDATE" and .update.status.state == "TASK_FINISHED" and .update.status.task_id.value == "u1"')" -ge 2 ]; }
drained() { [ "$(count '.type == "HELD"')" -ge 1 ]; }

test_executors_that_do_not_come_back_are_killed() {
        launch "$(task s1 stay "$(executor stopped)")"
        wait_update s1 RUNNING
        local pid
        pid=$(status_of s1 RUNNING | jq .container_status.executor_pid)
        kill -STOP "$(pgrep -P "$pid" | head -1)"
        kill_agent
        start_agent --executor-reregistration-timeout 500ms
        wait_update s1 FAILED
        expect_equal "$(status_of s1 FAILED | jq -r '.reason')" REASON_EXECUTOR_REREGISTRATION_TIMEOUT
}

test_ends_while_the_agent_was_dead_are_reported_once() {
        launch "$(task e1 stay "$(executor ended)")"
        wait_update e1 RUNNING
        local pid
        pid=$(status_of e1 RUNNING | jq .container_status.executor_pid)
        kill_agent
        kill -KILL "$pid"
        start_agent
        wait_update e1 FAILED
        expect_equal "$(status_of e1 FAILED | jq -r '.reason')" REASON_EXECUTOR_TERMINATED
        kill_agent
        start_agent
        launch "$(task e2 finish "$(executor after)")"
        wait_update e2 FINISHED
        expect_equal "$(count '.type == "UPDATE" and .update.status.state == "TASK_FAILED" and .update.status.task_id.value == "e1"')" 1 "ends of e1"
        end_executor after
}

test_teardown_ends_all_of_a_framework_and_says_nothing() {
        launch "$(task t1 stay "$(executor torn)")"
        wait_update t1 RUNNING
        stop_framework
        wait_until 20 no_containers || fail "left: $(ls "$SCRATCH/agent/meta/containers")"
        start_framework
}

test_executors_of_a_framework_that_does_not_checkpoint_end_with_the_agent() {
        stop_framework
        start_framework volatile
        launch "$(task v1 stay "$(executor volatile)")"
        wait_update v1 RUNNING
        kill_agent
        start_agent
        wait_until 20 no_containers || fail "left: $(ls "$SCRATCH/agent/meta/containers")"
        stop_framework
        start_framework
}
