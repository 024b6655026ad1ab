/* What the master refuses of a task before an agent sees it: one row a rule, with the field that the sentence names. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "master/task_validation.h"

#define FRAMEWORK "f-0000"
#define AGENT "a-S1"

struct place {
        struct framework framework;
        struct agent agent;
        struct master master;
        Mete__V1__FrameworkInfo info;
        struct past_task lost;
        struct launch_target target;
};

static void *decode(const ProtobufCMessageDescriptor *d, const char *json)
{
        _cleanup_error_ struct error e = {};
        ProtobufCMessage *m = NULL;

        if (message_decode(CODEC_JSON, d, json, strlen(json), &m, &e) < 0)
                fail_msg("%s: %s", json, error_message(&e));
        return m;
}

static void place_start(struct place *p)
{
        static char framework[] = FRAMEWORK, agent[] = AGENT, user[] = "someone", lost[] = "unreachable";
        static char name[] = "test";

        log_set_level(LOG_LEVEL_ERROR);
        *p = (struct place){.info = METE__V1__FRAMEWORK_INFO__INIT};
        p->info.user = user;
        p->info.name = name;
        p->framework = (struct framework){.master = &p->master, .id = framework, .info = &p->info};
        p->agent = (struct agent){.master = &p->master, .id = agent, .state = AGENT_ACTIVE};
        p->lost.key = lost;
        HASH_ADD_KEYPTR(hh, p->framework.unreachable, p->lost.key, strlen(p->lost.key), &p->lost);
        p->target = (struct launch_target){&p->framework, &p->agent, "role"};
}

static void place_stop(struct place *p)
{
        HASH_CLEAR(hh, p->framework.unreachable);
}

#define HEAD "{\"name\": \"t\", \"task_id\": {\"value\": \"t1\"}, \"agent_id\": {\"value\": \"" AGENT "\"}"
#define CPUS "{\"name\": \"cpus\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 1}}"
#define MEM "{\"name\": \"mem\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 64}}"
#define SIZE ", \"resources\": [" CPUS ", " MEM "]"
#define RUN ", \"command\": {\"value\": \"true\"}"
#define TASK(more) HEAD SIZE RUN more "}"
#define RESOURCE(more)                                                                                       \
        HEAD RUN ", \"resources\": [" CPUS                                                                   \
                 ", {\"name\": \"disk\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 1}, " more "}]}"
#define EXECUTOR(more) HEAD SIZE ", \"executor\": {\"executor_id\": {\"value\": \"x\"}" more "}}"
#define EXECUTOR_RUN ", \"command\": {\"value\": \"./x\"}"
#define LIMITS(more) TASK(", \"limits\": {" more "}")
#define CHECK(more) TASK(", \"check\": {" more "}")
#define HEALTH(more) TASK(", \"health_check\": {" more "}")
#define CONTAINER(more) ", \"container\": {\"type\": \"MESOS\", " more "}"

struct row {
        const char *task;
        const char *field; /* NULL: accepted */
};

static const struct row rows[] = {
        {TASK(""), NULL},
        /* who and where */
        {"{\"name\": \"t\", \"task_id\": {\"value\": \"a/b\"}, \"agent_id\": {\"value\": \"" AGENT
         "\"}" SIZE RUN "}",
                "task.task_id.value"},
        {"{\"name\": \"t\", \"task_id\": {\"value\": \"..\"}, \"agent_id\": {\"value\": \"" AGENT
         "\"}" SIZE RUN "}",
                "task.task_id.value"},
        {"{\"name\": \"t\", \"task_id\": {\"value\": \"\"}, \"agent_id\": {\"value\": \"" AGENT "\"}" SIZE RUN
         "}",
                "task.task_id.value"},
        {"{\"name\": \"t\", \"task_id\": {\"value\": \"unreachable\"}, \"agent_id\": {\"value\": \"" AGENT
         "\"}" SIZE RUN "}",
                "unreachable"},
        {"{\"name\": \"t\", \"task_id\": {\"value\": \"t1\"}, \"agent_id\": {\"value\": \"a-S2\"}" SIZE RUN
         "}",
                "task.agent_id"},
        /* command or executor */
        {HEAD SIZE "}", "task.command: exactly one"},
        {HEAD SIZE RUN ", \"executor\": {\"executor_id\": {\"value\": \"x\"}" EXECUTOR_RUN "}}",
                "task.executor: exactly one"},
        {EXECUTOR(EXECUTOR_RUN), NULL},
        {EXECUTOR(""), "task.executor.command"},
        {EXECUTOR(", \"type\": \"CUSTOM\""), "task.executor.command"},
        {EXECUTOR(", \"type\": \"CUSTOM\"" EXECUTOR_RUN), NULL},
        {EXECUTOR(", \"type\": \"DEFAULT\""), "task.executor.type"},
        {HEAD SIZE ", \"executor\": {\"executor_id\": {\"value\": \"a/x\"}" EXECUTOR_RUN "}}",
                "task.executor.executor_id.value"},
        {EXECUTOR(EXECUTOR_RUN ", \"framework_id\": {\"value\": \"" FRAMEWORK "\"}"), NULL},
        {EXECUTOR(EXECUTOR_RUN ", \"framework_id\": {\"value\": \"other\"}"), "task.executor.framework_id"},
        {EXECUTOR(EXECUTOR_RUN ", \"shutdown_grace_period\": {\"nanoseconds\": -1}"),
                "task.executor.shutdown_grace_period"},
        {EXECUTOR(EXECUTOR_RUN ", \"container\": {\"type\": \"DOCKER\"}"), "task.executor.container.docker"},
        {EXECUTOR(EXECUTOR_RUN ", \"resources\": [{\"name\": \"cpus\", \"type\": \"SCALAR\", \"scalar\": "
                               "{\"value\": -1}}]"),
                "task.executor.resources[0].scalar.value"},
        {EXECUTOR(
                 EXECUTOR_RUN ", \"resources\": [{\"name\": \"cpus\", \"type\": \"SCALAR\", \"role\": \"r/\","
                              " \"scalar\": {\"value\": 1}}]"),
                "task.executor.resources[0].role"},
        /* resources */
        {HEAD RUN "}", "task.resources: at least one"},
        {RESOURCE("\"role\": \"*\""), NULL},
        {RESOURCE("\"role\": \"mine\""), NULL},
        {RESOURCE("\"role\": \"mine/\""), "task.resources[1].role"},
        {RESOURCE("\"reservation\": {\"principal\": \"p\"}"), "task.resources[1].reservation"},
        {RESOURCE("\"reservations\": [{\"type\": \"DYNAMIC\", \"role\": \"role\"}]"), NULL},
        {RESOURCE("\"reservations\": [{\"type\": \"DYNAMIC\"}]"), "task.resources[1].reservations[0].role"},
        {RESOURCE("\"allocation_info\": {\"role\": \"role\"}"), NULL},
        {RESOURCE("\"allocation_info\": {}"), NULL},
        {RESOURCE("\"allocation_info\": {\"role\": \"other\"}"), "task.resources[1].allocation_info.role"},
        {RESOURCE("\"disk\": {\"persistence\": {\"id\": \"v\"}}"), "task.resources[1].disk"},
        {RESOURCE("\"disk\": {\"persistence\": {\"id\": \"v\"}, \"volume\": {\"container_path\": \"p\", "
                  "\"mode\": \"RW\"}}"),
                "task.resources[1].disk"},
        {RESOURCE("\"disk\": {\"source\": {\"type\": \"MOUNT\"}}"), "task.resources[1].disk.source"},
        {RESOURCE("\"revocable\": {}"), NULL},
        {HEAD RUN ", \"resources\": [" CPUS ", {\"name\": \"cpus\", \"type\": \"SCALAR\", \"scalar\": "
                  "{\"value\": 1}, \"revocable\": {}}]}",
                "both revocable and not"},
        {RESOURCE("\"shared\": {}"), "task.resources[1].shared"},
        {RESOURCE("\"provider_id\": {\"value\": \"p\"}"), "task.resources[1].provider_id"},
        /* durations */
        {TASK(", \"kill_policy\": {\"grace_period\": {\"nanoseconds\": 0}}"), NULL},
        {TASK(", \"kill_policy\": {\"grace_period\": {\"nanoseconds\": -1}}"),
                "task.kill_policy.grace_period"},
        {TASK(", \"max_completion_time\": {\"nanoseconds\": 0}"), NULL},
        {TASK(", \"max_completion_time\": {\"nanoseconds\": -1}"), "task.max_completion_time"},
        /* limits */
        {LIMITS("\"cpus\": {\"value\": 1}, \"mem\": {\"value\": 64}"), NULL},
        {LIMITS("\"cpus\": {\"value\": \"Infinity\"}, \"mem\": {\"value\": \"Infinity\"}"), NULL},
        {LIMITS("\"cpus\": {\"value\": 0.5}"), "task.limits.cpus"},
        {LIMITS("\"mem\": {\"value\": 63.5}"), "task.limits.mem"},
        {LIMITS("\"mem\": {\"value\": 63.999}"), NULL}, /* the rounding of bytes */
        {LIMITS("\"cpus\": {\"value\": -1}"), "task.limits.cpus"},
        {LIMITS("\"cpus\": {\"value\": \"-Infinity\"}"), "task.limits.cpus"},
        {LIMITS("\"disk\": {\"value\": 10}"), "task.limits.disk"},
        /* commands and containers */
        {HEAD SIZE ", \"command\": {\"value\": \"true\", \"environment\": {\"variables\": [{\"name\": \"A\","
                   " \"value\": \"\"}]}}}",
                NULL},
        {HEAD SIZE ", \"command\": {\"value\": \"true\", \"environment\": {\"variables\": [{\"name\": "
                   "\"A\"}]}}}",
                "task.command.environment.variables[0]"},
        {HEAD SIZE ", \"command\": {\"value\": \"true\", \"environment\": {\"variables\": [{\"name\": \"A\","
                   " \"type\": \"SECRET\", \"value\": \"x\"}]}}}",
                "task.command.environment.variables[0]"},
        {TASK(", \"container\": {\"type\": \"DOCKER\"}"), "task.container.docker"},
        {TASK(", \"container\": {\"type\": \"DOCKER\", \"docker\": {\"image\": \"i\"}}"), NULL},
        {TASK(", \"container\": {\"type\": \"MESOS\"}"), NULL},
        /* checks */
        {CHECK(""), "task.check.type"},
        {CHECK("\"type\": \"COMMAND\""), "task.check.command"},
        {CHECK("\"type\": \"COMMAND\", \"command\": {\"command\": {\"value\": \"true\"}}"), NULL},
        {CHECK("\"type\": \"HTTP\""), "task.check.http"},
        {CHECK("\"type\": \"HTTP\", \"tcp\": {\"port\": 80}"), "task.check.http"},
        {CHECK("\"type\": \"HTTP\", \"http\": {\"port\": 80}"), NULL},
        {CHECK("\"type\": \"HTTP\", \"http\": {\"port\": 80, \"path\": \"/health\"}"), NULL},
        {CHECK("\"type\": \"HTTP\", \"http\": {\"port\": 80, \"path\": \"health\"}"), "task.check.http.path"},
        {CHECK("\"type\": \"HTTP\", \"http\": {\"port\": 0}"), "task.check.http.port"},
        {CHECK("\"type\": \"TCP\""), "task.check.tcp"},
        {CHECK("\"type\": \"TCP\", \"tcp\": {\"port\": 65536}"), "task.check.tcp.port"},
        {CHECK("\"type\": \"TCP\", \"tcp\": {\"port\": 65535}"), NULL},
        {CHECK("\"type\": \"TCP\", \"tcp\": {\"port\": 1}, \"delay_seconds\": -1"),
                "task.check.delay_seconds"},
        {CHECK("\"type\": \"TCP\", \"tcp\": {\"port\": 1}, \"interval_seconds\": \"Infinity\""),
                "task.check.interval_seconds"},
        {CHECK("\"type\": \"TCP\", \"tcp\": {\"port\": 1}, \"timeout_seconds\": -0.5"),
                "task.check.timeout_seconds"},
        {HEALTH(""), "task.health_check.type"},
        {HEALTH("\"command\": {\"value\": \"true\"}"), "task.health_check.type"},
        {HEALTH("\"type\": \"COMMAND\""), "task.health_check.command"},
        {HEALTH("\"type\": \"COMMAND\", \"command\": {\"value\": \"true\"}"), NULL},
        {HEALTH("\"type\": \"HTTP\""), "task.health_check.http"},
        {HEALTH("\"type\": \"HTTP\", \"http\": {\"port\": 80, \"scheme\": \"ftp\"}"),
                "task.health_check.http.scheme"},
        {HEALTH("\"type\": \"HTTP\", \"http\": {\"port\": 80, \"scheme\": \"https\", \"path\": \"/\"}"),
                NULL},
        {HEALTH("\"type\": \"TCP\""), "task.health_check.tcp"},
        {HEALTH("\"type\": \"TCP\", \"tcp\": {\"port\": 1}"), NULL},
        {HEALTH("\"type\": \"TCP\", \"tcp\": {\"port\": 1}, \"grace_period_seconds\": -1"),
                "task.health_check.grace_period_seconds"},
        {HEALTH("\"type\": \"TCP\", \"tcp\": {\"port\": 1}, \"delay_seconds\": -1"),
                "task.health_check.delay_seconds"},
        {HEALTH("\"type\": \"TCP\", \"tcp\": {\"port\": 1}, \"interval_seconds\": -1"),
                "task.health_check.interval_seconds"},
        {HEALTH("\"type\": \"TCP\", \"tcp\": {\"port\": 1}, \"timeout_seconds\": -1"),
                "task.health_check.timeout_seconds"},
};

static void expect_refusal(const char *json, int r, const struct error *e, const char *field)
{
        if (!field && r < 0)
                fail_msg("%s: %s", json, error_message(e));
        if (field && r >= 0)
                fail_msg("%s: accepted, %s is expected to be named", json, field);
        if (field && !strstr(error_message(e), field))
                fail_msg("%s: '%s' does not say '%s'", json, error_message(e), field);
}

static void test_each_rule_names_its_field(void **state)
{
        struct place p;

        place_start(&p);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_error_ struct error e = {};
                Mete__V1__TaskInfo *t = decode(&mete__v1__task_info__descriptor, rows[i].task);

                task_complete(&p.target, t);
                expect_refusal(rows[i].task, task_validate(&p.target, t, NULL, &e), &e, rows[i].field);
                message_free(t);
        }
        place_stop(&p);
}

static const char group_executor[] =
        "{\"executor_id\": {\"value\": \"g\"}, \"type\": \"CUSTOM\", \"command\": {\"value\": \"./x\"}, "
        "\"resources\": ["
        "{\"name\": \"cpus\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 0.1}},"
        "{\"name\": \"mem\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 32}},"
        "{\"name\": \"disk\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 1}}]}";

static void test_tasks_of_groups(void **state)
{
        static const struct row group_rows[] = {
                {TASK(""), NULL},
                {HEAD SIZE "}", NULL}, /* its executor knows what to do */
                {LIMITS("\"cpus\": {\"value\": 2}"), "share_cgroups"},
                {TASK(", \"limits\": {\"cpus\": {\"value\": 2}}, \"container\": {\"type\": \"MESOS\", "
                      "\"linux_info\":"
                      " {\"share_cgroups\": true}}"),
                        "share_cgroups"},
                {TASK(", \"limits\": {\"cpus\": {\"value\": 2}}, \"container\": {\"type\": \"MESOS\", "
                      "\"linux_info\":"
                      " {\"share_cgroups\": false}}"),
                        NULL},
                {TASK(", \"container\": {\"type\": \"DOCKER\", \"docker\": {\"image\": \"i\"}}"),
                        "task.container.type"},
                {EXECUTOR(EXECUTOR_RUN), "task.executor"},
        };
        Mete__V1__ExecutorInfo *x = decode(&mete__v1__executor_info__descriptor, group_executor);
        struct place p;

        place_start(&p);
        executor_complete(&p.target, x);
        for (size_t i = 0; i < ELEMENTSOF(group_rows); i++) {
                _cleanup_error_ struct error e = {};
                Mete__V1__TaskInfo *t = decode(&mete__v1__task_info__descriptor, group_rows[i].task);

                task_complete(&p.target, t);
                expect_refusal(
                        group_rows[i].task, task_validate(&p.target, t, x, &e), &e, group_rows[i].field);
                message_free(t);
        }
        message_free(x);
        place_stop(&p);
}

#define GROUP(type, cpus, mem, disk)                                                                         \
        "{\"executor_id\": {\"value\": \"g\"}" type ", \"command\": {\"value\": \"./x\"}, \"resources\": ["  \
        "{\"name\": \"cpus\", \"type\": \"SCALAR\", \"scalar\": {\"value\": " cpus "}},"                     \
        "{\"name\": \"mem\", \"type\": \"SCALAR\", \"scalar\": {\"value\": " mem "}}" disk "]}"
#define CUSTOM ", \"type\": \"CUSTOM\""
#define DISK ", {\"name\": \"disk\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 1}}"

static void test_executors_of_groups(void **state)
{
        static const struct row executor_rows[] = {
                {group_executor, NULL},
                {GROUP(CUSTOM, "0.01", "32", DISK), NULL},
                {GROUP("", "0.1", "32", DISK), "executor.type"},
                {GROUP(", \"type\": \"DEFAULT\"", "0.1", "32", DISK), "executor.type"},
                {GROUP(CUSTOM, "0.009", "32", DISK), "executor.resources"},
                {GROUP(CUSTOM, "0.1", "31.9", DISK), "executor.resources"},
                {GROUP(CUSTOM, "0.1", "32", ""), "executor.resources: disk"},
        };
        struct place p;

        place_start(&p);
        for (size_t i = 0; i < ELEMENTSOF(executor_rows); i++) {
                _cleanup_error_ struct error e = {};
                Mete__V1__ExecutorInfo *x =
                        decode(&mete__v1__executor_info__descriptor, executor_rows[i].task);

                executor_complete(&p.target, x);
                expect_refusal(executor_rows[i].task,
                        executor_validate(&p.target, x, "executor", /* for_group= */ true, &e), &e,
                        executor_rows[i].field);
                message_free(x);
        }
        place_stop(&p);
}

static void test_what_is_left_out_is_filled_in(void **state)
{
        Mete__V1__TaskInfo *t = decode(
                &mete__v1__task_info__descriptor, EXECUTOR(EXECUTOR_RUN ", \"resources\": [" CPUS "]"));
        struct place p;

        place_start(&p);
        task_complete(&p.target, t);
        assert_string_equal(t->resources[0]->allocation_info->role, "role");
        assert_string_equal(t->executor->resources[0]->allocation_info->role, "role");
        assert_string_equal(t->executor->framework_id->value, FRAMEWORK);
        assert_int_equal(t->executor->type, METE__V1__EXECUTOR_INFO__TYPE__CUSTOM);
        message_free(t);
        place_stop(&p);
}

static void test_users(void **state)
{
        static const struct row user_rows[] = {
                {TASK(""), NULL},
                {HEAD SIZE ", \"command\": {\"value\": \"x\", \"user\": \"someone\"}}", NULL},
                {HEAD SIZE ", \"command\": {\"value\": \"x\", \"user\": \"root\"}}", "task.command.user"},
                {EXECUTOR(", \"command\": {\"value\": \"x\", \"user\": \"root\"}"),
                        "task.executor.command.user"},
                {CHECK("\"type\": \"COMMAND\", \"command\": {\"command\": {\"value\": \"x\", \"user\": "
                       "\"root\"}}"),
                        "task.check.command.command.user"},
                {HEALTH("\"type\": \"COMMAND\", \"command\": {\"value\": \"x\", \"user\": \"root\"}"),
                        "task.health_check.command.user"},
                /* what the agent could give them of root's */
                {TASK(CONTAINER("\"linux_info\": {\"effective_capabilities\": {\"capabilities\": "
                                "[\"SYS_ADMIN\"]}}")),
                        "task.container.linux_info.effective_capabilities"},
                {TASK(CONTAINER("\"linux_info\": {\"bounding_capabilities\": {\"capabilities\": "
                                "[\"CHOWN\"]}}")),
                        "task.container.linux_info.bounding_capabilities"},
                {TASK(CONTAINER("\"linux_info\": {\"effective_capabilities\": {}}")), NULL},
                {EXECUTOR(EXECUTOR_RUN CONTAINER("\"linux_info\": {\"effective_capabilities\": "
                                                 "{\"capabilities\": [\"DAC_OVERRIDE\"]}}")),
                        "task.executor.container.linux_info.effective_capabilities"},
                {TASK(CONTAINER("\"rlimit_info\": {\"rlimits\": [{\"type\": \"RLMT_RTPRIO\"}]}")),
                        "task.container.rlimit_info.rlimits[0].type"},
                {TASK(CONTAINER("\"rlimit_info\": {\"rlimits\": [{\"type\": \"RLMT_CORE\"}]}")), NULL},
        };
        struct place p;

        place_start(&p);
        for (size_t i = 0; i < ELEMENTSOF(user_rows); i++) {
                _cleanup_error_ struct error e = {};
                Mete__V1__TaskInfo *t = decode(&mete__v1__task_info__descriptor, user_rows[i].task);
                int r;

                p.framework.privileged = false;
                r = task_authorize(&p.framework, t, &e);
                assert_true(r == (user_rows[i].field ? -EPERM : 0));
                expect_refusal(user_rows[i].task, r, &e, user_rows[i].field);
                p.framework.privileged = true;
                assert_int_equal(task_authorize(&p.framework, t, NULL), 0);
                message_free(t);
        }
        place_stop(&p);
}

static void test_sizes(void **state)
{
        Mete__V1__TaskInfo *t = decode(&mete__v1__task_info__descriptor, TASK(""));
        Mete__V1__ExecutorInfo *x = decode(&mete__v1__executor_info__descriptor, group_executor);
        _cleanup_free_ char *large = xmalloc(TASK_BYTES_MAX + 1);
        Mete__V1__TaskInfo *tasks[] = {t, t, t};
        Mete__V1__TaskGroupInfo group = METE__V1__TASK_GROUP_INFO__INIT;
        _cleanup_error_ struct error e = {}, of_group = {};
        struct place p;

        memset(large, 'x', TASK_BYTES_MAX);
        large[TASK_BYTES_MAX - 1024] = '\0';
        place_start(&p);
        task_complete(&p.target, t);
        set_string(&t->name, large);
        assert_int_equal(task_validate(&p.target, t, NULL, NULL), 0);
        group.tasks = tasks;
        group.n_tasks = 1;
        assert_int_equal(group_check_size(x, &group, NULL), 0);
        group.n_tasks = 3;
        expect_refusal("a group", group_check_size(x, &group, &of_group), &of_group, "task_group");
        large[TASK_BYTES_MAX - 1024] = 'x';
        large[TASK_BYTES_MAX] = '\0';
        set_string(&t->name, large);
        expect_refusal("a task", task_validate(&p.target, t, NULL, &e), &e, "task has");
        message_free(x);
        message_free(t);
        place_stop(&p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_each_rule_names_its_field),
                cmocka_unit_test(test_tasks_of_groups),
                cmocka_unit_test(test_executors_of_groups),
                cmocka_unit_test(test_what_is_left_out_is_filled_in),
                cmocka_unit_test(test_users),
                cmocka_unit_test(test_sizes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
