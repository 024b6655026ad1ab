/* The helpers that make messages: what they set, and who frees what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sdk/mete.h"

static void commands(void **state)
{
        const char *const argv[] = {"/bin/echo", "a b", NULL};
        Mete__V1__CommandInfo *c = mete_command_shell("true | false");

        assert_string_equal(c->value, "true | false");
        assert_true(!c->has_shell || c->shell);
        mete_message_free(c);

        c = mete_command_argv(argv);
        assert_true(c->has_shell && !c->shell);
        assert_string_equal(c->value, "/bin/echo");
        assert_int_equal(c->n_arguments, 2);
        assert_string_equal(c->arguments[0], "/bin/echo");
        assert_string_equal(c->arguments[1], "a b");
        mete_command_add_environment(c, "A", "1");
        mete_command_add_environment(c, "B", "");
        assert_int_equal(c->environment->n_variables, 2);
        assert_string_equal(c->environment->variables[0]->name, "A");
        assert_string_equal(c->environment->variables[1]->value, "");
        mete_command_add_uri(c, "http://h/x", true);
        mete_command_add_uri(c, "/y", false);
        assert_true(c->uris[0]->executable);
        assert_false(c->uris[1]->has_executable);
        mete_message_free(c);
}

static Mete__V1__TaskInfo *a_task(void)
{
        Mete__V1__ExecutorInfo *x = mete_executor_info_new("x", mete_command_shell("./x"));
        Mete__V1__TaskInfo *t = mete_task_new("t", NULL, "a");

        mete_executor_info_add_scalar(x, "cpus", 0.1);
        mete_task_set_executor(t, x);
        mete_task_add_scalar(t, "cpus", 0.5);
        mete_task_add_scalar(t, "mem", 64);
        mete_task_set_data(t, "old", 3);
        mete_task_set_data(t, "new!", 4); /* replaces */
        return t;
}

static void copies_stand_alone(void **state)
{
        Mete__V1__TaskInfo *original = a_task(), *copy = mete_message_copy(original);

        mete_message_free(original);
        assert_string_equal(copy->task_id->value, "t");
        assert_string_equal(copy->name, "t"); /* the id, where no name is given */
        assert_string_equal(copy->agent_id->value, "a");
        assert_int_equal(copy->n_resources, 2);
        assert_string_equal(copy->resources[1]->name, "mem");
        assert_true(copy->resources[1]->scalar->value == 64);
        assert_int_equal(copy->data.len, 4);
        assert_memory_equal(copy->data.data, "new!", 4);
        assert_int_equal(copy->executor->type, METE__V1__EXECUTOR_INFO__TYPE__CUSTOM);
        assert_string_equal(copy->executor->command->value, "./x");
        assert_string_equal(copy->executor->resources[0]->name, "cpus");
        mete_task_set_executor(copy, NULL); /* frees the one that was there */
        assert_null(copy->executor);
        mete_message_free(copy);
        mete_message_free(NULL);
}

static void frameworks(void **state)
{
        Mete__V1__FrameworkInfo *f = mete_framework_new("f", NULL);

        assert_true(f->user && *f->user);
        mete_message_free(f);
        f = mete_framework_new("f", "somebody");
        mete_framework_add_capability(f, METE__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__PARTITION_AWARE);
        mete_framework_add_capability(f, METE__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__MULTI_ROLE);
        assert_string_equal(f->user, "somebody");
        assert_int_equal(f->n_capabilities, 2);
        assert_true(f->capabilities[1]->has_type);
        assert_int_equal(f->capabilities[1]->type, METE__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__MULTI_ROLE);
        mete_message_free(f);
}

static void offers_and_names(void **state)
{
        Mete__V1__Resource *list[] = {mete_resource_scalar("cpus", 1.5), mete_resource_scalar("mem", 32),
                mete_resource_scalar("cpus", 0.25)};
        Mete__V1__Offer offer = METE__V1__OFFER__INIT;
        Mete__V1__TaskStatus status = METE__V1__TASK_STATUS__INIT;

        offer.resources = list;
        offer.n_resources = 3;
        assert_true(mete_offer_scalar(&offer, "cpus") == 1.75);
        assert_true(mete_offer_scalar(&offer, "gpus") == 0);
        for (size_t i = 0; i < 3; i++)
                mete_message_free(list[i]);
        assert_string_equal(mete_task_state_name(METE__V1__TASK_STATE__TASK_GONE), "TASK_GONE");
        assert_string_equal(mete_task_state_name((Mete__V1__TaskState)4711), "");
        assert_true(mete_task_state_is_terminal(METE__V1__TASK_STATE__TASK_DROPPED));
        assert_false(mete_task_state_is_terminal(METE__V1__TASK_STATE__TASK_UNREACHABLE));
        assert_string_equal(mete_task_reason_name(&status), "");
        status.has_reason = true;
        status.reason = METE__V1__TASK_STATUS__REASON__REASON_TASK_INVALID;
        assert_string_equal(mete_task_reason_name(&status), "REASON_TASK_INVALID");
        assert_string_equal(mete_version(), METE_VERSION);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(commands),
                cmocka_unit_test(copies_stand_alone),
                cmocka_unit_test(frameworks),
                cmocka_unit_test(offers_and_names),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
