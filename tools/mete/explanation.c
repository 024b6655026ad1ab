#include "tools/mete/explanation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/mete/amounts.h"

#define LABEL_WIDTH 15 /* of "  would preempt  " and its kind */
#define FACTOR_WIDTH 20
#define NOTE_COLUMN (2 + FACTOR_WIDTH + 1 + 15)

static void print_field(FILE *f, const char *label, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void print_field(FILE *f, const char *label, const char *fmt, ...)
{
        _cleanup_free_ char *text = NULL;
        va_list ap;

        va_start(ap, fmt);
        text = xvasprintf(fmt, ap);
        va_end(ap);
        fprintf(f, "  %-*s", LABEL_WIDTH, label);
        text_print_wrapped(f, text, 2 + LABEL_WIDTH, 2 + LABEL_WIDTH);
}

static bool waits(const Mete__Api__Explanation *x)
{
        return !str_equal(x->reason, "NONE");
}

static void print_headline(const Mete__Api__Explanation *x, const char *subject, FILE *f)
{
        _cleanup_free_ char *line = NULL;

        if (!waits(x))
                line = xasprintf("%s does not wait%s%s", subject, str_empty(x->sentence) ? "" : ": ",
                        x->sentence ? x->sentence : "");
        else
                line = xasprintf("%s waits: %s", subject, str_empty(x->sentence) ? x->reason : x->sentence);
        line[0] = (char)(line[0] >= 'a' && line[0] <= 'z' ? line[0] - 'a' + 'A' : line[0]);
        text_print_wrapped(f, line, 0, 0);
}

/* ---- when ---- */

static void print_start(const Mete__Api__Explanation *x, double now, FILE *f)
{
        char clock[TEXT_MAX], distance[TEXT_MAX];

        if (x->has_expected_start && x->expected_start <= now + 1)
                print_field(f, "starts", "now%s", x->reserved ? "; a place is kept for it" : "");
        else if (x->has_expected_start)
                print_field(f, "starts", "%s, at %s%s",
                        text_distance_in_time(x->expected_start, now, distance),
                        text_time(x->expected_start, now, clock),
                        x->reserved ? "; a place is kept for it" : "");
        else if (waits(x) && !str_equal(x->reason, "SUSPENDED"))
                print_field(f, "starts", "cannot be told%s", x->reserved ? "; a place is kept for it" : "");
        if (x->has_expected_end)
                print_field(f, "ends", "%s, at %s", text_distance_in_time(x->expected_end, now, distance),
                        text_time(x->expected_end, now, clock));
}

static void print_duration(const Mete__Api__Explanation *x, FILE *f)
{
        char text[TEXT_MAX];

        if (x->has_expected_duration_seconds && x->expected_duration_seconds > 0)
                print_field(f, "a task runs", "%s%s%s", text_rough(x->expected_duration_seconds, text),
                        str_empty(x->duration_source) ? "" : ", ",
                        str_equal(x->duration_source, "history") ? "as earlier runs of the name did"
                        : x->duration_source                     ? x->duration_source
                                                                 : "");
        else if (x->duration_source)
                print_field(f, "a task runs",
                        "nobody knows how long: --duration tells, or earlier runs of the name");
}

/* ---- where ---- */

static void print_machines(const Mete__Api__Explanation *x, FILE *f)
{
        _cleanup_buffer_ struct buffer b = {0};

        if (!x->has_machines)
                return;
        buffer_printf(&b, "%llu usable", (unsigned long long)x->machines);
        if (x->has_machines_matching)
                buffer_printf(
                        &b, ", %llu of them meet the constraints", (unsigned long long)x->machines_matching);
        if (x->has_machines_large)
                buffer_printf(&b, ", %llu are large enough", (unsigned long long)x->machines_large);
        if (x->has_machines_free)
                buffer_printf(&b, ", %llu have room now", (unsigned long long)x->machines_free);
        print_field(f, "machines", "%s", b.data);
}

static void print_missing(const Mete__Api__Explanation *x, FILE *f)
{
        char text[TEXT_MAX];

        if (!str_empty(x->missing_resource) && x->has_missing && x->missing > 0)
                print_field(f, "lacks", "%s: %s%s%s", x->missing_resource,
                        amount_text(x->missing_resource, x->missing, text), x->nearest ? " on " : "",
                        x->nearest ? x->nearest : "");
        if (!str_empty(x->blocking_job) && !str_equal(x->blocking_job, "0"))
                print_field(f, str_equal(x->reason, "DEPENDENCY") ? "waits for" : "goes first", "job %s",
                        x->blocking_job);
        if (!str_empty(x->limiting_role))
                print_field(
                        f, "quota", "of role %s: `mete quota get %s`", x->limiting_role, x->limiting_role);
}

static void print_victims(const Mete__Api__Explanation *x, FILE *f)
{
        _cleanup_buffer_ struct buffer b = {0};

        for (size_t i = 0; i < x->n_victims; i++)
                buffer_printf(&b, "%s%s (%s)", i ? ", " : "", x->victims[i]->task_id, x->victims[i]->how);
        if (b.len)
                print_field(f, "would preempt", "%s", b.data);
}

/* ---- rank ---- */

static void print_queue(const Mete__Api__Explanation *x, FILE *f)
{
        if (str_empty(x->queue))
                return;
        print_field(f, "queue", "%s%s%s%s%s", x->queue, x->policy ? ", policy " : "",
                x->policy ? x->policy : "", x->role ? ", role " : "", x->role ? x->role : "");
        if (x->has_rank && x->rank > 0)
                print_field(f, "rank", "%llu of %llu that wait", (unsigned long long)x->rank,
                        (unsigned long long)MAX(x->jobs_waiting, x->rank));
}

static void print_factors(const Mete__Api__Explanation *x, FILE *f)
{
        if (x->n_factors > 0)
                fputs("\nRank, by what decides first:\n", f);
        for (size_t i = 0; i < x->n_factors; i++) {
                const Mete__Api__Factor *factor = x->factors[i];
                _cleanup_free_ char *name = text_safe(factor->name), *value = text_safe(factor->value);
                int at = fprintf(f, "  %-*s %s", FACTOR_WIDTH, name, value);

                if (at > NOTE_COLUMN && factor->note)
                        at += fprintf(f, ",");
                text_print_wrapped(f, factor->note ? factor->note : "", (size_t)MAX(at, 0), NOTE_COLUMN);
        }
}

static void print_warnings(const Mete__Api__Explanation *x, FILE *f)
{
        if (x->n_warnings > 0)
                fputs("\nWarnings:\n", f);
        for (size_t i = 0; i < x->n_warnings; i++) {
                fputs("  - ", f);
                text_print_wrapped(f, x->warnings[i], 4, 4);
        }
}

void explanation_print(const Mete__Api__Explanation *x, const char *subject, double now, FILE *f)
{
        print_headline(x, subject, f);
        print_start(x, now, f);
        print_duration(x, f);
        print_queue(x, f);
        print_machines(x, f);
        print_missing(x, f);
        print_victims(x, f);
        print_factors(x, f);
        print_warnings(x, f);
}
