# shellcheck shell=bash disable=SC2034,SC2119,SC2154,SC2016
# Schedulers and executors that mean harm: of users without rights, with ids of others, with numbers and floods that nobody would send.

KEY=$SCRATCH/jwt.key
AGENT_OPTIONS=(--kill-tasks-on-exit --executor-shutdown-grace-period 1s --authenticate-http-executors --jwt-secret-key "$KEY")

# A sanitizer keeps what was freed for a while.
MEMORY_FACTOR=$([ -z "$(nm -D "$BIN/mete-agent" 2>/dev/null | grep -m1 -E '__asan|__ubsan')" ] && echo 1 || echo 8)

setup_file() {
        cp "$(dirname "${BASH_SOURCE[0]}")/hostile_framework.py" "$SCRATCH/hostile_framework.py"
        (umask 077 && head -c 32 /dev/urandom | base64 -w0 >"$KEY")
        start_cluster
}
teardown_file() {
        stop_cluster
        expect_nothing_left
}
as_nobody() { setpriv --reuid nobody --regid nogroup --clear-groups /bin/sh -c 'exec "$@"' sh "$@"; }
attack() { OUT=$(as_nobody timeout 120 python3 "$SCRATCH/hostile_framework.py" "$METE_MASTER" "$@" 2>&1) || fail "attack $1: ${OUT:0:3000}"; }
memory_of() { awk '/^VmRSS/ { print $2 }' "/proc/$(cat "$SCRATCH/$1.pid")/status"; } # KiB
registrations() { grep -c 'registered with the master' "$SCRATCH/agent.log"; }
sandbox() { echo "$SCRATCH"/agent/slaves/latest/frameworks/*/executors/"$1"/runs/latest; }
flood_running() { [ -s "$SCRATCH/flood" ]; }
start_flood() { # start_flood HOW: its scheduler acknowledges nothing and lasts until FLOOD_FD is closed
        mkfifo "$SCRATCH/flood.in"
        as_nobody python3 "$SCRATCH/hostile_framework.py" "$METE_MASTER" flood "$1" <"$SCRATCH/flood.in" >"$SCRATCH/flood" 2>&1 &
        FLOOD=$!
        exec {FLOOD_FD}>"$SCRATCH/flood.in"
        wait_until 30 flood_running || fail "the flood of $1 does not run: $(cat "$SCRATCH/flood") $(tail -5 "$SCRATCH/agent.log")"
        expect_equal "$(cat "$SCRATCH/flood")" TASK_RUNNING "the executor's task"
}
stop_flood() {
        exec {FLOOD_FD}>&-
        wait "$FLOOD" || fail "$(cat "$SCRATCH/flood")"
        rm -f "$SCRATCH/flood.in" "$SCRATCH/flood"
}

# What the agent could give of root's is not had by asking the other API for it.
test_no_rights_by_asking() {
        attack rights
        expect_equal "$OUT" "framework_info.user 'root'
TASK_ERROR REASON_TASK_UNAUTHORIZED task.container.linux_info.effective_capabilities
TASK_ERROR REASON_TASK_UNAUTHORIZED task.container.linux_info.bounding_capabilities
TASK_ERROR REASON_TASK_UNAUTHORIZED task.container.rlimit_info.rlimits[0].type
TASK_ERROR REASON_TASK_UNAUTHORIZED task.executor.container.linux_info.effective_capabilities
TASK_ERROR REASON_TASK_UNAUTHORIZED task.command.user" "what the framework of nobody was told"
}

# Ids are no secrets: whoever knows them all changes nothing.
test_ids_of_others() {
        local job framework agent
        job=$(mete run -d --mem 32M -- /bin/sleep 1000)
        wait_state "$job.0" TASK_RUNNING
        agent=$(mete agents --json | jq -rs '.[0][0].agent_id // .[0][0].id')
        framework=$(curl -s "http://$METE_MASTER/state" | jq -r '[.frameworks[] | select(.tasks | length > 0)][0].id')
        attack others "$framework" "$(cat /proc/sys/kernel/random/uuid)" "$job.0" "$agent"
        expect_equal "$OUT" "framework_info.id
framework_info.user 'root'
403 403 403
202 TASK_LOST
SHUTDOWN 202
MESSAGE 202
ACKNOWLEDGE 202" "what the framework of nobody was told"
        expect_equal "$(task_state "$job.0")" TASK_RUNNING "the task of another"
        expect_status 0 mete kill --grace 0 "$job"
}

test_absurd_calls() {
        attack absurd
        expect_match "$OUT" '^offers 202 202' "a hundred thousand offers"
        expect_equal "$(grep -c '^TASK_ERROR REASON_TASK_INVALID' <<<"$OUT")" 8 "refused tasks: $OUT"
        expect_equal "$(grep -cx '400' <<<"$OUT")" 9 "refused bodies: $OUT"
        expect_equal "$(tail -n 1 <<<"$OUT")" 413 "a body of 17 MB"
        agent_active || fail "the agent is away: $(tail -5 "$SCRATCH/agent.log")"
}

# What an agent refuses to read, or cannot read in time, would cost it its connection, and everybody else their agent.
test_large_calls_do_not_disconnect_agents() {
        local before
        before=$(registrations)
        attack large
        expect_equal "$OUT" "TASK_ERROR REASON_TASK_INVALID task
framework_info
sent" "what the framework was told"
        agent_active || fail "the agent is away: $(tail -5 "$SCRATCH/agent.log")"
        expect_equal "$(registrations)" "$before" "registrations of the agent"
}

# Updates that nobody acknowledges wait in the agent's memory, which no container pays for.
test_updates_without_end() {
        local before
        before=$(memory_of agent)
        start_flood updates
        wait_until 60 test -e "$(sandbox updates)/done" || fail "the flood did not end: $(tail -5 "$SCRATCH/agent.log")"
        expect_between "$(memory_of agent)" 0 $((before + (60 << 10) * MEMORY_FACTOR)) "KiB of the agent (before: $before)"
        stop_flood
}
# Nor do messages to a master that does not answer.
test_messages_without_end() {
        local before
        before=$(memory_of agent)
        start_flood messages
        kill -STOP "$(cat "$SCRATCH/master.pid")"
        touch "$(sandbox messages)/go"
        wait_until 60 test -e "$(sandbox messages)/done" || {
                kill -CONT "$(cat "$SCRATCH/master.pid")"
                fail "the flood did not end: $(tail -5 "$SCRATCH/agent.log")"
        }
        expect_between "$(memory_of agent)" 0 $((before + (60 << 10) * MEMORY_FACTOR)) "KiB of the agent (before: $before)"
        kill -CONT "$(cat "$SCRATCH/master.pid")"
        wait_until 30 agent_active || fail "the agent is away"
        stop_flood
}

test_an_executor_that_lies() {
        attack liar
        expect_match "$OUT" '^403 403 400 400 400 202 400 400 400 TASK_FINISHED$' "the agent's answers"
        agent_active || fail "the agent is away: $(tail -5 "$SCRATCH/agent.log")"
}

# Frameworks that wait for their schedulers take places for as long as they like: a user has not all of them.
test_a_crowd_of_frameworks() {
        attack crowd 1000
        expect_match "$OUT" '^1000 frameworks of nobody are known' "what the last one was told"
        expect_status 0 timeout 60 python3 "$SCRATCH/hostile_framework.py" "$METE_MASTER" enter
        expect_equal "$OUT" SUBSCRIBED "the framework of another user"
}

test_pages_of_others() {
        attack page
        expect_equal "$OUT" $'401\n415' "the answers to a page"
}

test_secrets_stay_secret() {
        local path key
        key=$(cat "$KEY")
        for path in state flags metrics/snapshot containers; do
                expect_no_match "$(curl -s "http://127.0.0.1:$((PORT + 1))/$path")" "${key:0:20}" "the agent's /$path"
        done
        expect_no_match "$(cat "$SCRATCH/agent.log" "$SCRATCH/master.log")" "${key:0:20}" "the logs"
}
