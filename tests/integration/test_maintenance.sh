# shellcheck shell=bash disable=SC2034,SC2119,SC2120
# Maintenance windows and fault domains: what offers say, what moves away when a window begins, who serves again when it is over.

# shellcheck source=tests/integration/framework.sh
. "$(dirname "${BASH_SOURCE[0]}")/framework.sh"
# shellcheck source=tests/integration/operator.sh
. "$(dirname "${BASH_SOURCE[0]}")/operator.sh"
AGENT_OPTIONS=(--kill-tasks-on-exit --cpus 2 --mem 2G)

setup_file() {
        pick_ports
        start_master --domain eu/a
        start_agent --hostname first --domain eu/b
        start_agent2 --domain us/a
}
teardown_file() {
        stop agent2 30
        stop_cluster
        expect_nothing_left
}

# schedule HOST SECONDS-FROM-NOW DURATION [MEMBERS]
schedule() {
        accepted "$(printf '{"type":"SCHEDULE_MAINTENANCE","schedule_maintenance":{"window":{"start":%s,"duration_seconds":%s,"agents":["%s"]%s}}}' \
                "$(date +%s.%N | awk -v d="$2" '{ printf "%.3f", $1 + d }')" "$3" "$1" "${4:-}")"
}
cancel() { accepted "{\"type\":\"CANCEL_MAINTENANCE\",\"cancel_maintenance\":{\"id\":\"$1\"}}"; }
# The latest offer of the host.
offer_of() { jq -cs --arg h "$1" '[.[] | select(.type == "OFFERS").offers.offers[] | select(.hostname == $h)] | last // empty' "$EVENTS"; }
has_offer_of() { offer_of "$1" | holds "$2"; } # has_offer_of HOST FILTER

test_offers_say_what_is_coming() {
        local id
        subscribe regions
        wait_until 20 has_offer_of first 'has("unavailability") | not' || fail "no offer: $(cat "$EVENTS")"
        schedule first 3600 60
        id=$(jq -r '.windows[0].id' <<<"$ANSWER")
        wait_until 20 has_offer_of first '.unavailability.duration.nanoseconds == 60000000000' || fail "not told: $(offer_of first)"
        wait_until 5 has_offer_of second 'has("unavailability") | not' || fail "another's: $(offer_of second)"
        expect_equal "$(get /maintenance/schedule | jq -r '.windows[0].machine_ids[0] | "\(.hostname) \(.ip)"')" "first 127.0.0.1" "/maintenance/schedule"
        expect_equal "$(get /maintenance/status | jq -c '[.draining_machines[].id.hostname, (.down_machines | length)]')" '["first",0]' "/maintenance/status"
        agent_is first ".maintenance[0].id == \"$id\"" || fail "not shown: $(mete agents --json)"
        cancel "$id"
        wait_until 20 has_offer_of first 'has("unavailability") | not' || fail "still told: $(offer_of first)"
        stop_framework
}

test_a_window_drains_and_ends() {
        local job host
        job=$(mete run -d --cpus 0.5 --mem 64M -- /bin/sleep 600)
        wait_state "$job.0" TASK_RUNNING
        host=$(host_of "$job.0")
        schedule "$host" 0.2 8 ',"drain":true,"comment":"disks"'
        wait_until 20 runs_on "$job.0" "$(other "$host")" || fail "the task did not move: $(mete inspect --json "$job.0")"
        agent_is "$host" '.deactivated and .drain and .maintenance[0].comment == "disks"' || fail "no window: $(mete agents --json)"
        # Its end comes although the master died in between.
        restart_master --domain eu/a
        wait_until 30 active_agents 2 || fail "the agents did not come back"
        wait_until 30 agent_is "$host" '(.deactivated | not) and (has("drain") | not)' || fail "still out: $(mete agents --json)"
        expect_equal "$(api '{"type":"LIST_MAINTENANCE"}' | jq -c '.windows // []')" '[]' "windows"
        runs_on "$job.0" "$(other "$host")" || fail "the task moved again"
        mete kill "$job" >/dev/null
        wait_state "$job.0" TASK_KILLED
}

test_other_regions_are_for_those_who_know_of_them() {
        expect_equal "$(agent_field second '"\(.region) \(.zone)"')" "us a" "domain"
        as near start_framework
        as near has_offer_of first '.domain.fault_domain.zone.name == "b"' || fail "no offer: $(as near offer_of first)"
        expect_equal "$(as near offer_of second)" "" "offer of another region"
        as near stop_framework
        as far subscribe regions
        wait_until 20 as far has_offer_of second '.domain.fault_domain.region.name == "us"' || fail "no offer of the other region"
        as far stop_framework
        expect_equal "$(get /state | jq -r '.leader_info.domain.fault_domain.region.name')" eu "the master's domain"
        expect_equal "$(jq -rs '[.[] | select(.type == "SUBSCRIBED")][0].subscribed.master_info.domain.fault_domain.zone.name' "$SCRATCH/far.events")" a "MasterInfo.domain"
}
