/* Verbs against a master that answers what a test tells it: the calls that they make, and what people read of the answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/net/codec.h"
#include "lib/net/http_server.h"
#include "sdk/client.h"
#include "tools/mete/verb.h"

/* ---- the master: on a thread and a loop of its own ---- */

struct answer {
        const char *call;     /* part of the call's JSON */
        const char *response; /* JSON; NULL: refused with `refusal` */
        const char *refusal;
};

struct master {
        struct loop *loop;
        struct http_server *http;
        pthread_t thread;
        const struct answer *answers; /* the first whose `call` is in the call; ends with one without */
        struct buffer calls;          /* JSON, a line each; read while no verb runs */
};

static void respond(struct http_request *r, int status, const ProtobufCMessageDescriptor *d, const char *json)
{
        _cleanup_buffer_ struct buffer b = {0};
        _cleanup_error_ struct error e = {0};
        ProtobufCMessage *m = NULL;

        if (message_decode(CODEC_JSON, d, json, strlen(json), &m, &e) < 0)
                fail_msg("%s: %s", json, error_message(&e));
        assert_int_equal(message_encode(CODEC_PROTOBUF, m, &b), 0);
        http_respond(r, status, codec_content_type(CODEC_PROTOBUF), b.data, b.len);
        message_free(m);
}

static void on_request(struct http_request *r, void *userdata)
{
        struct master *m = userdata;
        _cleanup_buffer_ struct buffer json = {0};
        ProtobufCMessage *call = NULL;
        size_t len;
        const void *body = http_request_body(r, &len);
        const struct answer *a = m->answers;

        assert_int_equal(
                message_decode(CODEC_PROTOBUF, &mete__api__call__descriptor, body, len, &call, NULL), 0);
        assert_int_equal(message_encode(CODEC_JSON, call, &json), 0);
        message_free(call);
        buffer_printf(&m->calls, "%s\n", json.data);
        while (a->call && !strstr(json.data, a->call))
                a++;
        if (a->response)
                respond(r, 200, &mete__api__response__descriptor, a->response);
        else
                respond(r, 400, &mete__api__error__descriptor,
                        a->refusal ? a->refusal : "{\"message\": \"no answer\"}");
}

static void *serve(void *userdata)
{
        struct master *m = userdata;

        (void)loop_run(m->loop);
        http_server_free(m->http);
        loop_free(m->loop);
        return NULL;
}

static void stop_loop(void *userdata)
{
        loop_stop(userdata);
}

static int start(void **state)
{
        struct master *m = NEW0(struct master);
        uint16_t port;

        assert_int_equal(loop_new(&m->loop, NULL), 0);
        assert_int_equal(http_server_new(m->loop, NULL, &m->http, NULL), 0);
        http_server_route(m->http, "/mete/v1", "POST", on_request, m);
        assert_int_equal(http_server_listen(m->http, "127.0.0.1", 0, &port, NULL), 0);
        _cleanup_free_ char *address = xasprintf("127.0.0.1:%u", port);
        assert_int_equal(setenv("METE_MASTER", address, 1), 0);
        assert_int_equal(setenv("TZ", "UTC", 1), 0);
        assert_int_equal(pthread_create(&m->thread, NULL, serve, m), 0);
        *state = m;
        return 0;
}

static int stop(void **state)
{
        struct master *m = *state;

        loop_post(m->loop, stop_loop, m->loop);
        assert_int_equal(pthread_join(m->thread, NULL), 0);
        buffer_done(&m->calls);
        free(m);
        return 0;
}

/* ---- the verbs ---- */

struct said {
        int code;
        char *out, *err; /* owned */
};

static void said_done(struct said *s)
{
        free(s->out);
        free(s->err);
}

static int to_file(int fd, FILE *stream, FILE *file)
{
        int kept;

        (void)fflush(stream);
        kept = dup(fd);
        assert_true(kept >= 0 && dup2(fileno(file), fd) == fd);
        return kept;
}

static char *take_back(int fd, FILE *stream, FILE *file, int kept)
{
        char *text = NULL;
        size_t len;

        (void)fflush(stream);
        assert_true(dup2(kept, fd) == fd);
        close(kept);
        assert_int_equal(lseek(fileno(file), 0, SEEK_SET), 0);
        assert_int_equal(read_all_fd(fileno(file), 1 << 20, &text, &len), 0);
        return text;
}

/* Words are split at spaces. The caller ends it with said_done(). */
static struct said mete(struct master *m, const struct answer *answers, const char *line)
{
        _cleanup_free_ char *words = xstrdup(line);
        _cleanup_file_ FILE *out = tmpfile(), *err = tmpfile();
        char *argv[32] = {0}, *save = NULL;
        struct said s = {0};
        int argc = 0, kept_out, kept_err;

        for (char *word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save))
                argv[argc++] = word;
        m->answers = answers;
        buffer_done(&m->calls);
        kept_out = to_file(STDOUT_FILENO, stdout, out);
        kept_err = to_file(STDERR_FILENO, stderr, err);
        s.code = verb_invoke(verb_find(argv[0]), argc, argv);
        s.out = take_back(STDOUT_FILENO, stdout, out, kept_out);
        s.err = take_back(STDERR_FILENO, stderr, err, kept_err);
        return s;
}

static void expect(const char *text, const char *words)
{
        if (!text || !strstr(text, words))
                fail_msg("\"%s\" is not in:\n%s", words, text ? text : "nothing");
}

/* ---- the cluster ---- */

static void quota(void **state)
{
        static const struct answer answers[] = {
                {"SET_QUOTA",
                        "{\"type\": \"LIST_ROLES\", \"roles\": [{\"name\": \"a/b\", \"quotas\": "
                        "[{\"resource\": \"cpus\", \"guarantee\": 2, "
                        "\"limit\": 4}, {\"resource\": \"mem\", \"limit\": 2048}], \"consumed\": "
                        "[{\"resource\": \"cpus\", \"value\": 1.5}], "
                        "\"warnings\": [\"too much\"]}], \"warnings\": [\"too much\"]}",
                        NULL},
                {NULL, NULL, NULL},
        };
        CLEANUP(said_done) struct said s = mete(*state, answers, "quota set a/b cpus=2:4 mem=:2G --force");
        struct master *m = *state;

        assert_int_equal(s.code, 0);
        expect(m->calls.data, "\"role\":\"a/b\"");
        expect(m->calls.data, "{\"resource\":\"cpus\",\"guarantee\":2.0,\"limit\":4.0},{\"resource\":\"mem\","
                              "\"limit\":2048.0}");
        expect(m->calls.data, "\"force\":true");
        expect(s.out, "a/b   cpus              2      4       1.5\n");
        expect(s.out, "      mem               -  2 GiB       0 B\n");
        assert_string_equal(s.err, "mete: warning: role a/b: too much\n");
}

static void quota_is_taken_away_by_word_only(void **state)
{
        static const struct answer answers[] = {
                {"SET_QUOTA", "{\"type\": \"LIST_ROLES\"}", NULL}, {NULL, NULL, NULL}};
        CLEANUP(said_done) struct said none = mete(*state, answers, "quota set a none");
        struct master *m = *state;

        assert_int_equal(none.code, 0);
        expect(none.out, "no quota any more");
        assert_null(strstr(m->calls.data, "quotas"));
        CLEANUP(said_done) struct said nothing = mete(*state, answers, "quota set a");
        assert_int_equal(nothing.code, 2);
        assert_null(m->calls.data);
        CLEANUP(said_done) struct said twice = mete(*state, answers, "quota set a cpus=1 cpus=2");
        assert_int_equal(twice.code, 2);
        expect(twice.err, "given twice");
}

/* All words are looked at before the first is sent. */
static void weights(void **state)
{
        static const struct answer answers[] = {
                {"\"role\":\"a\"",
                        "{\"type\": \"LIST_ROLES\", \"roles\": [{\"name\": \"a\", \"weight\": 2.5}]}", NULL},
                {"SET_WEIGHT", NULL, "{\"message\": \"role 'b' is not yours\"}"},
                {NULL, NULL, NULL},
        };
        struct master *m = *state;
        CLEANUP(said_done) struct said wrong = mete(*state, answers, "weights a=1 b=0");
        assert_int_equal(wrong.code, 2);
        assert_null(m->calls.data);
        CLEANUP(said_done) struct said half = mete(*state, answers, "weights b=1 a=2.5");
        assert_int_equal(half.code, 1);
        assert_string_equal(half.out, "a: weight 2.5\n");
        expect(half.err, "is not yours");
}

static void reserve(void **state)
{
        static const struct answer answers[] = {
                {"RESERVE",
                        "{\"type\": \"AGENT\", \"agents\": [{\"agent_id\": \"S1\", \"state\": "
                        "\"AGENT_ACTIVE\", \"hostname\": \"h1\", \"resources\": ["
                        "{\"name\": \"cpus\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 6}},"
                        "{\"name\": \"cpus\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 2}, "
                        "\"reservations\": [{\"type\": \"DYNAMIC\", \"role\": \"dev\"}]},"
                        "{\"name\": \"mem\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 4096}, "
                        "\"reservations\": [{\"type\": \"DYNAMIC\", \"role\": \"dev\"}]},"
                        "{\"name\": \"mem\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 1}, "
                        "\"reservations\": [{\"type\": \"DYNAMIC\", \"role\": \"dev\"},"
                        "{\"type\": \"DYNAMIC\", \"role\": \"dev/test\"}]}]}]}",
                        NULL},
                {NULL, NULL, NULL},
        };
        struct master *m = *state;
        CLEANUP(said_done) struct said s = mete(*state, answers, "reserve h1 dev cpus=2 mem=4G");
        assert_int_equal(s.code, 0);
        assert_string_equal(s.out, "h1: reserved for dev: cpus 2, mem 4 GiB\n");
        expect(m->calls.data, "\"amounts\":[{\"resource\":\"cpus\",\"value\":2.0},{\"resource\":\"mem\","
                              "\"value\":4096.0}]");
        CLEANUP(said_done) struct said less = mete(*state, answers, "unreserve h1 other cpus=2");
        assert_string_equal(less.out, "h1: reserved for other: nothing\n");
        expect(m->calls.data, "\"unreserve\":");
}

static void volumes(void **state)
{
        static const struct answer answers[] = {
                {"VOLUME",
                        "{\"type\": \"LIST_VOLUMES\", \"volumes\": [{\"volume_id\": \"v1\", \"agent_id\": "
                        "\"S1\", \"hostname\": \"h1\", \"role\": "
                        "\"dev\", \"size_mib\": 10240, \"container_path\": \"out\", \"tasks\": [\"7.0\", "
                        "\"7.1\", \"8.0\"]}]}",
                        NULL},
                {NULL, NULL, NULL},
        };
        struct master *m = *state;
        CLEANUP(said_done) struct said s = mete(*state, answers, "volumes create h1 dev v1 10G --path out");
        assert_int_equal(s.code, 0);
        expect(m->calls.data, "\"size_mib\":10240.0,\"container_path\":\"out\"");
        expect(s.out, "v1      h1     dev   10 GiB  out   7.0 and 2 more\n");
        CLEANUP(said_done) struct said unit = mete(*state, answers, "volumes resize h1 v1 4096");
        assert_int_equal(unit.code, 2);
        expect(unit.err, "with its unit");
}

static void agents(void **state)
{
        static const struct answer answers[] = {
                {"\"h1\"",
                        "{\"type\": \"AGENT\", \"agents\": [{\"agent_id\": \"S1\", \"state\": "
                        "\"AGENT_ACTIVE\", \"tasks_running\": 3, "
                        "\"deactivated\": true, \"drain\": {\"state\": \"DRAINING\"}}]}",
                        NULL},
                {NULL, NULL,
                        "{\"message\": \"there is no agent 'h2'\", \"field\": \"drain_agent.agent_id\"}"},
        };
        struct master *m = *state;
        CLEANUP(said_done) struct said s = mete(*state, answers, "agents drain --grace 5m --mark-gone h2 h1");
        assert_int_equal(s.code, 1);
        expect(m->calls.data, "\"agent_id\":\"h1\",\"max_grace_seconds\":300.0,\"mark_gone\":true");
        assert_string_equal(s.out, "h1: draining, 3 tasks run there\n");
        assert_string_equal(s.err, "mete: there is no agent 'h2'\n");
}

static void maintenance(void **state)
{
        static const struct answer answers[] = {
                {"MAINTENANCE",
                        "{\"type\": \"MAINTENANCE\", \"windows\": [{\"start\": 1700000000, "
                        "\"duration_seconds\": 3600, \"agents\": [\"h1\", "
                        "\"h2\"], \"drain\": true, \"id\": \"w1\"}]}",
                        NULL},
                {NULL, NULL, NULL},
        };
        struct master *m = *state;
        CLEANUP(said_done)
        struct said s =
                mete(*state, answers, "maintenance schedule --start @1700000000 --duration 1h --drain h1 h2");
        assert_int_equal(s.code, 0);
        expect(m->calls.data, "\"start\":1700000000.0,\"duration_seconds\":3600.0,\"agents\":[\"h1\",\"h2\"],"
                              "\"drain\":true");
        expect(s.out, "2023-11-14 22:13");
        expect(s.out, "2023-11-14 23:13  yes     h1, h2  -\n");
}

/* ---- queues ---- */

static const char queues[] = "{\"type\": \"LIST_QUEUES\", \"queues\": [{\"name\": \"default\", \"role\": "
                             "\"*\", \"policy\": \"fifo\"}, {\"name\": \"short\", \"role\": "
                             "\"short\", \"policy\": \"sjf\", \"preemption\": \"suspend\", "
                             "\"ageing_seconds\": 3600, \"backfill_max\": 0, \"jobs_waiting\": 3, "
                             "\"tasks_waiting\": 9, \"tasks_running\": 1, \"waiting\": [\"9\", \"7\"], "
                             "\"users\": [{\"user\": \"alice\", \"core_seconds\": 12.25}]}]}";

static void queue(void **state)
{
        static const struct answer answers[] = {
                {"LIST_QUEUES", queues, NULL},
                {"LIST_JOBS",
                        "{\"type\": \"LIST_JOBS\", \"jobs\": [{\"job_id\": \"7\", \"spec\": {\"name\": "
                        "\"long\"}, \"state\": \"JOB_QUEUED\", "
                        "\"user\": \"bob\", \"tasks_queued\": 8, \"pending_reason\": \"needs 2 cpus\"}]}",
                        NULL},
                {NULL, NULL, NULL},
        };
        CLEANUP(said_done)
        struct said all = mete(*state, answers, "queue"), one = mete(*state, answers, "queue short"),
                    none = mete(*state, answers, "queue long");

        assert_int_equal(all.code, 0);
        expect(all.out, "short    short  sjf     suspend             3           9    1          0\n");
        expect(all.out, "\nshort, in order:\n");
        expect(all.out, "   2  7    long  bob       8      -  needs 2 cpus\nand 1 more\n");
        expect(one.out, "  ageing           1h\n");
        expect(one.out, "  backfill         none\n");
        expect(one.out, "alice          12.2");
        assert_int_equal(none.code, 1);
        expect(none.err, "no queue \"long\"");
}

/* The call replaces the whole queue: what was not given is sent as it was. */
static void queue_set(void **state)
{
        static const struct answer answers[] = {
                {"LIST_QUEUES", queues, NULL},
                {"SET_QUEUE",
                        "{\"type\": \"LIST_QUEUES\", \"queues\": [{\"name\": \"short\", \"policy\": "
                        "\"srtf\"}]}",
                        NULL},
                {NULL, NULL, NULL},
        };
        struct master *m = *state;
        CLEANUP(said_done) struct said s = mete(*state, answers, "queue set short --policy srtf --grace 1m");
        assert_int_equal(s.code, 0);
        expect(m->calls.data, "\"policy\":\"srtf\",\"ageing_seconds\":3600.0,\"preemption\":\"suspend\","
                              "\"grace_seconds\":60.0");
        expect(s.out, "short: role -, policy srtf");
        CLEANUP(said_done) struct said new_one = mete(*state, answers, "queue set other");
        expect(m->calls.data, "\"set_queue\":{\"queue\":{\"name\":\"other\"}}");
        assert_int_equal(new_one.code, 0);
}

/* ---- jobs ---- */

static void suspend(void **state)
{
        static const struct answer answers[] = {
                {"\"id\":\"7\"",
                        "{\"type\": \"SUSPEND\", \"job\": {\"job_id\": \"7\", \"spec\": {}, \"state\": "
                        "\"JOB_QUEUED\", \"held\": true}}",
                        NULL},
                {"\"id\":\"8\"",
                        "{\"type\": \"SUSPEND\", \"job\": {\"job_id\": \"8\", \"spec\": {}, \"state\": "
                        "\"JOB_RUNNING\", \"tasks_running\": 2, "
                        "\"tasks_suspended\": 1}}",
                        NULL},
                {"RESUME",
                        "{\"type\": \"RESUME\", \"task\": {\"task_id\": \"9.0\", \"job_id\": \"9\", "
                        "\"name\": \"x\", \"state\": \"TASK_RUNNING\"}}",
                        NULL},
                {NULL, NULL, "{\"message\": \"there is no job 9\"}"},
        };
        CLEANUP(said_done)
        struct said s = mete(*state, answers, "suspend 7 9 8"), r = mete(*state, answers, "resume 9.0");

        assert_int_equal(s.code, 1);
        assert_string_equal(s.out, "7: held\n8: suspending\n");
        assert_string_equal(s.err, "mete: there is no job 9\n");
        assert_int_equal(r.code, 0);
        assert_string_equal(r.out, "9.0: goes on\n");
}

/* What is new about jobs and tasks is in the columns that were there. */
static void lists_tell_more(void **state)
{
        static const struct answer answers[] = {
                {"LIST_JOBS",
                        "{\"type\": \"LIST_JOBS\", \"jobs\": ["
                        "{\"job_id\": \"1\", \"spec\": {\"name\": \"a\"}, \"state\": \"JOB_QUEUED\", "
                        "\"held\": true, \"warnings\": [\"no rack\"]},"
                        "{\"job_id\": \"2\", \"spec\": {\"name\": \"b\"}, \"state\": \"JOB_RUNNING\", "
                        "\"held\": true, \"tasks_running\": 2},"
                        "{\"job_id\": \"3\", \"spec\": {\"name\": \"c\"}, \"state\": \"JOB_RUNNING\", "
                        "\"tasks_running\": 2, \"tasks_suspended\": 1},"
                        "{\"job_id\": \"4\", \"spec\": {\"name\": \"d\"}, \"state\": \"JOB_RUNNING\", "
                        "\"tasks_running\": 2, \"tasks_suspended\": 2}]}",
                        NULL},
                {"LIST_TASKS",
                        "{\"type\": \"LIST_TASKS\", \"tasks\": ["
                        "{\"task_id\": \"1.0\", \"job_id\": \"1\", \"name\": \"a\", \"state\": "
                        "\"TASK_RUNNING\", \"attempts\": 2},"
                        "{\"task_id\": \"1.1\", \"job_id\": \"1\", \"name\": \"b\", \"state\": "
                        "\"TASK_RUNNING\", \"suspended\": true},"
                        "{\"task_id\": \"1.2\", \"job_id\": \"1\", \"name\": \"c\", \"state\": "
                        "\"TASK_STAGING\", \"not_before\": 99999999999}]}",
                        NULL},
                {NULL, NULL, NULL},
        };
        CLEANUP(said_done)
        struct said jobs = mete(*state, answers, "jobs"), tasks = mete(*state, answers, "ps");

        expect(jobs.out, "1    a     held ");
        expect(jobs.out, "2    b     suspending ");
        expect(jobs.out, "3    c     running, 1 suspended ");
        expect(jobs.out, "4    d     suspended ");
        expect(jobs.out, "1: warning: no rack\n");
        expect(tasks.out, "running, try 2 ");
        expect(tasks.out, "suspended ");
        expect(tasks.out, "retries in ");
}

static void explain(void **state)
{
        static const struct answer answers[] = {
                {"EXPLAIN",
                        "{\"type\": \"EXPLAIN\", \"job\": {\"job_id\": \"7\", \"spec\": {\"name\": "
                        "\"sweep\"}, \"state\": \"JOB_QUEUED\", \"user\": "
                        "\"alice\"}, \"explanation\": {\"reason\": \"BEHIND\", \"sentence\": \"job 6 goes "
                        "first\"}}",
                        NULL},
                {NULL, NULL, NULL},
        };
        CLEANUP(said_done)
        struct said s = mete(*state, answers, "explain sweep"),
                    json = mete(*state, answers, "explain --json sweep");

        assert_int_equal(s.code, 0);
        expect(s.out, "Job 7 \"sweep\" of alice waits: job 6 goes first\n");
        expect(json.out, "\"reason\": \"BEHIND\"");
}

static void history(void **state)
{
        static const struct answer answers[] = {
                {"HISTORY",
                        "{\"type\": \"HISTORY\", \"more\": true, \"jobs\": [{\"job_id\": \"7\", \"spec\": "
                        "{\"name\": \"sweep\"}, \"state\": \"JOB_FAILED\", "
                        "\"user\": \"alice\", \"submitted\": 1700000000, \"finished\": 1700000090, "
                        "\"tasks_finished\": 1, \"tasks_failed\": 1, \"tasks\": "
                        "[{\"task_id\": \"7.0\", \"job_id\": \"7\", \"name\": \"sweep\", \"state\": "
                        "\"TASK_FAILED\", \"exit_code\": 3, \"submitted\": "
                        "1700000000, \"started\": 1700000030, \"finished\": 1700000090, \"attempts\": 2, "
                        "\"usage\": {\"cpu_usage_seconds\": 45, "
                        "\"memory_peak_bytes\": 1048576}}]}]}",
                        NULL},
                {NULL, NULL, NULL},
        };
        struct master *m = *state;
        CLEANUP(said_done)
        struct said jobs =
                mete(*state, answers, "history --user alice --state failed --since @1699999999 --limit 1");
        assert_int_equal(jobs.code, 0);
        expect(m->calls.data, "\"history\":{\"user\":\"alice\",\"state\":\"JOB_FAILED\",\"since\":1699999999."
                              "0,\"limit\":1");
        expect(jobs.out,
                "7    sweep  failed  alice  2023-11-14 22:13  2023-11-14 22:14  1m30s         1       1\n");
        expect(jobs.out, "`mete history --before 7`");
        CLEANUP(said_done) struct said tasks = mete(*state, answers, "history -t");
        expect(tasks.out, "7.0   sweep  failed     3   30.0s  1m00s     45.0s  1 MiB      2          -  -\n");
        CLEANUP(said_done) struct said wrong = mete(*state, answers, "history --state lost");
        assert_int_equal(wrong.code, 2);
}

static void stats_of_a_job(void **state)
{
        static const struct answer answers[] = {
                {"JOB_STATS",
                        "{\"type\": \"JOB_STATS\", \"stats\": [{\"name\": \"sweep\", \"user\": \"alice\", "
                        "\"jobs\": 3, \"tasks\": 12, \"tasks_finished\": 11, "
                        "\"tasks_failed\": 1, \"wait_seconds_mean\": 2, \"run_seconds_mean\": 60, "
                        "\"run_seconds_p90\": 90, \"cpu_seconds_mean\": 30, "
                        "\"cpu_cores_mean\": 0.5, \"memory_peak_bytes_p90\": 1048576, "
                        "\"memory_peak_bytes_max\": 2097152, "
                        "\"expected_duration_seconds\": 61, \"expected_samples\": 4.2}]}",
                        NULL},
                {NULL, NULL, NULL},
        };
        CLEANUP(said_done)
        struct said s = mete(*state, answers, "stats --job sweep"),
                    wrong = mete(*state, answers, "stats --job sweep 7");

        assert_int_equal(s.code, 0);
        expect(s.out, "sweep of alice\n  runs      3 jobs, 12 tasks: 11 finished, 1 failed\n  waited    mean "
                      "2.0s\n");
        expect(s.out, "  ran       mean 1m00s, p90 1m30s\n");
        expect(s.out,
                "  cpu       30.0s a task, 0.5 cores while they ran\n  peak      p90 1 MiB, at most 2 MiB\n");
        expect(s.out, "  expected  1m1s, from 4.2 runs that count\n");
        assert_int_equal(wrong.code, 2);
}

/* Nothing of a file is submitted when the master would refuse one job of it; what waits for another goes after it, by id. */
static void files_of_jobs(void **state)
{
        static const struct answer good[] = {
                {"PLAN", "{\"type\": \"PLAN\", \"explanation\": {\"reason\": \"NONE\"}}", NULL},
                {"\"name\":\"first\"",
                        "{\"type\": \"SUBMIT\", \"job\": {\"job_id\": \"40\", \"spec\": {\"name\": "
                        "\"first\"}, \"state\": \"JOB_QUEUED\"}}",
                        NULL},
                {"\"name\":\"then\"",
                        "{\"type\": \"SUBMIT\", \"job\": {\"job_id\": \"41\", \"spec\": {\"name\": "
                        "\"then\"}, \"state\": \"JOB_QUEUED\", \"warnings\": "
                        "[\"no machine has it\"]}}",
                        NULL},
                {NULL, NULL, NULL},
        };
        static const struct answer bad[] = {
                {"\"name\":\"first\"", NULL,
                        "{\"message\": \"plan.job.cpus: over-capacity: 99\", \"field\": \"plan.job.cpus\"}"},
                {"PLAN", "{\"type\": \"PLAN\", \"explanation\": {\"reason\": \"NONE\"}}", NULL},
                {NULL, NULL, NULL},
        };
        static const char text[] = "{\"jobs\": [\n{\"name\": \"then\", \"command\": [\"x\"], \"after\": "
                                   "[{\"job\": \"first\"}]},\n"
                                   "{\"name\": \"first\",\n\"command\": [\"x\"], \"cpus\": 99}]}";
        char path[] = "/tmp/test-verb-calls-XXXXXX";
        int fd = mkstemp(path);
        _cleanup_free_ char *line = xasprintf("run -d -f %s", path),
                            *place = xasprintf("%s:4: jobs[1].cpus: over-capacity: 99\n", path);
        struct master *m = *state;

        assert_int_equal(write_all(fd, text, strlen(text)), 0);
        close(fd);
        CLEANUP(said_done) struct said s = mete(*state, good, line);
        assert_int_equal(s.code, 0);
        assert_string_equal(s.out, "40  first\n41  then\n");
        assert_string_equal(s.err, "mete: warning: no machine has it\n");
        expect(m->calls.data, "\"after\":[{\"job\":\"40\"");
        CLEANUP(said_done) struct said refused = mete(*state, bad, line);
        unlink(path);
        assert_int_equal(refused.code, 1);
        expect(refused.err, place);
        expect(refused.err, "nothing was submitted");
        assert_null(strstr(m->calls.data, "SUBMIT"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(quota, start, stop),
                cmocka_unit_test_setup_teardown(quota_is_taken_away_by_word_only, start, stop),
                cmocka_unit_test_setup_teardown(weights, start, stop),
                cmocka_unit_test_setup_teardown(reserve, start, stop),
                cmocka_unit_test_setup_teardown(volumes, start, stop),
                cmocka_unit_test_setup_teardown(agents, start, stop),
                cmocka_unit_test_setup_teardown(maintenance, start, stop),
                cmocka_unit_test_setup_teardown(queue, start, stop),
                cmocka_unit_test_setup_teardown(queue_set, start, stop),
                cmocka_unit_test_setup_teardown(suspend, start, stop),
                cmocka_unit_test_setup_teardown(lists_tell_more, start, stop),
                cmocka_unit_test_setup_teardown(explain, start, stop),
                cmocka_unit_test_setup_teardown(history, start, stop),
                cmocka_unit_test_setup_teardown(stats_of_a_job, start, stop),
                cmocka_unit_test_setup_teardown(files_of_jobs, start, stop),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
