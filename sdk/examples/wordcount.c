/*
 * A batch: runs a command over every input file, in parallel across the agents, and adds up the numbers that it prints.
 *
 *     wordcount [-m MASTERS] [-c COMMAND] FILE...            (the command is "wc -w" when none is given)
 *
 * The same program is the executor: on each agent one process runs that agent's share, a thread a file, and returns what the command
 * printed in the status of the task, which is told again until it has arrived. A task that is lost, or fails, is tried elsewhere. The
 * files and this program have to be at the same paths on every agent.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mete.h>

#define TASK_CPUS 0.5
#define TASK_MIB 32
#define EXECUTOR_CPUS 0.1
#define EXECUTOR_MIB 32
#define TASKS_PER_OFFER_MAX 64
#define ATTEMPTS_MAX 4

/* ---- the executor ---- */

struct work {
        struct mete_executor *executor;
        char *id, *line;
};

static void *work(void *userdata)
{
        struct work *w = userdata;
        Mete__V1__TaskID id = METE__V1__TASK_ID__INIT;
        Mete__V1__TaskStatus status = METE__V1__TASK_STATUS__INIT;
        char output[1024];
        FILE *p = popen(w->line, "re");

        id.value = w->id;
        status.task_id = &id;
        status.has_data = true;
        status.data.data = (uint8_t *)output;
        status.data.len = p ? fread(output, 1, sizeof(output), p) : 0;
        status.state =
                p && pclose(p) == 0 ? METE__V1__TASK_STATE__TASK_FINISHED : METE__V1__TASK_STATE__TASK_FAILED;
        (void)mete_executor_update(w->executor, &status);
        free(w->id);
        free(w->line);
        free(w);
        return NULL;
}

static void on_launch(struct mete_executor *x, const Mete__V1__TaskInfo *task, void *userdata)
{
        struct work *w = malloc(sizeof(*w));
        pthread_t thread;

        w->executor = x;
        w->id = strdup(task->task_id->value);
        w->line = strndup((const char *)task->data.data, task->data.len);
        (void)mete_executor_report(x, w->id, METE__V1__TASK_STATE__TASK_RUNNING, NULL);
        if (pthread_create(&thread, NULL, work, w) == 0)
                pthread_detach(thread);
}

static int run_executor(void)
{
        struct mete_executor_options options = METE_EXECUTOR_OPTIONS_INIT;
        struct mete_executor *x = NULL;
        struct mete_error error = {0};
        int r;

        options.callbacks.launch = on_launch;
        r = mete_executor_new(&options, &x, &error);
        if (r == 0)
                r = mete_executor_run(x, &error);
        if (r < 0)
                fprintf(stderr, "wordcount: %s\n", error.message);
        return r < 0;
}

/* ---- the scheduler ---- */

struct input {
        char *path;      /* owned */
        char id[32];     /* of the task that is at it; "" when it waits */
        char avoid[128]; /* id of the agent on which it failed last */
        unsigned attempts;
        bool done;
};

struct batch {
        struct input *inputs;
        size_t n_inputs, n_left;
        const char *command;
        char program[PATH_MAX];
        char agent[128]; /* one that made an offer */
        bool several;    /* another one did, too */
        double sum;
        int result;
};

static Mete__V1__TaskInfo *make_task(struct batch *b, struct input *in, const char *agent)
{
        const char *const argv[] = {b->program, "--executor", NULL};
        Mete__V1__ExecutorInfo *executor = mete_executor_info_new("wordcount", mete_command_argv(argv));
        Mete__V1__TaskInfo *task;
        char *line = NULL;
        int n = asprintf(&line, "%s '%s'", b->command, in->path);

        snprintf(in->id, sizeof(in->id), "file-%zu-%u", (size_t)(in - b->inputs), in->attempts++);
        mete_executor_info_add_scalar(executor, "cpus", EXECUTOR_CPUS);
        mete_executor_info_add_scalar(executor, "mem", EXECUTOR_MIB);
        task = mete_task_new(in->id, in->path, agent);
        mete_task_set_executor(task, executor);
        mete_task_set_data(task, line, n > 0 ? (size_t)n : 0);
        mete_task_add_scalar(task, "cpus", TASK_CPUS);
        mete_task_add_scalar(task, "mem", TASK_MIB);
        free(line);
        return task;
}

/* As many tasks as fit into an offer beside the executor; what is left over is declined with it. */
static void use_offer(struct mete_scheduler *s, struct batch *b, const Mete__V1__Offer *offer)
{
        double cpus = mete_offer_scalar(offer, "cpus") - EXECUTOR_CPUS;
        double mem = mete_offer_scalar(offer, "mem") - EXECUTOR_MIB;
        Mete__V1__TaskInfo *tasks[TASKS_PER_OFFER_MAX];
        const char *agent = offer->agent_id->value;
        size_t n = 0;

        b->several |= *b->agent && strcmp(b->agent, agent) != 0;
        snprintf(b->agent, sizeof(b->agent), "%s", agent);
        for (size_t i = 0; i < b->n_inputs && n < TASKS_PER_OFFER_MAX; i++) {
                struct input *in = &b->inputs[i];

                if (in->done || *in->id || cpus < TASK_CPUS || mem < TASK_MIB ||
                        (b->several && strcmp(in->avoid, agent) == 0))
                        continue;
                tasks[n++] = make_task(b, in, agent);
                cpus -= TASK_CPUS;
                mem -= TASK_MIB;
        }
        (void)mete_scheduler_launch(s, (Mete__V1__OfferID *const *)&offer->id, 1, tasks, n, 0.2);
        for (size_t i = 0; i < n; i++)
                mete_message_free(tasks[i]);
}

static void on_offers(struct mete_scheduler *s, Mete__V1__Offer *const *offers, size_t n, void *userdata)
{
        for (size_t i = 0; i < n; i++)
                use_offer(s, userdata, offers[i]);
}

static void finished(struct batch *b, struct input *in, const Mete__V1__TaskStatus *status)
{
        char text[64];

        snprintf(text, sizeof(text), "%.*s", (int)status->data.len, (const char *)status->data.data);
        b->sum += strtod(text, NULL);
        printf("%.0f\t%s\t%s\n", strtod(text, NULL), in->path,
                status->agent_id ? status->agent_id->value : "");
}

static void on_update(struct mete_scheduler *s, const Mete__V1__TaskStatus *status, void *userdata)
{
        struct batch *b = userdata;
        struct input *in = NULL;

        for (size_t i = 0; i < b->n_inputs && !in; i++)
                if (strcmp(b->inputs[i].id, status->task_id->value) == 0)
                        in = &b->inputs[i];
        /* An earlier attempt, or one that was told again. */
        if (!in || in->done || !mete_task_state_is_terminal(status->state))
                return;
        in->done = status->state == METE__V1__TASK_STATE__TASK_FINISHED;
        if (in->done)
                finished(b, in, status);
        else
                fprintf(stderr, "%s: %s %s %s\n", in->path, mete_task_state_name(status->state),
                        mete_task_reason_name(status), status->message ? status->message : "");
        in->id[0] = '\0';
        snprintf(in->avoid, sizeof(in->avoid), "%s", status->agent_id ? status->agent_id->value : "");
        if (!in->done && in->attempts == ATTEMPTS_MAX) {
                in->done = true;
                b->result = 1;
        }
        if (!in->done)
                (void)mete_scheduler_revive(s, NULL, 0);
        else if (--b->n_left == 0)
                (void)mete_scheduler_teardown(s);
}

static void on_reregistered(struct mete_scheduler *s, const Mete__V1__MasterInfo *master, void *userdata)
{
        struct batch *b = userdata;

        for (size_t i = 0; i < b->n_inputs; i++) {
                const char *id = b->inputs[i].id;

                if (*id)
                        (void)mete_scheduler_reconcile(s, &id, NULL, 1);
        }
}

static int run_scheduler(struct batch *b, const char *masters)
{
        struct mete_scheduler_options options = METE_SCHEDULER_OPTIONS_INIT;
        Mete__V1__FrameworkInfo *framework = mete_framework_new("wordcount", NULL);
        struct mete_scheduler *s = NULL;
        struct mete_error error = {0};
        int r;

        framework->has_failover_timeout = framework->has_checkpoint = framework->checkpoint = true;
        framework->failover_timeout = 60;
        options.master = masters;
        options.framework = framework;
        options.userdata = b;
        options.callbacks.offers = on_offers;
        options.callbacks.update = on_update;
        options.callbacks.reregistered = on_reregistered;
        r = mete_scheduler_new(&options, &s, &error);
        if (r == 0)
                r = mete_scheduler_run(s, &error);
        if (r < 0)
                fprintf(stderr, "wordcount: %s\n", error.message);
        mete_scheduler_free(s);
        mete_message_free(framework);
        if (r == 0)
                printf("%.0f\ttotal\n", b->sum);
        return r < 0 ? 1 : b->result;
}

int main(int argc, char **argv)
{
        struct batch b = {.command = "wc -w <"};
        const char *masters = NULL;
        int option, r;

        if (argc == 2 && strcmp(argv[1], "--executor") == 0)
                return run_executor();
        while ((option = getopt(argc, argv, "m:c:")) != -1) {
                if (option == 'm')
                        masters = optarg;
                else if (option == 'c')
                        b.command = optarg;
        }
        if (optind == argc || readlink("/proc/self/exe", b.program, sizeof(b.program) - 1) < 0) {
                fprintf(stderr, "usage: wordcount [-m MASTERS] [-c COMMAND] FILE...\n");
                return 2;
        }
        b.n_inputs = b.n_left = (size_t)(argc - optind);
        b.inputs = calloc(b.n_inputs, sizeof(*b.inputs));
        for (size_t i = 0; i < b.n_inputs; i++) {
                b.inputs[i].path = realpath(argv[optind + (int)i], NULL);
                if (!b.inputs[i].path || strchr(b.inputs[i].path, '\'')) {
                        fprintf(stderr, "wordcount: cannot use %s\n", argv[optind + (int)i]);
                        return 2;
                }
        }
        r = run_scheduler(&b, masters);
        for (size_t i = 0; i < b.n_inputs; i++)
                free(b.inputs[i].path);
        free(b.inputs);
        return r;
}
