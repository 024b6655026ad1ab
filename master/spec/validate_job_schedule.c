/* When, where and how often a job's tasks run. Whether its queue and the jobs that it waits for are there is the master's to say. */

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "master/queue/machines.h"
#include "master/spec/job_spec_internal.h"

#define PRIORITY_MAX 1000
#define SECONDS_MIN 0.001
#define SECONDS_MAX (10 * 365 * 86400.0) /* ten years */
#define DEADLINE_MAX 253402300799.0      /* the last second of the year 9999 */
#define ATTEMPTS_MAX 1000000
#define ATTEMPTS_DEFAULT 3
#define BACKOFF_MAX 86400.0
#define BACKOFF_MAX_DEFAULT 300.0

/* ---- queue, priority, times ---- */

static bool queue_name_legal(const char *s)
{
        size_t len = strlen(s);

        if (len < 1 || len > 63 || *s == '-' || str_equal(s, ".") || str_equal(s, ".."))
                return false;
        for (; *s; s++)
                if (!isalnum((unsigned char)*s) && !strchr("._-", *s))
                        return false;
        return true;
}

static int check_queue(Mete__Api__JobSpec *spec, struct api_error *x)
{
        if (!spec->queue)
                spec->queue = xstrdup("default");
        if (!queue_name_legal(spec->queue))
                return refuse_text(x, F "queue", spec->queue,
                        "the name of a queue is expected: 1 to 63 of A-Z a-z 0-9 . _ -");
        if (spec->priority > PRIORITY_MAX)
                return api_error_set(x, 400, F "priority", F "priority: %u is refused: 0 to %u are accepted",
                        spec->priority, PRIORITY_MAX);
        spec->has_priority = spec->has_preemptible = true;
        return 0;
}

static int check_seconds(const char *field, double value, struct api_error *x)
{
        if (isfinite(value) && value >= SECONDS_MIN && value <= SECONDS_MAX)
                return 0;
        return api_error_set(x, 400, field,
                "%s: %.10g is refused: %.10g seconds to ten years (%.10g) are accepted", field, value,
                SECONDS_MIN, SECONDS_MAX);
}

static int check_times(const Mete__Api__JobSpec *spec, struct api_error *x)
{
        if (spec->has_duration_seconds && check_seconds(F "duration_seconds", spec->duration_seconds, x) < 0)
                return -EINVAL;
        if (spec->has_time_limit_seconds &&
                check_seconds(F "time_limit_seconds", spec->time_limit_seconds, x) < 0)
                return -EINVAL;
        if (spec->has_deadline &&
                (!isfinite(spec->deadline) || spec->deadline <= 0 || spec->deadline > DEADLINE_MAX))
                return api_error_set(x, 400, F "deadline",
                        F "deadline: %.10g is refused: a time in seconds since 1970 is expected",
                        spec->deadline);
        return 0;
}

/* ---- how many tasks, and how many at a time ---- */

static int check_array(Mete__Api__JobSpec *spec, bool count_given, struct api_error *x)
{
        Mete__Api__JobSpec__Array *a = spec->array;
        uint64_t count;

        if (a->has_step && a->step == 0)
                return api_error_set(
                        x, 400, F "array.step", F "array.step: 0 is refused: 1 or more is expected");
        if (a->last < a->first)
                return api_error_set(x, 400, F "array.last",
                        F "array.last: %ju is below array.first (%ju): at least that is expected",
                        (uintmax_t)a->last, (uintmax_t)a->first);
        count = (a->last - a->first) / a->step + 1; /* 0 when it overflows */
        if (count < 1 || count > COUNT_MAX)
                return api_error_set(x, 400, F "array",
                        F "array: %ju to %ju in steps of %ju are more than the %u tasks that are accepted",
                        (uintmax_t)a->first, (uintmax_t)a->last, (uintmax_t)a->step, COUNT_MAX);
        if (count_given && spec->count != count)
                return api_error_set(x, 400, F "count",
                        F "count: %u is refused: array stands in its place, with %ju tasks", spec->count,
                        (uintmax_t)count);
        spec->count = (uint32_t)count;
        a->has_step = true;
        return 0;
}

static int check_parallel(const Mete__Api__JobSpec *spec, struct api_error *x)
{
        if (spec->has_parallel_max && (spec->parallel_max < 1 || spec->parallel_max > COUNT_MAX))
                return api_error_set(x, 400, F "parallel_max",
                        F "parallel_max: %u is refused: 1 to %u are accepted", spec->parallel_max, COUNT_MAX);
        if (spec->gang && spec->has_parallel_max && spec->parallel_max < spec->count)
                return api_error_set(x, 400, F "parallel_max",
                        F
                        "parallel_max: %u is below the %u tasks of a gang, which start all together: one of "
                        "gang and parallel_max is expected",
                        spec->parallel_max, spec->count);
        return 0;
}

/* ---- dependencies ---- */

static int check_after(Mete__Api__JobSpec *spec, struct api_error *x)
{
        if (spec->n_after > LISTS_MAX)
                return api_error_set(x, 400, F "after", F "after has %zu entries: at most %u are accepted",
                        spec->n_after, LISTS_MAX);
        for (size_t i = 0; i < spec->n_after; i++) {
                Mete__Api__JobSpec__Dependency *d = spec->after[i];
                _cleanup_free_ char *job = xasprintf(F "after[%zu].job", i);
                _cleanup_free_ char *condition = xasprintf(F "after[%zu].condition", i);

                if (!job_name_legal(d->job))
                        return refuse_text(x, job, d->job, "the id or the name of a job is expected");
                if (d->condition == METE__API__JOB_SPEC__DEPENDENCY__CONDITION__CONDITION_UNKNOWN)
                        return api_error_set(
                                x, 400, condition, "%s: SUCCEEDED, FAILED or ENDED is expected", condition);
                for (size_t k = 0; k < i; k++)
                        if (str_equal(spec->after[k]->job, d->job))
                                return refuse_text(x, job, d->job, "it is given twice");
                d->has_condition = true;
        }
        return 0;
}

/* ---- where ---- */

static int check_constraints(const Mete__Api__JobSpec *spec, struct api_error *x)
{
        if (spec->n_constraints > CONSTRAINTS_MAX)
                return api_error_set(x, 400, F "constraints",
                        F "constraints has %zu entries: at most %u are accepted", spec->n_constraints,
                        CONSTRAINTS_MAX);
        for (size_t i = 0; i < spec->n_constraints; i++) {
                _cleanup_free_ char *field = xasprintf(F "constraints[%zu]", i);
                _cleanup_error_ struct error e = {};
                struct constraint c;

                if (constraint_parse(spec->constraints[i], &c, &e) < 0)
                        return api_error_set(x, 400, field, "%s: %s", field, error_message(&e));
                constraint_done(&c);
        }
        return 0;
}

static int check_placement(Mete__Api__JobSpec *spec, struct api_error *x)
{
        if (spec->placement == METE__API__JOB_SPEC__PLACEMENT__PLACEMENT_UNKNOWN)
                return api_error_set(x, 400, F "placement", F "placement: PACK or SPREAD is expected");
        spec->has_placement = true;
        if (!spec->spread_by)
                return 0;
        if (!constraint_attribute_legal(spec->spread_by))
                return refuse_text(x, F "spread_by", spec->spread_by,
                        "the name of an attribute is expected, or hostname, zone, region");
        if (spec->placement != METE__API__JOB_SPEC__PLACEMENT__SPREAD)
                return refuse_text(x, F "spread_by", spec->spread_by, "it goes with placement SPREAD");
        return 0;
}

/* ---- again ---- */

static int check_backoff(Mete__Api__JobSpec__Restart *r, struct api_error *x)
{
        const char *field =
                r->has_backoff_seconds ? F "restart.backoff_seconds" : F "restart.backoff_max_seconds";

        if (!isfinite(r->backoff_seconds) || r->backoff_seconds < 0 || r->backoff_seconds > BACKOFF_MAX)
                return api_error_set(x, 400, F "restart.backoff_seconds",
                        F "restart.backoff_seconds: %.10g is refused: 0 to %.10g are accepted",
                        r->backoff_seconds, BACKOFF_MAX);
        if (!r->has_backoff_max_seconds)
                r->backoff_max_seconds = MAX(BACKOFF_MAX_DEFAULT, r->backoff_seconds);
        if (!isfinite(r->backoff_max_seconds) || r->backoff_max_seconds < 0 ||
                r->backoff_max_seconds > BACKOFF_MAX)
                return api_error_set(x, 400, F "restart.backoff_max_seconds",
                        F "restart.backoff_max_seconds: %.10g is refused: 0 to %.10g are accepted",
                        r->backoff_max_seconds, BACKOFF_MAX);
        if (r->backoff_max_seconds < r->backoff_seconds)
                return api_error_set(x, 400, field,
                        "%s: the backoff grows from backoff_seconds (%.10g) to backoff_max_seconds (%.10g): "
                        "at "
                        "least as much is expected there",
                        field, r->backoff_seconds, r->backoff_max_seconds);
        r->has_backoff_seconds = r->has_backoff_max_seconds = true;
        return 0;
}

static int check_restart(Mete__Api__JobSpec *spec, struct api_error *x)
{
        Mete__Api__JobSpec__Restart *r = spec->restart;

        if (!r)
                return 0;
        r->has_when = true;
        if (r->when == METE__API__JOB_SPEC__RESTART__WHEN__WHEN_UNKNOWN)
                return api_error_set(
                        x, 400, F "restart.when", F "restart.when: NEVER, ON_FAILURE or ALWAYS is expected");
        if (r->has_attempts_max && (r->attempts_max < 1 || r->attempts_max > ATTEMPTS_MAX))
                return api_error_set(x, 400, F "restart.attempts_max",
                        F "restart.attempts_max: %u is refused: 1 to %u are accepted, or NEVER for 'when'",
                        r->attempts_max, ATTEMPTS_MAX);
        if (r->has_attempts_max && r->when == METE__API__JOB_SPEC__RESTART__WHEN__NEVER)
                return api_error_set(x, 400, F "restart.attempts_max",
                        F "restart.attempts_max: nothing is restarted: ON_FAILURE or ALWAYS is expected for "
                          "'when'");
        if (!r->has_attempts_max && r->when == METE__API__JOB_SPEC__RESTART__WHEN__ON_FAILURE) {
                r->attempts_max = ATTEMPTS_DEFAULT;
                r->has_attempts_max = true;
        }
        return check_backoff(r, x);
}

int check_schedule(Mete__Api__JobSpec *spec, bool count_given, struct api_error *x)
{
        if (check_queue(spec, x) < 0 || check_times(spec, x) < 0)
                return -EINVAL;
        if (spec->array && check_array(spec, count_given, x) < 0)
                return -EINVAL;
        if (check_parallel(spec, x) < 0 || check_after(spec, x) < 0 || check_constraints(spec, x) < 0 ||
                check_placement(spec, x) < 0)
                return -EINVAL;
        return check_restart(spec, x);
}
