#include "lib/net/codec.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/executor.pb-c.h"
#include "proto/mesos.pb-c.h"
#include "proto/scheduler.pb-c.h"

#define CALL (&mete__v1__scheduler__call__descriptor)
#define EVENT (&mete__v1__scheduler__event__descriptor)
#define FRAMEWORK (&mete__v1__framework_info__descriptor)

#define _cleanup_message_ CLEANUP(cleanup_any_message)
static void cleanup_any_message(void *p)
{
        message_free(*(void **)p);
}

static void *from_json(const ProtobufCMessageDescriptor *d, const char *json)
{
        _cleanup_error_ struct error e = {};
        ProtobufCMessage *m = NULL;
        if (message_decode(CODEC_JSON, d, json, strlen(json), &m, &e) < 0)
                fail_msg("%s: %s", json, error_message(&e));
        return m;
}

static void refuse(
        enum codec c, const ProtobufCMessageDescriptor *d, const void *data, size_t len, const char *sentence)
{
        _cleanup_error_ struct error e = {};
        ProtobufCMessage *m = NULL;
        int r = message_decode(c, d, data, len, &m, &e);
        message_free(m);
        assert_true(r < 0);
        assert_null(m);
        assert_string_equal(error_message(&e), sentence);
        /* Without a place for the sentence, too. */
        assert_int_equal(message_decode(c, d, data, len, &m, NULL), r);
}

static void refuse_json(const ProtobufCMessageDescriptor *d, const char *json, const char *sentence)
{
        refuse(CODEC_JSON, d, json, strlen(json), sentence);
}

#define refuse_bytes(d, bytes, sentence) refuse(CODEC_PROTOBUF, d, bytes, sizeof(bytes) - 1, sentence)

static void expect_json(const void *m, const char *json)
{
        _cleanup_buffer_ struct buffer out = {};
        assert_int_equal(message_encode(CODEC_JSON, m, &out), 0);
        assert_string_equal(out.data, json);
}

/* in -> message -> out, and the same through protobuf and through a copy. */
static void round_trip(const ProtobufCMessageDescriptor *d, const char *in, const char *out)
{
        _cleanup_message_ ProtobufCMessage *m = from_json(d, in), *again = NULL, *copy = NULL;
        _cleanup_buffer_ struct buffer bytes = {};
        _cleanup_error_ struct error e = {};
        expect_json(m, out);
        assert_int_equal(message_encode(CODEC_PROTOBUF, m, &bytes), 0);
        if (message_decode(CODEC_PROTOBUF, d, bytes.data, bytes.len, &again, &e) < 0)
                fail_msg("%s: %s", in, error_message(&e));
        expect_json(again, out);
        copy = message_copy(m);
        message_free(m);
        m = NULL;
        expect_json(copy, out);
}

static void content_types(void **state)
{
        assert_string_equal(codec_content_type(CODEC_JSON), "application/json");
        assert_string_equal(codec_content_type(CODEC_PROTOBUF), "application/x-protobuf");
        assert_int_equal(codec_from_content_type("application/json"), CODEC_JSON);
        assert_int_equal(codec_from_content_type("application/x-protobuf"), CODEC_PROTOBUF);
        assert_int_equal(codec_from_content_type("application/json; charset=utf-8"), CODEC_INVALID);
        assert_int_equal(codec_from_content_type("Application/JSON"), CODEC_INVALID);
        assert_int_equal(codec_from_content_type(NULL), CODEC_INVALID);
}

static void accept_header(void **state)
{
        static const struct {
                const char *header;
                enum codec expected;
        } cases[] = {
                {NULL, CODEC_JSON},
                {"", CODEC_JSON},
                {"*/*", CODEC_JSON},
                {"application/*", CODEC_JSON},
                {"application/x-protobuf", CODEC_PROTOBUF},
                {"application/x-protobuf, application/json;q=0.1", CODEC_JSON},
                {"application/json;q=0, application/x-protobuf", CODEC_PROTOBUF},
                {"application/json;q=0.000, */*", CODEC_PROTOBUF},
                {"*/*, application/json ; q=0", CODEC_PROTOBUF},
                {"application/json;charset=utf-8;q=0", CODEC_INVALID},
                {"text/html", CODEC_INVALID},
                {"text/*", CODEC_INVALID},
                {"*/*;q=0", CODEC_INVALID},
                {"application/jsonx", CODEC_INVALID},
                {",;,q=0,,", CODEC_INVALID},
                {"text/html,application/xhtml+xml,*/*;q=0.8", CODEC_JSON},
        };
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_int_equal(codec_from_accept(cases[i].header), cases[i].expected);
}

static void declared_defaults(void **state)
{
        /* Defaults are written unless deprecated; what has none is left out. */
        round_trip(FRAMEWORK, "{\"name\":\"n\",\"user\":\"u\"}",
                "{\"user\":\"u\",\"name\":\"n\",\"failover_timeout\":0.0,\"checkpoint\":false}");
        /* A deprecated one shows when it was set, also to its default. */
        round_trip(FRAMEWORK, "{\"user\":\"u\",\"name\":\"n\",\"role\":\"*\",\"failover_timeout\":604800}",
                "{\"user\":\"u\",\"name\":\"n\",\"failover_timeout\":604800.0,\"checkpoint\":false,\"role\":"
                "\"*\"}");
        round_trip(&mete__v1__filters__descriptor, "{}", "{\"refuse_seconds\":5.0}");
        round_trip(&mete__v1__command_info__descriptor, "{\"uris\":[{\"value\":\"x\"}]}",
                "{\"uris\":[{\"value\":\"x\",\"extract\":true}],\"shell\":true}");
        round_trip(&mete__v1__health_check__descriptor, "{\"tcp\":{\"port\":1}}",
                "{\"delay_seconds\":15.0,\"interval_seconds\":10.0,\"timeout_seconds\":20.0,\"consecutive_"
                "failures\":3,"
                "\"grace_period_seconds\":10.0,\"tcp\":{\"protocol\":\"IPv4\",\"port\":1}}");
        round_trip(&mete__v1__container_info__descriptor,
                "{\"type\":\"DOCKER\",\"docker\":{\"image\":\"i\"},\"linux_info\":{}}",
                "{\"type\":\"DOCKER\",\"docker\":{\"image\":\"i\",\"network\":\"HOST\",\"privileged\":false},"
                "\"linux_info\":{\"share_cgroups\":true}}");
        round_trip(&mete__v1__environment__descriptor, "{\"variables\":[{\"name\":\"a\",\"value\":\"\"}]}",
                "{\"variables\":[{\"name\":\"a\",\"type\":\"VALUE\",\"value\":\"\"}]}");
}

static void declaration_order(void **state)
{
        round_trip(&mete__v1__task_status__descriptor,
                "{\"uuid\":\"AAECAwQFBgcICQoLDA0ODw==\",\"timestamp\":1.5,\"data\":\"\",\"state\":\"TASK_"
                "FAILED\","
                "\"task_id\":{\"value\":\"t\"},\"reason\":\"REASON_CONTAINER_LIMITATION_MEMORY\",\"message\":"
                "\"m\","
                "\"source\":\"SOURCE_AGENT\",\"healthy\":false}",
                "{\"task_id\":{\"value\":\"t\"},\"state\":\"TASK_FAILED\",\"message\":\"m\",\"source\":"
                "\"SOURCE_AGENT\","
                "\"reason\":\"REASON_CONTAINER_LIMITATION_MEMORY\",\"data\":\"\",\"timestamp\":1.5,"
                "\"uuid\":\"AAECAwQFBgcICQoLDA0ODw==\",\"healthy\":false}");
}

static void empty_and_null(void **state)
{
        round_trip(CALL,
                "{\"type\":null,\"framework_id\":null,\"accept\":{\"offer_ids\":[],\"operations\":null}}",
                "{\"accept\":{}}");
        round_trip(CALL, "{\"revive\":{\"roles\":[\"a\",null,\"b\"]}}",
                "{\"revive\":{\"roles\":[\"a\",\"b\"]}}");
        refuse_json(FRAMEWORK, "{\"user\":null,\"name\":\"n\"}", "user: required but missing");
}

static void unknown_input(void **state)
{
        round_trip(CALL, "{\"type\":\"BREW\",\"Type\":\"KILL\",\"x\":[{\"y\":1}],\"teardown\":{}}", "{}");
        round_trip(FRAMEWORK,
                "{\"user\":\"u\",\"name\":\"n\",\"capabilities\":[{\"type\":\"NEW\"},{\"type\":\"MULTI_"
                "ROLE\"}]}",
                "{\"user\":\"u\",\"name\":\"n\",\"failover_timeout\":0.0,\"checkpoint\":false,"
                "\"capabilities\":[{},{\"type\":\"MULTI_ROLE\"}]}");
        round_trip(&mete__v1__capability_info__descriptor, "{\"capabilities\":[\"FLY\",\"KILL\"]}",
                "{\"capabilities\":[\"KILL\"]}");
        refuse_json(&mete__v1__task_status__descriptor,
                "{\"task_id\":{\"value\":\"t\"},\"state\":\"TASK_DREAMING\"}",
                "state: expected a value of TaskState such as \"TASK_STARTING\"");
        refuse_json(CALL, "{\"type\":1}", "type: expected the name of a value, got a number");
}

static void lenient_scalars(void **state)
{
        round_trip(FRAMEWORK,
                "{\"user\":\"u\",\"name\":\"n\",\"failover_timeout\":\"5.0\",\"checkpoint\":\"true\","
                "\"roles\":\"a\"}",
                "{\"user\":\"u\",\"name\":\"n\",\"failover_timeout\":5.0,\"checkpoint\":true,\"roles\":["
                "\"a\"]}");
        round_trip(&mete__v1__duration_info__descriptor, "{\"nanoseconds\":\"-9223372036854775808\"}",
                "{\"nanoseconds\":-9223372036854775808}");
        round_trip(&mete__v1__duration_info__descriptor, "{\"nanoseconds\":5.0}", "{\"nanoseconds\":5}");
        round_trip(&mete__v1__duration_info__descriptor, "{\"nanoseconds\":9007199254740993}",
                "{\"nanoseconds\":9007199254740993}");
        round_trip(&mete__v1__value__range__descriptor, "{\"begin\":0,\"end\":\"18446744073709551615\"}",
                "{\"begin\":0,\"end\":18446744073709551615}");
        round_trip(
                &mete__v1__value__scalar__descriptor, "{\"value\":\"Infinity\"}", "{\"value\":\"Infinity\"}");
        round_trip(&mete__v1__value__scalar__descriptor, "{\"value\":\"-Infinity\"}",
                "{\"value\":\"-Infinity\"}");
        round_trip(CALL, "{\"accept\":{\"offer_ids\":{\"value\":\"o\"}}}",
                "{\"accept\":{\"offer_ids\":[{\"value\":\"o\"}]}}");
}

static void refused_scalars(void **state)
{
        static const struct {
                const char *json, *sentence;
        } cases[] = {
                {"{\"nanoseconds\":\"\"}", "nanoseconds: expected an integer, got a string that is none"},
                {"{\"nanoseconds\":\"0x10\"}", "nanoseconds: expected an integer, got a string that is none"},
                {"{\"nanoseconds\":\" 1\"}", "nanoseconds: expected an integer, got a string that is none"},
                {"{\"nanoseconds\":2.5}", "nanoseconds: expected an integer, got a fraction"},
                {"{\"nanoseconds\":\"9223372036854775808\"}",
                        "nanoseconds: number is outside -9223372036854775808 to 9223372036854775807"},
                {"{\"nanoseconds\":\"18446744073709551616\"}", "nanoseconds: number is too large"},
                {"{\"nanoseconds\":1e19}",
                        "nanoseconds: number is outside -9223372036854775808 to 9223372036854775807"},
                {"{\"nanoseconds\":1e300}", "nanoseconds: number is too large"},
                {"{\"nanoseconds\":true}", "nanoseconds: expected an integer, got a boolean"},
                {"{\"nanoseconds\":[1]}", "nanoseconds: expected an integer, got an array"},
                {"{\"nanoseconds\":{}}", "nanoseconds: expected an integer, got an object"},
        };
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                refuse_json(&mete__v1__duration_info__descriptor, cases[i].json, cases[i].sentence);
        refuse_json(&mete__v1__value__scalar__descriptor, "{\"value\":\"NaN\"}",
                "value: expected a number, got a string that is none");
        refuse_json(
                &mete__v1__value__scalar__descriptor, "{\"value\":\"1e999\"}", "value: number is too large");
        refuse_json(&mete__v1__value__scalar__descriptor, "{\"value\":9223372036854775808}",
                "number is too large (line 1); integers from 2^63 on are given as strings");
        refuse_json(&mete__v1__value__range__descriptor, "{\"begin\":-1,\"end\":1}",
                "begin: number is outside 0 to 18446744073709551615");
        refuse_json(&mete__v1__master_info__descriptor, "{\"id\":\"m\",\"ip\":4294967296,\"port\":1}",
                "ip: number is outside 0 to 4294967295");
        refuse_json(FRAMEWORK, "{\"user\":1,\"name\":\"n\"}", "user: expected a string, got a number");
        refuse_json(FRAMEWORK, "{\"user\":\"u\",\"name\":\"n\",\"checkpoint\":\"yes\"}",
                "checkpoint: expected true or false");
        refuse_json(FRAMEWORK, "{\"user\":\"u\",\"name\":\"n\",\"checkpoint\":1}",
                "checkpoint: expected true or false, got a number");
}

static void paths_in_sentences(void **state)
{
        refuse_json(CALL,
                "{\"accept\":{\"operations\":[{},{\"launch\":{\"task_infos\":[{\"name\":\"t\"}]}}]}}",
                "accept.operations[1].launch.task_infos[0].task_id: required but missing");
        refuse_json(CALL, "{\"accept\":{\"operations\":{\"launch\":{\"task_infos\":{\"name\":1}}}}}",
                "accept.operations.launch.task_infos.name: expected a string, got a number");
        refuse_json(CALL,
                "{\"subscribe\":{\"framework_info\":{\"user\":\"u\",\"name\":\"n\"},"
                "\"offer_constraints\":{\"role_constraints\":{\"a\\n\":{\"groups\":[1]}}}}}",
                "subscribe.offer_constraints.role_constraints[\"a\\x0a\"].groups[0]: expected an object, got "
                "a number");
        refuse_json(CALL, "{\"kill\":[]}", "kill: expected an object, got an array");
        refuse_json(CALL, "[]", "expected an object, got an array");
        refuse_json(
                CALL, "{\"kill\":{}", "not valid JSON: '}' expected near end of file (line 1, column 10)");
        refuse_json(CALL, "{} x", "not valid JSON: end of file expected near 'x' (line 1, column 4)");
        refuse_json(CALL, "", "not valid JSON: '[' or '{' expected near end of file (line 1, column 0)");
}

static void bytes_as_base64(void **state)
{
        static const char *const good[] = {"", "Zg==", "Zm8=", "Zm9v", "+/+/"};
        static const char *const bad[] = {
                "Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "====", "Zm=v", "Zm9v\\n", "-_-_", "Z g=", "=Zg="};
        char json[64];
        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                (void)snprintf(json, sizeof(json), "{\"data\":\"%s\"}", good[i]);
                round_trip(&mete__v1__executor__event__message__descriptor, json, json);
        }
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                (void)snprintf(json, sizeof(json), "{\"data\":\"%s\"}", bad[i]);
                refuse_json(&mete__v1__executor__event__message__descriptor, json,
                        "data: expected padded base64");
        }
}

static void maps(void **state)
{
        round_trip(&mete__v1__task_info__descriptor,
                "{\"name\":\"n\",\"task_id\":{\"value\":\"t\"},\"agent_id\":{\"value\":\"a\"},"
                "\"limits\":{\"mem\":{\"value\":\"Infinity\"},\"cpus\":{\"value\":1},\"gone\":null}}",
                "{\"name\":\"n\",\"task_id\":{\"value\":\"t\"},\"agent_id\":{\"value\":\"a\"},"
                "\"limits\":{\"cpus\":{\"value\":1.0},\"mem\":{\"value\":\"Infinity\"}}}");
        round_trip(&mete__v1__scheduler__offer_constraints__descriptor, "{\"role_constraints\":{}}", "{}");
        refuse_json(&mete__v1__scheduler__offer_constraints__descriptor, "{\"role_constraints\":[]}",
                "role_constraints: expected an object, got an array");
        /* Of two entries with one key the last counts. */
        _cleanup_message_ ProtobufCMessage *m = NULL;
        static const char twice[] = "\x0a\x05\x0a\x01"
                                    "a\x12\x00\x0a\x07\x0a\x01"
                                    "a\x12\x02\x0a\x00";
        assert_int_equal(message_decode(CODEC_PROTOBUF, &mete__v1__scheduler__offer_constraints__descriptor,
                                 twice, sizeof(twice) - 1, &m, NULL),
                0);
        expect_json(m, "{\"role_constraints\":{\"a\":{\"groups\":[{}]}}}");
        refuse_bytes(&mete__v1__scheduler__offer_constraints__descriptor,
                "\x0a\x03\x0a\x01"
                "a",
                "role_constraints[0].value: required but missing");
}

static void one_of(void **state)
{
        round_trip(&mete__v1__scheduler__attribute_constraint__descriptor,
                "{\"predicate\":{\"text_equals\":{\"value\":\"v\"}},\"selector\":{\"attribute_name\":\"a\"}}",
                "{\"selector\":{\"attribute_name\":\"a\"},\"predicate\":{\"text_equals\":{\"value\":\"v\"}}"
                "}");
        round_trip(&mete__v1__scheduler__attribute_constraint__selector__descriptor,
                "{\"pseudoattribute_type\":\"ZONE\"}", "{\"pseudoattribute_type\":\"ZONE\"}");
        round_trip(&mete__v1__scheduler__attribute_constraint__selector__descriptor,
                "{\"pseudoattribute_type\":\"MOON\"}", "{}");
        refuse_json(&mete__v1__scheduler__attribute_constraint__selector__descriptor,
                "{\"pseudoattribute_type\":\"ZONE\",\"attribute_name\":\"a\"}",
                "attribute_name: cannot stand beside another choice of the same kind");
        refuse_bytes(&mete__v1__scheduler__attribute_constraint__selector__descriptor,
                "\x08\x03\x12\x01"
                "a",
                "attribute_name: cannot stand beside another choice of the same kind");
}

static void doubles(void **state)
{
        static const struct {
                double value;
                const char *text;
        } cases[] = {
                {0, "0.0"},
                {-0.0, "-0.0"},
                {1, "1.0"},
                {-2.5, "-2.5"},
                {0.1, "0.1"},
                {0.07, "0.07"},
                {0.001, "0.001"},
                {0.0001, "0.0001"},
                {-1.0625, "-1.0625"},
                {1.0 / 3, "0.3333333333333333"},
                {0.1 + 0.2, "0.30000000000000004"},
                {123456789012.345, "123456789012.345"},
                {1609459200.1234567, "1609459200.1234567"},
                {1e15, "1000000000000000.0"},
                {9007199254740993, "9007199254740992.0"},
                {1e20, "100000000000000000000.0"},
                {1e21, "1e21"},
                {1.5e300, "1.5e300"},
                {1e-6, "0.000001"},
                {1.5e-7, "1.5e-7"},
                {5e-324, "5e-324"},
                {1.7976931348623157e308, "1.7976931348623157e308"},
                {INFINITY, "\"Infinity\""},
                {-INFINITY, "\"-Infinity\""},
        };
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Mete__V1__Value__Scalar m = METE__V1__VALUE__SCALAR__INIT;
                char json[64];
                m.value = cases[i].value;
                (void)snprintf(json, sizeof(json), "{\"value\":%s}", cases[i].text);
                expect_json(&m, json);
                _cleanup_message_ Mete__V1__Value__Scalar *again =
                        from_json(&mete__v1__value__scalar__descriptor, json);
                assert_memory_equal(&again->value, &m.value, sizeof(double));
        }
}

static void text(void **state)
{
        round_trip(&mete__v1__label__descriptor,
                "{\"key\":\"\\u0001\\b\\f\\n\\r\\t\\\"\\\\\\/\\u007f \\u00e9\\ud83d\\ude00\\u2028\"}",
                "{\"key\":\"\\u0001\\b\\f\\n\\r\\t\\\"\\\\/\x7f \xc3\xa9\xf0\x9f\x98\x80\xe2\x80\xa8\"}");
        refuse_json(&mete__v1__label__descriptor, "{\"key\":\"a\\u0000b\"}",
                "text contains a NUL character (line 1)");
        refuse_json(&mete__v1__label__descriptor, "{\"key\":\"\xff\"}",
                "not valid JSON: unable to decode byte 0xff near '\"' (line 1, column 8)");
        refuse_bytes(&mete__v1__label__descriptor, "\x0a\x02\xc0\xaf", "key: text is not valid UTF-8");
        refuse_bytes(&mete__v1__label__descriptor,
                "\x0a\x02"
                "a\0",
                "key: text contains a NUL byte");
        /* A sentence of ours with foreign bytes in it is shown, not refused. */
        Mete__V1__Label l = METE__V1__LABEL__INIT;
        l.key = (char *)"a\xff\xc3(\xc3";
        expect_json(&l, "{\"key\":\"a\xef\xbf\xbd\xef\xbf\xbd(\xef\xbf\xbd\"}");
}

static char *nested_json(size_t levels)
{
        struct buffer b = {};
        for (size_t i = 0; i < levels; i++)
                buffer_puts(&b, i + 1 == levels ? "{\"value\":\"c\"" : "{\"value\":\"c\",\"parent\":");
        for (size_t i = 0; i < levels; i++)
                buffer_puts(&b, "}");
        return buffer_take(&b);
}

static void json_depth(void **state)
{
        _cleanup_free_ char *deepest = nested_json(CODEC_DEPTH_MAX),
                            *deeper = nested_json(CODEC_DEPTH_MAX + 1);
        round_trip(&mete__v1__container_id__descriptor, deepest, deepest);
        ProtobufCMessage *m = NULL;
        assert_int_equal(message_decode(CODEC_JSON, &mete__v1__container_id__descriptor, deeper,
                                 strlen(deeper), &m, NULL),
                -EINVAL);
        _cleanup_free_ char *brackets = xcalloc(1, 200001);
        memset(brackets, '[', 200000);
        refuse_json(CALL, brackets, "JSON is nested deeper than 128 levels");
}

/* Also beyond what protobuf-c would survive: each level is a tag, a length and the required value. */
static void protobuf_depth(void **state)
{
        struct buffer b = {};
        for (int i = 0; i < 100000; i++) {
                size_t inner = b.len;
                uint8_t head[16] = {0x0a, 1, 'c', 0x12};
                size_t n = inner ? 4 : 3;
                for (size_t v = inner; inner; v >>= 7) {
                        head[n++] = (uint8_t)((v & 0x7f) | (v >= 0x80 ? 0x80 : 0));
                        if (v < 0x80)
                                break;
                }
                struct buffer outer = {};
                if (i > CODEC_DEPTH_MAX + 10)
                        break;
                buffer_append(&outer, head, n);
                buffer_append(&outer, b.data, b.len);
                buffer_done(&b);
                b = outer;
                ProtobufCMessage *m = NULL;
                int r = message_decode(
                        CODEC_PROTOBUF, &mete__v1__container_id__descriptor, b.data, b.len, &m, NULL);
                message_free(m);
                assert_int_equal(r, i < CODEC_DEPTH_MAX ? 0 : -EINVAL);
        }
        buffer_done(&b);
}

static void protobuf_malformed(void **state)
{
        refuse_bytes(CALL, "\x00", "malformed protobuf: bad field number");
        refuse_bytes(CALL, "\x0b", "malformed protobuf: bad wire type");
        refuse_bytes(CALL, "\x0c", "malformed protobuf: bad wire type");
        refuse_bytes(
                CALL, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "malformed protobuf: bad field number");
        refuse_bytes(CALL, "\x0a", "framework_id: truncated");
        refuse_bytes(CALL, "\x0a\x05\x0a", "framework_id: truncated");
        refuse_bytes(CALL, "\x0a\x00", "framework_id.value: required but missing");
        refuse_bytes(CALL, "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "framework_id: truncated");
        refuse_bytes(CALL, "\x10\xff", "type: malformed number");
        refuse_bytes(CALL, "\x08\x01", "framework_id: of the wrong type");
        refuse_bytes(CALL, "\x22\x00\x22\x00", "accept: given twice");
        refuse_bytes(CALL, "\xf9\x07\x01", "truncated"); /* unknown, but still to be walked */
        refuse_bytes(&mete__v1__value__scalar__descriptor, "\x09\x00\x00\x00", "value: truncated");
        refuse_bytes(&mete__v1__task_status__descriptor, "\x0a\x03\x0a\x01t\x10\x63",
                "state: unknown value of a required field");
}

/* accept { offer_ids {"o"}, operations {}, operations { type: LAUNCH, launch { task_infos {...}}}} */
static void protobuf_paths(void **state)
{
        refuse_bytes(CALL, "\x22\x10\x0a\x03\x0a\x01o\x12\x00\x12\x07\x08\x01\x12\x03\x0a\x01\x0a",
                "accept.operations[1].launch.task_infos[0].name: truncated");
        refuse_bytes(CALL, "\x22\x12\x0a\x03\x0a\x01o\x12\x00\x12\x09\x08\x01\x12\x05\x0a\x03\x0a\x01n",
                "accept.operations[1].launch.task_infos[0].task_id: required but missing");
        refuse_bytes(&mete__v1__scheduler__call__revive__descriptor, "\x0a\x01z\x0a\x01\xff",
                "roles[1]: text is not valid UTF-8");
}

static void protobuf_unknown(void **state)
{
        static const char call[] = "\x10\x63\xf8\x07\x01"; /* type: 99; field 127 */
        _cleanup_message_ Mete__V1__Scheduler__Call *m = NULL;
        assert_int_equal(
                message_decode(CODEC_PROTOBUF, CALL, call, sizeof(call) - 1, (ProtobufCMessage **)&m, NULL),
                0);
        assert_false(m->has_type);
        assert_int_equal(m->type, METE__V1__SCHEDULER__CALL__TYPE__UNKNOWN);
        expect_json(m, "{}");
        _cleanup_message_ Mete__V1__Scheduler__Call *copy = message_copy(m);
        assert_int_equal(copy->base.n_unknown_fields, 1);
        /* Packed and unpacked numbers, one of them without a name. */
        static const char caps[] = "\x0a\x05\xe8\x07\x63\xe9\x07\x08\xea\x07";
        _cleanup_message_ ProtobufCMessage *c = NULL;
        assert_int_equal(message_decode(CODEC_PROTOBUF, &mete__v1__capability_info__descriptor, caps,
                                 sizeof(caps) - 1, &c, NULL),
                0);
        expect_json(c, "{\"capabilities\":[\"CHOWN\",\"DAC_OVERRIDE\",\"DAC_READ_SEARCH\"]}");
}

/* Two bytes must not cost a struct each without bound. */
static void amplification(void **state)
{
        size_t n = 8 << 20;
        _cleanup_free_ char *body = xmalloc(n);
        for (size_t i = 0; i < n; i += 2) {
                body[i] = 0x12; /* operations */
                body[i + 1] = 0;
        }
        refuse(CODEC_PROTOBUF, &mete__v1__scheduler__call__accept__descriptor, body, n, "too many fields");
        /* 600,000 numbered fields that nobody knows, twice as many, and structs for a few bytes each. */
        for (size_t i = 0; i < n; i++)
                body[i] = i % 2 ? 1 : 0x60;
        ProtobufCMessage *m = NULL;
        assert_int_equal(message_decode(CODEC_PROTOBUF, CALL, body, 1200000, &m, NULL), 0);
        message_free(m);
        refuse(CODEC_PROTOBUF, CALL, body, 2400000, "too many fields");
        for (size_t i = 0; i < n; i++)
                body[i] = i % 2 ? 0 : 0x12;
        /* Fewer fields, but each of them costs a struct. */
        size_t cheap = 900000;
        assert_true(cheap < (1 << 20) && cheap * (48 + sizeof(Mete__V1__Offer__Operation)) > 128 << 20);
        refuse(CODEC_PROTOBUF, &mete__v1__scheduler__call__accept__descriptor, body, 2 * cheap,
                "too many fields");
        memcpy(body, "{\"x\":[", 6);
        for (size_t i = 6; i + 3 <= n; i += 3)
                memcpy(body + i, "{},", 3);
        refuse(CODEC_JSON, CALL, body, n, "JSON has too many values");
}

static void invalid_messages(void **state)
{
        _cleanup_buffer_ struct buffer out = {};
        buffer_puts(&out, "x");
        Mete__V1__Scheduler__Event__Update update = METE__V1__SCHEDULER__EVENT__UPDATE__INIT;
        Mete__V1__Scheduler__Event e = METE__V1__SCHEDULER__EVENT__INIT;
        e.update = &update;
        for (int c = 0; c < CODEC_MAX; c++)
                assert_int_equal(message_encode((enum codec)c, &e.base, &out), -EINVAL);
        e.update = NULL;
        e.has_type = 1;
        e.type = 77;
        for (int c = 0; c < CODEC_MAX; c++)
                assert_int_equal(message_encode((enum codec)c, &e.base, &out), -EINVAL);
        assert_string_equal(out.data, "x");
        assert_int_equal(message_encode(CODEC_INVALID, &e.base, &out), -EINVAL);
}

static void pretty(void **state)
{
        _cleanup_buffer_ struct buffer out = {};
        _cleanup_message_ ProtobufCMessage *m = from_json(
                CALL, "{\"revive\":{\"roles\":[\"a\",\"b\"]},\"suppress\":{},\"accept\":{\"filters\":{}}}");
        assert_int_equal(message_to_pretty_json(m, &out), 0);
        assert_string_equal(out.data,
                "{\n  \"accept\": {\n    \"filters\": {\n      \"refuse_seconds\": 5.0\n    }\n  },\n"
                "  \"revive\": {\n    \"roles\": [\n      \"a\",\n      \"b\"\n    ]\n  },\n  \"suppress\": "
                "{}\n}");
}

static void event_line(void **state)
{
        round_trip(EVENT,
                "{\"type\":\"OFFERS\",\"offers\":{\"offers\":[{\"id\":{\"value\":\"o\"},\"framework_id\":{"
                "\"value\":\"f\"},"
                "\"agent_id\":{\"value\":\"a\"},\"hostname\":\"h\",\"resources\":[{\"name\":\"cpus\","
                "\"type\":\"SCALAR\","
                "\"scalar\":{\"value\":1}},{\"name\":\"ports\",\"type\":\"RANGES\",\"ranges\":{\"range\":[{"
                "\"begin\":31000,"
                "\"end\":32000}]},\"allocation_info\":{\"role\":\"r\"},\"role\":\"*\",\"revocable\":{}}]}]}}",
                "{\"type\":\"OFFERS\",\"offers\":{\"offers\":[{\"id\":{\"value\":\"o\"},\"framework_id\":{"
                "\"value\":\"f\"},"
                "\"agent_id\":{\"value\":\"a\"},\"hostname\":\"h\",\"resources\":[{\"name\":\"cpus\","
                "\"type\":\"SCALAR\","
                "\"scalar\":{\"value\":1.0}},{\"name\":\"ports\",\"type\":\"RANGES\",\"ranges\":{\"range\":[{"
                "\"begin\":31000,"
                "\"end\":32000}]},\"role\":\"*\",\"allocation_info\":{\"role\":\"r\"},\"revocable\":{}}]}]}"
                "}");
}

static void copies(void **state)
{
        assert_null(message_copy(NULL));
        message_free(NULL);
        _cleanup_message_ Mete__V1__FrameworkInfo *m =
                from_json(FRAMEWORK, "{\"user\":\"u\",\"name\":\"n\"}");
        _cleanup_message_ Mete__V1__FrameworkInfo *copy = message_copy(m);
        assert_ptr_not_equal(copy->user, m->user);
        assert_ptr_equal(copy->role, mete__v1__framework_info__role__default_value);
        expect_json(copy, "{\"user\":\"u\",\"name\":\"n\",\"failover_timeout\":0.0,\"checkpoint\":false}");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(content_types),
                cmocka_unit_test(accept_header),
                cmocka_unit_test(declared_defaults),
                cmocka_unit_test(declaration_order),
                cmocka_unit_test(empty_and_null),
                cmocka_unit_test(unknown_input),
                cmocka_unit_test(lenient_scalars),
                cmocka_unit_test(refused_scalars),
                cmocka_unit_test(paths_in_sentences),
                cmocka_unit_test(bytes_as_base64),
                cmocka_unit_test(maps),
                cmocka_unit_test(one_of),
                cmocka_unit_test(doubles),
                cmocka_unit_test(text),
                cmocka_unit_test(json_depth),
                cmocka_unit_test(protobuf_depth),
                cmocka_unit_test(protobuf_malformed),
                cmocka_unit_test(protobuf_paths),
                cmocka_unit_test(protobuf_unknown),
                cmocka_unit_test(amplification),
                cmocka_unit_test(invalid_messages),
                cmocka_unit_test(pretty),
                cmocka_unit_test(event_line),
                cmocka_unit_test(copies),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
