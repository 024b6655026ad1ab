/* "master/frameworks/<name>/<id>/...": for each framework that is not over. */

#include "master/api/read/metrics.h"

#include <ctype.h>
#include <string.h>

/* Percent-encoded, so that a name with a slash stays one part of the path. */
static char *encode_name(const char *name)
{
        struct buffer b = {};

        for (const unsigned char *p = (const unsigned char *)name; *p; p++) {
                if (isalnum(*p) || strchr("-_.~", *p))
                        buffer_append(&b, p, 1);
                else
                        buffer_printf(&b, "%%%02X", *p);
        }
        return buffer_take(&b);
}

/* "<prefix>calls/subscribe" and so on for each type but UNKNOWN; their sum is "<prefix>calls". */
static void metrics_by_type(struct buffer *out, const char *prefix, const char *what,
        const ProtobufCEnumDescriptor *types, const uint64_t counts[static COUNTED_TYPES])
{
        uint64_t sum = 0;

        for (unsigned i = 0; i < types->n_values; i++) {
                int type = types->values[i].value;
                _cleanup_free_ char *name = NULL;

                if (type <= 0 || type >= COUNTED_TYPES)
                        continue;
                name = metric_enum_name(types, type);
                sum += counts[type];
                metric(out, (double)counts[type], "%s%s/%s", prefix, what, name);
        }
        metric(out, (double)sum, "%s%s", prefix, what);
}

static void metrics_of_tasks(struct buffer *out, const char *prefix, const struct framework *f)
{
        for (int i = 0; i < COUNTED_STATES; i++) {
                _cleanup_free_ char *state = metric_enum_name(&mete__v1__task_state__descriptor, i);
                uint64_t n = f->counters.tasks_in[i];

                if (i == METE__V1__TASK_STATE__TASK_UNREACHABLE)
                        n += HASH_COUNT(f->unreachable);
                if (task_state_is_terminal((Mete__V1__TaskState)i))
                        metric(out, (double)f->counters.tasks_ended[i], "%stasks/terminal/%s", prefix, state);
                else
                        metric(out, (double)n, "%stasks/active/%s", prefix, state);
        }
}

static void metrics_of_framework(struct buffer *out, const struct framework *f)
{
        _cleanup_free_ char *name = encode_name(f->info->name);
        _cleanup_free_ char *prefix = xasprintf("master/frameworks/%s/%s/", name, f->id);
        const struct framework_counters *c = &f->counters;

        metric(out, f->state == FRAMEWORK_ACTIVE, "%ssubscribed", prefix);
        metrics_by_type(out, prefix, "calls", &mete__v1__scheduler__call__type__descriptor, c->calls);
        metrics_by_type(out, prefix, "events", &mete__v1__scheduler__event__type__descriptor, c->events);
        metrics_by_type(
                out, prefix, "operations", &mete__v1__offer__operation__type__descriptor, c->operations);
        metric(out, (double)c->offers_sent, "%soffers/sent", prefix);
        metric(out, (double)c->offers_accepted, "%soffers/accepted", prefix);
        metric(out, (double)c->offers_declined, "%soffers/declined", prefix);
        metric(out, (double)c->offers_rescinded, "%soffers/rescinded", prefix);
        metrics_of_tasks(out, prefix, f);
        for (size_t i = 0; i < f->roles.count; i++)
                metric(out, allocator_is_suppressed(f->master->allocator, f->id, f->roles.items[i]),
                        "%sroles/%s/suppressed", prefix, f->roles.items[i]);
}

void metrics_frameworks(struct buffer *out, const struct master *m)
{
        const struct framework *f, *next;

        HASH_ITER (hh, m->frameworks, f, next)
                metrics_of_framework(out, f);
}
