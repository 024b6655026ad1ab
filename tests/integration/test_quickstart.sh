# shellcheck shell=bash disable=SC2034,SC2154
# The first thing that anybody types: the quickstart runs real work, names the kill, leaves nothing, and is quick the second time.

setup_file() { BEFORE=$(machine_objects); }
teardown_file() { expect_objects "$BEFORE"; }

quickstart() { "${METE_SOURCE:-.}/deploy/quickstart" "$@"; }

test_second_run_is_quick_and_leaves_nothing() {
        local begin=$SECONDS
        expect_status 0 quickstart
        expect_between $((SECONDS - begin)) 0 $((20 * SLOW)) "seconds of a run with everything built"
        expect_match "$OUT" "memory limit reached: cgroup .* peak" "the kill and its cause"
        expect_match "$OUT" "compress +finished +0" "the real work"
        expect_match "$OUT" "exited with 137" "the exit code of the kill"
        expect_equal "$(find /sys/fs/cgroup -maxdepth 4 -type d -path '*/mete/agent-1605*' 2>/dev/null)" "" "cgroups left"
        expect_no_match "$(cat /proc/self/mounts)" '/run/mete/agent-1605' "mounts left"
}
