/* The registry of agents: admission, streams, pings, and giving up on those that stay away. */

#include "master/core.h"

#include <stdlib.h>
#include <string.h>

static const char *const agent_state_names[] = {
        [AGENT_RECOVERED] = "recovered",
        [AGENT_ACTIVE] = "active",
        [AGENT_DISCONNECTED] = "disconnected",
        [AGENT_UNREACHABLE] = "unreachable",
        [AGENT_GONE] = "gone",
};

const char *agent_state_to_string(enum agent_state s)
{
        return agent_state_names[s];
}

struct agent *agent_find(const struct master *m, const char *id)
{
        struct agent *a;

        HASH_FIND_STR(m->agents, id, a);
        return a;
}

static void agent_timer(struct loop_timer *timer, void *userdata);

static struct agent *agent_new(struct master *m, const char *id)
{
        struct agent *a = NEW0(struct agent);

        a->master = m;
        a->id = xstrdup(id);
        a->timer = loop_timer_new(m->loop, agent_timer, a);
        HASH_ADD_KEYPTR(hh, m->agents, a->id, strlen(a->id), a);
        return a;
}

static void agent_free(struct agent *a)
{
        struct master *m = a->master;

        offers_rescind_agent(a);
        while (a->tasks)
                task_remove(a->tasks);
        while (a->executors)
                executor_remove(a->executors);
        if (a->allocated)
                allocator_remove_agent(m->allocator, a->id);
        loop_timer_free(a->timer);
        HASH_DEL(m->agents, a);
        message_free(a->info);
        resources_done(&a->total);
        resources_done(&a->booked);
        free(a->address);
        free(a->version);
        free(a->measurement);
        free(a->cgroup_layout);
        free(a->id);
        free(a);
}

static void agent_changed(struct agent *a)
{
        bool there = a->state == AGENT_ACTIVE || a->state == AGENT_DISCONNECTED;

        a->master->queue_framework->ops->agents_changed(a->master->queue_framework, a, !there);
        events_agent(a->master, a);
}

/* The one place that changes the state. */
static void agent_set_state(struct agent *a, enum agent_state state)
{
        if (a->state == state)
                return;
        log_info("agent %s (%s): %s -> %s", a->id, a->info ? a->info->hostname : "?",
                agent_state_to_string(a->state), agent_state_to_string(state));
        a->state = state;
        loop_timer_disarm(a->timer);
        if (a->allocated)
                allocator_set_agent_active(a->master->allocator, a->id, state == AGENT_ACTIVE);
        if (state == AGENT_ACTIVE)
                loop_timer_arm(a->timer, a->master->options->agent_ping_timeout_ns,
                        a->master->options->agent_ping_timeout_ns);
        if (state == AGENT_DISCONNECTED || state == AGENT_RECOVERED)
                loop_timer_arm(a->timer, a->master->options->agent_reregister_timeout_ns, /* period_ns= */ 0);
        agent_changed(a);
}

/* ---- sending ---- */

static void agent_disconnect(struct agent *a, const char *why);

static bool agent_send(struct agent *a, Mete__Agent__Command *c)
{
        _cleanup_buffer_ struct buffer out = {};

        if (!a->stream || a->state != AGENT_ACTIVE)
                return false;
        c->epoch = a->master->epoch;
        if (message_encode(CODEC_PROTOBUF, &c->base, &out) < 0) {
                log_error("agent %s: a command could not be encoded", a->id);
                return false;
        }
        if (http_stream_record(a->stream, out.data, out.len) < 0) {
                agent_disconnect(a, "it does not read its commands");
                return false;
        }
        return true;
}

bool agent_send_launch(struct agent *a, const struct task *t)
{
        Mete__Agent__Command c = METE__AGENT__COMMAND__INIT;
        Mete__Agent__Command__Launch launch = METE__AGENT__COMMAND__LAUNCH__INIT;

        launch.framework = t->framework->info;
        launch.task = t->info;
        launch.isolation = t->isolation;
        launch.has_skip_starting = launch.skip_starting =
                t->framework->ops && !t->framework->http; /* in process: the queue */
        c.type = METE__AGENT__COMMAND__TYPE__LAUNCH;
        c.launch = &launch;
        return agent_send(a, &c);
}

bool agent_send_launch_group(struct agent *a, struct framework *f, const Mete__V1__ExecutorInfo *executor,
        struct task *const *tasks, size_t count, const Mete__Api__Isolation *isolation)
{
        Mete__Agent__Command c = METE__AGENT__COMMAND__INIT;
        Mete__Agent__Command__LaunchGroup launch = METE__AGENT__COMMAND__LAUNCH_GROUP__INIT;
        Mete__V1__TaskGroupInfo group = METE__V1__TASK_GROUP_INFO__INIT;
        _cleanup_free_ Mete__V1__TaskInfo **infos = xcalloc(count + 1, sizeof(*infos));

        for (size_t i = 0; i < count; i++)
                infos[i] = tasks[i]->info;
        group.tasks = infos;
        group.n_tasks = count;
        launch.framework = f->info;
        launch.executor = (Mete__V1__ExecutorInfo *)executor;
        launch.task_group = &group;
        launch.isolation = (Mete__Api__Isolation *)isolation;
        c.type = METE__AGENT__COMMAND__TYPE__LAUNCH_GROUP;
        c.launch_group = &launch;
        return agent_send(a, &c);
}

bool agent_send_kill(struct agent *a, const char *framework_id, const char *task_id,
        const Mete__Checkpoint__StoredKill *kill, bool only_signal)
{
        Mete__Agent__Command c = METE__AGENT__COMMAND__INIT;
        Mete__Agent__Command__Kill k = METE__AGENT__COMMAND__KILL__INIT;
        Mete__V1__FrameworkID framework = METE__V1__FRAMEWORK_ID__INIT;
        Mete__V1__TaskID task = METE__V1__TASK_ID__INIT;

        framework.value = (char *)framework_id;
        task.value = (char *)task_id;
        k.framework_id = &framework;
        k.task_id = &task;
        k.has_grace_seconds = kill->has_grace_seconds;
        k.grace_seconds = kill->grace_seconds;
        k.has_signal = kill->has_signal;
        k.signal = kill->signal;
        k.has_only_signal = only_signal;
        k.only_signal = only_signal;
        c.type = METE__AGENT__COMMAND__TYPE__KILL;
        c.kill = &k;
        return agent_send(a, &c);
}

void agent_acknowledge(struct agent *a, const char *framework_id, const char *task_id, const uint8_t *uuid)
{
        Mete__Agent__Command c = METE__AGENT__COMMAND__INIT;
        Mete__Agent__Command__Acknowledge ack = METE__AGENT__COMMAND__ACKNOWLEDGE__INIT;
        Mete__V1__FrameworkID framework = METE__V1__FRAMEWORK_ID__INIT;
        Mete__V1__TaskID task = METE__V1__TASK_ID__INIT;

        framework.value = (char *)framework_id;
        task.value = (char *)task_id;
        ack.framework_id = &framework;
        ack.task_id = &task;
        ack.uuid = (ProtobufCBinaryData){UUID_BYTES, (uint8_t *)uuid};
        c.type = METE__AGENT__COMMAND__TYPE__ACKNOWLEDGE;
        c.acknowledge = &ack;
        (void)agent_send(a, &c); /* not connected: the agent sends the update again */
}

static void agent_send_subscribed(struct agent *a)
{
        Mete__Agent__Command c = METE__AGENT__COMMAND__INIT;
        Mete__Agent__Command__Subscribed s = METE__AGENT__COMMAND__SUBSCRIBED__INIT;
        Mete__V1__AgentID id = METE__V1__AGENT_ID__INIT;

        id.value = a->id;
        s.agent_id = &id;
        s.stream_id = a->stream_id;
        s.ping_interval_ms = a->master->options->agent_ping_timeout_ns / NSEC_PER_MSEC;
        s.usage_interval_ms = a->master->options->usage_interval_ns / NSEC_PER_MSEC;
        c.type = METE__AGENT__COMMAND__TYPE__SUBSCRIBED;
        c.subscribed = &s;
        (void)agent_send(a, &c);
}

/* ---- pings and time limits ---- */

static void agent_drop_stream(struct agent *a)
{
        if (a->stream)
                http_stream_close(TAKE_PTR(a->stream));
        a->stream_id[0] = 0;
}

static void agent_disconnect(struct agent *a, const char *why)
{
        log_warning("agent %s (%s) disconnected: %s", a->id, a->info->hostname, why);
        agent_drop_stream(a);
        offers_rescind_agent(a);
        if (a->state == AGENT_ACTIVE)
                agent_set_state(a, AGENT_DISCONNECTED);
}

static void agent_forget_oldest_unreachable(struct master *m)
{
        struct agent *a, *next, *oldest = NULL;
        size_t count = 0;

        HASH_ITER (hh, m->agents, a, next) {
                if (a->state != AGENT_UNREACHABLE)
                        continue;
                count++;
                if (!oldest ||
                        MAX(a->registered, a->reregistered) < MAX(oldest->registered, oldest->reregistered))
                        oldest = a;
        }
        if (count <= AGENTS_UNREACHABLE_MAX)
                return;
        _cleanup_free_ char *key = xasprintf("agent/%s", oldest->id);
        struct store_batch *b = store_batch_new();

        store_batch_delete(b, key);
        master_write(m, b, NULL, NULL);
        agent_free(oldest);
}

static void agent_give_up(struct agent *a, const char *why)
{
        struct master *m = a->master;

        agent_drop_stream(a);
        offers_rescind_agent(a);
        agent_set_state(a, AGENT_UNREACHABLE);
        tasks_lost(a, METE__V1__TASK_STATUS__REASON__REASON_AGENT_REMOVED, why);
        if (a->allocated)
                allocator_remove_agent(m->allocator, a->id);
        a->allocated = false;
        agent_forget_oldest_unreachable(m);
}

static void agent_timer(struct loop_timer *timer, void *userdata)
{
        struct agent *a = userdata;
        const struct master_options *o = a->master->options;
        Mete__Agent__Command c = METE__AGENT__COMMAND__INIT;
        char text[DURATION_TEXT_MAX];

        if (a->state != AGENT_ACTIVE) {
                _cleanup_free_ char *why = xasprintf("the agent did not come back within %s",
                        duration_format(o->agent_reregister_timeout_ns, text));

                agent_give_up(a, why);
                return;
        }
        if (a->missed_pings >= o->max_agent_ping_timeouts) {
                _cleanup_free_ char *why = xasprintf("the agent did not answer for %s",
                        duration_format(o->agent_ping_timeout_ns * o->max_agent_ping_timeouts, text));

                agent_give_up(a, why);
                return;
        }
        a->missed_pings++;
        c.type = METE__AGENT__COMMAND__TYPE__PING;
        (void)agent_send(a, &c);
}

void agent_alive(struct agent *a)
{
        a->missed_pings = 0;
}

/* ---- admission ---- */

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
        struct task *t;

        if (a->allocated) {
                allocator_set_agent_total(allocator, a->id, &a->total);
                allocator_set_agent_active(allocator, a->id, true);
                return;
        }
        allocator_add_agent(allocator, a->id, &a->total, NULL, 0);
        a->allocated = true;
        DL_FOREACH2(a->tasks, t, agent_next)
        {
                struct allocator_usage use = {t->framework->id, t->role, &t->resources};

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
        uint8_t uuid[UUID_BYTES];

        agent_drop_stream(a);
        offers_rescind_agent(a);
        a->stream = http_stream_open(
                TAKE_PTR(a->subscribing), codec_content_type(CODEC_PROTOBUF), agent_stream_closed, a);
        uuid_generate_bytes(uuid);
        uuid_format(uuid, a->stream_id);
        a->missed_pings = 0;
        if (a->admitted)
                a->reregistered = wall_seconds_now();
        a->admitted = true;
        a->state = a->state == AGENT_ACTIVE ? AGENT_DISCONNECTED : a->state; /* the older stream ended */
        agent_book(a);
        agent_set_state(a, AGENT_ACTIVE);
        agent_send_subscribed(a);
        tasks_reconcile(a, s->tasks, s->n_tasks);
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
        Mete__Checkpoint__AdmittedAgent admitted = METE__CHECKPOINT__ADMITTED_AGENT__INIT;
        _cleanup_free_ char *key = xasprintf("agent/%s", a->id);
        struct store_batch *b = store_batch_new();
        struct admission *x = NEW0(struct admission);

        admitted.agent_info = a->info;
        admitted.has_registered = true;
        admitted.registered = a->registered;
        admitted.address = a->address;
        admitted.version = a->version;
        master_put_message(b, key, &admitted.base);
        x->master = a->master;
        x->agent_id = xstrdup(a->id);
        x->number = ++a->subscriptions;
        x->call = message_copy(call);
        master_write(a->master, b, admission_done, x);
}

static void agent_set_info(struct agent *a, const Mete__Agent__Call__Subscribe *s, struct resources *total)
{
        message_free(a->info);
        a->info = message_copy(s->agent_info);
        if (!a->info->id) {
                a->info->id = xcalloc(1, sizeof(*a->info->id));
                mete__v1__agent_id__init(a->info->id);
                a->info->id->value = xstrdup(a->id);
        }
        resources_done(&a->total);
        a->total = *total;
        *total = (struct resources){};
        set_string(&a->address, s->address);
        set_string(&a->version, s->version);
        set_string(&a->measurement, s->measurement);
        set_string(&a->cgroup_layout, s->cgroup_layout);
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
        if (!a && HASH_COUNT(m->agents) >= AGENTS_MAX) {
                http_respond_text(req, 503, "%d agents are known: no more are admitted", AGENTS_MAX);
                return;
        }
        if (!a) {
                new_id = id ? xstrdup(id) : xasprintf("%s-S%ju", m->id, (uintmax_t)m->next_agent++);
                a = agent_new(m, new_id);
                a->registered = wall_seconds_now();
                log_info("agent %s (%s) at %s registers", a->id, s->agent_info->hostname,
                        s->address ? s->address : "?");
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
        agent_give_up(a, "the agent said goodbye");
        store_batch_delete(b, key);
        master_write(m, b, NULL, NULL);
        agent_free(a);
}

struct agent *agent_recover(struct master *m, Mete__Checkpoint__AdmittedAgent *admitted, struct error *e)
{
        const Mete__V1__AgentInfo *info = admitted->agent_info;
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
        message_free(admitted);
        if (resources_from_proto(a->info->resources, a->info->n_resources, "resources", &a->total, NULL) < 0)
                log_warning("agent %s: its stored resources are not legal", a->id);
        loop_timer_arm(a->timer, m->options->agent_reregister_timeout_ns, /* period_ns= */ 0);
        return a;
}

/* ---- looking, stopping ---- */

void agent_describe(const struct agent *a, Mete__Api__Agent *ret)
{
        mete__api__agent__init(ret);
        ret->agent_id = a->id;
        ret->state = a->state == AGENT_ACTIVE        ? METE__API__AGENT__STATE__AGENT_ACTIVE
                     : a->state == AGENT_UNREACHABLE ? METE__API__AGENT__STATE__AGENT_UNREACHABLE
                                                     : METE__API__AGENT__STATE__AGENT_DISCONNECTED;
        ret->hostname = a->info->hostname;
        ret->address = a->address;
        ret->has_cpus_total = ret->has_cpus_used = ret->has_memory_total_bytes = ret->has_memory_used_bytes =
                true;
        ret->cpus_total = milli_to_double(resources_scalar(&a->total, "cpus"));
        ret->cpus_used = milli_to_double(resources_scalar(&a->booked, "cpus"));
        ret->memory_total_bytes =
                (uint64_t)((unsigned __int128)resources_scalar(&a->total, "mem") * 1048576 / 1000);
        ret->memory_used_bytes =
                (uint64_t)((unsigned __int128)resources_scalar(&a->booked, "mem") * 1048576 / 1000);
        ret->has_tasks_running = true;
        ret->tasks_running = a->task_count;
        ret->has_registered = a->registered > 0;
        ret->registered = a->registered;
        ret->has_reregistered = a->reregistered > 0;
        ret->reregistered = a->reregistered;
        ret->version = a->version;
        ret->measurement = a->measurement;
        ret->cgroup_layout = a->cgroup_layout;
}

void agents_stop(struct master *m)
{
        struct agent *a, *next;

        HASH_ITER (hh, m->agents, a, next) {
                agent_drop_stream(a);
                if (a->subscribing)
                        http_respond_text(TAKE_PTR(a->subscribing), 503, "the master stops");
                agent_free(a);
        }
}
