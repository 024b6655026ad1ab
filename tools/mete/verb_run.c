#include "lib/net/codec.h"
#include "tools/mete/all_verbs.h"
#include "tools/mete/json.h"
#include "tools/mete/query.h"
#include "tools/mete/run_attached.h"
#include "tools/mete/run_spec.h"

#define ROW(name, letter, type, field, value, help, max, group)                                              \
        {                                                                                                    \
                name, letter, type, offsetof(struct run_options, field), value, help, max, group             \
        }

static const struct option_row rows[] = {
        ROW("name", 'n', OPTION_STRING, name, "NAME", "name of the job (default: the program's)", 0, "Job"),
        ROW("count", 0, OPTION_U64, count, "N", "how many tasks (default: 1)", UINT32_MAX, NULL),
        ROW("detach", 'd', OPTION_BOOL, detach, NULL, "print the job's id and leave it running", 0, NULL),
        ROW("cpus", 'c', OPTION_MILLI, milli_cpus, "CORES", "cores to book: 0.5, 2 (default: 1)", 0,
                "Partition of each task"),
        ROW("cpus-limit", 0, OPTION_MILLI, milli_cpus_limit, "CORES",
                "never more than this (default: what is booked)", 0, NULL),
        ROW("mem", 'm', OPTION_SIZE, memory_bytes, "SIZE", "memory to book: 64M, 1.5G (default: 128M)", 0,
                NULL),
        ROW("mem-limit", 0, OPTION_SIZE, memory_limit_bytes, "SIZE",
                "the task is killed beyond this (default: what is booked)", 0, NULL),
        ROW("pids", 0, OPTION_U64, pids_limit, "N", "most processes and threads (default: 1024)", 0, NULL),
        ROW("rlimit", 0, OPTION_STRINGS, rlimits, "TYPE=SOFT[:HARD]",
                "a limit of setrlimit(2): nofile=1024:4096, core=unlimited; repeatable", 0, NULL),
        ROW("rootfs", 0, OPTION_STRING, rootfs, "DIR",
                "root file system, never written to (default: the agent's own, read-only)", 0, "Container"),
        ROW("net", 0, OPTION_STRING, network, "none|host",
                "a loopback of its own, or the host's network (default: none)", 0, NULL),
        ROW("user", 'u', OPTION_STRING, user, "USER[:GROUP]",
                "who it runs as, by name or number (default: you; nobody for root)", 0, NULL),
        ROW("env", 'e', OPTION_STRINGS, environment, "NAME[=VALUE]",
                "an environment variable; NAME alone passes yours on; repeatable", 0, NULL),
        ROW("workdir", 'w', OPTION_STRING, working_directory, "PATH",
                "working directory (default: the task's sandbox)", 0, NULL),
        ROW("hostname", 0, OPTION_STRING, hostname, "NAME", "its host name (default: after the task)", 0,
                NULL),
        ROW("cap-add", 0, OPTION_STRINGS, capabilities_add, "CAPABILITY",
                "a capability beside the small default set: NET_RAW, ALL; repeatable", 0, NULL),
        ROW("cap-drop", 0, OPTION_STRINGS, capabilities_drop, "CAPABILITY",
                "one less: CHOWN, ALL; repeatable", 0, NULL),
        ROW("seccomp", 0, OPTION_STRING, seccomp, "FILE|unconfined",
                "a profile in JSON in place of the default one, or none", 0, NULL),
        OPTION_ROW_MASTER,
        OPTION_ROW_JSON,
};

static void defaults(void *options)
{
        struct run_options *o = options;

        o->milli_cpus = o->milli_cpus_limit = RUN_UNSET;
        o->memory_bytes = o->memory_limit_bytes = RUN_UNSET;
        o->pids_limit = o->count = RUN_UNSET;
}

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
        if (!response->job)
                r = error_set(e, -EPROTO, "the master answered without the job");
        else if (o->common.json)
                json_print(json_of_message(&response->job->base), /* compact= */ false, stdout);
        else
                printf("%s\n", response->job->job_id);
        message_free(response);
        return r;
}

static int run(void *options, int argc, char **argv, struct error *e)
{
        const struct run_options *o = options;
        CLEANUP(cleanup_mete_client_free) struct mete_client *c = NULL;
        Mete__Api__JobSpec *spec = NULL;
        int r;

        if (o->common.json && !o->detach) {
                error_set(e, -EINVAL,
                        "--json goes with --detach: in the foreground the task's own output is printed");
                return VERB_USAGE;
        }
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

static const char *const examples[] = {
        "mete run --cpus 0.5 --mem 64M -- gzip -9 -c /usr/bin/perl >perl.gz",
        "half a core and 64 MiB, output as if it ran here",
        "mete run -d --name sweep --count 8 --mem 1G -- ./sweep --all",
        "eight tasks in the background; prints the job's id",
        "mete run --rootfs /srv/debian --net host --user www-data -- nginx",
        "in a root file system of its own, on the host's network",
        NULL,
};

const struct verb verb_run = {
        .name = "run",
        .parser =
                {
                        .program = "mete run",
                        .synopsis = "[options] [--] COMMAND [ARGUMENT...]",
                        .summary = "run a command in a container with its own share of CPU and memory",
                        .details =
                                "In the foreground its output is copied live and `mete run` exits as the "
                                "task does. The first Ctrl-C\n"
                                "goes to the task, the second ends the job, the third leaves it running.\n",
                        .rows = rows,
                        .count = ELEMENTSOF(rows),
                        .stop_at_positional = true,
                },
        .options_size = sizeof(struct run_options),
        .defaults = defaults,
        .min_arguments = 1,
        .max_arguments = -1,
        .examples = examples,
        .run = run,
};
