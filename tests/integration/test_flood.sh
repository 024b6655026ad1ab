# shellcheck shell=bash
# Thousands of tasks of simulated agents and one framework, through a master that is killed in the middle: what agents ran, the framework
# hears the end of, all of it and nothing else.

setup_file() {
        pick_ports
}
teardown_file() {
        stop master 20
}

start_sim_agents() { # start_sim_agents OPTION...
        mete-sim agents --master "127.0.0.1:$PORT" --json "$@" >"$SCRATCH/sim-agents.json" 2>"$SCRATCH/sim-agents.log" &
        echo $! >"$SCRATCH/sim.pid"
}
# What a master counts begins anew with it.
finished() { curl -s "http://127.0.0.1:$PORT/metrics/snapshot" | jq -e --argjson n "$1" '."master/tasks_finished" >= $n'; }

# flood TASKS UPDATES-EACH DEATHS: the master dies when a part of the tasks is finished in its life. What a death can take with it is
# bounded by what is in flight, so that enough is left for the next.
flood() {
        local tasks=$1 deaths=$3 scheduler death report agents
        # Agents of a run before that said no goodbye would be waited for: a master is silent about tasks while any may still come back.
        stop master 20
        rm -rf "$SCRATCH/master"
        start_master
        start_sim_agents --count 20 --extra-updates "$2"
        mete-sim scheduler --master "127.0.0.1:$PORT" --tasks "$tasks" --batch 20 --in-flight 400 --rate 1000 --json >"$SCRATCH/sim.json" 2>"$SCRATCH/sim.log" &
        scheduler=$!
        for death in $(seq "$deaths"); do
                wait_until 60 finished $((tasks / (2 * deaths))) || fail "death $death: the tasks do not get on: $(cat "$SCRATCH/sim.log")"
                kill_hard master
                start_master
        done
        wait $scheduler || fail "the scheduler: $(cat "$SCRATCH/sim.log")"
        kill -TERM "$(cat "$SCRATCH/sim.pid")"
        wait "$(cat "$SCRATCH/sim.pid")" || fail "the agents: $(cat "$SCRATCH/sim-agents.log")"
        report=$(cat "$SCRATCH/sim.json") agents=$(cat "$SCRATCH/sim-agents.json")
        echo "$report"
        echo "$agents"
        jq -e --argjson n "$tasks" '.tasks == $n and .unknown_updates == 0' <<<"$report" || fail "not every task has a final state: $report"
        jq -e --argjson d "$deaths" '.subscriptions == $d + 1' <<<"$report" || fail "subscriptions: $report"
        # A call that was on its way when the master died may be gone; what reached an agent ran once and ended, and is known to have.
        jq -ne --argjson r "$report" --argjson a "$agents" '$a.launched == $r.finished and $a.repeated_launches == 0 and $a.kills == 0' ||
                fail "what ran is not what the scheduler knows: $report $agents"
        [ "$deaths" != 0 ] || expect_equal "$(jq .finished <<<"$report")" "$tasks" "finished without a death"
}

test_every_end_arrives() { flood 1000 0 0; }
test_every_end_arrives_though_the_master_dies() { flood 6000 1 3; }
