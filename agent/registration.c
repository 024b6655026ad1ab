#include "agent/registration.h"

#include <stdlib.h>
#include <string.h>

#include "agent/offered_resources.h"
#include "agent/status_message.h"
#include "lib/base/id.h"
#include "lib/base/log.h"
#include "lib/base/resources.h"
#include "lib/net/codec.h"
#include "proto/validate.h"

#define ATTRIBUTES_MAX 64

int registration_accept(struct agent *a, const char *agent_id, struct error *e)
{
        int r = id_validate(agent_id, "subscribed.agent_id", e);

        if (r < 0)
                return r;
        if (a->identity.agent_id && !str_equal(a->identity.agent_id, agent_id))
                log_warning("the master calls this agent %s now, it was %s", agent_id, a->identity.agent_id);
        return identity_set_agent_id(&a->identity, agent_id, e);
}

/* ---- attributes: each message is one allocation with what it points to ---- */

struct attribute {
        Mete__V1__Attribute message;
        Mete__V1__Value__Scalar scalar;
        Mete__V1__Value__Text text;
};

struct attributes {
        char *copy; /* names and values point into it */
        struct attribute items[ATTRIBUTES_MAX];
        Mete__V1__Attribute *list[ATTRIBUTES_MAX];
        size_t count;
};

static void attribute_fill(struct attribute *x, char *name, char *value)
{
        uint64_t milli;

        mete__v1__attribute__init(&x->message);
        mete__v1__value__scalar__init(&x->scalar);
        mete__v1__value__text__init(&x->text);
        x->message.name = name;
        if (parse_milli(value, RESOURCE_MILLI_MAX, &milli) == 0) {
                x->message.type = METE__V1__VALUE__TYPE__SCALAR;
                x->scalar.value = milli_to_double(milli);
                x->message.scalar = &x->scalar;
        } else {
                x->message.type = METE__V1__VALUE__TYPE__TEXT;
                x->text.value = value;
                x->message.text = &x->text;
        }
}

static int attributes_parse(const char *text, struct attributes *ret, struct error *e)
{
        char *save = NULL;

        ret->copy = xstrdup(text ? text : "");
        for (char *part = strtok_r(ret->copy, ";", &save); part; part = strtok_r(NULL, ";", &save)) {
                char *colon = strchr(part, ':');

                if (!colon || colon == part || !colon[1])
                        return error_set(e, -EINVAL,
                                "--attributes \"%s\": give NAME:VALUE pairs separated by ';'", part);
                if (ret->count == ATTRIBUTES_MAX)
                        return error_set(e, -E2BIG, "--attributes: more than %d", ATTRIBUTES_MAX);
                *colon = '\0';
                attribute_fill(&ret->items[ret->count], part, colon + 1);
                ret->list[ret->count] = &ret->items[ret->count].message;
                ret->count++;
        }
        return 0;
}

int registration_check_attributes(const char *text, struct error *e)
{
        struct attributes x = {0};
        int r = attributes_parse(text, &x, e);

        free(x.copy);
        return r;
}

/* ---- the call ---- */

static size_t add_reports(struct agent *a, Mete__Agent__TaskReport **list)
{
        struct agent_task *t, *tmp;
        size_t n = 0;

        HASH_ITER (hh, a->tasks, t, tmp)
                list[n++] = status_message_report(t);
        return n;
}

static int encode(struct agent *a, struct attributes *attributes, struct buffer *out, struct error *e)
{
        Mete__Agent__Call call = METE__AGENT__CALL__INIT;
        Mete__Agent__Call__Subscribe s = METE__AGENT__CALL__SUBSCRIBE__INIT;
        Mete__V1__AgentInfo info = METE__V1__AGENT_INFO__INIT;
        Mete__V1__AgentID id = METE__V1__AGENT_ID__INIT;
        _cleanup_resources_ struct resources offered = {0};

        if (offered_resources(a->options, &offered, e) < 0)
                return -EINVAL;

        info.hostname = a->options->hostname;
        info.has_port = true;
        info.port = (int32_t)a->options->port;
        resources_to_proto(&offered, NULL, /* with_role= */ true, &info.resources, &info.n_resources);
        info.n_attributes = attributes->count;
        info.attributes = attributes->list;
        id.value = a->identity.agent_id;
        if (id.value) {
                info.id = &id;
                call.agent_id = &id;
        }
        s.agent_info = &info;
        s.version = (char *)METE_VERSION;
        s.boot_id = a->boot_id;
        s.measurement = a->measurement;
        if (a->host.cgroups)
                s.cgroup_layout = (char *)cgroup_layout_to_string(cgroup_root_layout(a->host.cgroups));
        s.has_highest_epoch = true;
        s.highest_epoch = a->identity.highest_epoch;
        s.address = a->endpoint;
        s.tasks = xcalloc(HASH_COUNT(a->tasks) + 1, sizeof(*s.tasks));
        s.n_tasks = add_reports(a, s.tasks);
        call.type = METE__AGENT__CALL__TYPE__SUBSCRIBE;
        call.subscribe = &s;

        int r = message_encode(CODEC_PROTOBUF, &call.base, out);
        for (size_t i = 0; i < s.n_tasks; i++)
                status_message_report_free(s.tasks[i]);
        free(s.tasks);
        for (size_t i = 0; i < info.n_resources; i++)
                message_free(info.resources[i]);
        free(info.resources);
        return r < 0 ? error_set_errno(e, r, "cannot encode the registration") : 0;
}

int registration_encode(struct agent *a, struct buffer *out, struct error *e)
{
        struct attributes x = {0};

        int r = attributes_parse(a->options->attributes, &x, e);
        if (r == 0)
                r = encode(a, &x, out, e);
        free(x.copy);
        return r;
}
