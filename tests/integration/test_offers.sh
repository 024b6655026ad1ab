# shellcheck shell=bash disable=SC2034,SC2119,SC2154
# A framework in a few lines of shell: what it is offered, what becomes of what it accepts, over JSON against real daemons.

setup_file() {
        BEFORE=$(machine_objects)
        start_cluster
}
teardown_file() {
        stop_cluster
        expect_nothing_left
        expect_objects "$BEFORE"
}

# ---- the framework ------------------------------------------------------------------------------------------

events() { sed -n 's/^\({.*}\)[0-9]*$/\1/p' "$SCRATCH/events"; }
has_event() { events | holds_any "$1"; }
# Events come as lines: true when one of them fits.
holds_any() { jq -es "any(.[]; $1)"; }

# subscribe [MEMBERS OF FRAMEWORK_INFO [MEMBERS OF SUBSCRIBE]]: JSON, each with a comma in front
subscribe() {
        : >"$SCRATCH/events"
        : >"$SCRATCH/acknowledged"
        curl -sN -D "$SCRATCH/headers" -H 'Content-Type: application/json' -H 'Accept: application/json' \
                -d "{\"type\": \"SUBSCRIBE\", \"subscribe\": {\"framework_info\": {\"user\": \"root\", \"name\": \"shell\"${1:-}}${2:-}}}" \
                "http://$METE_MASTER/api/v1/scheduler" >"$SCRATCH/events" &
        STREAM=$!
        wait_until 10 has_event '.type == "SUBSCRIBED"' || fail "not subscribed: $(cat "$SCRATCH/events")"
        FRAMEWORK=$(events | jq -r 'select(.type == "SUBSCRIBED").subscribed.framework_id.value')
        STREAM_ID=$(sed -n 's/^mesos-stream-id: *\([^\r]*\).*/\1/Ip' "$SCRATCH/headers")
}

post_call() { # post_call JSON MEMBERS: expects 202
        expect_equal "$(curl -s -o "$SCRATCH/answer" -w '%{http_code}' -H 'Content-Type: application/json' -H "Mesos-Stream-Id: $STREAM_ID" \
                -d "{\"framework_id\": {\"value\": \"$FRAMEWORK\"}, $1}" "http://$METE_MASTER/api/v1/scheduler")" 202 "status of $1 ($(cat "$SCRATCH/answer"))"
}

# The latest offer, whole.
offer() { events | jq -c 'select(.type == "OFFERS").offers.offers[]' | tail -1; }
wait_offer() { wait_until 15 has_event '.type == "OFFERS"' || fail "nothing was offered: $(cat "$SCRATCH/events")"; }
accept() { # accept OPERATIONS [FILTERS]
        post_call "\"type\": \"ACCEPT\", \"accept\": {\"offer_ids\": [$(offer | jq -c .id)], \"operations\": [$1]${2:-}}"
}
task() { # task ID CPUS MEMBERS
        echo "{\"name\": \"$1\", \"task_id\": {\"value\": \"$1\"}, \"agent_id\": $(offer | jq -c .agent_id), \"resources\": [
                {\"name\": \"cpus\", \"type\": \"SCALAR\", \"scalar\": {\"value\": $2}}, {\"name\": \"mem\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 32}}]$3}"
}
launch() { echo "{\"type\": \"LAUNCH\", \"launch\": {\"task_infos\": [$1]}}"; }

acknowledge_all() {
        local update
        events | jq -c 'select(.type == "UPDATE" and .update.status.uuid).update.status | {agent_id, task_id, uuid}' | while read -r update; do
                grep -qF "$update" "$SCRATCH/acknowledged" && continue
                echo "$update" >>"$SCRATCH/acknowledged"
                post_call "\"type\": \"ACKNOWLEDGE\", \"acknowledge\": $update"
        done
}
# status TASK STATE [MORE]: an update has come; what came before is acknowledged
status() {
        acknowledge_all
        has_event ".type == \"UPDATE\" and .update.status.task_id.value == \"$1\" and .update.status.state == \"$2\" and (${3:-true})"
}
wait_status() { wait_until 20 status "$@" || fail "task $1: no $2 (${3:-}): $(events | jq -c 'select(.type == "UPDATE")')"; }

teardown() {
        post_call '"type": "TEARDOWN"'
        wait "$STREAM"
}

# ---- tests --------------------------------------------------------------------------------------------------

test_offer_launch_status() {
        subscribe
        wait_offer
        expect_equal "$(offer | jq -r '.framework_id.value')" "$FRAMEWORK" "framework of the offer"
        expect_equal "$(offer | jq -r '.url | "\(.scheme) \(.address.ip):\(.address.port) \(.path)"')" "http 127.0.0.1:$((PORT + 1)) /slave(1)" "url"
        expect_equal "$(offer | jq -c '[.resources[] | .role] | unique')" '["*"]' "roles of resources in the old shape"
        expect_equal "$(offer | jq -c '[.. | objects | select(has("allocation_info"))] | length')" 0 "allocation_info without MULTI_ROLE"
        accept "$(launch "$(task one 0.1 ", \"command\": {\"value\": \"echo it ran\"}")")"
        wait_status one TASK_FINISHED '.update.status.uuid'
        wait_until 5 has_event '.type == "UPDATE" and .update.status.state == "TASK_RUNNING"' || fail "it was never running"
        teardown
}

test_multi_role_offers_say_their_role() {
        subscribe ', "roles": ["dev/web"], "capabilities": [{"type": "MULTI_ROLE"}, {"type": "RESERVATION_REFINEMENT"}]'
        wait_offer
        expect_equal "$(offer | jq -r .allocation_info.role)" dev/web "role of the offer"
        expect_equal "$(offer | jq -c '[.resources[].allocation_info.role] | unique')" '["dev/web"]' "role of the resources"
        expect_equal "$(offer | jq -c '[.resources[] | select(has("role"))] | length')" 0 "old shape"
        teardown
}

test_refusals_come_as_events() {
        subscribe
        wait_offer
        accept "$(launch "$(task large 100000 ', "command": {"value": "true"}'), $(task both 0.1 '')"),
                {\"type\": \"RESERVE\", \"id\": {\"value\": \"reserve\"}, \"reserve\": {\"resources\": []}}" ', "filters": {"refuse_seconds": 600}'
        wait_status large TASK_ERROR '.update.status.reason == "REASON_TASK_INVALID" and .update.status.source == "SOURCE_MASTER" and (.update.status | has("uuid") | not)'
        wait_status both TASK_ERROR '.update.status.message | contains("exactly one of command and executor")'
        wait_until 5 has_event '.type == "UPDATE_OPERATION_STATUS" and .update_operation_status.status.state == "OPERATION_ERROR" and .update_operation_status.status.operation_id.value == "reserve"' ||
                fail "no status of the operation"
        # The same offers again: they are used up. LOST, because nothing was said of partitions.
        accept "$(launch "$(task late 0.1 ', "command": {"value": "true"}')")"
        wait_status late TASK_LOST '.update.status.reason == "REASON_INVALID_OFFERS"'
        teardown
}

# The host's name is known, so whether it is wanted can be said both ways.
test_constraints_choose_agents() {
        local hostname
        hostname=$(mete agents --json | jq -r '.[0].hostname')
        subscribe '' ", \"offer_constraints\": {\"role_constraints\": {\"*\": {\"groups\": [{\"attribute_constraints\": [
                {\"selector\": {\"pseudoattribute_type\": \"HOSTNAME\"}, \"predicate\": {\"text_equals\": {\"value\": \"$hostname\"}}}]}]}}}"
        wait_offer
        teardown
        subscribe '' ", \"offer_constraints\": {\"role_constraints\": {\"*\": {\"groups\": [{\"attribute_constraints\": [
                {\"selector\": {\"pseudoattribute_type\": \"HOSTNAME\"}, \"predicate\": {\"text_not_equals\": {\"value\": \"$hostname\"}}}]}]}}}"
        # The built-in queue may have the agent: when its job has come and gone, this framework was passed over at least twice.
        expect_status 0 timeout 60 mete run --cpus 0.1 --mem 16M -- /bin/true
        expect_no_match "$(events)" '"OFFERS"' "events"
        teardown
}
