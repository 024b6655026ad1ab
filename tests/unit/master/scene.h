/* A master in this process, a framework of its own kind in it, and the harness's pretended agent, all on one loop. */
#pragma once

#include "master/api/scheduler.h"
#include "tests/unit/master/harness.h"

#define SCENE_MAX 64

struct scene {
        struct cluster c;
        struct master_options options;
        struct master *m;
        struct framework *f;
        struct framework_ops ops;
        struct string_list offered, rescinded; /* offer ids */
        Mete__V1__TaskStatus *statuses[SCENE_MAX];
        size_t status_count;
        Mete__V1__OperationStatus *operations[SCENE_MAX];
        size_t operation_count;
};

static inline void scene_offer(struct framework *f, struct offer *o)
{
        string_list_add(&((struct scene *)f->userdata)->offered, o->id);
}

static inline void scene_rescind(struct framework *f, struct offer *o)
{
        string_list_add(&((struct scene *)f->userdata)->rescinded, o->id);
}

static inline void scene_update(
        struct framework *f, struct agent *a, struct task *t, const Mete__Agent__StatusUpdate *u)
{
        struct scene *s = f->userdata;

        if (u->status->has_uuid) { /* the agent's own: only what the master makes up is of interest */
                agent_acknowledge(a, f->id, u->status->task_id->value, u->status->uuid.data);
                return;
        }
        assert_true(s->status_count < SCENE_MAX);
        s->statuses[s->status_count++] = message_copy(u->status);
}

static inline void scene_operation(struct framework *f, const Mete__V1__OperationStatus *status)
{
        struct scene *s = f->userdata;

        assert_true(s->operation_count < SCENE_MAX);
        s->operations[s->operation_count++] = message_copy(status);
}

static inline void *decode_json(const ProtobufCMessageDescriptor *d, const char *json)
{
        _cleanup_error_ struct error e = {};
        ProtobufCMessage *m = NULL;

        if (message_decode(CODEC_JSON, d, json, strlen(json), &m, &e) < 0)
                fail_msg("%s: %s", json, error_message(&e));
        return m;
}

static inline struct framework *scene_add_framework(struct scene *s, const char *info)
{
        struct framework *f =
                framework_add(s->m, decode_json(&mete__v1__framework_info__descriptor, info), &s->ops, s);

        f->state = FRAMEWORK_ACTIVE;
        return f;
}

/* `info`: FrameworkInfo with its id. Options of the master that a test wants are set before. */
static inline void scene_start_as(struct scene *s, const char *info)
{
        _cleanup_error_ struct error e = {};
        uint64_t offer_timeout_ns = s->options.offer_timeout_ns;

        log_set_level(LOG_LEVEL_ERROR);
        (void)signal(SIGPIPE, SIG_IGN);
        assert_int_equal(loop_new(&s->c.loop, NULL), 0);
        master_options_init(&s->options);
        s->options.store = xstrdup("memory:");
        s->options.port = 0;
        s->options.insecure = geteuid() != 0;
        s->options.offer_timeout_ns = offer_timeout_ns;
        if (master_new(s->c.loop, &s->options, &s->m, &e) < 0)
                fail_msg("%s", error_message(&e));
        s->c.port = master_port(s->m);
        s->c.answer_pings = true;
        assert_int_equal(http_client_new(s->c.loop, "127.0.0.1", s->c.port, &s->c.calls, NULL), 0);
        s->ops = (struct framework_ops){.offer = scene_offer,
                .rescind = scene_rescind,
                .update = scene_update,
                .operation = scene_operation};
        s->f = scene_add_framework(s, info);
        subscribe(&s->c, NULL, 0);
}

#define SCENE_FRAMEWORK "{\"user\": \"u\", \"name\": \"n\", \"id\": {\"value\": \"f\"}}"

static inline void scene_start(struct scene *s)
{
        scene_start_as(s, SCENE_FRAMEWORK);
}

static inline void scene_stop(struct scene *s)
{
        http_client_free(s->c.calls);
        http_client_free(s->c.stream);
        master_free(s->m);
        loop_free(s->c.loop);
        free(s->options.address);
        free(s->options.work_dir);
        free(s->options.store);
        free(s->options.election);
        free(s->options.policy);
        free(s->options.hostname);
        forget_all_seen(&s->c);
        string_list_done(&s->offered);
        string_list_done(&s->rescinded);
        while (s->status_count > 0)
                message_free(s->statuses[--s->status_count]);
        while (s->operation_count > 0)
                message_free(s->operations[--s->operation_count]);
}

/* The call as the endpoint would hand it over. */
static inline void scene_call(struct scene *s, void (*handler)(struct scheduler_call *), const char *json)
{
        struct scheduler_call c = {.master = s->m, .framework = s->f};
        Mete__V1__Scheduler__Call *call_ = decode_json(&mete__v1__scheduler__call__descriptor, json);

        c.call = call_;
        handler(&c);
        assert_false(c.answered);
        message_free(call_);
}

/* Whether all that had to be done has been: callbacks, timers that are due. */
static inline void scene_settle_done(void *userdata)
{
        *(bool *)userdata = true;
}

static inline void scene_settle(struct scene *s)
{
        for (int i = 0; i < 3; i++) {
                bool done = false;

                loop_post(s->c.loop, scene_settle_done, &done);
                WAIT_FOR(&s->c, done);
        }
}

static inline const char *last(const struct string_list *l)
{
        return l->items[l->count - 1];
}

static inline void scene_check(struct scene *s)
{
        _cleanup_error_ struct error e = {};

        if (allocator_check(s->m->allocator, &e) < 0)
                fail_msg("%s", error_message(&e));
}
