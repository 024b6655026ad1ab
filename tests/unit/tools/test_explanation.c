/* What people read of an explanation: all that is known, in lines of at most 79 columns, and nothing that would disturb a terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "lib/net/codec.h"
#include "tools/mete/explanation.h"

#define NOW 1700000000.0

/* The caller frees. */
static char *print(const char *json, const char *subject)
{
        _cleanup_error_ struct error e = {0};
        ProtobufCMessage *m = NULL;
        char *text = NULL;
        size_t len;
        FILE *f = open_memstream(&text, &len);

        if (message_decode(CODEC_JSON, &mete__api__explanation__descriptor, json, strlen(json), &m, &e) < 0)
                fail_msg("%s", error_message(&e));
        explanation_print((Mete__Api__Explanation *)m, subject, NOW, f);
        fclose(f);
        message_free(m);
        return text;
}

static void expect(const char *text, const char *words)
{
        if (!strstr(text, words))
                fail_msg("\"%s\" is not in:\n%s", words, text);
}

static const char full[] = "{\"reason\": \"RESOURCES\", \"sentence\": \"needs 4 cpus free on one machine; h1 "
                           "lacks least: 1.5 cpus more; expected "
                           "to start in about 12m (job 17 ends)\", \"queue\": \"short\", \"role\": \"a/b\", "
                           "\"policy\": \"sjf\", \"rank\": 3, "
                           "\"jobs_waiting\": 12, \"factors\": [{\"name\": \"aged\", \"value\": \"no\", "
                           "\"note\": \"after 24h\"}, "
                           "{\"name\": \"expected duration\", \"value\": \"30m\", \"note\": \"mean of 4.2 "
                           "earlier runs of this name by the same user, "
                           "decayed by half each day\"}, {\"name\": \"arrival\", \"value\": \"12\"}], "
                           "\"machines\": 8, \"machines_matching\": 6, "
                           "\"machines_large\": 4, \"machines_free\": 0, \"missing_resource\": \"mem\", "
                           "\"missing\": 1536, \"nearest\": \"h1\", "
                           "\"blocking_job\": \"16\", \"limiting_role\": \"a\", \"reserved\": true, "
                           "\"expected_start\": 1700000720, "
                           "\"expected_end\": 1700002520, \"expected_duration_seconds\": 1800, "
                           "\"duration_source\": \"history\", "
                           "\"victims\": [{\"task_id\": \"12.0\", \"how\": \"suspend\"}, {\"task_id\": "
                           "\"12.1\", \"how\": \"requeue\"}], "
                           "\"warnings\": [\"no machine that is there now meets \\u001b[31mrack=r9\"]}";

static void everything_is_told(void **state)
{
        _cleanup_free_ char *text = print(full, "job 17 \"sweep\" of alice");

        expect(text, "Job 17 \"sweep\" of alice waits: needs 4 cpus");
        expect(text, "in about 12m, at ");
        expect(text, "a place is kept for it");
        expect(text, "30m, as earlier runs of the name did");
        expect(text, "short, policy sjf, role a/b");
        expect(text, "3 of 12 that wait");
        expect(text, "8 usable, 6 of them meet the constraints, 4 are large enough,\n");
        expect(text, "mem: 1.5 GiB on h1");
        expect(text, "job 16");
        expect(text, "mete quota get a");
        expect(text, "12.0 (suspend), 12.1 (requeue)");
        expect(text, "aged                 no             after 24h\n");
        expect(text, "arrival              12\n");
        expect(text, "  - no machine");
        assert_null(strchr(text, '\033'));
}

static void lines_fit(void **state)
{
        _cleanup_free_ char *text = print(full, "job 17 \"sweep\" of alice");
        char *rest = text, *line;

        while ((line = strsep(&rest, "\n")))
                if (strlen(line) > 79)
                        fail_msg("%zu columns: %s", strlen(line), line);
}

static void what_is_not_known_is_not_told(void **state)
{
        _cleanup_free_ char *text =
                print("{\"reason\": \"NO_MACHINES\", \"sentence\": \"no agent has registered\"}", "job 1");

        assert_string_equal(text, "Job 1 waits: no agent has registered\n  starts         cannot be told\n");
}

static void it_runs(void **state)
{
        _cleanup_free_ char *text = print("{\"reason\": \"NONE\", \"expected_end\": 1699999990}", "job 1"),
                            *starts = print(
                                    "{\"reason\": \"NONE\", \"expected_start\": 1700000000}", "this job");

        expect(text, "Job 1 does not wait\n");
        expect(text, "10s ago");
        expect(starts, "starts         now\n");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(everything_is_told),
                cmocka_unit_test(lines_fit),
                cmocka_unit_test(what_is_not_known_is_not_told),
                cmocka_unit_test(it_runs),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
