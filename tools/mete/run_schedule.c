#include <stdlib.h>
#include <string.h>

#include "tools/mete/run_spec.h"
#include "tools/mete/text.h"

static void set_u32(uint64_t value, protobuf_c_boolean *has, uint32_t *number)
{
        if (value == RUN_UNSET)
                return;
        *has = true;
        *number = (uint32_t)value;
}

static void set_seconds(uint64_t ns, protobuf_c_boolean *has, double *seconds)
{
        if (ns == RUN_UNSET)
                return;
        *has = true;
        *seconds = (double)ns / (double)NSEC_PER_SEC;
}

/* Cuts `text` at the last `separator` and returns what is behind it; NULL: there is none. */
static char *cut(char *text, char separator)
{
        char *at = strrchr(text, separator);

        if (at)
                *at++ = '\0';
        return at;
}

/* FIRST-LAST[:STEP][%N] */
static int set_array(Mete__Api__JobSpec *spec, const char *given, struct error *e)
{
        _cleanup_free_ char *text = xstrdup(given);
        Mete__Api__JobSpec__Array *array;
        char *parallel, *step, *last;

        if (!given)
                return 0;
        array = NEW0(Mete__Api__JobSpec__Array);
        mete__api__job_spec__array__init(array);
        spec->array = array;
        parallel = cut(text, '%');
        step = cut(text, ':');
        last = cut(text, '-');
        array->has_step = step != NULL;
        if (!last || parse_u64(text, INT64_MAX, &array->first) < 0 ||
                parse_u64(last, INT64_MAX, &array->last) < 0 ||
                (step && parse_u64(step, INT64_MAX, &array->step) < 0) ||
                (parallel && parse_u32(parallel, UINT32_MAX, &spec->parallel_max) < 0))
                return error_set(e, -EINVAL,
                        "--array '%s': expected FIRST-LAST[:STEP][%%N] in whole numbers, such as 1-100, "
                        "0-90:10 or 1-100%%8",
                        given);
        if (array->last < array->first || (step && array->step == 0))
                return error_set(e, -EINVAL,
                        "--array '%s': expected the last number not below the first, and a step of 1 or more",
                        given);
        if (parallel && spec->has_parallel_max)
                return error_set(e, -EINVAL,
                        "--array '%s': --parallel says too how many run at a time: give one of them", given);
        spec->has_parallel_max |= parallel != NULL;
        return 0;
}

static int add_after(Mete__Api__JobSpec *spec, const struct string_list *list, struct error *e)
{
        static const struct {
                const char *name;
                Mete__Api__JobSpec__Dependency__Condition condition;
        } conditions[] = {
                {"succeeded", METE__API__JOB_SPEC__DEPENDENCY__CONDITION__SUCCEEDED},
                {"failed", METE__API__JOB_SPEC__DEPENDENCY__CONDITION__FAILED},
                {"ended", METE__API__JOB_SPEC__DEPENDENCY__CONDITION__ENDED},
        };

        for (size_t i = 0; i < list->count; i++) {
                Mete__Api__JobSpec__Dependency *d = NEW0(Mete__Api__JobSpec__Dependency);
                char *condition;

                mete__api__job_spec__dependency__init(d);
                d->job = xstrdup(list->items[i]);
                run_spec_append(&spec->after, &spec->n_after, d);
                condition = cut(d->job, ':');
                for (size_t j = 0; condition && j < ELEMENTSOF(conditions); j++)
                        if (str_equal(condition, conditions[j].name)) {
                                d->has_condition = true;
                                d->condition = conditions[j].condition;
                        }
                if (str_empty(d->job) || (condition && !d->has_condition))
                        return error_set(e, -EINVAL,
                                "--after '%s': expected a job, by id or name, with succeeded, failed or "
                                "ended behind a colon",
                                list->items[i]);
        }
        return 0;
}

static int set_restart(Mete__Api__JobSpec *spec, const char *given, struct error *e)
{
        static const char *const names[] = {[METE__API__JOB_SPEC__RESTART__WHEN__NEVER] = "never",
                [METE__API__JOB_SPEC__RESTART__WHEN__ON_FAILURE] = "on-failure",
                [METE__API__JOB_SPEC__RESTART__WHEN__ALWAYS] = "always"};
        _cleanup_free_ char *text = xstrdup(given);
        Mete__Api__JobSpec__Restart *restart;
        char *max;

        if (!given)
                return 0;
        restart = NEW0(Mete__Api__JobSpec__Restart);
        mete__api__job_spec__restart__init(restart);
        spec->restart = restart;
        max = cut(text, ':');
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (str_equal(text, names[i])) {
                        restart->has_when = true;
                        restart->when = (Mete__Api__JobSpec__Restart__When)i;
                }
        restart->has_attempts_max = max != NULL;
        if (!restart->has_when || (max && parse_u32(max, UINT32_MAX, &restart->attempts_max) < 0))
                return error_set(e, -EINVAL,
                        "--restart '%s': expected never, on-failure or always, with the number of restarts "
                        "behind a colon",
                        given);
        return 0;
}

/* The path may hold colons; only ":ro" at the end is ours. */
static int add_volumes(Mete__Api__JobSpec *spec, const struct string_list *list, struct error *e)
{
        for (size_t i = 0; i < list->count; i++) {
                const char *item = list->items[i], *colon = strchr(item, ':');
                bool read_only = str_has_suffix(item, ":ro");
                Mete__Api__JobSpec__VolumeUse *v;
                size_t len;

                len = colon ? strlen(colon) - (read_only ? strlen(":ro") : 0) : 0;
                /* `len` counts the colon. */
                if (!colon || colon == item || len <= 1)
                        return error_set(e, -EINVAL, "--volume '%s': expected ID:PATH[:ro]", item);
                v = NEW0(Mete__Api__JobSpec__VolumeUse);
                mete__api__job_spec__volume_use__init(v);
                v->volume_id = xstrndup(item, (size_t)(colon - item));
                v->container_path = xstrndup(colon + 1, len - 1);
                v->has_read_only = v->read_only = read_only;
                run_spec_append(&spec->volumes, &spec->n_volumes, v);
        }
        return 0;
}

static int set_deadline(Mete__Api__JobSpec *spec, const char *given, struct error *e)
{
        if (!given)
                return 0;
        spec->has_deadline = true;
        return text_parse_time("--deadline", given, TIME_AHEAD, text_now(), &spec->deadline, e);
}

static void set_placement(Mete__Api__JobSpec *spec, const struct run_options *o)
{
        for (size_t i = 0; i < o->constraints.count; i++)
                run_spec_append(&spec->constraints, &spec->n_constraints, xstrdup(o->constraints.items[i]));
        if (!o->spread)
                return;
        spec->has_placement = true;
        spec->placement = METE__API__JOB_SPEC__PLACEMENT__SPREAD;
        spec->spread_by = *o->spread ? xstrdup(o->spread) : NULL;
}

int run_spec_set_schedule(Mete__Api__JobSpec *spec, const struct run_options *o, struct error *e)
{
        int r;

        spec->queue = xstrdup(o->queue);
        set_u32(o->priority, &spec->has_priority, &spec->priority);
        set_u32(o->parallel_max, &spec->has_parallel_max, &spec->parallel_max);
        set_u32(o->ports, &spec->has_ports, &spec->ports);
        set_u32(o->exclusive_cores, &spec->has_exclusive_cores, &spec->exclusive_cores);
        set_seconds(o->duration_ns, &spec->has_duration_seconds, &spec->duration_seconds);
        set_seconds(o->time_limit_ns, &spec->has_time_limit_seconds, &spec->time_limit_seconds);
        spec->has_gang = spec->gang = o->gang;
        spec->has_preemptible = o->no_preempt;
        spec->preemptible = !o->no_preempt;
        set_placement(spec, o);
        if (o->array && o->count != RUN_UNSET)
                return error_set(e, -EINVAL, "--array '%s': --count cannot stand beside it", o->array);
        r = set_array(spec, o->array, e);
        if (r == 0)
                r = set_deadline(spec, o->deadline, e);
        if (r == 0)
                r = add_after(spec, &o->after, e);
        if (r == 0)
                r = set_restart(spec, o->restart, e);
        return r < 0 ? r : add_volumes(spec, &o->volumes, e);
}
