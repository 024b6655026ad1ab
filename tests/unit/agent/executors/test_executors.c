/*
 * Executors over the real API of the agent, in one process: the executor's side is an HTTP client, its container is none of the host's. There
 * is no master: what would go to it waits in the tasks' streams.
 */
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/api/api_internal.h"
#include "agent/api/read.h"
#include "agent/checkpoint_tasks.h"
#include "agent/executors/executors.h"
#include "lib/base/log.h"
#include "lib/net/codec.h"
#include "lib/net/http_client.h"

#define DEADLINE_NS (20 * NSEC_PER_SEC)
#define EVENTS_MAX 32
#define UUID_A "QUFBQUFBQUFBQUFBQUFBQQ=="
#define UUID_B "QkJCQkJCQkJCQkJCQkJCQg=="
#define UUID_C "Q0NDQ0NDQ0NDQ0NDQ0NDQw=="

struct fixture {
        char path[64];
        struct agent agent;
        struct agent_options options;
        struct agent_api api;
        struct http_client *stream;
        uint16_t port;
        struct loop_timer *deadline;
        Mete__V1__Executor__Event *events[EVENTS_MAX];
        size_t count, wanted;
        struct agent_executor *x;
};

static void *decode(const ProtobufCMessageDescriptor *d, const char *json)
{
        _cleanup_error_ struct error e = {0};
        ProtobufCMessage *m;

        if (message_decode(CODEC_JSON, d, json, strlen(json), &m, &e) < 0)
                fail_msg("%s: %s", error_message(&e), json);
        return m;
}

/* ---- fixture ---- */

static int open_dir(const struct fixture *f, const char *name)
{
        _cleanup_free_ char *path = xasprintf("%s/%s", f->path, name);

        assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(fd >= 0);
        return fd;
}

static void on_deadline(struct loop_timer *t, void *userdata)
{
        struct fixture *f = userdata;

        fail_msg("%zu events came, %zu were waited for", f->count, f->wanted);
}

static int setup(void **state)
{
        _cleanup_error_ struct error e = {0};
        struct fixture *f = NEW0(struct fixture);
        struct agent *a = &f->agent;

        log_set_level(LOG_LEVEL_ERROR);
        (void)snprintf(f->path, sizeof(f->path), "/tmp/mete-test-executors-XXXXXX");
        assert_non_null(mkdtemp(f->path));
        f->options = (struct agent_options){.hostname = (char *)"h",
                .address = (char *)"127.0.0.1",
                .port = 1,
                .work_dir = f->path,
                .insecure = true,
                .milli_cpus = 2000,
                .memory_bytes = UINT64_C(1) << 30,
                .http_heartbeat_interval_ns = 3600 * NSEC_PER_SEC,
                .executor_registration_ns = 60 * NSEC_PER_SEC,
                .executor_reregistration_ns = 2 * NSEC_PER_SEC,
                .executor_shutdown_ns = 5 * NSEC_PER_SEC};
        a->options = &f->options;
        a->endpoint = (char *)"127.0.0.1:1";
        a->identity.agent_id = (char *)"u-S1";
        a->work_fd = open_dir(f, ".");
        a->checkpoints_fd = open_dir(f, "containers");
        a->states_fd = open_dir(f, "states");
        a->overlays_fd = open_dir(f, "overlays");
        assert_int_equal(loop_new(&a->loop, &e), 0);
        assert_int_equal(worker_pool_new(a->loop, 1, 64, &a->pool, &e), 0);
        gc_start(&a->gc, a->loop, a->pool, a->work_fd, NSEC_PER_SEC, 10);
        f->api.agent = a;
        f->api.history = read_history_new();
        a->api = &f->api;
        assert_int_equal(http_server_new(a->loop, NULL, &f->api.server, &e), 0);
        api_executor_routes(&f->api);
        assert_int_equal(http_server_listen(f->api.server, "127.0.0.1", 0, &f->port, &e), 0);
        f->deadline = loop_timer_new(a->loop, on_deadline, f);
        *state = f;
        return 0;
}

static void forget_events(struct fixture *f)
{
        for (size_t i = 0; i < f->count; i++)
                message_free(f->events[i]);
        f->count = 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;
        struct agent *a = &f->agent;
        struct agent_container *c, *tmp;

        http_client_free(f->stream);
        http_server_free(f->api.server);
        read_history_free(f->api.history);
        a->api = NULL;
        HASH_ITER (hh, a->containers, c, tmp)
                container_free(c);
        assert_null(a->executors);
        assert_null(a->tasks);
        gc_stop(&a->gc);
        worker_pool_free(a->pool);
        loop_timer_free(f->deadline);
        loop_free(a->loop);
        close_fd(a->work_fd);
        close_fd(a->checkpoints_fd);
        close_fd(a->states_fd);
        close_fd(a->overlays_fd);
        forget_events(f);
        int r = remove_tree_at(AT_FDCWD, f->path);
        free(f);
        return r;
}

/* ---- the executor's side ---- */

static bool on_record(const void *data, size_t len, void *userdata)
{
        _cleanup_error_ struct error e = {0};
        struct fixture *f = userdata;
        ProtobufCMessage *m;

        assert_int_equal(
                message_decode(CODEC_JSON, &mete__v1__executor__event__descriptor, data, len, &m, &e), 0);
        assert_true(f->count < EVENTS_MAX);
        f->events[f->count++] = (Mete__V1__Executor__Event *)m;
        if (f->count >= f->wanted)
                loop_stop(f->agent.loop);
        return true;
}

static void on_done(const struct http_response *r, void *userdata)
{
}

static const Mete__V1__Executor__Event *wait_events(struct fixture *f, size_t count)
{
        f->wanted = count;
        loop_timer_arm(f->deadline, DEADLINE_NS, 0);
        if (f->count < count)
                assert_int_equal(loop_run(f->agent.loop), 0);
        loop_timer_disarm(f->deadline);
        return f->events[count - 1];
}

static void stop_loop(void *userdata)
{
        loop_stop(userdata);
}

/* What is due now happens. */
static void turn(struct fixture *f)
{
        for (int i = 0; i < 3; i++) {
                loop_post(f->agent.loop, stop_loop, f->agent.loop);
                assert_int_equal(loop_run(f->agent.loop), 0);
        }
}

static void subscribe(struct fixture *f, const char *body)
{
        _cleanup_error_ struct error e = {0};
        _cleanup_free_ char *json = xasprintf("{\"type\":\"SUBSCRIBE\",\"executor_id\":{\"value\":\"x\"},"
                                              "\"framework_id\":{\"value\":\"f\"},\"subscribe\":{%s}}",
                body);

        http_client_free(f->stream);
        assert_int_equal(http_client_new(f->agent.loop, "127.0.0.1", f->port, &f->stream, &e), 0);
        http_client_stream(f->stream, "POST", "/api/v1/executor", "application/json", "application/json",
                json, strlen(json), 0, NULL, on_record, on_done, f);
}

static void update(struct fixture *f, const char *task, const char *state, const char *uuid)
{
        _cleanup_free_ char *json =
                xasprintf("{\"task_id\":{\"value\":\"%s\"},\"state\":\"%s\",\"uuid\":\"%s\","
                          "\"source\":\"SOURCE_EXECUTOR\"}",
                        task, state, uuid);
        Mete__V1__TaskStatus *s = decode(&mete__v1__task_status__descriptor, json);

        executor_update(f->x, s);
        message_free(s);
}

/* ---- the master's side ---- */

#define RESOURCES(cpus, mem)                                                                                 \
        "\"resources\":[{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":" cpus                  \
        "}},{\"name\":\"mem\",\"type\":\"SCALAR\",\"scalar\":{\"value\":" mem "}}]"
#define EXECUTOR                                                                                             \
        "{\"executor_id\":{\"value\":\"x\"},\"type\":\"CUSTOM\",\"command\":{\"value\":\"true\"}"            \
        "," RESOURCES("0.1", "64") "}"
#define FRAMEWORK(more) "{\"user\":\"u\",\"name\":\"n\",\"checkpoint\":true,\"id\":{\"value\":\"f\"}" more "}"

static void make_executor(struct fixture *f, const char *framework)
{
        _cleanup_free_ char *json = xasprintf("{\"version\":1,\"container_id\":\"c1\",\"boot_id\":\"b\","
                                              "\"framework\":%s,\"executor\":" EXECUTOR "}",
                framework);
        struct agent_container *c =
                container_new(&f->agent, decode(&mete__checkpoint__container__descriptor, json));

        assert_int_equal(checkpoint_container_write(f->agent.checkpoints_fd, c->info, NULL), 0);
        f->x = executor_new(c);
        container_set_state(c, CONTAINER_STATE_STARTING);
        container_set_state(c, CONTAINER_STATE_RUNNING);
}

static void launch(struct fixture *f, const char *id)
{
        _cleanup_free_ char *json = xasprintf(
                "{\"framework\":" FRAMEWORK("") ",\"task\":{\"name\":\"t\",\"task_id\":{\"value\":\"%s\"},"
                                                "\"agent_id\":{\"value\":\"u-S1\"},\"executor\":" EXECUTOR
                                                "," RESOURCES("0.5", "100") "}}",
                id);
        Mete__Agent__Command__Launch *l = decode(&mete__agent__command__launch__descriptor, json);

        executors_launch(&f->agent, l);
        message_free(l);
}

static void launch_group(struct fixture *f, const char *one, const char *two)
{
#define MEMBER                                                                                               \
        "{\"name\":\"t\",\"task_id\":{\"value\":\"%s\"},\"agent_id\":{\"value\":\"u-S1\"}," RESOURCES(       \
                "0.5", "100") "}"
        _cleanup_free_ char *json = xasprintf(
                "{\"framework\":" FRAMEWORK("") ",\"executor\":" EXECUTOR
                                                ",\"task_group\":{\"tasks\":[" MEMBER "," MEMBER "]}}",
                one, two);
        Mete__Agent__Command__LaunchGroup *l = decode(&mete__agent__command__launch_group__descriptor, json);

        executors_launch_group(&f->agent, l);
        message_free(l);
}

static bool kill_task(struct fixture *f, const char *id, const char *more)
{
        _cleanup_free_ char *json =
                xasprintf("{\"framework_id\":{\"value\":\"f\"},\"task_id\":{\"value\":\"%s\"}%s}", id, more);
        Mete__Agent__Command__Kill *k = decode(&mete__agent__command__kill__descriptor, json);
        bool known = executors_kill_task(&f->agent, k);

        message_free(k);
        return known;
}

static const Mete__V1__TaskStatus *newest(struct fixture *f, const char *id)
{
        struct agent_task *t = task_find(&f->agent, "f", id);

        assert_non_null(t);
        return t->updates.count ? t->updates.pending[t->updates.count - 1]->status : NULL;
}

static void assert_ended(
        struct fixture *f, const char *id, Mete__V1__TaskState state, Mete__V1__TaskStatus__Reason reason)
{
        const Mete__V1__TaskStatus *s = newest(f, id);

        assert_non_null(s);
        assert_int_equal(s->state, state);
        assert_int_equal(s->reason, reason);
        assert_int_equal(s->source, METE__V1__TASK_STATUS__SOURCE__SOURCE_AGENT);
}

static void acknowledge_all(struct fixture *f, const char *id)
{
        struct agent_task *t;

        while ((t = task_find(&f->agent, "f", id)) && t->updates.count > 0) {
                uint8_t uuid[16];

                memcpy(uuid, t->updates.pending[0]->status->uuid.data, sizeof(uuid));
                task_acknowledge(t, uuid, sizeof(uuid));
        }
}

#define TYPE(name) METE__V1__EXECUTOR__EVENT__TYPE__##name
#define REASON(name) METE__V1__TASK_STATUS__REASON__REASON_##name
#define STATE(name) METE__V1__TASK_STATE__TASK_##name

static void start_with(struct fixture *f, const char *one, const char *two)
{
        make_executor(f, FRAMEWORK(""));
        launch(f, one);
        if (two)
                launch(f, two);
        subscribe(f, "");
        (void)wait_events(f, two ? 3 : 2);
        forget_events(f);
}

/* ---- tests ---- */

static void tasks_wait_for_the_subscription(void **state)
{
        struct fixture *f = *state;

        make_executor(f, FRAMEWORK(""));
        launch(f, "t1");
        launch(f, "t2");
        launch(f, "t1"); /* repeated: ignored */
        launch_group(f, "g1", "g2");
        assert_int_equal(executor_get_state(f->x), EXECUTOR_STATE_REGISTERING);
        subscribe(f, "");
        const Mete__V1__Executor__Event *e = wait_events(f, 4);
        assert_int_equal(f->events[0]->type, TYPE(SUBSCRIBED));
        assert_string_equal(f->events[0]->subscribed->executor_info->executor_id->value, "x");
        assert_string_equal(f->events[0]->subscribed->framework_info->id->value, "f");
        assert_string_equal(f->events[0]->subscribed->agent_info->id->value, "u-S1");
        assert_string_equal(f->events[0]->subscribed->container_id->value, "c1");
        assert_string_equal(f->events[1]->launch->task->task_id->value, "t1");
        assert_string_equal(f->events[2]->launch->task->task_id->value, "t2");
        assert_int_equal(e->type, TYPE(LAUNCH_GROUP));
        assert_int_equal(e->launch_group->task_group->n_tasks, 2);
        assert_string_equal(e->launch_group->task_group->tasks[1]->task_id->value, "g2");
        assert_int_equal(executor_get_state(f->x), EXECUTOR_STATE_RUNNING);
        launch(f, "t3");
        assert_string_equal(wait_events(f, 5)->launch->task->task_id->value, "t3");
}

static void updates_are_on_disk_before_they_are_acknowledged(void **state)
{
        struct fixture *f = *state;

        start_with(f, "t1", NULL);
        update(f, "t1", "TASK_RUNNING", UUID_A);
        _cleanup_checkpoint_ struct checkpoint saved = {0};
        assert_int_equal(checkpoint_container_read(f->agent.checkpoints_fd, "c1", &saved, NULL), 0);
        assert_int_equal(saved.tasks->updates.count, 1);
        const Mete__V1__Executor__Event *e = wait_events(f, 1);
        assert_int_equal(e->type, TYPE(ACKNOWLEDGED));
        assert_string_equal(e->acknowledged->task_id->value, "t1");
        assert_memory_equal(e->acknowledged->uuid.data, "AAAAAAAAAAAAAAAA", 16);
        const Mete__V1__TaskStatus *s = newest(f, "t1");
        assert_int_equal(s->source, METE__V1__TASK_STATUS__SOURCE__SOURCE_EXECUTOR);
        assert_string_equal(s->agent_id->value, "u-S1");
        assert_string_equal(s->executor_id->value, "x");
        assert_true(s->has_timestamp);
        assert_string_equal(s->container_status->container_id->value, "c1");
        assert_string_equal(s->container_status->network_infos[0]->ip_addresses[0]->ip_address, "127.0.0.1");
}

static void repeated_and_late_updates_are_only_acknowledged(void **state)
{
        struct fixture *f = *state;

        start_with(f, "t1", NULL);
        struct agent_task *t = task_find(&f->agent, "f", "t1");
        update(f, "t1", "TASK_RUNNING", UUID_A);
        update(f, "t1", "TASK_RUNNING", UUID_A);
        (void)wait_events(f, 2);
        assert_int_equal(t->updates.count, 1);
        task_acknowledge(t, "AAAAAAAAAAAAAAAA", 16);
        update(f, "t1", "TASK_RUNNING", UUID_A); /* the framework has had it already */
        (void)wait_events(f, 3);
        assert_int_equal(t->updates.count, 0);
        update(f, "t1", "TASK_FINISHED", UUID_B);
        update(f, "t1", "TASK_RUNNING", UUID_C);
        update(f, "nobody", "TASK_RUNNING", UUID_C);
        (void)wait_events(f, 6);
        assert_int_equal(t->updates.count, 1);
        assert_int_equal(newest(f, "t1")->state, STATE(FINISHED));
        acknowledge_all(f, "t1");
        assert_null(task_find(&f->agent, "f", "t1"));
        assert_non_null(executor_find(&f->agent, "f", "x")); /* lives on without tasks */
}

static void kills(void **state)
{
        struct fixture *f = *state;

        make_executor(f, FRAMEWORK(""));
        launch(f, "t1");
        launch(f, "t2");
        launch_group(f, "g1", "g2");
        assert_true(kill_task(f, "t2", ""));
        assert_ended(f, "t2", STATE(KILLED), REASON(TASK_KILLED_DURING_LAUNCH));
        assert_true(kill_task(f, "g1", ""));
        assert_ended(f, "g2", STATE(KILLED), REASON(TASK_KILLED_DURING_LAUNCH));
        subscribe(f, "");
        (void)wait_events(f, 2);
        assert_true(kill_task(f, "t1", ",\"grace_seconds\":2.5"));
        const Mete__V1__Executor__Event *e = wait_events(f, 3);
        assert_int_equal(e->type, TYPE(KILL));
        assert_string_equal(e->kill->task_id->value, "t1");
        assert_int_equal(e->kill->kill_policy->grace_period->nanoseconds, 2500000000);
        assert_false(kill_task(f, "unknown", ""));
}

static void a_kill_without_a_stream_is_told_later(void **state)
{
        struct fixture *f = *state;

        start_with(f, "t1", NULL);
        update(f, "t1", "TASK_RUNNING", UUID_A);
        (void)wait_events(f, 1);
        forget_events(f);
        f->stream = http_client_free(f->stream);
        while (executor_is_subscribed(f->x))
                turn(f);
        assert_true(kill_task(f, "t1", ""));
        subscribe(f, "");
        assert_int_equal(wait_events(f, 2)->type, TYPE(KILL));
}

static void an_executor_that_nobody_needs_is_shut_down(void **state)
{
        struct fixture *f = *state;

        make_executor(f, FRAMEWORK(""));
        launch(f, "t1");
        assert_true(kill_task(f, "t1", ""));
        assert_int_equal(executor_get_state(f->x), EXECUTOR_STATE_TERMINATING);
        subscribe(f, "");
        assert_int_equal(wait_events(f, 1)->type, TYPE(SHUTDOWN));
        launch(f, "t2");
        assert_ended(f, "t2", STATE(LOST), REASON(EXECUTOR_TERMINATED));
}

/* t1 was received and its update not acknowledged; t2 was never received. */
static void subscribing_again_merges(void **state)
{
        struct fixture *f = *state;

        start_with(f, "t1", "t2");
        f->x->recovered = true;
        loop_timer_arm(f->x->timer, DEADLINE_NS, 0);
        assert_true(executors_recovering(&f->agent));
        subscribe(f, "\"unacknowledged_tasks\":[{\"name\":\"t\",\"task_id\":{\"value\":\"t1\"},\"agent_id\":{"
                     "\"value\":\"u-S1\"}}],\"unacknowledged_updates\":[{\"status\":{\"task_id\":{\"value\":"
                     "\"t1\"},\"state\":\"TASK_RUNNING\",\"source\":\"SOURCE_EXECUTOR\",\"uuid\":\"" UUID_A
                     "\"}}]");
        assert_int_equal(wait_events(f, 2)->type, TYPE(ACKNOWLEDGED));
        assert_false(executors_recovering(&f->agent));
        assert_int_equal(newest(f, "t1")->state, STATE(RUNNING));
        assert_ended(f, "t2", STATE(LOST), REASON(AGENT_RESTARTED));
        forget_events(f);
        subscribe(f, "\"unacknowledged_updates\":[{\"status\":{\"task_id\":{\"value\":\"t1\"},\"state\":"
                     "\"TASK_RUNNING\",\"source\":\"SOURCE_EXECUTOR\",\"uuid\":\"" UUID_A "\"}}]");
        (void)wait_events(f, 2);
        assert_int_equal(task_find(&f->agent, "f", "t1")->updates.count, 1); /* once */
        assert_false(task_is_ended(task_find(&f->agent, "f", "t1")));
}

static void frameworks_that_know_partitions_hear_dropped(void **state)
{
        struct fixture *f = *state;

        make_executor(f, FRAMEWORK(",\"capabilities\":[{\"type\":\"PARTITION_AWARE\"}]"));
        launch(f, "t1");
        subscribe(f, "");
        (void)wait_events(f, 2);
        forget_events(f);
        subscribe(f, "");
        (void)wait_events(f, 1);
        assert_ended(f, "t1", STATE(DROPPED), REASON(AGENT_RESTARTED));
}

static void its_end_is_the_end_of_its_tasks(void **state)
{
        struct fixture *f = *state;
        _cleanup_outcome_ struct task_outcome o = task_outcome_make(
                STATE(FAILED), REASON(EXECUTOR_TERMINATED), "Executor exited with status 1");
        uint8_t known[16];

        start_with(f, "t1", "t2");
        update(f, "t2", "TASK_FINISHED", UUID_B);
        struct agent_container *c = f->x->container;
        container_end(c, &o);
        assert_ended(f, "t1", STATE(FAILED), REASON(EXECUTOR_TERMINATED));
        assert_string_equal(newest(f, "t1")->message, "Executor exited with status 1");
        assert_int_equal(newest(f, "t2")->state, STATE(FINISHED));
        assert_null(executor_find(&f->agent, "f", "x"));
        memcpy(known, newest(f, "t1")->uuid.data, sizeof(known));
        turn(f);
        assert_ptr_equal(container_find(&f->agent, "c1"), c); /* until all of it is acknowledged */
        acknowledge_all(f, "t1");
        acknowledge_all(f, "t2");
        assert_null(container_find(&f->agent, "c1"));
        assert_int_equal(faccessat(f->agent.checkpoints_fd, "c1", F_OK, 0), -1);
}

static void a_removed_framework_hears_nothing(void **state)
{
        struct fixture *f = *state;
        _cleanup_outcome_ struct task_outcome o =
                task_outcome_make(STATE(FAILED), REASON(EXECUTOR_TERMINATED), "gone");

        start_with(f, "t1", NULL);
        executors_shutdown_framework(&f->agent, "other");
        assert_int_equal(executor_get_state(f->x), EXECUTOR_STATE_RUNNING);
        executors_shutdown_framework(&f->agent, "f");
        assert_int_equal(wait_events(f, 1)->type, TYPE(SHUTDOWN));
        container_end(f->x->container, &o);
        assert_null(newest(f, "t1"));
        turn(f);
        assert_null(f->agent.containers);
        assert_int_equal(faccessat(f->agent.checkpoints_fd, "c1", F_OK, 0), -1);
}

/* Its resources are others' from that moment on. */
static void a_removed_framework_gives_no_time(void **state)
{
        struct fixture *f = *state;

        start_with(f, "t1", NULL);
        Mete__V1__ExecutorInfo *info = f->x->container->info->executor;
        info->shutdown_grace_period = NEW0(Mete__V1__DurationInfo);
        mete__v1__duration_info__init(info->shutdown_grace_period);
        info->shutdown_grace_period->nanoseconds = INT64_MAX;
        f->options.executor_shutdown_ns = 0;
        executor_shutdown(f->x); /* asked for before: that gave it all the time */
        turn(f);
        assert_int_equal(f->x->container->state, CONTAINER_STATE_RUNNING);
        executors_shutdown_framework(&f->agent, "f");
        turn(f);
        assert_int_equal(f->x->container->state, CONTAINER_STATE_KILLING);
}

static bool update_large(struct fixture *f, const char *task, Mete__V1__TaskState as, uint8_t number)
{
        static uint8_t data[1 << 20];
        static char message[4 * EXECUTOR_LAST_WORD_MAX];
        Mete__V1__TaskStatus s = METE__V1__TASK_STATUS__INIT;
        Mete__V1__TaskID id = METE__V1__TASK_ID__INIT;
        uint8_t uuid[UUID_BYTES] = {number};

        memset(message, 'm', sizeof(message) - 1);
        id.value = (char *)task;
        s.task_id = &id;
        s.state = as;
        s.message = message;
        s.has_uuid = s.has_data = s.has_timestamp = true;
        s.uuid = (ProtobufCBinaryData){sizeof(uuid), uuid};
        s.data = (ProtobufCBinaryData){sizeof(data), data};
        s.timestamp = NAN;
        executor_update(f->x, &s);
        return status_stream_knows(&task_find(&f->agent, "f", task)->updates, uuid, sizeof(uuid));
}

static void what_waits_for_a_framework_is_bounded(void **state)
{
        struct fixture *f = *state;
        uint8_t taken = 0;

        start_with(f, "t1", "t2");
        acknowledge_all(f, "t1");
        while (taken < 100 && update_large(f, "t1", STATE(RUNNING), (uint8_t)(taken + 1)))
                taken++;
        assert_int_equal(taken, EXECUTOR_UPDATES_BYTES_MAX / (1u << 20) - 1);
        assert_true(isfinite(newest(f, "t1")->timestamp));
        assert_false(update_large(f, "t2", STATE(RUNNING), 200));
        /* The end is told all the same. */
        assert_true(update_large(f, "t2", STATE(FINISHED), 201));
        assert_int_equal(newest(f, "t2")->state, STATE(FINISHED));
        assert_int_equal(newest(f, "t2")->has_data, false);
        assert_true(strlen(newest(f, "t2")->message) < EXECUTOR_LAST_WORD_MAX + 16);
        acknowledge_all(f, "t1");
        assert_int_equal(task_find(&f->agent, "f", "t1")->updates.bytes, 0);
        assert_true(update_large(f, "t1", STATE(RUNNING), 202));
}

static void limits_follow_the_tasks(void **state)
{
        struct fixture *f = *state;

        start_with(f, "t1", "t2");
        const struct container_limits *l = executor_limits(f->x);
        assert_int_equal(l->milli_cpus, 100 + 500 + 500);
        assert_int_equal(l->memory_limit_bytes, (uint64_t)(64 + 100 + 100) << 20);
        update(f, "t1", "TASK_FAILED", UUID_A);
        l = executor_limits(f->x);
        assert_int_equal(l->milli_cpus, 100 + 500);
        assert_int_equal(l->memory_limit_bytes, (uint64_t)(64 + 100) << 20);
}

static void memory_is_never_taken_from_under_what_is_used(void **state)
{
        const uint64_t mib = 1 << 20;

        assert_int_equal(executor_memory_step(400 * mib, 200 * mib, 100 * mib), 200 * mib);
        assert_int_equal(executor_memory_step(400 * mib, 200 * mib, 0), 200 * mib);
        assert_int_equal(executor_memory_step(400 * mib, 200 * mib, 320 * mib), 360 * mib);
        assert_int_equal(executor_memory_step(400 * mib, 200 * mib, 390 * mib), 400 * mib);
        assert_int_equal(executor_memory_step(400 * mib, 8 * mib, 8 * mib + 1), 13 * mib);
}

static void states(void **state)
{
        static const bool expected[EXECUTOR_STATE_MAX][EXECUTOR_STATE_MAX] = {
                {false, true, true, true},
                {false, false, true, true},
                {false, false, false, true},
                {false, false, false, false},
        };

        for (int from = 0; from < EXECUTOR_STATE_MAX; from++)
                for (int to = 0; to < EXECUTOR_STATE_MAX; to++)
                        assert_int_equal(executor_state_allowed(from, to), expected[from][to]);
}

static void outcomes(void **state)
{
        struct shim_record r = {.started_wall_ns = 1, .finished_wall_ns = 2, .wait_status = 7 << 8};
        struct task_facts facts = {.has_record = true, .record = &r, .kill_asked = true};
        _cleanup_outcome_ struct task_outcome o = {0}, never = {0};

        executor_outcome_decide(&facts, &o);
        assert_int_equal(o.state, STATE(FAILED));
        assert_int_equal(o.reason, REASON(EXECUTOR_TERMINATED));
        assert_string_equal(o.message, "Executor exited with status 7");
        assert_int_equal(executor_wait_status(&r), 7 << 8);
        r = (struct shim_record){.finished_wall_ns = 2, .failed_errno = ENOENT, .failed_stage = "exec"};
        executor_outcome_decide(&facts, &never);
        assert_int_equal(never.reason, REASON(CONTAINER_LAUNCH_FAILED));
        assert_int_equal(executor_wait_status(&r), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(tasks_wait_for_the_subscription),
                TEST(updates_are_on_disk_before_they_are_acknowledged),
                TEST(repeated_and_late_updates_are_only_acknowledged),
                TEST(kills),
                TEST(a_kill_without_a_stream_is_told_later),
                TEST(an_executor_that_nobody_needs_is_shut_down),
                TEST(subscribing_again_merges),
                TEST(frameworks_that_know_partitions_hear_dropped),
                TEST(its_end_is_the_end_of_its_tasks),
                TEST(a_removed_framework_hears_nothing),
                TEST(a_removed_framework_gives_no_time),
                TEST(what_waits_for_a_framework_is_bounded),
                TEST(limits_follow_the_tasks),
                cmocka_unit_test(memory_is_never_taken_from_under_what_is_used),
                cmocka_unit_test(states),
                cmocka_unit_test(outcomes),
        };

        return cmocka_run_group_tests_name("agent/executors", tests, NULL, NULL);
}
