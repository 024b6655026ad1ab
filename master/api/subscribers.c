/*
 * Event streams. An event is encoded once per codec, whoever listens. A job's own event is held back a little when only counts
 * changed: ten thousand tasks are ten thousand TASK events, but not as many JOB events.
 */

#include <stdlib.h>

#include "master/api/api.h"

#define SUBSCRIBERS_MAX 1000
#define PENDING_MAX (4u << 20) /* bytes that may wait for a slow reader once the first record went out */
#define HEARTBEAT_NS (15 * NSEC_PER_SEC)
#define COALESCE_NS (50 * NSEC_PER_MSEC)

struct subscriber {
        struct subscribers *all;
        struct http_stream *stream;
        enum codec codec;
        uint64_t job; /* 0: all */
        bool until_done;
        bool dead;          /* freed by the sweep, since closing happens in the middle of a walk */
        size_t first_bytes; /* the snapshot does not count against the bound */
        struct subscriber *prev, *next;
};

struct subscribers {
        struct master *master;
        struct subscriber *list;
        size_t count;
        bool dirty; /* some are dead */
        struct loop_timer *heartbeat, *coalesce;
        struct job *changed; /* DL by event_prev, event_next */
};

size_t subscribers_count(const struct subscribers *s)
{
        return s->count;
}

static void subscriber_free(struct subscriber *s)
{
        DL_DELETE(s->all->list, s);
        s->all->count--;
        free(s);
}

static void subscriber_end(struct subscriber *s)
{
        if (s->stream)
                http_stream_close(TAKE_PTR(s->stream));
        s->dead = true;
        s->all->dirty = true;
}

static void subscribers_sweep(struct subscribers *all)
{
        struct subscriber *s, *next;

        if (!all->dirty)
                return;
        all->dirty = false;
        DL_FOREACH_SAFE (all->list, s, next) {
                if (s->dead)
                        subscriber_free(s);
        }
        if (all->count == 0)
                loop_timer_disarm(all->heartbeat);
}

static void subscriber_closed(struct http_stream *stream, void *userdata)
{
        struct subscriber *s = userdata;

        s->stream = NULL;
        subscriber_end(s);
}

static void subscriber_send(struct subscriber *s, const struct buffer *record)
{
        if (s->dead || !s->stream)
                return;
        if (http_stream_pending(s->stream) > PENDING_MAX + s->first_bytes) {
                log_info("a subscriber does not read its events: %zu bytes wait, it is cut",
                        http_stream_pending(s->stream));
                subscriber_end(s);
                return;
        }
        if (http_stream_record(s->stream, record->data, record->len) < 0)
                subscriber_end(s);
}

/* job 0: for everybody */
static void publish(struct subscribers *all, const Mete__Api__Event *event, uint64_t job)
{
        struct buffer records[CODEC_MAX] = {};
        struct subscriber *s, *next;

        DL_FOREACH_SAFE (all->list, s, next) {
                if (s->dead || (job && s->job && s->job != job))
                        continue;
                if (!records[s->codec].data && message_encode(s->codec, &event->base, &records[s->codec]) < 0)
                        continue;
                subscriber_send(s, &records[s->codec]);
        }
        for (size_t i = 0; i < CODEC_MAX; i++)
                buffer_done(&records[i]);
}

static void publish_end(struct subscribers *all, uint64_t job)
{
        Mete__Api__Event event = METE__API__EVENT__INIT;
        struct subscriber *s, *next;

        event.type = METE__API__EVENT__TYPE__END;
        DL_FOREACH_SAFE (all->list, s, next) {
                _cleanup_buffer_ struct buffer record = {};

                if (s->dead || !s->until_done || s->job != job ||
                        message_encode(s->codec, &event.base, &record) < 0)
                        continue;
                subscriber_send(s, &record);
                subscriber_end(s);
        }
}

/* ---- events ---- */

static void job_publish(struct subscribers *all, struct job *j)
{
        Mete__Api__Event event = METE__API__EVENT__INIT;
        struct job_view view;

        events_forget_job(j->master, j);
        job_view(j, 0, /* with_environment= */ false, &view);
        event.type = METE__API__EVENT__TYPE__JOB;
        event.job = &view.job;
        publish(all, &event, j->number);
        job_view_done(&view);
        if (job_ended(j))
                publish_end(all, j->number);
        subscribers_sweep(all);
}

void events_forget_job(struct master *m, struct job *j)
{
        if (!j->event_pending)
                return;
        DL_DELETE2(m->subscribers->changed, j, event_prev, event_next);
        j->event_pending = false;
}

void events_job(struct master *m, struct job *j)
{
        struct subscribers *all = m->subscribers;

        if (all->count == 0 || m->stopping)
                return;
        if (job_ended(j) || j->state == METE__API__JOB_STATE__JOB_QUEUED) {
                job_publish(all, j);
                return;
        }
        if (!j->event_pending) {
                j->event_pending = true;
                DL_APPEND2(all->changed, j, event_prev, event_next);
        }
        if (!loop_timer_armed(all->coalesce))
                loop_timer_arm(all->coalesce, COALESCE_NS, /* period_ns= */ 0);
}

static void on_coalesce(struct loop_timer *t, void *userdata)
{
        struct subscribers *all = userdata;

        while (all->changed)
                job_publish(all, all->changed);
}

void events_task(struct master *m, struct job *j, uint32_t index)
{
        Mete__Api__Event event = METE__API__EVENT__INIT;
        struct task_view view;

        if (m->subscribers->count == 0 || m->stopping)
                return;
        event.type = METE__API__EVENT__TYPE__TASK;
        event.task = task_view(j, index, &view);
        publish(m->subscribers, &event, j->number);
        subscribers_sweep(m->subscribers);
}

void events_agent(struct master *m, const struct agent *a)
{
        Mete__Api__Event event = METE__API__EVENT__INIT;
        Mete__Api__Agent agent;

        if (m->stopping || m->subscribers->count == 0)
                return;
        agent_describe(a, &agent);
        event.type = METE__API__EVENT__TYPE__AGENT;
        event.agent = &agent;
        publish(m->subscribers, &event, 0);
        subscribers_sweep(m->subscribers);
}

static void on_heartbeat(struct loop_timer *t, void *userdata)
{
        struct subscribers *all = userdata;
        Mete__Api__Event event = METE__API__EVENT__INIT;

        event.type = METE__API__EVENT__TYPE__HEARTBEAT;
        publish(all, &event, 0);
        subscribers_sweep(all);
}

/* ---- subscribing ---- */

static void send_event(struct subscriber *s, const Mete__Api__Event *event)
{
        _cleanup_buffer_ struct buffer record = {};

        if (message_encode(s->codec, &event->base, &record) >= 0) {
                s->first_bytes += record.len;
                subscriber_send(s, &record);
        }
}

/* Tasks that had no room in the first record. */
static void send_tasks(struct subscriber *s, const struct job *j, size_t from)
{
        for (size_t i = from; i < j->count && !s->dead; i++) {
                Mete__Api__Event event = METE__API__EVENT__INIT;
                struct task_view view;

                event.type = METE__API__EVENT__TYPE__TASK;
                event.task = task_view(j, (uint32_t)i, &view);
                if (j->tasks[i]) /* the others are queued, as the job's counts say */
                        send_event(s, &event);
        }
}

static size_t snapshot_size(const struct jobs *js, const struct job *only)
{
        return only ? 1 : js->live_count;
}

static void send_snapshot(struct subscriber *s, const struct job *only)
{
        const struct jobs *js = s->all->master->jobs;
        size_t max = snapshot_size(js, only), n = 0, room = API_RECORD_TASKS_MAX;
        struct job_view *views = xcalloc(max + 1, sizeof(*views));
        Mete__Api__Job **jobs = xcalloc(max + 1, sizeof(*jobs));
        Mete__Api__Event event = METE__API__EVENT__INIT;
        const struct job *j;

        for (j = only ? only : js->live; j && n < max; j = only ? NULL : j->next) {
                job_view(j, room, /* with_environment= */ false, &views[n]);
                room -= views[n].job.n_tasks;
                jobs[n] = &views[n].job;
                n++;
        }
        event.type = METE__API__EVENT__TYPE__SUBSCRIBED;
        event.jobs = jobs;
        event.n_jobs = n;
        send_event(s, &event);
        for (j = only ? only : js->live, n = 0; j && n < max; j = only ? NULL : j->next, n++)
                send_tasks(s, j, views[n].job.n_tasks);
        for (size_t i = 0; i < n; i++)
                job_view_done(&views[i]);
        free(views);
        free(jobs);
}

void call_subscribe(struct api_call *c)
{
        const Mete__Api__Call__Subscribe *sub = c->call->subscribe;
        struct subscribers *all = c->master->subscribers;
        struct job *j = NULL;
        struct subscriber *s;

        if (sub && sub->job_id) {
                j = call_find_job(c, sub->job_id, "subscribe.job_id");
                if (!j)
                        return;
        }
        if (sub && sub->until_done && !j) {
                api_refuse(c->req, c->codec, 400, "subscribe.until_done",
                        "subscribe.until_done needs subscribe.job_id");
                return;
        }
        if (all->count >= SUBSCRIBERS_MAX) {
                api_refuse(c->req, c->codec, 503, NULL, "%d subscribers listen already", SUBSCRIBERS_MAX);
                return;
        }
        s = NEW0(struct subscriber);
        s->all = all;
        s->codec = c->codec;
        s->job = j ? j->number : 0;
        s->until_done = sub && sub->until_done;
        s->stream = http_stream_open(c->req, codec_content_type(c->codec), subscriber_closed, s);
        if (all->count++ == 0)
                loop_timer_arm(all->heartbeat, HEARTBEAT_NS, HEARTBEAT_NS);
        DL_APPEND(all->list, s);
        send_snapshot(s, j);
        if (j && s->until_done && job_ended(j))
                publish_end(all, j->number);
        subscribers_sweep(all);
}

/* ---- life ---- */

struct subscribers *subscribers_new(struct master *m)
{
        struct subscribers *all = NEW0(struct subscribers);

        all->master = m;
        all->heartbeat = loop_timer_new(m->loop, on_heartbeat, all);
        all->coalesce = loop_timer_new(m->loop, on_coalesce, all);
        return all;
}

struct subscribers *subscribers_free(struct subscribers *all)
{
        if (!all)
                return NULL;
        while (all->list) {
                subscriber_end(all->list);
                subscriber_free(all->list);
        }
        loop_timer_free(all->heartbeat);
        loop_timer_free(all->coalesce);
        free(all);
        return NULL;
}
