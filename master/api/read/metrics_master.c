/* "master/...": resources, agents, frameworks, messages. */

#include "master/api/read/metrics.h"

/* ---- resources ---- */

static void metrics_of_resources(struct buffer *out, const struct master *m)
{
        static const char *const names[] = {"cpus", "gpus", "mem", "disk"};
        uint64_t total[ELEMENTSOF(names)] = {}, used[ELEMENTSOF(names)] = {};
        const struct agent *a, *next;

        HASH_ITER (hh, m->agents, a, next) {
                if (!agent_is_registered(a))
                        continue;
                for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                        total[i] += resources_scalar(&a->total, names[i]);
                        used[i] += resources_scalar(&a->booked, names[i]);
                }
        }
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                metric(out, milli_to_double(total[i]), "master/%s_total", names[i]);
                metric(out, milli_to_double(used[i]), "master/%s_used", names[i]);
                metric(out, total[i] > 0 ? (double)used[i] / (double)total[i] : 0, "master/%s_percent",
                        names[i]);
                /* Nothing is offered as revocable yet. */
                metric(out, 0, "master/%s_revocable_total", names[i]);
                metric(out, 0, "master/%s_revocable_used", names[i]);
                metric(out, 0, "master/%s_revocable_percent", names[i]);
        }
}

/* ---- agents and frameworks ---- */

static void metrics_of_agents(struct buffer *out, const struct master *m)
{
        const struct agent *a, *next;
        double connected = 0, disconnected = 0, active = 0, unreachable = 0;

        HASH_ITER (hh, m->agents, a, next) {
                connected += a->state == AGENT_ACTIVE;
                disconnected += a->state == AGENT_DISCONNECTED;
                active += agent_is_offered(a);
                unreachable += a->state == AGENT_UNREACHABLE;
        }
        metric(out, connected, "master/slaves_connected");
        metric(out, disconnected, "master/slaves_disconnected");
        metric(out, active, "master/slaves_active");
        metric(out, connected + disconnected - active, "master/slaves_inactive");
        metric(out, unreachable, "master/slaves_unreachable");
}

static void metrics_of_framework_states(struct buffer *out, const struct master *m)
{
        const struct framework *f, *next;
        double active = 0, others = 0;

        HASH_ITER (hh, m->frameworks, f, next) {
                active += f->state == FRAMEWORK_ACTIVE;
                others += f->state != FRAMEWORK_ACTIVE;
        }
        metric(out, active, "master/frameworks_connected");
        metric(out, others, "master/frameworks_disconnected");
        metric(out, active, "master/frameworks_active");
        metric(out, others, "master/frameworks_inactive");
}

/* ---- counters ---- */

#define COUNTER(member, n)                                                                                   \
        {                                                                                                    \
                "master/" n, offsetof(struct master_counters, member)                                        \
        }
#define CALL(type, n) COUNTER(all.calls[METE__V1__SCHEDULER__CALL__TYPE__##type], n)
#define AGENT_CALL(type, n) COUNTER(agent_calls[METE__AGENT__CALL__TYPE__##type], n)

static const struct {
        const char *name;
        size_t offset;
} counters[] = {
        CALL(TEARDOWN, "messages_unregister_framework"),
        CALL(ACCEPT, "messages_launch_tasks"),
        CALL(DECLINE, "messages_decline_offers"),
        CALL(REVIVE, "messages_revive_offers"),
        CALL(SUPPRESS, "messages_suppress_offers"),
        CALL(KILL, "messages_kill_task"),
        CALL(ACKNOWLEDGE, "messages_status_update_acknowledgement"),
        CALL(ACKNOWLEDGE_OPERATION_STATUS, "messages_operation_status_update_acknowledgement"),
        CALL(RECONCILE, "messages_reconcile_tasks"),
        CALL(RECONCILE_OPERATIONS, "messages_reconcile_operations"),
        CALL(MESSAGE, "messages_framework_to_executor"),
        CALL(REQUEST, "messages_resource_request"),
        COUNTER(framework_resubscriptions, "messages_reregister_framework"),
        AGENT_CALL(UPDATE, "messages_status_update"),
        AGENT_CALL(UNREGISTER, "messages_unregister_slave"),
        AGENT_CALL(MESSAGE, "messages_executor_to_framework"),
        AGENT_CALL(EXECUTOR_EXITED, "messages_exited_executor"),
        COUNTER(agent_registrations, "messages_register_slave"),
        COUNTER(agent_reregistrations, "messages_reregister_slave"),
        COUNTER(agent_registrations, "slave_registrations"),
        COUNTER(agent_reregistrations, "slave_reregistrations"),
        COUNTER(agent_removals, "slave_removals"),
        COUNTER(agent_removals_unhealthy, "slave_removals/reason_unhealthy"),
        COUNTER(agent_removals_unregistered, "slave_removals/reason_unregistered"),
        COUNTER(agent_removals_registered, "slave_removals/reason_registered"),
        /* There is no rate limit in which an agent could wait, and none that it could be taken back from. */
        COUNTER(agents_made_unreachable, "slave_unreachable_scheduled"),
        COUNTER(agents_made_unreachable, "slave_unreachable_completed"),
        COUNTER(valid_status_updates, "valid_status_updates"),
        COUNTER(invalid_status_updates, "invalid_status_updates"),
        COUNTER(valid_acknowledgements, "valid_status_update_acknowledgements"),
        COUNTER(invalid_acknowledgements, "invalid_status_update_acknowledgements"),
        COUNTER(messages_to_executor, "valid_framework_to_executor_messages"),
        COUNTER(invalid_messages_to_executor, "invalid_framework_to_executor_messages"),
        COUNTER(messages_to_framework, "valid_executor_to_framework_messages"),
        COUNTER(invalid_messages_to_framework, "invalid_executor_to_framework_messages"),
        COUNTER(dropped_messages, "dropped_messages"),
};

/*
 * What this master cannot have. Calls are handled as they come off the socket, in the callback that reads them: there is no queue of
 * messages, events or requests that could grow.
 */
static const char *const never[] = {
        "slave_unreachable_canceled",
        "messages_authenticate",
        "messages_deactivate_framework",
        "messages_update_slave",
        "messages_operation_status_update",
        "event_queue_messages",
        "event_queue_dispatches",
        "event_queue_http_requests",
};

static void metrics_of_counters(struct buffer *out, const struct master *m)
{
        const struct master_counters *c = &m->counters;
        uint64_t subscribed = c->all.calls[METE__V1__SCHEDULER__CALL__TYPE__SUBSCRIBE];

        for (size_t i = 0; i < ELEMENTSOF(counters); i++)
                metric(out, (double)*(const uint64_t *)((const char *)c + counters[i].offset), "%s",
                        counters[i].name);
        metric(out,
                subscribed > c->framework_resubscriptions
                        ? (double)(subscribed - c->framework_resubscriptions)
                        : 0,
                "master/messages_register_framework");
        for (size_t i = 0; i < ELEMENTSOF(never); i++)
                metric(out, 0, "master/%s", never[i]);
}

void metrics_master(struct buffer *out, const struct master *m)
{
        metric(out, m->leading, "master/elected");
        metric(out, wall_seconds_now() - m->start_time, "master/uptime_secs");
        metric(out, (double)HASH_COUNT(m->offers), "master/outstanding_offers");
        metric(out, (double)subscribers_count(m->subscribers), "master/operator_event_stream_subscribers");
        metrics_of_resources(out, m);
        metrics_of_agents(out, m);
        metrics_of_framework_states(out, m);
        metrics_of_counters(out, m);
}
