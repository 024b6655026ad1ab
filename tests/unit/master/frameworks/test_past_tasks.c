/* Histories of tasks: bounded, in order, found by id. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "master/frameworks/frameworks.h"

/* A task that is in no table: what task_to_proto() looks at. */
struct fixture {
        struct framework f;
        struct agent a;
        struct task t;
        Mete__V1__FrameworkInfo framework_info;
        Mete__V1__FrameworkID framework_id;
        Mete__V1__TaskInfo info;
        Mete__V1__TaskID task_id;
        Mete__V1__AgentID agent_id;
        char id[32];
};

static void fixture_init(struct fixture *x)
{
        static char framework[] = "f", agent[] = "a", name[] = "n";

        *x = (struct fixture){};
        mete__v1__framework_info__init(&x->framework_info);
        mete__v1__framework_id__init(&x->framework_id);
        mete__v1__task_info__init(&x->info);
        mete__v1__task_id__init(&x->task_id);
        mete__v1__agent_id__init(&x->agent_id);
        x->framework_id.value = x->f.id = framework;
        x->framework_info.id = &x->framework_id;
        x->framework_info.name = x->framework_info.user = name;
        x->f.info = &x->framework_info;
        x->a.id = agent;
        x->agent_id.value = agent;
        x->task_id.value = x->t.id = x->id;
        x->info.name = name;
        x->info.task_id = &x->task_id;
        x->info.agent_id = &x->agent_id;
        x->t.framework = &x->f;
        x->t.agent = &x->a;
        x->t.info = &x->info;
}

static const struct task *task_numbered(struct fixture *x, int number)
{
        (void)snprintf(x->id, sizeof(x->id), "t%d", number);
        return &x->t;
}

static void test_completed(void **state)
{
        struct fixture x;
        const struct past_task *p;
        int count = 0;

        fixture_init(&x);
        x.t.state = METE__V1__TASK_STATE__TASK_FINISHED;
        for (int i = 0; i < COMPLETED_TASKS_MAX + 5; i++)
                framework_keep_completed(&x.f, task_numbered(&x, i));
        assert_string_equal(x.f.completed->task->task_id->value, "t5"); /* the oldest five went */
        assert_int_equal(x.f.completed->task->state, METE__V1__TASK_STATE__TASK_FINISHED);
        DL_FOREACH (x.f.completed, p) {
                count++;
        }
        assert_int_equal(count, COMPLETED_TASKS_MAX);
        assert_int_equal(x.f.completed_count, COMPLETED_TASKS_MAX);
        framework_forget_past(&x.f);
        assert_null(x.f.completed);
}

static void test_unreachable(void **state)
{
        struct fixture x;

        fixture_init(&x);
        for (int i = 0; i < UNREACHABLE_TASKS_MAX; i++)
                framework_keep_unreachable(&x.f, task_numbered(&x, i));
        framework_keep_unreachable(&x.f, task_numbered(&x, 0)); /* again: the newest now */
        assert_int_equal(HASH_COUNT(x.f.unreachable), UNREACHABLE_TASKS_MAX);
        framework_keep_unreachable(&x.f, task_numbered(&x, UNREACHABLE_TASKS_MAX));
        assert_int_equal(HASH_COUNT(x.f.unreachable), UNREACHABLE_TASKS_MAX);
        assert_non_null(framework_find_unreachable(&x.f, "t0"));
        assert_null(framework_find_unreachable(&x.f, "t1"));
        framework_forget_unreachable(&x.f, framework_find_unreachable(&x.f, "t0"));
        assert_null(framework_find_unreachable(&x.f, "t0"));
        framework_forget_past(&x.f);
        assert_null(x.f.unreachable);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_completed),
                cmocka_unit_test(test_unreachable),
        };

        return cmocka_run_group_tests_name("past tasks", tests, NULL, NULL);
}
