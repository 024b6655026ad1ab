#include "lib/net/codec.h"
#include "tools/mete/all_verbs.h"
#include "tools/mete/json.h"
#include "tools/mete/query.h"
#include "tools/mete/run_attached.h"
#include "tools/mete/run_file.h"
#include "tools/mete/run_spec.h"
#include "tools/mete/text.h"

static int run_detached(
        struct mete_client *c, const struct run_options *o, Mete__Api__JobSpec *spec, struct error *e)
{
        Mete__Api__Call call = METE__API__CALL__INIT;
        Mete__Api__Call__Submit submit = METE__API__CALL__SUBMIT__INIT;
        Mete__Api__Response *response = NULL;
        int r;

        submit.job = spec;
        call.type = METE__API__CALL__TYPE__SUBMIT;
        call.submit = &submit;
        r = mete_client_call(c, &call, 0, &response, e);
        if (r < 0)
                return r;
        if (!response->job) {
                message_free(response);
                return error_set(e, -EPROTO, "the master answered without the job");
        }
        text_warn(response->job->warnings, response->job->n_warnings);
        if (o->common.json)
                json_print(json_of_message(&response->job->base), /* compact= */ false, stdout);
        else
                printf("%s\n", response->job->job_id);
        message_free(response);
        return 0;
}

static int run_command(const struct run_options *o, int argc, char **argv, struct error *e)
{
        CLEANUP(cleanup_mete_client_free) struct mete_client *c = NULL;
        Mete__Api__JobSpec *spec = NULL;
        int r;

        r = run_spec_build(o, argc, argv, &spec, e);
        if (r < 0)
                return VERB_USAGE;
        r = query_client(&o->common, &c, e);
        if (r == 0)
                r = o->detach ? run_detached(c, o, spec, e) : run_attached(c, spec, e);
        if (r < 0)
                run_spec_explain(e);
        message_free(spec);
        return r;
}

static int run(void *options, int argc, char **argv, struct error *e)
{
        const struct run_options *o = options;

        if (o->common.json && !o->detach) {
                error_set(e, -EINVAL,
                        "--json goes with --detach: in the foreground the task's own output is printed");
                return VERB_USAGE;
        }
        return run_command_or_file(o, argc, argv, run_command, run_file, e);
}

static const char *const examples[] = {
        "mete run --cpus 0.5 --mem 64M -- gzip -9 -c /usr/bin/perl >perl.gz",
        "half a core and 64 MiB, output as if it ran here",
        "mete run -d --name sweep --count 8 --mem 1G -- ./sweep --all",
        "eight tasks in the background; prints the job's id",
        "mete run --rootfs /srv/debian --net host --user www-data -- nginx",
        "in a root file system of its own, on the host's network",
        "mete run -d --array 1-100%8 --duration 5m --after fetch -- ./work",
        "a hundred tasks, eight at a time, once the job `fetch` has succeeded",
        "mete run -f jobs.json",
        "the jobs of a file, some of which wait for others",
        NULL,
};

const struct verb verb_run = {
        .name = "run",
        .group = "Jobs and tasks",
        .parser =
                {
                        .program = "mete run",
                        .synopsis = "[options] [--] COMMAND [ARGUMENT...] | -f FILE",
                        .summary = "run a command in a container with its own share of CPU and memory",
                        .details =
                                "In the foreground its output is copied live and `mete run` exits as the "
                                "task does. The first Ctrl-C\n"
                                "goes to the task, the second ends the job, the third leaves it running.\n"
                                "Several jobs of a file are submitted in the order of what they wait for, or "
                                "none of them; then\n"
                                "their ends are told, not their output, and Ctrl-C leaves them running.\n",
                        .rows = run_option_rows,
                        .count = RUN_OPTION_COUNT,
                        .stop_at_positional = true,
                },
        .options_size = sizeof(struct run_options),
        .defaults = run_options_default,
        .min_arguments = 0,
        .max_arguments = -1,
        .examples = examples,
        .run = run,
};
