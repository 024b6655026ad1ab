/* Reasons, for people. */
#include <string.h>

#include "master/queue/queue.h"

static void put_amount(struct buffer *out, const char *name, uint64_t milli)
{
        double amount = milli_to_double(milli);

        if (strcmp(name, "mem") == 0)
                buffer_printf(out, "%.10g MiB of memory", amount);
        else if (strcmp(name, "disk") == 0)
                buffer_printf(out, "%.10g MiB of disk", amount);
        else
                buffer_printf(out, "%.10g %s", amount, name);
}

/* Ports and cores are counted whole. */
static void put_count(struct buffer *out, uint32_t count, const char *what)
{
        if (count > 0)
                buffer_printf(
                        out, "%s%u %s%s", out->len > 0 ? " and " : "", count, what, count > 1 ? "s" : "");
}

static char *size_text(const struct queue_job *job)
{
        _cleanup_buffer_ struct buffer out = {};

        for (size_t i = 0; i < job->size.count; i++) {
                if (job->size.entries[i].kind != RESOURCE_SCALAR)
                        continue;
                buffer_puts(&out, out.len > 0 ? " and " : "");
                put_amount(&out, job->size.entries[i].name, job->size.entries[i].milli);
        }
        put_count(&out, job->ports, "port");
        put_count(&out, job->cores, "whole core");
        return out.data ? buffer_take(&out) : xstrdup("nothing");
}

static void put_missing(struct buffer *out, const struct queue_explanation *x)
{
        if (strcmp(x->detail, "ports") == 0 || strcmp(x->detail, "cores") == 0)
                buffer_printf(out, "%ju %s", (uintmax_t)x->missing_milli, x->detail);
        else
                put_amount(out, x->detail, x->missing_milli);
}

static void put_in(struct buffer *out, const struct queue_explanation *x, struct wall_time when)
{
        char text[DURATION_TEXT_MAX];
        uint64_t in = when.ns > x->now.ns ? when.ns - x->now.ns : 0;

        if (when.ns == UINT64_MAX)
                buffer_puts(out, "never");
        else
                buffer_printf(out, "in about %s", duration_format(in, text));
}

static void put_constraints(struct buffer *out, const struct queue_explanation *x)
{
        if (x->machines_matching < x->machines)
                buffer_printf(out, " (%zu of %zu meet its constraints)", x->machines_matching, x->machines);
}

static void put_distinct(struct buffer *out, const struct queue_explanation *x, const struct queue_job *job)
{
        buffer_printf(out, "each of the %zu machines that could hold it is one that its own tasks exclude:",
                x->machines_large);
        for (size_t i = 0; i < job->constraint_count; i++) {
                _cleanup_free_ char *text = NULL;

                if (job->constraints[i].operator!= CONSTRAINT_DISTINCT)
                        continue;
                text = constraint_to_string(&job->constraints[i]);
                buffer_printf(out, " %s", text);
        }
}

/* Machines are enough, but too few differ. */
static bool limited_by_distinct(const struct queue_job *job)
{
        for (size_t i = 0; i < job->constraint_count; i++)
                if (job->constraints[i].operator== CONSTRAINT_DISTINCT)
                        return true;
        return false;
}

static void put_quota(struct buffer *out, const struct queue_explanation *x, const struct queue_job *job)
{
        uint64_t need = resources_scalar(&job->size, x->detail);

        buffer_puts(out, "the quota of its role allows ");
        put_amount(out, x->detail, x->limit_milli);
        if (need > x->limit_milli) {
                buffer_puts(out, " in all, and a task needs ");
                put_amount(out, x->detail, need);
        } else {
                buffer_printf(out, " in all, and its %u tasks need ", job->count);
                put_amount(out, x->detail, need * job->count);
                buffer_puts(out, " at once");
        }
}

static void put_too_large(struct buffer *out, const struct queue_explanation *x, const char *size)
{
        buffer_printf(out, "needs %s; no machine", size);
        put_constraints(out, x);
        buffer_puts(out, " is large enough");
        if (x->nearest[0]) {
                buffer_printf(out, ": %s comes nearest and has ", x->nearest);
                put_missing(out, x);
                buffer_puts(out, " less");
        }
}

static void put_room(
        struct buffer *out, const struct queue_explanation *x, const struct queue_job *job, const char *size)
{
        if (strcmp(x->detail, "tasks") == 0) {
                buffer_printf(out, "needs %s for each of its tasks at once; %ju tasks too few have room",
                        size, (uintmax_t)x->missing_milli / 1000);
                return;
        }
        buffer_printf(out, "needs %s free on one machine; %s lacks least: ", size, x->nearest);
        put_missing(out, x);
        buffer_puts(out, " more");
        put_constraints(out, x);
        if (x->blocking_job > 0)
                buffer_printf(out, "; job %ju goes first", (uintmax_t)x->blocking_job);
}

static void put_expectation(struct buffer *out, const struct queue_explanation *x)
{
        if (x->victim_count > 0) {
                buffer_printf(out, "; %zu running task%s would give way for it at once", x->victim_count,
                        x->victim_count > 1 ? "s" : "");
                return;
        }
        if (!x->has_expected_start || x->reason == QUEUE_REASON_BACKOFF)
                return;
        buffer_puts(out, "; expected to start ");
        put_in(out, x, x->expected_start);
        if (x->reserved)
                buffer_printf(out, " on %s, which is kept for it", x->nearest);
}

static void put_state(struct buffer *out, const struct queue_explanation *x, const struct queue_job *job)
{
        switch (x->reason) {
        case QUEUE_REASON_HELD:
                buffer_puts(out, "is held by its owner");
                break;
        case QUEUE_REASON_DEPENDENCY:
                buffer_printf(out, "waits for job %ju", (uintmax_t)x->blocking_job);
                break;
        case QUEUE_REASON_BACKOFF:
                buffer_puts(out, "is tried again ");
                put_in(out, x, x->when);
                break;
        case QUEUE_REASON_PARALLEL:
                buffer_printf(out, "as many of its tasks run as it allows (%u)", job->parallel_max);
                break;
        case QUEUE_REASON_SUSPENDED:
                buffer_puts(out,
                        "some or all of its tasks are suspended for others, and go on when there is CPU on "
                        "their machines");
                break;
        case QUEUE_REASON_QUOTA:
                put_quota(out, x, job);
                break;
        case QUEUE_REASON_DISTINCT:
                put_distinct(out, x, job);
                break;
        case QUEUE_REASON_NO_MACHINES:
                if (x->detail[0])
                        buffer_printf(out, "no agent may be used now: %s", x->detail);
                else
                        buffer_puts(out, "no agent is registered");
                break;
        case QUEUE_REASON_CONSTRAINTS:
                buffer_printf(out, "none of %zu usable machines meets the constraint %s%s", x->machines,
                        x->detail, job->constraint_count > 1 ? " together with those before it" : "");
                break;
        case QUEUE_REASON_NO_VOLUME:
                buffer_printf(out, "no machine that it may use has volume %s%s%s", x->detail,
                        x->nearest[0] ? "; it is on " : "", x->nearest);
                if (x->unusable[0])
                        buffer_printf(out, ", which is %s", x->unusable);
                break;
        case QUEUE_REASON_VOLUME_IN_USE:
                buffer_printf(out, "volume %s on %s is in use by ", x->detail, x->nearest);
                if (x->blocking_job == job->number)
                        buffer_puts(out, "another of its tasks");
                else if (x->blocking_job > 0)
                        buffer_printf(out, "job %ju", (uintmax_t)x->blocking_job);
                else
                        buffer_puts(out, "somebody else");
                break;
        default:
                break;
        }
}

bool queue_reason_lasts(enum queue_reason reason)
{
        return reason == QUEUE_REASON_CONSTRAINTS || reason == QUEUE_REASON_TOO_LARGE ||
               reason == QUEUE_REASON_GANG_TOO_LARGE || reason == QUEUE_REASON_QUOTA ||
               reason == QUEUE_REASON_NO_VOLUME;
}

char *queue_explanation_sentence(const struct queue_explanation *x, const struct queue_job *job)
{
        _cleanup_buffer_ struct buffer out = {};
        _cleanup_free_ char *size = size_text(job);

        switch (x->reason) {
        case QUEUE_REASON_NONE:
                return NULL;
        case QUEUE_REASON_TOO_LARGE:
                put_too_large(&out, x, size);
                break;
        case QUEUE_REASON_GANG_TOO_LARGE:
                buffer_printf(&out, "needs %s for each of %u tasks at once%s: more than all machines have",
                        size, job->count, limited_by_distinct(job) ? ", and distinct machines for them" : "");
                break;
        case QUEUE_REASON_BEHIND:
                buffer_printf(&out, "waits behind job %ju, for which what is free is kept; needs %s",
                        (uintmax_t)x->blocking_job, size);
                break;
        case QUEUE_REASON_RESOURCES:
                put_room(&out, x, job, size);
                break;
        case QUEUE_REASON_NO_OFFERS:
                buffer_printf(&out, "needs %s; nothing that is large enough has been offered", size);
                break;
        case QUEUE_REASON_MAINTENANCE:
                buffer_puts(&out, "would run into the maintenance of all machines that could hold it; the "
                                  "first is over ");
                put_in(&out, x, x->when);
                break;
        default:
                put_state(&out, x, job);
                break;
        }
        put_expectation(&out, x);
        return out.data ? buffer_take(&out) : NULL;
}
