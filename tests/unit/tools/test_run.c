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

/* At spaces; argv[0] begins the memory of all. */
static int split(const char *line, char **argv)
{
        char *save = NULL;
        int argc = 0;

        for (char *word = strtok_r(xstrdup(line), " ", &save); word; word = strtok_r(NULL, " ", &save))
                argv[argc++] = word;
        return argc;
}

/* The command line is split at spaces. NULL: refused, with the sentence in e. */
static Mete__Api__JobSpec *build(const char *line, struct error *e)
{
        _cleanup_free_ char *copy = xasprintf("run %s", line);
        struct run_options o = {0};
        Mete__Api__JobSpec *spec = NULL;
        char *argv[64] = {0};
        int argc = split(copy, argv), first = 0;
        char *words = argv[0]; /* options are put in order: it does not stay the first */

        verb_run.defaults(&o);
        if (options_parse(&verb_run.parser, argc, argv, &o, &first, e) == 0)
                if (run_spec_build(&o, argc - first, argv + first, &spec, e) < 0)
                        spec = NULL;
        options_done(&verb_run.parser, &o);
        free(words);
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

static void schedule_given(void **state)
{
        _cleanup_error_ struct error e = {0};
        Mete__Api__JobSpec *s = build(
                "--array 1-9:2%3 --queue q --priority 0 --gang --after 7 --after a.b:ended --duration 90s "
                "--time-limit 2m --deadline @1700000000 --restart on-failure:5 --no-preempt --constraint "
                "rack=r1 "
                "--constraint !ssd --spread=rack --ports 2 --exclusive-cores 1 --volume v1:a:b --volume "
                "v2:/c:ro x",
                &e);

        assert_non_null(s);
        assert_true(s->array->first == 1 && s->array->last == 9 && s->array->step == 2);
        assert_true(s->has_parallel_max && s->parallel_max == 3);
        assert_string_equal(s->queue, "q");
        assert_true(s->has_priority && s->priority == 0 && s->has_gang && s->gang);
        assert_int_equal(s->n_after, 2);
        assert_string_equal(s->after[0]->job, "7");
        assert_false(s->after[0]->has_condition);
        assert_string_equal(s->after[1]->job, "a.b");
        assert_int_equal(s->after[1]->condition, METE__API__JOB_SPEC__DEPENDENCY__CONDITION__ENDED);
        assert_true(s->duration_seconds == 90 && s->time_limit_seconds == 120 && s->deadline == 1700000000);
        assert_int_equal(s->restart->when, METE__API__JOB_SPEC__RESTART__WHEN__ON_FAILURE);
        assert_int_equal(s->restart->attempts_max, 5);
        assert_true(s->has_preemptible && !s->preemptible);
        assert_int_equal(s->n_constraints, 2);
        assert_string_equal(s->constraints[1], "!ssd");
        assert_int_equal(s->placement, METE__API__JOB_SPEC__PLACEMENT__SPREAD);
        assert_string_equal(s->spread_by, "rack");
        assert_true(s->ports == 2 && s->exclusive_cores == 1);
        assert_string_equal(s->volumes[0]->container_path, "a:b");
        assert_false(s->volumes[0]->read_only);
        assert_string_equal(s->volumes[1]->container_path, "/c");
        assert_true(s->volumes[1]->read_only);
        message_free(s);
}

/* --spread takes no word behind it: that is the command. */
static void spread_by_machine(void **state)
{
        _cleanup_error_ struct error e = {0};
        Mete__Api__JobSpec *s = build("--spread rack x", &e);

        assert_non_null(s);
        assert_int_equal(s->n_command, 2);
        assert_true(s->has_placement);
        assert_null(s->spread_by);
        message_free(s);
}

static void file_stands_alone(void **state)
{
        static const char *const lines[][2] = {
                {"run -d -f jobs.json --master h:1", NULL},
                {"run -f jobs.json true", "true"},
                {"run -f jobs.json --cpus 1", "--cpus"},
                {"run --spread -f jobs.json", "--spread"},
                {"run --env A=1 -f jobs.json", "--env"},
        };

        for (size_t i = 0; i < ELEMENTSOF(lines); i++) {
                _cleanup_error_ struct error e = {0};
                struct run_options o;
                char *argv[8] = {0};
                int argc = split(lines[i][0], argv), first = 0;
                char *words = argv[0];

                run_options_default(&o);
                assert_int_equal(options_parse(&verb_run.parser, argc, argv, &o, &first, &e), 0);
                if (run_options_check_file(&o, argc - first, argv + first, &e) == 0)
                        assert_null(lines[i][1]);
                else if (!lines[i][1] || !strstr(error_message(&e), lines[i][1]))
                        fail_msg("%s: %s", lines[i][0], error_message(&e));
                options_done(&verb_run.parser, &o);
                free(words);
        }
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
                {"--array 5 true", "--array"},
                {"--array 9-1 true", "--array"},
                {"--array 1-9:0 true", "--array"},
                {"--array 1-9%x true", "--array"},
                {"--array 1-9%2 --parallel 3 true", "--array"},
                {"--array 1-9 --count 3 true", "--array"},
                {"--priority 1001 true", "--priority"},
                {"--after :ended true", "--after"},
                {"--after 7:finished true", "--after"},
                {"--restart sometimes true", "--restart"},
                {"--restart always:x true", "--restart"},
                {"--deadline tomorrow true", "--deadline"},
                {"--deadline 2026-02-31 true", "--deadline"},
                {"--volume v1 true", "--volume"},
                {"--volume v1:ro true", "--volume"},
                {"--volume v1::ro true", "--volume"},
                {"--volume :p true", "--volume"},
                {"--duration soon true", "--duration"},
        };

        for (size_t i = 0; i < ELEMENTSOF(lines); i++) {
                _cleanup_error_ struct error e = {0};

                Mete__Api__JobSpec *spec = build(lines[i][0], &e);

                if (spec)
                        fail_msg("%s is taken", lines[i][0]);
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
        error_set(&e, -EINVAL, "plan.job.after[1].job: there is no job 'x'");
        run_spec_explain(&e);
        assert_string_equal(error_message(&e), "--after[1].job: there is no job 'x'");
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
                cmocka_unit_test(schedule_given),
                cmocka_unit_test(spread_by_machine),
                cmocka_unit_test(file_stands_alone),
                cmocka_unit_test(refused_before_anything_is_sent),
                cmocka_unit_test(submitting_user),
                cmocka_unit_test(refusals_name_the_flag),
                cmocka_unit_test(ends_that_need_words),
                cmocka_unit_test(exit_code_of_several),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
