/* What people read: sizes, cores, tables, suggestions, and text of others made harmless. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/net/codec.h"
#include "tools/mete/amounts.h"
#include "tools/mete/log_reader.h"
#include "tools/mete/text.h"
#include "tools/mete/verb.h"

static void sizes(void **state)
{
        static const struct {
                uint64_t bytes;
                const char *text;
        } cases[] = {
                {0, "0 B"},
                {1023, "1023 B"},
                {1024, "1 KiB"},
                {1536, "1.5 KiB"},
                {UINT64_C(64) << 20, "64 MiB"},
                {(UINT64_C(64) << 20) + (1 << 17), "64.1 MiB"},
                {(UINT64_C(1) << 20) - 1, "1 MiB"},
                {UINT64_C(1023) << 20, "1023 MiB"},
                {UINT64_C(3) << 29, "1.5 GiB"},
                {UINT64_MAX, "16 EiB"},
        };
        char buf[TEXT_MAX];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_string_equal(text_size(cases[i].bytes, buf), cases[i].text);
}

static void cores(void **state)
{
        char buf[TEXT_MAX];

        assert_string_equal(text_cores(2, buf), "2");
        assert_string_equal(text_cores(0.25, buf), "0.25");
        assert_string_equal(text_cores(0, buf), "0");
        assert_string_equal(text_cores(10, buf), "10");
        assert_string_equal(text_cores(100.5, buf), "100.5");
        assert_string_equal(text_cores(0.0004, buf), "0");
}

static void states(void **state)
{
        assert_string_equal(text_task_state(METE__V1__TASK_STATE__TASK_RUNNING), "running");
        assert_string_equal(text_job_state(METE__API__JOB_STATE__JOB_QUEUED), "queued");
        assert_string_equal(text_agent_state(METE__API__AGENT__STATE__AGENT_ACTIVE), "active");
        assert_string_equal(text_task_state((Mete__V1__TaskState)999), "unknown");
}

static void hostile_text(void **state)
{
        static const struct {
                const char *given, *safe;
        } cases[] = {
                {"plain", "plain"},
                {"\033]0;owned\007", "?]0;owned?"},
                {"a\nb\rc", "a?b?c"},
                {"\xc2\x9b"
                 "31m",
                        "??31m"},
                {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *safe = text_safe(cases[i].given);

                assert_string_equal(safe, cases[i].safe);
        }
}

static void fields_in_front(void **state)
{
        assert_string_equal(text_without_field("kill.id: no job '9'"), "no job '9'");
        assert_string_equal(text_without_field("history.limit: 0 is refused"), "limit: 0 is refused");
        assert_string_equal(
                text_without_field("set_queue.queue.name: '..' is refused"), "name: '..' is refused");
        assert_string_equal(text_without_field("set_quota.role: the role 'a b'"), "role: the role 'a b'");
        assert_string_equal(
                text_without_field("set_quota.role: role: the role 'a b'"), "role: the role 'a b'");
        assert_string_equal(text_without_field("jobs.json: a job file has"), "jobs.json: a job file has");
        assert_string_equal(text_without_field("read_log.task_id[0]: x: y"), "x: y");
        assert_string_equal(text_without_field("--cpus: 0 is refused"), "--cpus: 0 is refused");
        assert_string_equal(text_without_field("exec: cannot execute x"), "exec: cannot execute x");
        assert_string_equal(text_without_field("talking to 127.0.0.1: no"), "talking to 127.0.0.1: no");
        assert_string_equal(text_without_field(""), "");
}

static void tables(void **state)
{
        static const struct column columns[] = {
                {"NAME", COLUMN_LEFT}, {"SIZE", COLUMN_RIGHT}, {"END", COLUMN_LEFT}};
        CLEANUP(cleanup_table_free) struct table *t = table_new(columns, ELEMENTSOF(columns));
        _cleanup_free_ char *text = NULL;
        size_t len = 0;
        FILE *f = open_memstream(&text, &len);

        table_cell(t, "a-long-name");
        table_cellf(t, "%d", 7);
        table_cell(t, NULL);
        table_cell(t, "gr\xc3\xbc\xc3\x9f");
        table_cell(t, "12345");
        table_cell(t, "x");
        table_print(t, f);
        fclose(f);
        assert_string_equal(text, "NAME          SIZE  END\n"
                                  "a-long-name      7  -\n"
                                  "gr\xc3\xbc\xc3\x9f         12345  x\n");
}

static void suggestions(void **state)
{
        assert_string_equal(verb_suggest("lgos"), "logs");
        assert_string_equal(verb_suggest("stat"), "stats");
        assert_string_equal(verb_suggest("inpsect"), "inspect");
        assert_string_equal(verb_suggest("agent"), "agents");
        assert_string_equal(verb_suggest("top"), "stats");
        assert_null(verb_suggest("frobnicate"));
        assert_null(verb_suggest("x"));
        assert_null(verb_suggest(""));
        assert_null(verb_suggest("a-word-that-is-longer-than-any-verb-could-ever-be"));
        assert_int_equal(text_distance("abc", "acb"), 1);
        assert_int_equal(text_distance("", "abc"), 3);
}

/* Lines that arrive in pieces are prefixed once. */
static void prefixed_lines(void **state)
{
        bool at_line_start = true;
        char got[256] = "";
        int fds[2];

        assert_int_equal(pipe(fds), 0);
        assert_int_equal(log_write_prefixed(fds[1], "7.0 | ", &at_line_start, "one\ntw", 6), 0);
        assert_false(at_line_start);
        assert_int_equal(log_write_prefixed(fds[1], "7.0 | ", &at_line_start, "o\n", 2), 0);
        assert_true(at_line_start);
        assert_int_equal(log_write_prefixed(fds[1], NULL, &at_line_start, "raw\n", 4), 0);
        close(fds[1]);
        assert_true(read(fds[0], got, sizeof(got) - 1) > 0);
        close(fds[0]);
        assert_string_equal(got, "7.0 | one\n7.0 | two\nraw\n");
}

static void times(void **state)
{
        static const struct {
                const char *text;
                enum time_side side;
                double seconds; /* -1: refused */
        } cases[] = {
                {"+2h", TIME_AHEAD, 1000 + 7200},
                {"90s", TIME_AHEAD, 1090},
                {"90s", TIME_PAST, 910},
                {"+90s", TIME_PAST, -1},
                {"@1700000000", TIME_AHEAD, 1700000000},
                {"now", TIME_PAST, 1000},
                {"2026-11-23T18:00:30Z", TIME_AHEAD, 1795456830},
                {"2026-11-23 18:00Z", TIME_AHEAD, 1795456800},
                {"2026-02-31", TIME_AHEAD, -1},
                {"18:00", TIME_AHEAD, -1},
                {"2026-11-23 18:00 sharp", TIME_AHEAD, -1},
                {"", TIME_AHEAD, -1},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_error_ struct error e = {0};
                double seconds = -1;
                int r = text_parse_time("--since", cases[i].text, cases[i].side, 1000, &seconds, &e);

                if (seconds != cases[i].seconds || (r < 0) != (cases[i].seconds < 0))
                        fail_msg("%s: %f", cases[i].text, seconds);
                if (r < 0)
                        assert_true(str_has_prefix(error_message(&e), "--since '"));
        }
}

static void rough_times(void **state)
{
        char buf[TEXT_MAX];

        assert_string_equal(text_rough(0, buf), "0s");
        assert_string_equal(text_rough(59.4, buf), "59s");
        assert_string_equal(text_rough(150, buf), "2m30s");
        assert_string_equal(text_rough(725, buf), "12m");
        assert_string_equal(text_rough(12000, buf), "3h20m");
        assert_string_equal(text_rough(86400 * 2 + 4 * 3600, buf), "2d4h");
        assert_string_equal(text_distance_in_time(1000.4, 1000, buf), "now");
        assert_string_equal(text_distance_in_time(1060, 1000, buf), "in about 1m");
        assert_string_equal(text_distance_in_time(940, 1000, buf), "1m ago");
}

static void amounts(void **state)
{
        static const struct {
                const char *text;
                double value; /* -1: refused */
        } cases[] = {{"cpus=2", 2}, {"cpus=0.5", 0.5}, {"mem=4G", 4096}, {"disk=512K", 0.5}, {"mem=0", 0},
                {"gpus=1", 1}, {"mem=4096", -1}, {"cpus=4G", -1}, {"cpus=-1", -1}, {"cpus", -1}, {"=2", -1},
                {"cpus=", -1}};
        char buf[TEXT_MAX];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_error_ struct error e = {0};
                Mete__Api__Amount *a = NULL;
                int r = amount_parse(cases[i].text, &a, &e);

                if ((r < 0) != (cases[i].value < 0) || (a && a->value != cases[i].value))
                        fail_msg("%s: %s", cases[i].text, a ? "taken" : error_message(&e));
                message_free(a);
        }
        assert_string_equal(amount_text("mem", 1536, buf), "1.5 GiB");
        assert_string_equal(amount_text("cpus", 1.5, buf), "1.5");
}

static void quotas(void **state)
{
        static const struct {
                const char *text;
                double guarantee, limit; /* -1: none */
        } cases[] = {{"cpus=2", 2, -1}, {"cpus=2:4", 2, 4}, {"mem=:8G", -1, 8192}, {"mem=4G:8G", 4096, 8192}};
        static const char *const refused[] = {"cpus=:", "cpus=a:b", "cpus=1:2:3", "mem=4:8G", "cpus"};

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Mete__Api__Quota *q = NULL;

                assert_int_equal(quota_parse(cases[i].text, &q, NULL), 0);
                assert_true((q->has_guarantee ? q->guarantee : -1) == cases[i].guarantee);
                assert_true((q->has_limit ? q->limit : -1) == cases[i].limit);
                message_free(q);
        }
        for (size_t i = 0; i < ELEMENTSOF(refused); i++) {
                Mete__Api__Quota *q = NULL;

                assert_int_equal(quota_parse(refused[i], &q, NULL), -EINVAL);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(sizes),
                cmocka_unit_test(cores),
                cmocka_unit_test(states),
                cmocka_unit_test(hostile_text),
                cmocka_unit_test(fields_in_front),
                cmocka_unit_test(tables),
                cmocka_unit_test(suggestions),
                cmocka_unit_test(prefixed_lines),
                cmocka_unit_test(times),
                cmocka_unit_test(rough_times),
                cmocka_unit_test(amounts),
                cmocka_unit_test(quotas),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
