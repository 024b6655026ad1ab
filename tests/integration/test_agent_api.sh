# shellcheck shell=bash disable=SC2034,SC2119,SC2154
# The agent's read side as the tools of Mesos use it, its files API, and its unix socket: a real task, asked about from outside and from inside.

setup_file() { start_cluster; }
teardown_file() {
        stop_cluster
        expect_nothing_left
}

agent_get() { curl -sS --globoff --max-time 20 "http://127.0.0.1:$((PORT + 1))$1"; }
agent_status() { curl -s --globoff --max-time 20 -o /dev/null -w '%{http_code}' "${@:2}" "http://127.0.0.1:$((PORT + 1))$1"; }
expect_json() { jq -e "$2" <<<"$1" >/dev/null || fail "expected $2 of: ${1:0:3000}"; }

test_what_the_agent_is() {
        local path state
        for path in /state /slave%281%29/state "/slave(1)/state"; do
                state=$(agent_get "$path")
                expect_json "$state" ".pid == \"slave(1)@127.0.0.1:$((PORT + 1))\" and .flags.port == \"$((PORT + 1))\""
                expect_json "$state" '.resources.cpus > 0 and .resources.mem > 0 and .resources.gpus == 0 and (.id | test("-S[0-9]+$"))'
                expect_json "$state" '(.frameworks | type) == "array" and (.completed_frameworks | type) == "array" and .start_time > 1e9'
        done
        expect_json "$(agent_get /version)" '.version | test("^[0-9]+[.][0-9]+[.][0-9]+$")'
        expect_json "$(agent_get /flags)" '.flags.work_dir | startswith("/")'
        expect_match "$(agent_get '/version?jsonp=f.g')" '^f[.]g\(\{.*\}\);$' "jsonp"
        expect_equal "$(agent_status /health)" 200
        expect_equal "$(agent_status /state.json)" 404
        expect_equal "$(agent_status /state/x)" 404
        expect_equal "$(agent_status /state -X POST)" 405
}

test_metrics() {
        local metrics
        metrics=$(agent_get "/metrics/snapshot?timeout=100ms")
        expect_json "$metrics" '."slave/registered" == 1 and ."slave/uptime_secs" > 0 and ."slave/cpus_total" > 0 and ."system/cpus_total" > 0'
        expect_json "$metrics" 'has("slave/tasks_finished") and has("slave/tasks_running") and has("slave/executors_running") and has("containerizer/launches")'
        expect_json "$metrics" 'all(.[]; type == "number")'
}

metric() { agent_get /metrics/snapshot | jq ".\"$1\" | floor"; }
metric_is() { [ "$(metric "$1")" = "$2" ]; }
test_metrics_of_recovery_and_garbage() {
        local kept
        mete run --cpus 0.1 --mem 32M -- true
        mete run --cpus 0.1 --mem 32M -- touch kept
        wait_until 10 no_checkpoints || fail "left: $(ls "$SCRATCH/agent/meta/containers")"
        # What a sandbox must not lose to the garbage collector: a mount of somebody else.
        kept=$(dirname "$(find "$SCRATCH/agent/slaves" -name kept)")
        mkdir "$kept/mounted" && mount -t tmpfs none "$kept/mounted"
        kill_agent
        head -c 100 /dev/zero >"$SCRATCH/agent/meta/containers/00000000-0000-4000-8000-000000000000"
        start_agent --gc-delay 1ms
        wait_until 20 metric_is gc/path_removals_failed 1 || fail "$(agent_get /metrics/snapshot)"
        wait_until 20 metric_is gc/path_removals_pending 0
        [ "$(metric gc/path_removals_succeeded)" -ge 1 ] || fail "$(agent_get /metrics/snapshot)"
        metric_is slave/recovery_errors 1 || fail "$(agent_get /metrics/snapshot)"
        expect_json "$(agent_get /metrics/snapshot)" '."slave/recovery_time_secs" > 0 and ."containerizer/mesos/container_destroy_errors" == 0'
        umount "$kept/mounted"
        kill_agent
        start_agent
}
no_checkpoints() { [ -z "$(ls "$SCRATCH/agent/meta/containers")" ]; }

running_in_state() { agent_get /state | holds ".frameworks[].executors[] | select(.id == \"$1\") | .tasks[0].state == \"TASK_RUNNING\""; }
measured() { agent_get /monitor/statistics | holds ".[] | select(.executor_id == \"$1\") | .statistics.mem_total_bytes > 0"; }
completed() { agent_get /state | holds "[.frameworks[], .completed_frameworks[]] | any(.[].completed_executors[]; .id == \"$1\" and .container != \"\")"; }

test_a_task() {
        local job task directory statistics container before
        before=$(agent_get /metrics/snapshot | jq '."slave/tasks_finished"')
        job=$(mete run -d --cpus 0.5 --mem 64M -- /bin/sh -c 'echo hello; echo more >file; ln -s /etc/hostname link; mkfifo fifo; read -r x <fifo')
        task=$job.0
        wait_state "$task" TASK_RUNNING
        wait_until 20 running_in_state "$task" || fail "not in /state: $(agent_get /state)"
        wait_until 20 measured "$task" || fail "not measured: $(agent_get /monitor/statistics)"
        statistics=$(agent_get "/slave(1)/monitor/statistics" | jq --arg t "$task" '.[] | select(.executor_id == $t)')
        expect_json "$statistics" '.framework_id != "" and .source != "" and (.executor_name | test("Command Executor"))'
        expect_json "$statistics" '.statistics | .timestamp > 1e9 and .mem_limit_bytes == 67108864 and has("cpus_user_time_secs") and .threads >= 1'
        container=$(agent_get /containers | jq -r --arg t "$task" '.[] | select(.executor_id == $t) | .container_id')
        expect_json "$(agent_get "/containers?container_id=$container")" 'length == 1 and .[0].status.executor_pid > 1'

        directory=$(agent_get /state | jq -r --arg t "$task" '.frameworks[].executors[] | select(.id == $t) | .directory')
        expect_match "$directory" "/slaves/.*/frameworks/.*/executors/$task/runs/$container$" "directory"
        expect_json "$(agent_get "/files/browse?path=$directory")" 'any(.[]; (.path | endswith("/stdout")) and .mode == "-rw-r--r--" and .size == 6)'
        expect_equal "$(agent_get "/files/read?path=$directory/stdout&offset=0" | jq -r .data)" hello
        expect_equal "$(agent_get "/slave%281%29/files/read?path=$directory/stdout" | jq .offset)" 6
        expect_equal "$(agent_get "/files/download?path=$directory/file")" more
        expect_equal "$(agent_status "/files/read?path=$directory/link&offset=0")" 403
        expect_equal "$(agent_status "/files/read?path=$directory/fifo&offset=0")" 403
        expect_equal "$(agent_status "/files/read?path=$directory/../../../x&offset=0")" 404
        expect_equal "$(agent_status "/files/read?path=/etc/passwd&offset=0")" 404
        expect_equal "$(agent_status "/files/read")" 400

        echo >"$directory/fifo"
        wait_state "$task" TASK_FINISHED
        wait_until 20 completed "$task" || fail "not among what ended: $(agent_get /state)"
        expect_json "$(agent_get /metrics/snapshot)" ".\"slave/tasks_finished\" == $((${before%.*} + 1))"
        expect_equal "$(agent_get "/files/download?path=$directory/file")" more "after the end"
}

# Tasks are nobody to the read side, wherever they call from.
test_tasks_read_nothing() {
        local url=http://127.0.0.1:$((PORT + 1)) out
        out=$(mete run --net host -- /bin/bash -c "exec 3<>/dev/tcp/127.0.0.1/$((PORT + 1)) && printf 'GET /state HTTP/1.0\r\n\r\n' >&3 && head -1 <&3") || true
        expect_match "$out" ' 403 ' "state for a task, $url"
        out=$(mete run --net host -- /bin/bash -c "exec 3<>/dev/tcp/127.0.0.1/$((PORT + 1)) && printf 'GET /files/browse?path=/ HTTP/1.0\r\n\r\n' >&3 && head -1 <&3") || true
        expect_match "$out" ' 403 ' "files for a task"
}

test_unix_socket() {
        local socket
        for socket in "$SCRATCH/run/agent.sock" "$SCRATCH/run/socket/agent.sock"; do
                expect_json "$(curl -sS --unix-socket "$socket" http://localhost/state)" '.id != ""'
        done
        expect_equal "$(stat -c %a "$SCRATCH/run")" 700 "who reaches the socket"
        expect_equal "$(curl -s -o /dev/null -w '%{http_code}' --unix-socket "$socket" -X POST -H 'Content-Type: application/json' \
                -d '{"type":"SUBSCRIBE","executor_id":{"value":"e"},"framework_id":{"value":"f"}}' http://localhost/api/v1/executor)" 400
        # An agent that was killed leaves its socket behind; the next one takes its place.
        kill_agent
        start_agent
        expect_json "$(curl -sS --unix-socket "$SCRATCH/run/agent.sock" http://localhost/state)" '.id != ""'
}
