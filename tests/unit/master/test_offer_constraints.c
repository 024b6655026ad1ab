/* Which agents a framework is offered: expressions, predicates, groups, GPUs and the smallest offers of a role. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/regex.h"
#include "master/core.h"
#include "proto/domain.h"

/* ---- expressions ---- */

static void test_expressions_match_whole_texts(void **state)
{
        static const struct {
                const char *pattern, *text;
                bool matches;
        } rows[] = {
                {"abc", "abc", true},
                {"abc", "abcd", false},
                {"abc", "xabc", false},
                {"a|ab", "ab", true},
                {"", "", true},
                {"", "a", false},
                {"rack-[0-9]+", "rack-17", true},
                {"rack-[0-9]+", "rack-", false},
                {"[^]a]", "b", true},
                {"[[:alpha:]]{3}", "abc", true},
                {"(?i)ABC", "abc", true},
                {"(?P<name>a+)b*?", "aab", true},
                {"(?:x|y)z", "yz", true},
                {"\\d\\.\\w\\x41\\pL", "1.aAz", true},
                {"\\Q(*+\\E", "(*+", true},
                {"a$", "a\n", false},
                {"a$\\n", "a\n", false}, /* the end is the very end */
                {".", "\xc3\xa4", true}, /* one character */
                {"(a+)+b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_error_ struct error e = {};
                struct regex *r = NULL;

                if (regex_new(rows[i].pattern, "f", &r, &e) < 0)
                        fail_msg("%s: %s", rows[i].pattern, error_message(&e));
                if (regex_matches(r, rows[i].text) != rows[i].matches)
                        fail_msg("'%s' on '%s' is not %d", rows[i].pattern, rows[i].text, rows[i].matches);
                regex_free(r);
        }
}

static void test_expressions_that_are_refused(void **state)
{
        static const char *const patterns[] = {"(", "a)", "[a", "*", "a{2,1}", "(a)\\1", "(?=a)", "(?!a)",
                "(?<=a)", "(?<!a)", "(?>a)", "(?R)", "(?1)", "(?|a)", "(?#c)", "(*ACCEPT)", "a++", "a*+",
                "a?+", "a{1}+", "\\K", "\\Ga", "\\R", "\\X", "[\\R]", "\\Ca", "((a{100}){100}){100}",
                "([a-z]{1,30}){1,300}", "\\"};

        for (size_t i = 0; i < ELEMENTSOF(patterns); i++) {
                _cleanup_error_ struct error e = {};
                struct regex *r = NULL;

                if (regex_new(patterns[i], "the.field", &r, &e) >= 0)
                        fail_msg("'%s' is accepted", patterns[i]);
                if (!str_has_prefix(error_message(&e), "the.field"))
                        fail_msg("'%s' does not name the field", error_message(&e));
        }
}

static void test_large_expressions_are_refused(void **state)
{
        _cleanup_buffer_ struct buffer pattern = {};
        struct regex *r = NULL;

        for (size_t i = 0; i < 5000; i++)
                buffer_puts(&pattern, "a");
        assert_int_equal(regex_new(pattern.data, "f", &r, NULL), -E2BIG);
}

/* As many states as fit, over a long text: bounded work, whatever the answer. */
static void test_long_texts_cost_bounded_work(void **state)
{
        _cleanup_buffer_ struct buffer text = {};
        struct regex *r = NULL;

        for (size_t i = 0; i < 60000; i++)
                buffer_puts(&text, "a");
        assert_int_equal(regex_new("(a?){60}(a*)*[ab]*(a|aa)+b", "f", &r, NULL), 0);
        assert_false(regex_matches(r, text.data));
        regex_free(r);
        assert_int_equal(regex_new("a*", "f", &r, NULL), 0);
        assert_true(regex_matches(r, text.data));
        for (size_t i = 0; i < 6000; i++)
                buffer_puts(&text, "a");
        assert_false(regex_matches(r, text.data)); /* above 64 KiB nothing is looked at */
        regex_free(r);
}

/* ---- agents ---- */

struct place {
        struct master master;
        struct framework framework;
        struct agent agent;
        struct framework_ops ops;
        struct resources available;
};

static void *decode(const ProtobufCMessageDescriptor *d, const char *json)
{
        _cleanup_error_ struct error e = {};
        ProtobufCMessage *m = NULL;

        if (message_decode(CODEC_JSON, d, json, strlen(json), &m, &e) < 0)
                fail_msg("%s: %s", json, error_message(&e));
        return m;
}

static const char agent_json[] = "{\"hostname\": \"node7.example\", \"attributes\": ["
                                 "{\"name\": \"rack\", \"type\": \"TEXT\", \"text\": {\"value\": \"r2\"}},"
                                 "{\"name\": \"zone\", \"type\": \"TEXT\", \"text\": {\"value\": \"a\"}},"
                                 "{\"name\": \"zone\", \"type\": \"TEXT\", \"text\": {\"value\": \"b\"}},"
                                 "{\"name\": \"disks\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 3}}]}";

static void place_start(struct place *p)
{
        static char framework[] = "f", agent[] = "s";

        *p = (struct place){};
        p->master.stopping = true; /* nothing is scheduled: there is no loop */
        p->master.allocator = allocator_new(NULL);
        p->framework = (struct framework){.master = &p->master, .id = framework, .ops = &p->ops};
        p->framework.info =
                decode(&mete__v1__framework_info__descriptor, "{\"user\": \"u\", \"name\": \"n\"}");
        p->agent = (struct agent){.master = &p->master, .id = agent};
        p->agent.info = decode(&mete__v1__agent_info__descriptor, agent_json);
        HASH_ADD_KEYPTR(hh, p->master.frameworks, p->framework.id, strlen(framework), &p->framework);
        HASH_ADD_KEYPTR(hh, p->master.agents, p->agent.id, strlen(agent), &p->agent);
        assert_int_equal(resources_parse("cpus:2;mem:1024", &p->available, NULL), 0);
        resources_copy(&p->available, &p->agent.total);
}

static void place_stop(struct place *p)
{
        HASH_CLEAR(hh, p->master.frameworks);
        HASH_CLEAR(hh, p->master.agents);
        offer_constraints_free(p->framework.constraints);
        message_free(p->framework.info);
        message_free(p->agent.info);
        resources_done(&p->available);
        resources_done(&p->agent.total);
        allocator_free(p->master.allocator);
}

static bool qualifies(struct place *p, const char *role)
{
        return offer_qualifies(&p->master, "f", role, "s", &p->available);
}

static int set(struct place *p, const char *json, struct error *e)
{
        Mete__V1__Scheduler__OfferConstraints *c =
                decode(&mete__v1__scheduler__offer_constraints__descriptor, json);
        int r = framework_set_constraints(&p->framework, c, e);

        message_free(c);
        return r;
}

#define GROUPS(groups) "{\"role_constraints\": {\"r\": {\"groups\": [" groups "]}}}"
#define GROUP(constraints) "{\"attribute_constraints\": [" constraints "]}"
#define NAMED(name, predicate)                                                                               \
        "{\"selector\": {\"attribute_name\": \"" name "\"}, \"predicate\": {" predicate "}}"
#define PSEUDO(type, predicate)                                                                              \
        "{\"selector\": {\"pseudoattribute_type\": \"" type "\"}, \"predicate\": {" predicate "}}"
#define ONE(constraint) GROUPS(GROUP(constraint))
#define EXISTS "\"exists\": {}"
#define NOT_EXISTS "\"not_exists\": {}"
#define EQUALS(v) "\"text_equals\": {\"value\": \"" v "\"}"
#define NOT_EQUALS(v) "\"text_not_equals\": {\"value\": \"" v "\"}"
#define MATCHES(v) "\"text_matches\": {\"regex\": \"" v "\"}"
#define NOT_MATCHES(v) "\"text_not_matches\": {\"regex\": \"" v "\"}"

static void test_predicates(void **state)
{
        static const struct {
                const char *constraints;
                bool qualifies;
        } rows[] = {
                {ONE(NAMED("rack", EXISTS)), true},
                {ONE(NAMED("rack", NOT_EXISTS)), false},
                {ONE(NAMED("rack", EQUALS("r2"))), true},
                {ONE(NAMED("rack", EQUALS("r"))), false},
                {ONE(NAMED("rack", NOT_EQUALS("r2"))), false},
                {ONE(NAMED("rack", NOT_EQUALS("r"))), true},
                {ONE(NAMED("rack", MATCHES("r[1-3]"))), true},
                {ONE(NAMED("rack", MATCHES("r"))), false},
                {ONE(NAMED("rack", NOT_MATCHES("r[1-3]"))), false},
                {ONE(NAMED("rack", NOT_MATCHES("r"))), true},
                /* there is none */
                {ONE(NAMED("none", EXISTS)), false},
                {ONE(NAMED("none", NOT_EXISTS)), true},
                {ONE(NAMED("none", EQUALS("r2"))), false},
                {ONE(NAMED("none", NOT_EQUALS("r2"))), true},
                {ONE(NAMED("none", MATCHES(".*"))), false},
                {ONE(NAMED("none", NOT_MATCHES(".*"))), true},
                /* several: one is enough */
                {ONE(NAMED("zone", EQUALS("b"))), true},
                {ONE(NAMED("zone", EQUALS("c"))), false},
                /* no text: left to the framework */
                {ONE(NAMED("disks", EXISTS)), true},
                {ONE(NAMED("disks", NOT_EXISTS)), false},
                {ONE(NAMED("disks", EQUALS("4"))), true},
                {ONE(NAMED("disks", NOT_MATCHES(".*"))), true},
                {ONE(PSEUDO("HOSTNAME", EQUALS("node7.example"))), true},
                {ONE(PSEUDO("HOSTNAME", MATCHES("node[0-9]+"))), false},
                {ONE(PSEUDO("HOSTNAME", MATCHES("node[0-9]+\\\\..*"))), true},
                {ONE(PSEUDO("HOSTNAME", NOT_EXISTS)), false},
                {ONE(PSEUDO("REGION", EXISTS)), false},
                {ONE(PSEUDO("ZONE", NOT_EXISTS)), true},
                {ONE(PSEUDO("ZONE", MATCHES(".*"))), false},
                /* inside AND, groups OR */
                {ONE(NAMED("rack", EXISTS) "," NAMED("none", EXISTS)), false},
                {ONE(NAMED("rack", EXISTS) "," NAMED("zone", EXISTS)), true},
                {GROUPS(GROUP(NAMED("none", EXISTS)) "," GROUP(NAMED("rack", EXISTS))), true},
                {GROUPS(GROUP(NAMED("none", EXISTS)) "," GROUP(NAMED("rack", EQUALS("x")))), false},
                {"{}", true},
        };
        struct place p;

        place_start(&p);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_error_ struct error e = {};

                if (set(&p, rows[i].constraints, &e) < 0)
                        fail_msg("%s: %s", rows[i].constraints, error_message(&e));
                if (qualifies(&p, "r") != rows[i].qualifies)
                        fail_msg("%s is not %d", rows[i].constraints, rows[i].qualifies);
                assert_true(qualifies(&p, "other"));
        }
        place_stop(&p);
}

static void test_constraints_that_are_refused(void **state)
{
        static const struct {
                const char *constraints, *field;
        } rows[] = {
                {ONE("{\"selector\": {}, \"predicate\": {" EXISTS "}}"),
                        "role_constraints.r.groups[0].attribute_constraints[0].selector"},
                {ONE(PSEUDO("UNKNOWN", EXISTS)), "attribute_constraints[0].selector"},
                {ONE(NAMED("a", "")), "attribute_constraints[0].predicate"},
                {ONE(NAMED("a", EXISTS) "," NAMED("a", MATCHES("("))), "attribute_constraints[1].predicate"},
                {ONE(NAMED("a", NOT_MATCHES("(?=a)"))), "attribute_constraints[0].predicate"},
                {ONE(""), "groups[0].attribute_constraints"},
                {GROUPS(""), "role_constraints.r.groups"},
        };
        struct place p;

        place_start(&p);
        assert_int_equal(set(&p, ONE(NAMED("none", EXISTS)), NULL), 0);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_error_ struct error e = {};

                if (set(&p, rows[i].constraints, &e) >= 0)
                        fail_msg("%s is accepted", rows[i].constraints);
                if (!strstr(error_message(&e), rows[i].field))
                        fail_msg("%s: '%s' does not name %s", rows[i].constraints, error_message(&e),
                                rows[i].field);
                assert_false(qualifies(&p, "r")); /* what was there stays */
        }
        assert_int_equal(framework_set_constraints(&p.framework, NULL, NULL), 0);
        assert_true(qualifies(&p, "r"));
        place_stop(&p);
}

static void test_too_many_constraints_are_refused(void **state)
{
        _cleanup_buffer_ struct buffer json = {};
        struct place p;

        buffer_puts(&json, "{\"role_constraints\": {\"r\": {\"groups\": [");
        for (size_t i = 0; i < 1001; i++)
                buffer_puts(&json, i ? "," GROUP(NAMED("a", EXISTS)) : GROUP(NAMED("a", EXISTS)));
        buffer_puts(&json, "]}}}");
        place_start(&p);
        assert_int_equal(set(&p, json.data, NULL), -E2BIG);
        place_stop(&p);
}

static void test_gpus_are_for_those_who_ask(void **state)
{
        struct place p;

        place_start(&p);
        resources_set_scalar(&p.agent.total, "gpus", 1000);
        assert_false(qualifies(&p, "r"));
        p.framework.capabilities = 1u << METE__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__GPU_RESOURCES;
        assert_true(qualifies(&p, "r"));
        p.framework.capabilities = 0;
        p.master.queue_framework = &p.framework;
        assert_true(qualifies(&p, "r"));
        place_stop(&p);
}

static Mete__V1__DomainInfo *domain(const char *text)
{
        Mete__V1__DomainInfo *d = NULL;

        assert_int_equal(domain_parse(text, "--domain", &d, NULL), 0);
        return d;
}

static void test_other_regions_are_for_those_who_know_of_them(void **state)
{
        struct framework other = {};
        struct place p;

        place_start(&p);
        p.master.queue_framework = &other;
        p.agent.info->domain = domain("us/a");
        assert_true(qualifies(&p, "r")); /* the master does not say where it is */
        p.master.domain = domain("eu/a");
        assert_false(qualifies(&p, "r"));
        p.framework.capabilities = 1u << METE__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__REGION_AWARE;
        assert_true(qualifies(&p, "r"));
        p.framework.capabilities = 0;
        p.master.queue_framework = &p.framework;
        assert_true(qualifies(&p, "r"));
        p.master.queue_framework = &other;
        message_free(p.agent.info->domain);
        p.agent.info->domain = domain("eu/b");
        assert_true(qualifies(&p, "r"));
        message_free(TAKE_PTR(p.agent.info->domain));
        assert_true(qualifies(&p, "r")); /* the agent does not */
        message_free(p.master.domain);
        place_stop(&p);
}

#define SMALLEST(quantities)                                                                                 \
        "{\"user\": \"u\", \"name\": \"n\", \"offer_filters\": {\"r\": {\"min_allocatable_resources\":"      \
        " {\"quantities\": [" quantities "]}}}}"
#define QUANTITY(cpus, mem)                                                                                  \
        "{\"quantities\": {\"cpus\": {\"value\": " cpus "}, \"mem\": {\"value\": " mem "}}}"

static void test_smallest_offers(void **state)
{
        static const struct {
                const char *info;
                bool qualifies;
        } rows[] = {
                {SMALLEST(QUANTITY("2", "1024")), true},
                {SMALLEST(QUANTITY("2.001", "1")), false},
                {SMALLEST(QUANTITY("1", "1025")), false},
                {SMALLEST(QUANTITY("3", "1") "," QUANTITY("1", "64")), true},
                {SMALLEST("{\"quantities\": {\"gpus\": {\"value\": 1}}}"), false},
                {SMALLEST("{}"), true},
                {SMALLEST(""), true},
        };
        struct place p;

        place_start(&p);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                message_free(p.framework.info);
                p.framework.info = decode(&mete__v1__framework_info__descriptor, rows[i].info);
                if (qualifies(&p, "r") != rows[i].qualifies)
                        fail_msg("%s is not %d", rows[i].info, rows[i].qualifies);
                assert_true(qualifies(&p, "other"));
        }
        place_stop(&p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_expressions_match_whole_texts),
                cmocka_unit_test(test_expressions_that_are_refused),
                cmocka_unit_test(test_large_expressions_are_refused),
                cmocka_unit_test(test_long_texts_cost_bounded_work),
                cmocka_unit_test(test_predicates),
                cmocka_unit_test(test_constraints_that_are_refused),
                cmocka_unit_test(test_too_many_constraints_are_refused),
                cmocka_unit_test(test_gpus_are_for_those_who_ask),
                cmocka_unit_test(test_other_regions_are_for_those_who_know_of_them),
                cmocka_unit_test(test_smallest_offers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
