# shellcheck shell=bash disable=SC2120
# Schedulers and executors of framework.py for the tests: what they launch, what they are told. To be sourced by a test file.

FRAMEWORK=framework EVENTS=$SCRATCH/events CALLS=$SCRATCH/calls
cp "$(dirname "${BASH_SOURCE[0]}")/framework.py" "$SCRATCH/framework.py"

# as NAME COMMAND...: with another framework than the one without a name.
as() {
        local FRAMEWORK=$1 EVENTS=$SCRATCH/$1.events CALLS=$SCRATCH/$1.calls
        shift
        "$@"
}
subscribe() { # subscribe [WORD...]: see framework.py
        : >"$EVENTS"
        : >"$CALLS"
        python3 "$SCRATCH/framework.py" scheduler "127.0.0.1:$PORT" "$EVENTS" "$CALLS" "$@" >>"$SCRATCH/framework.log" 2>&1 &
        echo $! >"$SCRATCH/$FRAMEWORK.pid"
}
start_framework() { # the same, and it has an offer
        subscribe "$@"
        wait_until 20 event '.type == "OFFERS"' || fail "no offer came: $(tail -n 5 "$SCRATCH/framework.log" "$EVENTS")"
}
stop_framework() {
        call '{"type":"TEARDOWN"}'
        wait_until 10 stopped "$FRAMEWORK" || kill -9 "$(cat "$SCRATCH/$FRAMEWORK.pid")"
}
event() { jq -es "any(.[]; $1)" "$EVENTS"; }                # event FILTER
count() { jq -s "[.[] | select($1)] | length" "$EVENTS"; }  # count FILTER
call() { printf '%s\n' "$1" >>"$CALLS"; }                   # call JSON
framework_id() { jq -rs '[.[] | select(.type == "SUBSCRIBED")][0].subscribed.framework_id.value' "$EVENTS"; }
update() { event ".type == \"UPDATE\" and .update.status.task_id.value == \"$1\" and .update.status.state == \"TASK_$2\""; }
wait_update() { wait_until "${3:-20}" update "$1" "$2" || fail "no update TASK_$2 of $1: $(grep -F "\"$1\"" "$EVENTS" | tail -3) $(tail -5 "$SCRATCH/agent.log")"; }
status_of() { jq -s "[.[] | select(.type == \"UPDATE\" and .update.status.task_id.value == \"$1\" and .update.status.state == \"TASK_$2\")][0].update.status" "$EVENTS"; }
resources() { printf '[{"name":"cpus","type":"SCALAR","scalar":{"value":%s}},{"name":"mem","type":"SCALAR","scalar":{"value":%s}}]' "$1" "$2"; }
executor() { # executor ID [WORD...]
        printf '{"executor_id":{"value":"%s"},"type":"CUSTOM","command":{"value":"exec python3 %s executor %s"},"resources":%s}' "$1" "$SCRATCH/framework.py" "${*:2}" \
                "$(resources 0.1 64)"
}
task() { # task ID DATA EXECUTOR-JSON [MEM]
        printf '{"name":"%s","task_id":{"value":"%s"},"agent_id":{"value":"AGENT"},"data":"%s","resources":%s,"executor":%s}' "$1" "$1" "$(printf %s "$2" | base64)" \
                "$(resources 0.1 "${4:-32}")" "$3"
}
# A task without an executor of its own, which writes how often it was started and ends when its file "go" is there.
command_task() { # command_task ID
        printf '{"name":"%s","task_id":{"value":"%s"},"agent_id":{"value":"AGENT"},"resources":%s,"command":{"value":"echo started >>starts; until [ -e go ]; do sleep 0.02; done"}}' \
                "$1" "$1" "$(resources 0.1 32)"
}
launch() { call "{\"launch\":[$1]}"; }
message() { call "{\"type\":\"MESSAGE\",\"message\":{\"agent_id\":\"AGENT\",\"executor_id\":{\"value\":\"$1\"},\"data\":\"$(printf %s "$2" | base64 -w0)\"}}"; }
sandbox() { echo "$SCRATCH/agent/slaves/latest/frameworks/$(framework_id)/executors/$1/runs/latest"; } # sandbox EXECUTOR
command_sandbox() { echo "$SCRATCH/agent/slaves/latest/frameworks/$(framework_id)/executors/$1/runs/"*; } # command_sandbox TASK
no_containers() { [ -z "$(ls "$SCRATCH/agent/meta/containers")" ]; }
