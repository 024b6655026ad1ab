#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/status_updates.h"
#include "lib/net/codec.h"

static Mete__Agent__StatusUpdate *make(Mete__V1__TaskState state)
{
        Mete__Agent__StatusUpdate *u = NEW0(Mete__Agent__StatusUpdate);

        mete__agent__status_update__init(u);
        u->framework_id = NEW0(Mete__V1__FrameworkID);
        mete__v1__framework_id__init(u->framework_id);
        u->framework_id->value = xstrdup("f");
        u->status = NEW0(Mete__V1__TaskStatus);
        mete__v1__task_status__init(u->status);
        u->status->task_id = NEW0(Mete__V1__TaskID);
        mete__v1__task_id__init(u->status->task_id);
        u->status->task_id->value = xstrdup("t");
        u->status->state = state;
        return u;
}

static struct mono_time at(uint64_t seconds)
{
        return (struct mono_time){seconds * NSEC_PER_SEC};
}

static void one_in_flight_in_order(void **state)
{
        CLEANUP(status_stream_done) struct status_stream s = {0};

        assert_null(status_stream_take_due(&s, at(1)));
        assert_int_equal(status_stream_push(&s, make(METE__V1__TASK_STATE__TASK_STARTING)), 0);
        assert_int_equal(status_stream_push(&s, make(METE__V1__TASK_STATE__TASK_RUNNING)), 0);

        const Mete__Agent__StatusUpdate *u = status_stream_take_due(&s, at(1));
        assert_non_null(u);
        assert_int_equal(u->status->state, METE__V1__TASK_STATE__TASK_STARTING);
        assert_int_equal(u->latest_state, METE__V1__TASK_STATE__TASK_RUNNING);
        assert_int_equal(u->status->uuid.len, UUID_BYTES);
        assert_null(status_stream_take_due(&s, at(2)));

        assert_int_equal(status_stream_acknowledge(&s, u->status->uuid.data, UUID_BYTES), 0);
        assert_false(s.terminal_acknowledged);
        u = status_stream_take_due(&s, at(2));
        assert_non_null(u);
        assert_int_equal(u->status->state, METE__V1__TASK_STATE__TASK_RUNNING);
}

static void retry_doubles_up_to_a_bound(void **state)
{
        CLEANUP(status_stream_done) struct status_stream s = {0};
        uint64_t now = 100, pause = 10;

        assert_int_equal(status_stream_push(&s, make(METE__V1__TASK_STATE__TASK_RUNNING)), 0);
        assert_non_null(status_stream_take_due(&s, at(now)));
        for (int i = 0; i < 10; i++) {
                assert_null(status_stream_take_due(&s, at(now + pause - 1)));
                now += pause;
                assert_non_null(status_stream_take_due(&s, at(now)));
                pause = pause * 2 > 600 ? 600 : pause * 2;
        }
        assert_int_equal(pause, 600);
        /* A new connection does not wait for the retry. */
        status_stream_reconnected(&s);
        assert_non_null(status_stream_take_due(&s, at(now + 1)));
        assert_null(status_stream_take_due(&s, at(now + 10)));
        assert_non_null(status_stream_take_due(&s, at(now + 11)));
}

/* The same one after 10, 30, 70, 150, 310 and 630 s, then every ten minutes, whatever else is acknowledged. */
static void it_is_the_same_update_each_time(void **state)
{
        static const uint64_t sent_at[] = {0, 10, 30, 70, 150, 310, 630, 1230, 1830};
        CLEANUP(status_stream_done) struct status_stream s = {0};
        uint8_t uuid[UUID_BYTES], other[UUID_BYTES] = {0};
        size_t sent = 0;

        assert_int_equal(status_stream_push(&s, make(METE__V1__TASK_STATE__TASK_RUNNING)), 0);
        assert_int_equal(status_stream_push(&s, make(METE__V1__TASK_STATE__TASK_FINISHED)), 0);
        memcpy(uuid, s.pending[0]->status->uuid.data, UUID_BYTES);
        for (uint64_t now = 0; now <= 1830; now++) {
                const Mete__Agent__StatusUpdate *u = status_stream_take_due(&s, at(now));

                assert_int_equal(status_stream_acknowledge(&s, other, sizeof(other)), -ESTALE);
                if (!u)
                        continue;
                assert_true(sent < ELEMENTSOF(sent_at));
                assert_int_equal(now, sent_at[sent++]);
                assert_int_equal(u->status->state, METE__V1__TASK_STATE__TASK_RUNNING);
                assert_memory_equal(u->status->uuid.data, uuid, UUID_BYTES);
        }
        assert_int_equal(sent, ELEMENTSOF(sent_at));
        /* The next one begins with short pauses again. */
        assert_int_equal(status_stream_acknowledge(&s, uuid, sizeof(uuid)), 0);
        assert_int_equal(
                status_stream_take_due(&s, at(2000))->status->state, METE__V1__TASK_STATE__TASK_FINISHED);
        assert_null(status_stream_take_due(&s, at(2009)));
        assert_non_null(status_stream_take_due(&s, at(2010)));
}

static void stale_acknowledgements_are_refused(void **state)
{
        CLEANUP(status_stream_done) struct status_stream s = {0};
        uint8_t uuid[UUID_BYTES], other[UUID_BYTES] = {0};

        assert_int_equal(status_stream_acknowledge(&s, other, sizeof(other)), -ESTALE);
        assert_int_equal(status_stream_push(&s, make(METE__V1__TASK_STATE__TASK_RUNNING)), 0);
        assert_int_equal(status_stream_push(&s, make(METE__V1__TASK_STATE__TASK_FINISHED)), 0);
        memcpy(uuid, status_stream_take_due(&s, at(1))->status->uuid.data, UUID_BYTES);
        assert_int_equal(status_stream_acknowledge(&s, other, sizeof(other)), -ESTALE);
        assert_int_equal(status_stream_acknowledge(&s, uuid, 4), -ESTALE);
        assert_int_equal(status_stream_acknowledge(&s, uuid, sizeof(uuid)), 0);
        assert_int_equal(status_stream_acknowledge(&s, uuid, sizeof(uuid)), -ESTALE);
        memcpy(uuid, status_stream_take_due(&s, at(1))->status->uuid.data, UUID_BYTES);
        assert_int_equal(status_stream_acknowledge(&s, uuid, sizeof(uuid)), 0);
        assert_true(s.terminal_acknowledged);
}

static void nothing_follows_the_end(void **state)
{
        CLEANUP(status_stream_done) struct status_stream s = {0};

        assert_int_equal(status_stream_push(&s, make(METE__V1__TASK_STATE__TASK_FAILED)), 0);
        assert_int_equal(status_stream_push(&s, make(METE__V1__TASK_STATE__TASK_RUNNING)), -EALREADY);
        assert_int_equal(status_stream_push(&s, make(METE__V1__TASK_STATE__TASK_FAILED)), -EALREADY);
        assert_int_equal(s.count, 1);
}

static void restored_stream_sends_the_same_uuid(void **state)
{
        CLEANUP(status_stream_done) struct status_stream s = {0};
        CLEANUP(status_stream_done) struct status_stream t = {0};

        assert_int_equal(status_stream_push(&s, make(METE__V1__TASK_STATE__TASK_FINISHED)), 0);
        Mete__Checkpoint__Updates view = status_stream_checkpoint(&s);
        status_stream_restore(&t, message_copy(&view));
        assert_int_equal(t.count, 1);
        assert_int_equal(t.latest, METE__V1__TASK_STATE__TASK_FINISHED);
        assert_false(t.terminal_acknowledged);
        assert_memory_equal(t.pending[0]->status->uuid.data, s.pending[0]->status->uuid.data, UUID_BYTES);

        /* Acknowledged, but the directory was not removed before the agent died. */
        CLEANUP(status_stream_done) struct status_stream u = {0};
        Mete__Checkpoint__Updates done = METE__CHECKPOINT__UPDATES__INIT;
        done.version = 1;
        done.has_latest_state = true;
        done.latest_state = METE__V1__TASK_STATE__TASK_FINISHED;
        status_stream_restore(&u, message_copy(&done));
        assert_true(u.terminal_acknowledged);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(one_in_flight_in_order),
                cmocka_unit_test(retry_doubles_up_to_a_bound),
                cmocka_unit_test(it_is_the_same_update_each_time),
                cmocka_unit_test(stale_acknowledgements_are_refused),
                cmocka_unit_test(nothing_follows_the_end),
                cmocka_unit_test(restored_stream_sends_the_same_uuid),
        };

        return cmocka_run_group_tests_name("agent/status_updates", tests, NULL, NULL);
}
