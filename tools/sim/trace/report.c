/* mete-sim trace: policies against each other on one trace, as a table, CSV or JSON. */

#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "tools/sim/sim.h"
#include "tools/sim/trace/simulation.h"

struct row {
        enum queue_policy policy;
        struct simulation_result result;
};

/* One row a column: heading, key, and how it is shown. */
static const struct column {
        const char *heading, *key;
        size_t offset;
        enum { COLUMN_SECONDS, COLUMN_RATIO, COLUMN_SHARE, COLUMN_COUNT, COLUMN_SIZE } kind;
} columns[] = {
#define COLUMN(h, f, k)                                                                                      \
        {                                                                                                    \
                h, #f, offsetof(struct simulation_result, f), k                                              \
        }
        COLUMN("jobs", jobs, COLUMN_SIZE),
        COLUMN("wait mean", wait_mean, COLUMN_SECONDS),
        COLUMN("p99", wait_p99, COLUMN_SECONDS),
        COLUMN("max", wait_max, COLUMN_SECONDS),
        COLUMN("turnaround", turnaround_mean, COLUMN_SECONDS),
        COLUMN("p99", turnaround_p99, COLUMN_SECONDS),
        COLUMN("slowdown", slowdown_mean, COLUMN_RATIO),
        COLUMN("p99", slowdown_p99, COLUMN_RATIO),
        COLUMN("used", utilisation, COLUMN_SHARE),
        COLUMN("lost", lost, COLUMN_SHARE),
        COLUMN("suspended", suspensions, COLUMN_COUNT),
        COLUMN("requeued", requeues, COLUMN_COUNT),
        COLUMN("Jain", fairness, COLUMN_RATIO),
        COLUMN("makespan", makespan, COLUMN_SECONDS),
};

static double value_of(const struct column *c, const struct simulation_result *r)
{
        const char *at = (const char *)r + c->offset;

        if (c->kind == COLUMN_COUNT)
                return (double)*(const uint64_t *)(const void *)at;
        if (c->kind == COLUMN_SIZE)
                return (double)*(const size_t *)(const void *)at;
        return *(const double *)(const void *)at;
}

static void print_cell(const struct column *c, double value)
{
        char text[DURATION_TEXT_MAX];

        switch (c->kind) {
        case COLUMN_SECONDS:
                printf(" %10s", duration_format((uint64_t)(value * 1e9), text));
                break;
        case COLUMN_RATIO:
                printf(" %9.3g", value);
                break;
        case COLUMN_SHARE:
                printf(" %5.1f%%", value * 100);
                break;
        case COLUMN_COUNT:
        case COLUMN_SIZE:
                printf(" %9.0f", value);
                break;
        }
}

static void print_table(const struct row *rows, size_t count)
{
        static const int widths[] = {[COLUMN_SECONDS] = 10,
                [COLUMN_RATIO] = 9,
                [COLUMN_SHARE] = 6,
                [COLUMN_COUNT] = 9,
                [COLUMN_SIZE] = 9};

        printf("%-8s", "policy");
        for (size_t i = 0; i < ELEMENTSOF(columns); i++)
                printf(" %*s", widths[columns[i].kind], columns[i].heading);
        printf("\n");
        for (size_t r = 0; r < count; r++) {
                printf("%-8s", queue_policy_to_string(rows[r].policy));
                for (size_t i = 0; i < ELEMENTSOF(columns); i++)
                        print_cell(&columns[i], value_of(&columns[i], &rows[r].result));
                printf("\n");
        }
}

static void print_csv(const struct row *rows, size_t count)
{
        printf("policy");
        for (size_t i = 0; i < ELEMENTSOF(columns); i++)
                printf(",%s", columns[i].key);
        printf("\n");
        for (size_t r = 0; r < count; r++) {
                printf("%s", queue_policy_to_string(rows[r].policy));
                for (size_t i = 0; i < ELEMENTSOF(columns); i++)
                        printf(",%.9g", value_of(&columns[i], &rows[r].result));
                printf("\n");
        }
}

static void print_json(const struct row *rows, size_t count)
{
        json_t *all = json_array();

        for (size_t r = 0; r < count; r++) {
                json_t *one = json_object();

                json_object_set_new(one, "policy", json_string(queue_policy_to_string(rows[r].policy)));
                for (size_t i = 0; i < ELEMENTSOF(columns); i++)
                        json_object_set_new(
                                one, columns[i].key, json_real(value_of(&columns[i], &rows[r].result)));
                json_array_append_new(all, one);
        }
        (void)json_dumpf(all, stdout, JSON_INDENT(2));
        printf("\n");
        json_decref(all);
}

/* "fifo,sjf", or "all". */
static int parse_policies(const char *text, struct row *rows, size_t *ret_count, struct error *e)
{
        _cleanup_free_ char *copy = xstrdup(text);
        char *rest = copy, *name;
        size_t count = 0;

        if (str_equal(text, "all")) {
                for (int p = 0; p < QUEUE_POLICY_MAX; p++)
                        rows[p].policy = p;
                *ret_count = QUEUE_POLICY_MAX;
                return 0;
        }
        while (count < QUEUE_POLICY_MAX && (name = strsep(&rest, ","))) {
                rows[count].policy = queue_policy_from_string(name);
                if (rows[count++].policy == QUEUE_POLICY_INVALID)
                        return error_set(e, -EINVAL,
                                "--policy %s: fifo, sjf, srtf, priority and fair are accepted, and \"all\"",
                                name);
        }
        if (rest)
                return error_set(e, -EINVAL, "--policy %s: more names than there are policies", text);
        *ret_count = count;
        return 0;
}

static int check_options(const struct sim_trace_options *o, struct simulation_options *s, struct error *e)
{
        s->estimates = simulation_knowledge_from_string(o->estimates);
        if (s->estimates == KNOWS_INVALID)
                return error_set(
                        e, -EINVAL, "--estimates %s: exact, requested or history is expected", o->estimates);
        queue_config_default(&s->queue);
        s->queue.preemption = queue_preemption_from_string(o->preemption);
        if (s->queue.preemption == QUEUE_PREEMPTION_INVALID)
                return error_set(
                        e, -EINVAL, "--preemption %s: none, suspend or requeue is expected", o->preemption);
        if (o->machines == 0 || o->milli_cpus == 0 || o->memory_bytes < 1048576)
                return error_set(e, -EINVAL, "--machines, --cpus and --mem: more than nothing is expected");
        if (!o->swf && (o->jobs == 0 || o->users == 0 || o->load_milli == 0 || o->mean_run_ns == 0))
                return error_set(e, -EINVAL,
                        "--jobs, --users, --load and --mean-run-time: more than nothing is expected");
        s->queue.ageing_ns = o->ageing_ns;
        s->queue.backfill_max = (uint32_t)o->backfill;
        s->machines = o->machines;
        s->machine_milli_cpus = o->milli_cpus;
        s->machine_memory_bytes = o->memory_bytes;
        return 0;
}

static int make_trace(const struct sim_trace_options *o, struct trace *ret, struct error *e)
{
        const struct synthetic_options synthetic = {.seed = o->seed,
                .jobs = o->jobs,
                .users = o->users,
                .mean_run_ns = o->mean_run_ns,
                .load_milli = o->load_milli,
                .machines = o->machines,
                .machine_milli_cpus = o->milli_cpus,
                .machine_memory_bytes = o->memory_bytes};

        if (o->swf)
                return trace_read_swf(o->swf, o->jobs_given ? o->jobs : 0, ret, e);
        trace_generate(&synthetic, ret);
        return 0;
}

int sim_trace(const struct sim_trace_options *o, bool json, struct error *e)
{
        _cleanup_trace_ struct trace t = {};
        struct row rows[QUEUE_POLICY_MAX] = {};
        struct simulation_options s = {};
        size_t count = 0;
        int r = check_options(o, &s, e);

        if (r >= 0)
                r = parse_policies(o->policy, rows, &count, e);
        if (r >= 0)
                r = make_trace(o, &t, e);
        if (r < 0)
                return r;
        if (t.left_out > 0)
                log_info("%s: %zu jobs never ran and are left out", o->swf, t.left_out);
        for (size_t i = 0; i < count; i++) {
                s.queue.policy = rows[i].policy;
                r = simulation_run(&s, &t, &rows[i].result, e);
                if (r < 0)
                        return error_prefix(e, "%s", queue_policy_to_string(rows[i].policy));
                log_info("%s: %zu jobs, %ju passes of %.0f us", queue_policy_to_string(rows[i].policy),
                        rows[i].result.jobs, (uintmax_t)rows[i].result.passes, rows[i].result.pass_mean_usec);
        }
        if (rows[0].result.too_large > 0)
                log_warning("%zu jobs are larger than all machines together and are left out",
                        rows[0].result.too_large);
        (json ? print_json : o->csv ? print_csv : print_table)(rows, count);
        return 0;
}
