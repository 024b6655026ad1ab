/* mete-sim: simulated agents and frameworks that load a real master, and traces for allocator and queue alone. Each verb is a row. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/option.h"
#include "tools/sim/sim.h"

struct options {
        char *master;
        bool json, verbose;
        struct sim_agents_options agents;
        struct sim_scheduler_options scheduler;
        struct sim_trace_options trace;
};

#define TRACE_JOBS_UNSET UINT64_MAX
#define ROW(n, t, field, v, h, m)                                                                            \
        {                                                                                                    \
                .name = n, .type = t, .offset = offsetof(struct options, field), .value = v, .help = h,      \
                .max = m                                                                                     \
        }
#define COMMON_ROWS                                                                                          \
        ROW("master", OPTION_STRING, master, "HOST:PORT", "the master, numeric (default 127.0.0.1:5050)",    \
                0),                                                                                          \
                ROW("verbose", OPTION_BOOL, verbose, NULL, "log connections", 0)

static const struct option_row agents_rows[] = {
        ROW("count", OPTION_U64, agents.count, "N", "agents (default 10)", 100000),
        ROW("arrivals", OPTION_U64, agents.arrivals, "N", "agents that come in a second (default 5000)",
                1000000),
        ROW("cpus", OPTION_MILLI, agents.milli_cpus, "N", "cores of each (default 64)", UINT64_C(1024000)),
        ROW("mem", OPTION_SIZE, agents.memory_bytes, "SIZE", "memory of each (default 256G)", 0),
        ROW("run-time", OPTION_DURATION, agents.run_ns, "TIME",
                "how long a task runs (default 0: it ends as soon as RUNNING is acknowledged)", 0),
        ROW("extra-updates", OPTION_U64, agents.extra_updates, "N",
                "RUNNING updates of a task beside the first (default 0)", 1000000),
        ROW("hostname-prefix", OPTION_STRING, agents.prefix, "TEXT",
                "hostnames are this and a number (default sim)", 0),
        ROW("json", OPTION_BOOL, json, NULL, "print the report as JSON", 0),
        COMMON_ROWS,
};
static const struct option_row scheduler_rows[] = {
        ROW("tasks", OPTION_U64, scheduler.tasks, "N", "command tasks to launch (default 1000)", 10000000),
        ROW("batch", OPTION_U64, scheduler.batch, "N", "tasks in one ACCEPT, at most (default 50)", 10000),
        ROW("in-flight", OPTION_U64, scheduler.in_flight, "N",
                "tasks that are launched and not over, at most (default 10000)", 10000000),
        ROW("rate", OPTION_U64, scheduler.rate, "N",
                "launch this many a second (default 0: as fast as offers come)", 10000000),
        ROW("cpus", OPTION_MILLI, scheduler.milli_cpus, "N", "of a task (default 0.1)", UINT64_C(1024000)),
        ROW("mem", OPTION_SIZE, scheduler.memory_bytes, "SIZE", "of a task (default 32M)", 0),
        ROW("failover-timeout", OPTION_DURATION, scheduler.failover_ns, "TIME",
                "of the framework (default 1h)", 0),
        ROW("partition-aware", OPTION_BOOL, scheduler.partition_aware, NULL, "with that capability", 0),
        ROW("declines", OPTION_U64, scheduler.declines, "N", "launch nothing: decline this many offers",
                100000000),
        ROW("json-calls", OPTION_BOOL, scheduler.encode_json, NULL, "speak JSON instead of protobuf", 0),
        ROW("json", OPTION_BOOL, json, NULL, "print the report as JSON", 0),
        COMMON_ROWS,
};

static const struct option_row trace_rows[] = {
        {.name = "swf",
                .type = OPTION_STRING,
                .offset = offsetof(struct options, trace.swf),
                .value = "FILE",
                .help = "a trace in the Standard Workload Format (default: a made-up one)",
                .group = "Trace"},
        ROW("jobs", OPTION_U64, trace.jobs, "N", "jobs to make up, or to read (default 5000; of a file: all)",
                5000000),
        ROW("seed", OPTION_U64, trace.seed, "N", "another one gives another trace (default 1)", 0),
        ROW("users", OPTION_U64, trace.users, "N", "who submit (default 20)", 100000),
        ROW("load", OPTION_MILLI, trace.load_milli, "N",
                "work offered, in parts of what the machines can do (default 0.9)", 100000),
        ROW("mean-run-time", OPTION_DURATION, trace.mean_run_ns, "TIME", "of a job, about (default 10m)", 0),
        {.name = "machines",
                .type = OPTION_U64,
                .offset = offsetof(struct options, trace.machines),
                .value = "N",
                .help = "all alike (default 16)",
                .max = 100000,
                .group = "Machines"},
        ROW("cpus", OPTION_MILLI, trace.milli_cpus, "N", "cores of each (default 16)", UINT64_C(1024000)),
        ROW("mem", OPTION_SIZE, trace.memory_bytes, "SIZE", "memory of each (default 64G)", 0),
        {.name = "policy",
                .type = OPTION_STRING,
                .offset = offsetof(struct options, trace.policy),
                .value = "NAME,...",
                .help = "fifo, sjf, srtf, priority, fair, or all (default all)",
                .group = "Queue"},
        ROW("estimates", OPTION_STRING, trace.estimates, "NAME",
                "what the queue knows of run times: exact, requested or history (default history)", 0),
        ROW("preemption", OPTION_STRING, trace.preemption, "NAME",
                "none, suspend or requeue (default suspend)", 0),
        ROW("ageing", OPTION_DURATION, trace.ageing_ns, "TIME",
                "who waits longer goes first, 0 never (default 24h)", 0),
        ROW("backfill", OPTION_U64, trace.backfill, "N",
                "jobs looked at behind the reservation, 0 none (default 1000)", 1000000),
        {.name = "csv",
                .type = OPTION_BOOL,
                .offset = offsetof(struct options, trace.csv),
                .help = "print comma-separated values",
                .group = "Output"},
        ROW("json", OPTION_BOOL, json, NULL, "print JSON", 0),
        ROW("verbose", OPTION_BOOL, verbose, NULL, "say how it goes", 0),
};

static int start_agents(struct sim *s, const struct options *o, struct error *e)
{
        return sim_agents_start(s, &o->agents, e);
}

static int start_scheduler(struct sim *s, const struct options *o, struct error *e)
{
        return sim_scheduler_start(s, &o->scheduler, e);
}

static const struct {
        const char *name;
        struct option_parser parser;
        int (*start)(struct sim *s, const struct options *o, struct error *e);
        void (*report)(struct sim *s);
} verbs[] = {
        {"agents",
                {.program = "mete-sim agents",
                        .synopsis = "[options]",
                        .summary = "Registers simulated agents, whose tasks end after a given time, until it "
                                   "is interrupted.",
                        .rows = agents_rows,
                        .count = ELEMENTSOF(agents_rows)},
                start_agents, sim_agents_report},
        {"scheduler",
                {.program = "mete-sim scheduler",
                        .synopsis = "[options]",
                        .summary =
                                "Launches tasks through the v1 scheduler API and prints how fast that went.",
                        .rows = scheduler_rows,
                        .count = ELEMENTSOF(scheduler_rows)},
                start_scheduler, sim_scheduler_report},
        {"trace",
                {.program = "mete-sim trace",
                        .synopsis = "[options]",
                        .summary = "Runs a trace of jobs through allocator and queue in virtual time, and "
                                   "compares policies.",
                        .rows = trace_rows,
                        .count = ELEMENTSOF(trace_rows)},
                NULL, NULL},
};

static void options_init(struct options *o)
{
        *o = (struct options){
                .master = xstrdup("127.0.0.1:5050"),
                .agents = {.count = 10,
                        .arrivals = 5000,
                        .milli_cpus = 64000,
                        .memory_bytes = UINT64_C(256) << 30,
                        .prefix = xstrdup("sim")},
                .scheduler = {.tasks = 1000,
                        .batch = 50,
                        .in_flight = 10000,
                        .milli_cpus = 100,
                        .memory_bytes = UINT64_C(32) << 20,
                        .failover_ns = 3600 * NSEC_PER_SEC},
                .trace = {.jobs = TRACE_JOBS_UNSET,
                        .seed = 1,
                        .users = 20,
                        .load_milli = 900,
                        .mean_run_ns = 600 * NSEC_PER_SEC,
                        .machines = 16,
                        .milli_cpus = 16000,
                        .memory_bytes = UINT64_C(64) << 30,
                        .policy = xstrdup("all"),
                        .estimates = xstrdup("history"),
                        .preemption = xstrdup("suspend"),
                        .ageing_ns = 24 * 3600 * NSEC_PER_SEC,
                        .backfill = 1000},
        };
}

static void on_signal(struct loop_signal *signal, int signo, void *userdata)
{
        loop_stop(userdata);
}

static int run_trace(struct options *o, struct error *e)
{
        o->trace.jobs_given = o->trace.jobs != TRACE_JOBS_UNSET;
        if (!o->trace.jobs_given)
                o->trace.jobs = 5000;
        return sim_trace(&o->trace, o->json, e);
}

static int run(size_t verb, const struct options *o, struct error *e)
{
        struct sim s = {.json = o->json, .result = EXIT_SUCCESS};
        struct loop_signal *terminate, *interrupt;
        int r = wire_target_parse(o->master, &s.master, e);

        if (r < 0)
                return error_prefix(e, "--master");
        r = loop_new(&s.loop, e);
        if (r < 0)
                return r;
        terminate = loop_signal_new(s.loop, SIGTERM, on_signal, s.loop);
        interrupt = loop_signal_new(s.loop, SIGINT, on_signal, s.loop);
        r = verbs[verb].start(&s, o, e);
        if (r == 0)
                r = loop_run(s.loop);
        if (r == 0 && verbs[verb].report)
                verbs[verb].report(&s);
        loop_signal_free(terminate);
        loop_signal_free(interrupt);
        /* What the verbs made lives as long as the process, and with it the loop. */
        return r < 0 ? r : s.result;
}

static void print_help(FILE *f)
{
        (void)fprintf(f, "Usage: mete-sim VERB [options]\n\nLoads a real master with simulated agents and "
                         "frameworks, or runs traces without one.\n\nVerbs:\n");
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                (void)fprintf(f, "  %-10s %s\n", verbs[i].name, verbs[i].parser.summary);
        (void)fprintf(f, "\n`mete-sim VERB --help` lists the options.\n");
}

int main(int argc, char **argv)
{
        _cleanup_error_ struct error e = {0};
        struct options o;
        size_t verb = 0;
        int first, r;

        (void)signal(SIGPIPE, SIG_IGN);
        (void)raise_file_limit(); /* two descriptors a simulated agent */
        log_set_program("mete-sim");
        if (argc < 2 || str_equal(argv[1], "--help") || str_equal(argv[1], "-h")) {
                print_help(argc < 2 ? stderr : stdout);
                return argc < 2 ? 2 : 0;
        }
        while (verb < ELEMENTSOF(verbs) && !str_equal(verbs[verb].name, argv[1]))
                verb++;
        if (verb == ELEMENTSOF(verbs)) {
                log_error("there is no verb \"%s\": agents, scheduler and trace are expected", argv[1]);
                return 2;
        }
        options_init(&o);
        r = options_parse(&verbs[verb].parser, argc - 1, argv + 1, &o, &first, &e);
        if (r == 0 && first < argc - 1)
                r = error_set(&e, -EINVAL, "unexpected argument \"%s\"", argv[1 + first]);
        log_set_level(o.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING);
        if (r == 0)
                r = verbs[verb].start ? run(verb, &o, &e) : run_trace(&o, &e);
        else if (r > 0)
                r = 0; /* help was printed */
        if (r < 0)
                log_error("%s", error_message(&e));
        return r < 0 ? EXIT_FAILURE : r;
}
