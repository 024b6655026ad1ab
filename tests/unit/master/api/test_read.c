/* The read side: what is where, in which form, for whom. */

#include "tests/unit/master/api/read_world.h"

#define STATUS(state, more)                                                                                  \
        "{\"task_id\": {\"value\": \"t\"}, \"state\": \"" state "\", \"timestamp\": " more "}"

/* A framework with a task in each place, an executor, and one that is over. */
static void world_fill(struct world *w)
{
        struct framework *over;
        struct task *t;

        world_start(w);
        world_add_agent(w);
        w->f = world_add_framework(w,
                "{\"user\": \"nobody\", \"name\": \"a/b c\", \"id\": {\"value\": \"" FRAMEWORK
                "\"}, \"failover_timeout\": 60,"
                " \"principal\": \"me\", \"hostname\": \"h\", \"webui_url\": \"http://h/\", \"roles\": "
                "[\"a/b\"],"
                " \"capabilities\": [{\"type\": \"MULTI_ROLE\"}, {\"type\": \"PARTITION_AWARE\"}],"
                " \"labels\": {\"labels\": [{\"key\": \"k\", \"value\": \"v\"}]}}");
        t = world_add_task(w, w->f, "running",
                ", \"executor\": {\"executor_id\": {\"value\": \"x\"}},"
                " \"labels\": {\"labels\": [{\"key\": \"l\"}]}, \"discovery\": {\"visibility\": \"CLUSTER\", "
                "\"name\": \"d\"},"
                " \"container\": {\"type\": \"MESOS\"}, \"health_check\": {\"type\": \"TCP\", \"tcp\": "
                "{\"port\": 80}},"
                " \"limits\": {\"cpus\": {\"value\": 2}, \"mem\": {\"value\": \"Infinity\"}}");
        world_add_status(t, STATUS("TASK_STARTING", "10.5, \"source\": \"SOURCE_EXECUTOR\""));
        world_add_status(
                t, STATUS("TASK_RUNNING",
                           "11, \"source\": \"SOURCE_AGENT\", \"reason\": \"REASON_AGENT_REREGISTERED\", "
                           "\"healthy\": true,"
                           " \"labels\": {\"labels\": [{\"key\": \"s\", \"value\": \"1\"}]}, "
                           "\"container_status\":"
                           " {\"container_id\": {\"value\": \"c\", \"parent\": {\"value\": \"p\"}}, "
                           "\"executor_pid\": 7,"
                           " \"network_infos\": [{\"ip_addresses\": [{\"ip_address\": \"10.0.0.1\"}]}]}"));
        t = world_add_task(w, w->f, "ended", ", \"command\": {\"value\": \"true\", \"user\": \"www\"}");
        task_enter_state(t, METE__V1__TASK_STATE__TASK_FINISHED);
        world_add_status(t, STATUS("TASK_FINISHED", "20"));
        framework_keep_completed(w->f, t);
        task_remove(t);
        t = world_add_task(w, w->f, "away", "");
        task_enter_state(t, METE__V1__TASK_STATE__TASK_UNREACHABLE);
        world_add_status(t, STATUS("TASK_UNREACHABLE", "5"));
        framework_keep_unreachable(w->f, t);
        task_remove(t);
        over = world_add_framework(
                w, "{\"user\": \"u\", \"name\": \"over\", \"id\": {\"value\": \"f-0\"}, \"role\": \"r\"}");
        framework_remove(over, "enough");
}

static void world_add_executor(struct world *w)
{
        Mete__V1__ExecutorInfo *info = message_of(&mete__v1__executor_info__descriptor,
                "{\"executor_id\": {\"value\": \"x\"}, \"name\": \"n\", \"type\": \"CUSTOM\", \"command\": "
                "{\"value\": \"run\","
                " \"shell\": false, \"arguments\": [\"run\", \"1\"], \"uris\": [{\"value\": \"http://u/\"}], "
                "\"environment\":"
                " {\"variables\": [{\"name\": \"SECRET\", \"value\": \"hidden\"}]}}}");
        _cleanup_resources_ struct resources need = {};

        resources_set_scalar(&need, "cpus", 100);
        executor_add(w->f, w->a, "a/b", info, &need);
        if (w->a->allocated) {
                struct allocator_usage use = {w->f->id, "a/b", &need};

                allocator_allocate(w->m->allocator, w->a->id, &use);
        }
        message_free(info);
}

/* ---- shapes ---- */

/* Members and their types: s string, i integer, r real, b boolean, o object, a array. */
#define RESOURCES "cpus:r gpus:r mem:r disk:r"
#define VERSION "version:s build_date:s build_time:r build_user:s"
#define SLAVE                                                                                                \
        "id:s hostname:s port:i attributes:o pid:s registered_time:r resources:o used_resources:o"           \
        " offered_resources:o reserved_resources:o unreserved_resources:o active:b deactivated:b version:s"  \
        " capabilities:a"
#define FRAMEWORK_SUMMARY                                                                                    \
        "id:s name:s used_resources:o offered_resources:o resources:o capabilities:a hostname:s webui_url:s" \
        " active:b connected:b recovered:b"
#define FRAMEWORK_ALL                                                                                        \
        FRAMEWORK_SUMMARY " user:s failover_timeout:r checkpoint:b registered_time:r unregistered_time:r"    \
                          " tasks:a unreachable_tasks:a completed_tasks:a offers:a executors:a labels:a"
#define TASK                                                                                                 \
        "id:s name:s framework_id:s executor_id:s slave_id:s state:s resources:o role:s statuses:a labels:a"
#define COUNTS                                                                                               \
        "TASK_STAGING:i TASK_STARTING:i TASK_RUNNING:i TASK_KILLING:i TASK_FINISHED:i TASK_FAILED:i"         \
        " TASK_KILLED:i TASK_ERROR:i TASK_LOST:i TASK_DROPPED:i TASK_UNREACHABLE:i TASK_GONE:i"              \
        " TASK_GONE_BY_OPERATOR:i TASK_UNKNOWN:i"

static const struct shape {
        const char *path, *where, *members;
} shapes[] = {
        {"/version", "", VERSION},
        {"/flags", "flags", "address:s port:s work_dir:s agent_ping_timeout:s"},
        {"/state", "",
                VERSION " start_time:r elected_time:r id:s pid:s hostname:s capabilities:a leader:s"
                        " leader_info:o activated_slaves:i deactivated_slaves:i unreachable_slaves:i flags:o"
                        " slaves:a recovered_slaves:a frameworks:a completed_frameworks:a orphan_tasks:a"
                        " unregistered_frameworks:a"},
        {"/state", "leader_info", "id:s pid:s port:i hostname:s"},
        {"/state", "slaves.0", SLAVE},
        {"/state", "slaves.0.resources", RESOURCES " ports:s disks:s"},
        {"/state", "slaves.0.reserved_resources.ops", RESOURCES},
        {"/state", "slaves.0.offered_resources", RESOURCES},
        {"/frameworks?framework_id=" FRAMEWORK, "frameworks.0", FRAMEWORK_ALL " principal:s roles:a"},
        {"/frameworks", "", "frameworks:a completed_frameworks:a unregistered_frameworks:a"},
        {"/state", "completed_frameworks.0", FRAMEWORK_ALL " role:s"},
        {"/frameworks?framework_id=" FRAMEWORK, "frameworks.0.tasks.0",
                TASK " limits:o user:s discovery:o container:o health_check:o"},
        {"/frameworks?framework_id=" FRAMEWORK, "frameworks.0.tasks.0.statuses.1",
                "state:s timestamp:r labels:a container_status:o healthy:b source:s reason:s"},
        {"/frameworks?framework_id=" FRAMEWORK, "frameworks.0.unreachable_tasks.0", TASK},
        {"/frameworks?framework_id=" FRAMEWORK, "frameworks.0.completed_tasks.0", TASK " user:s"},
        {"/frameworks?framework_id=" FRAMEWORK, "frameworks.0.executors.0",
                "executor_id:s name:s framework_id:s slave_id:s source:s role:s type:s resources:o command:o"
                " labels:a"},
        {"/slaves", "", "slaves:a recovered_slaves:a"},
        {"/slaves", "slaves.0",
                SLAVE " used_resources_full:a offered_resources_full:a reserved_resources_full:o"
                      " unreserved_resources_full:a"},
        {"/slaves", "slaves.0.unreserved_resources_full.0", "name:s type:s scalar:o role:s"},
        {"/slaves", "slaves.0.reserved_resources_full.ops.0", "name:s type:s scalar:o role:s"},
        {"/slaves", "slaves.0.used_resources_full.0", "name:s type:s scalar:o role:s allocation_info:o"},
        {"/tasks", "tasks.0", TASK},
        {"/roles", "roles.0",
                "name:s weight:r frameworks:a resources:o quota:o allocated:o offered:o reserved:o"},
        {"/roles", "roles.0.quota", "role:s guarantee:o limit:o consumed:o"},
        {"/state-summary", "", "hostname:s slaves:a frameworks:a"},
        {"/state-summary", "slaves.0", SLAVE " framework_ids:a " COUNTS},
        {"/state-summary", "frameworks.0", FRAMEWORK_SUMMARY " slave_ids:a " COUNTS},
        {"/system/stats.json", "",
                "avg_load_1min:r avg_load_5min:r avg_load_15min:r cpus_total:i mem_total_bytes:i"
                " mem_free_bytes:i"},
};

static bool has_type(const json_t *value, char type)
{
        switch (type) {
        case 's':
                return json_is_string(value);
        case 'i':
                return json_is_integer(value);
        case 'r':
                return json_is_real(value);
        case 'b':
                return json_is_boolean(value);
        case 'o':
                return json_is_object(value);
        default:
                return json_is_array(value);
        }
}

static void check_shape(struct world *w, const char *prefix, const struct shape *s)
{
        _cleanup_free_ char *path = xasprintf("%s%s", prefix, s->path), *members = xstrdup(s->members);
        json_t *answer = get_json(w, path), *object = at(answer, s->where);
        char *save = NULL;

        if (!json_is_object(object))
                fail_msg("%s: no object at %s: %s", path, s->where, w->c.body);
        for (char *m = strtok_r(members, " ", &save); m; m = strtok_r(NULL, " ", &save)) {
                char *colon = strchr(m, ':');

                *colon = 0;
                if (!has_type(json_object_get(object, m), colon[1]))
                        fail_msg("%s: %s.%s is not of type %c: %s", path, s->where, m, colon[1], w->c.body);
        }
        json_decref(answer);
}

static void test_shapes(void **state)
{
        struct world w = {};

        world_fill(&w);
        world_add_executor(&w);
        for (size_t i = 0; i < ELEMENTSOF(shapes); i++) {
                check_shape(&w, "", &shapes[i]);
                check_shape(&w, "/master", &shapes[i]);
        }
        world_stop(&w);
}

/* ---- values ---- */

static void test_agent(void **state)
{
        struct world w = {};
        json_t *j, *slave;

        world_fill(&w);
        j = get_json(&w, "/slaves");
        slave = at(j, "slaves.0");
        assert_string_equal(text_at(slave, "id"), w.a->id);
        assert_string_equal(text_at(slave, "pid"), "slave(1)@10.1.2.3:5052");
        assert_int_equal(number_at(slave, "port"), 5052);
        assert_string_equal(text_at(slave, "resources.ports"), "[31000-32000, 33000-33000]");
        assert_string_equal(text_at(slave, "resources.disks"), "{a,b}");
        assert_true(number_at(slave, "resources.cpus") == 5);
        assert_true(number_at(slave, "reserved_resources.ops.cpus") == 1);
        assert_true(number_at(slave, "unreserved_resources.cpus") == 4);
        assert_true(number_at(slave, "used_resources.cpus") == 0.5);
        assert_true(number_at(slave, "used_resources_full.0.scalar.value") == 0.5);
        assert_string_equal(text_at(slave, "used_resources_full.0.allocation_info.role"), "a/b");
        assert_string_equal(text_at(slave, "unreserved_resources_full.0.role"), "*");
        assert_int_equal(json_array_size(at(slave, "unreserved_resources_full")), 4);
        assert_string_equal(text_at(slave, "reserved_resources_full.ops.0.role"), "ops");
        assert_int_equal(json_object_size(at(slave, "reserved_resources_full")), 1);
        assert_string_equal(text_at(slave, "attributes.rack"), "r\"1");
        assert_true(number_at(slave, "attributes.level") == 2);
        assert_string_equal(text_at(slave, "attributes.span"), "[1-2]");
        assert_string_equal(text_at(slave, "attributes.tags"), "{x,y}");
        assert_true(json_is_true(at(slave, "active")));
        assert_false(json_is_true(at(slave, "deactivated")));
        json_decref(j);
        world_stop(&w);
}

static void test_task(void **state)
{
        struct world w = {};
        json_t *j, *t;

        world_fill(&w);
        j = get_json(&w, "/tasks?task_id=running");
        assert_int_equal(json_array_size(at(j, "tasks")), 1);
        t = at(j, "tasks.0");
        assert_string_equal(text_at(t, "executor_id"), "x");
        assert_string_equal(text_at(t, "slave_id"), w.a->id);
        assert_string_equal(text_at(t, "framework_id"), FRAMEWORK);
        assert_string_equal(text_at(t, "state"), "TASK_RUNNING");
        assert_string_equal(text_at(t, "role"), "a/b");
        assert_string_equal(text_at(t, "limits.mem"), "Infinity");
        assert_true(number_at(t, "limits.cpus") == 2);
        assert_string_equal(text_at(t, "labels.0.key"), "l");
        assert_string_equal(text_at(t, "discovery.visibility"), "CLUSTER");
        assert_string_equal(text_at(t, "container.type"), "MESOS");
        assert_int_equal(number_at(t, "health_check.tcp.port"), 80);
        assert_string_equal(text_at(t, "statuses.0.state"), "TASK_STARTING");
        assert_string_equal(text_at(t, "statuses.1.source"), "SOURCE_SLAVE");
        assert_string_equal(text_at(t, "statuses.1.reason"), "REASON_SLAVE_REREGISTERED");
        assert_string_equal(text_at(t, "statuses.1.container_status.container_id.parent.value"), "p");
        assert_string_equal(
                text_at(t, "statuses.1.container_status.network_infos.0.ip_addresses.0.ip_address"),
                "10.0.0.1");
        assert_null(at(t, "agent_id"));
        json_decref(j);
        j = get_json(&w, "/tasks?task_id=ended"); /* a command task */
        assert_string_equal(text_at(j, "tasks.0.executor_id"), "");
        assert_string_equal(text_at(j, "tasks.0.user"), "www");
        assert_string_equal(text_at(j, "tasks.0.role"), "a/b");
        assert_int_equal(json_array_size(at(j, "tasks.0.labels")), 0);
        json_decref(j);
        world_stop(&w);
}

static void test_framework(void **state)
{
        struct world w = {};
        json_t *j, *f;

        world_fill(&w);
        world_add_executor(&w);
        j = get_json(&w, "/frameworks?framework_id=" FRAMEWORK);
        assert_int_equal(json_array_size(at(j, "frameworks")), 1);
        f = at(j, "frameworks.0");
        assert_string_equal(text_at(f, "capabilities.1"), "PARTITION_AWARE");
        assert_string_equal(text_at(f, "roles.0"), "a/b");
        assert_null(at(f, "role"));
        assert_true(number_at(f, "used_resources.cpus") == 0.6); /* a task and an executor */
        assert_string_equal(text_at(f, "labels.0.value"), "v");
        assert_string_equal(text_at(f, "executors.0.slave_id"), w.a->id);
        assert_string_equal(text_at(f, "executors.0.command.argv.1"), "1");
        assert_true(json_is_true(at(f, "active")));
        assert_int_equal(json_array_size(at(f, "tasks")), 1);
        assert_int_equal(json_array_size(at(f, "completed_tasks")), 1);
        assert_int_equal(json_array_size(at(f, "unreachable_tasks")), 1);
        json_decref(j);
        j = get_json(&w, "/frameworks?framework_id=f-0");
        assert_int_equal(json_array_size(at(j, "frameworks")), 0);
        assert_string_equal(text_at(j, "completed_frameworks.0.role"), "r");
        assert_false(json_is_true(at(j, "completed_frameworks.0.active")));
        assert_true(number_at(j, "completed_frameworks.0.unregistered_time") > 0);
        json_decref(j);
        world_stop(&w);
}

/* What a task is told in its environment is for root, and for nobody else. */
static void test_environment(void **state)
{
        struct world w = {};
        struct buffer with = {}, without = {};

        world_fill(&w);
        world_add_executor(&w);
        json_framework(&with, w.f, /* with_environment= */ true);
        json_framework(&without, w.f, /* with_environment= */ false);
        assert_non_null(strstr(with.data, "hidden"));
        assert_non_null(strstr(without.data, "argv"));
        assert_null(strstr(without.data, "hidden"));
        buffer_done(&with);
        buffer_done(&without);
        world_stop(&w);
}

static void test_roles(void **state)
{
        struct world w = {};
        json_t *j, *role;

        world_fill(&w);
        world_add_executor(&w);
        j = get_json(&w, "/roles");
        assert_int_equal(json_array_size(at(j, "roles")), 3);
        assert_string_equal(text_at(j, "roles.0.name"), "*");
        role = at(j, "roles.1");
        assert_string_equal(text_at(role, "name"), "a/b");
        assert_int_equal(json_array_size(at(role, "frameworks")), 1);
        assert_string_equal(text_at(role, "frameworks.0"), FRAMEWORK);
        assert_true(number_at(role, "allocated.cpus") == 0.6);
        assert_true(number_at(role, "quota.consumed.cpus") == 0.6);
        assert_string_equal(text_at(j, "roles.2.name"), "ops"); /* nobody is in it: it is reserved for */
        assert_true(number_at(j, "roles.2.reserved.cpus") == 1);
        json_decref(j);
        world_stop(&w);
}

static json_t *framework_named(json_t *list, const char *id)
{
        json_t *f;
        size_t i;

        json_array_foreach(list, i, f)
        {
                if (str_equal(json_string_value(json_object_get(f, "id")), id))
                        return f;
        }
        fail_msg("no framework %s", id);
        return NULL;
}

static void test_summary(void **state)
{
        struct world w = {};
        json_t *j, *f;

        world_fill(&w);
        world_add_task(&w, w.f, "another", "");
        j = get_json(&w, "/state-summary");
        assert_int_equal(number_at(j, "slaves.0.TASK_RUNNING"), 2);
        assert_int_equal(number_at(j, "slaves.0.TASK_FINISHED"), 1);
        assert_int_equal(number_at(j, "slaves.0.TASK_UNREACHABLE"), 1);
        assert_int_equal(number_at(j, "slaves.0.TASK_LOST"), 0);
        assert_int_equal(json_array_size(at(j, "slaves.0.framework_ids")), 1);
        assert_string_equal(text_at(j, "slaves.0.framework_ids.0"), FRAMEWORK);
        f = framework_named(at(j, "frameworks"), FRAMEWORK);
        assert_int_equal(number_at(f, "TASK_RUNNING"), 2);
        assert_int_equal(json_array_size(at(f, "slave_ids")), 1);
        assert_string_equal(text_at(f, "slave_ids.0"), w.a->id);
        json_decref(j);
        world_stop(&w);
}

/* ---- finding ---- */

static void test_paths(void **state)
{
        struct world w = {};
        _cleanup_free_ char *slave = NULL, *query = NULL;
        json_t *j;

        world_fill(&w);
        slave = xasprintf("/slaves/%s", w.a->id);
        query = xasprintf("/master/slaves/?slave_id=%s", w.a->id);
        assert_int_equal(get(&w, "/state/"), 200);
        assert_int_equal(get(&w, "/master/frameworks/"), 200);
        assert_int_equal(get(&w, "/state.json"), 404);
        assert_int_equal(get(&w, "/master/state.json"), 404);
        assert_int_equal(get(&w, "/slave(1)/state"), 404);
        assert_int_equal(get(&w, "/statement"), 404);
        j = get_json(&w, slave);
        assert_int_equal(json_array_size(at(j, "slaves")), 1);
        json_decref(j);
        j = get_json(&w, query);
        assert_int_equal(json_array_size(at(j, "slaves")), 1);
        json_decref(j);
        assert_int_equal(post(&w.c, "POST", slave, "application/json", "{}"), 200);
        assert_int_equal(
                post(&w.c, "POST", "/tasks/?task_id=running&framework_id=" FRAMEWORK, NULL, ""), 200);
        assert_non_null(strstr(w.c.body, "10.0.0.1"));
        assert_int_equal(post(&w.c, "PUT", "/state", NULL, ""), 405);
        assert_int_equal(post(&w.c, "POST", "/version", NULL, ""), 405);
        assert_int_equal(post(&w.c, "POST", "/metrics/snapshot", NULL, ""), 405);
        world_stop(&w);
}

static void test_unknown_ids(void **state)
{
        static const struct {
                const char *path, *list;
        } rows[] = {
                {"/slaves?slave_id=none", "slaves"},
                {"/slaves/none", "slaves"},
                {"/slaves/none/more", "slaves"},
                {"/frameworks?framework_id=none", "frameworks"},
                {"/frameworks?framework_id=none", "completed_frameworks"},
                {"/tasks?framework_id=none", "tasks"},
                {"/tasks?task_id=none", "tasks"},
                {"/tasks?task_id=running&framework_id=f-0", "tasks"},
        };
        struct world w = {};

        world_fill(&w);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                json_t *j = get_json(&w, rows[i].path);

                if (!json_is_array(at(j, rows[i].list)) || json_array_size(at(j, rows[i].list)) != 0)
                        fail_msg("%s: %s", rows[i].path, w.c.body);
                json_decref(j);
        }
        world_stop(&w);
}

/* "t3 t2": the ids of a page. */
static void expect_page(struct world *w, const char *path, const char *want)
{
        json_t *j = get_json(w, path), *t;
        _cleanup_buffer_ struct buffer ids = {};
        size_t i;

        buffer_puts(&ids, "");
        json_array_foreach(at(j, "tasks"), i, t)
                buffer_printf(&ids, "%s%s", i > 0 ? " " : "", text_at(t, "id"));
        if (!str_equal(ids.data, want))
                fail_msg("%s: %s, not %s", path, ids.data, want);
        json_decref(j);
}

static void test_pages_of_tasks(void **state)
{
        struct world w = {};
        json_t *j;

        world_fill(&w); /* by first status: away 5, running 10.5, ended 20 */
        expect_page(&w, "/tasks", "ended running away");
        expect_page(&w, "/tasks?order=desc", "ended running away");
        expect_page(&w, "/tasks?order=asc", "away running ended");
        expect_page(&w, "/tasks?order=asc&limit=2", "away running");
        expect_page(&w, "/tasks?order=asc&limit=2&offset=1", "running ended");
        expect_page(&w, "/tasks?order=asc&limit=1&offset=2", "ended");
        expect_page(&w, "/tasks?order=asc&offset=3", "");
        expect_page(&w, "/tasks?offset=18446744073709551615", "");
        expect_page(&w, "/tasks?limit=0", "");
        expect_page(&w, "/tasks?limit=two&offset=x&order=asc", "away running ended");
        for (unsigned i = 0; i < 120; i++) {
                char id[16];

                (void)snprintf(id, sizeof(id), "t%u", i);
                world_add_task(&w, w.f, id, "");
        }
        j = get_json(&w, "/tasks");
        assert_int_equal(json_array_size(at(j, "tasks")), 100);
        json_decref(j);
        j = get_json(&w, "/tasks?limit=-1");
        assert_int_equal(json_array_size(at(j, "tasks")), 123);
        json_decref(j);
        world_stop(&w);
}

static void test_recovered_agents(void **state)
{
        struct world w = {};
        json_t *j;

        world_fill(&w);
        w.a->state = AGENT_RECOVERED;
        j = get_json(&w, "/slaves");
        assert_int_equal(json_array_size(at(j, "slaves")), 0);
        assert_string_equal(text_at(j, "recovered_slaves.0.id"), w.a->id);
        assert_string_equal(text_at(j, "recovered_slaves.0.hostname"), "fake");
        json_decref(j);
        w.a->state = AGENT_UNREACHABLE;
        j = get_json(&w, "/state");
        assert_int_equal(json_array_size(at(j, "slaves")), 0);
        assert_int_equal(json_array_size(at(j, "recovered_slaves")), 0);
        assert_int_equal(number_at(j, "unreachable_slaves"), 1);
        json_decref(j);
        w.a->state = AGENT_ACTIVE;
        world_stop(&w);
}

/* ---- callers ---- */

static void test_jsonp(void **state)
{
        struct world w = {};

        world_fill(&w);
        assert_int_equal(get(&w, "/state?jsonp=angular.callbacks._0"), 200);
        assert_int_equal(strncmp(w.c.body, "angular.callbacks._0({", 22), 0);
        assert_string_equal(w.c.body + strlen(w.c.body) - 3, "});");
        assert_int_equal(get(&w, "/state?jsonp=alert(1)"), 400);
        assert_int_equal(get(&w, "/metrics/snapshot?jsonp=f"), 200);
        assert_int_equal(strncmp(w.c.body, "f({", 3), 0);
        http_client_set_header(w.c.client, "Sec-Fetch-Site", "cross-site");
        assert_int_equal(get(&w, "/state?jsonp=f"), 403);
        assert_int_equal(get(&w, "/state"), 200); /* without: the browser keeps it from the page */
        http_client_set_header(w.c.client, "Sec-Fetch-Site", "same-origin");
        assert_int_equal(get(&w, "/state?jsonp=f"), 200);
        world_stop(&w);
}

static void test_host(void **state)
{
        struct world w = {};

        world_start(&w);
        w.options.insecure = false;
        http_client_set_header(w.c.client, "Host", "evil.example.com");
        assert_int_equal(get(&w, "/state"), 403);
        assert_int_equal(get(&w, "/tasks"), 403);
        assert_int_equal(get(&w, "/metrics/snapshot"), 403);
        assert_int_equal(get(&w, "/flags"), 403);
        assert_int_equal(get(&w, "/version"), 200);
        assert_int_equal(get(&w, "/health"), 200);
        world_stop(&w);
}

struct redirect {
        struct world *w;
        char *location;
        int status;
};

static void on_redirect(const struct http_response *r, void *userdata)
{
        struct redirect *x = userdata;

        free(x->location);
        x->location = xstrdup(http_client_answer_header(x->w->c.client, "Location"));
        x->status = r->status;
}

static void expect_redirect(struct world *w, const char *path, int status, const char *location)
{
        struct redirect x = {.w = w};

        http_client_request(w->c.client, "GET", path, NULL, NULL, "", 0, 0, on_redirect, &x);
        WAIT_FOR(&w->c, x.status != 0);
        assert_int_equal(x.status, status);
        if (!str_equal(x.location, location))
                fail_msg("%s: Location is %s", path, x.location);
        free(x.location);
}

static void test_redirect(void **state)
{
        struct world w = {};
        _cleanup_free_ char *here = NULL, *named = NULL;
        char *hostname = xstrdup("m.example");

        world_start(&w);
        here = xasprintf("//127.0.0.1:%u", w.c.port);
        named = xasprintf("//m.example:%u", w.c.port);
        expect_redirect(&w, "/redirect", 307, here);
        expect_redirect(&w, "/redirect/", 307, here);
        expect_redirect(&w, "/master/redirect", 307, here);
        expect_redirect(&w, "/redirect/x", 404, NULL);
        w.options.hostname = hostname;
        expect_redirect(&w, "/redirect", 307, named);
        w.options.hostname = NULL;
        free(hostname);
        /* Nobody else is ever known to lead a standalone one. */
        w.m->leading = false;
        expect_redirect(&w, "/redirect", 503, NULL);
        expect_redirect(&w, "/state", 503, NULL);
        expect_redirect(&w, "/master/tasks", 503, NULL);
        assert_int_equal(get(&w, "/version"), 200);
        assert_int_equal(get(&w, "/health"), 200);
        assert_int_equal(get(&w, "/metrics/snapshot"), 200);
        assert_non_null(strstr(w.c.body, "\"master/elected\":0.0"));
        w.m->leading = true;
        world_stop(&w);
}

static void test_files(void **state)
{
        struct world w = {};

        world_start(&w);
        assert_int_equal(get(&w, "/files/read"), 400);
        assert_int_equal(get(&w, "/files/browse?path="), 400);
        assert_int_equal(get(&w, "/files/read?path=/master/log&offset=-1"), 404);
        assert_int_equal(get(&w, "/files/browse?path=/etc"), 404);
        assert_int_equal(get(&w, "/files/download?path=/etc/passwd"), 404);
        assert_int_equal(get(&w, "/files/other?path=/etc"), 404);
        assert_int_equal(get(&w, "/files"), 404);
        world_stop(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_shapes),
                cmocka_unit_test(test_agent),
                cmocka_unit_test(test_task),
                cmocka_unit_test(test_framework),
                cmocka_unit_test(test_environment),
                cmocka_unit_test(test_roles),
                cmocka_unit_test(test_summary),
                cmocka_unit_test(test_paths),
                cmocka_unit_test(test_unknown_ids),
                cmocka_unit_test(test_pages_of_tasks),
                cmocka_unit_test(test_recovered_agents),
                cmocka_unit_test(test_jsonp),
                cmocka_unit_test(test_host),
                cmocka_unit_test(test_redirect),
                cmocka_unit_test(test_files),
        };

        (void)signal(SIGPIPE, SIG_IGN);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
