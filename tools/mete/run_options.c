#include "tools/mete/run_options.h"

#define ROW(name, letter, type, field, value, help, max, group)                                              \
        {                                                                                                    \
                name, letter, type, offsetof(struct run_options, field), value, help, max, group             \
        }

const struct option_row run_option_rows[] = {
        ROW("detach", 'd', OPTION_BOOL, detach, NULL, "print the job's id and leave it running", 0, "Job"),
        ROW("file", 'f', OPTION_STRING, file, "FILE",
                "jobs from a file in JSON (`mete validate --schema` tells its form); \"-\": from standard "
                "input",
                0, "Job"),
        ROW("name", 'n', OPTION_STRING, name, "NAME", "name of the job (default: the program's)", 0, "Job"),
        ROW("count", 0, OPTION_U64, count, "N", "how many tasks (default: 1)", UINT32_MAX, NULL),
        ROW("array", 0, OPTION_STRING, array, "FIRST-LAST[:STEP][%N]",
                "a task per number, which it finds in METE_ARRAY_INDEX; %N: at most N at a time", 0, NULL),
        ROW("parallel", 0, OPTION_U64, parallel_max, "N", "most tasks at a time (default: all)", UINT32_MAX,
                NULL),
        ROW("gang", 0, OPTION_BOOL, gang, NULL, "all tasks start together, or none", 0, NULL),
        ROW("queue", 'q', OPTION_STRING, queue, "NAME", "the queue that it waits in (default: default)", 0,
                "When it runs"),
        ROW("priority", 'p', OPTION_U64, priority, "N",
                "0 to 1000, in queues of the policy priority (default: 500)", 1000, NULL),
        ROW("after", 0, OPTION_STRINGS, after, "JOB[:succeeded|failed|ended]",
                "not before this job has ended so (default: succeeded); repeatable", 0, NULL),
        ROW("duration", 0, OPTION_DURATION, duration_ns, "DURATION",
                "how long a task is expected to run (default: learned from earlier runs of the name)", 0,
                NULL),
        ROW("time-limit", 't', OPTION_DURATION, time_limit_ns, "DURATION",
                "a task that runs longer is killed (default: never)", 0, NULL),
        ROW("deadline", 0, OPTION_STRING, deadline, "+DURATION|TIME",
                "tasks that still wait then are given up: +2h, 2026-11-23T18:00 (default: never)", 0, NULL),
        ROW("restart", 0, OPTION_STRING, restart, "never|on-failure|always[:MAX]",
                "whether tasks that end run again, and how often at most (default: never)", 0, NULL),
        ROW("no-preempt", 0, OPTION_BOOL, no_preempt, NULL, "never suspended or requeued for another job", 0,
                NULL),
        ROW("constraint", 0, OPTION_STRINGS, constraints, "TEXT",
                "which agents: rack=r1, hostname!=h3, kernel~6.*, ssd, !ssd, mhz>2400, distinct:rack; "
                "repeatable",
                0, "Where it runs"),
        ROW("spread", 0, OPTION_STRING_OPTIONAL, spread, "[=ATTRIBUTE]",
                "where the fewest of its tasks are, by machine or by the attribute (default: where least "
                "room stays)",
                0, NULL),
        ROW("ports", 0, OPTION_U64, ports, "N", "that many ports of the agent, in PORT0, PORT1 and so on",
                UINT32_MAX, NULL),
        ROW("exclusive-cores", 0, OPTION_U64, exclusive_cores, "N",
                "that many whole cores that nobody else runs on", UINT32_MAX, NULL),
        ROW("volume", 'v', OPTION_STRINGS, volumes, "ID:PATH[:ro]",
                "a persistent volume of the queue's role at this path; repeatable", 0, NULL),
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

static_assert(ELEMENTSOF(run_option_rows) == RUN_OPTION_COUNT, "the header has their number");

void run_options_default(void *options)
{
        struct run_options *o = options;

        *o = (struct run_options){0};
        o->milli_cpus = o->milli_cpus_limit = RUN_UNSET;
        o->memory_bytes = o->memory_limit_bytes = RUN_UNSET;
        o->pids_limit = o->count = o->parallel_max = o->priority = RUN_UNSET;
        o->duration_ns = o->time_limit_ns = RUN_UNSET;
        o->ports = o->exclusive_cores = RUN_UNSET;
}

/* Those that say how a job is submitted, not what it is. */
static bool goes_with_file(const struct option_row *row)
{
        static const char *const names[] = {"detach", "file", "master", "json"};

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (str_equal(row->name, names[i]))
                        return true;
        return false;
}

int run_options_check_file(const struct run_options *o, int argc, char **argv, struct error *e)
{
        struct run_options defaults;

        run_options_default(&defaults);
        if (argc > 0)
                return error_set(
                        e, -EINVAL, "'%s': a command cannot stand beside --file, which has it", argv[0]);
        for (size_t i = 0; i < RUN_OPTION_COUNT; i++) {
                const struct option_row *row = &run_option_rows[i];
                _cleanup_free_ char *given = option_value_text(row, o),
                                    *unset = option_value_text(row, &defaults);

                if (!goes_with_file(row) && !str_equal(given, unset))
                        return error_set(
                                e, -EINVAL, "--%s cannot stand beside --file: the file says it", row->name);
        }
        return 0;
}
