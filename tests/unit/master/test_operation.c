/* RESERVE, UNRESERVE, CREATE, DESTROY, GROW_VOLUME and SHRINK_VOLUME: what becomes of what, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/net/codec.h"
#include "master/operation.h"
#include "proto/scheduler.pb-c.h"
#include "proto/validate.h"

/* JSON is written with ' for ". */
static void *decode(const ProtobufCMessageDescriptor *d, const char *text)
{
        _cleanup_free_ char *json = xstrdup(text);
        _cleanup_error_ struct error e = {};
        ProtobufCMessage *m = NULL;

        for (char *p = json; *p; p++)
                if (*p == '\'')
                        *p = '"';
        if (message_decode(CODEC_JSON, d, json, strlen(json), &m, &e) < 0)
                fail_msg("%s: %s", json, error_message(&e));
        return m;
}

static void resources_of(const char *text, struct resources *ret)
{
        _cleanup_free_ char *json = xasprintf("{'resources':%s}", text);
        Mete__V1__Request *m = decode(&mete__v1__request__descriptor, json);
        _cleanup_error_ struct error e = {};

        if (resources_from_proto(m->resources, m->n_resources, "held", ret, &e) < 0)
                fail_msg("%s", error_message(&e));
        message_free(m);
}

#define SCALAR(name, amount, more) "{'name':'" name "','type':'SCALAR','scalar':{'value':" amount "}" more "}"
#define CPUS(amount, more) SCALAR("cpus", amount, more)
#define DISK(amount, more) SCALAR("disk", amount, more)
#define STATIC(role) "{'type':'STATIC','role':'" role "'}"
#define BY(role, principal) "{'type':'DYNAMIC','role':'" role "','principal':'" principal "'}"
#define ANON(role) "{'type':'DYNAMIC','role':'" role "'}"
#define STACK(reservations) ",'reservations':[" reservations "]"
#define OLD(role, principal) ",'role':'" role "','reservation':{'principal':'" principal "'}"
#define VOLUME(id, path)                                                                                     \
        ",'disk':{'persistence':{'id':'" id                                                                  \
        "','principal':'p'},'volume':{'mode':'RW','container_path':'" path "'}}"
#define OP(type, member, fields) "{'type':'" type "','" member "':{" fields "}}"
#define RESERVE(r) OP("RESERVE", "reserve", "'resources':[" r "]")
#define RESERVE_FROM(s, r) OP("RESERVE", "reserve", "'source':[" s "],'resources':[" r "]")
#define UNRESERVE(r) OP("UNRESERVE", "unreserve", "'resources':[" r "]")
#define CREATE(r) OP("CREATE", "create", "'volumes':[" r "]")
#define DESTROY(r) OP("DESTROY", "destroy", "'volumes':[" r "]")
#define GROW(v, a) OP("GROW_VOLUME", "grow_volume", "'volume':" v ",'addition':" a)
#define SHRINK(v, s) OP("SHRINK_VOLUME", "shrink_volume", "'volume':" v ",'subtract':{'value':" s "}")

/* On the agent: plain, static, dynamic, refined, and a volume. */
#define HELD                                                                                                 \
        "[" CPUS("8", "") "," DISK("100", "") "," CPUS("4", STACK(STATIC("a"))) "," CPUS("2",                \
                STACK(BY("a", "p"))) "," CPUS("1", STACK(STATIC("a") "," BY("a/b", "p"))) "," DISK("50",     \
                STACK(BY("a", "p"))) "," DISK("20", STACK(BY("a", "p")) VOLUME("v1", "data")) "," DISK("7",  \
                STACK(STATIC("a") "," BY("a/b", "p"))) "," CPUS("3", STACK(ANON("a"))) "," CPUS("5",         \
                STACK(BY("a",                                                                                \
                        "q"))) ","                                                                           \
                               "{'name':'ports','type':'RANGES','ranges':{'range':[{'begin':1,'end':9}]}}]"

struct outcome {
        const char *op;
        const char *from, *to; /* texts; else */
        int code;
        const char *sentence; /* part of it */
};

static void check_outcome(const struct operation_scope *scope, const struct outcome *o)
{
        Mete__V1__Offer__Operation *op = decode(&mete__v1__offer__operation__descriptor, o->op);
        _cleanup_operation_change_ struct operation_change change = {};
        _cleanup_resources_ struct resources from = {}, to = {};
        _cleanup_error_ struct error e = {};
        int r = operation_evaluate(scope, op, &change, &e);

        assert_true(operation_is_change(op));
        message_free(op);
        if (o->code < 0) {
                if (r != o->code || !strstr(error_message(&e), o->sentence))
                        fail_msg("%s: %d: %s", o->op, r, r < 0 ? error_message(&e) : "");
                assert_true(resources_empty(&change.from) && resources_empty(&change.to));
                return;
        }
        if (r < 0)
                fail_msg("%s: %s", o->op, error_message(&e));
        _cleanup_free_ char *was = resources_to_string(&change.from), *is = resources_to_string(&change.to);
        assert_string_equal(was, o->from);
        assert_string_equal(is, o->to);
        assert_true(resources_contains(scope->held, &change.from));
        resources_quantities(&change.from, &from);
        resources_quantities(&change.to, &to);
        assert_true(resources_equal(&from, &to));
}

static void check_all(const char *role, const char *principal, const struct outcome *outcomes, size_t count)
{
        _cleanup_resources_ struct resources held = {};
        struct operation_scope scope = {.held = &held, .total = &held, .role = role, .principal = principal};

        resources_of(HELD, &held);
        for (size_t i = 0; i < count; i++)
                check_outcome(&scope, &outcomes[i]);
}

static void test_reserve(void **state)
{
        static const struct outcome outcomes[] = {
                {RESERVE(CPUS("2", STACK(BY("a", "p")))), "cpus:2", "cpus(a):2"},
                {RESERVE(CPUS("2", STACK(BY("a/x", "p"))) "," DISK("1", STACK(BY("a", "p")))),
                        "cpus:2;disk:1", "cpus(a/x):2;disk(a):1"},
                {RESERVE(CPUS("2", OLD("a", "p"))), "cpus:2", "cpus(a):2"},
                {RESERVE(CPUS("4", STACK(STATIC("a") "," BY("a/b", "p")))), "cpus(a):4", "cpus(a/b):4"},
                {RESERVE(CPUS("1", STACK(BY("a", "p") "," BY("a/b", "p")))), "cpus(a):1", "cpus(a/b):1"},
                {RESERVE("{'name':'ports','type':'RANGES','ranges':{'range':[{'begin':3,'end':4}]}" STACK(
                         BY("a", "p")) "}"),
                        "ports:[3-4]", "ports(a):[3-4]"},
                /* From others, which may have been refined. */
                {RESERVE_FROM(CPUS("2", STACK(BY("a", "p"))), CPUS("2", STACK(BY("a/c", "p")))), "cpus(a):2",
                        "cpus(a/c):2"},
                {RESERVE_FROM(CPUS("1", STACK(STATIC("a") "," BY("a/b", "p"))),
                         CPUS("1", STACK(STATIC("a") "," BY("a/c", "p")))),
                        "cpus(a/b):1", "cpus(a/c):1"},
                {RESERVE_FROM(CPUS("1", ""), CPUS("1", STACK(BY("a", "p") "," BY("a/c", "p")))), "cpus:1",
                        "cpus(a/c):1"},
                /* Refused. */
                {RESERVE(""), .code = -EINVAL, .sentence = "operation.reserve.resources: at least one"},
                {RESERVE(CPUS("0", STACK(BY("a", "p")))), .code = -EINVAL,
                        .sentence = "resources[0]: more than nothing"},
                {RESERVE(CPUS("1", "")), .code = -EINVAL, .sentence = "the reservation to make is expected"},
                {RESERVE(CPUS("1", STACK(STATIC("a")))), .code = -EINVAL, .sentence = "of type DYNAMIC"},
                {RESERVE(CPUS("1", ",'role':'a'")), .code = -EINVAL, .sentence = "of type DYNAMIC"},
                {RESERVE(CPUS("9", STACK(BY("a", "p")))), .code = -ERANGE,
                        .sentence = "cpus:9 is needed, cpus:8 is left"},
                {RESERVE(CPUS("3", STACK(BY("a", "p") "," BY("a/b", "p")))), .code = -ERANGE,
                        .sentence = "cpus(a):3 is needed"},
                {RESERVE(SCALAR("gpus", "1", STACK(BY("a", "p")))), .code = -ERANGE,
                        .sentence = "nothing of it is left"},
                {RESERVE(CPUS("1", STACK(BY("b", "p")))), .code = -EPERM,
                        .sentence = "role 'b': 'a', the offers' role"},
                {RESERVE(CPUS("1", STACK(BY("ab", "p")))), .code = -EPERM, .sentence = "role 'ab'"},
                {RESERVE(CPUS("1", STACK(BY("a", "q")))), .code = -EPERM,
                        .sentence = "'q' is not the framework's own: 'p'"},
                {RESERVE(CPUS("1", STACK(ANON("a")))), .code = -EPERM, .sentence = "'p' is expected"},
                {RESERVE(DISK("20", STACK(BY("a", "p")) VOLUME("v1", "data"))), .code = -EINVAL,
                        .sentence = "CREATE makes it"},
                {RESERVE(CPUS("1", STACK(BY("a", "p")) ",'allocation_info':{'role':'b'}")), .code = -EINVAL,
                        .sentence = "resources[0].allocation_info.role"},
                {RESERVE(CPUS("1", ",'role':'a','reservation':{'principal':'p'},'revocable':{}")),
                        .code = -EINVAL, .sentence = "revocable"},
                {RESERVE_FROM(CPUS("1", ""), CPUS("2", STACK(BY("a", "p")))), .code = -EINVAL,
                        .sentence = "the same amounts"},
                {RESERVE_FROM(CPUS("4", STACK(STATIC("a"))), CPUS("4", STACK(BY("a", "p")))), .code = -EINVAL,
                        .sentence = "the agent itself reserves it"},
                {RESERVE_FROM(CPUS("5", STACK(BY("a", "q"))), CPUS("5", STACK(BY("a", "p")))), .code = -EPERM,
                        .sentence = "principal 'q'"},
                {RESERVE_FROM(
                         CPUS("1", STACK(STATIC("a") "," BY("a/b", "p"))), CPUS("1", STACK(STATIC("a")))),
                        .code = -EINVAL, .sentence = "see UNRESERVE"},
                {RESERVE_FROM(DISK("20", STACK(BY("a", "p")) VOLUME("v1", "data")),
                         DISK("20", STACK(BY("a/b", "p")))),
                        .code = -EINVAL, .sentence = "DESTROY it first"},
                {RESERVE_FROM(CPUS("1", "") "," DISK("1", STACK(BY("a", "p"))),
                         CPUS("1", STACK(BY("a/x", "p"))) "," DISK("1", STACK(BY("a/x", "p")))),
                        .code = -EINVAL, .sentence = "reserved alike"},
                {"{'type':'RESERVE'}", .code = -EINVAL, .sentence = "message of its type is missing"},
                {"{'type':'RESERVE','unreserve':{}}", .code = -EINVAL,
                        .sentence = "message of its type is missing"},
        };

        (void)state;
        check_all("a", "p", outcomes, ELEMENTSOF(outcomes));
}

static void test_unreserve(void **state)
{
        static const struct outcome outcomes[] = {
                {UNRESERVE(CPUS("2", STACK(BY("a", "p")))), "cpus(a):2", "cpus:2"},
                {UNRESERVE(CPUS("1.5", OLD("a", "p"))), "cpus(a):1.5", "cpus:1.5"},
                {UNRESERVE(CPUS("3", STACK(ANON("a")))), "cpus(a):3", "cpus:3"},
                {UNRESERVE(CPUS("1", STACK(STATIC("a") "," BY("a/b", "p")))), "cpus(a/b):1", "cpus(a):1"},
                /* In the old form of who cannot write a stack. */
                {UNRESERVE(CPUS("1", OLD("a/b", "p"))), "cpus(a/b):1", "cpus(a):1"},
                {UNRESERVE(""), .code = -EINVAL, .sentence = "operation.unreserve.resources: at least one"},
                {UNRESERVE(CPUS("1", "")), .code = -EINVAL, .sentence = "it is not reserved"},
                {UNRESERVE(CPUS("4", STACK(STATIC("a")))), .code = -EINVAL,
                        .sentence = "the agent itself reserves it"},
                {UNRESERVE(CPUS("5", STACK(BY("a", "q")))), .code = -EPERM, .sentence = "principal 'q'"},
                {UNRESERVE(CPUS("3", STACK(BY("a", "p")))), .code = -ERANGE,
                        .sentence = "cpus(a):3 is needed, cpus(a):2 is left"},
                {UNRESERVE(CPUS("1", STACK(BY("b", "p")))), .code = -EPERM, .sentence = "above 'a'"},
                {UNRESERVE(DISK("20", STACK(BY("a", "p")) VOLUME("v1", "data"))), .code = -EINVAL,
                        .sentence = "DESTROY it first"},
        };
        static const struct outcome below[] = {
                {UNRESERVE(CPUS("2", STACK(BY("a", "p")))), .code = -EPERM,
                        .sentence = "role 'a', which is above 'a/b'"},
                {UNRESERVE(CPUS("1", STACK(STATIC("a") "," BY("a/b", "p")))), "cpus(a/b):1", "cpus(a):1"},
                {CREATE(DISK("5", STACK(BY("a", "p")) VOLUME("v2", "x"))), .code = -EPERM,
                        .sentence = "reserved for role 'a'"},
        };

        (void)state;
        check_all("a", "p", outcomes, ELEMENTSOF(outcomes));
        check_all("a/b", "p", below, ELEMENTSOF(below));
}

static void test_create(void **state)
{
        static const struct outcome outcomes[] = {
                {CREATE(DISK("5", STACK(BY("a", "p")) VOLUME("v2", "x"))), "disk(a):5", "disk(a)[v2:x]:5"},
                {CREATE(DISK("5", OLD("a", "p") VOLUME("v2", "x"))), "disk(a):5", "disk(a)[v2:x]:5"},
                {CREATE(DISK("5", STACK(BY("a", "p")) VOLUME("v2", "x")) "," DISK(
                         "6", STACK(BY("a", "p")) VOLUME("v3", "/abs"))),
                        "disk(a):11", "disk(a)[v2:x]:5;disk(a)[v3:/abs]:6"},
                {CREATE(DISK("7", OLD("a/b", "p") VOLUME("v2", "x"))), "disk(a/b):7", "disk(a/b)[v2:x]:7"},
                /* Of another role: another volume. */
                {CREATE(DISK("7", STACK(STATIC("a") "," BY("a/b", "p")) VOLUME("v1", "x"))), "disk(a/b):7",
                        "disk(a/b)[v1:x]:7"},
                {CREATE(""), .code = -EINVAL, .sentence = "operation.create.volumes: at least one"},
                {CREATE(DISK("5", STACK(BY("a", "p")))), .code = -EINVAL,
                        .sentence = "disk.persistence is expected"},
                {CREATE(CPUS("5", STACK(BY("a", "p")) VOLUME("v2", "x"))), .code = -EINVAL,
                        .sentence = "name disk"},
                {CREATE(DISK("5", VOLUME("v2", "x"))), .code = -EINVAL, .sentence = "on reserved disk"},
                {CREATE(DISK("0", STACK(BY("a", "p")) VOLUME("v2", "x"))), .code = -EINVAL,
                        .sentence = "more than nothing"},
                {CREATE(DISK("51", STACK(BY("a", "p")) VOLUME("v2", "x"))), .code = -ERANGE,
                        .sentence = "disk(a):51 is needed, disk(a):50 is left"},
                {CREATE(DISK("5", STACK(BY("a", "p")) VOLUME("v1", "x"))), .code = -EEXIST,
                        .sentence = "a volume 'v1'"},
                {CREATE(DISK("5", STACK(BY("a", "p")) VOLUME("v2", "x")) "," DISK(
                         "5", STACK(BY("a", "p")) VOLUME("v2", "x"))),
                        .code = -EEXIST, .sentence = "'v2'"},
                {CREATE(DISK("5", STACK(BY("a", "p")) ",'disk':{'persistence':{'id':'v2'},'volume':{'mode':'"
                                                      "RW','container_path':'x'}}")),
                        .code = -EPERM, .sentence = "disk.persistence.principal"},
                {CREATE(DISK("5", STACK(BY("a", "p")) ",'disk':{'persistence':{'id':'v2','principal':'p'},'"
                                                      "volume':{'mode':'RO','container_path':'x'}}")),
                        .code = -EINVAL, .sentence = "RW is expected"},
                {CREATE(DISK("5", STACK(BY("a", "p")) VOLUME("../v", "x"))), .code = -EINVAL,
                        .sentence = "persistence.id"},
        };

        (void)state;
        check_all("a", "p", outcomes, ELEMENTSOF(outcomes));
}

#define V1 DISK("20", STACK(BY("a", "p")) VOLUME("v1", "data"))

static void test_destroy_and_resize(void **state)
{
        static const struct outcome outcomes[] = {
                {DESTROY(V1), "disk(a)[v1:data]:20", "disk(a):20"},
                /* The same volume, seen elsewhere. */
                {DESTROY(DISK("20", OLD("a", "p") VOLUME("v1", "/other"))), "disk(a)[v1:data]:20",
                        "disk(a):20"},
                {DESTROY(""), .code = -EINVAL, .sentence = "operation.destroy.volumes: at least one"},
                {DESTROY(DISK("20", STACK(BY("a", "p")))), .code = -EINVAL, .sentence = "a volume"},
                {DESTROY(DISK("20", STACK(BY("a", "p")) VOLUME("v9", "data"))), .code = -ERANGE,
                        .sentence = "no volume 'v9'"},
                {DESTROY(DISK("10", STACK(BY("a", "p")) VOLUME("v1", "data"))), .code = -EINVAL,
                        .sentence = "20 MiB"},
                {DESTROY(DISK("20", STACK(ANON("a")) VOLUME("v1", "data"))), .code = -EINVAL,
                        .sentence = "is another"},
                {DESTROY(V1 "," V1), .code = -EINVAL, .sentence = "is another"},
                {GROW(V1, DISK("30", STACK(BY("a", "p")))), "disk(a):30;disk(a)[v1:data]:20",
                        "disk(a)[v1:data]:50"},
                {GROW(V1, DISK("51", STACK(BY("a", "p")))), .code = -ERANGE,
                        .sentence = "disk(a):51 is needed"},
                {GROW(V1, DISK("1", "")), .code = -EINVAL, .sentence = "reserved as the volume"},
                {GROW(V1, CPUS("1", STACK(BY("a", "p")))), .code = -EINVAL,
                        .sentence = "reserved as the volume"},
                {GROW(V1, DISK("0", STACK(BY("a", "p")))), .code = -EINVAL, .sentence = "more than nothing"},
                {GROW(V1, V1), .code = -EINVAL, .sentence = "reserved as the volume"},
                {GROW(V1, "{'name':'disk','type':'SET','set':{'item':['x']}" STACK(BY("a", "p")) "}"),
                        .code = -EINVAL, .sentence = "reserved as the volume"},
                {SHRINK(V1, "5.5"), "disk(a)[v1:data]:20", "disk(a):5.5;disk(a)[v1:data]:14.5"},
                {SHRINK(V1, "20"), .code = -EINVAL, .sentence = "less than 20"},
                {SHRINK(V1, "0"), .code = -EINVAL, .sentence = "more than 0"},
                {SHRINK(V1, "-1"), .code = -EINVAL, .sentence = "more than 0"},
                {SHRINK(V1, "'Infinity'"), .code = -EINVAL, .sentence = "more than 0"},
                {SHRINK(DISK("20", STACK(BY("a", "p"))), "1"), .code = -EINVAL, .sentence = "a volume"},
        };

        (void)state;
        check_all("a", "p", outcomes, ELEMENTSOF(outcomes));
}

/* Another principal's volume, and one that a task uses. */
static void test_volumes_of_others(void **state)
{
        _cleanup_resources_ struct resources held = {}, less = {}, volume = {};
        struct operation_scope scope = {.held = &held, .total = &held, .role = "a", .principal = "q"};
        const struct outcome not_mine = {DESTROY(V1), .code = -EPERM, .sentence = "principal 'p'"},
                             in_use = {DESTROY(V1), .code = -ERANGE, .sentence = "is in use, or offered"};

        (void)state;
        resources_of(HELD, &held);
        resources_of("[" V1 "]", &volume);
        check_outcome(&scope, &not_mine);
        resources_copy(&held, &less);
        assert_int_equal(resources_subtract(&less, &volume), 0);
        scope.held = &less;
        scope.principal = "p";
        check_outcome(&scope, &in_use);
}

/* Operators: any role, any principal; but what is impossible stays so. */
static void test_operator(void **state)
{
        static const struct outcome outcomes[] = {
                {RESERVE(CPUS("2", STACK(ANON("b/c")))), "cpus:2", "cpus(b/c):2"},
                {UNRESERVE(CPUS("5", STACK(BY("a", "q")))), "cpus(a):5", "cpus:5"},
                {DESTROY(V1), "disk(a)[v1:data]:20", "disk(a):20"},
                {UNRESERVE(CPUS("4", STACK(STATIC("a")))), .code = -EINVAL,
                        .sentence = "the agent itself reserves it"},
                {RESERVE(CPUS("9", STACK(ANON("b")))), .code = -ERANGE, .sentence = "cpus:8 is free"},
        };

        (void)state;
        check_all(NULL, NULL, outcomes, ELEMENTSOF(outcomes));
}

/* A framework without principal signs nothing, and changes nothing that is signed. */
static void test_without_principal(void **state)
{
        static const struct outcome outcomes[] = {
                {RESERVE(CPUS("2", STACK(ANON("a")))), "cpus:2", "cpus(a):2"},
                {UNRESERVE(CPUS("3", STACK(ANON("a")))), "cpus(a):3", "cpus:3"},
                {RESERVE(CPUS("2", STACK(BY("a", "p")))), .code = -EPERM,
                        .sentence = "the framework has no principal"},
                {UNRESERVE(CPUS("2", STACK(BY("a", "p")))), .code = -EPERM, .sentence = "principal 'p'"},
        };

        (void)state;
        check_all("a", NULL, outcomes, ELEMENTSOF(outcomes));
}

static void test_as_held(void **state)
{
        static const struct {
                const char *wanted, *text;
        } cases[] = {
                {"[" CPUS("1", "") "]", "cpus:1"},
                {"[" DISK("20", STACK(BY("a", "p")) VOLUME("v1", "elsewhere")) "]", "disk(a)[v1:data]:20"},
                {"[" DISK("20", STACK(BY("a", "p")) VOLUME("v2", "elsewhere")) "]",
                        "disk(a)[v2:elsewhere]:20"},
                {"[" CPUS("1", OLD("a/b", "p")) "]", "cpus(a/b):1"},
        };
        _cleanup_resources_ struct resources held = {};

        (void)state;
        resources_of(HELD, &held);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_resources_ struct resources wanted = {}, as = {};
                _cleanup_free_ char *text = NULL;

                resources_of(cases[i].wanted, &wanted);
                resources_as_held(&held, &wanted, &as);
                text = resources_to_string(&as);
                assert_string_equal(text, cases[i].text);
                assert_int_equal(resources_contains(&held, &as), i != 2);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_reserve),
                cmocka_unit_test(test_unreserve),
                cmocka_unit_test(test_create),
                cmocka_unit_test(test_destroy_and_resize),
                cmocka_unit_test(test_volumes_of_others),
                cmocka_unit_test(test_operator),
                cmocka_unit_test(test_without_principal),
                cmocka_unit_test(test_as_held),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
