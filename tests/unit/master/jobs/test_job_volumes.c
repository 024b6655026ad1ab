/* Jobs with persistent volumes on a real master with a pretended agent: what is refused, what the agent is told, who waits for whom. */

#include "tests/unit/master/harness.h"

#define RUNNING METE__V1__TASK_STATE__TASK_RUNNING
#define FINISHED METE__V1__TASK_STATE__TASK_FINISHED
#define QUEUE(name)                                                                                          \
        "{\"type\": \"SET_QUEUE\", \"set_queue\": {\"queue\": {\"name\": \"" name "\", \"role\": \"" name    \
        "\"}}}"
#define RESERVE(role, size)                                                                                  \
        "{\"type\": \"RESERVE\", \"reserve\": {\"agent_id\": \"fake\", \"role\": \"" role                    \
        "\", \"amounts\": [{\"resource\": \"disk\", \"value\": " size "}]}}"
#define CREATE(role, id)                                                                                     \
        "{\"type\": \"CREATE_VOLUME\", \"create_volume\": {\"agent_id\": \"fake\", \"role\": \"" role        \
        "\", \"volume_id\": \"" id "\", \"size_mib\": 10}}"
#define DESTROY(id)                                                                                          \
        "{\"type\": \"DESTROY_VOLUME\", \"destroy_volume\": {\"agent_id\": \"fake\", \"volume_id\": \"" id   \
        "\"}}"
#define USE(id, path) "{\"volume_id\": \"" id "\", \"container_path\": \"" path "\"}"
#define EXPLAIN(id) "{\"type\": \"EXPLAIN\", \"explain\": {\"job_id\": \"" id "\"}}"

static json_t *submit_as(struct cluster *c, int status, const char *queue, const char *volumes)
{
        _cleanup_free_ char *body = xasprintf(
                "{\"type\": \"SUBMIT\", \"submit\": {\"job\": {\"command\": [\"/bin/x\"], \"memory_bytes\": "
                "16777216, \"cpus\": 1, \"queue\": \"%s\", \"volumes\": [%s]}}}",
                queue, volumes);

        return call(c, status, body);
}

static void submit(struct cluster *c, const char *volumes)
{
        json_decref(submit_as(c, 200, "dev", volumes));
}

static void refused(
        struct cluster *c, const char *queue, const char *volumes, const char *field, const char *says)
{
        json_t *answer = submit_as(c, 400, queue, volumes);

        assert_string_equal(json_string_value(json_object_get(answer, "field")), field);
        if (!strstr(json_string_value(json_object_get(answer, "message")), says))
                fail_msg("'%s' is not in %s", says, c->body);
        json_decref(answer);
}

static void change(struct cluster *c, const char *body)
{
        json_decref(call(c, 200, body));
}

/* Queue "dev" with a volume "data", and one of another role. */
static void start(struct cluster *c)
{
        c->disk = 100;
        cluster_start(c);
        subscribe(c, NULL, 0);
        change(c, QUEUE("dev"));
        change(c, QUEUE("prod"));
        change(c, RESERVE("dev", "40"));
        change(c, RESERVE("prod", "40"));
        change(c, CREATE("dev", "data"));
        change(c, CREATE("prod", "precious"));
}

static const Mete__V1__Resource *volume_told(const struct cluster *c, const char *id)
{
        for (size_t i = 0; i < c->task->n_resources; i++)
                if (c->task->resources[i]->disk &&
                        str_equal(c->task->resources[i]->disk->persistence->id, id))
                        return c->task->resources[i];
        return NULL;
}

static void test_what_is_refused(void **state)
{
        struct cluster c = {};

        start(&c);
        refused(&c, "default", USE("data", "d"), "submit.job.volumes[0].volume_id",
                "is of role 'dev': one of role '*'");
        refused(&c, "prod", USE("precious", "p") "," USE("data", "d"), "submit.job.volumes[1].volume_id",
                "'data' is of role 'dev'");
        refused(&c, "dev", USE("date", "d"), "submit.job.volumes[0].volume_id", "there is no volume 'date'");
        refused(&c, "dev", USE("data", "d") "," USE("data", "e"), "submit.job.volumes[1].volume_id", "twice");
        refused(&c, "dev", USE("data", "../d"), "submit.job.volumes[0].container_path", "..");
        change(&c, DESTROY("data"));
        refused(&c, "dev", USE("data", "d"), "submit.job.volumes[0].volume_id", "there is no volume 'data'");
        cluster_stop(&c);
}

static void test_the_agent_is_told_of_the_volume(void **state)
{
        struct cluster c = {};
        const Mete__V1__Resource *r;

        start(&c);
        change(&c, CREATE("dev", "more"));
        submit(&c, USE("data", "in/out") ", {\"volume_id\": \"more\", \"container_path\": \"m\", "
                                         "\"read_only\": true}");
        WAIT_FOR(&c, has_seen(&c.launched, "1.0"));
        r = volume_told(&c, "data");
        assert_non_null(r);
        assert_string_equal(r->allocation_info->role, "dev");
        assert_string_equal(r->reservations[0]->role, "dev");
        assert_true(r->scalar->value == 10);
        assert_string_equal(r->disk->volume->container_path, "in/out");
        assert_int_equal(r->disk->volume->mode, METE__V1__VOLUME__MODE__RW);
        r = volume_told(&c, "more");
        assert_string_equal(r->disk->volume->container_path, "m");
        assert_int_equal(r->disk->volume->mode, METE__V1__VOLUME__MODE__RO);
        expect(&c, "{\"type\": \"LIST_VOLUMES\"}", "volumes.0.tasks.0", "1.0");
        submit(&c, "");
        WAIT_FOR(&c, has_seen(&c.launched, "2.0"));
        assert_null(volume_told(&c, "data"));
        cluster_stop(&c);
}

/* One after the other, also when the master dies in the middle. */
static void test_a_volume_in_use_is_waited_for(void **state)
{
        struct cluster c = {};

        start(&c);
        submit(&c, USE("data", "d"));
        WAIT_FOR(&c, has_seen(&c.launched, "1.0"));
        update(&c, "1.0", RUNNING, 1);
        submit(&c, USE("data", "d"));
        expect(&c, EXPLAIN("2"), "explanation.reason", "VOLUME_IN_USE");
        expect(&c, EXPLAIN("2"), "explanation.blocking_job", "1");
        expect(&c, EXPLAIN("2"), "explanation.sentence", "volume data on fake is in use by job 1");
        json_decref(call(&c, 409, DESTROY("data")));
        restart_master(&c);
        subscribe(&c, &(const struct report){"1.0", RUNNING}, 1);
        json_decref(call(&c, 409, DESTROY("data")));
        expect(&c, EXPLAIN("2"), "explanation.reason", "VOLUME_IN_USE");
        assert_int_equal(c.launched.count, 1);
        update(&c, "1.0", FINISHED, 2);
        WAIT_FOR(&c, has_seen(&c.launched, "2.0"));
        assert_non_null(volume_told(&c, "data"));
        cluster_stop(&c);
}

/* It is gone when its turn comes, and there again later: the agent hears of the volume before the task. */
static void test_a_volume_that_comes_is_waited_for(void **state)
{
        struct cluster c = {};

        start(&c);
        submit(&c, USE("data", "d"));
        WAIT_FOR(&c, has_seen(&c.launched, "1.0"));
        update(&c, "1.0", RUNNING, 1);
        submit(&c, USE("data", "d"));
        change(&c, "{\"type\": \"SUSPEND\", \"suspend\": {\"id\": \"2\"}}"); /* held */
        update(&c, "1.0", FINISHED, 2);
        change(&c, DESTROY("data"));
        change(&c, "{\"type\": \"RESUME\", \"resume\": {\"id\": \"2\"}}");
        expect(&c, EXPLAIN("2"), "explanation.reason", "NO_VOLUME");
        change(&c, CREATE("dev", "data"));
        WAIT_FOR(&c, has_seen(&c.launched, "2.0"));
        assert_int_equal(c.launched_before_assigned, 1);
        assert_non_null(strstr(c.assigned, "disk(dev)[data:"));
        cluster_stop(&c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_is_refused),
                cmocka_unit_test(test_the_agent_is_told_of_the_volume),
                cmocka_unit_test(test_a_volume_in_use_is_waited_for),
                cmocka_unit_test(test_a_volume_that_comes_is_waited_for),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
