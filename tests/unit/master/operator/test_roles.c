/* Weights and quotas: what is refused, what is forced with a warning, what the allocator hears and when, which offers make room. */

#include "tests/unit/master/fixture.h"

#include "master/operator/roles.h"

/* One agent with 4 cpus and 1024 MiB. */
static void start(struct fixture *x)
{
        fixture_start(x);
        join(x, NULL, 0);
}

static void done(int result, void *userdata)
{
        *(int *)userdata = result;
}

/* The call's message as JSON: { "role": ..., "quotas": [...] }. In effect when it is accepted. */
static int set_quota(struct fixture *x, const char *json, const char **ret_field, struct error *e)
{
        ProtobufCMessage *m;
        int result = 1, r;

        if (message_decode(CODEC_JSON, &mete__api__call__set_quota__descriptor, json, strlen(json), &m, e) <
                0)
                fail_msg("%s: %s", json, error_message(e));
        r = roles_set_quota(x->master->roles, (Mete__Api__Call__SetQuota *)m, done, &result, ret_field, e);
        message_free(m);
        if (r >= 0)
                WAIT_FOR(x, result != 1);
        return r < 0 ? r : result;
}

static void quota(struct fixture *x, const char *json)
{
        _cleanup_error_ struct error e = {};
        const char *field;

        if (set_quota(x, json, &field, &e) < 0)
                fail_msg("%s: %s", json, error_message(&e));
}

static void refused(struct fixture *x, int want, const char *json, const char *field, const char *says)
{
        _cleanup_error_ struct error e = {};
        const char *got;
        int r = set_quota(x, json, &got, &e);

        if (r != want || !str_equal(got, field) || !strstr(error_message(&e), says))
                fail_msg("%s: %d, %s: %s", json, r, got, error_message(&e));
}

#define GUARANTEE(role, cpus)                                                                                \
        "{\"role\": \"" role "\", \"quotas\": [{\"resource\": \"cpus\", \"guarantee\": " cpus "}]}"
#define LIMIT(role, cpus)                                                                                    \
        "{\"role\": \"" role "\", \"quotas\": [{\"resource\": \"cpus\", \"limit\": " cpus "}]}"
#define BOTH(role, guarantee, limit)                                                                         \
        "{\"role\": \"" role "\", \"quotas\": [{\"resource\": \"cpus\", \"guarantee\": " guarantee           \
        ", \"limit\": " limit "}]}"
#define FORCED(role, cpus)                                                                                   \
        "{\"role\": \"" role                                                                                 \
        "\", \"force\": true, \"quotas\": [{\"resource\": \"cpus\", \"guarantee\": " cpus "}]}"

static const struct allocator_quota *quota_of(const struct fixture *x, const char *role)
{
        static struct allocator_quota copy;
        struct allocator_role_view view;

        if (!allocator_role(x->master->allocator, role, &view) || view.quota_count == 0)
                return NULL;
        copy = view.quotas[0];
        return &copy;
}

static uint64_t weight_of(const struct fixture *x, const char *role)
{
        struct allocator_role_view view;

        return allocator_role(x->master->allocator, role, &view) ? view.weight_milli : 1000;
}

static bool warns(const struct fixture *x, const char *role, const char *says)
{
        struct role_sentences *sentences = role_sentences_new(x->master->roles);
        struct string_list l = {};
        bool found = false;

        role_sentences_add(sentences, role, &l);
        role_sentences_free(sentences);
        for (size_t i = 0; i < l.count; i++)
                found = found || strstr(l.items[i], says);
        string_list_done(&l);
        return found;
}

/* ---- refusals ---- */

static void test_what_is_wrong_in_itself(void **state)
{
        struct fixture x = {};

        start(&x);
        refused(&x, -EINVAL, GUARANTEE("a//b", "1"), "role", "empty component");
        refused(&x, -EINVAL, GUARANTEE("*", "1"), "role", "another role is expected");
        refused(&x, -EINVAL, GUARANTEE("a", "-1"), "quotas", "cpus: a guarantee of -1 is not accepted");
        refused(&x, -EINVAL, LIMIT("a", "1e300"), "quotas", "a limit of 1e+300 is not accepted");
        refused(&x, -EINVAL, BOTH("a", "2", "1"), "quotas", "the limit 1 is below the guarantee 2");
        refused(&x, -EINVAL, "{\"role\": \"a\", \"quotas\": [{\"resource\": \"c;\", \"limit\": 1}]}",
                "quotas", "'c;' is no name of a resource");
        refused(&x, -EINVAL, "{\"role\": \"a\", \"quotas\": [{\"resource\": \"ports\", \"limit\": 1}]}",
                "quotas", "ports are no amount");
        refused(&x, -EINVAL, "{\"role\": \"a\", \"quotas\": [{\"resource\": \"cpus\"}]}", "quotas",
                "neither a guarantee nor a limit");
        refused(&x, -EINVAL,
                "{\"role\": \"a\", \"force\": true, \"quotas\": [{\"resource\": \"cpus\", \"limit\": 1},"
                " {\"resource\": \"cpus\", \"limit\": 2}]}",
                "quotas", "cpus is named twice");
        assert_null(roles_find(x.master->roles, "a"));
        fixture_stop(&x);
}

static void test_what_cannot_hold(void **state)
{
        struct fixture x = {};

        start(&x);
        quota(&x, GUARANTEE("a", "3"));
        refused(&x, -EBUSY, GUARANTEE("b", "2"), "quotas",
                "the guarantees of all roles are 5 cpus, the cluster has 4 cpus");
        refused(&x, -EBUSY, GUARANTEE("a/b", "3.5"), "quotas",
                "the guarantees of the roles below 'a' are 3.5 cpus, its own is 3 cpus");
        quota(&x, LIMIT("l", "1"));
        refused(&x, -EBUSY, GUARANTEE("l/m/n", "1.5"), "quotas",
                "the guarantees within 'l' are 1.5 cpus, its limit is 1 cpus");
        quota(&x, GUARANTEE("p/q", "1"));
        refused(&x, -EBUSY, LIMIT("p", "0.5"), "quotas",
                "the guarantees within 'p' are 1 cpus, its limit is 0.5 cpus");
        refused(&x, -EBUSY, "{\"role\": \"d\", \"quotas\": [{\"resource\": \"mem\", \"guarantee\": 2000}]}",
                "quotas", "are 2000 MiB of mem, the cluster has 1024 MiB of mem: --force");
        fixture_stop(&x);
}

static void test_a_limit_below_what_is_in_use(void **state)
{
        struct fixture x = {};
        _cleanup_resources_ struct resources need = {};
        struct allocator_usage use;

        start(&x);
        use = (struct allocator_usage){x.f->id, "r/s", &need};
        resources_set_scalar(&need, "cpus", 2000);
        assert_int_equal(allocator_allocate(x.master->allocator, x.agent_id, &use), 0);
        refused(&x, -EBUSY, LIMIT("r", "1"), "quotas", "the limit of 'r' is 1 cpus, and 2 cpus are in use");
        quota(&x, LIMIT("r", "2"));
        assert_false(warns(&x, "r", "in use"));
        quota(&x, "{\"role\": \"r\", \"force\": true, \"quotas\": [{\"resource\": \"cpus\", \"limit\": 1}]}");
        assert_true(warns(&x, "r", "the limit of 'r' is 1 cpus, and 2 cpus are in use"));
        fixture_stop(&x);
}

static void test_force_leaves_a_warning(void **state)
{
        struct fixture x = {};

        start(&x);
        quota(&x, FORCED("a", "12"));
        assert_int_equal(quota_of(&x, "a")->guarantee_milli, 12000);
        assert_true(warns(&x, "a", "the guarantees of all roles are 12 cpus, the cluster has 4 cpus"));
        assert_false(warns(&x, "b", "guarantees"));
        quota(&x, GUARANTEE("a", "11")); /* less is always welcome */
        refused(&x, -EBUSY, GUARANTEE("a", "11.5"), "quotas", "11.5 cpus");
        fixture_stop(&x);
}

/* ---- effect ---- */

static void test_a_quota_takes_effect_and_is_kept(void **state)
{
        struct fixture x = {};

        start(&x);
        quota(&x, BOTH("a/b", "1.5", "3"));
        assert_int_equal(quota_of(&x, "a/b")->guarantee_milli, 1500);
        assert_int_equal(quota_of(&x, "a/b")->limit_milli, 3000);
        begin_again(&x);
        assert_int_equal(quota_of(&x, "a/b")->guarantee_milli, 1500);
        assert_int_equal(quota_of(&x, "a/b")->limit_milli, 3000);
        join(&x, NULL, 0);
        quota(&x, LIMIT("a/b", "2"));
        assert_int_equal(quota_of(&x, "a/b")->guarantee_milli, 0);
        begin_again(&x);
        assert_int_equal(quota_of(&x, "a/b")->limit_milli, 2000);
        quota(&x, "{\"role\": \"a/b\"}");
        assert_null(quota_of(&x, "a/b"));
        begin_again(&x);
        assert_null(quota_of(&x, "a/b"));
        assert_null(roles_find(x.master->roles, "a/b"));
        assert_false(roles_have_quotas(x.master->roles));
        fixture_stop(&x);
}

static int set_weight(struct fixture *x, const char *role, double weight)
{
        const char *field;
        int result = 1;
        int r = roles_set_weight(x->master->roles, role, weight, done, &result, &field, NULL);

        if (r >= 0)
                WAIT_FOR(x, result != 1);
        return r < 0 ? r : result;
}

static void test_weights(void **state)
{
        const double none[] = {0, -1, 0.0001, 1e7, __builtin_nan(""), __builtin_inf()};
        struct fixture x = {};

        start(&x);
        for (size_t i = 0; i < ELEMENTSOF(none); i++)
                assert_int_equal(set_weight(&x, "a", none[i]), -EINVAL);
        assert_int_equal(set_weight(&x, "a/", 2), -EINVAL);
        assert_int_equal(weight_of(&x, "a"), 1000);
        assert_int_equal(set_weight(&x, "a", 2.5), 0);
        assert_int_equal(set_weight(&x, "*", 0.001), 0);
        assert_int_equal(weight_of(&x, "a"), 2500);
        quota(&x, GUARANTEE("a", "1"));
        begin_again(&x);
        assert_int_equal(weight_of(&x, "a"), 2500);
        assert_int_equal(weight_of(&x, "*"), 1);
        assert_int_equal(set_weight(&x, "a", 1), 0);
        assert_non_null(roles_find(x.master->roles, "a")); /* its quota is left */
        quota(&x, "{\"role\": \"a\"}");
        assert_null(roles_find(x.master->roles, "a"));
        fixture_stop(&x);
}

/* ---- offers in the way ---- */

static void keep_offer(struct framework *f, struct offer *o)
{
}

static void note_rescind(struct framework *f, struct offer *o)
{
        struct fixture *x = f->userdata;

        (void)snprintf(x->message, sizeof(x->message), "%s", o->role);
}

/* The framework holds an offer of all that there is, in this role. */
static void hold_offer(struct fixture *x, struct framework_ops *ops, const char *role)
{
        *ops = note_ops;
        ops->offer = keep_offer;
        ops->rescind = note_rescind;
        x->f->ops = ops;
        assert_int_equal(allocator_set_framework_roles(x->master->allocator, x->f->id, &role, 1), 0);
        assert_int_equal(allocator_revive(x->master->allocator, x->f->id, NULL), 0);
        offers_schedule(x->master);
        WAIT_FOR(x, x->master->offers);
        allocator_suppress(x->master->allocator, x->f->id, NULL);
        x->message[0] = 0;
}

static void test_offers_make_room_for_a_guarantee(void **state)
{
        struct framework_ops ops;
        struct fixture x = {};

        start(&x);
        hold_offer(&x, &ops, "idle");
        quota(&x, LIMIT("other", "1"));
        assert_non_null(x.master->offers);
        quota(&x, GUARANTEE("idle/sub",
                          "1")); /* cannot be served out of itself, nor may it keep what is there */
        assert_string_equal(x.message, "idle");
        assert_null(x.master->offers);
        fixture_stop(&x);
}

static void test_offers_that_serve_a_guarantee_stay(void **state)
{
        struct framework_ops ops;
        struct fixture x = {};

        start(&x);
        quota(&x, GUARANTEE("served", "3"));
        hold_offer(&x, &ops, "served");
        quota(&x, FORCED("late", "2"));
        assert_non_null(x.master->offers);
        quota(&x, FORCED("served", "0"));
        assert_non_null(x.master->offers);
        quota(&x, GUARANTEE("third", "1")); /* nothing holds it there any more */
        assert_null(x.master->offers);
        fixture_stop(&x);
}

static void test_offers_above_a_new_limit_go(void **state)
{
        struct framework_ops ops;
        struct fixture x = {};

        start(&x);
        hold_offer(&x, &ops, "r/s");
        quota(&x, LIMIT("r", "4"));
        assert_non_null(x.master->offers);
        quota(&x, LIMIT("r", "3")); /* an offer is not in use */
        assert_string_equal(x.message, "r/s");
        assert_null(x.master->offers);
        fixture_stop(&x);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_is_wrong_in_itself),
                cmocka_unit_test(test_what_cannot_hold),
                cmocka_unit_test(test_a_limit_below_what_is_in_use),
                cmocka_unit_test(test_force_leaves_a_warning),
                cmocka_unit_test(test_a_quota_takes_effect_and_is_kept),
                cmocka_unit_test(test_weights),
                cmocka_unit_test(test_offers_make_room_for_a_guarantee),
                cmocka_unit_test(test_offers_that_serve_a_guarantee_stay),
                cmocka_unit_test(test_offers_above_a_new_limit_go),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
