# shellcheck shell=bash
# URIs of command tasks, through the scheduler API to the files in the sandbox.

SCHEDULER=$(dirname "${BASH_SOURCE[0]}")/scheduler.py WEB_SERVER=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/web.py

setup_file() {
        mkdir -p "$SCRATCH/web/held" "$SCRATCH/local"
        chmod 755 "$SCRATCH" "$SCRATCH/web" "$SCRATCH/local"
        start_cluster
        (cd "$SCRATCH/web" && exec python3 -u "$WEB_SERVER" $((PORT + 2))) >"$SCRATCH/web.log" 2>&1 &
        echo $! >"$SCRATCH/web.pid"
        wait_until 10 curl -sf "http://127.0.0.1:$((PORT + 2))/" || fail "no web server"
        WEB=http://127.0.0.1:$((PORT + 2))
}
teardown_file() {
        kill "$(cat "$SCRATCH/web.pid")"
        stop_cluster
        expect_nothing_left
}

# run_task URIS COMMAND: the statuses into $SCRATCH/statuses; $LAST is the last one.
run_task() {
        jq -n --argjson uris "$1" --arg command "$2" --arg id "t-$RANDOM$RANDOM" \
                '{task_id: {value: $id}, command: {value: $command, uris: $uris}}' >"$SCRATCH/task.json"
        python3 "$SCHEDULER" "127.0.0.1:$PORT" "$SCRATCH/task.json" >"$SCRATCH/statuses" 2>"$SCRATCH/scheduler.log" ||
                fail "$(cat "$SCRATCH/scheduler.log" "$SCRATCH/statuses")"
        LAST=$(tail -n 1 "$SCRATCH/statuses")
}
expect_finished() { expect_equal "$(jq -r .state <<<"$LAST")" TASK_FINISHED "the state of $LAST"; }
# expect_failed URI TEXT
expect_failed() {
        expect_equal "$(jq -r '.state + " " + .reason' <<<"$LAST")" "TASK_FAILED REASON_CONTAINER_LAUNCH_FAILED" "the end: $LAST"
        expect_match "$(jq -r .message <<<"$LAST")" "$2" "its message"
        [[ $(jq -r .message <<<"$LAST") == *"$1"* ]] || fail "the message does not name $1: $LAST"
}

test_files_arrive() {
        echo one >"$SCRATCH/web/one"
        echo '#!/bin/sh' >"$SCRATCH/local/program"
        echo two >"$SCRATCH/local/two"
        run_task "[{\"value\": \"$WEB/one?x=1\"}, {\"value\": \"$WEB/one\", \"output_file\": \"a/b/c\"},
                {\"value\": \"file://$SCRATCH/local/program\", \"executable\": true}, {\"value\": \"$SCRATCH/local/two\"}]" \
                "test \"\$(cat 'one?x=1' a/b/c two)\" = \"\$(printf 'one\\none\\ntwo')\" && ./program && test \$(stat -c %a:%U program) = 755:nobody"
        expect_finished
}

test_archives_are_unpacked() {
        mkdir -p "$SCRATCH/pack/d"
        echo in >"$SCRATCH/pack/d/in"
        tar -C "$SCRATCH/pack" -czf "$SCRATCH/web/a.tar.gz" d
        tar -C "$SCRATCH/pack" -cJf "$SCRATCH/web/b.txz" --transform 's,^d,e,' d
        tar -C "$SCRATCH/pack" -cf "$SCRATCH/web/c.tar" --transform 's,^d,f,' d
        gzip -c "$SCRATCH/pack/d/in" >"$SCRATCH/web/g.gz"
        run_task "[{\"value\": \"$WEB/a.tar.gz\"}, {\"value\": \"$WEB/b.txz\", \"cache\": true}, {\"value\": \"$WEB/c.tar\", \"extract\": false}, {\"value\": \"$WEB/g.gz\"}]" \
                "cat d/in e/in g && test -e a.tar.gz && ! test -e b.txz && test -e c.tar && ! test -e f"
        expect_finished
}

test_archives_do_not_climb() {
        mkdir -p "$SCRATCH/pack/d"
        echo content >"$SCRATCH/pack/d/in"
        ln -sfn / "$SCRATCH/pack/root"
        tar -C "$SCRATCH/pack" -czf "$SCRATCH/web/climb.tar.gz" -P --transform 's,^in,../../climbed,' -C d in
        run_task "[{\"value\": \"$WEB/climb.tar.gz\"}]" true
        expect_failed "$WEB/climb.tar.gz" "no name below|not one of a file"
        tar -C "$SCRATCH/pack" -czf "$SCRATCH/web/link.tar.gz" root
        run_task "[{\"value\": \"$WEB/link.tar.gz\"}]" true
        expect_failed "$WEB/link.tar.gz" "out of the sandbox"
        [ -z "$(find "$SCRATCH/agent" -name 'climbed*')" ] || fail "an entry climbed"
}

test_failures_name_the_uri() {
        run_task "[{\"value\": \"$WEB/missing\"}]" true
        expect_failed "$WEB/missing" "status 404"
        run_task '[{"value": "http://127.0.0.1:1/x"}]' true
        expect_failed http://127.0.0.1:1/x "connect"
        run_task '[{"value": "hdfs://n/x"}]' true
        expect_failed hdfs://n/x "http, https, file"
        run_task '[{"value": "/etc/hostname", "output_file": "../x"}]' true
        expect_failed ../x "stays in the sandbox"
}

test_the_user_decides_what_can_be_read() {
        echo secret >"$SCRATCH/local/secret"
        chmod 600 "$SCRATCH/local/secret"
        run_task "[{\"value\": \"$SCRATCH/local/secret\"}]" true
        expect_failed "$SCRATCH/local/secret" "task's user"
        run_task '[{"value": "/etc/shadow"}]' true
        expect_failed /etc/shadow "Permission denied"
        run_task '[{"value": "/proc/self/environ"}]' true
        expect_failed /proc/self/environ "regular file"
        run_task '[{"value": "/dev/zero"}]' true
        expect_failed /dev/zero "regular file"
        # What belongs to the agent is nobody's, also where everybody may read it.
        mkdir -p "$SCRATCH/agent/public" && echo x >"$SCRATCH/agent/public/x" && chmod -R a+rX "$SCRATCH/agent/public"
        ln -sfn "$SCRATCH/agent/public/x" "$SCRATCH/local/way"
        run_task "[{\"value\": \"$SCRATCH/local/way\"}]" true
        expect_failed "$SCRATCH/local/way" "hidden"
        rm -r "$SCRATCH/agent/public"
}

test_the_cache_downloads_once() {
        local before after
        echo cached >"$SCRATCH/web/cached"
        before=$(grep -c 'GET /cached ' "$SCRATCH/web.log")
        run_task "[{\"value\": \"$WEB/cached\", \"cache\": true}]" "grep -q cached cached && echo changed >cached"
        expect_finished
        run_task "[{\"value\": \"$WEB/cached\", \"cache\": true}]" "grep -q '^cached' cached"
        expect_finished
        after=$(grep -c 'GET /cached ' "$SCRATCH/web.log")
        expect_equal $((after - before)) 1 "downloads of a cached file"
        run_task "[{\"value\": \"$WEB/cached\"}]" true
        expect_equal $(($(grep -c 'GET /cached ' "$SCRATCH/web.log") - after)) 1 "downloads past the cache"
}

# ---- fetches that last ----

# begin_task NAME URIS COMMAND [ACTION...]: in the background, its statuses into $SCRATCH/NAME.statuses.
begin_task() {
        jq -n --argjson uris "$2" --arg command "$3" --arg id "$1" \
                '{task_id: {value: $id}, command: {value: $command, uris: $uris}, resources:
                [{name: "cpus", type: "SCALAR", scalar: {value: 0.1}}, {name: "mem", type: "SCALAR", scalar: {value: 64}}]}' >"$SCRATCH/$1.json"
        python3 "$SCHEDULER" "127.0.0.1:$PORT" "$SCRATCH/$1.json" "${@:4}" >"$SCRATCH/$1.statuses" 2>"$SCRATCH/$1.log" &
}
end_of() { jq -r 'select(.state | IN("TASK_STARTING", "TASK_RUNNING") | not) | .state + " " + .reason + ": " + .message' "$SCRATCH/$1.statuses" | head -n 1; }
has_ended() { [ -n "$(end_of "$1")" ]; }
wait_end() { wait_until 30 has_ended "$1" || fail "$1 does not end: $(cat "$SCRATCH/$1.statuses" "$SCRATCH/$1.log"; tail -5 "$SCRATCH/agent.log")"; }
downloads() { grep -c "GET $1 " "$SCRATCH/web.log" || true; }
downloads_are() { [ "$(downloads "$1")" = "$2" ]; }
hold() { # hold NAME: a file that does not come before release NAME
        head -c 100000 /dev/zero >"$SCRATCH/web/held/$1"
        rm -f "$SCRATCH/web/held/$1.go"
}
release() { touch "$SCRATCH/web/held/$1.go"; }
fetching() { wait_until 20 downloads_are "/held/$1" 1 || fail "the download of $1 does not begin: $(tail -5 "$SCRATCH/agent.log")"; }
fetches() { find /sys/fs/cgroup -maxdepth 6 -type d -path "*/$CGROUP_ROOT/fetches/*" | wc -l; }
no_fetch() { [ "$(fetches)" = 0 ]; }
fetcher_metric() { curl -s "http://127.0.0.1:$((PORT + 1))/metrics/snapshot" | jq ".\"containerizer/fetcher/$1\""; }

test_a_kill_ends_the_fetch() {
        hold killed
        begin_task killed "[{\"value\": \"$WEB/held/killed\"}]" true "$SCRATCH/kill=kill:{\"task_id\": {\"value\": \"killed\"}}"
        fetching killed
        [ "$(fetches)" -gt 0 ] || fail "no cgroup of a fetch"
        touch "$SCRATCH/kill"
        wait_end killed
        expect_match "$(end_of killed)" '^TASK_KILLED REASON_TASK_KILLED_DURING_LAUNCH'
        wait_until 10 no_fetch || fail "a fetch is left"
        release killed
}

test_a_fetch_does_not_outlive_the_agent() {
        hold orphan
        begin_task orphan "[{\"value\": \"$WEB/held/orphan\"}]" true
        fetching orphan
        [ "$(fetches)" -gt 0 ] || fail "no cgroup of a fetch"
        kill_agent
        start_agent
        wait_end orphan
        expect_match "$(end_of orphan)" '^TASK_DROPPED REASON_AGENT_RESTARTED'
        wait_until 10 no_fetch || fail "a fetch is left"
        release orphan
}

test_downloads_that_stall_are_given_up() {
        kill_agent
        start_agent --fetcher-stall-timeout 1s
        hold stalled
        begin_task stalled "[{\"value\": \"$WEB/held/stalled\"}]" true
        wait_end stalled
        expect_match "$(end_of stalled)" "^TASK_FAILED REASON_CONTAINER_LAUNCH_FAILED: .*$WEB/held/stalled.*nothing came for 1 seconds"
        release stalled
        kill_agent
        start_agent
}

two_fetches() { [ "$(ls "$SCRATCH/agent/meta/containers" | wc -l)" = 2 ]; }
test_two_at_once_share_a_download() {
        hold shared
        begin_task first "[{\"value\": \"$WEB/held/shared\", \"cache\": true}]" "test \$(stat -c %s shared) = 100000"
        fetching shared
        begin_task second "[{\"value\": \"$WEB/held/shared\", \"cache\": true}]" "test \$(stat -c %s shared) = 100000"
        wait_until 20 two_fetches || fail "the second was not launched: $(cat "$SCRATCH/second.log")"
        release shared
        wait_end first
        wait_end second
        expect_equal "$(end_of first) $(end_of second)" "TASK_FINISHED : Command exited with status 0 TASK_FINISHED : Command exited with status 0"
        expect_equal "$(downloads /held/shared)" 1 "downloads"
}

test_the_least_recently_used_leaves_the_cache() {
        local file
        kill_agent
        start_agent --fetcher-cache-size 1M
        for file in a b c; do head -c 400000 /dev/zero >"$SCRATCH/web/$file.big"; done
        for file in a b a c a b; do # c takes the place of b, which comes again
                run_task "[{\"value\": \"$WEB/$file.big\", \"cache\": true}]" "test \$(stat -c %s $file.big) = 400000"
                expect_finished
        done
        expect_equal "$(downloads /a.big) $(downloads /b.big) $(downloads /c.big)" "1 2 1" "downloads"
        expect_between "$(fetcher_metric cache_size_used_bytes)" 800000 1048576 "bytes in the cache"
        kill_agent
        start_agent
}

# A fetch speaks from the host's loopback with the number of the task's user: that alone must not open what belongs to that user.
test_a_fetch_is_a_task_to_our_apis() {
        local directory address=http://127.0.0.1:$((PORT + 1))
        run_task '[]' "echo private >private; sleep 0.1"
        expect_finished
        directory=$(find "$SCRATCH/agent/slaves" -name private -printf '%h\n' | head -n 1)
        # The user itself may.
        expect_match "$(setpriv --reuid 65534 --regid 65534 --clear-groups curl -s "$address/files/download?path=$directory/private")" private "to its owner"
        run_task "[{\"value\": \"$address/files/download?path=$directory/private\", \"output_file\": \"x\"}]" true
        expect_failed "$address/files/download" "status 40"
}
