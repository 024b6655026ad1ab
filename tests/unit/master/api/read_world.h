/*
 * A master in this very process with what a reader may find in it: an agent, frameworks, live and past tasks, an executor. The
 * client is a real one, over loopback.
 */
#pragma once

#include "master/api/read/read.h"
#include "master/frameworks/frameworks.h"
#include "tests/unit/master/harness.h"

#define FRAMEWORK "f-1"

struct world {
        struct cluster c;
        struct master_options options;
        struct master *m;
        struct framework *f;
        struct agent *a;
};

static inline void world_start(struct world *w)
{
        master_options_init(&w->options);
        w->options.port = 0;
        free(w->options.work_dir);
        w->options.work_dir = xstrdup("/nowhere");
        w->options.store = xstrdup("memory:");
        w->options.insecure = geteuid() != 0;
        log_set_level(LOG_LEVEL_ERROR);
        assert_int_equal(loop_new(&w->c.loop, NULL), 0);
        assert_int_equal(master_new(w->c.loop, &w->options, &w->m, NULL), 0);
        w->c.port = master_port(w->m);
        w->c.answer_pings = true;
        assert_int_equal(http_client_new(w->c.loop, "127.0.0.1", w->c.port, &w->c.client, NULL), 0);
        assert_int_equal(http_client_new(w->c.loop, "127.0.0.1", w->c.port, &w->c.calls, NULL), 0);
}

static inline void world_stop(struct world *w)
{
        http_client_free(w->c.client);
        http_client_free(w->c.calls);
        http_client_free(w->c.stream);
        master_free(w->m);
        loop_free(w->c.loop);
        forget_all_seen(&w->c);
        free(w->options.address);
        free(w->options.work_dir);
        free(w->options.store);
        free(w->options.election);
        free(w->options.policy);
}

/* A message from its JSON. The caller frees it. */
static inline void *message_of(const ProtobufCMessageDescriptor *d, const char *json)
{
        _cleanup_error_ struct error e = {};
        ProtobufCMessage *m = NULL;

        if (message_decode(CODEC_JSON, d, json, strlen(json), &m, &e) < 0)
                fail_msg("%s: %s", json, error_message(&e));
        return m;
}

/* The framework's ids are filled in; NULL: a plain one. */
static inline struct framework *world_add_framework(struct world *w, const char *json)
{
        Mete__V1__FrameworkInfo *info = message_of(&mete__v1__framework_info__descriptor, json);
        struct framework *f = framework_add(w->m, info, NULL, NULL);

        f->state = FRAMEWORK_ACTIVE;
        f->registered = 1000.5;
        (void)allocator_suppress(w->m->allocator, f->id, NULL);
        return f;
}

static inline void world_add_status(struct task *t, const char *json)
{
        t->statuses = xrealloc(t->statuses, (t->n_statuses + 1) * sizeof(*t->statuses));
        t->statuses[t->n_statuses++] = message_of(&mete__v1__task_status__descriptor, json);
}

/* `more` are further members of TaskInfo, with a comma in front. */
static inline struct task *world_add_task(
        struct world *w, struct framework *f, const char *id, const char *more)
{
        _cleanup_free_ char *json =
                xasprintf("{\"name\": \"name of %s\", \"task_id\": {\"value\": \"%s\"},"
                          " \"agent_id\": {\"value\": \"%s\"}, \"resources\": ["
                          "{\"name\": \"cpus\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 0.5},"
                          " \"allocation_info\": {\"role\": \"a/b\"}}]%s}",
                        id, id, w->a->id, more);
        Mete__V1__TaskInfo *info = message_of(&mete__v1__task_info__descriptor, json);
        _cleanup_resources_ struct resources need = {};
        struct task *t;

        assert_true(resources_of_task(w->a, info, &need));
        t = task_add(f, w->a, "a/b", info, NULL, &need);
        task_enter_state(t, METE__V1__TASK_STATE__TASK_RUNNING);
        t->sent = true;
        if (w->a->allocated) {
                struct allocator_usage use = {f->id, t->role, &need};

                allocator_allocate(w->m->allocator, w->a->id, &use);
        }
        return t;
}

/* One agent with ports and attributes. */
static inline void world_add_agent(struct world *w)
{
        static const char attributes[] =
                "{\"hostname\": \"fake\", \"port\": 5051, \"attributes\": ["
                "{\"name\": \"rack\", \"type\": \"TEXT\", \"text\": {\"value\": \"r\\\"1\"}},"
                "{\"name\": \"level\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 2}},"
                "{\"name\": \"span\", \"type\": \"RANGES\", \"ranges\": {\"range\": [{\"begin\": 1, \"end\": "
                "2}]}},"
                "{\"name\": \"tags\", \"type\": \"SET\", \"set\": {\"item\": [\"x\", \"y\"]}}],"
                "\"resources\": ["
                "{\"name\": \"cpus\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 4}},"
                "{\"name\": \"mem\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 1024}},"
                "{\"name\": \"cpus\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 1}, \"role\": \"ops\"},"
                "{\"name\": \"ports\", \"type\": \"RANGES\", \"ranges\": {\"range\": ["
                "{\"begin\": 31000, \"end\": 32000}, {\"begin\": 33000, \"end\": 33000}]}},"
                "{\"name\": \"disks\", \"type\": \"SET\", \"set\": {\"item\": [\"a\", \"b\"]}}]}";
        Mete__V1__AgentID *id;

        subscribe(&w->c, NULL, 0);
        w->a = agent_find(w->m, w->c.agent_id);
        assert_non_null(w->a);
        id = TAKE_PTR(w->a->info->id);
        message_free(w->a->info);
        w->a->info = message_of(&mete__v1__agent_info__descriptor, attributes);
        w->a->info->id = id;
        resources_done(&w->a->total);
        assert_int_equal(resources_from_proto(w->a->info->resources, w->a->info->n_resources, "resources",
                                 &w->a->total, NULL),
                0);
        set_string(&w->a->address, "10.1.2.3:5052");
}

/* ---- reading ---- */

static inline int get(struct world *w, const char *path)
{
        return post(&w->c, "GET", path, NULL, "");
}

static inline json_t *get_json(struct world *w, const char *path)
{
        json_error_t error;
        json_t *answer;

        if (get(w, path) != 200)
                fail_msg("%s: %d %s", path, w->c.status, w->c.body);
        answer = json_loads(w->c.body, JSON_REJECT_DUPLICATES, &error);
        if (!answer)
                fail_msg("%s is no JSON: %s at %d: %s", path, error.text, error.position, w->c.body);
        return answer;
}

/* "slaves.0.resources"; NULL when there is no such thing. */
static inline json_t *at(json_t *root, const char *path)
{
        _cleanup_free_ char *copy = xstrdup(path);
        char *save = NULL;

        for (char *part = strtok_r(copy, ".", &save); part && root; part = strtok_r(NULL, ".", &save))
                root = json_is_array(root) ? json_array_get(root, (size_t)atoi(part))
                                           : json_object_get(root, part);
        return root;
}

static inline const char *text_at(json_t *root, const char *path)
{
        const char *s = json_string_value(at(root, path));

        if (!s)
                fail_msg("%s: no string there", path);
        return s;
}

static inline double number_at(json_t *root, const char *path)
{
        if (!json_is_number(at(root, path)))
                fail_msg("%s: no number there", path);
        return json_number_value(at(root, path));
}
