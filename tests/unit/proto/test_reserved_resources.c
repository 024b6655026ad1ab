/* Reservations and volumes in messages: both forms in, both forms out, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "lib/net/codec.h"
#include "proto/validate.h"

static Mete__V1__Request *request(const char *resources)
{
        _cleanup_free_ char *json = xasprintf("{\"resources\":%s}", resources);
        _cleanup_error_ struct error e = {};
        ProtobufCMessage *m = NULL;

        if (message_decode(CODEC_JSON, &mete__v1__request__descriptor, json, strlen(json), &m, &e) < 0)
                fail_msg("%s: %s", json, e.message);
        return (Mete__V1__Request *)m;
}

static int convert(const char *resources, struct resources *ret, struct error *e)
{
        Mete__V1__Request *m = request(resources);
        int r = resources_from_proto(m->resources, m->n_resources, "resources", ret, e);

        message_free(m);
        return r;
}

#define CPUS(members) "{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1.0}," members "}"
#define DISK(members) "{\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":64.0}," members "}"
#define STACK                                                                                                \
        "\"reservations\":[{\"type\":\"STATIC\",\"role\":\"a\"},{\"type\":\"DYNAMIC\",\"role\":\"a/"         \
        "b\",\"principal\":\"p\","                                                                           \
        "\"labels\":{\"labels\":[{\"key\":\"k\",\"value\":\"v\"}]}}]"
#define VOLUME                                                                                               \
        "\"disk\":{\"persistence\":{\"id\":\"id1\",\"principal\":\"q\"},\"volume\":{\"mode\":\"RW\","        \
        "\"container_path\":\"data\"}}"

static void test_in(void **state)
{
        static const struct {
                const char *json, *text;
        } cases[] = {
                {"[" CPUS("\"role\":\"*\"") "," CPUS("\"role\":\"a\"") "]", "cpus:1;cpus(a):1"},
                {"[" CPUS("\"reservations\":[{\"type\":\"STATIC\",\"role\":\"a\"}]") "," CPUS(
                         "\"role\":\"a\"") "]",
                        "cpus(a):2"},
                {"[" CPUS("\"reservations\":[{\"type\":\"DYNAMIC\",\"role\":\"a\",\"principal\":"
                          "\"p\"}]") "," CPUS("\"role\":\"a\",\"reservation\":{\"principal\":\"p\"}") "]",
                        "cpus(a):2"},
                {"[" CPUS(STACK) "]", "cpus(a/b):1"},
                {"[" CPUS("\"role\":\"a/b\"," STACK) "]", "cpus(a/b):1"},
                {"[" DISK(STACK "," VOLUME) "," DISK(STACK) "]", "disk(a/b):64;disk(a/b)[id1:data]:64"},
                {"[" CPUS("\"revocable\":{}") "," CPUS("\"disk\":{}") "]", "cpus:1;cpus{revocable}:1"},
                {"[{\"name\":\"ports\",\"type\":\"RANGES\",\"role\":\"a\",\"ranges\":{\"range\":[{"
                 "\"begin\":1,\"end\":2}]}}]",
                        "ports(a):[1-2]"},
                {"[{\"name\":\"gpu\",\"type\":\"SET\",\"role\":\"a\",\"set\":{\"item\":[\"x\"]}}]",
                        "gpu(a):{x}"},
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_resources_ struct resources r = {};
                _cleanup_error_ struct error e = {};
                _cleanup_free_ char *text = NULL;

                if (convert(cases[i].json, &r, &e) < 0)
                        fail_msg("%s", error_message(&e));
                text = resources_to_string(&r);
                assert_string_equal(text, cases[i].text);
        }
}

static void test_in_full(void **state)
{
        _cleanup_resources_ struct resources r = {};
        const struct resource_traits *t;

        (void)state;
        assert_int_equal(convert("[" DISK(STACK "," VOLUME) "]", &r, NULL), 0);
        t = r.entries[0].traits;
        assert_int_equal(t->reservation_count, 2);
        assert_string_equal(t->reservations[0].role, "a");
        assert_false(t->reservations[0].dynamic);
        assert_null(t->reservations[0].principal);
        assert_string_equal(t->reservations[1].role, "a/b");
        assert_true(t->reservations[1].dynamic);
        assert_string_equal(t->reservations[1].principal, "p");
        assert_int_equal(t->reservations[1].label_count, 1);
        assert_string_equal(t->reservations[1].labels[0].value, "v");
        assert_string_equal(t->volume_principal, "q");
        assert_string_equal(t->container_path, "data");
        assert_false(t->read_only);
}

#define RESERVED(type, role) "{\"type\":\"" type "\",\"role\":\"" role "\"}"
#define NESTED(stack) CPUS("\"reservations\":[" stack "]")

#define TWENTY "%%%%%%%%%%%%%%%%%%%%"
#define LONG TWENTY TWENTY TWENTY TWENTY TWENTY /* 300 bytes as the name of a directory */
#define NESTED_ROLE(role) "\"reservations\":[{\"role\":\"" role "\",\"type\":\"DYNAMIC\"}]"

static void test_refused(void **state)
{
        static const struct {
                const char *json, *sentence;
        } cases[] = {
                {CPUS("\"shared\":{}"), ".shared: shared volumes are not supported"},
                {CPUS("\"provider_id\":{\"value\":\"x\"}"),
                        ".provider_id: there are no resource providers: all resources are the agent's"},
                {CPUS("\"role\":\"a/\""), ".role: the role 'a/' has an empty component"},
                {CPUS("\"reservation\":{}"), ".reservation: a role other than '*' is expected beside it"},
                {CPUS("\"role\":\"a\",\"reservation\":{\"role\":\"a\"}"), ".reservation: its role and type"},
                {CPUS("\"reservation\":{}," STACK), ".reservation: not together with `reservations`"},
                {CPUS("\"role\":\"a\"," STACK), ".role: not together with `reservations`"},
                {NESTED("{\"role\":\"a\"}"), ".reservations[0]: the type DYNAMIC or STATIC"},
                {NESTED("{\"type\":\"DYNAMIC\"}"), ".reservations[0].role: a role other than '*'"},
                {NESTED(RESERVED("STATIC", "*")), ".reservations[0].role: a role other than '*'"},
                {NESTED(RESERVED("DYNAMIC", "-a")), ".reservations[0].role: the role '-a'"},
                {NESTED(RESERVED("DYNAMIC", "a") "," RESERVED("STATIC", "a/b")),
                        ".reservations[1]: only the first"},
                {NESTED(RESERVED("DYNAMIC", "a") "," RESERVED("DYNAMIC", "a")),
                        ".reservations[1].role: a role below"},
                {NESTED(RESERVED("DYNAMIC", "a") "," RESERVED("DYNAMIC", "ab")),
                        ".reservations[1].role: a role below"},
                {NESTED(RESERVED("DYNAMIC", "a/b") "," RESERVED("DYNAMIC", "a")),
                        ".reservations[1].role: a role below"},
                {NESTED(RESERVED("DYNAMIC", "a") "," RESERVED("DYNAMIC", "a/a") "," RESERVED(
                         "DYNAMIC", "a/a/a") "," RESERVED("DYNAMIC", "a/a/a/a") "," RESERVED("DYNAMIC",
                         "a/a/a/a/a") "," RESERVED("DYNAMIC", "a/a/a/a/a/a") "," RESERVED("DYNAMIC",
                         "a/a/a/a/a/a/a") "," RESERVED("DYNAMIC", "a/a/a/a/a/a/a/a") "," RESERVED("DYNAMIC",
                         "a/a/a/a/a/a/a/a/a")),
                        ".reservations: at most 8"},
                {CPUS(STACK "," VOLUME), ".disk: only a scalar with the name disk"},
                {DISK(VOLUME), ".disk.persistence: a persistent volume is on reserved disk"},
                {DISK(STACK ",\"disk\":{\"source\":{\"type\":\"MOUNT\"}}"),
                        ".disk.source: disks of their own"},
                {DISK(STACK ",\"disk\":{\"volume\":{\"mode\":\"RW\",\"container_path\":\"x\"}}"),
                        ".disk.volume: only persistent volumes"},
                {DISK(STACK ",\"disk\":{\"persistence\":{\"id\":\"x\"}}"),
                        ".disk.volume.container_path: required"},
                {DISK(STACK ",\"disk\":{\"persistence\":{\"id\":\"../"
                            "x\"},\"volume\":{\"mode\":\"RW\",\"container_path\":"
                            "\"x\"}}"),
                        ".disk.persistence.id '../x'"},
                {DISK(STACK ",\"disk\":{\"persistence\":{\"id\":\"x\"},\"volume\":{\"mode\":\"RW\","
                            "\"container_path\":"
                            "\"a/../b\"}}"),
                        ".disk.volume.container_path: a path without '.' and '..'"},
                {DISK(STACK ",\"disk\":{\"persistence\":{\"id\":\"x\"},\"volume\":{\"mode\":\"RW\",\"host_"
                            "path\":\"/etc\","
                            "\"container_path\":\"b\"}}"),
                        ".disk.volume: a persistent volume has"},
                {DISK(STACK ",\"disk\":{\"persistence\":{\"id\":\"x\"},\"volume\":{\"mode\":\"RW\","
                            "\"container_path\":\"a/./b\"}}"),
                        ".disk.volume.container_path: a path without '.' and '..'"},
                {DISK(STACK ",\"disk\":{\"persistence\":{\"id\":\"x\"},\"volume\":{\"mode\":\"RW\","
                            "\"container_path\":\"//\"}}"),
                        ".disk.volume.container_path: a path of at most 1024"},
                {DISK(STACK ",\"disk\":{\"persistence\":{\"id\":\"" LONG "\"},\"volume\":{\"mode\":\"RW\","
                            "\"container_path\":\"a\"}}"),
                        ".disk.persistence.id: at most 255 bytes"},
                {DISK(NESTED_ROLE(
                         LONG) ",\"disk\":{\"persistence\":{\"id\":\"a\"},\"volume\":{\"mode\":\"RW\","
                               "\"container_path\":\"a\"}}"),
                        ".disk.persistence: a role of at most 255"},
                {DISK(STACK ",\"revocable\":{}," VOLUME), ".revocable: a persistent volume"},
                {CPUS(STACK ",\"revocable\":{}"), ".revocable: what is reserved"},
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *json = xasprintf("[%s]", cases[i].json),
                                    *begin = xasprintf("resources[0]%s", cases[i].sentence);
                _cleanup_error_ struct error e = {};
                struct resources r = {};

                if (convert(json, &r, &e) != -EINVAL)
                        fail_msg("%s is accepted", json);
                if (!str_has_prefix(error_message(&e), begin))
                        fail_msg("'%s', expected '%s'", error_message(&e), begin);
                assert_true(resources_empty(&r));
        }
}

static void test_labels_bounded(void **state)
{
        _cleanup_buffer_ struct buffer b = {};
        _cleanup_error_ struct error e = {};
        struct resources r = {};

        (void)state;
        buffer_puts(&b, "[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1},\"role\":\"a\","
                        "\"reservation\":{\"labels\":{\"labels\":[");
        for (int i = 0; i <= RESERVATION_LABELS_MAX; i++)
                buffer_printf(&b, "%s{\"key\":\"%d\"}", i > 0 ? "," : "", i);
        buffer_puts(&b, "]}}}]");
        assert_int_equal(convert(b.data, &r, &e), -EINVAL);
        assert_string_equal(
                error_message(&e), "resources[0].reservation.labels: at most 32 labels are accepted");
}

/* Out again as it came in, in the form that is asked for. */
static void test_out(void **state)
{
        static const struct {
                const char *json;
                bool old_form;
        } cases[] = {
                {"[" CPUS("\"role\":\"*\"") "," CPUS("\"role\":\"a\"") "," CPUS(
                         "\"role\":\"a\",\"reservation\":{\"principal\":\"p\"}") "]",
                        true},
                {"[" CPUS(STACK) "," DISK(VOLUME "," STACK) "]", false},
                {"[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1.0},\"revocable\":{}}]",
                        false},
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_resources_ struct resources r = {};
                _cleanup_buffer_ struct buffer expected = {}, out = {};
                Mete__V1__Request *in = request(cases[i].json), *m = NEW0(Mete__V1__Request);

                assert_int_equal(resources_from_proto(in->resources, in->n_resources, "r", &r, NULL), 0);
                mete__v1__request__init(m);
                resources_to_proto(&r, NULL, cases[i].old_form, &m->resources, &m->n_resources);
                assert_int_equal(message_encode(CODEC_JSON, &m->base, &out), 0);
                assert_int_equal(message_encode(CODEC_JSON, &in->base, &expected), 0);
                assert_string_equal(out.data, expected.data);
                message_free(m);
                message_free(in);
        }
}

/* What the old form cannot say is shown as its last refinement. */
static void test_stack_in_old_form(void **state)
{
        _cleanup_resources_ struct resources r = {};
        Mete__V1__Resource **list;
        size_t count;

        (void)state;
        assert_int_equal(convert("[" CPUS(STACK) "]", &r, NULL), 0);
        resources_to_proto(&r, NULL, /* with_role= */ true, &list, &count);
        assert_int_equal(count, 1);
        assert_string_equal(list[0]->role, "a/b");
        assert_string_equal(list[0]->reservation->principal, "p");
        assert_int_equal(list[0]->n_reservations, 0);
        message_free(list[0]);
        free(list);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_in),
                cmocka_unit_test(test_in_full),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_labels_bounded),
                cmocka_unit_test(test_out),
                cmocka_unit_test(test_stack_in_old_form),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
