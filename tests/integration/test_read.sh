# shellcheck shell=bash disable=SC2016,SC2034,SC2119,SC2154
# The master's read side as the tools ask for it: curl and jq against a real agent and a real job.

setup_file() {
        BEFORE=$(machine_objects)
        start_cluster
        mete run -d --name reader --cpus 0.5 --mem 32M -- sleep 1000 >"$SCRATCH/job"
        wait_state "$(cat "$SCRATCH/job").0" TASK_RUNNING
}
teardown_file() {
        mete kill "$(cat "$SCRATCH/job")" >/dev/null
        stop_cluster
        expect_nothing_left
        expect_objects "$BEFORE"
}

read_master() { curl -sSf "http://127.0.0.1:$PORT$1" "${@:2}"; }
# expect_json PATH FILTER: the filter is true for the answer; $task and $agent are known in it.
expect_json() {
        local answer
        answer=$(read_master "$1") || fail "$1: no answer"
        jq -e --arg task "$(cat "$SCRATCH/job").0" --arg agent "127.0.0.1:$((PORT + 1))" "$2" >/dev/null <<<"$answer" ||
                fail "$1: not so: $2"$'\n'"${answer:0:4000}"
}

test_state() {
        local path
        for path in /state /master/state /master/state/; do
                expect_json $path '.leader == .pid and .activated_slaves == 1 and (.version | test("^[0-9]+(\\.[0-9]+)+$"))'
                expect_json $path '.slaves[0] | .active and .pid == "slave(1)@" + $agent and .resources.cpus > 0 and .used_resources.cpus == 0.5 and .used_resources.mem == 32'
                expect_json $path '.frameworks[] | select(.name == "mete-queue") | .active and ([.tasks[] | select(.id == $task and .state == "TASK_RUNNING" and .executor_id == "")] | length == 1)'
                expect_json $path '.slaves[0].id as $id | all(.frameworks[].tasks[]; .slave_id == $id)'
        done
}

test_lists() {
        local agent
        agent=$(read_master /slaves | jq -r '.slaves[0].id')
        expect_json "/slaves/$agent" '.slaves | length == 1 and (.[0].unreserved_resources_full | length > 0)'
        expect_json "/master/slaves?slave_id=$agent" '.slaves | length == 1'
        expect_json "/tasks?limit=-1&order=asc" 'any(.tasks[]; .id == $task and .resources.cpus == 0.5)'
        expect_match "$(read_master "/tasks/?task_id=$(cat "$SCRATCH/job").0" -X POST | jq -r '.tasks[0].name')" .
        expect_json /master/frameworks/ 'any(.frameworks[]; .name == "mete-queue")'
        expect_json /roles 'any(.roles[]; .name == "*" and .allocated.cpus == 0.5)'
        expect_json /state-summary '.slaves[0].TASK_RUNNING == 1 and (.slaves[0].framework_ids | length == 1)'
        expect_json /flags ".flags.port == \"$PORT\""
}

test_metrics() {
        expect_json '/metrics/snapshot?timeout=100ms' '."master/elected" == 1 and ."master/tasks_running" == 1 and ."master/cpus_used" == 0.5 and ."master/slaves_active" == 1'
        expect_json /master/metrics/snapshot '."registrar/state_store_ms/count" > 0 and ."registrar/registry_size_bytes" > 0 and ."allocator/mesos/allocation_runs" > 0 and ."master/messages_status_update" > 0'
        expect_json /metrics/snapshot 'all(.[]; type == "number")'
}

# What tells whom to ask, in the order in which clients do.
test_redirect() {
        local headers
        headers=$(curl -sS -o /dev/null -D- "http://127.0.0.1:$PORT/master/redirect" | tr -d '\r')
        expect_match "$headers" "^HTTP/1.1 307"
        expect_match "$headers" "Location: //127.0.0.1:$PORT"
        expect_equal "$(curl -sS -o /dev/null -w '%{http_code}' "http://127.0.0.1:$PORT/redirect/x")" 404
}

# Tasks with the host's network are nobody here: what others run is not theirs to read.
test_tasks_may_not_read() {
        expect_status 0 mete run --net host --cpus 0.1 --mem 32M -- curl -s -o /dev/null -w '%{http_code} ' "http://127.0.0.1:$PORT/state" \
                "http://127.0.0.1:$PORT/tasks" -o /dev/null "http://127.0.0.1:$PORT/metrics/snapshot" -o /dev/null
        expect_equal "$OUT" "403 403 403 "
}

# Large answers are compressed for who asks, and the same.
test_compressed() {
        expect_match "$(curl -sS -D- -o "$SCRATCH/gz" -H 'Accept-Encoding: gzip' "http://127.0.0.1:$PORT/state")" "Content-Encoding: gzip"
        expect_equal "$(gzip -dc "$SCRATCH/gz" | jq -c '[.id, .slaves[0].id]')" "$(read_master /state | jq -c '[.id, .slaves[0].id]')"
}
