# shellcheck shell=bash disable=SC2034,SC2119,SC2154
# Peers that are slow: what they cost is bounded. Apart from the other suites because memory means nothing under a sanitizer.

setup_file() {
        BEFORE=$(machine_objects)
        start_cluster
}
teardown_file() {
        stop_cluster
        expect_nothing_left
        expect_objects "$BEFORE"
}

# Whoever follows a task's output and does not read costs the agent a bounded buffer, not the output.
agent_rss() { awk '/VmRSS/ { print $2 }' "/proc/$(cat "$SCRATCH/agent.pid")/status"; }
test_slow_reader_costs_the_agent_little() {
        local job reader before
        job=$(mete run -d --cpus 1 --mem 32M -- /bin/sh -c "echo first; $PAYLOAD until ./go; exec $PAYLOAD lines 800000 32")
        mete logs -f "$job" >"$SCRATCH/slow" 2>/dev/null &
        reader=$!
        wait_until 20 test -s "$SCRATCH/slow" || fail "nothing to read"
        kill -STOP $reader
        before=$(agent_rss)
        touch "$(mete inspect --json "$job.0" | jq -r .sandbox)/go"
        wait_state "$job.0" TASK_FINISHED 30
        expect_between "$(cat "$(mete inspect --json "$job.0" | jq -r .sandbox)"/stdout* | wc -c)" 25600006 25600006 "bytes of output that wait"
        # It reads the rest as soon as it knows of the end: the most that it holds within the next second is what counts.
        local most=0 now end=$((SECONDS + 2))
        while [ $SECONDS -lt $end ]; do
                now=$(agent_rss)
                [ "$now" -le "$most" ] || most=$now
        done
        expect_between $((most - before)) -65536 4096 "KiB that the agent grew by"
        kill -KILL $reader
}
