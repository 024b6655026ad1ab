#include "lib/net/codec.h"
#include "tools/mete/all_verbs.h"
#include "tools/mete/explanation.h"
#include "tools/mete/json.h"
#include "tools/mete/query.h"
#include "tools/mete/run_file.h"
#include "tools/mete/run_spec.h"

static void print_plan(const Mete__Api__Response *response, const char *name, FILE *f)
{
        _cleanup_free_ char *subject = name ? xasprintf("job \"%s\"", name) : xstrdup("this job");

        explanation_print(response->explanation, subject, text_now(), f);
}

static int plan_command(const struct run_options *o, int argc, char **argv, struct error *e)
{
        CLEANUP(cleanup_mete_client_free) struct mete_client *c = NULL;
        Mete__Api__Response *response = NULL;
        Mete__Api__JobSpec *spec = NULL;
        int r;

        if (run_spec_build(o, argc, argv, &spec, e) < 0)
                return VERB_USAGE;
        r = query_client(&o->common, &c, e);
        if (r == 0)
                r = query_plan(c, spec, &response, e);
        if (r < 0)
                run_spec_explain(e);
        else if (o->common.json)
                json_print(json_of_message(&response->explanation->base), /* compact= */ false, stdout);
        else
                print_plan(response, spec->name, stdout);
        message_free(spec);
        message_free(response);
        return r;
}

/* What a job of the file waits for within the file cannot be known to the master: the plan is that of the job by itself. */
static int plan_job(
        struct mete_client *c, struct job_file *f, size_t i, bool json, json_t *answers, struct error *e)
{
        _cleanup_error_ struct error why = {0};
        Mete__Api__JobSpec *spec = run_file_spec(f, i, /* ids= */ NULL);
        size_t inside = f->file->jobs[i]->n_after - spec->n_after;
        Mete__Api__Response *response = NULL;
        int r = query_plan(c, spec, &response, &why);

        message_free(spec);
        if (r == -ECONNREFUSED || r == -ETIMEDOUT)
                return error_set(e, r, "%s", error_message(&why));
        if (r < 0) {
                job_file_add_refusal(f, i, error_message(&why));
                return 0;
        }
        json_array_append_new(answers, json_of_message(&response->explanation->base));
        if (!json) {
                print_plan(response, f->names[i], stdout);
                if (inside > 0)
                        printf("  %-15s%zu of this file\n", "and waits for", inside);
                if (i != f->order[f->file->n_jobs - 1])
                        fputc('\n', stdout);
        }
        message_free(response);
        return 0;
}

static int plan_file(const struct run_options *o, struct job_file *f, struct error *e)
{
        CLEANUP(cleanup_mete_client_free) struct mete_client *c = NULL;
        json_t *answers = json_array();
        int r = query_client(&o->common, &c, e);

        for (size_t n = 0; r == 0 && n < f->file->n_jobs; n++)
                r = plan_job(c, f, f->order[n], o->common.json, answers, e);
        if (o->common.json && r == 0)
                json_print(answers, /* compact= */ false, stdout);
        else
                json_decref(answers);
        (void)fflush(stdout);
        job_file_print_problems(f, stderr);
        return r < 0 ? r : f->problem_count > 0 ? VERB_EXIT_FAILED : VERB_EXIT_OK;
}

static int run(void *options, int argc, char **argv, struct error *e)
{
        return run_command_or_file(options, argc, argv, plan_command, plan_file, e);
}

static const char *const examples[] = {
        "mete plan --cpus 8 --mem 16G --gang --count 4 -- ./train",
        "whether, when and where it would run, and whom it would preempt",
        "mete plan -f jobs.json",
        "the same of each job of a file; nothing is submitted",
        NULL,
};

const struct verb verb_plan = {
        .name = "plan",
        .parser =
                {
                        .program = "mete plan",
                        .synopsis = "[options] [--] COMMAND [ARGUMENT...] | -f FILE",
                        .summary = "say of a job what `mete explain` would, without submitting it",
                        .details = "The options are those of `mete run`.\n",
                        .rows = run_option_rows + 1,
                        .count = RUN_OPTION_COUNT - 1,
                        .stop_at_positional = true,
                },
        .options_size = sizeof(struct run_options),
        .defaults = run_options_default,
        .min_arguments = 0,
        .max_arguments = -1,
        .examples = examples,
        .run = run,
};
