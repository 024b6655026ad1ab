/*
 * The executor's driver. Tasks and updates are kept until the agent has acknowledged them, and told again with each subscription:
 * that is how nothing is lost, and nothing runs twice, over a restart of the agent.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>
#include <utlist.h>

#include "lib/base/id.h"
#include "sdk/driver.h"
#include "sdk/executor_environment.h"

#define PATH "/api/v1/executor"
#define AGENT_PORT 5051
#define MESSAGE_BYTES_MAX (4 * 1024 * 1024)

#define CALLBACK(x, name, ...)                                                                               \
        do {                                                                                                 \
                if ((x)->options.callbacks.name)                                                             \
                        (x)->options.callbacks.name((x), __VA_ARGS__, (x)->options.userdata);                \
        } while (0)

/* From LAUNCH until the terminal update is acknowledged. */
struct known_task {
        Mete__V1__TaskInfo *info; /* owned */
        bool acknowledged;        /* the agent knows that we have it: not told again */
        UT_hash_handle hh;
};

struct pending_update {
        Mete__V1__TaskStatus *status; /* owned */
        struct pending_update *prev, *next;
};

struct mete_executor {
        struct driver driver;
        struct mete_executor_options options;
        struct executor_environment environment;
        char *host; /* of the agent, when it is not reached by its socket */
        uint16_t port;
        bool subscribed_before, shutting_down;
        struct loop_timer *recovery, *grace;
        pthread_mutex_t lock;           /* guards what follows; taken before the driver's */
        struct known_task *tasks;       /* k: task id -> v: owned, in order of their coming */
        struct pending_update *updates; /* owned, oldest first */
        struct pending_update
                *unsent; /* the first that the current subscription has neither told nor queued */
        size_t n_updates;
};

static struct mete_executor *executor_of(struct driver *d)
{
        return CONTAINER_OF(d, struct mete_executor, driver);
}

/* ---- tasks and updates that are not acknowledged ---- */

/* The three below with the lock held. */
static struct known_task *find_task(struct mete_executor *x, const char *id)
{
        struct known_task *t;

        HASH_FIND_STR(x->tasks, id, t);
        return t;
}

static void forget_task(struct mete_executor *x, struct known_task *t)
{
        HASH_DEL(x->tasks, t);
        message_free(t->info);
        free(t);
}

static void forget_update(struct mete_executor *x, struct pending_update *u)
{
        if (x->unsent == u)
                x->unsent = u->next;
        DL_DELETE(x->updates, u);
        x->n_updates--;
        message_free(u->status);
        free(u);
}

/* False: known already. */
static bool remember_task(struct mete_executor *x, const Mete__V1__TaskInfo *info)
{
        struct known_task *t = NULL;

        (void)pthread_mutex_lock(&x->lock);
        if (!find_task(x, info->task_id->value)) {
                t = NEW0(struct known_task);
                t->info = message_copy(info);
                HASH_ADD_KEYPTR(hh, x->tasks, t->info->task_id->value, strlen(t->info->task_id->value), t);
        }
        (void)pthread_mutex_unlock(&x->lock);
        return t != NULL;
}

/* False: not one of ours, or acknowledged before. */
static bool take_acknowledgement(
        struct mete_executor *x, const char *task_id, const ProtobufCBinaryData *uuid)
{
        struct pending_update *u, *next;
        struct known_task *t;
        bool found = false;

        (void)pthread_mutex_lock(&x->lock);
        DL_FOREACH_SAFE (x->updates, u, next) {
                if (uuid->len != UUID_BYTES || memcmp(u->status->uuid.data, uuid->data, UUID_BYTES) != 0)
                        continue;
                found = true;
                t = find_task(x, task_id);
                if (t && mete_task_state_is_terminal(u->status->state))
                        forget_task(x, t);
                else if (t)
                        t->acknowledged = true;
                forget_update(x, u);
        }
        (void)pthread_mutex_unlock(&x->lock);
        return found;
}

static bool is_drained(struct driver *d)
{
        struct mete_executor *x = executor_of(d);
        bool drained;

        (void)pthread_mutex_lock(&x->lock);
        drained = x->n_updates == 0;
        (void)pthread_mutex_unlock(&x->lock);
        return drained;
}

/* ---- calls ---- */

struct call_frame {
        Mete__V1__ExecutorID executor_id;
        Mete__V1__FrameworkID framework_id;
        Mete__V1__Executor__Call call;
};

static void fill_call(struct mete_executor *x, struct call_frame *f, Mete__V1__Executor__Call__Type type)
{
        mete__v1__executor_id__init(&f->executor_id);
        mete__v1__framework_id__init(&f->framework_id);
        mete__v1__executor__call__init(&f->call);
        f->executor_id.value = x->environment.executor_id;
        f->framework_id.value = x->environment.framework_id;
        f->call.executor_id = &f->executor_id;
        f->call.framework_id = &f->framework_id;
        f->call.has_type = true;
        f->call.type = type;
}

static int queue_update(struct mete_executor *x, Mete__V1__TaskStatus *status)
{
        Mete__V1__Executor__Call__Update update = METE__V1__EXECUTOR__CALL__UPDATE__INIT;
        struct call_frame f;

        update.status = status;
        fill_call(x, &f, METE__V1__EXECUTOR__CALL__TYPE__UPDATE);
        f.call.update = &update;
        return driver_call(&x->driver, (int)f.call.type, &f.call.base, /* own= */ true);
}

/* With the lock held, so that they are queued in the order in which they were remembered. */
static void queue_updates(struct mete_executor *x)
{
        while (x->unsent && queue_update(x, x->unsent->status) == 0)
                x->unsent = x->unsent->next;
}

static Mete__V1__TaskStatus *complete_status(struct mete_executor *x, const Mete__V1__TaskStatus *from)
{
        Mete__V1__TaskStatus *s = message_copy(from);

        message_free(s->executor_id);
        s->executor_id = xmalloc(sizeof(*s->executor_id));
        mete__v1__executor_id__init(s->executor_id);
        s->executor_id->value = xstrdup(x->environment.executor_id);
        s->has_source = true;
        s->source = METE__V1__TASK_STATUS__SOURCE__SOURCE_EXECUTOR;
        s->has_timestamp = true;
        s->timestamp = wall_seconds(wall_now());
        free(s->uuid.data);
        s->has_uuid = true;
        s->uuid.len = UUID_BYTES;
        s->uuid.data = xmalloc(UUID_BYTES);
        uuid_generate_bytes(s->uuid.data);
        return s;
}

int mete_executor_update(struct mete_executor *x, const Mete__V1__TaskStatus *status)
{
        _cleanup_buffer_ struct buffer ignored = {0};
        struct pending_update *u;
        int r = 0;

        if (status->state == METE__V1__TASK_STATE__TASK_STAGING ||
                message_encode(CODEC_PROTOBUF, &status->base, &ignored) < 0)
                return -EINVAL;
        (void)pthread_mutex_lock(&x->lock);
        if (x->n_updates >= x->options.max_queued_calls) {
                r = -ENOBUFS;
        } else {
                u = NEW0(struct pending_update);
                u->status = complete_status(x, status);
                DL_APPEND(x->updates, u);
                x->n_updates++;
                if (!x->unsent)
                        x->unsent = u;
                /* What cannot be sent now goes with the next subscription, or after it. */
                queue_updates(x);
        }
        (void)pthread_mutex_unlock(&x->lock);
        return r;
}

int mete_executor_report(
        struct mete_executor *x, const char *task_id, Mete__V1__TaskState state, const char *message)
{
        Mete__V1__TaskID id = METE__V1__TASK_ID__INIT;
        Mete__V1__TaskStatus status = METE__V1__TASK_STATUS__INIT;

        if (str_empty(task_id))
                return -EINVAL;
        id.value = (char *)task_id;
        status.task_id = &id;
        status.state = state;
        status.message = (char *)message;
        return mete_executor_update(x, &status);
}

int mete_executor_message(struct mete_executor *x, const void *data, size_t len)
{
        Mete__V1__Executor__Call__Message message = METE__V1__EXECUTOR__CALL__MESSAGE__INIT;
        struct call_frame f;

        if (len > MESSAGE_BYTES_MAX)
                return -EINVAL;
        message.data.data = (uint8_t *)data;
        message.data.len = len;
        fill_call(x, &f, METE__V1__EXECUTOR__CALL__TYPE__MESSAGE);
        f.call.message = &message;
        return driver_call(&x->driver, (int)f.call.type, &f.call.base, /* own= */ false);
}

/* ---- the subscription ---- */

static int executor_open(struct driver *d, struct http_client **ret, struct error *e)
{
        struct mete_executor *x = executor_of(d);
        _cleanup_free_ char *bearer = NULL;
        int r;

        if (x->environment.socket)
                r = http_client_new_unix(d->loop, x->environment.socket, ret, e);
        else
                r = http_client_new(d->loop, x->host, x->port, ret, e);
        if (r == 0 && x->environment.token) {
                bearer = xasprintf("Bearer %s", x->environment.token);
                http_client_set_header(*ret, "Authorization", bearer);
        }
        return r;
}

/* With the lock held: the messages are only borrowed. */
static void fill_unacknowledged(struct mete_executor *x, Mete__V1__Executor__Call__Subscribe *s,
        Mete__V1__Executor__Call__Update *updates)
{
        struct pending_update *u;
        struct known_task *t;

        for (t = x->tasks; t; t = t->hh.next)
                if (!t->acknowledged)
                        s->unacknowledged_tasks[s->n_unacknowledged_tasks++] = t->info;
        DL_FOREACH (x->updates, u) {
                Mete__V1__Executor__Call__Update *update = &updates[s->n_unacknowledged_updates];

                mete__v1__executor__call__update__init(update);
                update->status = u->status;
                s->unacknowledged_updates[s->n_unacknowledged_updates++] = update;
        }
        x->unsent = NULL;
}

static void encode_subscribe(struct driver *d, struct buffer *ret)
{
        struct mete_executor *x = executor_of(d);
        Mete__V1__Executor__Call__Subscribe subscribe = METE__V1__EXECUTOR__CALL__SUBSCRIBE__INIT;
        _cleanup_free_ Mete__V1__Executor__Call__Update *updates = NULL;
        struct call_frame f;

        fill_call(x, &f, METE__V1__EXECUTOR__CALL__TYPE__SUBSCRIBE);
        f.call.subscribe = &subscribe;
        (void)pthread_mutex_lock(&x->lock);
        updates = xcalloc(x->n_updates + 1, sizeof(*updates));
        subscribe.unacknowledged_tasks = xcalloc(HASH_COUNT(x->tasks) + 1, sizeof(void *));
        subscribe.unacknowledged_updates = xcalloc(x->n_updates + 1, sizeof(void *));
        fill_unacknowledged(x, &subscribe, updates);
        /* They were checked one by one. */
        if (message_encode(d->options.codec, &f.call.base, ret) < 0)
                abort();
        (void)pthread_mutex_unlock(&x->lock);
        free(subscribe.unacknowledged_tasks);
        free(subscribe.unacknowledged_updates);
}

static uint64_t next_delay_ns(struct driver *d, const char *location, bool was_subscribed)
{
        struct mete_executor *x = executor_of(d);

        /* An agent that was never there is not waited for longer than one that went. */
        if (!x->subscribed_before && !loop_timer_armed(x->recovery))
                loop_timer_arm(x->recovery, x->environment.recovery_timeout_ns, 0);
        return driver_backoff_ns(d);
}

/* ---- ending ---- */

static void on_grace_over(struct loop_timer *t, void *userdata)
{
        struct mete_executor *x = userdata;

        if (!x->options.keep_process)
                _exit(EXIT_FAILURE);
        driver_end(&x->driver, -ETIMEDOUT, "the grace period of the shutdown is over");
}

static void shut_down(struct mete_executor *x)
{
        if (x->shutting_down || x->driver.state == DRIVER_STATE_OVER)
                return;
        x->shutting_down = true;
        loop_timer_disarm(x->recovery);
        loop_timer_arm(x->grace, x->environment.shutdown_grace_ns, 0);
        if (x->options.callbacks.shutdown)
                x->options.callbacks.shutdown(x, x->options.userdata);
        else
                mete_executor_stop(x);
}

static void on_recovery_over(struct loop_timer *t, void *userdata)
{
        shut_down(userdata);
}

static void on_disconnected(struct driver *d, const char *reason)
{
        struct mete_executor *x = executor_of(d);

        CALLBACK(x, disconnected, reason);
        /* Without a checkpoint the agent that comes back does not know of us. */
        if (!x->environment.checkpoint)
                shut_down(x);
        else if (!x->shutting_down)
                loop_timer_arm(x->recovery, x->environment.recovery_timeout_ns, 0);
}

static void fail(struct mete_executor *x, const char *message)
{
        _cleanup_free_ char *copy = xstrdup(message);

        CALLBACK(x, error, copy);
        shut_down(x);
        driver_end(&x->driver, -EPERM, copy);
}

static void on_refused_subscription(struct driver *d, int status, const char *text)
{
        _cleanup_free_ char *message =
                xasprintf("the agent refused the subscription with status %d: %s", status, text);

        fail(executor_of(d), message);
}

/* A status or a message that the agent finds fault with stays unacknowledged; it is told to the user, who made it. */
static void on_refused_call(struct driver *d, int type, int status, const char *text)
{
        struct mete_executor *x = executor_of(d);
        _cleanup_free_ char *message =
                xasprintf("the agent refused a call of type %d with status %d: %s", type, status, text);

        fail(x, message);
}

/* ---- events ---- */

static void on_subscribed(struct mete_executor *x, const Mete__V1__Executor__Event__Subscribed *e)
{
        bool again = x->subscribed_before;

        if (x->driver.state != DRIVER_STATE_CONNECTING)
                return; /* twice on one stream: nothing new */
        loop_timer_disarm(x->recovery);
        driver_subscribed(&x->driver, /* silence_ns= */ 0);
        if (x->driver.state != DRIVER_STATE_SUBSCRIBED)
                return;
        x->subscribed_before = true;
        (void)pthread_mutex_lock(&x->lock);
        queue_updates(x);
        (void)pthread_mutex_unlock(&x->lock);
        if (again)
                CALLBACK(x, reregistered, e->agent_info);
        else
                CALLBACK(x, registered, e->executor_info, e->framework_info, e->agent_info);
}

static void on_launch(struct mete_executor *x, const Mete__V1__TaskInfo *task)
{
        if (remember_task(x, task))
                CALLBACK(x, launch, task);
}

static void on_launch_group(struct mete_executor *x, const Mete__V1__TaskGroupInfo *group)
{
        bool fresh = false;

        if (!x->options.callbacks.launch_group) {
                for (size_t i = 0; i < group->n_tasks; i++)
                        on_launch(x, group->tasks[i]);
                return;
        }
        for (size_t i = 0; i < group->n_tasks; i++)
                fresh |= remember_task(x, group->tasks[i]);
        if (fresh)
                CALLBACK(x, launch_group, group);
}

static void on_acknowledged(struct mete_executor *x, const Mete__V1__Executor__Event__Acknowledged *e)
{
        if (!take_acknowledgement(x, e->task_id->value, &e->uuid))
                return;
        (void)pthread_mutex_lock(&x->lock);
        queue_updates(x); /* those that the queue had no place for */
        (void)pthread_mutex_unlock(&x->lock);
        CALLBACK(x, acknowledged, e->task_id);
        driver_check_stop(&x->driver);
}

static void on_event(struct driver *d, const ProtobufCMessage *message)
{
        struct mete_executor *x = executor_of(d);
        const Mete__V1__Executor__Event *e = (const Mete__V1__Executor__Event *)message;

        if (e->type == METE__V1__EXECUTOR__EVENT__TYPE__SUBSCRIBED && e->subscribed)
                on_subscribed(x, e->subscribed);
        else if (e->type == METE__V1__EXECUTOR__EVENT__TYPE__ERROR && e->error)
                fail(x, e->error->message);
        else if (e->type == METE__V1__EXECUTOR__EVENT__TYPE__SHUTDOWN)
                shut_down(x);
        else if (d->state != DRIVER_STATE_SUBSCRIBED)
                return;
        else if (e->type == METE__V1__EXECUTOR__EVENT__TYPE__LAUNCH && e->launch)
                on_launch(x, e->launch->task);
        else if (e->type == METE__V1__EXECUTOR__EVENT__TYPE__LAUNCH_GROUP && e->launch_group)
                on_launch_group(x, e->launch_group->task_group);
        else if (e->type == METE__V1__EXECUTOR__EVENT__TYPE__KILL && e->kill)
                CALLBACK(x, kill, e->kill->task_id, e->kill->kill_policy);
        else if (e->type == METE__V1__EXECUTOR__EVENT__TYPE__ACKNOWLEDGED && e->acknowledged)
                on_acknowledged(x, e->acknowledged);
        else if (e->type == METE__V1__EXECUTOR__EVENT__TYPE__MESSAGE && e->message)
                CALLBACK(x, message, e->message->data.data, e->message->data.len);
}

static const struct driver_operations operations = {
        .path = PATH,
        .event = &mete__v1__executor__event__descriptor,
        .open = executor_open,
        .encode_subscribe = encode_subscribe,
        .on_event = on_event,
        .on_disconnected = on_disconnected,
        .next_delay_ns = next_delay_ns,
        .on_refused_subscription = on_refused_subscription,
        .on_refused_call = on_refused_call,
        .is_drained = is_drained,
};

/* ---- life ---- */

static int take_options(struct mete_executor *x, const struct mete_executor_options *o, struct error *e)
{
        if (!o || o->size < offsetof(struct mete_executor_options, userdata) || o->size > sizeof(*o) ||
                o->callbacks.size != sizeof(o->callbacks))
                return error_set(e, -EINVAL, "options.size is not that of this library: use the INIT macros");
        memcpy(&x->options, o, o->size);
        if (x->options.max_queued_calls == 0)
                x->options.max_queued_calls = 10000;
        return 0;
}

static struct driver_options driver_options_of(const struct mete_executor *x)
{
        const struct mete_executor_options *o = &x->options;

        return (struct driver_options){
                .codec = o->json ? CODEC_JSON : CODEC_PROTOBUF,
                .max_queued_calls = o->max_queued_calls,
                .connect_timeout_ms = o->connect_timeout_ms ? o->connect_timeout_ms : 15000,
                .backoff_min_ms = o->backoff_min_ms ? o->backoff_min_ms : 100,
                .backoff_max_ms =
                        (unsigned)MIN(x->environment.backoff_max_ns / NSEC_PER_MSEC, (uint64_t)UINT32_MAX),
                .stop_timeout_ms = o->stop_timeout_ms ? o->stop_timeout_ms : 60000,
        };
}

int mete_executor_new(
        const struct mete_executor_options *options, struct mete_executor **ret, struct mete_error *error)
{
        _cleanup_error_ struct error e = {0};
        struct mete_executor *x = NEW0(struct mete_executor);
        struct driver_options driver;
        int r;

        (void)pthread_mutex_init(&x->lock, NULL);
        r = take_options(x, options, &e);
        if (r == 0)
                r = executor_environment_read(&x->environment, &e);
        if (r == 0 && x->environment.agent) {
                r = host_port_parse(x->environment.agent, AGENT_PORT, &x->host, &x->port, &e);
                if (r < 0)
                        (void)error_prefix(&e, "MESOS_AGENT_ENDPOINT");
        }
        driver = driver_options_of(x);
        if (r == 0)
                r = driver_init(&x->driver, &operations, &driver, &e);
        if (r < 0) {
                (void)mete_executor_free(x);
                return driver_error_fill(error, &e);
        }
        x->recovery = loop_timer_new(x->driver.loop, on_recovery_over, x);
        x->grace = loop_timer_new(x->driver.loop, on_grace_over, x);
        *ret = x;
        return 0;
}

struct mete_executor *mete_executor_free(struct mete_executor *x)
{
        if (!x)
                return NULL;
        if (x->driver.threaded) {
                driver_stop(&x->driver);
                (void)driver_join(&x->driver, NULL);
        }
        loop_timer_free(x->recovery);
        loop_timer_free(x->grace);
        driver_done(&x->driver);
        while (x->tasks)
                forget_task(x, x->tasks);
        while (x->updates)
                forget_update(x, x->updates);
        executor_environment_done(&x->environment);
        free(x->host);
        (void)pthread_mutex_destroy(&x->lock);
        free(x);
        return NULL;
}

int mete_executor_run(struct mete_executor *x, struct mete_error *error)
{
        return driver_run(&x->driver, error);
}

int mete_executor_start(struct mete_executor *x)
{
        return driver_start(&x->driver);
}

int mete_executor_join(struct mete_executor *x, struct mete_error *error)
{
        return driver_join(&x->driver, error);
}

void mete_executor_stop(struct mete_executor *x)
{
        driver_stop(&x->driver);
}
