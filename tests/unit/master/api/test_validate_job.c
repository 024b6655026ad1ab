/* Each bad value of a job is refused by the name of its field; what is good is completed with the defaults. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "master/api/api.h"

static Mete__Api__JobSpec *decode(const char *json)
{
        _cleanup_error_ struct error e = {};
        ProtobufCMessage *m = NULL;

        if (message_decode(CODEC_JSON, &mete__api__job_spec__descriptor, json, strlen(json), &m, &e) < 0)
                fail_msg("%s: %s", json, error_message(&e));
        return (Mete__Api__JobSpec *)m;
}

struct bad {
        const char *field; /* without "submit.job." */
        const char *json;  /* the rest of the spec */
        bool no_command;
};

static const struct bad bads[] = {
        {"command", "\"name\": \"x\"", true},
        {"command", "\"command\": []", true},
        {"command", "\"command\": [\"\"]", true},
        {"name", "\"name\": \"\""},
        {"name", "\"name\": \"a/b\""},
        {"name", "\"name\": \"..\""},
        {"name", "\"name\": \".\""},
        {"name", "\"name\": \"-x\""},
        {"name", "\"name\": \"a\\nb\""},
        {"name", "\"name\": \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\""},
        {"count", "\"count\": 0"},
        {"count", "\"count\": 10001"},
        {"cpus", "\"cpus\": 0"},
        {"cpus", "\"cpus\": -1"},
        {"cpus", "\"cpus\": 0.0001"},
        {"cpus", "\"cpus\": 1e300"},
        {"cpus", "\"cpus\": \"Infinity\""},
        {"cpus_limit", "\"cpus\": 2, \"cpus_limit\": 1"},
        {"cpus_limit", "\"cpus\": 2, \"cpus_limit\": -1"},
        {"memory_bytes", "\"memory_bytes\": 0"},
        {"memory_bytes", "\"memory_bytes\": 4194303"},
        {"memory_bytes", "\"memory_bytes\": \"18446744073709551615\""},
        {"memory_limit_bytes", "\"memory_bytes\": 8388608, \"memory_limit_bytes\": 8388607"},
        {"environment[0].name", "\"environment\": [{\"name\": \"\", \"value\": \"\"}]"},
        {"environment[1].name", "\"environment\": [{\"name\": \"A\", \"value\": \"\"}, {\"name\": \"A=B\", "
                                "\"value\": \"\"}]"},
        {"queue", "\"queue\": \"\""},
        {"queue", "\"queue\": \"a b\""},
        {"queue", "\"queue\": \"..\""},
        {"priority", "\"priority\": 1001"},
        {"duration_seconds", "\"duration_seconds\": 0"},
        {"duration_seconds", "\"duration_seconds\": -1"},
        {"duration_seconds", "\"duration_seconds\": 1e10"},
        {"time_limit_seconds", "\"time_limit_seconds\": 0"},
        {"time_limit_seconds", "\"time_limit_seconds\": \"Infinity\""},
        {"deadline", "\"deadline\": 0"},
        {"deadline", "\"deadline\": 1e300"},
        {"array.step", "\"array\": {\"first\": 1, \"last\": 2, \"step\": 0}"},
        {"array.last", "\"array\": {\"first\": 2, \"last\": 1}"},
        {"array", "\"array\": {\"first\": 0, \"last\": 10000}"},
        {"array", "\"array\": {\"first\": 0, \"last\": \"18446744073709551615\"}"},
        {"count", "\"count\": 2, \"array\": {\"first\": 1, \"last\": 3}"},
        {"parallel_max", "\"parallel_max\": 0"},
        {"parallel_max", "\"parallel_max\": 10001"},
        {"parallel_max", "\"gang\": true, \"count\": 4, \"parallel_max\": 3"},
        {"after[0].job", "\"after\": [{\"job\": \"\"}]"},
        {"after[0].job", "\"after\": [{\"job\": \"a/b\"}]"},
        {"after[1].job", "\"after\": [{\"job\": \"1\"}, {\"job\": \"1\", \"condition\": \"FAILED\"}]"},
        {"after[0].condition", "\"after\": [{\"job\": \"1\", \"condition\": \"CONDITION_UNKNOWN\"}]"},
        {"constraints[1]", "\"constraints\": [\"rack=r1\", \"rack~(\"]"},
        {"constraints[0]", "\"constraints\": [\"\"]"},
        {"placement", "\"placement\": \"PLACEMENT_UNKNOWN\""},
        {"spread_by", "\"placement\": \"SPREAD\", \"spread_by\": \"\""},
        {"spread_by", "\"placement\": \"SPREAD\", \"spread_by\": \"a=b\""},
        {"spread_by", "\"spread_by\": \"zone\""},
        {"restart.when", "\"restart\": {\"when\": \"WHEN_UNKNOWN\"}"},
        {"restart.attempts_max", "\"restart\": {\"when\": \"ON_FAILURE\", \"attempts_max\": 0}"},
        {"restart.attempts_max", "\"restart\": {\"when\": \"ALWAYS\", \"attempts_max\": 1000001}"},
        {"restart.attempts_max", "\"restart\": {\"attempts_max\": 3}"},
        {"restart.backoff_seconds", "\"restart\": {\"when\": \"ALWAYS\", \"backoff_seconds\": -1}"},
        {"restart.backoff_seconds",
                "\"restart\": {\"when\": \"ALWAYS\", \"backoff_seconds\": 9, \"backoff_max_seconds\": 8}"},
        {"restart.backoff_max_seconds",
                "\"restart\": {\"when\": \"ALWAYS\", \"backoff_max_seconds\": 86401}"},
        {"restart.backoff_max_seconds", "\"restart\": {\"when\": \"ALWAYS\", \"backoff_max_seconds\": 0.5}"},
        {"ports", "\"ports\": 1001"},
        {"exclusive_cores", "\"exclusive_cores\": 2"},
        {"exclusive_cores", "\"cpus\": 1.5, \"exclusive_cores\": 2"},
        {"volumes[0].volume_id", "\"volumes\": [{\"volume_id\": \"a/b\", \"container_path\": \"p\"}]"},
        {"volumes[0].container_path", "\"volumes\": [{\"volume_id\": \"v\", \"container_path\": \"\"}]"},
        {"volumes[0].container_path", "\"volumes\": [{\"volume_id\": \"v\", \"container_path\": \"/abs\"}]"},
        {"volumes[0].container_path",
                "\"volumes\": [{\"volume_id\": \"v\", \"container_path\": \"a/../../b\"}]"},
        {"volumes[0].container_path", "\"volumes\": [{\"volume_id\": \"v\", \"container_path\": \"..\"}]"},
        {"volumes[0].container_path", "\"volumes\": [{\"volume_id\": \"v\", \"container_path\": \".\"}]"},
        {"volumes[0].container_path", "\"volumes\": [{\"volume_id\": \"v\", \"container_path\": \"a/./b\"}]"},
        {"volumes[1].volume_id", "\"volumes\": [{\"volume_id\": \"v\", \"container_path\": \"a\"}, "
                                 "{\"volume_id\": \"v\", \"container_path\": \"b\"}]"},
        {"volumes[1].container_path", "\"volumes\": [{\"volume_id\": \"v\", \"container_path\": \"a\"}, "
                                      "{\"volume_id\": \"w\", \"container_path\": \"a\"}]"},
        {"isolation.rootfs", "\"isolation\": {\"rootfs\": \"relative\"}"},
        {"isolation.rootfs", "\"isolation\": {\"rootfs\": \"/a/../b\"}"},
        {"isolation.rootfs", "\"isolation\": {\"rootfs\": \"/a/..\"}"},
        {"isolation.working_directory", "\"isolation\": {\"working_directory\": \"x\"}"},
        {"isolation.pids_limit", "\"isolation\": {\"pids_limit\": 1}"},
        {"isolation.pids_limit", "\"isolation\": {\"pids_limit\": 4194305}"},
        {"isolation.hostname", "\"isolation\": {\"hostname\": \"a_b\"}"},
        {"isolation.hostname", "\"isolation\": {\"hostname\": \"-a\"}"},
        {"isolation.hostname", "\"isolation\": {\"hostname\": \"a..b\"}"},
        {"isolation.hostname", "\"isolation\": {\"hostname\": \"\"}"},
        {"isolation.user", "\"isolation\": {\"user\": \"\"}"},
        {"isolation.user", "\"isolation\": {\"user\": \"a b\"}"},
        {"isolation.user", "\"isolation\": {\"user\": \"a:b:c\"}"},
        {"isolation.user", "\"isolation\": {\"user\": \"a:\"}"},
        {"isolation.capabilities_add[1]",
                "\"isolation\": {\"capabilities_add\": [\"CAP_CHOWN\", \"NET RAW\"]}"},
        {"isolation.capabilities_drop[0]", "\"isolation\": {\"capabilities_drop\": [\"\"]}"},
        {"isolation.seccomp_profile", "\"isolation\": {\"seccomp_profile\": \"bm8=\"}"},
        {"isolation.seccomp_profile", "\"isolation\": {\"seccomp_profile\": \"W10=\"}"},
        {"isolation.seccomp_unconfined",
                "\"isolation\": {\"seccomp_profile\": \"e30=\", \"seccomp_unconfined\": true}"},
        {"isolation.rlimits[0].type", "\"isolation\": {\"rlimits\": [{\"type\": \"RLIMIT_NOFILE\"}]}"},
        {"isolation.rlimits[0]",
                "\"isolation\": {\"rlimits\": [{\"type\": \"nofile\", \"soft\": 2, \"hard\": 1}]}"},
        {"isolation.rlimits[1]",
                "\"isolation\": {\"rlimits\": [{\"type\": \"core\"}, {\"type\": \"core\"}]}"},
};

static void test_bad_values_name_their_field(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(bads); i++) {
                _cleanup_free_ char *json = xasprintf(
                        "{%s%s}", bads[i].no_command ? "" : "\"command\": [\"/bin/true\"], ", bads[i].json);
                _cleanup_free_ char *field = xasprintf("submit.job.%s", bads[i].field);
                _cleanup_api_error_ struct api_error x = {};
                Mete__Api__JobSpec *spec = decode(json);

                if (job_spec_validate(spec, &x) >= 0)
                        fail_msg("accepted: %s", json);
                if (!str_equal(x.field, field))
                        fail_msg("%s: blames %s, not %s", json, x.field, field);
                assert_int_equal(x.status, 400);
                assert_non_null(strstr(x.message, bads[i].field));
                message_free(spec);
        }
}

static void test_long_input_is_bounded(void **state)
{
        _cleanup_api_error_ struct api_error x = {};
        _cleanup_free_ char *word = xcalloc(1, (128 << 10) + 1), *json = NULL;
        Mete__Api__JobSpec *spec;

        memset(word, 'a', 128 << 10);
        json = xasprintf("{\"command\": [\"/bin/true\", \"%s\"]}", word);
        spec = decode(json);
        assert_int_equal(job_spec_validate(spec, &x), -EINVAL);
        assert_string_equal(x.field, "submit.job.command");
        assert_true(strlen(x.message) < 300);
        message_free(spec);
}

static void test_defaults_are_filled_in(void **state)
{
        _cleanup_api_error_ struct api_error x = {};
        Mete__Api__JobSpec *spec =
                decode("{\"command\": [\"/usr/bin/my tool\"], \"cpus\": 0.2504, \"memory_bytes\": 67108864}");

        assert_int_equal(job_spec_validate(spec, &x), 0);
        assert_string_equal(spec->name, "my_tool");
        assert_string_equal(spec->queue, "default");
        assert_non_null(spec->isolation);
        assert_true(spec->cpus == 0.25 && spec->cpus_limit == 0.25);
        assert_int_equal(spec->memory_limit_bytes, 67108864);
        assert_int_equal(spec->count, 1);
        message_free(spec);
}

static Mete__Api__JobSpec *validated(const char *rest)
{
        _cleanup_free_ char *json = xasprintf("{\"command\": [\"/bin/true\"], %s}", rest);
        _cleanup_api_error_ struct api_error x = {};
        Mete__Api__JobSpec *spec = decode(json);

        if (job_spec_validate(spec, &x) < 0)
                fail_msg("%s: %s", json, x.message);
        return spec;
}

static void test_schedules_are_completed(void **state)
{
        Mete__Api__JobSpec *spec = validated("\"array\": {\"first\": 10, \"last\": 20, \"step\": 3}, "
                                             "\"after\": [{\"job\": \"build\"}], \"queue\": \"batch-2\", "
                                             "\"restart\": {\"when\": \"ON_FAILURE\"}");

        assert_int_equal(spec->count, 4); /* 10, 13, 16, 19 */
        assert_int_equal(spec->priority, 500);
        assert_true(spec->preemptible && spec->has_preemptible);
        assert_string_equal(spec->queue, "batch-2");
        assert_int_equal(spec->after[0]->condition, METE__API__JOB_SPEC__DEPENDENCY__CONDITION__SUCCEEDED);
        assert_int_equal(spec->restart->attempts_max, 3);
        assert_true(spec->restart->backoff_seconds == 1 && spec->restart->backoff_max_seconds == 300);
        message_free(spec);

        spec = validated("\"restart\": {\"when\": \"ALWAYS\", \"backoff_seconds\": 1000}");
        assert_false(spec->restart->has_attempts_max);
        assert_true(spec->restart->backoff_max_seconds == 1000);
        message_free(spec);
}

/* What `mete inspect` shows can be submitted again. */
static void test_what_was_completed_is_accepted_again(void **state)
{
        _cleanup_api_error_ struct api_error x = {};
        Mete__Api__JobSpec *spec = validated(
                "\"array\": {\"first\": 0, \"last\": 9999}, \"gang\": true, \"cpus\": 2, "
                "\"exclusive_cores\": 2, "
                "\"ports\": 3, \"placement\": \"SPREAD\", \"spread_by\": \"zone\", \"deadline\": "
                "2000000000.5, "
                "\"duration_seconds\": 0.001, \"time_limit_seconds\": 86400, \"parallel_max\": 10000, "
                "\"constraints\": [\"rack~r[12]\", \"!gpu\", \"distinct:hostname\"], "
                "\"isolation\": {\"rootfs\": \"/srv/a..b\"}, "
                "\"volumes\": [{\"volume_id\": \"v\", \"container_path\": \"/data\"}, "
                "{\"volume_id\": \"w\", \"container_path\": \"..data/x..\"}], "
                "\"restart\": {\"when\": \"ALWAYS\", \"attempts_max\": 7}");

        if (job_spec_validate(spec, &x) < 0)
                fail_msg("%s", x.message);
        message_free(spec);
}

static void test_over_capacity_names_the_largest_agent(void **state)
{
        CLEANUP(cleanup_machines_free) struct machines *ms = machines_new();
        _cleanup_api_error_ struct api_error x = {};
        _cleanup_resources_ struct resources total = {};
        struct machine machine = {.id = "s1", .hostname = "host1"};
        Mete__Api__JobSpec *spec = decode("{\"command\": [\"a\"], \"cpus\": 4, \"memory_bytes\": 67108864}");

        assert_int_equal(job_spec_validate(spec, &x), 0);
        assert_int_equal(job_spec_check_capacity(spec, ms, &x), 0); /* nobody is registered yet */
        assert_int_equal(resources_parse("cpus:2;mem:1024", &total, NULL), 0);
        machine.total = total;
        (void)machines_set(ms, &machine);
        assert_int_equal(job_spec_check_capacity(spec, ms, &x), -EINVAL);
        assert_string_equal(x.field, "submit.job.cpus");
        assert_non_null(strstr(x.message, "over-capacity"));
        assert_non_null(strstr(x.message, "host1"));
        spec->cpus = 1;
        assert_int_equal(job_spec_check_capacity(spec, ms, &x), -EINVAL);
        assert_string_equal(x.field, "submit.job.cpus_limit");
        spec->cpus_limit = 2;
        assert_int_equal(job_spec_check_capacity(spec, ms, &x), 0);
        spec->memory_bytes = spec->memory_limit_bytes = UINT64_C(2) << 30;
        assert_int_equal(job_spec_check_capacity(spec, ms, &x), -EINVAL);
        assert_string_equal(x.field, "submit.job.memory_bytes");
        message_free(spec);
}

static void test_users(void **state)
{
        _cleanup_api_error_ struct api_error x = {};
        struct peer root = {.known = true, .uid = 0, .name = "root"},
                    other = {.known = true, .uid = 54321, .name = "54321"};
        Mete__Api__JobSpec *spec = decode("{\"command\": [\"a\"]}"), *asks;

        assert_int_equal(job_spec_validate(spec, &x), 0);
        assert_int_equal(peer_take_user(&root, spec, &x), 0);
        assert_true(str_empty(spec->isolation->user)); /* the agent takes nobody */
        message_free(spec);
        asks = decode("{\"command\": [\"a\"], \"isolation\": {\"user\": \"root\"}}");
        assert_int_equal(peer_take_user(&root, asks, &x), 0);
        assert_string_equal(asks->isolation->user, "root");
        assert_int_equal(peer_take_user(&other, asks, &x), -EINVAL);
        assert_int_equal(x.status, 403);
        assert_string_equal(x.field, "submit.job.isolation.user");
        set_string(&asks->isolation->user, "54321");
        assert_int_equal(peer_take_user(&other, asks, &x), 0);
        assert_string_equal(
                asks->isolation->user, "54321:65534"); /* numbers: a root file system has no say */
        message_free(asks);
        asks = decode("{\"command\": [\"a\"], \"isolation\": {\"capabilities_add\": [\"SYS_ADMIN\"]}}");
        assert_int_equal(peer_take_user(&other, asks, &x), -EINVAL);
        assert_string_equal(x.field, "submit.job.isolation.capabilities_add[0]");
        assert_int_equal(peer_take_user(&root, asks, &x), 0);
        message_free(asks);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bad_values_name_their_field),
                cmocka_unit_test(test_long_input_is_bounded),
                cmocka_unit_test(test_defaults_are_filled_in),
                cmocka_unit_test(test_schedules_are_completed),
                cmocka_unit_test(test_what_was_completed_is_accepted_again),
                cmocka_unit_test(test_over_capacity_names_the_largest_agent),
                cmocka_unit_test(test_users),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
