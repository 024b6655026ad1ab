# shellcheck shell=bash disable=SC2034,SC2119,SC2154,SC2016
# Persistent volumes as the agent keeps them, below a master that only speaks: data outlive tasks and agents, go when they are not assigned
# any more, and nothing that a task puts into its volume leads the agent elsewhere.

setup_file() {
        BEFORE=$(machine_objects)
        AGENT_OPTIONS=()
        start_bare_cluster
        STORE=$SCRATCH/agent/volumes
        mkdir "$SCRATCH/outside" && echo precious >"$SCRATCH/outside/file"
}
teardown_file() {
        AGENT_OPTIONS=(--kill-tasks-on-exit)
        stop agent 30
        start_bare_agent
        stop agent 30
        stop master 10
        expect_equal "$(cat "$SCRATCH/outside/file")" precious "what lies outside of all volumes"
        expect_nothing_left
        expect_objects "$BEFORE"
}
assigned() { jq -es --argjson n "$1" "[.[] | select(.call == \"ASSIGNED\") | .assigned | select(.version == \$n)] | last | . != null and ($2)" "$CALLS"; }
wait_assigned() { wait_until 20 assigned "$@" || fail "no ASSIGNED $1 with $2: $(grep ASSIGNED "$CALLS" | tail -2)"; }
run_task() { # run_task ID SCRIPT [RESOURCE]: to its end; fails unless it succeeds
        launch_task "$1" "$2" '' "${3:+$3,}"
        wait_update "$1" '.status.state >= 2 and .status.state != 8'
        update_of "$1" '.status.state == 2' || fail "$1: $(grep UPDATE "$CALLS" | grep -F "\"$1\"" | tail -1)"
}
refused_task() { # refused_task ID PATTERN RESOURCES
        launch_task "$1" true '' "$3,"
        wait_update "$1" "(.status.state == 3 or .status.state == 7) and (.status.message | test(\"$2\"))"
}
trash_empty() { [ -z "$(ls -A "$STORE/.removed")" ]; }

test_data_outlive_the_task_and_the_agent() {
        assign 1 "$(volume a/b id1 data)" "$(volume a/b id2 /mnt)"
        wait_assigned 1 '.errors == null'
        [ -d "$STORE/a%2Fb/id1" ] || fail "no directory: $(find "$STORE")"
        expect_equal "$(stat -c %U "$STORE/a%2Fb/id1")" root "owner before the first use"
        run_task write 'echo kept >data/file && echo too >/mnt/file' "$(volume a/b id1 data),$(volume a/b id2 /mnt)"
        expect_equal "$(stat -c %U "$STORE/a%2Fb/id1")" nobody "owner after it"
        kill_hard agent
        start_bare_agent
        run_task read '[ "$(cat x/data/file)" = kept ]' "$(volume a/b id1 x/data)"
        run_task read2 '[ "$(cat file2/file)" = too ]' "$(volume a/b id2 file2)"
}

test_read_only_and_without_devices() {
        run_task ro '! echo x >data/other 2>/dev/null && cat data/file && grep -E " $PWD/data .*\bro," /proc/self/mountinfo' "$(volume a/b id1 data ro)"
        run_task flags 'grep " $PWD/data " /proc/self/mountinfo | grep nosuid | grep nodev' "$(volume a/b id1 data)"
}

test_what_is_refused() {
        refused_task unknown 'the volume .nobodys. of role a/b is not assigned' "$(volume a/b nobodys data)"
        refused_task other_role 'of role c is not assigned' "$(volume c id1 data)"
        refused_task dots 'container_path' "$(volume a/b id1 x/../../y)"
        local path
        for path in /proc //proc/self /sys/fs /dev /dev/shm /; do
                refused_task "kernel$(tr -c 'a-z\n' - <<<"$path")" 'is not the task|hide the sandbox|container_path' "$(volume a/b id1 "$path")"
        done
        refused_task twice 'two volumes' "$(volume a/b id1 data),$(volume a/b id2 data/)"
        assign 0
        wait_assigned 0 '.errors | any(test("older than the 1"))'
        [ -d "$STORE/a%2Fb/id1" ] || fail "an old assignment removed data"
}

# A task that can write two volumes puts links where the next one's second volume is to be mounted.
test_links_in_a_volume_lead_nowhere() {
        run_task plant "ln -s $SCRATCH/outside data/out; ln -s / data/root; ln -s ../../../../../../../../../.. data/up; ln -s /proc data/proc" "$(volume a/b id1 data)"
        local link
        for link in out root/mnt up proc; do
                refused_task "through-${link//\//-}" 'symbolic link|cannot make' "$(volume a/b id1 data),$(volume a/b id2 "data/$link")"
        done
        expect_equal "$(find "$SCRATCH/outside" | wc -l)" 2 "files outside"
        run_task nested '[ "$(cat data/inner/file)" = too ]' "$(volume a/b id2 data/inner),$(volume a/b id1 data)"
}

# Everything that makes removing a tree dangerous: links, a deep nest, many files, names that look like something else.
test_a_hostile_tree_is_removed_and_nothing_else() {
        assign 2 "$(volume a/b id1 data)" "$(volume a/b id2 /mnt)" "$(volume h bad data)"
        wait_assigned 2 '.errors == null'
        run_task hostile "cd data && ln -s $SCRATCH/outside link && ln -s $SCRATCH/outside/file f && mkfifo fifo && mkdir -- '-rf' '..x' ' ' && mkdir locked && touch locked/x && chmod 0 locked &&
                i=0; while [ \$i -lt 300 ]; do mkdir d && cd d || exit 1; i=\$((i+1)); done; touch deep; cd \$OLDPWD 2>/dev/null; exit 0" "$(volume h bad data)"
        run_task many 'cd data && i=0; while [ $i -lt 3000 ]; do : >m$i; i=$((i+1)); done' "$(volume h bad data)"
        assign 3 "$(volume a/b id1 data)" "$(volume a/b id2 /mnt)"
        wait_assigned 3 '.errors == null'
        [ ! -e "$STORE/h" ] || fail "the volume is still there: $(find "$STORE/h" | head)"
        wait_until 20 trash_empty || fail "its data are still there"
        [ -e "$STORE/a%2Fb/id1/file" ] || fail "another volume's data are gone"
}

test_a_volume_in_use_stays_until_its_task_ends() {
        assign 4 "$(volume a/b id1 data)" "$(volume u used data)"
        wait_assigned 4 '.errors == null'
        [ ! -e "$STORE/a%2Fb/id2" ] || fail "id2 is not assigned any more and still there"
        launch_task holder 'echo 1 >data/mine; while :; do sleep 0.05; done' '' "$(volume u used data),"
        wait_until 20 [ -e "$STORE/u/used/mine" ] || fail "the task does not run"
        assign 5 "$(volume a/b id1 data)"
        wait_assigned 5 '.errors | any(test("in use"))'
        [ -e "$STORE/u/used/mine" ] || fail "removed under a running task"
        refused_task late 'is not assigned' "$(volume u used data)"
        kill_hard agent
        start_bare_agent
        [ -e "$STORE/u/used/mine" ] || fail "removed by the next agent"
        kill_task holder 0
        wait_update holder '.status.state == 4'
        wait_until 20 [ ! -e "$STORE/u" ] || fail "not removed after its end"
}

# The launch that follows at once finds what the assignment makes, and what is not in it any more.
test_a_launch_waits_for_the_assignment_before_it() {
        local BATCH=$SCRATCH/batch volume
        volume=$(volume q quick data)
        assign 6 "$(volume a/b id1 data)" "$volume"
        launch_task quick 'echo 1 >data/x' '' "$volume,"
        send_batch "$BATCH"
        wait_update quick '.status.state == 2'
        assign 7 "$(volume a/b id1 data)"
        launch_task gone true '' "$volume,"
        assign 8 "$(volume a/b id1 data)" "$volume"
        launch_task empty '[ ! -e data/x ]' '' "$volume,"
        kill_task nobody 0
        send_batch "$BATCH"
        wait_update gone '.status.message | test("is not assigned")'
        wait_update empty '.status.state == 2'
}

# Killed after the assignment was written and before the directories were: the next agent does the rest.
test_a_half_done_assignment_is_carried_out_by_the_next_agent() {
        kill_hard agent
        rmdir "$STORE/q/quick" 2>/dev/null || rm -r "$STORE/q"
        mkdir -p "$STORE/stray/volume" "$STORE/.removed/left/over" && touch "$STORE/.removed/left/over/file"
        start_bare_agent
        run_task remade 'echo 1 >data/x' "$(volume q quick data)"
        wait_until 20 [ ! -e "$STORE/stray" ] || fail "what nobody assigned is still there"
        wait_until 20 trash_empty || fail "what was discarded is still there"
}
