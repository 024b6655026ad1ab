#include "proto/validate.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/net/codec.h"
#include "proto/scheduler.pb-c.h"

static void *from_json(const ProtobufCMessageDescriptor *d, const char *json)
{
        _cleanup_error_ struct error e = {};
        ProtobufCMessage *m = NULL;
        if (message_decode(CODEC_JSON, d, json, strlen(json), &m, &e) < 0)
                fail_msg("%s: %s", json, error_message(&e));
        return m;
}

static void check_ids(const char *json, const char *sentence)
{
        _cleanup_error_ struct error e = {};
        ProtobufCMessage *m = from_json(&mete__v1__scheduler__call__descriptor, json);
        int r = message_validate_ids(m, &e);
        message_free(m);
        assert_int_equal(r, sentence ? -EINVAL : 0);
        if (sentence)
                assert_memory_equal(error_message(&e), sentence, strlen(sentence));
}

static void ids(void **state)
{
        check_ids("{\"framework_id\":{\"value\":\"f\"},\"kill\":{\"task_id\":{\"value\":\"a.b-c\"}}}", NULL);
        check_ids("{\"subscribe\":{\"framework_info\":{\"user\":\"u\",\"name\":\"n\",\"id\":{\"value\":\"\"}}"
                  "}}",
                NULL);
        check_ids("{\"framework_id\":{\"value\":\"\"}}", "framework_id.value is empty");
        check_ids("{\"kill\":{\"task_id\":{\"value\":\"../x\"}}}", "kill.task_id.value '../x' ");
        check_ids("{\"decline\":{\"offer_ids\":[{\"value\":\"o\"},{\"value\":\"o\\n\"}]}}",
                "decline.offer_ids[1].value 'o\\x0a' ");
        check_ids(
                "{\"accept\":{\"offer_ids\":[{\"value\":\"o\"}],\"operations\":[{\"launch\":{\"task_infos\":["
                "{\"name\":\"/\",\"task_id\":{\"value\":\"t\"},\"agent_id\":{\"value\":\"..\"}}]}}]}}",
                "accept.operations[0].launch.task_infos[0].agent_id.value '..' ");
}

static void id_alone(void **state)
{
        _cleanup_error_ struct error e = {};
        Mete__V1__ContainerID inner = METE__V1__CONTAINER_ID__INIT, outer = METE__V1__CONTAINER_ID__INIT;
        inner.value = (char *)"c";
        inner.parent = &outer;
        outer.value = (char *)"a/b";
        assert_int_equal(message_validate_ids(&inner.base, &e), -EINVAL);
        assert_memory_equal(error_message(&e), "parent.value 'a/b'", 18);
        assert_int_equal(message_validate_ids(&outer.base, &e), -EINVAL);
        assert_memory_equal(error_message(&e), "value 'a/b'", 11);
}

static int convert(const char *resources, struct resources *ret, struct error *e)
{
        _cleanup_free_ char *json = xasprintf("{\"resources\":%s}", resources);
        Mete__V1__Request *m = from_json(&mete__v1__request__descriptor, json);
        int r = resources_from_proto(m->resources, m->n_resources, "resources", ret, e);
        message_free(m);
        return r;
}

#define SCALAR(name, value) "{\"name\":\"" name "\",\"type\":\"SCALAR\",\"scalar\":{\"value\":" value "}}"
#define PORTS(begin, end)                                                                                    \
        "{\"name\":\"ports\",\"type\":\"RANGES\",\"ranges\":{\"range\":[{\"begin\":" begin ",\"end\":" end   \
        "}]}}"

static void resources_in(void **state)
{
        _cleanup_resources_ struct resources r = {};
        assert_int_equal(
                convert("[" SCALAR("mem", "64") "," SCALAR("cpus", "0.1") "," PORTS(
                                "31000", "31005") "," PORTS("31006", "31010") "," SCALAR("cpus",
                                "0.2") "," SCALAR("disk", "0") "," PORTS("1",
                                "1") ",{\"name\":\"gpu\",\"type\":\"SET\",\"set\":{\"item\":[\"b\",\"a\"]}}]",
                        &r, NULL),
                0);
        _cleanup_free_ char *text = resources_to_string(&r);
        assert_string_equal(text, "cpus:0.3;gpu:{a,b};mem:64;ports:[1-1,31000-31010]");
}

static void resources_refused(void **state)
{
        static const struct {
                const char *json, *sentence;
        } cases[] = {
                {"[" SCALAR("cpus", "1") "," SCALAR("cpus", "-1") "]",
                        "resources[1].scalar.value: expected a finite number of at least 0"},
                {"[" SCALAR("cpus", "\"Infinity\"") "]",
                        "resources[0].scalar.value: expected a finite number of at least 0"},
                {"[" SCALAR("cpus", "1e300") "]", "resources[0].scalar.value: larger than any machine: at "
                                                  "most 9007199254.74 is accepted"},
                {"[" SCALAR("m", "9007199254") "," SCALAR("m", "1") "]",
                        "resources[1].scalar.value: larger than any machine: at most 9007199254.74 is "
                        "accepted"},
                {"[" SCALAR("a;b", "1") "]",
                        "resources[0].name: expected 1 to 63 letters, digits, '_', '-', '.'"},
                {"[" SCALAR("", "1") "]",
                        "resources[0].name: expected 1 to 63 letters, digits, '_', '-', '.'"},
                {"[{\"name\":\"x\",\"type\":\"TEXT\"}]", "resources[0].type: expected SCALAR, RANGES or SET"},
                {"[{\"name\":\"x\",\"type\":\"SCALAR\"}]",
                        "resources[0].scalar: required for the type SCALAR but missing"},
                {"[{\"name\":\"x\",\"type\":\"RANGES\",\"scalar\":{\"value\":1}}]",
                        "resources[0].ranges: required for the type RANGES but missing"},
                {"[{\"name\":\"x\",\"type\":\"SET\"}]",
                        "resources[0].set: required for the type SET but missing"},
                {"[" PORTS("2", "1") "]",
                        "resources[0].ranges: expected ranges that do not end before they begin"},
                {"[" PORTS("1", "2") "," SCALAR("ports", "1") "]",
                        "resources[1].type: differs from that of the same name before it"},
        };
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_error_ struct error e = {};
                struct resources r = {};
                assert_true(convert(cases[i].json, &r, &e) < 0);
                assert_string_equal(error_message(&e), cases[i].sentence);
                assert_true(resources_empty(&r));
        }
}

static void too_many_parts(void **state)
{
        _cleanup_buffer_ struct buffer b = {};
        _cleanup_error_ struct error e = {};
        struct resources r = {};
        buffer_puts(&b, "[{\"name\":\"ports\",\"type\":\"RANGES\",\"ranges\":{\"range\":[");
        for (int i = 0; i <= RESOURCE_PARTS_MAX; i++)
                buffer_printf(&b, "%s{\"begin\":%d,\"end\":%d}", i ? "," : "", 2 * i, 2 * i);
        buffer_puts(&b, "]}}]");
        assert_int_equal(convert(b.data, &r, &e), -E2BIG);
        assert_string_equal(error_message(&e),
                "resources[0].ranges: too many ranges and items, at most 4096 are accepted");
}

static void resources_out(void **state)
{
        _cleanup_resources_ struct resources r = {}, again = {};
        _cleanup_buffer_ struct buffer out = {};
        Mete__V1__Request *m = NEW0(Mete__V1__Request);
        mete__v1__request__init(m);
        assert_int_equal(resources_parse("cpus:0.07;ports:[1-2,5-5];gpu:{a}", &r, NULL), 0);
        resources_to_proto(&r, "eng", true, &m->resources, &m->n_resources);
        assert_int_equal(message_encode(CODEC_JSON, &m->base, &out), 0);
        assert_string_equal(out.data,
                "{\"resources\":[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":0.07},\"role\":"
                "\"*\","
                "\"allocation_info\":{\"role\":\"eng\"}},"
                "{\"name\":\"gpu\",\"type\":\"SET\",\"set\":{\"item\":[\"a\"]},\"role\":\"*\","
                "\"allocation_info\":{\"role\":\"eng\"}},"
                "{\"name\":\"ports\",\"type\":\"RANGES\",\"ranges\":{\"range\":[{\"begin\":1,\"end\":2},{"
                "\"begin\":5,\"end\":5}]},"
                "\"role\":\"*\",\"allocation_info\":{\"role\":\"eng\"}}]}");
        assert_int_equal(resources_from_proto(m->resources, m->n_resources, "r", &again, NULL), 0);
        assert_true(resources_equal(&r, &again));
        message_free(m);
        Mete__V1__Resource **none = (Mete__V1__Resource **)state;
        size_t count = 1;
        struct resources empty = {};
        resources_to_proto(&empty, NULL, false, &none, &count);
        assert_null(none);
        assert_int_equal(count, 0);
}

static void names(void **state)
{
        Mete__V1__TaskState s;
        const ProtobufCEnumDescriptor *d = &mete__v1__task_state__descriptor;
        unsigned terminal = 0;
        for (unsigned i = 0; i < d->n_values; i++) {
                const char *text = task_state_to_string((Mete__V1__TaskState)d->values[i].value);
                assert_string_equal(text, d->values[i].name + 5);
                assert_int_equal(task_state_from_string(text, &s), 0);
                assert_int_equal(s, d->values[i].value);
                terminal += task_state_is_terminal(s);
        }
        assert_int_equal(d->n_values, 14);
        assert_int_equal(terminal, 8);
        assert_int_equal(task_state_from_string("TASK_GONE", &s), 0);
        assert_int_equal(s, METE__V1__TASK_STATE__TASK_GONE);
        assert_true(task_state_is_terminal(s));
        assert_false(task_state_is_terminal(METE__V1__TASK_STATE__TASK_UNREACHABLE));
        assert_int_equal(task_state_from_string("running", &s), -EINVAL);
        assert_int_equal(task_state_from_string(NULL, &s), -EINVAL);
        assert_null(task_state_to_string((Mete__V1__TaskState)99));
        assert_string_equal(
                task_reason_to_string(METE__V1__TASK_STATUS__REASON__REASON_CONTAINER_LIMITATION_MEMORY),
                "REASON_CONTAINER_LIMITATION_MEMORY");
        assert_string_equal(
                task_source_to_string(METE__V1__TASK_STATUS__SOURCE__SOURCE_AGENT), "SOURCE_AGENT");
        assert_int_equal(mete__v1__task_status__reason__descriptor.n_values, 35);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(ids),
                cmocka_unit_test(id_alone),
                cmocka_unit_test(resources_in),
                cmocka_unit_test(resources_refused),
                cmocka_unit_test(too_many_parts),
                cmocka_unit_test(resources_out),
                cmocka_unit_test(names),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
