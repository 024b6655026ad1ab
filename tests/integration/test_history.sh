# shellcheck shell=bash disable=SC2034,SC2119,SC2120
# Jobs that ended: records of real runs, with what they used, over kill -9 of the master; whose environment is shown to whom.

# shellcheck source=tests/integration/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
AGENT_OPTIONS=(--kill-tasks-on-exit --cpus 4 --mem 2G)

setup_file() { start_cluster; }
teardown_file() {
        stop_cluster
        expect_nothing_left
}

history_of() { mete history --name "$1" --json "${@:2}"; }
# history_has NAME N
history_has() { [ "$(history_of "$1" | jq length)" = "$2" ]; }
call() { curl -sS --max-time 20 -H 'Content-Type: application/json' -d "$1" "http://127.0.0.1:$PORT/mete/v1"; }

test_runs_are_recorded() {
        for _ in 1 2 3; do
                expect_status 0 mete run --name ended --cpus 0.5 -- sh -c 'i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done'
        done
        expect_status 7 mete run --name ended -- sh -c 'exit 7'
        wait_until 10 history_has ended 4 || fail "history: $(history_of ended)"
        local text
        text=$(history_of ended --tasks)
        expect_equal "$(jq -r '[.[].state] | join(" ")' <<<"$text")" "JOB_FAILED JOB_FINISHED JOB_FINISHED JOB_FINISHED" "states"
        expect_equal "$(jq -r '.[0].tasks[0].exit_code' <<<"$text")" 7 "exit code"
        expect_equal "$(jq -r 'all(.[].tasks[]; .started >= .submitted and .finished >= .started)' <<<"$text")" true "times"
        expect_equal "$(jq -r 'all(.[1:][].tasks[]; .usage.cpu_usage_seconds > 0)' <<<"$text")" true "usage"
        expect_equal "$(history_of ended --state failed | jq length)" 1 "failed ones"
        expect_equal "$(history_of ended --limit 2 | jq length)" 2 "a page"
}

test_figures_over_runs() {
        local stats
        wait_until 10 history_has ended 4 || fail "history: $(history_of ended)"
        stats=$(call '{"type":"JOB_STATS","job_stats":{"job":"ended"}}' | jq '.stats[0]')
        expect_equal "$(jq -r '"\(.jobs) \(.tasks) \(.tasks_finished) \(.tasks_failed)"' <<<"$stats")" "4 4 3 1" "counts"
        expect_equal "$(jq -r '.run_seconds_p50 > 0 and .run_seconds_p50 <= .run_seconds_p90 and .run_seconds_p90 <= .run_seconds_max' <<<"$stats")" \
                true "run times: $stats"
        expect_equal "$(jq -r '.cpu_seconds_mean > 0 and .memory_peak_bytes_max >= .memory_peak_bytes_p90' <<<"$stats")" true "use: $stats"
        expect_status 0 mete stats --job ended
        expect_match "$OUT" ended "a person's view"
}

# How long runs took is reckoned with, also by a master that was stopped in between.
test_the_history_survives_the_master() {
        local before after
        before=$(history_of ended --tasks)
        kill_hard master
        start_master
        wait_until 30 agent_active || fail "the agent did not come back"
        after=$(history_of ended --tasks)
        expect_equal "$after" "$before" "history after kill -9"
        expect_status 0 mete run --name ended -- true # what was learned just before a crash is forgotten
        stop master 20
        start_master
        wait_until 30 agent_active || fail "the agent did not come back"
        expect_match "$(call '{"type":"JOB_STATS","job_stats":{"job":"ended"}}')" '"expected_duration_seconds"' "estimates after a restart"
}

test_environments_are_for_their_owner() {
        expect_status 0 mete run --name secret --env TOKEN=hidden -- true
        wait_until 10 history_has secret 1 || fail "history: $(history_of secret)"
        expect_match "$(call '{"type":"HISTORY","history":{"name":"secret"}}')" hidden "root's view"
        expect_no_match "$(setpriv --reuid 65534 --regid 65534 --clear-groups curl -sS --max-time 20 -H 'Content-Type: application/json' \
                -d '{"type":"HISTORY","history":{"name":"secret"}}' "http://127.0.0.1:$PORT/mete/v1")" hidden "a stranger's view"
}

test_the_oldest_are_forgotten() {
        stop master 20
        start_master --history-jobs 2
        wait_until 20 only_two || fail "history: $(mete history --json)"
        expect_equal "$(mete history --json | jq -r '.[0].spec.name')" secret "the newest"
        stop master 20
        start_master
        wait_until 30 agent_active || fail "the agent did not come back"
        only_two || fail "what was forgotten came back"
}
only_two() { [ "$(mete history --json | jq length)" = 2 ]; }
