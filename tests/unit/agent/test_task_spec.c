#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/task_spec.h"
#include "lib/base/time.h"
#include "lib/net/codec.h"

static const struct task_place place = {
        .agent_id = "a",
        .agent_endpoint = "127.0.0.1:5051",
        .container_id = "c",
        .sandbox_in_container = "/mnt/mesos/sandbox",
        .sandbox_path = "/srv/agent/c",
        .milli_cpus = 4000,
        .memory_bytes = UINT64_C(1) << 30,
};

#define FRAMEWORK "\"framework\":{\"user\":\"nobody\",\"name\":\"n\",\"id\":{\"value\":\"f\"}}"
#define RESOURCES(cpus, mem)                                                                                 \
        "\"resources\":[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":" cpus                  \
        "}},{\"name\":\"mem\",\"type\":\"SCALAR\",\"scalar\":{\"value\":" mem "}}]"
#define TASK(resources, rest)                                                                                \
        "\"task\":{\"name\":\"t\",\"task_id\":{\"value\":\"17.0\"},\"agent_id\":{\"value\":\"a\"}"           \
        "," resources "," rest "}"
#define LAUNCH(resources, rest, isolation)                                                                   \
        "{" FRAMEWORK "," TASK(resources, rest) ",\"isolation\":{" isolation "}}"
#define TRUE_COMMAND "\"command\":{\"shell\":false,\"value\":\"/bin/true\"}"

static int build(const char *json, struct container_spec *ret, struct error *e)
{
        ProtobufCMessage *m;

        int r = message_decode(
                CODEC_JSON, &mete__agent__command__launch__descriptor, json, strlen(json), &m, e);
        if (r < 0)
                fail_msg("the test's own message: %s", error_message(e));
        r = task_spec_build((const Mete__Agent__Command__Launch *)m, &place, ret, e);
        message_free(m);
        return r;
}

static const char *variable(const struct container_spec *s, const char *name)
{
        size_t n = strlen(name);

        for (char **v = s->environment; *v; v++)
                if (strncmp(*v, name, n) == 0 && (*v)[n] == '=')
                        return *v + n + 1;
        return NULL;
}

static void plain_command(void **state)
{
        CLEANUP(container_spec_done) struct container_spec s = {0};
        _cleanup_error_ struct error e = {0};

        int r = build(
                LAUNCH(RESOURCES("0.5", "64"),
                        "\"command\":{\"shell\":false,\"value\":\"/bin/echo\",\"arguments\":[\"echo\",\"x\"],"
                        "\"environment\":{\"variables\":[{\"name\":\"PATH\",\"value\":\"/mine\"}]}}",
                        "\"pids_limit\":10"),
                &s, &e);
        if (r < 0)
                fail_msg("%s", error_message(&e));
        assert_int_equal(s.milli_cpus, 500);
        assert_int_equal(s.milli_cpus_limit, 500);
        assert_int_equal(s.memory_bytes, 64u << 20);
        assert_int_equal(s.memory_limit_bytes, 64u << 20);
        assert_int_equal(s.pids_limit, 10);
        assert_int_equal(s.network, CONTAINER_NETWORK_NONE);
        assert_string_equal(s.program, "/bin/echo");
        assert_string_equal(s.argv[0], "echo");
        assert_string_equal(s.argv[1], "x");
        assert_null(s.argv[2]);
        assert_string_equal(s.hostname, "17-0");
        assert_string_equal(variable(&s, "PATH"), "/mine");
        assert_string_equal(variable(&s, "MESOS_TASK_ID"), "17.0");
        assert_string_equal(variable(&s, "MESOS_SANDBOX"), "/mnt/mesos/sandbox");
        assert_string_equal(variable(&s, "USER"), "nobody");
}

static void shell_and_limits(void **state)
{
        CLEANUP(container_spec_done) struct container_spec s = {0};
        _cleanup_error_ struct error e = {0};

        int r = build(LAUNCH(RESOURCES("1", "64"),
                              "\"command\":{\"value\":\"echo "
                              "$X\"},\"limits\":{\"cpus\":{\"value\":2},\"mem\":{\"value\":\"Infinity\"}}",
                              "\"network\":\"HOST\""),
                &s, &e);
        if (r < 0)
                fail_msg("%s", error_message(&e));
        assert_string_equal(s.argv[0], "/bin/sh");
        assert_string_equal(s.argv[2], "echo $X");
        assert_int_equal(s.milli_cpus_limit, 2000);
        assert_true(s.memory_limit_bytes == UINT64_MAX);
        assert_int_equal(s.network, CONTAINER_NETWORK_HOST);
        assert_int_equal(s.pids_limit, TASK_PIDS_LIMIT_DEFAULT);
}

/* Root only when it is asked for: a framework's own root is not that. */
static void root_must_be_asked_for(void **state)
{
        CLEANUP(container_spec_done) struct container_spec s = {0}, t = {0};
        _cleanup_error_ struct error e = {0};
        const char *without =
                "{\"framework\":{\"user\":\"root\",\"name\":\"n\",\"id\":{\"value\":\"f\"}}," TASK(
                        RESOURCES("1", "64"), TRUE_COMMAND) "}";

        assert_int_equal(build(without, &s, &e), 0);
        assert_null(s.user);
        assert_int_equal(build(LAUNCH(RESOURCES("1", "64"), TRUE_COMMAND, "\"user\":\"root\""), &t, &e), 0);
        assert_string_equal(t.user, "root");
}

static void refusals(void **state)
{
        static const struct {
                const char *json;
                const char *says;
        } cases[] = {
                {LAUNCH(RESOURCES("0", "64"), TRUE_COMMAND, ""), "cpus must be at least"},
                {LAUNCH(RESOURCES("-1", "64"), TRUE_COMMAND, ""), "cpus -1 is out of range"},
                {LAUNCH(RESOURCES("5", "64"), TRUE_COMMAND, ""), "more than the 4 of this agent"},
                {LAUNCH(RESOURCES("1e300", "64"), TRUE_COMMAND, ""), "out of range"},
                {LAUNCH(RESOURCES("1", "0"), TRUE_COMMAND, ""), "too little"},
                {LAUNCH(RESOURCES("1", "4096"), TRUE_COMMAND, ""), "more than the 1073741824"},
                {LAUNCH(RESOURCES("1", "64"), TRUE_COMMAND ",\"limits\":{\"cpus\":{\"value\":0.5}}", ""),
                        "task.limits.cpus"},
                {LAUNCH(RESOURCES("1", "64"), TRUE_COMMAND ",\"limits\":{\"mem\":{\"value\":32}}", ""),
                        "task.limits.mem"},
                {LAUNCH(RESOURCES("1", "64"), "\"command\":{\"shell\":false}", ""), "task.command.value"},
                {LAUNCH(RESOURCES("1", "64"), "\"data\":\"\"", ""), "task.command"},
                {LAUNCH(RESOURCES("1", "64"), TRUE_COMMAND ",\"health_check\":{\"type\":\"HTTP\"}", ""),
                        "task.health_check.http: is missing"},
                {LAUNCH(RESOURCES("1", "64"),
                         TRUE_COMMAND ",\"check\":{\"type\":\"TCP\",\"tcp\":{\"port\":0}}", ""),
                        "task.check.tcp.port"},
                {LAUNCH(RESOURCES("1", "64"), TRUE_COMMAND ",\"max_completion_time\":{\"nanoseconds\":-1}",
                         ""),
                        "task.max_completion_time"},
                {LAUNCH(RESOURCES("1", "64"), TRUE_COMMAND ",\"container\":{\"type\":\"DOCKER\"}", ""),
                        "task.container.type"},
                {LAUNCH(RESOURCES("1", "64"), TRUE_COMMAND, "\"pids_limit\":0"), "isolation.pids_limit"},
                {LAUNCH(RESOURCES("1", "64"), TRUE_COMMAND, "\"rootfs\":\"relative\""), "isolation.rootfs"},
                {LAUNCH(RESOURCES("1", "64"), TRUE_COMMAND, "\"rootfs\":\"/nonexistent/x\""),
                        "isolation.rootfs"},
                {LAUNCH(RESOURCES("1", "64"), TRUE_COMMAND, "\"user\":\"no-such-user-here\""),
                        "isolation.user"},
                {LAUNCH(RESOURCES("1", "64"), TRUE_COMMAND, "\"hostname\":\"a b\""), "isolation.hostname"},
                {LAUNCH(RESOURCES("1", "64"), TRUE_COMMAND, "\"working_directory\":\"x\""),
                        "isolation.working_directory"},
                {LAUNCH(RESOURCES("1", "64"), TRUE_COMMAND,
                         "\"rlimits\":[{\"type\":\"nofile\",\"soft\":5,\"hard\":4}]"),
                        "isolation.rlimits[0]"},
                {LAUNCH(RESOURCES("1", "64"),
                         "\"command\":{\"value\":\"x\",\"environment\":{\"variables\":[{\"name\":\"A=B\"}]}}",
                         ""),
                        "variables[0].name"},
                {"{" FRAMEWORK ",\"task\":{\"name\":\"t\",\"task_id\":{\"value\":\"../"
                 "x\"},\"agent_id\":{\"value\":\"a\"}}}",
                        "task.task_id"},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                struct container_spec s = {0};
                _cleanup_error_ struct error e = {0};

                if (build(cases[i].json, &s, &e) >= 0)
                        fail_msg("case %zu was accepted", i);
                if (!strstr(error_message(&e), cases[i].says))
                        fail_msg("case %zu: \"%s\" does not say \"%s\"", i, error_message(&e), cases[i].says);
        }
}

/* An executor's container: a stand-in for a task, with the limits of the executor and its tasks. */
static int build_executor(const char *launch, struct container_spec *ret, struct error *e)
{
        static const struct container_limits limits = {300, 400, 64u << 20, 96u << 20, UINT64_MAX};
        static char *const variables[] = {
                (char *)"FROM_OPTION=1", (char *)"PATH=/option", (char *)"MESOS_CHECKPOINT=no"};
        const struct string_list base = {(char **)variables, 3};
        struct task_place at = place;
        ProtobufCMessage *m;

        at.executor = true;
        at.limits = &limits;
        at.executor_token = "t.o.k";
        at.shutdown_grace_ns = 1500 * NSEC_PER_MSEC;
        at.recovery_timeout_ns = 15 * 60 * NSEC_PER_SEC;
        at.domain_socket = "/run/mete-agent/agent.sock";
        at.environment = &base;
        if (message_decode(
                    CODEC_JSON, &mete__agent__command__launch__descriptor, launch, strlen(launch), &m, e) < 0)
                fail_msg("the test's own message: %s", error_message(e));
        int r = task_spec_build((const Mete__Agent__Command__Launch *)m, &at, ret, e);
        message_free(m);
        return r;
}

#define CHECKPOINTING                                                                                        \
        "\"framework\":{\"user\":\"nobody\",\"name\":\"n\",\"checkpoint\":true,\"id\":{\"value\":\"f\"}}"

static void executors(void **state)
{
        CLEANUP(container_spec_done) struct container_spec s = {0};
        _cleanup_error_ struct error e = {0};

        int r = build_executor(
                "{" CHECKPOINTING "," TASK(RESOURCES("9", "9"),
                        "\"command\":{\"value\":\"x\",\"environment\":{\"variables\":[{\"name\":\"MINE\","
                        "\"value\":\"2\"},{\"name\":\"FROM_OPTION\",\"value\":\"3\"}]}}") "}",
                &s, &e);
        if (r < 0)
                fail_msg("%s", error_message(&e));
        assert_int_equal(s.milli_cpus, 300); /* the limits given, not the resources */
        assert_int_equal(s.memory_limit_bytes, 96u << 20);
        assert_int_equal(s.network, CONTAINER_NETWORK_HOST);
        static const struct {
                const char *name, *value;
        } expected[] = {{"MESOS_FRAMEWORK_ID", "f"}, {"MESOS_EXECUTOR_ID", "17.0"}, {"MESOS_SLAVE_ID", "a"},
                {"MESOS_AGENT_ENDPOINT", "127.0.0.1:5051"}, {"MESOS_SLAVE_PID", "slave(1)@127.0.0.1:5051"},
                {"MESOS_DIRECTORY", "/srv/agent/c"}, {"MESOS_SANDBOX", "/mnt/mesos/sandbox"},
                {"MESOS_DOMAIN_SOCKET", "/run/mete-agent/agent.sock"}, {"MESOS_CHECKPOINT", "1"},
                {"MESOS_RECOVERY_TIMEOUT", "15mins"}, {"MESOS_SUBSCRIPTION_BACKOFF_MAX", "2secs"},
                {"MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", "1500ms"}, {"MESOS_HTTP_COMMAND_EXECUTOR", "0"},
                {"MESOS_EXECUTOR_AUTHENTICATION_TOKEN", "t.o.k"}, {"LIBPROCESS_PORT", "0"}, {"MINE", "2"},
                {"FROM_OPTION", "3"}, {"PATH", "/option"}};
        for (size_t i = 0; i < ELEMENTSOF(expected); i++) {
                const char *value = variable(&s, expected[i].name);

                if (!str_equal(value, expected[i].value))
                        fail_msg("%s: %s", expected[i].name, value ? value : "(unset)");
        }
        assert_null(variable(&s, "MESOS_TASK_ID"));
}

static void executors_of_frameworks_without_checkpoints(void **state)
{
        CLEANUP(container_spec_done) struct container_spec s = {0};
        _cleanup_error_ struct error e = {0};

        assert_int_equal(
                build_executor("{" FRAMEWORK "," TASK(RESOURCES("1", "64"), TRUE_COMMAND) "}", &s, &e), 0);
        assert_string_equal(variable(&s, "MESOS_CHECKPOINT"), "0");
        assert_null(variable(&s, "MESOS_RECOVERY_TIMEOUT"));
        assert_null(variable(&s, "MESOS_SUBSCRIPTION_BACKOFF_MAX"));
}

static void executors_are_refused_by_their_own_fields(void **state)
{
        CLEANUP(container_spec_done) struct container_spec s = {0};
        _cleanup_error_ struct error e = {0};

        assert_int_equal(build_executor("{" FRAMEWORK
                                        "," TASK(RESOURCES("1", "64"), "\"command\":{\"value\":\"\"}") "}",
                                 &s, &e),
                -EINVAL);
        assert_true(str_has_prefix(error_message(&e), "task.executor.command.value: "));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(executors),
                cmocka_unit_test(executors_of_frameworks_without_checkpoints),
                cmocka_unit_test(executors_are_refused_by_their_own_fields),
                cmocka_unit_test(plain_command),
                cmocka_unit_test(shell_and_limits),
                cmocka_unit_test(root_must_be_asked_for),
                cmocka_unit_test(refusals),
        };

        return cmocka_run_group_tests_name("agent/task_spec", tests, NULL, NULL);
}
