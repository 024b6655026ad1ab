/* `mete suspend` and `mete resume`: two rows over one function. */
#include "tools/mete/all_verbs.h"
#include "tools/mete/each_word.h"
#include "tools/mete/json.h"
#include "tools/mete/query.h"
#include "tools/mete/text.h"

static const struct option_row rows[] = {OPTION_ROW_MASTER, OPTION_ROW_JSON};

static int suspend_one(struct mete_client *c, const void *options, const char *id, Mete__Api__Response **ret,
        struct error *e)
{
        Mete__Api__Call call = METE__API__CALL__INIT;
        Mete__Api__Call__Suspend suspend = METE__API__CALL__SUSPEND__INIT;

        suspend.id = (char *)id;
        call.type = METE__API__CALL__TYPE__SUSPEND;
        call.suspend = &suspend;
        return mete_client_call(c, &call, 0, ret, e);
}

static int resume_one(struct mete_client *c, const void *options, const char *id, Mete__Api__Response **ret,
        struct error *e)
{
        Mete__Api__Call call = METE__API__CALL__INIT;
        Mete__Api__Call__Resume resume = METE__API__CALL__RESUME__INIT;

        resume.id = (char *)id;
        call.type = METE__API__CALL__TYPE__RESUME;
        call.resume = &resume;
        return mete_client_call(c, &call, 0, ret, e);
}

static void print_suspended(const void *options, const char *id, const Mete__Api__Response *response)
{
        const Mete__Api__Job *job = response->job;

        if (job && job->tasks_running == 0)
                printf("%s: held\n", id);
        else if ((job && job->tasks_suspended == job->tasks_running) ||
                 (response->task && response->task->suspended))
                printf("%s: suspended\n", id);
        else
                printf("%s: suspending\n", id);
}

static void print_resumed(const void *options, const char *id, const Mete__Api__Response *response)
{
        bool frozen = (response->job && response->job->tasks_suspended > 0) ||
                      (response->task && response->task->suspended);

        printf("%s: %s\n", id, frozen ? "goes on when its cores are free" : "goes on");
}

static int run_suspend(void *options, int argc, char **argv, struct error *e)
{
        static const struct each_word suspending = {suspend_one, print_suspended, json_of_task_or_job};

        return each_word(&suspending, options, argc, argv, e);
}

static int run_resume(void *options, int argc, char **argv, struct error *e)
{
        static const struct each_word resuming = {resume_one, print_resumed, json_of_task_or_job};

        return each_word(&resuming, options, argc, argv, e);
}

static const char *const suspend_examples[] = {
        "mete suspend 17",
        "freeze job 17: its tasks keep their memory and use no CPU, those that wait are held",
        NULL,
};

const struct verb verb_suspend = {
        .name = "suspend",
        .parser =
                {
                        .program = "mete suspend",
                        .synopsis = "[options] TASK|JOB...",
                        .summary = "freeze tasks or whole jobs until they are resumed",
                        .rows = rows,
                        .count = ELEMENTSOF(rows),
                },
        .options_size = sizeof(struct common_options),
        .min_arguments = 1,
        .max_arguments = -1,
        .examples = suspend_examples,
        .run = run_suspend,
};

static const char *const resume_examples[] = {
        "mete resume 17.3",
        "let a frozen task go on where it stopped",
        NULL,
};

const struct verb verb_resume = {
        .name = "resume",
        .parser =
                {
                        .program = "mete resume",
                        .synopsis = "[options] TASK|JOB...",
                        .summary = "let suspended tasks and held jobs go on",
                        .rows = rows,
                        .count = ELEMENTSOF(rows),
                },
        .options_size = sizeof(struct common_options),
        .min_arguments = 1,
        .max_arguments = -1,
        .examples = resume_examples,
        .run = run_resume,
};
