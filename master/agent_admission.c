/* Registration: an agent is admitted when that is on disk, and brings its tasks with it. */

#include <stdlib.h>

#include "master/agent_internal.h"
#include "master/assignment.h"
#include "master/operator/standing.h"
#include "master/operator/windows.h"

static void agent_stream_closed(struct http_stream *s, void *userdata)
{
        struct agent *a = userdata;

        if (a->stream != s)
                return; /* an older one */
        a->stream = NULL;
        agent_disconnect(a, "its stream was closed");
}

static void agent_book(struct agent *a)
{
        struct allocator *allocator = a->master->allocator;
        struct executor *x, *next;
        struct task *t;

        if (a->allocated) {
                allocator_set_agent_total(allocator, a->id, &a->total);
                return;
        }
        allocator_add_agent(allocator, a->id, &a->total, NULL, 0);
        a->allocated = true;
        DL_FOREACH2(a->tasks, t, agent_next)
        {
                struct allocator_usage use = {t->framework->id, t->role, &t->resources};

                if (!t->released)
                        allocator_allocate(allocator, a->id, &use);
        }
        HASH_ITER (hh, a->executors, x, next) {
                struct allocator_usage use = {x->framework->id, x->role, &x->resources};

                if (!resources_empty(&x->resources))
                        allocator_allocate(allocator, a->id, &use);
        }
}

/* A subscription whose admission is on its way to disk. */
struct admission {
        struct master *master;
        char *agent_id;
        uint32_t number;
        Mete__Agent__Call *call; /* owned */
};

static void admission_free(struct admission *x)
{
        message_free(x->call);
        free(x->agent_id);
        free(x);
}

static void agent_admit(struct agent *a, const Mete__Agent__Call__Subscribe *s)
{
        enum agent_state before = a->state;
        bool known = a->admitted || !s->agent_info->id;
        uint8_t uuid[UUID_BYTES];

        log_info("agent %s (%s) at %s %s", a->id, a->info->hostname, s->address ? s->address : "?",
                a->admitted ? "registered again" : "registered");
        agent_drop_stream(a);
        offers_rescind_agent(a);
        a->stream = http_stream_open(
                TAKE_PTR(a->subscribing), codec_content_type(CODEC_PROTOBUF), agent_stream_closed, a);
        uuid_generate_bytes(uuid);
        uuid_format(uuid, a->stream_id);
        a->missed_pings = 0;
        if (a->admitted)
                a->reregistered = wall_seconds_now();
        if (a->admitted || !known)
                a->master->counters.agent_reregistrations++;
        else
                a->master->counters.agent_registrations++;
        a->admitted = true;
        a->unreachable_time = 0;
        if (a->state == AGENT_ACTIVE)
                agent_set_state(a, AGENT_DISCONNECTED); /* the older stream ended */
        windows_take_agent(a);
        agent_book(a);
        agent_set_state(a, AGENT_ACTIVE);
        agent_send_subscribed(a);
        agent_send_assignment(a);
        agent_take_reports(a, s, before, known);
        agent_standing_registered(a);
        offers_schedule(a->master);
}

static void admission_done(int result, void *userdata)
{
        struct admission *x = userdata;
        struct agent *a = agent_find(x->master, x->agent_id);

        if (a && a->subscriptions == x->number && a->subscribing) {
                if (result >= 0 && !x->master->stopping)
                        agent_admit(a, x->call->subscribe);
                else
                        http_respond_text(
                                TAKE_PTR(a->subscribing), 503, "the master could not write its store");
        }
        admission_free(x);
}

static void agent_persist(struct agent *a, const Mete__Agent__Call *call)
{
        struct store_batch *b = store_batch_new();
        struct admission *x = NEW0(struct admission);

        agent_put(a, /* unreachable_time= */ 0, /* gone_time= */ 0, b);
        x->master = a->master;
        x->agent_id = xstrdup(a->id);
        x->number = ++a->subscriptions;
        x->call = message_copy(call);
        master_write(a->master, b, admission_done, x);
}

static void agent_set_info(
        struct agent *a, const Mete__Agent__Call__Subscribe *s, const struct resources *total)
{
        message_free(a->info);
        a->info = message_copy(s->agent_info);
        if (!a->info->id) {
                a->info->id = xcalloc(1, sizeof(*a->info->id));
                mete__v1__agent_id__init(a->info->id);
                a->info->id->value = xstrdup(a->id);
        }
        agent_set_reported(a, total);
        set_string(&a->address, s->address);
        set_string(&a->version, s->version);
        set_string(&a->measurement, s->measurement);
        set_string(&a->cgroup_layout, s->cgroup_layout);
        a->capabilities = 0;
        for (size_t i = 0; i < s->n_capabilities; i++)
                if (s->capabilities[i]->type < 32)
                        a->capabilities |= 1u << s->capabilities[i]->type;
}

/* An agent that has seen a higher epoch knows a later leader than us: or our store was replaced by an older one. */
static int check_epoch(struct master *m, uint64_t highest)
{
        struct store_batch *b;

        if (highest <= m->epoch)
                return 0;
        if (highest >= UINT64_MAX / 2)
                return -EINVAL;
        if (!election_sole(m->election)) {
                master_fail(m, "an agent has seen epoch %ju, ours is %ju: another master leads",
                        (uintmax_t)highest, (uintmax_t)m->epoch);
                return -ESTALE;
        }
        log_warning("an agent has seen epoch %ju, ours is %ju: going on above it (was the store replaced?)",
                (uintmax_t)highest, (uintmax_t)m->epoch);
        m->epoch = highest + 1;
        b = store_batch_new();
        master_put_identity(m, b);
        master_write(
                m, b, NULL, NULL); /* durable before the admission that follows it, so before any command */
        return 0;
}

/* 0: it may register. Else the request is answered. */
static int check_room(struct master *m, const struct agent *a, struct http_request *req)
{
        size_t here =
                m->agents_in[AGENT_RECOVERED] + m->agents_in[AGENT_ACTIVE] + m->agents_in[AGENT_DISCONNECTED];

        if ((a && a->state != AGENT_UNREACHABLE) || here < m->agents_max)
                return 0;
        http_respond_text(req, 503,
                "%zu agents are known: no more than %zu are admitted, for each keeps one of the master's %zu "
                "connections open (a higher limit of open files, RLIMIT_NOFILE, allows more)",
                here, m->agents_max, m->connections_max);
        return -ENOSPC;
}

/* An operator said that it never comes back: nothing of it may run on. */
static void refuse_gone(struct agent *a, struct http_request *req)
{
        Mete__Agent__Command c = METE__AGENT__COMMAND__INIT;
        _cleanup_buffer_ struct buffer out = {};
        struct http_stream *stream;

        if (a->state != AGENT_GONE) {
                http_respond_text(req, 503, "the agent is being marked gone");
                return;
        }
        log_warning("agent %s (%s) was marked gone and registers: it is told to shut down", a->id,
                a->info->hostname);
        c.type = METE__AGENT__COMMAND__TYPE__SHUTDOWN;
        c.epoch = a->master->epoch;
        stream = http_stream_open(req, codec_content_type(CODEC_PROTOBUF), NULL, NULL);
        if (message_encode(CODEC_PROTOBUF, &c.base, &out) >= 0)
                (void)!http_stream_record(stream, out.data, out.len);
        http_stream_close(stream);
}

void agent_subscribe(struct master *m, struct http_request *req, const Mete__Agent__Call *call)
{
        const Mete__Agent__Call__Subscribe *s = call->subscribe;
        const char *id = s->agent_info->id ? s->agent_info->id->value
                         : call->agent_id  ? call->agent_id->value
                                           : NULL;
        _cleanup_resources_ struct resources total = {};
        _cleanup_error_ struct error error = {};
        _cleanup_free_ char *new_id = NULL;
        struct agent *a;

        if (resources_from_proto(s->agent_info->resources, s->agent_info->n_resources,
                    "subscribe.agent_info.resources", &total, &error) < 0) {
                http_respond_text(req, 400, "%s", error_message(&error));
                return;
        }
        if (check_epoch(m, s->has_highest_epoch ? s->highest_epoch : 0) < 0) {
                http_respond_text(req, 409,
                        "subscribe.highest_epoch: %ju is above this master's %ju: another master leads",
                        (uintmax_t)s->highest_epoch, (uintmax_t)m->epoch);
                return;
        }
        a = id ? agent_find(m, id) : NULL;
        if (a && a->gone_time > 0) {
                refuse_gone(a, req);
                return;
        }
        if (check_room(m, a, req) < 0)
                return;
        if (!a) {
                new_id = id ? xstrdup(id) : xasprintf("%s-S%ju", m->id, (uintmax_t)m->next_agent++);
                a = agent_new(m, new_id);
                a->registered = wall_seconds_now();
        }
        if (a->subscribing)
                http_respond_text(TAKE_PTR(a->subscribing), 409, "the agent subscribed again");
        agent_set_info(a, s, &total);
        a->subscribing = req;
        agent_persist(a, call);
}

void agent_unregister(struct agent *a)
{
        struct master *m = a->master;
        _cleanup_free_ char *key = xasprintf("agent/%s", a->id);
        struct store_batch *b = store_batch_new();

        log_info("agent %s (%s) unregisters", a->id, a->info->hostname);
        m->counters.agent_removals_unregistered++;
        agent_is_lost(a, AGENT_DISCONNECTED, "the agent said goodbye");
        if (a->assignment.version > 0) {
                /* Its volumes are there when it comes back, and must not be unknown then. */
                a->unreachable_time = wall_seconds_now();
                agent_put(a, a->unreachable_time, a->gone_time, b);
        } else {
                store_batch_delete(b, key);
                agent_free(a);
        }
        master_write(m, b, NULL, NULL);
}

struct agent *agent_recover(struct master *m, Mete__Checkpoint__AdmittedAgent *admitted, struct error *e)
{
        const Mete__V1__AgentInfo *info = admitted->agent_info;
        _cleanup_resources_ struct resources reported = {};
        struct agent *a;

        if (!info->id || agent_find(m, info->id->value)) {
                error_set(e, -EUCLEAN, "a stored agent has no id of its own");
                message_free(admitted);
                return NULL;
        }
        a = agent_new(m, info->id->value);
        a->admitted = true;
        a->registered = admitted->registered;
        set_string(&a->address, admitted->address);
        set_string(&a->version, admitted->version);
        a->info = TAKE_PTR(admitted->agent_info);
        a->unreachable_time = admitted->unreachable_time;
        a->gone_time = admitted->gone_time;
        agent_standing_take(a, admitted);
        agent_assignment_take(a, admitted);
        message_free(admitted);
        if (resources_from_proto(a->info->resources, a->info->n_resources, "resources", &reported, NULL) < 0)
                log_warning("agent %s: its stored resources are not legal", a->id);
        agent_set_reported(a, &reported);
        if (a->gone_time > 0)
                agent_init_state(a, AGENT_GONE);
        else if (a->unreachable_time > 0)
                agent_init_state(a, AGENT_UNREACHABLE);
        else
                loop_timer_arm(a->timer, m->options->agent_reregister_timeout_ns, /* period_ns= */ 0);
        return a;
}
