#include "agent/status_message.h"

#include "agent/checks/task_watch.h"

#include <stdlib.h>

#include "lib/net/codec.h"

#define NEW_MESSAGE(type, init)                                                                              \
        ({                                                                                                   \
                type *_m = NEW0(type);                                                                       \
                init(_m);                                                                                    \
                _m;                                                                                          \
        })

static double seconds(uint64_t wall_ns)
{
        return wall_seconds((struct wall_time){wall_ns});
}

static Mete__V1__FrameworkID *framework_id(const char *value)
{
        Mete__V1__FrameworkID *id = NEW_MESSAGE(Mete__V1__FrameworkID, mete__v1__framework_id__init);

        id->value = xstrdup(value);
        return id;
}

static Mete__V1__TaskStatus *task_status(
        const char *task_id, const char *agent_id, Mete__V1__TaskState state, const char *message)
{
        Mete__V1__TaskStatus *s = NEW_MESSAGE(Mete__V1__TaskStatus, mete__v1__task_status__init);

        s->task_id = NEW_MESSAGE(Mete__V1__TaskID, mete__v1__task_id__init);
        s->task_id->value = xstrdup(task_id);
        s->state = state;
        s->message = xstrdup(message);
        s->has_timestamp = true;
        s->timestamp = wall_seconds(wall_now());
        s->has_source = true;
        s->source = METE__V1__TASK_STATUS__SOURCE__SOURCE_AGENT;
        if (agent_id) {
                s->agent_id = NEW_MESSAGE(Mete__V1__AgentID, mete__v1__agent_id__init);
                s->agent_id->value = xstrdup(agent_id);
        }
        return s;
}

/* The agent's address: a container has none of its own, or shares the host's. */
static void add_network(Mete__V1__ContainerStatus *s, const char *address)
{
        Mete__V1__NetworkInfo *n = NEW_MESSAGE(Mete__V1__NetworkInfo, mete__v1__network_info__init);
        Mete__V1__NetworkInfo__IPAddress *ip =
                NEW_MESSAGE(Mete__V1__NetworkInfo__IPAddress, mete__v1__network_info__ipaddress__init);

        ip->ip_address = xstrdup(address);
        n->ip_addresses = xcalloc(1, sizeof(*n->ip_addresses));
        n->ip_addresses[0] = ip;
        n->n_ip_addresses = 1;
        s->network_infos = xcalloc(1, sizeof(*s->network_infos));
        s->network_infos[0] = n;
        s->n_network_infos = 1;
}

void status_message_complete_container(Mete__V1__ContainerStatus *s, const struct agent_container *c)
{
        message_free(s->container_id);
        s->container_id = NEW_MESSAGE(Mete__V1__ContainerID, mete__v1__container_id__init);
        s->container_id->value = xstrdup(container_id(c));
        if (s->n_network_infos == 0)
                add_network(s, c->agent->options->address);
        if (c->record.init.pid > 0) {
                s->has_executor_pid = true;
                s->executor_pid = (uint32_t)c->record.init.pid;
        }
}

static Mete__V1__ContainerStatus *container_status(const struct agent_container *c)
{
        Mete__V1__ContainerStatus *s =
                NEW_MESSAGE(Mete__V1__ContainerStatus, mete__v1__container_status__init);

        status_message_complete_container(s, c);
        return s;
}

Mete__Agent__StatusUpdate *status_message_new(
        const struct agent_task *t, Mete__V1__TaskState state, const char *message)
{
        Mete__Agent__StatusUpdate *u =
                NEW_MESSAGE(Mete__Agent__StatusUpdate, mete__agent__status_update__init);
        Mete__V1__TaskStatus *s = task_status(task_id(t), t->info->agent_id->value, state, message);
        const struct agent_container *c = t->container;

        u->framework_id = framework_id(c->info->framework->id->value);
        u->status = s;
        s->container_status = container_status(c);
        task_watch_fill(t->watch, s);
        /* A command runs without an executor of the framework: as its stand-in Mesos names the task itself. */
        s->executor_id = NEW_MESSAGE(Mete__V1__ExecutorID, mete__v1__executor_id__init);
        s->executor_id->value = xstrdup(container_label(c));
        u->container_id = xstrdup(container_id(c));
        u->sandbox = xstrdup(c->info->sandbox);
        if (c->task && c->record.started_wall_ns) {
                u->has_started = true;
                u->started = seconds(c->record.started_wall_ns);
        }
        return u;
}

static Mete__V1__TaskResourceLimitation *memory_limitation(const struct agent_container *c)
{
        Mete__V1__TaskResourceLimitation *l =
                NEW_MESSAGE(Mete__V1__TaskResourceLimitation, mete__v1__task_resource_limitation__init);
        Mete__V1__Resource *r = NEW_MESSAGE(Mete__V1__Resource, mete__v1__resource__init);

        r->name = xstrdup("mem");
        r->type = METE__V1__VALUE__TYPE__SCALAR;
        r->scalar = NEW_MESSAGE(Mete__V1__Value__Scalar, mete__v1__value__scalar__init);
        r->scalar->value = (double)c->spec.memory_limit_bytes / (double)(1 << 20);
        l->resources = xcalloc(1, sizeof(*l->resources));
        l->resources[0] = r;
        l->n_resources = 1;
        return l;
}

Mete__Agent__StatusUpdate *status_message_terminal(const struct agent_task *t, const struct task_outcome *o)
{
        Mete__Agent__StatusUpdate *u = status_message_new(t, o->state, o->message);
        const struct agent_container *c = t->container;

        u->status->has_reason = o->has_reason;
        u->status->reason = o->reason;
        if (o->memory_limit_hit)
                u->status->limitation = memory_limitation(c);
        u->has_exit_code = o->has_exit_code;
        u->exit_code = o->exit_code;
        if (c->task)
                u->usage = usage_to_message(c);
        u->has_finished = true;
        u->finished = c->task && c->record.finished_wall_ns ? seconds(c->record.finished_wall_ns)
                                                            : wall_seconds(wall_now());
        return u;
}

Mete__Agent__StatusUpdate *status_message_unknown(
        const char *agent_id, const char *framework, const char *task_id)
{
        Mete__Agent__StatusUpdate *u =
                NEW_MESSAGE(Mete__Agent__StatusUpdate, mete__agent__status_update__init);

        u->framework_id = framework_id(framework);
        u->status = task_status(
                task_id, agent_id, METE__V1__TASK_STATE__TASK_LOST, "this agent knows no such task");
        u->status->has_reason = true;
        u->status->reason = METE__V1__TASK_STATUS__REASON__REASON_TASK_UNKNOWN;
        return u;
}

Mete__Agent__TaskReport *status_message_report(const struct agent_task *t)
{
        const struct agent_container *c = t->container;
        Mete__Agent__TaskReport *r = NEW_MESSAGE(Mete__Agent__TaskReport, mete__agent__task_report__init);

        r->framework_id = c->info->framework->id;
        r->task = (Mete__V1__TaskInfo *)t->info;
        r->state = task_latest_state(t);
        r->container_id = c->info->container_id;
        r->isolation = c->info->isolation;
        r->sandbox = c->info->sandbox;
        if (c->task)
                r->usage = usage_to_message(c);
        if (c->executor)
                r->executor_id = c->info->executor->executor_id;
        if (c->task && c->suspension.carried_out) {
                r->has_suspended = r->has_suspend_sequence = true;
                r->suspended = c->suspension.frozen;
                r->suspend_sequence = c->suspension.done_sequence;
        }
        if (status_stream_position(&t->updates, &r->update_state, &r->update_uuid))
                r->has_update_state = r->has_update_uuid = true;
        if (c->task && c->record.started_wall_ns) {
                r->has_started = true;
                r->started = seconds(c->record.started_wall_ns);
        }
        return r;
}

void status_message_report_free(Mete__Agent__TaskReport *r)
{
        message_free(r->usage);
        free(r);
}
