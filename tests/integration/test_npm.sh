# shellcheck shell=bash
# mesos-framework from the npm registry, a client of the v1 API that nobody here wrote, launches, kills, reconciles and fails over.

setup_file() {
        start_cluster
}
teardown_file() {
        stop_cluster
        expect_nothing_left
}

drive() { # drive LOG PART ARGUMENT...
        local log=$1
        shift
        NPM_MODULES=$BUILD/npm/node_modules node --no-deprecation tests/integration/npm/scheduler.js "$PORT" "$@" >"$SCRATCH/$log" 2>&1
}
said() { grep -q "$2" "$SCRATCH/$1"; }
expect_said() { wait_until 60 said "$1" "$2" || fail "$1 never said \"$2\": $(cat "$SCRATCH/$1")"; }

test_unmodified_client() {
        local framework task first second
        drive npm-1 launch &
        first=$!
        expect_said npm-1 '^framework'
        read -r _ framework _ task < <(grep '^framework' "$SCRATCH/npm-1")

        drive npm-2 takeover "$framework" "$task" &
        second=$!
        expect_said npm-1 '^failed over'
        wait $first || fail "the first scheduler: $(cat "$SCRATCH/npm-1")"

        expect_said npm-2 '^ready for the death'
        kill_hard master
        start_master
        wait $second || fail "the second scheduler: $(cat "$SCRATCH/npm-2")"
        expect_match "$(cat "$SCRATCH/npm-2")" 'torn down'
        expect_equal "$(curl -s "http://127.0.0.1:$PORT/frameworks" | jq -r --arg id "$framework" '[.completed_frameworks[] | select(.id == $id)] | length')" 1 "completed frameworks with the id"
}
