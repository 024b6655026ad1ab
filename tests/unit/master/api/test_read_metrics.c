/* /metrics/snapshot: the names that exporters read, and that the numbers are those of what is there. */

#include "tests/unit/master/api/read_world.h"

/* {a,b} stands for each of the words. */
static const char *const names[] = {
        "master/{elected,uptime_secs,outstanding_offers,dropped_messages,operator_event_stream_subscribers}",
        "master/{cpus,gpus,mem,disk}_{total,used,percent}",
        "master/{cpus,gpus,mem,disk}_revocable_{total,used,percent}",
        "master/slaves_{connected,disconnected,active,inactive,unreachable}",
        "master/slave_{registrations,reregistrations,removals}",
        "master/slave_removals/reason_{unhealthy,unregistered,registered}",
        "master/slave_unreachable_{scheduled,canceled,completed}",
        "master/frameworks_{connected,disconnected,active,inactive}",
        "master/tasks_{staging,starting,running,killing,finished,failed,killed,error,lost,dropped}",
        "master/tasks_{unreachable,gone,gone_by_operator,unknown}",
        "master/{valid,invalid}_status_{updates,update_acknowledgements}",
        "master/{valid,invalid}_{framework_to_executor,executor_to_framework}_messages",
        "master/"
        "messages_{register_framework,reregister_framework,unregister_framework,launch_tasks,kill_task}",
        "master/messages_{decline_offers,revive_offers,suppress_offers,reconcile_tasks,status_update}",
        "master/messages_{status_update_acknowledgement,resource_request,framework_to_executor}",
        "master/messages_{executor_to_framework,register_slave,reregister_slave,unregister_slave}",
        "master/messages_{exited_executor,update_slave,authenticate,reconcile_operations}",
        "master/event_queue_{messages,dispatches,http_requests}",
        "master/frameworks/a%2Fb%20c/f-1/{subscribed,calls,events,operations}",
        "master/frameworks/a%2Fb%20c/f-1/calls/{subscribe,accept,decline,revive,kill,update_framework}",
        "master/frameworks/a%2Fb%20c/f-1/events/{subscribed,offers,update,heartbeat}",
        "master/frameworks/a%2Fb%20c/f-1/operations/{launch,launch_group,reserve}",
        "master/frameworks/a%2Fb%20c/f-1/offers/{sent,accepted,declined,rescinded}",
        "master/frameworks/a%2Fb%20c/f-1/tasks/active/{task_staging,task_running,task_killing}",
        "master/frameworks/a%2Fb%20c/f-1/tasks/terminal/{task_finished,task_failed,task_lost}",
        "master/frameworks/a%2Fb%20c/f-1/roles/a/b/suppressed",
        "allocator/mesos/{allocation_runs,event_queue_dispatches}",
        "allocator/mesos/{allocation_run_ms,allocation_run_latency_ms}",
        "allocator/mesos/{allocation_run_ms,allocation_run_latency_ms}/{count,min,max,p50,p90,p95,p99,p999}",
        "allocator/mesos/{allocation_run_ms,allocation_run_latency_ms}/p9999",
        "allocator/mesos/resources/{cpus,mem,disk}/{total,offered_or_allocated}",
        "allocator/mesos/offer_filters/roles/a/b/active",
        "allocator/mesos/roles/a/b/shares/dominant",
        "registrar/{state_fetch_ms,state_store_ms,queued_operations,registry_size_bytes}",
        "registrar/state_store_ms/{count,min,max,p50,p90,p95,p99,p999,p9999}",
        "registrar/log/{recovered,ensemble_size}",
        "system/{load_1min,load_5min,load_15min,cpus_total,mem_total_bytes,mem_free_bytes}",
};

static void expect_names(json_t *metrics, const char *pattern)
{
        const char *open = strchr(pattern, '{'), *close = open ? strchr(open, '}') : NULL;

        if (!open) {
                if (!json_is_real(json_object_get(metrics, pattern)))
                        fail_msg("no number %s", pattern);
                return;
        }
        for (const char *word = open + 1; word < close;) {
                size_t len = strcspn(word, ",}");
                _cleanup_free_ char *one =
                        xasprintf("%.*s%.*s%s", (int)(open - pattern), pattern, (int)len, word, close + 1);

                expect_names(metrics, one);
                word += len + 1;
        }
}

static void world_fill(struct world *w)
{
        world_start(w);
        world_add_agent(w);
        w->f = world_add_framework(w,
                "{\"user\": \"nobody\", \"name\": \"a/b c\", \"id\": {\"value\": \"" FRAMEWORK
                "\"}, \"role\": \"a/b\"}");
}

static void test_names(void **state)
{
        struct world w = {};
        const char *name;
        json_t *j, *value;

        world_fill(&w);
        j = get_json(&w, "/metrics/snapshot");
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                expect_names(j, names[i]);
        json_object_foreach(j, name, value)
        {
                if (!json_is_real(value))
                        fail_msg("%s is no number", name);
        }
        json_decref(j);
        world_stop(&w);
}

static void expect_metric(struct world *w, const char *name, double want)
{
        json_t *j = get_json(w, "/metrics/snapshot");
        json_t *value = json_object_get(j, name);

        if (!value || json_number_value(value) != want)
                fail_msg("%s is %f, not %f", name, value ? json_number_value(value) : -1, want);
        json_decref(j);
}

#define OF_FRAMEWORK "master/frameworks/a%2Fb%20c/" FRAMEWORK "/"

static void test_values(void **state)
{
        Mete__V1__TaskStatus status = METE__V1__TASK_STATUS__INIT;
        struct world w = {};

        world_fill(&w);
        expect_metric(&w, "master/elected", 1);
        expect_metric(&w, "master/slave_registrations", 1);
        expect_metric(&w, "master/slaves_active", 1);
        expect_metric(&w, "master/frameworks_active", 2); /* the queue is one */
        expect_metric(&w, "master/cpus_total", 5);
        expect_metric(&w, "master/cpus_used", 0);
        world_add_task(&w, w.f, "t", "");
        expect_metric(&w, "master/cpus_used", 0.5);
        expect_metric(&w, "master/cpus_percent", 0.1);
        expect_metric(&w, "allocator/mesos/resources/cpus/offered_or_allocated", 0.5);
        expect_metric(&w, "master/tasks_running", 1);
        expect_metric(&w, OF_FRAMEWORK "tasks/active/task_running", 1);
        expect_metric(&w, OF_FRAMEWORK "roles/a/b/suppressed", 1);
        assert_int_equal(allocator_revive(w.m->allocator, FRAMEWORK, "a/b"), 0);
        expect_metric(&w, OF_FRAMEWORK "roles/a/b/suppressed", 0);
        w.f->state = FRAMEWORK_DISCONNECTED;
        expect_metric(&w, OF_FRAMEWORK "subscribed", 0);
        expect_metric(&w, "master/frameworks_inactive", 1);
        /* what is counted where it happens */
        count_call(w.m, w.f, METE__V1__SCHEDULER__CALL__TYPE__KILL);
        count_call(w.m, NULL, METE__V1__SCHEDULER__CALL__TYPE__KILL);
        expect_metric(&w, "master/messages_kill_task", 2);
        expect_metric(&w, OF_FRAMEWORK "calls/kill", 1);
        expect_metric(&w, OF_FRAMEWORK "calls", 1);
        count_offers_declined(w.f, 3);
        expect_metric(&w, OF_FRAMEWORK "offers/declined", 3);
        status.state = METE__V1__TASK_STATE__TASK_FAILED;
        status.has_source = status.has_reason = true;
        status.source = METE__V1__TASK_STATUS__SOURCE__SOURCE_AGENT;
        status.reason = METE__V1__TASK_STATUS__REASON__REASON_AGENT_REMOVED;
        count_task_ended(w.f, &status);
        status.state = METE__V1__TASK_STATE__TASK_RUNNING; /* not the end */
        count_task_ended(w.f, &status);
        expect_metric(&w, "master/tasks_failed", 1);
        expect_metric(&w, OF_FRAMEWORK "tasks/terminal/task_failed", 1);
        expect_metric(&w, "master/task_failed/source_slave/reason_slave_removed", 1);
        world_stop(&w);
}

static void test_filters(void **state)
{
        _cleanup_resources_ struct resources some = {};
        struct allocator_usage use = {FRAMEWORK, "a/b", &some};
        struct world w = {};

        world_fill(&w);
        resources_set_scalar(&some, "cpus", 1000);
        expect_metric(&w, "allocator/mesos/offer_filters/roles/a/b/active", 0);
        assert_int_equal(allocator_allocate(w.m->allocator, w.a->id, &use), 0);
        assert_int_equal(
                allocator_recover(w.m->allocator, w.a->id, &use, mono_now(), 1000 * NSEC_PER_SEC), 0);
        expect_metric(&w, "allocator/mesos/offer_filters/roles/a/b/active", 1);
        expect_metric(&w, "allocator/mesos/offer_filters/roles/*/active", 0);
        world_stop(&w);
}

static void test_timeout(void **state)
{
        static const char *const good[] = {"100ms", "1secs", "1.5mins", "0ns"};
        static const char *const bad[] = {
                "", "100", "ms", "1 ms", "-1secs", "1.2.3secs", ".5secs", "1parsec"};
        struct world w = {};

        world_start(&w);
        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                _cleanup_free_ char *path = xasprintf("/metrics/snapshot?timeout=%s", good[i]);

                assert_int_equal(get(&w, path), 200);
        }
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                _cleanup_free_ char *path = xasprintf(
                        "/metrics/snapshot?timeout=%s", str_equal(bad[i], "1 ms") ? "1%20ms" : bad[i]);

                if (get(&w, path) != 400)
                        fail_msg("timeout=%s: %d", bad[i], w.c.status);
        }
        world_stop(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_values),
                cmocka_unit_test(test_filters),
                cmocka_unit_test(test_timeout),
        };

        (void)signal(SIGPIPE, SIG_IGN);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
