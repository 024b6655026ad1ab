#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/mete/all_verbs.h"
#include "tools/mete/dev_cluster.h"
#include "tools/mete/dev_lock.h"
#include "tools/mete/text.h"

#define AGENTS_MAX 64
#define WORK_DIR_DEFAULT "/var/lib/mete/dev"

struct dev_verb_options {
        struct common_options common;
        struct dev_options dev;
        bool detach;
        bool stop;
};

#define ROW(name, letter, type, field, value, help, max, group)                                              \
        {                                                                                                    \
                name, letter, type, offsetof(struct dev_verb_options, field), value, help, max, group        \
        }

static const struct option_row rows[] = {
        ROW("work-dir", 0, OPTION_STRING, dev.work_dir, "DIR",
                "state, logs and sandboxes (default: " WORK_DIR_DEFAULT ")", 0, "Cluster"),
        ROW("port", 'p', OPTION_U64, dev.port, "PORT",
                "of the master; agents take the following ones (default: 5050)", 65535, NULL),
        ROW("agents", 0, OPTION_U64, dev.agents, "N", "agents, which share the machine evenly (default: 1)",
                AGENTS_MAX, NULL),
        ROW("detach", 'd', OPTION_BOOL, detach, NULL, "return when it is ready and leave it running", 0,
                "How"),
        ROW("stop", 0, OPTION_BOOL, stop, NULL, "stop the one that runs in the work directory", 0, NULL),
        ROW("verbose", 'v', OPTION_BOOL, dev.verbose, NULL, "log to the terminal instead of DIR/logs", 0,
                NULL),
};

static void defaults(void *options)
{
        struct dev_verb_options *o = options;

        o->dev.port = METE_DEFAULT_PORT;
        o->dev.agents = 1;
}

/* What runs after the fork reports through this pipe: 'R' and a text when ready, 'E' and a sentence when not. */
struct announcement {
        int fd; /* -1: in the foreground */
        bool detached;
};

static void print_usage(
        FILE *f, const struct dev_options *o, const Mete__Api__Response *agents, bool detached)
{
        double cores = 0;
        uint64_t memory = 0;
        char cpu_text[TEXT_MAX], memory_text[TEXT_MAX];

        for (size_t i = 0; i < agents->n_agents; i++) {
                if (agents->agents[i]->state != METE__API__AGENT__STATE__AGENT_ACTIVE)
                        continue;
                cores += agents->agents[i]->cpus_total;
                memory += agents->agents[i]->memory_total_bytes;
        }
        fprintf(f, "Mete is ready: master at 127.0.0.1:%llu, %llu agent%s, %s cores and %s for tasks.\n\n",
                (unsigned long long)o->port, (unsigned long long)o->agents, o->agents == 1 ? "" : "s",
                text_cores(cores, cpu_text), text_size(memory, memory_text));
        if (o->port != METE_DEFAULT_PORT)
                fprintf(f, "  export METE_MASTER=127.0.0.1:%llu\n", (unsigned long long)o->port);
        fputs("  mete run --cpus 0.5 --mem 64M -- sha256sum /usr/bin/env\n"
              "  mete ps -a       tasks, running and ended\n"
              "  mete stats -w    what they use\n\n",
                f);
        if (!o->verbose)
                fprintf(f, "Logs: %s/logs. ", o->work_dir);
        if (detached)
                fprintf(f, "It stops with: mete dev --stop --work-dir %s\n", o->work_dir);
        else
                fputs("Ctrl-C stops everything.\n", f);
        (void)fflush(f);
}

static void on_ready(const struct dev_options *o, const Mete__Api__Response *agents, void *userdata)
{
        struct announcement *a = userdata;
        FILE *f;

        if (a->fd < 0) {
                print_usage(stdout, o, agents, a->detached);
                return;
        }
        f = fdopen(TAKE_FD(a->fd), "w");
        if (!f)
                return;
        fputc('R', f);
        print_usage(f, o, agents, a->detached);
        (void)fclose(f);
}

/* Absolute, for the daemons run elsewhere and the name is printed. */
static int settle_work_dir(struct dev_verb_options *o, bool create, struct error *e)
{
        _cleanup_free_ char *given = o->dev.work_dir ? TAKE_PTR(o->dev.work_dir) : xstrdup(WORK_DIR_DEFAULT);
        _cleanup_free_ char *logs = xasprintf("%s/logs", given);
        int r;

        r = create ? mkdir_parents_at(AT_FDCWD, logs, 0755) : 0;
        if (r < 0)
                return error_set_errno(e, r, "--work-dir: cannot create %s", logs);
        o->dev.work_dir = realpath(given, NULL);
        if (!o->dev.work_dir && !create)
                return error_set(e, -ESRCH, "no `mete dev` runs in %s", given);
        if (!o->dev.work_dir)
                return error_set_errno(e, -errno, "--work-dir: cannot use %s", given);
        return 0;
}

static int run_cluster(const struct dev_verb_options *o, struct announcement *a, struct error *e)
{
        int lock_fd = -1, r;

        r = dev_lock_take(o->dev.work_dir, (uint16_t)o->dev.port, &lock_fd, e);
        if (r < 0)
                return r;
        r = dev_cluster_run(&o->dev, on_ready, a, e);
        dev_lock_release(o->dev.work_dir, lock_fd);
        return r;
}

/* Output goes to logs/dev.log from here on; the terminal is no longer ours. */
static void leave_terminal(const struct dev_verb_options *o)
{
        _cleanup_free_ char *path = xasprintf("%s/logs/dev.log", o->dev.work_dir);
        _cleanup_fd_ int log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644);
        _cleanup_fd_ int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

        (void)setsid();
        if (chdir("/") < 0)
                (void)fprintf(stderr, "mete: cannot leave the working directory\n");
        (void)dup2(null_fd, STDIN_FILENO);
        (void)dup2(log_fd >= 0 ? log_fd : null_fd, STDOUT_FILENO);
        (void)dup2(log_fd >= 0 ? log_fd : null_fd, STDERR_FILENO);
}

static void __attribute__((noreturn)) run_detached_child(const struct dev_verb_options *o, int fd)
{
        struct announcement a = {.fd = fd, .detached = true};
        struct error e = {0};
        int r;

        leave_terminal(o);
        r = run_cluster(o, &a, &e);
        if (r < 0) {
                fprintf(stderr, "mete: %s\n", error_message(&e));
                if (a.fd >= 0)
                        (void)dprintf(a.fd, "E%s", error_message(&e));
        }
        _exit(r < 0 ? VERB_EXIT_FAILED : VERB_EXIT_OK);
}

static int run_detached(const struct dev_verb_options *o, struct error *e)
{
        _cleanup_free_ char *text = NULL;
        _cleanup_fd_ int fd = -1;
        int fds[2], r;
        size_t len = 0;
        pid_t pid;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return error_set_errno(e, -errno, "cannot create a pipe");
        pid = fork();
        if (pid < 0) {
                close_fd(fds[0]);
                close_fd(fds[1]);
                return error_set_errno(e, -errno, "cannot go to the background");
        }
        if (pid == 0) {
                close_fd(fds[0]);
                run_detached_child(o, fds[1]);
        }
        close_fd(fds[1]);
        fd = fds[0];
        r = read_all_fd(fd, /* max= */ 65536, &text, &len);
        if (r < 0)
                return error_set_errno(e, r, "cannot hear from the background process");
        if (len > 0 && text[0] == 'R') {
                fputs(text + 1, stdout);
                return VERB_EXIT_OK;
        }
        return error_set(e, -ECHILD, "%s",
                len > 0 ? text + 1 : "the background process died: see its log in the work directory");
}

static int run(void *options, int argc, char **argv, struct error *e)
{
        struct dev_verb_options *o = options;
        struct announcement a = {.fd = -1};
        int r;

        if (o->dev.agents == 0 || o->dev.port == 0 || o->dev.port + o->dev.agents > 65535) {
                error_set(e, -EINVAL,
                        "--port and --agents: expected 1 to %d agents and ports from 1 to 65535", AGENTS_MAX);
                return VERB_USAGE;
        }
        if (geteuid() != 0)
                return error_set(e, -EPERM,
                        "an agent makes cgroups, namespaces and mounts, which root alone may: run `sudo mete "
                        "dev`");
        r = settle_work_dir(o, /* create= */ !o->stop, e);
        if (r < 0)
                return r;
        if (o->stop) {
                r = dev_lock_stop_owner(o->dev.work_dir, e);
                if (r == 0)
                        printf("Stopped: the tasks and everything that was made for them are gone.\n");
                return r;
        }
        if (o->detach)
                return run_detached(o, e);
        r = run_cluster(o, &a, e);
        if (r == 0)
                printf("Stopped: the tasks and everything that was made for them are gone.\n");
        return r;
}

static const char *const examples[] = {
        "sudo mete dev",
        "master and agent on this machine until Ctrl-C",
        "sudo mete dev --detach --port 7000 --agents 2 --work-dir /srv/mete",
        "two agents, in the background",
        "sudo mete dev --stop --work-dir /srv/mete",
        "stop those",
        NULL,
};

const struct verb verb_dev = {
        .name = "dev",
        .group = "This machine",
        .parser =
                {
                        .program = "mete dev",
                        .synopsis = "[options]",
                        .summary = "start a master and agents on this machine",
                        .details = "Everything listens on loopback only. State in the work directory "
                                   "outlives a stop: jobs and their history\n"
                                   "are there again at the next start.\n",
                        .rows = rows,
                        .count = ELEMENTSOF(rows),
                },
        .options_size = sizeof(struct dev_verb_options),
        .defaults = defaults,
        .examples = examples,
        .run = run,
};
