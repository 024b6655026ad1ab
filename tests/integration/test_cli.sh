# shellcheck shell=bash disable=SC2034,SC2119,SC2154,SC2016,SC2012
# The verbs as a person types them.

setup_file() {
        BEFORE=$(machine_objects)
        pick_ports
        start_dev --work-dir "$SCRATCH/dev"
}
teardown_file() {
        stop dev 40
        wait_until 15 nothing_of_dev || fail "left: $(left_of_dev)"
        expect_objects "$BEFORE"
}
left_of_dev() { find /sys/fs/cgroup -maxdepth 6 -type d -path "*mete*$((PORT + 1))*" 2>/dev/null; grep -F "$SCRATCH/dev" /proc/self/mounts; }
nothing_of_dev() { [ -z "$(left_of_dev)" ]; }

test_run_gives_output_and_exit_code() {
        expect_status 7 mete run --mem 32M -- /bin/sh -c 'echo to-stdout; echo to-stderr >&2; exit 7'
        expect_equal "$OUT" to-stdout stdout
        expect_match "$ERR" to-stderr stderr
        expect_status 143 mete run --mem 32M -- /bin/sh -c 'kill -TERM $$'
        expect_status 0 mete run --mem 32M /bin/echo without dashes
        expect_equal "$OUT" "without dashes" stdout
}
test_run_streams_while_it_runs() {
        mete run --mem 32M -- /bin/sh -c 'echo first; until [ -e go ]; do sleep 0.1; done; echo second' >"$SCRATCH/live" &
        local pid=$! task
        wait_until 20 grep -q first "$SCRATCH/live" || fail "no live output"
        grep -q second "$SCRATCH/live" && fail "the end came first"
        task=$(mete ps --json | jq -r '.[-1].task_id')
        touch "$(mete inspect --json "$task" | jq -r .sandbox)/go"
        wait $pid
        expect_equal "$(tr '\n' ' ' <"$SCRATCH/live")" "first second " output
}
# 2 MB of output arrives whole and in order.
test_run_loses_no_output() {
        mete run --mem 32M -- "$PAYLOAD" lines 20000 100 >"$SCRATCH/lines"
        expect_equal "$(wc -l <"$SCRATCH/lines")" 20000 lines
        sort -c "$SCRATCH/lines" || fail "out of order"
}
test_ctrl_c_is_forwarded() {
        mete run --mem 32M -- "$PAYLOAD" trap 2 >"$SCRATCH/trap" &
        local pid=$! status=0
        wait_until 20 grep -q ready "$SCRATCH/trap" || fail "not started"
        kill -INT $pid
        wait $pid || status=$?
        expect_equal $status 42 "exit status"
        grep -q "trapped 2" "$SCRATCH/trap" || fail "the task saw no SIGINT: $(cat "$SCRATCH/trap")"
}
test_detached_logs_and_follow() {
        local job
        job=$(mete run -d --name talker --mem 32M -- /bin/sh -c 'echo one; until [ -e go ]; do sleep 0.1; done; echo two; echo err >&2')
        expect_match "$job" '^[0-9]+$' "what -d prints"
        wait_state "$job.0" TASK_RUNNING
        mete logs -f "$job" >"$SCRATCH/follow" &
        local pid=$!
        wait_until 20 grep -q one "$SCRATCH/follow" || fail "logs -f gave nothing"
        touch "$(mete inspect --json "$job.0" | jq -r .sandbox)/go"
        wait $pid || fail "logs -f failed"
        expect_equal "$(tr '\n' ' ' <"$SCRATCH/follow")" "one two " "followed output"
        expect_equal "$(mete logs --stderr "$job")" err "stderr"
}
test_rotation_bounds_the_sandbox() {
        stop dev 40
        start_master
        AGENT_OPTIONS=(--kill-tasks-on-exit --log-max-size 100K --log-files 2)
        start_agent
        local job sandbox
        job=$(mete run -d --mem 32M -- "$PAYLOAD" lines 20000 100)
        wait_state "$job.0" TASK_FINISHED
        sandbox=$(mete inspect --json "$job.0" | jq -r .sandbox)
        expect_between "$(cat "$sandbox"/stdout* | wc -c)" 100000 420000 "bytes kept"
        expect_match "$(ls "$sandbox" | tr '\n' ' ')" "stdout stdout.1 stdout.2 $" "files"
        expect_match "$(mete logs "$job" | tail -1)" "0*19999" "the last line"
        stop_cluster
        expect_nothing_left
        start_dev --work-dir "$SCRATCH/dev"
}
test_count_runs_that_many() {
        expect_status 0 mete run --count 5 --cpus 0.1 --mem 16M -- /bin/sh -c 'echo hello $MESOS_TASK_ID'
        expect_equal "$(grep -c hello <<<"$OUT")" 5 "lines"
}
test_every_printing_verb_has_json() {
        local verb
        mete run --mem 32M -- /bin/true
        for verb in "ps" "ps -a" "jobs" "jobs -a" "stats" "agents" "version" "doctor" "history" "roles" "quota" "weights" "maintenance"; do
                # shellcheck disable=SC2086
                mete $verb --json | holds 'true' >/dev/null || fail "mete $verb --json is no JSON"
        done
        local id
        id=$(mete jobs -a --json | jq -r '.[-1].job_id')
        mete inspect --json "$id" | holds '.job_id != null' >/dev/null || fail "inspect"
        mete stats --json "$id.0" | holds '.[0] | has("task_id") and has("state") and has("exit_code") and has("reason") and has("message") and has("cpu_usage_seconds") and has("cpu_throttled_seconds") and has("cpu_limit_cores") and has("runqueue_wait_seconds") and has("memory_usage_bytes") and has("memory_peak_bytes") and has("memory_limit_bytes") and has("source")' >/dev/null || fail "stats lacks a field: $(mete stats --json "$id.0")"
}
test_help_and_errors() {
        local verb
        for verb in dev run plan validate ps jobs explain logs stats kill suspend resume agents "agents drain" inspect history queue "queue set" \
                maintenance "maintenance schedule" roles quota "quota set" weights reserve volumes doctor version; do
                # shellcheck disable=SC2086
                mete $verb --help | grep -qi usage || fail "mete $verb --help"
        done
        expect_status 2 mete rnu
        expect_match "$ERR" "run" "the suggestion"
        METE_MASTER=127.0.0.1:1 expect_status 1 mete ps
        expect_match "$ERR" "127.0.0.1:1.*mete dev" "what to do"
        expect_status 2 mete run --no-such-flag -- /bin/true
        mete completion bash | bash -n || fail "completion"
}
test_roles_quotas_and_weights() {
        expect_status 0 mete weights cli-dev=2 cli-batch=0.5
        expect_status 2 mete weights cli-dev=0
        expect_status 0 mete quota set cli-dev cpus=1:2 mem=:1G
        expect_match "$(mete quota get cli-dev)" "cli-dev +cpus +1 +2 +0"
        mete roles --json cli-dev | holds '.[0].weight == 2 and (.[0].quotas | length == 2) and .[0].quotas[1].limit == 1024' >/dev/null || fail "$(mete roles --json)"
        expect_status 1 mete quota set cli-dev cpus=100000
        expect_match "$ERR" "100000" "why not"
        expect_status 0 mete quota set --force cli-dev cpus=100000
        expect_match "$ERR" "warning: .*100000" "the warning"
        expect_status 0 mete quota set cli-dev none
        mete quota --json | holds 'all(.[]; has("quotas") | not)' >/dev/null || fail "$(mete quota --json)"
}
test_agents_are_drained_and_used_again() {
        local host job
        host=$(mete agents --json | jq -r '.[0].hostname')
        expect_status 0 mete agents drain "$host"
        wait_until 20 agents_show drained || fail "$(mete agents)"
        job=$(mete run -d --mem 32M -- /bin/echo after the drain)
        expect_status 0 mete agents reactivate "$host"
        agents_show active || fail "$(mete agents)"
        wait_state "$job.0" TASK_FINISHED
        expect_status 1 mete agents drain no-such-host
        expect_match "$ERR" "no-such-host"
}
agents_show() { mete agents | grep -qw "$1"; }
test_maintenance_is_scheduled_and_cancelled() {
        local host
        host=$(mete agents --json | jq -r '.[0].hostname')
        expect_status 0 mete maintenance schedule --start +2h --duration 1h --comment "a new disk" "$host"
        expect_match "$OUT" "in about 2h.*a new disk"
        expect_status 0 mete maintenance cancel "$(mete maintenance --json | jq -r '.[0].id')"
        expect_match "$OUT" "No maintenance"
}
test_job_files_are_checked() {
        cat >"$SCRATCH/bad.json" <<'END'
{"jobs": [
  {"name": "first", "command": ["/bin/true"], "cpuss": 1}
]}
END
        expect_status 1 mete validate "$SCRATCH/bad.json"
        expect_equal "$ERR" "$SCRATCH/bad.json:2: jobs[0].cpuss: there is no such field: did you mean \"cpus\"?" "the problem"
        expect_status 1 mete run -d -f "$SCRATCH/bad.json"
        cat >"$SCRATCH/cycle.json" <<'END'
{"jobs": [{"name": "a", "command": ["/bin/true"], "after": [{"job": "b"}]},
          {"name": "b", "command": ["/bin/true"], "after": [{"job": "a"}]}]}
END
        expect_status 1 mete validate "$SCRATCH/cycle.json"
        expect_match "$ERR" "a -> b -> a"
        mete validate --schema | holds '."$defs".JobSpec.properties.cpus.maximum == 65536' >/dev/null || fail "schema"
}
test_history_remembers() {
        expect_status 3 mete run --name remembered --mem 32M -- /bin/sh -c 'exit 3'
        wait_until 10 in_history remembered || fail "$(mete history)"
        expect_match "$(mete history --name remembered --state failed --since 10m --tasks)" "remembered +failed +3 "
        mete history --name remembered --state finished --json | holds 'length == 0' >/dev/null || fail "states are not told apart"
        expect_match "$(mete stats --job remembered)" "1 jobs, 1 tasks: 0 finished, 1 failed"
}
in_history() { mete history --name "$1" --json | holds 'length == 1'; }
test_doctor_tells_what_this_host_can() {
        local rows
        rows=$(mete doctor --json)
        holds 'length >= 8 and all(.[]; has("isolation") and has("available"))' <<<"$rows" >/dev/null || fail "doctor: $rows"
        holds 'map(select(.isolation | test("seccomp"))) | .[0].available == true' <<<"$rows" >/dev/null || fail "seccomp: $rows"
}
test_queued_job_says_why() {
        local blocker job
        blocker=$(mete run -d --cpus "$(nproc)" --mem 32M -- "$PAYLOAD" until ./never)
        wait_state "$blocker.0" TASK_RUNNING
        job=$(mete run -d --cpus 1 --mem 32M -- /bin/true)
        wait_until 10 pending_reason "$job" || fail "no reason: $(mete inspect --json "$job")"
        expect_status 0 mete kill --grace 0 "$blocker"
        wait_state "$job.0" TASK_FINISHED
}
pending_reason() { mete inspect --json "$1" | holds '.pending_reason | test("cpu")'; }
test_two_agents() {
        stop dev 40
        start_dev --work-dir "$SCRATCH/dev2" --agents 2
        wait_until 30 two_active || fail "no two agents: $(mete agents --json)"
        expect_status 0 mete run --count 4 --cpus 0.5 --mem 16M -- /bin/true
        stop dev 40
        start_dev --work-dir "$SCRATCH/dev"
}
two_active() { mete agents --json | holds 'map(select(.state == "AGENT_ACTIVE")) | length == 2'; }
