#include "tools/mete/job_stats.h"

#include "lib/net/codec.h"
#include "tools/mete/json.h"
#include "tools/mete/query.h"
#include "tools/mete/text.h"

static void print_times(FILE *f, const char *label, const char *const names[], const double values[],
        const bool known[], size_t count)
{
        bool any = false;
        char text[TEXT_MAX];

        for (size_t i = 0; i < count; i++) {
                if (!known[i])
                        continue;
                if (!any)
                        fprintf(f, "  %-10s", label);
                fprintf(f, "%s%s %s", any ? ", " : "", names[i], text_seconds(values[i], text));
                any = true;
        }
        if (any)
                fputc('\n', f);
}

static void print_waits_and_runs(const Mete__Api__JobStats *s, FILE *f)
{
        print_times(f, "waited", (const char *const[]){"mean", "p99"},
                (const double[]){s->wait_seconds_mean, s->wait_seconds_p99},
                (const bool[]){s->has_wait_seconds_mean, s->has_wait_seconds_p99}, 2);
        print_times(f, "ran", (const char *const[]){"mean", "p50", "p90", "at most"},
                (const double[]){
                        s->run_seconds_mean, s->run_seconds_p50, s->run_seconds_p90, s->run_seconds_max},
                (const bool[]){s->has_run_seconds_mean, s->has_run_seconds_p50, s->has_run_seconds_p90,
                        s->has_run_seconds_max},
                4);
}

static void print_usage(const Mete__Api__JobStats *s, FILE *f)
{
        char text[TEXT_MAX], peak[TEXT_MAX];

        if (s->has_cpu_seconds_mean)
                fprintf(f, "  %-10s%s a task%s%s%s\n", "cpu", text_seconds(s->cpu_seconds_mean, text),
                        s->has_cpu_cores_mean ? ", " : "",
                        s->has_cpu_cores_mean ? text_cores(s->cpu_cores_mean, peak) : "",
                        s->has_cpu_cores_mean ? " cores while they ran" : "");
        if (s->has_memory_peak_bytes_max)
                fprintf(f, "  %-10sp90 %s, at most %s\n", "peak", text_size(s->memory_peak_bytes_p90, text),
                        text_size(s->memory_peak_bytes_max, peak));
        if (s->preemptions > 0 || s->oom_kills > 0)
                fprintf(f, "  %-10s%llu times, out of memory %llu times\n", "preempted",
                        (unsigned long long)s->preemptions, (unsigned long long)s->oom_kills);
        if (s->has_expected_duration_seconds)
                fprintf(f, "  %-10s%s, from %.1f runs that count\n", "expected",
                        text_rough(s->expected_duration_seconds, text), s->expected_samples);
}

void job_stats_print(const Mete__Api__JobStats *s, FILE *f)
{
        _cleanup_free_ char *name = text_safe(s->name), *user = text_safe(s->user);

        fprintf(f, "%s of %s\n", name, user);
        fprintf(f, "  %-10s%llu jobs, %llu tasks: %llu finished, %llu failed\n", "runs",
                (unsigned long long)s->jobs, (unsigned long long)s->tasks,
                (unsigned long long)s->tasks_finished, (unsigned long long)s->tasks_failed);
        print_waits_and_runs(s, f);
        print_usage(s, f);
}

int job_stats(const struct common_options *o, const char *job, struct error *e)
{
        Mete__Api__Call call = METE__API__CALL__INIT;
        Mete__Api__Call__JobStats stats = METE__API__CALL__JOB_STATS__INIT;
        Mete__Api__Response *response = NULL;
        int r;

        stats.job = (char *)job;
        call.type = METE__API__CALL__TYPE__JOB_STATS;
        call.job_stats = &stats;
        r = query_once(o, &call, &response, e);
        if (r < 0)
                return r;
        if (o->json)
                json_print(json_of_messages((ProtobufCMessage *const *)response->stats, response->n_stats),
                        /* compact= */ false, stdout);
        else if (response->n_stats == 0)
                printf("No run of \"%s\" has ended.\n", job);
        for (size_t i = 0; !o->json && i < response->n_stats; i++)
                job_stats_print(response->stats[i], stdout);
        message_free(response);
        return VERB_EXIT_OK;
}
