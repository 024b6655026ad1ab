#include "lib/linux/process.h"
#include "tools/mete/all_verbs.h"
#include "tools/mete/each_word.h"
#include "tools/mete/json.h"
#include "tools/mete/query.h"
#include "tools/mete/text.h"

struct kill_options {
        struct common_options common;
        char *signal;
        uint64_t grace_ns;
};

static const struct option_row rows[] = {
        {"signal", 's', OPTION_STRING, offsetof(struct kill_options, signal), "SIGNAL",
                "send only this signal and leave the rest to the task: HUP, USR1, 15", 0, "How"},
        {"grace", 'g', OPTION_DURATION, offsetof(struct kill_options, grace_ns), "DURATION",
                "time between SIGTERM and SIGKILL (default: 3s)", 86400 * NSEC_PER_SEC, NULL},
        OPTION_ROW_MASTER,
        OPTION_ROW_JSON,
};

static void defaults(void *options)
{
        ((struct kill_options *)options)->grace_ns = UINT64_MAX;
}

/* 0: none was asked for. */
static int signal_of(const struct kill_options *o)
{
        return o->signal ? signal_from_string(o->signal) : 0;
}

static int kill_one(struct mete_client *c, const void *options, const char *id, Mete__Api__Response **ret,
        struct error *e)
{
        const struct kill_options *o = options;
        Mete__Api__Call call = METE__API__CALL__INIT;
        Mete__Api__Call__Kill kill = METE__API__CALL__KILL__INIT;

        kill.id = (char *)id;
        if (o->signal) {
                kill.has_signal = kill.has_only_signal = true;
                kill.signal = signal_of(o);
                kill.only_signal = true;
        }
        if (o->grace_ns != UINT64_MAX) {
                kill.has_grace_seconds = true;
                kill.grace_seconds = (double)o->grace_ns / (double)NSEC_PER_SEC;
        }
        call.type = METE__API__CALL__TYPE__KILL;
        call.kill = &kill;
        return mete_client_call(c, &call, 0, ret, e);
}

static void print_one(const void *options, const char *id, const Mete__Api__Response *response)
{
        const struct kill_options *o = options;

        if (o->signal)
                printf("%s: sent %s\n", id, signal_name(signal_of(o)));
        else if (response->task)
                printf("%s: %s\n", id,
                        task_is_over(response->task) ? text_task_state(response->task->state) : "killing");
        else if (response->job && response->job->state > METE__API__JOB_STATE__JOB_RUNNING)
                printf("%s: %s\n", id, text_job_state(response->job->state));
        else
                printf("%s: killing\n", id);
}

static int run(void *options, int argc, char **argv, struct error *e)
{
        static const struct each_word killing = {kill_one, print_one, json_of_task_or_job};
        const struct kill_options *o = options;

        if (o->signal && signal_of(o) <= 0) {
                error_set(e, -EINVAL, "--signal '%s': expected a name such as TERM or HUP, or a number",
                        o->signal);
                return VERB_USAGE;
        }
        return each_word(&killing, o, argc, argv, e);
}

static const char *const examples[] = {
        "mete kill 17",
        "end job 17: SIGTERM to its tasks, SIGKILL after 3 s",
        "mete kill --signal HUP 17.0",
        "send SIGHUP to task 17.0 and nothing after it",
        NULL,
};

const struct verb verb_kill = {
        .name = "kill",
        .parser =
                {
                        .program = "mete kill",
                        .synopsis = "[options] TASK|JOB...",
                        .summary = "end tasks or whole jobs, or send them a signal",
                        .rows = rows,
                        .count = ELEMENTSOF(rows),
                },
        .options_size = sizeof(struct kill_options),
        .defaults = defaults,
        .min_arguments = 1,
        .max_arguments = -1,
        .examples = examples,
        .run = run,
};
