/* Maintenance windows: what they do to agents when they begin and end, what is told before, and what survives. */

#include "tests/unit/master/fixture.h"

#include "master/operator/standing.h"
#include "master/operator/windows.h"

#define COMMAND(name) METE__AGENT__COMMAND__TYPE__##name

static void start(struct fixture *x)
{
        fixture_start(x);
        join(x, NULL, 0);
}

/* duration <= 0: none. The id is in ret. */
static int schedule_for(struct fixture *x, const char *name, double from_now, double duration, bool drain,
        struct string_list *warnings)
{
        Mete__Api__Window w = METE__API__WINDOW__INIT;
        char *names[] = {(char *)name};
        struct string_list none = {};
        const char *field;
        int r;

        w.start = wall_seconds_now() + from_now;
        w.has_duration_seconds = duration > 0;
        w.duration_seconds = duration;
        w.agents = names;
        w.n_agents = 1;
        w.has_drain = w.drain = drain;
        r = windows_schedule(x->master->windows, &w, warnings ? warnings : &none, &field, NULL);
        string_list_done(&none);
        return r;
}

static void schedule(struct fixture *x, double from_now, double duration, bool drain)
{
        assert_int_equal(schedule_for(x, "fake", from_now, duration, drain, NULL), 0);
}

static size_t count_windows(const struct fixture *x)
{
        size_t count;

        (void)windows_list(x->master->windows, &count);
        return count;
}

static const char *first_id(const struct fixture *x)
{
        size_t count;

        return windows_list(x->master->windows, &count)[0]->id;
}

static void written(int result, void *userdata)
{
        *(bool *)userdata = true;
}

static void wait_written(struct fixture *x)
{
        bool done = false;

        master_write(x->master, store_batch_new(), written, &done);
        WAIT_FOR(x, done);
}

static bool is_off(const struct fixture *x)
{
        return the_agent(x)->standing.deactivated;
}

/* ---- before ---- */

static struct offer *make_offer(struct fixture *x)
{
        struct offer *o = NEW0(struct offer);

        o->id = xstrdup("o");
        o->framework = x->f;
        o->agent = the_agent(x);
        o->role = xstrdup("*");
        return o;
}

static void test_offers_say_what_is_coming(void **state)
{
        struct fixture x = {};
        struct wall_time begin, end;
        Mete__V1__Offer *p;
        struct offer *o;

        start(&x);
        assert_false(agent_window(the_agent(&x), &begin, &end));
        schedule(&x, 2000, 60, false);
        assert_false(agent_window(the_agent(&x), &begin, &end)); /* not on disk yet */
        schedule(&x, 1000, 0, false);
        wait_written(&x);
        assert_int_equal(the_agent(&x)->n_windows, 2);
        assert_true(agent_window(the_agent(&x), &begin, &end)); /* the sooner one */
        assert_true(wall_seconds(begin) < wall_seconds_now() + 1001);
        assert_true(end.ns == UINT64_MAX);
        assert_false(is_off(&x));
        o = make_offer(&x);
        p = offer_to_proto(o);
        assert_true(
                p->unavailability->start->nanoseconds == (int64_t)(the_agent(&x)->windows[0]->start * 1e9));
        assert_null(p->unavailability->duration);
        message_free(p);
        assert_int_equal(windows_cancel(x.master->windows, first_id(&x)), 0);
        p = offer_to_proto(o);
        assert_true(p->unavailability->duration->nanoseconds == 60000000000);
        message_free(p);
        assert_int_equal(windows_cancel(x.master->windows, first_id(&x)), 0);
        assert_int_equal(windows_cancel(x.master->windows, "w1.1"), -ENOENT);
        p = offer_to_proto(o);
        assert_null(p->unavailability);
        message_free(p);
        free(o->id);
        free(o->role);
        free(o);
        fixture_stop(&x);
}

/* ---- from its beginning to its end ---- */

static void test_a_window_begins_and_ends(void **state)
{
        struct fixture x = {};

        start(&x);
        (void)launch_task(&x, "1", NULL);
        schedule(&x, 0.05, 0.3, false);
        wait_written(&x);
        assert_false(is_off(&x));
        WAIT_FOR(&x, is_off(&x));
        assert_int_equal(count_commands(&x, COMMAND(KILL), NULL), 0);
        assert_int_equal(count_windows(&x), 1);
        WAIT_FOR(&x, !is_off(&x));
        assert_int_equal(count_windows(&x), 0);
        assert_int_equal(the_agent(&x)->n_windows, 0);
        wait_written(&x);
        begin_again(&x);
        assert_int_equal(count_windows(&x), 0);
        assert_false(is_off(&x));
        assert_int_equal(the_agent(&x)->standing.windows_begun.count, 0);
        fixture_stop(&x);
}

static void test_a_window_drains(void **state)
{
        struct fixture x = {};

        start(&x);
        (void)launch_task(&x, "1", NULL);
        schedule(&x, 0, 0, true);
        WAIT_FOR(&x, count_commands(&x, COMMAND(KILL), "1") == 1);
        assert_int_equal(the_agent(&x)->standing.drain, AGENT_DRAINING);
        assert_int_equal(windows_cancel(x.master->windows, first_id(&x)), 0);
        assert_int_equal(the_agent(&x)->standing.drain, AGENT_DRAIN_NONE);
        assert_false(is_off(&x));
        fixture_stop(&x);
}

static void test_a_window_goes_on_after_a_restart(void **state)
{
        struct fixture x = {};

        start(&x);
        schedule(&x, 0, 3600, false);
        WAIT_FOR(&x, is_off(&x));
        wait_written(&x);
        begin_again(&x);
        assert_true(is_off(&x));
        assert_int_equal(the_agent(&x)->n_windows, 1);
        join(&x, NULL, 0);
        wait_written(&x);
        assert_int_equal(the_agent(&x)->standing.windows_begun.count, 1);
        /* An operator wants it back: it is not taken away again. */
        agent_reactivate(the_agent(&x), "by a test");
        wait_written(&x);
        begin_again(&x);
        join(&x, NULL, 0);
        wait_written(&x);
        assert_false(is_off(&x));
        assert_int_equal(windows_cancel(x.master->windows, first_id(&x)), 0);
        wait_written(&x);
        begin_again(&x);
        assert_int_equal(count_windows(&x), 0);
        fixture_stop(&x);
}

/* It ends while no master runs. */
static void test_an_end_is_made_up_for(void **state)
{
        struct fixture x = {};
        double over;

        start(&x);
        schedule(&x, 0, 0.2, false);
        over = wall_seconds_now() + 0.2;
        WAIT_FOR(&x, is_off(&x));
        wait_written(&x);
        x.master = master_free(x.master);
        WAIT_FOR(&x, x.stream_ended && wall_seconds_now() > over);
        begin_master(&x);
        WAIT_FOR(&x, !is_off(&x));
        assert_int_equal(count_windows(&x), 0);
        fixture_stop(&x);
}

static void test_what_an_operator_decided_stays(void **state)
{
        struct fixture x = {};

        start(&x);
        agent_deactivate(the_agent(&x), "by a test");
        schedule(&x, 0, 3600, false);
        WAIT_FOR(&x, the_agent(&x)->standing.windows_begun.count == 1);
        assert_false(the_agent(&x)->standing.by_window);
        assert_int_equal(windows_cancel(x.master->windows, first_id(&x)), 0);
        assert_true(is_off(&x));
        fixture_stop(&x);
}

static void test_windows_that_overlap(void **state)
{
        struct fixture x = {};

        start(&x);
        schedule(&x, 0, 3600, false);
        schedule(&x, 0, 0, false);
        WAIT_FOR(&x, the_agent(&x)->standing.windows_begun.count == 2);
        assert_int_equal(windows_cancel(x.master->windows, first_id(&x)), 0);
        assert_true(is_off(&x));
        assert_int_equal(windows_cancel(x.master->windows, first_id(&x)), 0);
        assert_false(is_off(&x));
        fixture_stop(&x);
}

static void test_agents_that_come_later(void **state)
{
        struct string_list warnings = {};
        struct fixture x = {};

        fixture_start(&x);
        assert_int_equal(schedule_for(&x, "fake", 0, 0, false, &warnings), 0);
        assert_int_equal(warnings.count, 1);
        assert_non_null(strstr(warnings.items[0], "no agent 'fake' is known"));
        wait_written(&x);
        join(&x, NULL, 0);
        assert_true(is_off(&x));
        assert_false(agent_is_offered(the_agent(&x)));
        string_list_done(&warnings);
        fixture_stop(&x);
}

/* ---- refusals ---- */

static void test_what_is_refused(void **state)
{
        static const struct {
                const char *json, *field, *says;
        } rows[] = {
                {"{\"start\": -1, \"agents\": [\"a\"]}", "start", "seconds since 1970"},
                {"{\"start\": 1e15, \"agents\": [\"a\"]}", "start", "ten years"},
                {"{\"start\": 0, \"duration_seconds\": 0, \"agents\": [\"a\"]}", "duration_seconds",
                        "above 0"},
                {"{\"start\": 0, \"duration_seconds\": 1e12, \"agents\": [\"a\"]}", "duration_seconds",
                        "above 0"},
                {"{\"start\": 1, \"duration_seconds\": 1, \"agents\": [\"a\"]}", "duration_seconds",
                        "over already"},
                {"{\"start\": 0}", "agents", "no agent is named"},
                {"{\"start\": 0, \"agents\": [\"a/b\"]}", "agents", "'a/b' is neither"},
        };
        struct fixture x = {};

        fixture_start(&x);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct string_list warnings = {};
                _cleanup_error_ struct error e = {};
                ProtobufCMessage *w;
                const char *field;

                assert_int_equal(message_decode(CODEC_JSON, &mete__api__window__descriptor, rows[i].json,
                                         strlen(rows[i].json), &w, NULL),
                        0);
                if (windows_schedule(x.master->windows, (Mete__Api__Window *)w, &warnings, &field, &e) >= 0)
                        fail_msg("%s is accepted", rows[i].json);
                assert_string_equal(field, rows[i].field);
                if (!strstr(error_message(&e), rows[i].says))
                        fail_msg("%s: %s", rows[i].json, error_message(&e));
                message_free(w);
        }
        assert_int_equal(count_windows(&x), 0);
        fixture_stop(&x);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_offers_say_what_is_coming),
                cmocka_unit_test(test_a_window_begins_and_ends),
                cmocka_unit_test(test_a_window_drains),
                cmocka_unit_test(test_a_window_goes_on_after_a_restart),
                cmocka_unit_test(test_an_end_is_made_up_for),
                cmocka_unit_test(test_what_an_operator_decided_stays),
                cmocka_unit_test(test_windows_that_overlap),
                cmocka_unit_test(test_agents_that_come_later),
                cmocka_unit_test(test_what_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
