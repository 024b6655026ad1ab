# shellcheck shell=bash disable=SC2034,SC2119,SC2120
# Quotas and weights between real frameworks: limits cut offers, guarantees are kept free, both over deaths of the master.

# shellcheck source=tests/integration/framework.sh
. "$(dirname "${BASH_SOURCE[0]}")/framework.sh"
# shellcheck source=tests/integration/operator.sh
. "$(dirname "${BASH_SOURCE[0]}")/operator.sh"
AGENT_OPTIONS=(--kill-tasks-on-exit --cpus 4 --mem 4G)

setup_file() { start_cluster; }
teardown_file() {
        stop_cluster
        expect_nothing_left
}

# What the framework holds in offers that were not rescinded, of one resource.
offered() {
        jq -s --arg r "$1" '([.[] | select(.type == "RESCIND").rescind.offer_id.value]) as $gone
                | [.[] | select(.type == "OFFERS").offers.offers[] | select(.id.value as $id | $gone | index($id) | not)
                        | .resources[] | select(.name == $r).scalar.value] | add // 0' "$EVENTS"
}
offered_is() { expect_between "$(offered "$1")" "$2" "$2" "offered $1"; }
role_field() { api '{"type":"LIST_ROLES"}' | jq -r --arg n "$1" ".roles[] | select(.name == \$n) | $2"; } # role_field ROLE FILTER

test_a_limit_cuts_offers() {
        accepted "$(set_quota capped '{"resource":"cpus","limit":1.5}')"
        as capped start_framework role=capped/team
        as free start_framework role=free
        as capped offered_is cpus 1.5
        as free offered_is cpus 2.5
        expect_equal "$(role_field capped '.quotas[0].limit')" 1.5 "limit"
        # What is offered already is no obstacle to a lower one: it is taken back.
        accepted "$(set_quota capped '{"resource":"cpus","limit":1}')"
        wait_until 20 as capped event '.type == "RESCIND"' || fail "no offer was rescinded"
        wait_until 20 as capped offered_is cpus 1 || fail "offered: $(as capped offered cpus)"
        as capped stop_framework
        as free stop_framework
        accepted "$(set_quota capped '')"
}

test_a_guarantee_is_kept_free() {
        accepted "$(set_quota owner '{"resource":"cpus","guarantee":3},{"resource":"mem","guarantee":3000}')"
        as greedy start_framework role=greedy
        as greedy offered_is cpus 1
        as owner start_framework role=owner
        as owner offered_is cpus 3
        expect_between "$(as owner offered mem)" 3000 4096 "memory of the owner"
        as owner stop_framework
        as greedy stop_framework
        accepted "$(set_quota owner '')"
}

# It had everything: as much as is missing comes back.
test_a_new_guarantee_takes_offers_back() {
        as greedy start_framework role=greedy
        as greedy offered_is cpus 4
        accepted "$(set_quota owner '{"resource":"cpus","guarantee":3}')"
        wait_until 20 as greedy event '.type == "RESCIND"' || fail "no offer was rescinded"
        as owner start_framework role=owner
        as owner offered_is cpus 3
        wait_until 20 as greedy offered_is cpus 1 || fail "offered: $(as greedy offered cpus)"
        as owner stop_framework
        as greedy stop_framework
        accepted "$(set_quota owner '')"
}

test_what_cannot_hold_is_refused_or_forced() {
        refused 409 "$(set_quota huge '{"resource":"cpus","guarantee":40}')"
        expect_match "$SENTENCE" "the guarantees of all roles are 40 cpus, the cluster has 4 cpus"
        accepted "$(set_quota huge '{"resource":"cpus","guarantee":40}' force)"
        expect_match "$(jq -r '.warnings[0]' <<<"$ANSWER")" "40 cpus"
        expect_match "$(role_field huge '.warnings[0]')" "40 cpus"
        refused 400 '{"type":"SET_WEIGHT","set_weight":{"role":"huge","weight":0}}'
        expect_match "$SENTENCE" "a weight of 0 is not accepted"
        refused 400 "$(set_quota huge '{"resource":"cpus","guarantee":2,"limit":1}' force)"
        accepted "$(set_quota huge '')"
        expect_equal "$(role_field huge '.quotas')" "" "quota"
        ANSWER=$(setpriv --reuid 65534 --regid 65534 --clear-groups curl -s -H 'Content-Type: application/json' -d "$(set_quota huge '')" "http://127.0.0.1:$PORT/mete/v1")
        expect_match "$ANSWER" "only root may set a quota"
}

test_quotas_and_weights_outlive_the_master() {
        accepted "$(set_quota capped '{"resource":"cpus","limit":1.5}')"
        accepted '{"type":"SET_WEIGHT","set_weight":{"role":"capped","weight":2.5}}'
        restart_master
        wait_until 30 agent_active || fail "the agent did not come back"
        expect_equal "$(role_field capped .weight)" 2.5 "weight"
        expect_equal "$(get /weights | jq -c .)" '[{"role":"capped","weight":2.5}]' "/weights"
        expect_equal "$(get /quota | jq -c '.configs')" '[{"role":"capped","guarantees":{},"limits":{"cpus":{"value":1.5}}}]' "/quota"
        expect_match "$(cat "$SCRATCH/master.log")" "nothing is offered until 80 % of 1 agents are back"
        expect_match "$(cat "$SCRATCH/master.log")" "1 of 1 agents are back: offers are made"
        as capped start_framework role=capped
        as capped offered_is cpus 1.5
        as capped stop_framework
        accepted "$(set_quota capped '')"
        accepted '{"type":"SET_WEIGHT","set_weight":{"role":"capped","weight":1}}'
}
