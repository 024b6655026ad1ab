/* What `mete run` makes of its flags, of refusals, and of how tasks end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/net/codec.h"
#include "tools/mete/all_verbs.h"
#include "tools/mete/run_spec.h"
#include "tools/mete/run_task.h"

/* The command line is split at spaces. NULL: refused, with the sentence in e. */
static Mete__Api__JobSpec *build(const char *line, struct error *e)
{
        _cleanup_free_ char *copy = xasprintf("run %s", line);
        struct run_options o = {0};
        Mete__Api__JobSpec *spec = NULL;
        char *argv[64] = {0}, *save = NULL;
        int argc = 0, first = 0;

        for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
                argv[argc++] = word;
        verb_run.defaults(&o);
        if (options_parse(&verb_run.parser, argc, argv, &o, &first, e) == 0)
                if (run_spec_build(&o, argc - first, argv + first, &spec, e) < 0)
                        spec = NULL;
        options_done(&verb_run.parser, &o);
        return spec;
}

static void everything_given(void **state)
{
        _cleanup_error_ struct error e = {0};
        Mete__Api__JobSpec *s;

        assert_int_equal(setenv("METE_TEST_PASSED", "on", 1), 0);
        assert_int_equal(unsetenv("METE_TEST_UNSET"), 0);
        s = build("--name n --cpus 0.5 --cpus-limit 1.5 --mem 64M --mem-limit 1G --pids 7 --rootfs /r --net "
                  "host --user u:g "
                  "--env A=b=c --env METE_TEST_PASSED --env METE_TEST_UNSET --env E= --workdir /w --hostname "
                  "h --cap-add NET_RAW "
                  "--cap-drop ALL --seccomp unconfined --rlimit nofile=10:20 --rlimit core=unlimited --count "
                  "3 -- cmd -x --cpus 9",
                &e);
        assert_non_null(s);
        assert_string_equal(s->name, "n");
        assert_true(s->cpus == 0.5 && s->cpus_limit == 1.5);
        assert_int_equal(s->memory_bytes, 64 << 20);
        assert_int_equal(s->memory_limit_bytes, 1 << 30);
        assert_int_equal(s->count, 3);
        assert_int_equal(s->n_command, 4);
        assert_string_equal(s->command[3], "9");
        assert_int_equal(s->n_environment, 3);
        assert_string_equal(s->environment[0]->value, "b=c");
        assert_string_equal(s->environment[1]->value, "on");
        assert_string_equal(s->environment[2]->value, "");
        assert_int_equal(s->isolation->pids_limit, 7);
        assert_int_equal(s->isolation->network, METE__API__ISOLATION__NETWORK__HOST);
        assert_string_equal(s->isolation->user, "u:g");
        assert_true(s->isolation->seccomp_unconfined);
        assert_int_equal(s->isolation->n_rlimits, 2);
        assert_int_equal(s->isolation->rlimits[0]->hard, 20);
        assert_false(s->isolation->rlimits[1]->has_soft);
        message_free(s);
}

/* What was not given is left to the master. */
static void nothing_given(void **state)
{
        _cleanup_error_ struct error e = {0};
        Mete__Api__JobSpec *s = build("true", &e);

        assert_non_null(s);
        assert_false(s->has_cpus || s->has_cpus_limit || s->has_memory_bytes || s->has_memory_limit_bytes ||
                     s->has_count);
        assert_false(s->isolation->has_pids_limit || s->isolation->has_network);
        assert_null(s->isolation->rootfs);
        message_free(s);
}

static void refused_before_anything_is_sent(void **state)
{
        static const char *const lines[][2] = {
                {"--cpus -1 true", "--cpus"},
                {"--cpus 1e3 true", "--cpus"},
                {"--mem 12Q true", "--mem"},
                {"--net bridge true", "--net"},
                {"--env =x true", "--env"},
                {"--rlimit nofile true", "--rlimit"},
                {"--rlimit nofile=many true", "--rlimit"},
                {"--seccomp /nonexistent/profile true", "--seccomp"},
                {"--rootfs no/such/dir true", "--rootfs"},
                {"--count 4294967296 true", "--count"},
        };

        for (size_t i = 0; i < ELEMENTSOF(lines); i++) {
                _cleanup_error_ struct error e = {0};

                assert_null(build(lines[i][0], &e));
                if (!strstr(error_message(&e), lines[i][1]))
                        fail_msg("\"%s\" does not name %s", error_message(&e), lines[i][1]);
        }
}

static void submitting_user(void **state)
{
        _cleanup_free_ char *nobody = run_submitting_user(65534, NULL, false),
                            *numeric = run_submitting_user(65534, NULL, true),
                            *unknown = run_submitting_user(4000000, NULL, false),
                            *sudo = run_submitting_user(0, "nobody", false),
                            *sudo_numeric = run_submitting_user(0, "nobody", true);

        assert_string_equal(nobody, "nobody");
        assert_string_equal(numeric, "65534");
        assert_string_equal(sudo_numeric, "65534:65534");
        assert_string_equal(unknown, "4000000");
        assert_string_equal(sudo, "nobody");
        assert_null(run_submitting_user(0, NULL, false));
        assert_null(run_submitting_user(0, "root", false));
        assert_null(run_submitting_user(0, "no-such-user", false));
}

static void refusals_name_the_flag(void **state)
{
        _cleanup_error_ struct error e = {0};

        error_set(&e, -EINVAL, "submit.job.cpus_limit: 0.1 is less than what is booked");
        run_spec_explain(&e);
        assert_string_equal(error_message(&e), "--cpus-limit: 0.1 is less than what is booked");
        error_set(&e, -EINVAL, "submit.job.isolation.rootfs '/x': no such directory");
        run_spec_explain(&e);
        assert_string_equal(error_message(&e), "--rootfs '/x': no such directory");
        assert_int_equal(e.code, -EINVAL);
}

static Mete__Api__Task task_of(const char *id, Mete__V1__TaskState s, int code, const char *reason)
{
        Mete__Api__Task t = METE__API__TASK__INIT;

        t.task_id = (char *)id;
        t.job_id = (char *)"7";
        t.name = (char *)"t";
        t.state = s;
        t.has_exit_code = code >= 0;
        t.exit_code = code;
        t.reason = (char *)reason;
        return t;
}

static void ends_that_need_words(void **state)
{
        Mete__Api__Task finished = task_of("7.0", METE__V1__TASK_STATE__TASK_FINISHED, 0, NULL),
                        failed = task_of("7.0", METE__V1__TASK_STATE__TASK_FAILED, 3,
                                "REASON_COMMAND_EXECUTOR_FAILED"),
                        oom = task_of("7.0", METE__V1__TASK_STATE__TASK_FAILED, 137,
                                "REASON_CONTAINER_LIMITATION_MEMORY"),
                        launch = task_of("7.0", METE__V1__TASK_STATE__TASK_FAILED, 127,
                                "REASON_CONTAINER_LAUNCH_FAILED"),
                        lost = task_of("7.0", METE__V1__TASK_STATE__TASK_LOST, -1, NULL);

        assert_false(task_end_needs_words(&finished));
        assert_false(task_end_needs_words(&failed));
        assert_true(task_end_needs_words(&oom));
        assert_true(task_end_needs_words(&launch));
        assert_true(task_end_needs_words(&lost));
        assert_int_equal(task_exit_code(&finished), 0);
        assert_int_equal(task_exit_code(&oom), 137);
        assert_int_equal(task_exit_code(&lost), 1);
}

/* Order of the tasks, not of their ends; the first that is not zero. */
static void exit_code_of_several(void **state)
{
        Mete__Api__Task late = task_of("7.10", METE__V1__TASK_STATE__TASK_FAILED, 9, NULL),
                        early = task_of("7.2", METE__V1__TASK_STATE__TASK_FAILED, 4, NULL),
                        fine = task_of("7.0", METE__V1__TASK_STATE__TASK_FINISHED, 0, NULL);
        struct run_tasks tasks;

        run_tasks_init(&tasks, NULL, false, NULL, NULL);
        assert_int_equal(run_tasks_exit_code(&tasks), 0);
        run_tasks_update(&tasks, &late);
        assert_int_equal(run_tasks_exit_code(&tasks), 9);
        run_tasks_update(&tasks, &early);
        run_tasks_update(&tasks, &fine);
        run_tasks_update(&tasks, &late);
        assert_int_equal(tasks.count, 3);
        assert_int_equal(run_tasks_exit_code(&tasks), 4);
        run_tasks_done(&tasks);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(everything_given),
                cmocka_unit_test(nothing_given),
                cmocka_unit_test(refused_before_anything_is_sent),
                cmocka_unit_test(submitting_user),
                cmocka_unit_test(refusals_name_the_flag),
                cmocka_unit_test(ends_that_need_words),
                cmocka_unit_test(exit_code_of_several),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
