# shellcheck shell=bash disable=SC2034,SC2154,SC2016
# Reservations and persistent volumes, by a framework and by an operator, on a real master and agent: data outlive tasks, the master and the
# agent; what is not free is not taken.

. "$(dirname "${BASH_SOURCE[0]}")/framework.sh"

setup_file() {
        BEFORE=$(machine_objects)
        AGENT_OPTIONS=()
        pick_ports
        start_master --agent-ping-timeout 1s
        start_agent --cpus 4 --mem 1G --resources 'cpus(static):1;disk:1000;ports:[31000-31009]'
        STORE=$SCRATCH/agent/volumes
}
teardown_file() {
        stop agent 30
        AGENT_OPTIONS=(--kill-tasks-on-exit)
        start_agent --cpus 4 --mem 1G --resources 'disk:1000'
        stop_cluster
        expect_nothing_left
        expect_objects "$BEFORE"
}

reserved='"reservations":[{"type":"DYNAMIC","role":"ours"}]'
scalar() { printf '{"name":"%s","type":"SCALAR","scalar":{"value":%s}%s}' "$1" "$2" "${3:+,$3}"; } # scalar NAME AMOUNT [MEMBERS]
volume() { scalar disk "$2" "$reserved,\"disk\":{\"persistence\":{\"id\":\"$1\"},\"volume\":{\"mode\":\"RW\",\"container_path\":\"$3\"}}"; }
operation() { # operation TYPE FIELD RESOURCES
        local name=${1,,}
        printf '{"type":"%s","id":{"value":"%s"},"%s":{"%s":[%s]}}' "$1" "$1-$RANDOM" "$name" "$2" "$3"
}
task_with() { # task_with ID SCRIPT RESOURCES
        printf '{"type":"LAUNCH","launch":{"task_infos":[{"name":"%s","task_id":{"value":"%s"},"agent_id":{"value":"AGENT"},"resources":[%s,%s],"command":{"value":%s}}]}}' \
                "$1" "$1" "$(scalar mem 32)" "$3" "$(jq -Rn --arg s "$2" '$s')"
}
operate() { local IFS=,; call "{\"operations\":[$*]}"; }
finished() { [ "$(count '.type == "UPDATE_OPERATION_STATUS" and .update_operation_status.status.state == "OPERATION_FINISHED"')" = "$1" ]; }
of_agent() { curl -s "http://127.0.0.1:$PORT/slaves" | jq -c ".slaves[0]$1"; }
offered() { event ".type == \"OFFERS\" and any(.offers.offers[]; $1)"; }
# The framework's own, with what it wants to see among its offers.
come() { # come FILTER [WORD...]
        subscribe role=ours "${@:2}"
        wait_until 30 offered "$1" || fail "no such offer ($1): $(tail -n 3 "$EVENTS")"
}
has_volume='any(.resources[]; .disk.persistence.id == "v1")'

test_1_an_agent_reserves_for_a_role() {
        expect_equal "$(of_agent .reserved_resources.static.cpus)" 1 "cpus that the agent reserves"
        expect_equal "$(of_agent .unreserved_resources.cpus)" 3 "other cpus"
        come 'any(.resources[]; .name == "cpus" and .scalar.value == 3)'
        offered 'any(.resources[]; .reservations[0].role == "static")' && fail "offered to another role"
        stop_framework
        subscribe role=static/below
        wait_until 20 offered 'any(.resources[]; .reservations[0].role == "static" and .reservations[0].type == "STATIC")' || fail "not offered: $(tail -n 3 "$EVENTS")"
        stop_framework
}

test_2_a_framework_reserves_and_its_task_writes_into_a_volume() {
        come 'any(.resources[]; .name == "disk")'
        framework_id >"$SCRATCH/id"
        operate "$(operation RESERVE resources "$(scalar disk 100 "$reserved"),$(scalar cpus 1 "$reserved")")" \
                "$(operation CREATE volumes "$(volume v1 60 data)")" \
                "$(task_with writer 'echo kept >data/file' "$(scalar cpus 1 "$reserved"),$(volume v1 60 data)")"
        wait_until 20 finished 2 || fail "not finished: $(tail -n 3 "$EVENTS")"
        wait_update writer FINISHED
        expect_equal "$(cat "$STORE/ours/v1/file")" kept "the volume's file"
        expect_equal "$(of_agent .reserved_resources.ours.disk)" 100 "reserved disk"
        expect_equal "$(mete volumes --json | jq -r '.[0].volume_id')" v1 "mete volumes"
}

test_3_both_survive_being_killed() {
        kill_hard master
        kill -9 "$(cat "$SCRATCH/framework.pid")" 2>/dev/null
        kill_hard agent
        start_master --agent-ping-timeout 1s
        start_agent --cpus 4 --mem 1G --resources 'cpus(static):1;disk:1000;ports:[31000-31009]'
        expect_equal "$(of_agent .reserved_resources.ours.disk)" 100 "reserved disk"
        come "$has_volume" "id=$(cat "$SCRATCH/id")"
        operate "$(task_with reader '[ "$(cat elsewhere/file)" = kept ] && exec sleep 1000' "$(scalar cpus 1 "$reserved"),$(volume v1 60 elsewhere)")"
        wait_update reader RUNNING
        expect_equal "$(mete volumes --json | jq -r '.[0].tasks[0]')" reader "who uses it"
}

test_4_a_volume_in_use_stays() {
        expect_status 1 mete volumes destroy "$(hostname)" v1
        expect_match "$ERR" "volume 'v1' is in use" "refusal"
        expect_status 1 mete volumes resize "$(hostname)" v1 80M
        [ -e "$STORE/ours/v1/file" ] || fail "its data are gone"
        call '{"type":"KILL","kill":{"task_id":{"value":"reader"}}}'
        wait_update reader KILLED
        expect_status 0 mete volumes resize "$(hostname)" v1 80M
        expect_status 0 mete volumes destroy "$(hostname)" v1
        wait_until 20 test ! -e "$STORE/ours/v1" || fail "its data are left: $(find "$STORE")"
        stop_framework
}

test_5_operators() {
        expect_status 0 mete reserve "$(hostname)" ops/night cpus=1.5
        expect_equal "$(of_agent '.reserved_resources["ops/night"].cpus')" 1.5 "reserved cpus"
        expect_status 1 mete reserve "$(hostname)" ops cpus=2
        expect_match "$ERR" 'cpus:2 is needed, cpus:0.5 is free' "refusal"
        expect_status 0 mete unreserve "$(hostname)" ops/night cpus=1.5
        expect_status 1 mete unreserve "$(hostname)" static cpus=1
        expect_match "$ERR" 'only 0 are reserved' "refusal"
        expect_status 0 mete unreserve "$(hostname)" ours cpus=1
        expect_status 0 mete unreserve "$(hostname)" ours disk=100M
        expect_equal "$(of_agent '.reserved_resources | keys | join(",")')" '"static"' "what is left"
}
