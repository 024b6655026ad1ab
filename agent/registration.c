#include "agent/registration.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/executors/executors.h"
#include "agent/offered_resources.h"
#include "agent/status_message.h"
#include "lib/base/id.h"
#include "lib/base/log.h"
#include "lib/base/resources.h"
#include "lib/net/codec.h"
#include "proto/domain.h"
#include "proto/validate.h"

#define ATTRIBUTES_MAX 64

/* "slaves/latest", as tools look for it: beside the directories of ids that this agent had before. */
static void link_latest(const struct agent *a, const char *agent_id)
{
        char target[ID_LENGTH_MAX + 1];
        ssize_t n = readlinkat(a->work_fd, "slaves/latest", target, sizeof(target));

        if (n == (ssize_t)strlen(agent_id) && memcmp(target, agent_id, (size_t)n) == 0)
                return;
        (void)unlinkat(a->work_fd, "slaves/latest", 0);
        if (mkdir_parents_at(a->work_fd, "slaves", 0755) < 0 ||
                symlinkat(agent_id, a->work_fd, "slaves/latest") < 0)
                log_debug("cannot make the link slaves/latest: %s", strerror(errno));
}

int registration_accept(struct agent *a, const char *agent_id, struct error *e)
{
        int r = id_validate(agent_id, "subscribed.agent_id", e);

        if (r < 0)
                return r;
        if (a->identity.agent_id && !str_equal(a->identity.agent_id, agent_id))
                log_warning("the master calls this agent %s now, it was %s", agent_id, a->identity.agent_id);
        r = identity_set_agent_id(&a->identity, agent_id, e);
        if (r == 0)
                link_latest(a, agent_id);
        return r;
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

/* ---- who we are ---- */

static Mete__V1__AgentInfo *describe(
        const struct agent *a, const struct attributes *attributes, const struct resources *offered)
{
        Mete__V1__AgentInfo *borrowed = &(Mete__V1__AgentInfo)METE__V1__AGENT_INFO__INIT;
        Mete__V1__AgentID id = METE__V1__AGENT_ID__INIT;

        borrowed->hostname = a->options->hostname;
        borrowed->has_port = true;
        borrowed->port = (int32_t)a->options->port;
        borrowed->n_attributes = attributes->count;
        borrowed->attributes = (Mete__V1__Attribute **)attributes->list;
        if (a->options->domain && domain_parse(a->options->domain, "--domain", &borrowed->domain, NULL) < 0)
                log_warning("the fault domain is left out: it is not legal"); /* checked at start */
        id.value = a->identity.agent_id;
        borrowed->id = id.value ? &id : NULL;
        Mete__V1__AgentInfo *info = message_copy(borrowed);
        message_free(borrowed->domain);
        resources_to_proto(offered, NULL, /* with_role= */ true, &info->resources, &info->n_resources);
        return info;
}

Mete__V1__AgentInfo *registration_agent_info(const struct agent *a, struct error *e)
{
        _cleanup_resources_ struct resources offered = {0};
        Mete__V1__AgentInfo *info = NULL;
        struct attributes x = {0};

        if (attributes_parse(a->options->attributes, &x, e) == 0 &&
                offered_resources(a->options, &offered, e) == 0)
                info = describe(a, &x, &offered);
        free(x.copy);
        return info;
}

/* ---- what runs here: everything is borrowed from the tables ---- */

struct reports {
        Mete__Agent__TaskReport **tasks;
        Mete__Agent__ExecutorReport *executors;
        Mete__Agent__ExecutorReport **executor_list;
        Mete__V1__FrameworkInfo **frameworks;
        Mete__Agent__FrameworkOwner *owners; /* one each */
        Mete__Agent__FrameworkOwner **owner_list;
        size_t task_count, executor_count, framework_count;
};

static void reports_done(struct reports *r)
{
        for (size_t i = 0; i < r->task_count; i++)
                status_message_report_free(r->tasks[i]);
        free(r->tasks);
        free(r->executors);
        free(r->executor_list);
        free(r->frameworks);
        free(r->owners);
        free(r->owner_list);
}

static bool same_owner(const Mete__Agent__FrameworkOwner *o, const Mete__Api__Isolation *i)
{
        bool has_uid = i && i->has_path_uid;

        return o->has_uid == has_uid && (!has_uid || o->uid == i->path_uid);
}

static void add_framework(
        struct reports *r, Mete__V1__FrameworkInfo *info, const Mete__Api__Isolation *isolation)
{
        Mete__Agent__FrameworkOwner *o;

        for (size_t i = 0; i < r->framework_count; i++) {
                if (!str_equal(r->frameworks[i]->id->value, info->id->value))
                        continue;
                if (!same_owner(&r->owners[i], isolation))
                        r->owners[i].has_uid =
                                false; /* it changed hands: whose it was at first may not be enough */
                return;
        }
        o = &r->owners[r->framework_count];
        mete__agent__framework_owner__init(o);
        o->framework_id = info->id;
        o->has_uid = isolation && isolation->has_path_uid;
        o->uid = o->has_uid ? isolation->path_uid : 0;
        r->owner_list[r->framework_count] = o;
        r->frameworks[r->framework_count++] = info;
}

static void add_executor(struct reports *r, const struct agent_executor *x)
{
        Mete__Agent__ExecutorReport *m = &r->executors[r->executor_count];

        mete__agent__executor_report__init(m);
        m->framework_id = x->container->info->framework->id;
        m->executor = x->container->info->executor;
        m->container_id = x->container->info->container_id;
        r->executor_list[r->executor_count++] = m;
}

static void fill_reports(struct agent *a, struct reports *r)
{
        struct agent_executor *x, *next_executor;
        struct agent_container *c, *next;
        struct agent_task *t, *next_task;

        r->tasks = xcalloc(HASH_COUNT(a->tasks) + 1, sizeof(*r->tasks));
        r->executors = xcalloc(HASH_COUNT(a->executors) + 1, sizeof(*r->executors));
        r->executor_list = xcalloc(HASH_COUNT(a->executors) + 1, sizeof(*r->executor_list));
        r->frameworks = xcalloc(HASH_COUNT(a->containers) + 1, sizeof(*r->frameworks));
        r->owners = xcalloc(HASH_COUNT(a->containers) + 1, sizeof(*r->owners));
        r->owner_list = xcalloc(HASH_COUNT(a->containers) + 1, sizeof(*r->owner_list));
        HASH_ITER (hh, a->tasks, t, next_task)
                if (!t->container->silent)
                        r->tasks[r->task_count++] = status_message_report(t);
        HASH_ITER (hh, a->executors, x, next_executor)
                if (!x->container->silent)
                        add_executor(r, x);
        HASH_ITER (hh, a->containers, c, next)
                if (!c->silent)
                        add_framework(r, c->info->framework, c->info->isolation);
}

/* ---- the call ---- */

/* What of Mesos' agents this one does; frameworks and tools look at it. */
static const Mete__V1__AgentInfo__Capability__Type capabilities[] = {
        METE__V1__AGENT_INFO__CAPABILITY__TYPE__MULTI_ROLE,
        METE__V1__AGENT_INFO__CAPABILITY__TYPE__HIERARCHICAL_ROLE,
        METE__V1__AGENT_INFO__CAPABILITY__TYPE__RESERVATION_REFINEMENT,
        METE__V1__AGENT_INFO__CAPABILITY__TYPE__AGENT_DRAINING,
        METE__V1__AGENT_INFO__CAPABILITY__TYPE__TASK_RESOURCE_LIMITS,
};

static int encode_call(struct agent *a, Mete__Agent__Call__Subscribe *s, struct buffer *out)
{
        Mete__Agent__Call call = METE__AGENT__CALL__INIT;
        Mete__V1__AgentInfo__Capability list[ELEMENTSOF(capabilities)];
        Mete__V1__AgentInfo__Capability *pointers[ELEMENTSOF(capabilities)];

        for (size_t i = 0; i < ELEMENTSOF(capabilities); i++) {
                mete__v1__agent_info__capability__init(&list[i]);
                list[i].has_type = true;
                list[i].type = capabilities[i];
                pointers[i] = &list[i];
        }
        s->n_capabilities = ELEMENTSOF(capabilities);
        s->capabilities = pointers;
        call.agent_id = s->agent_info->id;
        call.type = METE__AGENT__CALL__TYPE__SUBSCRIBE;
        call.subscribe = s;
        return message_encode(CODEC_PROTOBUF, &call.base, out);
}

int registration_encode(struct agent *a, struct buffer *out, struct error *e)
{
        Mete__Agent__Call__Subscribe s = METE__AGENT__CALL__SUBSCRIBE__INIT;
        CLEANUP(reports_done) struct reports reports = {0};

        s.agent_info = registration_agent_info(a, e);
        if (!s.agent_info)
                return -EINVAL;
        s.version = (char *)METE_VERSION;
        s.boot_id = a->boot_id;
        s.measurement = a->measurement;
        if (a->host.cgroups)
                s.cgroup_layout = (char *)cgroup_layout_to_string(cgroup_root_layout(a->host.cgroups));
        s.has_highest_epoch = true;
        s.highest_epoch = a->identity.highest_epoch;
        s.address = a->endpoint;
        fill_reports(a, &reports);
        s.tasks = reports.tasks;
        s.n_tasks = reports.task_count;
        s.executors = reports.executor_list;
        s.n_executors = reports.executor_count;
        s.frameworks = reports.frameworks;
        s.n_frameworks = reports.framework_count;
        s.owners = reports.owner_list;
        s.n_owners = reports.framework_count;
        int r = encode_call(a, &s, out);
        message_free(s.agent_info);
        return r < 0 ? error_set_errno(e, r, "cannot encode the registration") : 0;
}
