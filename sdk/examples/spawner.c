/*
 * A scheduler that launches its own executor, worker.c, and sends it work as messages:
 *
 *     spawner [-m MASTERS] [-n WORKERS] /path/of/worker COMMAND-LINE...
 *
 * It starts the workers, each on another agent while there are any, and each command line on every worker; prints what they say; and ends
 * the framework. The path is one on the agents; with "-u URI" they fetch the worker from there first.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mete.h>

#define WORKERS_MAX 64
#define CPUS 0.1
#define MEMORY_MIB 32
#define ATTEMPTS_MAX 3

struct worker {
        char id[64];     /* of its task and of its executor; "" before it was launched */
        char agent[256]; /* id */
        char *answered;  /* for each line: is the answer here? */
        unsigned attempts;
        bool running;
};

struct spawner {
        struct worker workers[WORKERS_MAX];
        int n_workers, n_lines, missing; /* answers */
        char **lines;
        const char *program, *uri;
        int result;
};

static struct worker *find(struct spawner *p, const char *id)
{
        for (int i = 0; i < p->n_workers; i++)
                if (*id && strcmp(p->workers[i].id, id) == 0)
                        return &p->workers[i];
        return NULL;
}

static bool used(const struct spawner *p, const char *agent)
{
        for (int i = 0; i < p->n_workers; i++)
                if (*p->workers[i].id && strcmp(p->workers[i].agent, agent) == 0)
                        return true;
        return false;
}

static void launch(
        struct mete_scheduler *s, struct spawner *p, struct worker *w, const Mete__V1__Offer *offer)
{
        const char *const argv[] = {p->program, NULL};
        Mete__V1__CommandInfo *command = mete_command_argv(argv);
        Mete__V1__ExecutorInfo *executor;
        Mete__V1__TaskInfo *task;

        if (p->uri)
                mete_command_add_uri(command, p->uri, /* executable= */ true);
        snprintf(w->id, sizeof(w->id), "worker-%d-%u", (int)(w - p->workers), w->attempts++);
        snprintf(w->agent, sizeof(w->agent), "%s", offer->agent_id->value);
        executor = mete_executor_info_new(w->id, command);
        mete_executor_info_add_scalar(executor, "cpus", CPUS);
        mete_executor_info_add_scalar(executor, "mem", MEMORY_MIB);
        task = mete_task_new(w->id, NULL, w->agent);
        mete_task_set_executor(task, executor);
        mete_task_add_scalar(task, "cpus", CPUS);
        mete_task_add_scalar(task, "mem", MEMORY_MIB);
        (void)mete_scheduler_launch(s, (Mete__V1__OfferID *const *)&offer->id, 1, &task, 1, 1);
        mete_message_free(task);
}

static void on_offers(struct mete_scheduler *s, Mete__V1__Offer *const *offers, size_t n, void *userdata)
{
        struct spawner *p = userdata;

        for (size_t i = 0; i < n; i++) {
                struct worker *w = NULL;

                for (int k = 0; k < p->n_workers && !w; k++)
                        if (!*p->workers[k].id)
                                w = &p->workers[k];
                if (w && !used(p, offers[i]->agent_id->value) &&
                        mete_offer_scalar(offers[i], "cpus") >= 2 * CPUS &&
                        mete_offer_scalar(offers[i], "mem") >= 2 * MEMORY_MIB)
                        launch(s, p, w, offers[i]);
                else
                        (void)mete_scheduler_decline(s, &offers[i]->id, 1, /* refuse_seconds= */ 1);
        }
}

/* What has no answer yet. Messages may be lost, so after a lost connection this is called again. */
static void send_work(struct mete_scheduler *s, struct spawner *p, const struct worker *w)
{
        for (int i = 0; i < p->n_lines; i++) {
                char *text = NULL;
                int n = w->answered[i] ? -1 : asprintf(&text, "%d %s", i, p->lines[i]);

                if (n > 0)
                        (void)mete_scheduler_message(s, w->agent, w->id, text, (size_t)n);
                free(text);
        }
}

static void on_update(struct mete_scheduler *s, const Mete__V1__TaskStatus *status, void *userdata)
{
        struct spawner *p = userdata;
        struct worker *w = find(p, status->task_id->value);

        if (!w)
                return;
        fprintf(stderr, "%s: %s %s %s\n", w->id, mete_task_state_name(status->state),
                mete_task_reason_name(status), status->message ? status->message : "");
        if (status->state == METE__V1__TASK_STATE__TASK_RUNNING && !w->running) {
                w->running = true;
                send_work(s, p, w);
        } else if (mete_task_state_is_terminal(status->state) && w->attempts < ATTEMPTS_MAX) {
                w->running = false;
                w->id[0] = '\0'; /* the next offer gets it */
                (void)mete_scheduler_revive(s, NULL, 0);
        } else if (mete_task_state_is_terminal(status->state)) {
                p->result = 1;
                (void)mete_scheduler_teardown(s);
        }
}

static void on_message(struct mete_scheduler *s, const Mete__V1__AgentID *agent,
        const Mete__V1__ExecutorID *executor, const void *data, size_t len, void *userdata)
{
        struct spawner *p = userdata;
        struct worker *w = find(p, executor->value);
        char *text = strndup(data, len);
        int line, status, at = 0;

        if (w && sscanf(text, "%d %d %n", &line, &status, &at) == 2 && line >= 0 && line < p->n_lines &&
                !w->answered[line]) {
                w->answered[line] = true;
                printf("== worker %d on %s: %s (status %d)\n%s", (int)(w - p->workers), agent->value,
                        p->lines[line], status, text + at);
                if (status != 0)
                        p->result = 1;
                if (--p->missing == 0)
                        (void)mete_scheduler_teardown(s); /* ends the workers too */
        }
        free(text);
}

static void on_reregistered(struct mete_scheduler *s, const Mete__V1__MasterInfo *master, void *userdata)
{
        struct spawner *p = userdata;

        (void)mete_scheduler_reconcile(s, NULL, NULL, 0);
        for (int i = 0; i < p->n_workers; i++)
                if (p->workers[i].running)
                        send_work(s, p, &p->workers[i]);
}

static int run(struct spawner *p, const char *masters)
{
        struct mete_scheduler_options options = METE_SCHEDULER_OPTIONS_INIT;
        Mete__V1__FrameworkInfo *framework = mete_framework_new("spawner", NULL);
        struct mete_scheduler *s = NULL;
        struct mete_error error = {0};
        int r;

        options.master = masters;
        options.framework = framework;
        options.userdata = p;
        options.callbacks.offers = on_offers;
        options.callbacks.update = on_update;
        options.callbacks.message = on_message;
        options.callbacks.reregistered = on_reregistered;
        r = mete_scheduler_new(&options, &s, &error);
        if (r == 0)
                r = mete_scheduler_run(s, &error);
        if (r < 0)
                fprintf(stderr, "spawner: %s\n", error.message);
        mete_scheduler_free(s);
        mete_message_free(framework);
        return r < 0 ? 1 : p->result;
}

int main(int argc, char **argv)
{
        struct spawner p = {.n_workers = 1};
        const char *masters = NULL;
        int option, r;

        while ((option = getopt(argc, argv, "m:n:u:")) != -1) {
                if (option == 'm')
                        masters = optarg;
                else if (option == 'n')
                        p.n_workers = atoi(optarg);
                else if (option == 'u')
                        p.uri = optarg;
        }
        if (argc - optind < 2 || p.n_workers < 1 || p.n_workers > WORKERS_MAX) {
                fprintf(stderr, "usage: spawner [-m MASTERS] [-n WORKERS] [-u URI] WORKER LINE...\n");
                return 2;
        }
        p.program = argv[optind];
        p.lines = argv + optind + 1;
        p.n_lines = argc - optind - 1;
        p.missing = p.n_workers * p.n_lines;
        for (int i = 0; i < p.n_workers; i++)
                p.workers[i].answered = calloc((size_t)p.n_lines, 1);
        r = run(&p, masters);
        for (int i = 0; i < p.n_workers; i++)
                free(p.workers[i].answered);
        return r;
}
