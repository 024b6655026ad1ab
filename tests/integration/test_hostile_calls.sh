# shellcheck shell=bash disable=SC2034,SC2119,SC2154
# Calls of the scheduler and the executor API by peers that mean harm, over raw sockets: the status of the table, and nobody else notices.

setup_file() {
        BEFORE=$(machine_objects)
        start_cluster
}
teardown_file() {
        stop_cluster
        expect_nothing_left
        expect_objects "$BEFORE"
}

against() { # against DAEMON NAME [ARGUMENT...]
        local daemon=$1 name=$2 port=$PORT
        [ "$daemon" = master ] || port=$((PORT + 1))
        shift 2
        PYTHONDONTWRITEBYTECODE=1 BUILD=$BUILD python3 "$(dirname "${BASH_SOURCE[0]}")/hostile.py" "$name" "$port" "$(cat "$SCRATCH/$daemon.pid")" "$@" ||
                fail "$name against the $daemon: $(tail -3 "$SCRATCH/$daemon.log")"
        running "$daemon" || fail "the $daemon ended: $(tail -5 "$SCRATCH/$daemon.log")"
}

test_statuses_of_the_scheduler_endpoint() { against master scheduler_rows; }
test_statuses_of_the_executor_endpoint() { against agent executor_rows; }
test_a_hundred_thousand_of_one_thing() { against master many; }
test_ten_thousand_tasks_on_an_offer() { against master accept_on_offer; }
test_packets_split_and_merged() { against master pieces; }
test_silent_connections_to_the_master() { against master silent; }
test_silent_connections_to_the_agent() { against agent silent; }
test_bodies_that_do_not_come() { against master announced; }
test_a_subscriber_that_never_reads() { against master deaf "$SCRATCH/master.log"; }
