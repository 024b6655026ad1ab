/*
 * Weights and quotas that operators set on a master with an agent and a framework in "a/b": calls in JSON, a line each. After each the
 * books of the allocator are right, and what was refused has a sentence and the field that it is about.
 */
#include <event2/event.h>

#include "lib/base/role.h"
#include "master/operator/roles.h"
#include "tests/unit/master/scene.h"

#define INPUT_MAX 16384
#define CALLS_MAX 8
#define STEPS 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct scene scene;

static void start(void)
{
        scene_start_as(&scene,
                "{\"user\": \"u\", \"name\": \"n\", \"id\": {\"value\": \"f\"}, \"roles\": [\"a/b\"], "
                "\"capabilities\": [{\"type\": \"MULTI_ROLE\"}]}");
        scene.options.agent_ping_timeout_ns = 3600 * NSEC_PER_SEC;
        subscribe(&scene.c, NULL, 0);
}

static void stored(int result, void *userdata)
{
        if (result < 0)
                abort();
        (*(int *)userdata)--;
}

static void check(const char *role)
{
        struct role_sentences *x = role_sentences_new(scene.m->roles);
        struct string_list sentences = {};
        _cleanup_error_ struct error e = {};

        role_sentences_add(x, role, &sentences);
        role_sentences_free(x);
        string_list_done(&sentences);
        if (allocator_check(scene.m->allocator, &e) < 0)
                abort();
}

/* What is still to be answered is counted. */
static int set(const Mete__Api__Call *call, int *pending, const char **ret_field, struct error *e)
{
        struct roles *rs = scene.m->roles;

        (*pending)++;
        return call->set_quota ? roles_set_quota(rs, call->set_quota, stored, pending, ret_field, e)
                               : roles_set_weight(rs, call->set_weight->role, call->set_weight->weight,
                                         stored, pending, ret_field, e);
}

static void carry_out(const Mete__Api__Call *call)
{
        const char *role = call->set_quota    ? call->set_quota->role
                           : call->set_weight ? call->set_weight->role
                                              : NULL;
        _cleanup_error_ struct error e = {};
        const char *field = NULL;
        int pending = 0, r;

        if (!role)
                return;
        r = set(call, &pending, &field, &e);
        if ((r < 0) != (e.message != NULL) || (r < 0 && !field) ||
                (r >= 0 && role_validate(role, "role", NULL) < 0))
                abort();
        while (r >= 0 && pending > 0)
                (void)event_base_loop(loop_base(scene.c.loop), EVLOOP_ONCE);
        for (int i = 0; i < STEPS; i++)
                (void)event_base_loop(loop_base(scene.c.loop), EVLOOP_NONBLOCK);
        check(role);
}

/* The next input finds nothing of this one. */
static void undo(const Mete__Api__Call *call)
{
        static char all[] = "*";
        Mete__Api__Call__SetQuota quota = METE__API__CALL__SET_QUOTA__INIT;
        Mete__Api__Call__SetWeight weight = METE__API__CALL__SET_WEIGHT__INIT;
        Mete__Api__Call clear = METE__API__CALL__INIT;

        quota.role = weight.role = call->set_quota    ? call->set_quota->role
                                   : call->set_weight ? call->set_weight->role
                                                      : all;
        quota.has_force = quota.force = true;
        weight.weight = 1;
        if (role_validate(quota.role, "role", NULL) < 0)
                return;
        clear.set_quota = &quota;
        carry_out(&clear);
        clear.set_quota = NULL;
        clear.set_weight = &weight;
        carry_out(&clear);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *text = NULL;
        Mete__Api__Call *calls[CALLS_MAX];
        char *rest, *line;
        size_t n = 0;

        if (size > INPUT_MAX)
                return 0;
        if (!scene.m)
                start();
        text = xstrndup((const char *)data, size);
        rest = text;
        while (n < CALLS_MAX && (line = strsep(&rest, "\n"))) {
                ProtobufCMessage *m = NULL;

                if (message_decode(CODEC_JSON, &mete__api__call__descriptor, line, strlen(line), &m, NULL) <
                        0)
                        continue;
                calls[n] = (Mete__Api__Call *)m;
                carry_out(calls[n++]);
        }
        while (n > 0) {
                undo(calls[--n]);
                message_free(calls[n]);
        }
        string_list_done(&scene.offered);
        string_list_done(&scene.rescinded);
        return 0;
}
