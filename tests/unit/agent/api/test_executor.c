/*
 * The table of executors' calls over raw sockets, in both encodings; who may speak for an executor, from real cgroups. The executors themselves are
 * simulated: what is asked of them is noted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include "agent/api/api_internal.h"
#include "agent/api/executor_token.h"
#include "agent/executors/executor.h"
#include "lib/base/id.h"
#include "tests/unit/agent/api/client.h"

#define AGENT_ID "33333333-3333-4333-8333-333333333333-S1"
#define CONTAINER_ID "11111111-1111-4111-8111-111111111111"
#define OTHER_CONTAINER_ID "22222222-2222-4222-8222-222222222222"

/* ---- simulated executors ---- */

struct agent_executor {
        const struct cgroup *cgroup;
        struct executor_link *link;
        Mete__V1__ExecutorInfo info;
        Mete__V1__ExecutorID id;
        unsigned updates, messages, subscribed, lost;
        size_t unacknowledged;
        bool recovering;
};
static struct agent_executor the_executor;

struct agent_executor *executor_find(struct agent *a, const char *framework_id, const char *executor_id)
{
        (void)a;
        return str_equal(framework_id, "f1") && str_equal(executor_id, "e1") ? &the_executor : NULL;
}

const char *executor_container_id(const struct agent_executor *x)
{
        (void)x;
        return CONTAINER_ID;
}

const Mete__V1__ExecutorInfo *executor_info(const struct agent_executor *x)
{
        return &x->info;
}

const struct cgroup *executor_cgroup(const struct agent_executor *x)
{
        return x->cgroup;
}

bool executor_is_subscribed(const struct agent_executor *x)
{
        return x->link != NULL;
}

bool executors_recovering(const struct agent *a)
{
        (void)a;
        return the_executor.recovering;
}

static void send_event(struct executor_link *l, Mete__V1__Executor__Event__Type type)
{
        Mete__V1__Executor__Event e = METE__V1__EXECUTOR__EVENT__INIT;

        e.has_type = true;
        e.type = type;
        assert_int_equal(executor_link_send(l, &e), 0);
}

void executor_subscribe(
        struct agent_executor *x, struct executor_link *link, const Mete__V1__Executor__Call__Subscribe *s)
{
        (void)executor_link_close(x->link);
        x->link = link;
        x->subscribed++;
        x->unacknowledged = s->n_unacknowledged_updates;
        send_event(link, METE__V1__EXECUTOR__EVENT__TYPE__SHUTDOWN);
}

void executor_unsubscribed(struct agent_executor *x, struct executor_link *link)
{
        assert_ptr_equal(x->link, link);
        assert_null(executor_link_close(link)); /* harmless here */
        x->link = NULL;
        x->lost++;
}

void executor_update(struct agent_executor *x, const Mete__V1__TaskStatus *status)
{
        assert_int_equal(status->uuid.len, UUID_BYTES);
        x->updates++;
}

void executor_message(struct agent_executor *x, const void *data, size_t len)
{
        assert_int_equal(len, 2);
        assert_memory_equal(data, "hi", 2);
        x->messages++;
}

/* ---- fixture ---- */

struct fixture {
        struct agent agent;
        struct agent_options options;
        struct agent_api api;
        struct client client;
        struct cgroup *inside, *below, *other;
        char directory[64];
        char *socket;
};

static void open_groups(struct fixture *f)
{
        _cleanup_error_ struct error e = {0};
        _cleanup_free_ char *root = xasprintf("mete/test-unit-%d", (int)getpid());

        if (cgroup_root_open("/", root, &f->agent.host.cgroups, &e) < 0 ||
                cgroup_create(f->agent.host.cgroups, "containers/" CONTAINER_ID, &f->inside, &e) < 0 ||
                cgroup_create(f->agent.host.cgroups, "containers/" OTHER_CONTAINER_ID, &f->other, &e) < 0)
                fail_msg("%s", error_message(&e));
}

static int set_up(void **state)
{
        struct fixture *f = NEW0(struct fixture);
        _cleanup_error_ struct error e = {0};

        the_executor = (struct agent_executor){
                .info = METE__V1__EXECUTOR_INFO__INIT, .id = METE__V1__EXECUTOR_ID__INIT};
        the_executor.id.value = (char *)"e1";
        the_executor.info.executor_id = &the_executor.id;
        (void)snprintf(f->directory, sizeof(f->directory), "/tmp/mete-unit-XXXXXX");
        assert_non_null(mkdtemp(f->directory));
        f->options.runtime_dir = f->directory;
        f->options.http_heartbeat_interval_ns = 3600 * NSEC_PER_SEC;
        f->agent.options = &f->options;
        f->agent.identity.agent_id = (char *)AGENT_ID;
        f->agent.runtime_fd = open(f->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        f->agent.socket_dir = xasprintf("%s/" AGENT_SOCKET_DIR_NAME, f->directory);
        f->agent.api = &f->api;
        f->api.agent = &f->agent;
        assert_int_equal(loop_new(&f->agent.loop, &e), 0);
        assert_int_equal(http_server_new(f->agent.loop, NULL, &f->api.server, &e), 0);
        assert_int_equal(http_server_listen(f->api.server, "127.0.0.1", 0, &f->client.port, &e), 0);
        assert_int_equal(api_listen_unix(&f->agent, f->api.server, &e), 0);
        api_executor_routes(&f->api);
        f->client.loop = f->agent.loop;
        f->socket = xasprintf("%s/agent.sock", f->directory);
        *state = f;
        return 0;
}

static int tear_down(void **state)
{
        struct fixture *f = *state;
        _cleanup_error_ struct error e = {0};

        (void)http_server_free(f->api.server);
        assert_null(the_executor.link);
        (void)loop_free(f->agent.loop);
        (void)cgroup_free(f->inside);
        (void)cgroup_free(f->below);
        (void)cgroup_free(f->other);
        if (f->agent.host.cgroups) {
                assert_int_equal(cgroup_root_destroy(f->agent.host.cgroups, 10 * NSEC_PER_SEC, &e), 0);
                (void)cgroup_root_free(f->agent.host.cgroups);
        }
        (void)close(f->agent.runtime_fd);
        assert_int_equal(remove_tree_at(AT_FDCWD, f->directory), 0);
        free(f->agent.socket_dir);
        free(f->socket);
        free(f->api.jwt_key);
        free(f);
        return 0;
}

/* ---- speaking ---- */

static char *call(struct fixture *f, const char *method, const char *headers, const void *body, size_t len)
{
        _cleanup_buffer_ struct buffer b = {0};

        buffer_printf(&b,
                "%s /slave%%281%%29/api/v1/executor HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                "Content-Length: %zu\r\n%s\r\n",
                method, len, headers);
        buffer_append(&b, body, len);
        return client_exchange(&f->client, b.data, b.len);
}

/* JSON text, as it is or as protobuf (through our own codec, which is tested elsewhere). */
static int call_status(struct fixture *f, enum codec codec, const char *headers, const char *json)
{
        _cleanup_free_ char *all = xasprintf("Content-Type: %s\r\n%s", codec_content_type(codec), headers);
        _cleanup_buffer_ struct buffer b = {0};
        _cleanup_free_ char *answer = NULL;

        if (codec == CODEC_JSON) {
                answer = call(f, "POST", all, json, strlen(json));
        } else {
                ProtobufCMessage *m;
                if (message_decode(CODEC_JSON, &mete__v1__executor__call__descriptor, json, strlen(json), &m,
                            NULL) < 0) {
                        /* Without a required field there is no message to encode: its bytes without it. */
                        answer = call(f, "POST", all, "\x18\x01", 2);
                } else {
                        assert_int_equal(message_encode(codec, m, &b), 0);
                        message_free(m);
                        answer = call(f, "POST", all, b.data, b.len);
                }
        }
        return client_status(answer);
}

#define WHO "\"executor_id\":{\"value\":\"e1\"},\"framework_id\":{\"value\":\"f1\"}"
#define UUID "\"uuid\":\"AAAAAAAAAAAAAAAAAAAAAA==\""
#define UPDATE(status)                                                                                       \
        "{\"type\":\"UPDATE\"," WHO ",\"update\":{\"status\":{\"task_id\":{\"value\":\"t\"}," status "}}}"
#define SOURCE "\"source\":\"SOURCE_EXECUTOR\""
#define RUNNING "\"state\":\"TASK_RUNNING\""
#define MESSAGE "{\"type\":\"MESSAGE\"," WHO ",\"message\":{\"data\":\"aGk=\"}}"
#define HEARTBEAT "{\"type\":\"HEARTBEAT\"," WHO "}"

static const struct row {
        const char *body, *headers;
        int status;
} rows[] = {
        {"{" WHO "}", "", 400},
        {"{\"type\":\"NONSENSE\"," WHO "}", "", 400},
        {"{\"type\":\"MESSAGE\",\"framework_id\":{\"value\":\"f1\"}}", "", 400},
        {"{\"type\":\"MESSAGE\",\"executor_id\":{\"value\":\"e1\"}}", "", 400},
        {"{\"type\":\"MESSAGE\"," WHO "}", "", 400},
        {"{\"type\":\"UPDATE\"," WHO "}", "", 400},
        {"{\"type\":\"HEARTBEAT\",\"executor_id\":{\"value\":\"../e1\"},\"framework_id\":{\"value\":\"f1\"}}",
                "", 400},
        {UPDATE(RUNNING "," SOURCE), "", 400},
        {UPDATE(RUNNING "," SOURCE ",\"uuid\":\"AAAA\""), "", 400},
        {UPDATE(RUNNING "," UUID), "", 400},
        {UPDATE(RUNNING "," UUID ",\"source\":\"SOURCE_MASTER\""), "", 400},
        {UPDATE("\"state\":\"TASK_STAGING\"," SOURCE "," UUID), "", 400},
        {UPDATE(RUNNING "," SOURCE "," UUID ",\"executor_id\":{\"value\":\"e2\"}"), "", 400},
        {UPDATE(RUNNING "," SOURCE "," UUID ",\"agent_id\":{\"value\":\"a2\"}"), "", 400},
        {"{\"type\":\"SUBSCRIBE\"," WHO
         ",\"subscribe\":{\"unacknowledged_updates\":[{\"status\":{\"task_id\":{\"value\":\"t\"},"
         "\"state\":\"TASK_RUNNING\"}}]}}",
                "", 400},
        {"{\"type\":\"SUBSCRIBE\"," WHO "}", "Accept: text/html\r\n", 406},
        {"{\"type\":\"SUBSCRIBE\",\"executor_id\":{\"value\":\"e2\"},\"framework_id\":{\"value\":\"f1\"}}",
                "Accept: text/html\r\n", 406},
        {HEARTBEAT, "Accept: text/html\r\n", 202},
        {"{\"type\":\"HEARTBEAT\",\"executor_id\":{\"value\":\"e2\"},\"framework_id\":{\"value\":\"f1\"}}",
                "", 202},
        {"{\"type\":\"SUBSCRIBE\",\"executor_id\":{\"value\":\"e2\"},\"framework_id\":{\"value\":\"f1\"}}",
                "", 400},
        {"{\"type\":\"SUBSCRIBE\",\"executor_id\":{\"value\":\"e1\"},\"framework_id\":{\"value\":\"f2\"}}",
                "", 400},
        {"{\"type\":\"MESSAGE\",\"executor_id\":{\"value\":\"e2\"},\"framework_id\":{\"value\":\"f1\"},"
         "\"message\":{\"data\":\"\"}}",
                "", 400},
        {UPDATE(RUNNING "," SOURCE "," UUID), "", 403},
        {MESSAGE, "", 403},
};

static void test_check_order(void **state)
{
        struct fixture *f = *state;

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                for (enum codec c = 0; c < CODEC_MAX; c++) {
                        int status = call_status(f, c, rows[i].headers, rows[i].body);
                        if (status != rows[i].status)
                                fail_msg("%d in place of %d for %s", status, rows[i].status, rows[i].body);
                }
        assert_int_equal(the_executor.updates + the_executor.messages + the_executor.subscribed, 0);
}

static void test_forms(void **state)
{
        static const struct {
                const char *method, *headers, *body;
                int status;
        } cases[] = {
                {"GET", "", "", 405},
                {"PUT", "Content-Type: text/plain\r\n", "", 405},
                {"DELETE", "", "", 405},
                {"POST", "", HEARTBEAT, 400},
                {"POST", "Content-Type: text/plain\r\n", HEARTBEAT, 415},
                {"POST", "Content-Type: application/json; charset=utf-8\r\n", HEARTBEAT, 415},
                {"POST", "Content-Type: Application/Json\r\n", HEARTBEAT, 415},
                {"POST", "Content-Type: application/json\r\n", "{", 400},
                {"POST", "Content-Type: application/json\r\n", "", 400},
                {"POST", "Content-Type: application/json\r\n", "[]", 400},
                {"POST", "Content-Type: application/x-protobuf\r\n", "\xff\xff\xff", 400},
                {"POST", "Content-Type: application/x-protobuf\r\n", HEARTBEAT, 400},
        };
        struct fixture *f = *state;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *answer =
                        call(f, cases[i].method, cases[i].headers, cases[i].body, strlen(cases[i].body));
                if (client_status(answer) != cases[i].status)
                        fail_msg("%zu: %s", i, answer);
                if (cases[i].status == 405)
                        assert_non_null(strstr(answer, "\r\nAllow: POST\r\n"));
        }
}

static void test_not_ready(void **state)
{
        struct fixture *f = *state;

        f->agent.identity.agent_id = NULL;
        _cleanup_free_ char *answer = call(f, "GET", "", "", 0);
        assert_int_equal(client_status(answer), 503);
        f->agent.identity.agent_id = (char *)AGENT_ID;
        the_executor.recovering = true;
        for (enum codec c = 0; c < CODEC_MAX; c++) {
                assert_int_equal(call_status(f, c, "", MESSAGE), 503);
                assert_int_equal(call_status(f, c, "", HEARTBEAT), 202);
                assert_int_equal(
                        call_status(f, c, "Accept: a/b\r\n", "{\"type\":\"SUBSCRIBE\"," WHO "}"), 406);
        }
}

/* ---- streams ---- */

static char *subscribe(struct fixture *f, const char *headers, const char *subscription, const char *until)
{
        _cleanup_free_ char *body = xasprintf("{\"type\":\"SUBSCRIBE\"," WHO "%s}", subscription);
        _cleanup_free_ char *all = xasprintf("Content-Type: application/json\r\n%s", headers);

        f->client.until = until;
        char *answer = call(f, "POST", all, body, strlen(body));
        f->client.until = NULL;
        return answer;
}

static void test_stream_json(void **state)
{
        _cleanup_free_ char *answer = subscribe(*state, "", "", "SHUTDOWN");

        assert_int_equal(client_status(answer), 200);
        assert_non_null(strstr(answer, "\r\nContent-Type: application/json\r\n"));
        assert_non_null(strstr(answer, "\r\nTransfer-Encoding: chunked\r\n"));
        assert_null(strstr(answer, "Mesos-Stream-Id"));
        assert_null(strstr(answer, "Content-Length"));
        assert_non_null(strstr(answer, "\r\n\r\n16\r\n19\n{\"type\":\"SHUTDOWN\"}\r\n"));
}

static void test_stream_protobuf(void **state)
{
        _cleanup_free_ char *answer =
                subscribe(*state, "Accept: application/x-protobuf\r\n", ",\"subscribe\":{}", "\x08\x07\r\n");

        assert_int_equal(client_status(answer), 200);
        assert_non_null(strstr(answer, "\r\nContent-Type: application/x-protobuf\r\n"));
        assert_non_null(strstr(answer, "\r\n\r\n4\r\n2\n\x08\x07\r\n"));
}

static void on_tick(struct loop_timer *t, void *userdata)
{
        struct loop *l = userdata;

        (void)t;
        if (the_executor.lost > 0)
                loop_stop(l);
}

/* Serves until the agent has seen that the client of the last exchange is gone. */
static void wait_for_loss(struct fixture *f)
{
        struct loop_timer *t = loop_timer_new(f->agent.loop, on_tick, f->agent.loop);

        loop_timer_arm(t, NSEC_PER_MSEC, 5 * NSEC_PER_MSEC);
        assert_int_equal(loop_run(f->agent.loop), 0);
        (void)loop_timer_free(t);
}

static void test_stream_ends(void **state)
{
        struct fixture *f = *state;
        _cleanup_free_ char *answer = subscribe(f, "", "", "SHUTDOWN");

        assert_non_null(the_executor.link);
        wait_for_loss(f);
        assert_null(the_executor.link);
        assert_null(f->api.links);
        assert_int_equal(call_status(f, CODEC_JSON, "", MESSAGE), 403);
}

static void test_second_subscription(void **state)
{
        struct fixture *f = *state;
        static const char updates[] = ",\"subscribe\":{\"unacknowledged_updates\":[{\"status\":{\"task_id\":{"
                                      "\"value\":\"t\"}," RUNNING "," SOURCE "," UUID "}}]}";
        _cleanup_free_ char *first = subscribe(f, "", "", "SHUTDOWN");
        struct executor_link *old = the_executor.link;
        _cleanup_free_ char *second = subscribe(f, "", updates, "SHUTDOWN");

        assert_int_equal(client_status(first), 200);
        assert_int_equal(client_status(second), 200);
        assert_non_null(the_executor.link);
        assert_true(the_executor.subscribed == 2);
        assert_true(the_executor.link != old || the_executor.lost == 1);
        assert_int_equal(the_executor.unacknowledged, 1);
}

/* While the stream is open, on connections of their own. */
static void test_calls_of_a_subscribed_executor(void **state)
{
        struct fixture *f = *state;
        struct client *c = &f->client;
        static const char body[] = "{\"type\":\"SUBSCRIBE\"," WHO "}";
        _cleanup_buffer_ struct buffer b = {0};
        int fd = -1;

        buffer_printf(&b,
                "POST /api/v1/executor HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                "application/json\r\nContent-Length: "
                "%zu\r\n\r\n%s",
                strlen(body), body);
        fd = client_connect(c);
        assert_int_equal(write_all(fd, b.data, b.len), 0);
        for (enum codec e = 0; e < CODEC_MAX; e++) {
                assert_int_equal(call_status(f, e, "", MESSAGE), 202);
                assert_int_equal(call_status(f, e, "", UPDATE(RUNNING "," SOURCE "," UUID)), 202);
                assert_int_equal(call_status(f, e, "",
                                         UPDATE("\"state\":\"TASK_FINISHED\"," SOURCE "," UUID
                                                ",\"executor_id\":{\"value\":\"e1\"},\"agent_id\":{"
                                                "\"value\":\"" AGENT_ID "\"}")),
                        202);
        }
        assert_int_equal(the_executor.messages, 2);
        assert_int_equal(the_executor.updates, 4);
        (void)close(fd);
        wait_for_loss(f);
}

static void test_heartbeats(void **state)
{
        struct fixture *f = *state;

        f->options.http_heartbeat_interval_ns = 5 * NSEC_PER_MSEC;
        _cleanup_free_ char *answer = subscribe(f, "", "", "HEARTBEAT\"}\r\n");
        assert_non_null(strstr(answer, "20\n{\"type\":\"HEARTBEAT\"}\r\n"));
        wait_for_loss(f);
}

/* ---- who may speak ---- */

static void test_containers(void **state)
{
        struct fixture *f = *state;
        _cleanup_error_ struct error e = {0};

        open_groups(f);
        the_executor.cgroup = f->inside;
        assert_int_equal(
                cgroup_create(f->agent.host.cgroups, "containers/" CONTAINER_ID "/sub", &f->below, &e), 0);
        const uint16_t port = f->client.port;
        for (unsigned by_path = 0; by_path < 2; by_path++) {
                f->client.port = by_path ? 0 : port;
                f->client.path = f->socket;
                f->client.place = NULL; /* root, outside */
                _cleanup_free_ char *root = subscribe(f, "", "", "SHUTDOWN");
                assert_int_equal(client_status(root), 200);
                f->client.place = f->below;
                _cleanup_free_ char *below = subscribe(f, "", "", "SHUTDOWN");
                assert_int_equal(client_status(below), 200);
                for (unsigned insecure = 0; insecure < 2; insecure++) {
                        f->options.insecure = insecure;
                        f->client.place = f->other;
                        _cleanup_free_ char *other = subscribe(f, "", "", NULL);
                        assert_int_equal(client_status(other), 403);
                        assert_int_equal(call_status(f, CODEC_JSON, "", MESSAGE), 403);
                }
                f->options.insecure = false;
        }
        the_executor.cgroup = NULL; /* gone: nobody is inside */
        f->client.place = f->below;
        _cleanup_free_ char *gone = subscribe(f, "", "", NULL);
        assert_int_equal(client_status(gone), 403);
        f->client.place = NULL;
}

/* A page of somebody else in root's browser. */
static void test_foreign_pages(void **state)
{
        struct fixture *f = *state;
        static const char *const headers[] = {"Sec-Fetch-Site: cross-site\r\n", "Host: evil.example.org\r\n"};

        for (size_t i = 0; i < ELEMENTSOF(headers); i++) {
                _cleanup_free_ char *request =
                        xasprintf("POST /api/v1/executor HTTP/1.1\r\n%sConnection: close\r\nContent-Type: "
                                  "application/json\r\n"
                                  "Content-Length: %zu\r\n\r\n{\"type\":\"SUBSCRIBE\"," WHO "}",
                                headers[i], strlen("{\"type\":\"SUBSCRIBE\"," WHO "}"));
                _cleanup_free_ char *answer = client_exchange(&f->client, request, strlen(request));
                assert_int_equal(client_status(answer), 403);
        }
}

/* ---- tokens ---- */

static void use_key(struct fixture *f)
{
        f->api.jwt_key = xstrdup("0123456789abcdef0123456789abcdef");
        f->api.jwt_key_len = 32;
}

static int call_with_token(struct fixture *f, const char *token, const char *body)
{
        _cleanup_free_ char *headers = xasprintf("Authorization: Bearer %s\r\n", token);

        return call_status(f, CODEC_JSON, headers, body);
}

static void test_tokens(void **state)
{
        struct fixture *f = *state;

        assert_null(executor_token_new(&f->agent, "f1", "e1", CONTAINER_ID));
        use_key(f);
        _cleanup_free_ char *right = executor_token_new(&f->agent, "f1", "e1", CONTAINER_ID);
        _cleanup_free_ char *framework = executor_token_new(&f->agent, "f2", "e1", CONTAINER_ID);
        _cleanup_free_ char *executor = executor_token_new(&f->agent, "f1", "e2", CONTAINER_ID);
        _cleanup_free_ char *container = executor_token_new(&f->agent, "f1", "e1", OTHER_CONTAINER_ID);
        _cleanup_free_ char *none = call(f, "GET", "", "", 0);

        assert_int_equal(client_status(none), 401); /* before the method is looked at */
        assert_non_null(strstr(none, "\r\nWWW-Authenticate: "));
        assert_int_equal(call_status(f, CODEC_JSON, "", HEARTBEAT), 401);
        assert_int_equal(call_status(f, CODEC_JSON, "Authorization: Basic YTpi\r\n", HEARTBEAT), 401);
        assert_int_equal(call_with_token(f, "a.b.c", HEARTBEAT), 401);
        assert_int_equal(call_with_token(f, right, HEARTBEAT), 202);
        assert_int_equal(call_with_token(f, framework, MESSAGE), 403);
        assert_int_equal(call_with_token(f, executor, MESSAGE), 403);
        assert_int_equal(call_with_token(f, container, MESSAGE), 403);
        _cleanup_free_ char *header = xasprintf("Authorization: Bearer %s\r\n", right);
        _cleanup_free_ char *stream = subscribe(f, header, "", "SHUTDOWN");
        assert_int_equal(client_status(stream), 200);
        _cleanup_free_ char *foreign = xasprintf("Authorization: Bearer %s\r\n", container);
        _cleanup_free_ char *refused = subscribe(f, foreign, "", NULL);
        assert_int_equal(client_status(refused), 403);
}

/* A token that was stolen helps no other task. */
static void test_stolen_token(void **state)
{
        struct fixture *f = *state;

        open_groups(f);
        the_executor.cgroup = f->inside;
        use_key(f);
        _cleanup_free_ char *right = executor_token_new(&f->agent, "f1", "e1", CONTAINER_ID);
        _cleanup_free_ char *header = xasprintf("Authorization: Bearer %s\r\n", right);
        f->client.place = f->other;
        _cleanup_free_ char *refused = subscribe(f, header, "", NULL);
        assert_int_equal(client_status(refused), 403);
        f->client.place = f->inside;
        _cleanup_free_ char *taken = subscribe(f, header, "", "SHUTDOWN");
        assert_int_equal(client_status(taken), 200);
        f->client.place = NULL;
}

static void test_key_file(void **state)
{
        struct fixture *f = *state;
        _cleanup_error_ struct error e = {0};
        _cleanup_free_ char *path = xasprintf("%s/key", f->directory);

        f->options.jwt_secret_key = path;
        assert_int_equal(executor_token_load_key(&f->api, &e), 0);
        assert_null(f->api.jwt_key);
        f->options.authenticate_http_executors = true;
        assert_int_equal(executor_token_load_key(&f->api, &e), -ENOENT);
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        assert_int_equal(write_all(fd, "0123456789abcdef0123456789abcde", 31), 0);
        assert_int_equal(executor_token_load_key(&f->api, &e), -EPERM);
        assert_non_null(strstr(error_message(&e), "0600"));
        assert_int_equal(fchmod(fd, 0600), 0);
        assert_int_equal(executor_token_load_key(&f->api, &e), -EINVAL);
        free(TAKE_PTR(f->api.jwt_key));
        assert_int_equal(write_all(fd, "f", 1), 0);
        assert_int_equal(executor_token_load_key(&f->api, &e), 0);
        assert_int_equal(f->api.jwt_key_len, 32);
        (void)close(fd);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(mkfifo(path, 0600), 0);
        free(TAKE_PTR(f->api.jwt_key));
        assert_int_equal(executor_token_load_key(&f->api, &e), -EINVAL);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_check_order),
                TEST(test_forms),
                TEST(test_not_ready),
                TEST(test_stream_json),
                TEST(test_stream_protobuf),
                TEST(test_stream_ends),
                TEST(test_second_subscription),
                TEST(test_calls_of_a_subscribed_executor),
                TEST(test_heartbeats),
                TEST(test_containers),
                TEST(test_foreign_pages),
                TEST(test_tokens),
                TEST(test_stolen_token),
                TEST(test_key_file),
        };

        (void)signal(SIGPIPE, SIG_IGN);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
