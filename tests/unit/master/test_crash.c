/*
 * A master that dies before and after each of its writes to disk, under each call that changes something for good: what was acknowledged
 * is there afterwards, and what was not can be asked for again.
 */
#include <sys/mman.h>
#include <sys/syscall.h>

#include "tests/unit/master/harness.h"

#define RUNNING METE__V1__TASK_STATE__TASK_RUNNING
#define FINISHED METE__V1__TASK_STATE__TASK_FINISHED
#define WRITES_MAX 10 /* of one call */
#define SUBMIT(more)                                                                                         \
        "{\"type\": \"SUBMIT\", \"submit\": {\"job\": {\"command\": [\"/bin/x\"], \"memory_bytes\": "        \
        "16777216" more "}}}"
#define RESERVE                                                                                              \
        "{\"type\": \"RESERVE\", \"reserve\": {\"agent_id\": \"fake\", \"role\": \"a\", \"amounts\": "       \
        "[{\"resource\": \"disk\", \"value\": 50}]}}"
#define GET_1 "{\"type\": \"GET_JOB\", \"get_job\": {\"job_id\": \"1\"}}"

/* ---- dying ---- */

/* Shared with the master's process. */
static struct crash {
        unsigned writes_left; /* 0: it lives */
        bool before;          /* the write */
} * crash;

/* In place of libc's, for SQLite: each transaction ends with one. */
__attribute__((visibility("default"))) int fdatasync(int fd)
{
        bool now = crash && crash->writes_left > 0 && --crash->writes_left == 0;

        if (now && crash->before)
                (void)kill(getpid(), SIGKILL);
        if (syscall(SYS_fdatasync, fd) < 0)
                return -1;
        if (now)
                (void)kill(getpid(), SIGKILL);
        return 0;
}

/* ---- calls ---- */

struct step {
        void (*setup)(struct cluster *c);
        const char *call;
        struct report report; /* what the agent has when it comes back; no task: nothing */
        void (*verify)(struct cluster *c);
};

static bool tells(struct cluster *c, const char *body, const char *text)
{
        json_decref(call(c, 200, body));
        return strstr(c->body, text);
}

static void agent_joins(struct cluster *c)
{
        c->disk = 100;
        subscribe(c, NULL, 0);
}

static void reserved(struct cluster *c)
{
        agent_joins(c);
        json_decref(call(c, 200, RESERVE));
}

/* Of job 1 one task runs and one waits. */
static void one_runs(struct cluster *c)
{
        agent_joins(c);
        json_decref(call(c, 200, SUBMIT(", \"cpus\": 4, \"count\": 2")));
        WAIT_FOR(c, has_seen(&c->launched, "1.0"));
        update(c, "1.0", RUNNING, 1);
}

static void one_is_frozen(struct cluster *c)
{
        one_runs(c);
        json_decref(call(c, 200, "{\"type\": \"SUSPEND\", \"suspend\": {\"id\": \"1\"}}"));
        WAIT_FOR(c, has_seen(&c->suspensions, "1.0 frozen"));
        answer_suspend(c, "1.0", true, NULL);
        WAIT_FOR(c, tells(c, GET_1, "\"suspended\":true"));
}

static void verify_reserved(struct cluster *c)
{
        assert_true(tells(c, "{\"type\": \"LIST_AGENTS\"}", "\"reservations\""));
        WAIT_FOR(c, c->assigned && strstr(c->assigned, "disk(a):"));
}

static void verify_volume(struct cluster *c)
{
        assert_true(tells(c, "{\"type\": \"LIST_VOLUMES\"}", "\"v1\""));
        WAIT_FOR(c, c->assigned && strstr(c->assigned, "[v1:"));
}

static void verify_quota(struct cluster *c)
{
        assert_true(tells(c, "{\"type\": \"LIST_ROLES\"}", "\"limit\":2"));
}

static void verify_weight(struct cluster *c)
{
        assert_true(tells(c, "{\"type\": \"LIST_ROLES\"}", "\"weight\":2.5"));
}

static void verify_queue(struct cluster *c)
{
        assert_true(tells(c, "{\"type\": \"LIST_QUEUES\"}", "\"night\""));
}

static void verify_frozen(struct cluster *c)
{
        WAIT_FOR(c, has_seen(&c->suspensions, "1.0 frozen")); /* asked for again */
        assert_true(tells(c, GET_1, "\"held\":true"));
}

static void verify_resumed(struct cluster *c)
{
        WAIT_FOR(c, has_seen(&c->suspensions, "1.0 thawed"));
        assert_false(tells(c, GET_1, "\"held\":true"));
}

static void verify_dependent(struct cluster *c)
{
        static const char get_2[] = "{\"type\": \"GET_JOB\", \"get_job\": {\"job_id\": \"2\"}}";

        expect(c, get_2, "job.state", "JOB_QUEUED");
        assert_false(has_seen(&c->launched, "2.0"));
        update(c, "1.0", FINISHED, 2);
        WAIT_FOR(c, has_seen(&c->launched, "1.1"));
        update(c, "1.1", RUNNING, 3);
        assert_false(has_seen(&c->launched, "2.0"));
        update(c, "1.1", FINISHED, 4);
        WAIT_FOR(c, has_seen(&c->launched, "2.0"));
}

static void verify_killed(struct cluster *c)
{
        WAIT_FOR(c, has_seen(&c->killed, "1.0"));        /* asked for again */
        assert_true(tells(c, GET_1, "\"TASK_KILLED\"")); /* the one that waited */
}

static const struct step steps[] = {
        {agent_joins, RESERVE, {}, verify_reserved},
        {reserved,
                "{\"type\": \"CREATE_VOLUME\", \"create_volume\": {\"agent_id\": \"fake\", \"role\": \"a\", "
                "\"volume_id\": \"v1\", \"size_mib\": 20}}",
                {}, verify_volume},
        {agent_joins,
                "{\"type\": \"SET_QUOTA\", \"set_quota\": {\"role\": \"a\", \"quotas\": [{\"resource\": "
                "\"cpus\", \"limit\": 2}]}}",
                {}, verify_quota},
        {agent_joins, "{\"type\": \"SET_WEIGHT\", \"set_weight\": {\"role\": \"a\", \"weight\": 2.5}}", {},
                verify_weight},
        {agent_joins, "{\"type\": \"SET_QUEUE\", \"set_queue\": {\"queue\": {\"name\": \"night\"}}}", {},
                verify_queue},
        {one_runs, "{\"type\": \"SUSPEND\", \"suspend\": {\"id\": \"1\"}}", {"1.0", RUNNING, .cpus = 4},
                verify_frozen},
        {one_is_frozen, "{\"type\": \"RESUME\", \"resume\": {\"id\": \"1\"}}",
                {"1.0", RUNNING, .cpus = 4, .suspended = true, .sequence = 1}, verify_resumed},
        {one_runs, SUBMIT(", \"after\": [{\"job\": \"1\"}]"), {"1.0", RUNNING, .cpus = 4}, verify_dependent},
        {one_runs, "{\"type\": \"KILL\", \"kill\": {\"id\": \"1\"}}", {"1.0", RUNNING, .cpus = 4},
                verify_killed},
};

/* It dies at write number `at` that the call leads to. True: the call was acknowledged before; it dies then. */
static bool survives(const struct step *s, unsigned at, bool before)
{
        struct cluster c = {};
        bool acknowledged;

        cluster_start(&c);
        s->setup(&c);
        *crash = (struct crash){at, before};
        acknowledged = post(&c, "POST", "/mete/v1", "application/json", s->call) == 200;
        crash->writes_left = 0;
        if (!acknowledged && c.status != -1)
                fail_msg("%s: %d %s", s->call, c.status, c.body);
        forget_seen(&c.suspensions);
        forget_seen(&c.killed);
        free(TAKE_PTR(c.assigned));
        restart_master(&c);
        subscribe(&c, &s->report, s->report.task != NULL);
        if (!acknowledged && post(&c, "POST", "/mete/v1", "application/json", s->call) != 200 &&
                c.status != 409) /* it is so already */
                fail_msg("%s: %d %s", s->call, c.status, c.body);
        s->verify(&c);
        cluster_stop(&c);
        return acknowledged;
}

static void test_every_write(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(steps); i++)
                for (int before = 0; before < 2; before++) {
                        unsigned at = 1;

                        while (!survives(&steps[i], at, before))
                                assert_true(++at < WRITES_MAX);
                        assert_true(at > 1); /* else nothing was written before the answer */
                }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_write)};

        crash = mmap(NULL, sizeof(*crash), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (crash == MAP_FAILED)
                return 1;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
