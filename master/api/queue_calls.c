/* Calls about the job queues: everybody may look, root may change them. */

#include <stdlib.h>

#include "lib/base/utf8.h"
#include "master/api/api.h"

/* NULL: there is nothing to warn of. */
static char *warning_of(const struct job_queue *jq)
{
        const struct queue_config *c = queue_get_config(jq->queue);

        if (c->preemption == QUEUE_PREEMPT_NONE || queue_policy_preempts(c->policy))
                return NULL;
        return xasprintf("queue %s: the policy %s preempts nobody: priority and srtf do", jq->name,
                queue_policy_to_string(c->policy));
}

/* All of them, or the one that was set. */
static void respond_queues(
        struct master *m, struct http_request *req, enum codec codec, struct job_queue *only)
{
        _cleanup_free_ char *warning = only ? warning_of(only) : NULL;
        size_t max = HASH_COUNT(m->jobs->queues->by_name), n = 0;
        _cleanup_free_ Mete__Api__Queue *views = xcalloc(max + 1, sizeof(*views));
        _cleanup_free_ Mete__Api__Queue **list = xcalloc(max + 1, sizeof(*list));
        Mete__Api__Response response = METE__API__RESPONSE__INIT;

        for (struct job_queue *jq = m->jobs->queues->by_name; jq; jq = jq->hh.next) {
                if (only && jq != only)
                        continue;
                job_queue_view(jq, &views[n]);
                list[n] = &views[n];
                n++;
        }
        response.type = METE__API__RESPONSE__TYPE__LIST_QUEUES;
        response.queues = list;
        response.n_queues = n;
        response.warnings = &warning;
        response.n_warnings = warning ? 1 : 0;
        api_respond(req, codec, 200, &response.base);
        for (size_t i = 0; i < n; i++)
                job_queue_view_done(&views[i]);
}

void call_list_queues(struct api_call *c)
{
        respond_queues(c->master, c->req, c->codec, NULL);
}

/* An answer that waits for the store. */
struct change {
        struct master *master;
        struct http_request *req;
        enum codec codec;
        char *name; /* of the queue to show; NULL: all */
};

static void change_answer(int result, void *userdata)
{
        struct change *x = userdata;

        if (result < 0)
                api_refuse(x->req, x->codec, 503, NULL, "the master could not write its store: %s",
                        store_failure(x->master->store) ?: "it stops");
        else
                respond_queues(x->master, x->req, x->codec,
                        x->name ? job_queue_find(x->master->jobs->queues, x->name) : NULL);
        free(x->name);
        free(x);
}

static void change_write(struct api_call *c, struct store_batch *b, const char *name)
{
        struct change *x = NEW0(struct change);

        *x = (struct change){c->master, c->req, c->codec, xstrdup(name)};
        master_write(c->master, b, change_answer, x);
}

void call_set_queue(struct api_call *c)
{
        const Mete__Api__Queue *asked = c->call->set_queue->queue;
        struct job_queues *qs = c->master->jobs->queues;
        _cleanup_error_ struct error e = {};
        _cleanup_free_ char *role = NULL;
        struct queue_config config;
        struct store_batch *b;
        struct job_queue *jq;
        const char *field;
        int r;

        if (!call_needs_root(c, "change a queue"))
                return;
        r = job_queue_check(qs, asked, &config, &role, &field, &e);
        if (r < 0) {
                api_refuse(c->req, c->codec, r == -EBUSY || r == -EEXIST ? 409 : 400, field, "%s",
                        error_message(&e));
                return;
        }
        b = store_batch_new();
        jq = job_queue_set(qs, asked->name, role, &config, b);
        job_queue_schedule(jq, /* fresh= */ true);
        log_info("queue %s: role %s, policy %s, set by %s", jq->name, jq->role,
                queue_policy_to_string(config.policy), c->peer.name);
        change_write(c, b, asked->name);
}

void call_remove_queue(struct api_call *c)
{
        const char *name = c->call->remove_queue->name;
        _cleanup_free_ char *text = text_for_message(name, 64);
        struct job_queue *jq;
        struct store_batch *b;

        if (!call_needs_root(c, "remove a queue"))
                return;
        jq = job_queue_find(c->master->jobs->queues, name);
        if (!jq) {
                api_refuse(c->req, c->codec, 404, "remove_queue.name", "there is no queue '%s'", text);
                return;
        }
        if (str_equal(name, QUEUE_DEFAULT)) {
                api_refuse(c->req, c->codec, 400, "remove_queue.name",
                        "queue '%s' is refused: it is always there", QUEUE_DEFAULT);
                return;
        }
        if (jq->live_jobs > 0) {
                api_refuse(c->req, c->codec, 409, "remove_queue.name",
                        "queue '%s' has %zu live jobs: one without is expected", text, jq->live_jobs);
                return;
        }
        log_info("queue %s is removed by %s", jq->name, c->peer.name);
        b = store_batch_new();
        job_queue_remove(jq, b);
        change_write(c, b, NULL);
}
