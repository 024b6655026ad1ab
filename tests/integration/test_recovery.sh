# shellcheck shell=bash disable=SC2034,SC2119,SC2154,SC2016,SC2012
# kill -9 of agent and master while tasks run: nothing is lost, nothing is reported twice.

setup_file() {
        BEFORE=$(machine_objects)
        AGENT_OPTIONS=() # tasks outlive this agent
        start_cluster
        mete_events &
        EVENTS_PID=$!
}
# Every event of the master, one JSON document a line, for counting how often an end was reported.
mete_events() {
        curl -sN -X POST -H 'Content-Type: application/json' -H 'Accept: application/json' -d '{"type":"SUBSCRIBE","subscribe":{}}' \
                "http://127.0.0.1:$PORT/mete/v1" | sed -u -E 's/[0-9]+$//' >"$SCRATCH/events"
}
ends_reported() { # of one task: every event that tells of its end; a repeated one counts again
        grep -a '"type":"TASK"' "$SCRATCH/events" | sed 's/^[0-9]*{/{/' | jq -r --arg t "$1" 'select(.task.task_id == $t) | .task.state' 2>/dev/null |
                grep -cE 'TASK_(FINISHED|FAILED|KILLED|LOST)'
}
teardown_file() {
        AGENT_OPTIONS=(--kill-tasks-on-exit)
        stop agent 30
        start_agent
        stop_cluster
        kill "$EVENTS_PID" 2>/dev/null || true
        expect_nothing_left
        expect_objects "$BEFORE"
}

test_tasks_outlive_the_agent_and_are_adopted() {
        local job task pid
        job=$(mete run -d --cpus 0.2 --mem 32M -- "$PAYLOAD" until ./go)
        task=$job.0
        wait_state "$task" TASK_RUNNING
        pid=$(init_of_task)
        kill_agent
        [ -d "/proc/$pid" ] || fail "the task died with the agent"
        start_agent
        wait_state "$task" TASK_RUNNING
        [ "$(init_of_task)" = "$pid" ] || fail "another process after adoption"
        touch "$(sandbox_of "$task")/go"
        wait_state "$task" TASK_FINISHED
        expect_equal "$(stat_of "$task" exit_code)" 0 exit_code
        expect_equal "$(ends_reported "$task")" 1 "ends reported"
}
init_of_task() { find /sys/fs/cgroup -path "*$CGROUP_ROOT/containers/*/cgroup.procs" -exec cat {} + 2>/dev/null | sort -n | head -1; }
sandbox_of() { mete inspect --json "$1" | jq -r .sandbox; }

# What a death in the middle of a write leaves, and what earlier agents left, is in nobody's way.
test_torn_and_foreign_checkpoints_are_cleaned_up() {
        local job task file containers=$SCRATCH/agent/meta/containers
        job=$(mete run -d --cpus 0.2 --mem 32M -- "$PAYLOAD" until ./go)
        task=$job.0
        wait_state "$task" TASK_RUNNING
        kill_agent
        file=$(find "$containers" -mindepth 1 -maxdepth 1)
        head -c 21 "$file" >"$SCRATCH/torn"
        cat "$SCRATCH/torn" >>"$file"
        mkdir "$containers/old" && touch "$containers/old/task" "$containers/.x.tmp"
        start_agent
        wait_state "$task" TASK_RUNNING
        expect_equal "$(find "$containers" -mindepth 1 -maxdepth 1)" "$file" "checkpoints"
        expect_equal "$(grep -c 'WARNING.*older format' "$SCRATCH/agent.log")" 1 "warnings"
        ! tail -c 21 "$file" | cmp -s - "$SCRATCH/torn" || fail "the torn record is still there"
        touch "$(sandbox_of "$task")/go"
        wait_state "$task" TASK_FINISHED
        expect_equal "$(ends_reported "$task")" 1 "ends reported"
}

test_exits_while_the_agent_was_dead_are_reported_once() {
        local jobs=() job task i code
        for code in 0 3 7; do
                jobs+=("$(mete run -d --cpus 0.1 --mem 32M -- /bin/sh -c "until [ -e go ]; do sleep 0.1; done; exit $code")")
        done
        for job in "${jobs[@]}"; do wait_state "$job.0" TASK_RUNNING; done
        kill_agent
        for job in "${jobs[@]}"; do touch "$(sandbox_of "$job.0")/go"; done
        wait_until 20 no_task_processes || fail "the tasks did not end"
        start_agent
        i=0
        for code in 0 3 7; do
                task=${jobs[$i]}.0 i=$((i + 1))
                wait_state "$task" "$([ $code = 0 ] && echo TASK_FINISHED || echo TASK_FAILED)"
                expect_equal "$(stat_of "$task" exit_code)" $code "exit code of $task"
                expect_equal "$(ends_reported "$task")" 1 "ends reported of $task"
                [ -n "$(stat_of "$task" memory_peak_bytes)" ] || fail "no final usage of $task"
        done
}
no_task_processes() { [ -z "$(find /sys/fs/cgroup -path "*$CGROUP_ROOT/containers/*" -name cgroup.procs -exec cat {} + 2>/dev/null)" ]; }

test_killed_shim_is_a_failure_that_says_so() {
        local job task shim
        job=$(mete run -d --cpus 0.1 --mem 32M -- "$PAYLOAD" until ./never)
        task=$job.0
        wait_state "$task" TASK_RUNNING
        shim=$(awk '{ print $4 }' "/proc/$(init_of_task)/stat")
        expect_match "$(cat "/proc/$shim/comm")" "mete-shim" "the parent of init"
        kill -KILL "$shim"
        wait_state "$task" TASK_FAILED
        expect_match "$(stat_of "$task" message)" "shim" message
        wait_until 10 no_task_processes || fail "processes of the task are left"
}

test_master_restart_keeps_jobs() {
        local running queued ended
        ended=$(mete run -d --mem 32M -- /bin/true)
        wait_state "$ended.0" TASK_FINISHED
        running=$(mete run -d --cpus 0.2 --mem 32M -- "$PAYLOAD" until ./go)
        wait_state "$running.0" TASK_RUNNING
        queued=$(mete run -d --cpus "$(nproc)" --mem 32M -- /bin/true) # no room while the other runs
        kill_hard master
        start_master
        wait_until 30 agent_active || fail "the agent did not come back to the new master"
        wait_state "$running.0" TASK_RUNNING
        state_is "$ended.0" TASK_FINISHED || fail "the ended task was forgotten"
        touch "$(sandbox_of "$running.0")/go"
        wait_state "$running.0" TASK_FINISHED
        wait_state "$queued.0" TASK_FINISHED
}
# What ends while the master is away is reported when it is back.
test_ends_without_a_master_arrive_later() {
        local job
        job=$(mete run -d --cpus 0.2 --mem 32M -- "$PAYLOAD" until ./go)
        wait_state "$job.0" TASK_RUNNING
        local sandbox
        sandbox=$(sandbox_of "$job.0")
        kill_hard master
        touch "$sandbox/go"
        wait_until 20 no_task_processes || fail "the task did not end"
        start_master
        wait_state "$job.0" TASK_FINISHED 40
}
# A reboot, as the agent sees it: another boot id, and no process of the old boot.
test_reboot_reports_tasks_lost() {
        local job task
        job=$(mete run -d --cpus 0.2 --mem 32M -- "$PAYLOAD" until ./never)
        task=$job.0
        wait_state "$task" TASK_RUNNING
        kill_agent
        local shim
        shim=$(awk '{ print $4 }' "/proc/$(init_of_task)/stat")
        kill -KILL "$shim" "$(init_of_task)"
        wait_until 10 no_task_processes || fail "processes are left"
        echo 01234567-89ab-4def-8123-456789abcdef >"$SCRATCH/boot_id"
        AGENT_WRAPPER=(unshare -m sh -c "mount --bind '$SCRATCH/boot_id' /proc/sys/kernel/random/boot_id && exec \"\$@\"" sh)
        start_agent
        AGENT_WRAPPER=()
        wait_state "$task" TASK_LOST
        expect_match "$(stat_of "$task" message)" "restart|reboot" message
        kill_agent
        start_agent
        expect_equal "$(task_state "$task")" TASK_LOST "state later"
}
