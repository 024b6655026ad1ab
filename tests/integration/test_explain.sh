# shellcheck shell=bash disable=SC2034,SC2119,SC2120
# Why a job waits, when it starts, and what a plan says of one that is not submitted.

# shellcheck source=tests/integration/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
AGENT_OPTIONS=(--kill-tasks-on-exit --cpus 4 --mem 2G --attributes rack:r1)

setup_file() { start_cluster; }
teardown_file() {
        stop_cluster
        expect_nothing_left
}

call() { curl -sS --max-time 20 -H 'Content-Type: application/json' -d "$1" "http://127.0.0.1:$PORT/mete/v1"; }
explanation() { call "{\"type\":\"EXPLAIN\",\"explain\":{\"job_id\":\"$1\"}}" | jq -r ".explanation$2"; } # explanation JOB FILTER
reason_is() { [ "$(explanation "$1" .reason)" = "$2" ]; }
expect_reason() { wait_until 20 reason_is "$1" "$2" || fail "job $1: expected $2, explained as $(explanation "$1" '')"; }
# submit JSON of a job: its id
submit() { call "{\"type\":\"SUBMIT\",\"submit\":{\"job\":{\"command\":[\"sleep\",\"1000\"],\"memory_bytes\":16777216,$1}}}" | jq -r .job.job_id; }
end() { mete kill "$@" >/dev/null; }

test_resources_and_expected_start() {
        local long short
        long=$(submit '"cpus":3,"duration_seconds":600')
        expect_reason "$long" NONE
        short=$(submit '"cpus":2,"duration_seconds":60')
        expect_reason "$short" RESOURCES
        expect_equal "$(explanation "$short" '| "\(.missing_resource) \(.missing) \(.machines) \(.machines_large) \(.machines_free)"')" "cpus 1 1 1 0" "what is missing"
        expect_between "$(explanation "$short" ".expected_start - $(date +%s)")" 500 605 "expected start"
        expect_between "$(explanation "$short" ".expected_end - $(date +%s)")" 560 665 "expected end"
        expect_status 0 mete explain "$short"
        expect_match "$OUT" cpus "a person's view"
        end "$short" "$long"
}

test_constraints_and_dependencies() {
        local job other
        job=$(submit '"constraints":["rack=r2"]')
        expect_reason "$job" CONSTRAINTS
        expect_equal "$(explanation "$job" '.warnings | length')" 1 "warnings"
        other=$(submit "\"after\":[{\"job\":\"$job\"}]")
        expect_reason "$other" DEPENDENCY
        expect_equal "$(explanation "$other" .blocking_job)" "$job" "the one waited for"
        end "$other" "$job"
        job=$(submit '"constraints":["rack=r1"]')
        expect_reason "$job" NONE
        end "$job"
}

test_impossible_for_the_role() {
        local job
        expect_status 0 mete queue set small
        expect_status 0 mete quota set small cpus=:1
        expect_status 0 mete run -d --queue small --cpus 2 -- true
        job=$OUT
        expect_match "$ERR" 'warning: the quota of its role allows 1 cpus in all, and a task needs 2 cpus'
        expect_reason "$job" QUOTA
        expect_equal "$(explanation "$job" '| "\(.limiting_role) \(.warnings | length)"')" "small 1" "who stops it, and warnings"
        expect_status 0 mete run --queue small --cpus 1 -- true # nobody else is
        expect_status 0 mete quota set small cpus=:2
        wait_until 20 ended_well "$job" || fail "a higher limit does not start it: $(explanation "$job" '')"
        expect_status 0 mete quota set small none
        expect_status 0 mete queue remove small
}
ended_well() { [ "$(mete inspect --json "$1" | jq -r .state)" = JOB_FINISHED ]; }

test_guarantees_of_others() {
        local plan job
        plan=$(call '{"type":"PLAN","plan":{"job":{"command":["true"],"cpus":4}}}' | jq .explanation)
        expect_equal "$(jq -r .reason <<<"$plan")" NONE "a plan on an idle machine: $plan"
        expect_status 0 mete quota set owner cpus=3.5
        plan=$(call '{"type":"PLAN","plan":{"job":{"command":["true"]}}}' | jq .explanation)
        expect_equal "$(jq -r '"\(.reason) \(.limiting_role)"' <<<"$plan")" "QUOTA owner" "a plan: $plan"
        job=$(submit '"cpus":1')
        expect_reason "$job" QUOTA
        expect_status 0 mete quota set owner none
        expect_reason "$job" NONE
        end "$job"
}

test_plans() {
        local plan before after
        before=$(mete jobs --all --json | jq length)
        plan=$(call '{"type":"PLAN","plan":{"job":{"command":["true"],"gang":true,"count":50}}}' | jq .explanation)
        expect_equal "$(jq -r '"\(.reason) \(.warnings | length)"' <<<"$plan")" "GANG_TOO_LARGE 1" "a gang that is too large"
        plan=$(call '{"type":"PLAN","plan":{"job":{"command":["true"],"cpus":64}}}')
        expect_equal "$(jq -r .field <<<"$plan")" plan.job.cpus "field"
        plan=$(call '{"type":"PLAN","plan":{"job":{"command":["true"],"deadline":1}}}')
        expect_equal "$(jq -r .field <<<"$plan")" plan.job.deadline "field"
        expect_status 0 mete plan --cpus 1 -- true
        after=$(mete jobs --all --json | jq length)
        expect_equal "$after" "$before" "jobs: a plan submits nothing"
}

# The estimate of a job that does not say how long it runs comes from its earlier runs.
test_durations_are_learned() {
        local hog job
        expect_status 0 mete run --name learned -- sleep 0.5
        expect_status 0 mete run --name learned -- sleep 0.5
        hog=$(submit '"cpus":4,"duration_seconds":100')
        expect_reason "$hog" NONE
        job=$(submit '"cpus":1,"name":"learned"')
        expect_reason "$job" RESOURCES
        expect_equal "$(explanation "$job" .duration_source)" history "where the duration comes from"
        expect_between "$(explanation "$job" .expected_duration_seconds)" 0.3 20 "expected duration"
        end "$job" "$hog"
}
