# shellcheck shell=bash
# Calls of operators for the tests, and a second agent. To be sourced by a test file.

api() { # api CALL: the answer, whatever the status
        curl -s -H 'Content-Type: application/json' -d "$1" "http://127.0.0.1:$PORT/mete/v1"
}
# refused STATUS CALL: the sentence is in $SENTENCE
refused() {
        expect_equal "$(curl -s -o "$SCRATCH/refusal" -w '%{http_code}' -H 'Content-Type: application/json' -d "$2" "http://127.0.0.1:$PORT/mete/v1")" "$1" "status of $2"
        SENTENCE=$(jq -r .message "$SCRATCH/refusal")
}
accepted() { # accepted CALL: the answer is in $ANSWER
        ANSWER=$(api "$1")
        holds 'has("type")' <<<"$ANSWER" >/dev/null || fail "$1: $ANSWER"
}
set_quota() { # set_quota ROLE QUOTAS [force]
        printf '{"type":"SET_QUOTA","set_quota":{"role":"%s","quotas":[%s],"force":%s}}' "$1" "$2" "$([ -n "${3:-}" ] && echo true || echo false)"
}
get() { curl -s "http://127.0.0.1:$PORT$1"; } # get PATH

# ---- agents, by their host names ------------------------------------------------------------------------------

start_agent2() { # start_agent2 [OPTION...]
        mete-agent --master "127.0.0.1:$PORT" --port $((PORT + 2)) --work-dir "$SCRATCH/agent2" --hide "$SCRATCH/master" --runtime-dir "$SCRATCH/run2" \
                --cgroup-root "$CGROUP_ROOT-2" --hostname second "${AGENT_OPTIONS[@]}" "$@" >>"$SCRATCH/agent2.log" 2>&1 &
        echo $! >"$SCRATCH/agent2.pid"
        wait_until 30 active_agents 2 || fail "the second agent did not register: $(tail -5 "$SCRATCH/agent2.log")"
}
active_agents() { mete agents --json | holds "[.[] | select(.state == \"AGENT_ACTIVE\")] | length == $1"; }
agent_field() { mete agents --json | jq -r --arg h "$1" ".[] | select(.hostname == \$h) | $2"; } # agent_field HOST FILTER
agent_is() { mete agents --json | holds "any(.[]; .hostname == \"$1\" and ($2))" >/dev/null; } # agent_is HOST FILTER
agent_of_task() { mete inspect --json "$1" | jq -r '.agent_id // ""'; }
runs_on() { # runs_on TASK HOST
        state_is "$1" TASK_RUNNING && [ "$(agent_of_task "$1")" = "$(agent_field "$2" .agent_id)" ]
}
host_of() { agent_is first ".agent_id == \"$(agent_of_task "$1")\"" && echo first || echo second; } # host_of TASK
other() { [ "$1" = first ] && echo second || echo first; }

restart_master() { # restart_master [OPTION...]
        kill_hard master
        start_master "$@"
}
