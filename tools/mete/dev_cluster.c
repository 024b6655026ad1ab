#include "tools/mete/dev_cluster.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/linux/process.h"
#include "lib/net/codec.h"
#include "tools/mete/dev_process.h"
#include "tools/mete/program.h"
#include "tools/mete/query.h"

#define POLL_NS (20 * NSEC_PER_MSEC)
#define START_TIMEOUT_NS (30 * NSEC_PER_SEC)
#define STOP_AGENT_NS (30 * NSEC_PER_SEC) /* tasks get their grace period first */
#define STOP_MASTER_NS (10 * NSEC_PER_SEC)
#define MEMORY_RESERVE (UINT64_C(1) << 30) /* left to the machine, as the agent does by itself */
#define PORT_FIRST 31000                   /* what one agent offers by itself; they must not offer the same */
#define PORT_LAST 32000

enum dev_state {
        DEV_STARTING_MASTER,
        DEV_STARTING_AGENTS,
        DEV_READY,
        DEV_STOPPING_AGENTS,
        DEV_STOPPING_MASTER,
};

static const int stop_signals[] = {SIGINT, SIGTERM, SIGHUP};

struct dev_cluster {
        const struct dev_options *options;
        struct mete_client *client;
        struct loop *loop;             /* the client's */
        struct dev_process *processes; /* [0] is the master */
        size_t count;
        struct loop_signal *signals[ELEMENTSOF(stop_signals)];
        struct loop_timer *poll;     /* until everything has registered */
        struct loop_timer *deadline; /* of the current state */
        enum dev_state state;
        void (*on_ready)(const struct dev_options *o, const Mete__Api__Response *agents, void *userdata);
        void *userdata;
        struct error *e;
        int result;
};

static struct dev_process *master_of(struct dev_cluster *c)
{
        return &c->processes[0];
}

static size_t agents_alive(const struct dev_cluster *c)
{
        size_t alive = 0;

        for (size_t i = 1; i < c->count; i++)
                alive += c->processes[i].pid > 0;
        return alive;
}

/* ---- stopping ---- */

static void stop_master(struct dev_cluster *c)
{
        c->state = DEV_STOPPING_MASTER;
        if (master_of(c)->pid == 0) {
                loop_stop(c->loop);
                return;
        }
        dev_process_signal(master_of(c), SIGTERM);
        loop_timer_arm(c->deadline, STOP_MASTER_NS, 0);
}

static void stop(struct dev_cluster *c)
{
        if (c->state >= DEV_STOPPING_AGENTS)
                return;
        c->state = DEV_STOPPING_AGENTS;
        loop_timer_disarm(c->poll);
        if (agents_alive(c) == 0) {
                stop_master(c);
                return;
        }
        for (size_t i = 1; i < c->count; i++)
                dev_process_signal(&c->processes[i], SIGTERM);
        loop_timer_arm(c->deadline, STOP_AGENT_NS, 0);
}

/* The first failure is the cause; what follows from it is noise. */
static void fail(struct dev_cluster *c, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void fail(struct dev_cluster *c, int code, const char *fmt, ...)
{
        _cleanup_free_ char *text = NULL;
        va_list ap;

        if (c->result == 0) {
                va_start(ap, fmt);
                text = xvasprintf(fmt, ap);
                va_end(ap);
                c->result = error_set(c->e, code, "%s", text);
        }
        stop(c);
}

/* An agent that did not end in order leaves cgroups and mounts: its own program takes them away. */
static void clean_up_after(struct dev_process *p)
{
        _cleanup_error_ struct error e = {0};

        if (dev_process_run_once(p, "--purge", &e) < 0)
                fprintf(stderr, "mete: %s\n", error_message(&e));
}

static void on_exit_of(struct dev_process *p, const siginfo_t *info, void *userdata)
{
        struct dev_cluster *c = userdata;
        bool in_order = info->si_code == CLD_EXITED && info->si_status == 0;
        char text[WAIT_STATUS_TEXT_MAX];

        if (p != master_of(c) && !in_order)
                clean_up_after(p);
        if (c->state < DEV_STOPPING_AGENTS) {
                _cleanup_free_ char *tail = dev_process_log_tail(p);
                int status = info->si_code == CLD_EXITED ? info->si_status << 8 : info->si_status;

                if (*tail)
                        fprintf(stderr, "%s%s", tail, str_has_suffix(tail, "\n") ? "" : "\n");
                fail(c, -ECHILD, "%s %s%s%s", p->name, wait_status_format(status, text),
                        p->log_path ? ": see " : "", p->log_path ? p->log_path : "");
                return;
        }
        if (c->state == DEV_STOPPING_AGENTS && agents_alive(c) == 0)
                stop_master(c);
        else if (c->state == DEV_STOPPING_MASTER && master_of(c)->pid == 0)
                loop_stop(c->loop);
}

static void on_deadline(struct loop_timer *t, void *userdata)
{
        struct dev_cluster *c = userdata;

        switch (c->state) {
        case DEV_STARTING_MASTER:
                fail(c, -ETIMEDOUT, "the master has not answered in time: see %s/logs", c->options->work_dir);
                break;
        case DEV_STARTING_AGENTS:
                fail(c, -ETIMEDOUT, "the agents have not registered in time: see %s/logs",
                        c->options->work_dir);
                break;
        default:
                for (size_t i = 0; i < c->count; i++)
                        if (c->processes[i].pid > 0 && (i > 0 || c->state == DEV_STOPPING_MASTER)) {
                                fprintf(stderr, "mete: %s does not stop: killing it\n", c->processes[i].name);
                                dev_process_signal(&c->processes[i], SIGKILL);
                        }
        }
}

static void on_stop_signal(struct loop_signal *s, int signo, void *userdata)
{
        stop(userdata);
}

/* ---- starting ---- */

static void on_agents(const Mete__Api__Response *response, const struct error *e, void *userdata)
{
        struct dev_cluster *c = userdata;
        size_t active = 0;

        if (c->state != DEV_STARTING_AGENTS)
                return;
        for (size_t i = 0; response && i < response->n_agents; i++)
                active += response->agents[i]->state == METE__API__AGENT__STATE__AGENT_ACTIVE;
        if (active < c->options->agents) {
                loop_timer_arm(c->poll, POLL_NS, 0);
                return;
        }
        c->state = DEV_READY;
        loop_timer_disarm(c->deadline);
        c->on_ready(c->options, response, c->userdata);
}

static void start_agents(struct dev_cluster *c)
{
        _cleanup_error_ struct error e = {0};

        c->state = DEV_STARTING_AGENTS;
        loop_timer_arm(c->deadline, START_TIMEOUT_NS, 0);
        for (size_t i = 1; i < c->count; i++)
                if (dev_process_start(&c->processes[i], c->loop, &e) < 0) {
                        fail(c, e.code, "%s", error_message(&e));
                        return;
                }
        loop_timer_arm(c->poll, POLL_NS, 0);
}

static void on_version(const Mete__Api__Response *response, const struct error *e, void *userdata)
{
        struct dev_cluster *c = userdata;

        if (c->state != DEV_STARTING_MASTER)
                return;
        if (response)
                start_agents(c);
        else
                loop_timer_arm(c->poll, POLL_NS, 0);
}

static void on_poll(struct loop_timer *t, void *userdata)
{
        struct dev_cluster *c = userdata;
        Mete__Api__Call call = METE__API__CALL__INIT;
        bool master = c->state == DEV_STARTING_MASTER;

        call.type = master ? METE__API__CALL__TYPE__GET_VERSION : METE__API__CALL__TYPE__LIST_AGENTS;
        mete_client_send(c->client, &call, START_TIMEOUT_NS, master ? on_version : on_agents, c);
}

/* Asked beforehand, so that no stranger's master on that port can be taken for ours. */
static int check_port(uint16_t port, struct error *e)
{
        struct sockaddr_in address = {
                .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        _cleanup_fd_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int one = 1;

        if (fd < 0)
                return error_set_errno(e, -errno, "cannot open a socket");
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
                return 0;
        if (errno == EADDRINUSE)
                return error_set(e, -EADDRINUSE,
                        "port %u of 127.0.0.1 is in use (the master takes --port, agents the ones after it): "
                        "choose others "
                        "with --port",
                        port);
        return error_set_errno(e, -errno, "cannot use port %u of 127.0.0.1", port);
}

static int describe_master(struct dev_cluster *c, struct error *e)
{
        const struct dev_options *o = c->options;
        _cleanup_free_ char *program = NULL, *port = xasprintf("%llu", (unsigned long long)o->port);
        _cleanup_free_ char *dir = xasprintf("%s/master", o->work_dir);
        struct dev_process *p = master_of(c);
        int r;

        r = program_find("mete-master", &program, e);
        if (r < 0)
                return r;
        p->name = xstrdup("mete-master");
        p->log_path = o->verbose ? NULL : xasprintf("%s/logs/master.log", o->work_dir);
        const char *argv[] = {program, "--port", port, "--work-dir", dir};
        for (size_t i = 0; i < ELEMENTSOF(argv); i++)
                string_list_add(&p->argv, argv[i]);
        return 0;
}

/* Several agents share the machine evenly; a single one decides for itself. */
static void add_share(struct dev_process *p, uint64_t agents, size_t index)
{
        uint64_t milli_cpus = (uint64_t)machine_cpu_count() * 1000 / agents, bytes = 0;
        uint64_t ports = (PORT_LAST - PORT_FIRST + 1) / agents, first = PORT_FIRST + (index - 1) * ports;
        _cleanup_free_ char *resources = xasprintf(
                "ports:[%llu-%llu]", (unsigned long long)first, (unsigned long long)(first + ports - 1));
        _cleanup_free_ char *cpus = NULL, *mem = NULL;

        if (agents < 2 || machine_memory_bytes(&bytes) < 0)
                return;
        bytes = (bytes > 2 * MEMORY_RESERVE ? bytes - MEMORY_RESERVE : bytes / 2) / agents;
        cpus = xasprintf("%llu.%03u", (unsigned long long)(milli_cpus / 1000), (unsigned)(milli_cpus % 1000));
        mem = xasprintf("%lluM", (unsigned long long)(bytes >> 20));
        string_list_add(&p->argv, "--cpus");
        string_list_add(&p->argv, cpus);
        string_list_add(&p->argv, "--mem");
        string_list_add(&p->argv, mem);
        string_list_add(&p->argv, "--resources");
        string_list_add(&p->argv, resources);
}

static int describe_agent(struct dev_cluster *c, size_t index, struct error *e)
{
        const struct dev_options *o = c->options;
        _cleanup_free_ char *program = NULL, *dir = xasprintf("%s/agent-%zu", o->work_dir, index);
        _cleanup_free_ char *port = xasprintf("%llu", (unsigned long long)(o->port + index));
        struct dev_process *p = &c->processes[index];
        int r;

        r = program_find("mete-agent", &program, e);
        if (r < 0)
                return r;
        p->name = xasprintf("mete-agent on port %s", port);
        p->log_path = o->verbose ? NULL : xasprintf("%s/logs/agent-%zu.log", o->work_dir, index);
        const char *argv[] = {program, "--master", mete_client_master(c->client), "--port", port,
                "--work-dir", dir, "--hide", o->work_dir, "--kill-tasks-on-exit"};
        for (size_t i = 0; i < ELEMENTSOF(argv); i++)
                string_list_add(&p->argv, argv[i]);
        add_share(p, o->agents, index);
        return 0;
}

static int prepare(struct dev_cluster *c, struct error *e)
{
        const struct dev_options *o = c->options;
        _cleanup_free_ char *address = xasprintf("127.0.0.1:%llu", (unsigned long long)o->port);
        int r = 0;

        for (size_t i = 0; r == 0 && i < c->count; i++)
                r = check_port((uint16_t)(o->port + i), e);
        if (r == 0)
                r = mete_client_new(address, &c->client, e);
        if (r < 0)
                return r;
        c->loop = mete_client_loop(c->client);
        for (size_t i = 0; r == 0 && i < c->count; i++) {
                c->processes[i].on_exit = on_exit_of;
                c->processes[i].userdata = c;
                r = i == 0 ? describe_master(c, e) : describe_agent(c, i, e);
        }
        return r;
}

static int start(struct dev_cluster *c, struct error *e)
{
        int r;

        c->poll = loop_timer_new(c->loop, on_poll, c);
        c->deadline = loop_timer_new(c->loop, on_deadline, c);
        for (size_t i = 0; i < ELEMENTSOF(stop_signals); i++)
                c->signals[i] = loop_signal_new(c->loop, stop_signals[i], on_stop_signal, c);
        r = dev_process_start(master_of(c), c->loop, e);
        if (r < 0)
                return r;
        loop_timer_arm(c->deadline, START_TIMEOUT_NS, 0);
        loop_timer_arm(c->poll, POLL_NS, 0);
        return loop_run(c->loop);
}

static void cluster_done(struct dev_cluster *c)
{
        for (size_t i = 0; i < ELEMENTSOF(stop_signals); i++)
                if (c->signals[i])
                        loop_signal_free(c->signals[i]);
        if (c->poll)
                loop_timer_free(c->poll);
        if (c->deadline)
                loop_timer_free(c->deadline);
        for (size_t i = 0; i < c->count; i++)
                dev_process_done(&c->processes[i]);
        free(c->processes);
        mete_client_free(c->client);
}

int dev_cluster_run(const struct dev_options *o,
        void (*on_ready)(const struct dev_options *o, const Mete__Api__Response *agents, void *userdata),
        void *userdata, struct error *e)
{
        struct dev_cluster c = {
                .options = o,
                .processes = xcalloc(o->agents + 1, sizeof(struct dev_process)),
                .count = o->agents + 1,
                .on_ready = on_ready,
                .userdata = userdata,
                .e = e,
        };
        int r;

        r = prepare(&c, e);
        if (r == 0)
                r = start(&c, e);
        if (r == 0)
                r = c.result;
        cluster_done(&c);
        return r;
}
