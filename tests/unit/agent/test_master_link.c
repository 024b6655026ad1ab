/* The link and the commands against a master made of the real HTTP server: no privilege, nothing is launched. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/master_link.h"
#include "agent/task.h"
#include "lib/base/log.h"
#include "lib/net/codec.h"
#include "lib/net/http_server.h"

#define DEADLINE_NS (10 * NSEC_PER_SEC)
#define CALLS_MAX 64

struct fixture {
        char path[64];
        struct agent agent;
        struct agent_options options;
        struct http_server *server;
        struct http_stream *stream;
        struct loop_timer *deadline;
        uint64_t epoch;
        bool acknowledge;
        Mete__Agent__Call *calls[CALLS_MAX];
        size_t count;
        /* The loop stops at the first call of this type (and task state), once it was seen so often. */
        Mete__Agent__Call__Type wanted;
        size_t wanted_count;
};

/* ---- the master's side ---- */

static void send_command(struct fixture *f, Mete__Agent__Command *c)
{
        _cleanup_buffer_ struct buffer b = {0};

        c->epoch = f->epoch;
        assert_non_null(f->stream);
        assert_int_equal(message_encode(CODEC_PROTOBUF, &c->base, &b), 0);
        assert_int_equal(http_stream_record(f->stream, b.data, b.len), 0);
}

static void send_json(struct fixture *f, const char *json)
{
        _cleanup_error_ struct error e = {0};
        ProtobufCMessage *m;

        if (message_decode(CODEC_JSON, &mete__agent__command__descriptor, json, strlen(json), &m, &e) < 0)
                fail_msg("%s", error_message(&e));
        send_command(f, (Mete__Agent__Command *)m);
        message_free(m);
}

static void acknowledge(struct fixture *f, const Mete__Agent__StatusUpdate *u)
{
        Mete__Agent__Command c = METE__AGENT__COMMAND__INIT;
        Mete__Agent__Command__Acknowledge a = METE__AGENT__COMMAND__ACKNOWLEDGE__INIT;

        a.framework_id = u->framework_id;
        a.task_id = u->status->task_id;
        a.uuid = u->status->uuid;
        c.type = METE__AGENT__COMMAND__TYPE__ACKNOWLEDGE;
        c.acknowledge = &a;
        send_command(f, &c);
}

static void on_stream_close(struct http_stream *s, void *userdata)
{
        struct fixture *f = userdata;

        if (f->stream == s)
                f->stream = NULL;
}

static size_t seen(const struct fixture *f, Mete__Agent__Call__Type type)
{
        size_t n = 0;

        for (size_t i = 0; i < f->count; i++)
                n += f->calls[i]->type == type;
        return n;
}

static void on_call(struct http_request *r, void *userdata)
{
        struct fixture *f = userdata;
        _cleanup_error_ struct error e = {0};
        ProtobufCMessage *m;
        size_t n;

        const void *body = http_request_body(r, &n);
        assert_int_equal(message_decode(CODEC_PROTOBUF, &mete__agent__call__descriptor, body, n, &m, &e), 0);
        Mete__Agent__Call *call = (Mete__Agent__Call *)m;
        assert_true(f->count < CALLS_MAX);
        f->calls[f->count++] = call;
        if (call->type == METE__AGENT__CALL__TYPE__SUBSCRIBE) {
                f->stream = http_stream_open(r, codec_content_type(CODEC_PROTOBUF), on_stream_close, f);
                send_json(f, "{\"type\":\"SUBSCRIBED\",\"epoch\":0,\"subscribed\":{\"agent_id\":{\"value\":"
                             "\"u-S1\"},"
                             "\"stream_id\":\"s1\",\"ping_interval_ms\":60000,\"usage_interval_ms\":60000}}");
        } else {
                http_respond(r, 202, NULL, NULL, 0);
                if (f->acknowledge && call->update && call->update->status->has_uuid)
                        acknowledge(f, call->update);
        }
        if (seen(f, f->wanted) >= f->wanted_count)
                loop_stop(f->agent.loop);
}

static void on_deadline(struct loop_timer *t, void *userdata)
{
        struct fixture *f = userdata;

        fail_msg("waited in vain for %zu calls of type %d", f->wanted_count, (int)f->wanted);
}

static const Mete__Agent__Call *wait_for(struct fixture *f, Mete__Agent__Call__Type type, size_t count)
{
        f->wanted = type;
        f->wanted_count = count;
        loop_timer_arm(f->deadline, DEADLINE_NS, 0);
        if (seen(f, type) < count)
                assert_int_equal(loop_run(f->agent.loop), 0);
        loop_timer_disarm(f->deadline);
        for (size_t i = f->count; i > 0; i--)
                if (f->calls[i - 1]->type == type)
                        return f->calls[i - 1];
        return NULL;
}

/* ---- the agent's side ---- */

static int open_dir(const struct fixture *f, const char *name)
{
        char path[128];

        (void)snprintf(path, sizeof(path), "%s/%s", f->path, name);
        assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(fd >= 0);
        return fd;
}

static int setup(void **state)
{
        _cleanup_error_ struct error e = {0};
        struct fixture *f = NEW0(struct fixture);
        struct agent *a = &f->agent;
        uint16_t port;

        log_set_level(LOG_LEVEL_ERROR);
        (void)snprintf(f->path, sizeof(f->path), "/tmp/mete-test-link-XXXXXX");
        assert_non_null(mkdtemp(f->path));
        assert_int_equal(loop_new(&a->loop, &e), 0);
        assert_int_equal(http_server_new(a->loop, NULL, &f->server, &e), 0);
        http_server_route(f->server, "/mete/v1/agent", "POST", on_call, f);
        assert_int_equal(http_server_listen(f->server, "127.0.0.1", 0, &port, &e), 0);
        f->options = (struct agent_options){.master_host = (char *)"127.0.0.1",
                .master_port = port,
                .hostname = (char *)"h",
                .port = 1,
                .work_dir = f->path,
                .milli_cpus = 2000,
                .memory_bytes = UINT64_C(1) << 30};
        a->options = &f->options;
        a->endpoint = (char *)"127.0.0.1:1";
        a->measurement = (char *)"cgroup: a test";
        (void)snprintf(a->boot_id, sizeof(a->boot_id), "b");
        a->work_fd = open_dir(f, ".");
        a->meta_fd = open_dir(f, "meta");
        a->checkpoints_fd = open_dir(f, "containers");
        a->states_fd = open_dir(f, "states");
        assert_int_equal(identity_open(&a->identity, a->meta_fd, &e), 0);
        assert_int_equal(worker_pool_new(a->loop, 1, 64, &a->pool, &e), 0);
        gc_start(&a->gc, a->loop, a->pool, a->work_fd, NSEC_PER_SEC, 10);
        a->sampler = usage_sampler_new(a);
        a->link = master_link_new(a);
        f->deadline = loop_timer_new(a->loop, on_deadline, f);
        f->epoch = 5;
        f->acknowledge = true;
        master_link_start(a->link);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;
        struct agent *a = &f->agent;
        struct agent_container *c, *tmp;

        a->link = master_link_free(a->link);
        a->sampler = usage_sampler_free(a->sampler);
        HASH_ITER (hh, a->containers, c, tmp)
                container_free(c);
        gc_stop(&a->gc);
        worker_pool_free(a->pool);
        http_server_free(f->server);
        loop_timer_free(f->deadline);
        loop_free(a->loop);
        identity_done(&a->identity);
        close_fd(a->work_fd);
        close_fd(a->meta_fd);
        close_fd(a->checkpoints_fd);
        close_fd(a->states_fd);
        for (size_t i = 0; i < f->count; i++)
                message_free(f->calls[i]);
        int r = remove_tree_at(AT_FDCWD, f->path);
        free(f);
        return r;
}

#define UPDATE METE__AGENT__CALL__TYPE__UPDATE
#define BAD_LAUNCH(id)                                                                                       \
        "{\"type\":\"LAUNCH\",\"epoch\":0,\"launch\":{\"framework\":{\"user\":\"u\",\"name\":\"n\","         \
        "\"id\":{\"value\":\"f\"}},\"task\":{\"name\":\"t\",\"task_id\":{\"value\":\"" id                    \
        "\"},\"agent_id\":{\"value\":\"u-S1\"},\"command\":{\"value\":\"true\"}}}}"

static void registers_and_answers_pings(void **state)
{
        struct fixture *f = *state;

        const Mete__Agent__Call *c = wait_for(f, METE__AGENT__CALL__TYPE__SUBSCRIBE, 1);
        assert_null(c->agent_id);
        assert_int_equal(c->subscribe->agent_info->n_resources, 4); /* cpus, mem, ports, disk */
        send_json(f, "{\"type\":\"PING\",\"epoch\":0}");
        c = wait_for(f, METE__AGENT__CALL__TYPE__PONG, 1);
        assert_string_equal(c->agent_id->value, "u-S1");
        assert_string_equal(c->stream_id, "s1");
        assert_string_equal(f->agent.identity.agent_id, "u-S1");
        assert_int_equal(f->agent.identity.highest_epoch, 5);
}

static void unknown_tasks_are_told(void **state)
{
        struct fixture *f = *state;

        (void)wait_for(f, METE__AGENT__CALL__TYPE__SUBSCRIBE, 1);
        send_json(f, "{\"type\":\"KILL\",\"epoch\":0,\"kill\":{\"framework_id\":{\"value\":\"f\"},\"task_"
                     "id\":{\"value\":\"gone\"}}}");
        const Mete__Agent__Call *c = wait_for(f, UPDATE, 1);
        assert_string_equal(c->update->status->task_id->value, "gone");
        assert_int_equal(c->update->status->state, METE__V1__TASK_STATE__TASK_LOST);
}

static void refused_launches_are_kept_until_acknowledged(void **state)
{
        struct fixture *f = *state;
        uint8_t uuid[UUID_BYTES];

        f->acknowledge = false;
        (void)wait_for(f, METE__AGENT__CALL__TYPE__SUBSCRIBE, 1);
        send_json(f, BAD_LAUNCH("17.0"));
        const Mete__Agent__Call *c = wait_for(f, UPDATE, 1);
        assert_int_equal(c->update->status->state, METE__V1__TASK_STATE__TASK_ERROR);
        assert_non_null(strstr(c->update->status->message, "task.resources: cpus"));
        memcpy(uuid, c->update->status->uuid.data, UUID_BYTES);
        struct agent_task *k = task_find(&f->agent, "f", "17.0");
        assert_non_null(k);
        assert_int_equal(k->container->state, CONTAINER_STATE_ENDED);

        /* The connection breaks: the same update again, at once, and the task in the registration. */
        http_stream_close(f->stream);
        f->stream = NULL;
        c = wait_for(f, METE__AGENT__CALL__TYPE__SUBSCRIBE, 2);
        assert_int_equal(c->subscribe->n_tasks, 1);
        assert_int_equal(c->subscribe->tasks[0]->state, METE__V1__TASK_STATE__TASK_ERROR);
        assert_int_equal(c->subscribe->highest_epoch, 5);
        c = wait_for(f, UPDATE, 2);
        assert_memory_equal(c->update->status->uuid.data, uuid, UUID_BYTES);

        acknowledge(f, c->update);
        send_json(f, "{\"type\":\"PING\",\"epoch\":0}");
        (void)wait_for(f, METE__AGENT__CALL__TYPE__PONG, 1);
        assert_null(task_find(&f->agent, "f", "17.0"));
        _cleanup_free_ char *dir = xasprintf("%s/containers", f->path);
        assert_int_equal(rmdir(dir), 0); /* empty: the checkpoint is gone */
}

static void send_framework(struct fixture *f, const char *id)
{
        _cleanup_free_ char *json =
                xasprintf("{\"type\":\"UPDATE_FRAMEWORK\",\"epoch\":0,\"update_framework\":{\"framework\":"
                          "{\"user\":\"\",\"name\":\"x\",\"id\":{\"value\":\"%s\"}}}}",
                        id);

        send_json(f, json);
}

static void a_scheduler_that_came_back_hears_at_once_what_it_missed(void **state)
{
        struct fixture *f = *state;
        uint8_t uuid[UUID_BYTES];

        f->acknowledge = false;
        (void)wait_for(f, METE__AGENT__CALL__TYPE__SUBSCRIBE, 1);
        send_json(f, BAD_LAUNCH("17.0"));
        memcpy(uuid, wait_for(f, UPDATE, 1)->update->status->uuid.data, UUID_BYTES);
        send_framework(f, "another");
        send_json(f, "{\"type\":\"PING\",\"epoch\":0}");
        (void)wait_for(f, METE__AGENT__CALL__TYPE__PONG, 1);
        assert_int_equal(seen(f, UPDATE), 1);
        send_framework(f, "f");
        const Mete__Agent__Call *c = wait_for(f, UPDATE, 2);
        assert_memory_equal(c->update->status->uuid.data, uuid, UUID_BYTES);
}

static void ids_that_are_paths_name_nothing(void **state)
{
        struct fixture *f = *state;

        (void)wait_for(f, METE__AGENT__CALL__TYPE__SUBSCRIBE, 1);
        send_json(f, BAD_LAUNCH("../../x"));
        const Mete__Agent__Call *c = wait_for(f, UPDATE, 1);
        assert_int_equal(c->update->status->state, METE__V1__TASK_STATE__TASK_ERROR);
        assert_null(f->agent.containers);
}

static void a_deposed_leader_is_not_obeyed(void **state)
{
        struct fixture *f = *state;

        (void)wait_for(f, METE__AGENT__CALL__TYPE__SUBSCRIBE, 1);
        send_json(f, "{\"type\":\"PING\",\"epoch\":0}");
        (void)wait_for(f, METE__AGENT__CALL__TYPE__PONG, 1);
        f->epoch = 4;
        send_json(f, BAD_LAUNCH("17.0"));
        /* It leaves and comes back, having done nothing. */
        (void)wait_for(f, METE__AGENT__CALL__TYPE__SUBSCRIBE, 2);
        assert_int_equal(seen(f, UPDATE), 0);
        assert_null(f->agent.containers);
        assert_int_equal(f->agent.identity.highest_epoch, 5);
        f->epoch = 6;
        (void)wait_for(f, METE__AGENT__CALL__TYPE__SUBSCRIBE, 3);
        send_json(f, "{\"type\":\"PING\",\"epoch\":0}");
        (void)wait_for(f, METE__AGENT__CALL__TYPE__PONG, 2);
        assert_int_equal(f->agent.identity.highest_epoch, 6);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(registers_and_answers_pings),
                TEST(unknown_tasks_are_told),
                TEST(refused_launches_are_kept_until_acknowledged),
                TEST(a_scheduler_that_came_back_hears_at_once_what_it_missed),
                TEST(ids_that_are_paths_name_nothing),
                TEST(a_deposed_leader_is_not_obeyed),
        };

        return cmocka_run_group_tests_name("agent/master_link", tests, NULL, NULL);
}
