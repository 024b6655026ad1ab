#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/net/json_writer.h"
#include "proto/mesos.pb-c.h"

static void test_values(void **state)
{
        _cleanup_buffer_ struct buffer b = {};

        json_begin_object(&b, NULL);
        json_put_string(&b, "text", "a\"\n\xff");
        json_put_string(&b, "none", NULL);
        json_put_double(&b, "whole", 2);
        json_put_double(&b, "milli", 0.125);
        json_put_double(&b, "infinite", INFINITY);
        json_put_integer(&b, "integer", -3);
        json_put_bool(&b, "yes", true);
        json_begin_array(&b, "list");
        json_put_integer(&b, NULL, 1);
        json_put_string(&b, NULL, "{");
        json_begin_object(&b, NULL);
        json_end_object(&b);
        json_begin_array(&b, NULL);
        json_end_array(&b);
        json_put_bool(&b, NULL, false);
        json_end_array(&b);
        json_member(&b, "a\"b");
        json_put_integer(&b, NULL, 5);
        json_put_integer(&b, "last", 6);
        json_end_object(&b);
        assert_string_equal(b.data,
                "{\"text\":\"a\\\"\\n\xef\xbf\xbd\",\"none\":\"\",\"whole\":2.0,\"milli\":0.125,"
                "\"infinite\":0.0,\"integer\":-3,\"yes\":true,"
                "\"list\":[1,\"{\",{},[],false],\"a\\\"b\":5,\"last\":6}");
}

static void test_messages(void **state)
{
        static char id[] = "x";
        Mete__V1__TaskID whole = METE__V1__TASK_ID__INIT, broken = METE__V1__TASK_ID__INIT;
        _cleanup_buffer_ struct buffer b = {};

        whole.value = id;
        broken.value = NULL;
        json_begin_array(&b, NULL);
        json_put_message(&b, NULL, &whole.base);
        json_put_message(&b, NULL, &broken.base);
        json_put_message(&b, NULL, &whole.base);
        json_end_array(&b);
        assert_string_equal(b.data, "[{\"value\":\"x\"},null,{\"value\":\"x\"}]");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_values),
                cmocka_unit_test(test_messages),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
