/* mete-sim: simulated agents and frameworks that load a real master. Each verb is a row. */
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
};

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
};

static void options_init(struct options *o)
{
        *o = (struct options){
                .master = xstrdup("127.0.0.1:5050"),
                .agents = {.count = 10,
                        .milli_cpus = 64000,
                        .memory_bytes = UINT64_C(256) << 30,
                        .prefix = xstrdup("sim")},
                .scheduler = {.tasks = 1000,
                        .batch = 50,
                        .in_flight = 10000,
                        .milli_cpus = 100,
                        .memory_bytes = UINT64_C(32) << 20,
                        .failover_ns = 3600 * NSEC_PER_SEC},
        };
}

static void on_signal(struct loop_signal *signal, int signo, void *userdata)
{
        loop_stop(userdata);
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
                         "frameworks.\n\nVerbs:\n");
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
                log_error("there is no verb \"%s\": agents and scheduler are expected", argv[1]);
                return 2;
        }
        options_init(&o);
        r = options_parse(&verbs[verb].parser, argc - 1, argv + 1, &o, &first, &e);
        if (r == 0 && first < argc - 1)
                r = error_set(&e, -EINVAL, "unexpected argument \"%s\"", argv[1 + first]);
        log_set_level(o.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING);
        if (r == 0)
                r = run(verb, &o, &e);
        else if (r > 0)
                r = 0; /* help was printed */
        if (r < 0)
                log_error("%s", error_message(&e));
        return r < 0 ? EXIT_FAILURE : r;
}
