#include "master/jobs/plain_queue.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

/* A run of waiting indexes [begin, end). */
struct span {
        uint32_t begin, end;
};

struct queued_job {
        struct plain_queue_entry entry;
        struct span *spans; /* sorted, disjoint: a job of ten thousand tasks is one span */
        size_t span_count, span_capacity;
        UT_hash_handle hh;
        struct queued_job *prev, *next;
};

struct plain_queue_agent {
        char *id;
        char *hostname;
        struct resources total;
        UT_hash_handle hh;
};

struct plain_queue {
        const struct plain_queue_policy *policy;
        struct queued_job *jobs;          /* k: job number -> v: struct queued_job, owned */
        struct queued_job *ordered;       /* the same, by policy */
        struct plain_queue_agent *agents; /* k: agent id -> v: struct plain_queue_agent, owned */
        size_t waiting;
        uint64_t reserving;   /* the job that holds a reservation, 0: none */
        char *reserved_agent; /* owned; the machine kept for it */
};

struct plain_queue *plain_queue_new(const struct plain_queue_policy *policy)
{
        struct plain_queue *q = NEW0(struct plain_queue);

        q->policy = policy;
        return q;
}

static void reservation_clear(struct plain_queue *q)
{
        q->reserving = 0;
        free(TAKE_PTR(q->reserved_agent));
}

static void job_free(struct plain_queue *q, struct queued_job *j)
{
        if (q->reserving == j->entry.job)
                reservation_clear(q);
        q->waiting -= j->entry.waiting;
        HASH_DEL(q->jobs, j);
        DL_DELETE(q->ordered, j);
        resources_done(&j->entry.size);
        free(j->spans);
        free(j);
}

static void agent_free(struct plain_queue *q, struct plain_queue_agent *a)
{
        HASH_DEL(q->agents, a);
        resources_done(&a->total);
        free(a->id);
        free(a->hostname);
        free(a);
}

struct plain_queue *plain_queue_free(struct plain_queue *q)
{
        struct queued_job *j, *next_job;
        struct plain_queue_agent *a, *next_agent;

        if (!q)
                return NULL;
        HASH_ITER (hh, q->jobs, j, next_job)
                job_free(q, j);
        HASH_ITER (hh, q->agents, a, next_agent)
                agent_free(q, a);
        reservation_clear(q);
        free(q);
        return NULL;
}

/* ---- jobs ---- */

static struct queued_job *job_find(const struct plain_queue *q, uint64_t number)
{
        struct queued_job *j;

        HASH_FIND(hh, q->jobs, &number, sizeof(number), j);
        return j;
}

/* New jobs mostly belong at the end: search from there. */
static void job_insert(struct plain_queue *q, struct queued_job *j)
{
        struct queued_job *at = q->ordered ? q->ordered->prev : NULL;

        while (at && q->policy->compare(&j->entry, &at->entry) < 0)
                at = at == q->ordered ? NULL : at->prev;
        if (at)
                DL_APPEND_ELEM(q->ordered, at, j);
        else
                DL_PREPEND(q->ordered, j);
}

static struct queued_job *job_new(
        struct plain_queue *q, uint64_t number, uint64_t submitted_ns, const struct resources *size)
{
        struct queued_job *j = NEW0(struct queued_job);

        j->entry.job = number;
        j->entry.submitted_ns = submitted_ns;
        resources_copy(size, &j->entry.size);
        HASH_ADD(hh, q->jobs, entry.job, sizeof(j->entry.job), j);
        job_insert(q, j);
        return j;
}

static void span_insert(struct queued_job *j, size_t at, struct span s)
{
        if (j->span_count == j->span_capacity) {
                j->span_capacity = MAX(j->span_capacity * 2, (size_t)2);
                j->spans = xrealloc(j->spans, j->span_capacity * sizeof(*j->spans));
        }
        memmove(j->spans + at + 1, j->spans + at, (j->span_count - at) * sizeof(*j->spans));
        j->spans[at] = s;
        j->span_count++;
}

static void span_delete(struct queued_job *j, size_t at)
{
        memmove(j->spans + at, j->spans + at + 1, (j->span_count - at - 1) * sizeof(*j->spans));
        j->span_count--;
}

/* The first span that ends behind index. */
static size_t span_place(const struct queued_job *j, uint32_t index)
{
        size_t at = 0;

        while (at < j->span_count && j->spans[at].end <= index)
                at++;
        return at;
}

int plain_queue_add_job(struct plain_queue *q, uint64_t job, uint64_t submitted_ns,
        const struct resources *size, uint32_t count)
{
        struct queued_job *j;

        if (job_find(q, job))
                return -EEXIST;
        if (count == 0)
                return -EINVAL;
        j = job_new(q, job, submitted_ns, size);
        span_insert(j, 0, (struct span){0, count});
        j->entry.waiting = count;
        q->waiting += count;
        return 0;
}

void plain_queue_add_task(struct plain_queue *q, uint64_t job, uint64_t submitted_ns,
        const struct resources *size, uint32_t index)
{
        struct queued_job *j = job_find(q, job);
        size_t at;

        if (!j)
                j = job_new(q, job, submitted_ns, size);
        at = span_place(j, index);
        if (at < j->span_count && j->spans[at].begin <= index)
                return; /* waits already */
        if (at > 0 && j->spans[at - 1].end == index)
                j->spans[at - 1].end++;
        else if (at < j->span_count && j->spans[at].begin == index + 1)
                j->spans[at].begin--;
        else
                span_insert(j, at, (struct span){index, index + 1});
        j->entry.waiting++;
        q->waiting++;
}

bool plain_queue_remove_task(struct plain_queue *q, uint64_t job, uint32_t index)
{
        struct queued_job *j = job_find(q, job);
        size_t at = j ? span_place(j, index) : 0;

        if (!j || at == j->span_count || j->spans[at].begin > index)
                return false;
        struct span s = j->spans[at];

        if (s.begin == index && s.end == index + 1) {
                span_delete(j, at);
        } else if (s.begin == index) {
                j->spans[at].begin++;
        } else if (s.end == index + 1) {
                j->spans[at].end--;
        } else {
                j->spans[at].end = index;
                span_insert(j, at + 1, (struct span){index + 1, s.end});
        }
        j->entry.waiting--;
        q->waiting--;
        if (j->entry.waiting == 0)
                job_free(q, j);
        return true;
}

void plain_queue_remove_job(struct plain_queue *q, uint64_t job)
{
        struct queued_job *j = job_find(q, job);

        if (j)
                job_free(q, j);
}

bool plain_queue_empty(const struct plain_queue *q)
{
        return q->waiting == 0;
}

size_t plain_queue_tasks_waiting(const struct plain_queue *q)
{
        return q->waiting;
}

uint32_t plain_queue_job_waiting(const struct plain_queue *q, uint64_t job)
{
        struct queued_job *j = job_find(q, job);

        return j ? j->entry.waiting : 0;
}

/* ---- machines ---- */

static struct plain_queue_agent *agent_find(const struct plain_queue *q, const char *id)
{
        struct plain_queue_agent *a;

        HASH_FIND_STR(q->agents, id, a);
        return a;
}

void plain_queue_set_agent(
        struct plain_queue *q, const char *id, const char *hostname, const struct resources *total)
{
        struct plain_queue_agent *a = agent_find(q, id);

        if (a)
                agent_free(q, a);
        a = NEW0(struct plain_queue_agent);
        a->id = xstrdup(id);
        a->hostname = xstrdup(hostname);
        resources_copy(total, &a->total);
        HASH_ADD_KEYPTR(hh, q->agents, a->id, strlen(a->id), a);
        if (str_equal(q->reserved_agent, id))
                reservation_clear(q);
}

void plain_queue_remove_agent(struct plain_queue *q, const char *id)
{
        struct plain_queue_agent *a = agent_find(q, id);

        if (str_equal(q->reserved_agent, id))
                reservation_clear(q);
        if (a)
                agent_free(q, a);
}

bool plain_queue_largest_agent(
        const struct plain_queue *q, const char *resource, uint64_t *ret_milli, const char **ret_hostname)
{
        struct plain_queue_agent *largest = NULL, *a, *next;

        HASH_ITER (hh, q->agents, a, next) {
                if (!largest ||
                        resources_scalar(&a->total, resource) > resources_scalar(&largest->total, resource))
                        largest = a;
        }
        if (!largest)
                return false;
        *ret_milli = resources_scalar(&largest->total, resource);
        *ret_hostname = largest->hostname;
        return true;
}

bool plain_queue_fits_some_agent(const struct plain_queue *q, const struct resources *size)
{
        struct plain_queue_agent *a, *next;

        HASH_ITER (hh, q->agents, a, next) {
                if (resources_contains(&a->total, size))
                        return true;
        }
        return false;
}

/* ---- offers ---- */

static uint32_t job_take_first(struct plain_queue *q, struct queued_job *j)
{
        uint32_t index = j->spans[0].begin++;

        if (j->spans[0].begin == j->spans[0].end)
                span_delete(j, 0);
        j->entry.waiting--;
        j->entry.launched++;
        q->waiting--;
        return index;
}

/* The job goes on waiting although this machine could hold it. Returns whether the machine is kept free for it. */
static bool reserve(
        struct plain_queue *q, const struct queued_job *j, const struct plain_queue_agent *agent, bool first)
{
        if (!agent || !resources_contains(&agent->total, &j->entry.size))
                return false;
        if (!first)
                return false; /* only the first in order holds a machine */
        if (q->reserving != j->entry.job || !q->reserved_agent) {
                reservation_clear(q);
                q->reserving = j->entry.job;
                q->reserved_agent = xstrdup(agent->id);
        }
        return strcmp(q->reserved_agent, agent->id) == 0;
}

size_t plain_queue_offer(struct plain_queue *q, const char *agent_id, struct resources *available,
        struct plain_queue_launch *ret, size_t max)
{
        const struct plain_queue_agent *agent = agent_find(q, agent_id);
        struct queued_job *j, *next;
        size_t count = 0, passed = 0;
        bool first = true; /* no job that could run somewhere stands before this one */

        DL_FOREACH_SAFE (q->ordered, j, next) {
                bool could_run;

                while (count < max && j->entry.waiting > 0 &&
                        resources_subtract(available, &j->entry.size) >= 0) {
                        ret[count++] = (struct plain_queue_launch){j->entry.job, job_take_first(q, j)};
                        if (q->reserving == j->entry.job)
                                reservation_clear(q);
                }
                if (j->entry.waiting == 0) {
                        job_free(q, j);
                        continue;
                }
                if (count == max || resources_empty(available) || ++passed >= PLAIN_QUEUE_LOOK_AHEAD)
                        break;
                could_run = first && plain_queue_fits_some_agent(q, &j->entry.size);
                if (reserve(q, j, agent, could_run))
                        break;
                if (could_run)
                        first = false;
        }
        return count;
}

/* ---- reasons ---- */

static void describe_need(struct buffer *out, const char *name, uint64_t milli)
{
        if (strcmp(name, "mem") == 0)
                buffer_printf(out, "%.10g MiB of memory", milli_to_double(milli));
        else
                buffer_printf(out, "%.10g %s", milli_to_double(milli), name);
}

/* The first scalar of which no agent has enough. */
static bool describe_too_large(const struct plain_queue *q, const struct resources *size, struct buffer *out)
{
        for (size_t i = 0; i < size->count; i++) {
                uint64_t most = 0;
                const char *hostname = "";

                if (size->entries[i].kind != RESOURCE_SCALAR)
                        continue;
                (void)plain_queue_largest_agent(q, size->entries[i].name, &most, &hostname);
                if (most >= size->entries[i].milli)
                        continue;
                buffer_puts(out, "needs ");
                describe_need(out, size->entries[i].name, size->entries[i].milli);
                buffer_printf(out, "; the largest agent (%s) has %.10g", hostname, milli_to_double(most));
                return true;
        }
        return false;
}

char *plain_queue_pending_reason(const struct plain_queue *q, uint64_t job)
{
        const struct queued_job *j = job_find(q, job);
        _cleanup_buffer_ struct buffer out = {};

        if (!j)
                return NULL;
        if (!q->agents)
                return xstrdup("no agent is registered");
        if (!plain_queue_fits_some_agent(q, &j->entry.size)) {
                if (!describe_too_large(q, &j->entry.size, &out))
                        buffer_puts(&out, "no single agent has both the cpus and the memory");
                return buffer_take(&out);
        }
        if (j != q->ordered)
                buffer_printf(&out, "waits behind job %ju (%s); ", (uintmax_t)q->ordered->entry.job,
                        q->policy->name);
        buffer_puts(&out, "needs ");
        for (size_t i = 0; i < j->entry.size.count; i++) {
                if (j->entry.size.entries[i].kind != RESOURCE_SCALAR)
                        continue;
                if (i > 0)
                        buffer_puts(&out, " and ");
                describe_need(&out, j->entry.size.entries[i].name, j->entry.size.entries[i].milli);
        }
        buffer_puts(&out, " free on one agent");
        return buffer_take(&out);
}
