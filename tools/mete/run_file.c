#include "tools/mete/run_file.h"

#include <stdlib.h>

#include "lib/net/codec.h"
#include "tools/mete/json.h"
#include "tools/mete/query.h"
#include "tools/mete/run_attached.h"
#include "tools/mete/text.h"

#define WAIT_SECONDS 20

Mete__Api__JobSpec *run_file_spec(const struct job_file *f, size_t i, char *const *ids)
{
        Mete__Api__JobSpec *spec = message_copy(f->file->jobs[i]);
        size_t kept = 0;

        for (size_t j = 0; j < spec->n_after; j++) {
                Mete__Api__JobSpec__Dependency *d = spec->after[j];
                size_t before;

                if (job_file_find(f, d->job, &before) == 0) {
                        if (!ids) {
                                message_free(d);
                                continue;
                        }
                        free(d->job);
                        d->job = xstrdup(ids[before]);
                }
                spec->after[kept++] = d;
        }
        spec->n_after = kept;
        return spec;
}

static int submit(struct mete_client *c, Mete__Api__JobSpec *spec, Mete__Api__Response **ret, struct error *e)
{
        Mete__Api__Call call = METE__API__CALL__INIT;
        Mete__Api__Call__Submit submission = METE__API__CALL__SUBMIT__INIT;
        int r;

        submission.job = spec;
        call.type = METE__API__CALL__TYPE__SUBMIT;
        call.submit = &submission;
        r = mete_client_call(c, &call, 0, ret, e);
        if (r == 0 && !(*ret)->job) {
                message_free(*ret);
                *ret = NULL;
                r = error_set(e, -EPROTO, "the master at %s answered without the job", mete_client_master(c));
        }
        return r;
}

/* A refusal in the middle would leave half of the jobs behind: the master is asked about each before the first is submitted. */
static int ask_all(struct mete_client *c, struct job_file *f, struct error *e)
{
        for (size_t i = 0; i < f->file->n_jobs && f->file->n_jobs > 1; i++) {
                _cleanup_error_ struct error why = {0};
                Mete__Api__JobSpec *spec = run_file_spec(f, i, NULL);
                Mete__Api__Response *response = NULL;
                int r = query_plan(c, spec, &response, &why);

                message_free(spec);
                message_free(response);
                if (r == -EINVAL || r == -EACCES || r == -ENOENT || r == -EALREADY)
                        job_file_add_refusal(f, i, error_message(&why));
                else if (r < 0)
                        return error_set(e, r, "%s", error_message(&why));
        }
        if (f->problem_count == 0)
                return 0;
        job_file_print_problems(f, stderr);
        return error_set(e, -EINVAL, "%s: nothing was submitted", f->name);
}

static void print_submitted(const struct job_file *f, const Mete__Api__Response *response, bool json)
{
        text_warn(response->warnings, response->n_warnings);
        if (response->n_warnings == 0)
                text_warn(response->job->warnings, response->job->n_warnings);
        if (!json)
                printf("%s%s%s\n", response->job->job_id, f->file->n_jobs > 1 ? "  " : "",
                        f->file->n_jobs > 1 ? response->job->spec->name : "");
}

static int submit_all(struct mete_client *c, struct job_file *f, bool json, char **ids, struct error *e)
{
        json_t *answers = json_array();
        int r = 0;

        for (size_t n = 0; r == 0 && n < f->file->n_jobs; n++) {
                size_t i = f->order[n];
                Mete__Api__JobSpec *spec = run_file_spec(f, i, ids);
                Mete__Api__Response *response = NULL;

                r = submit(c, spec, &response, e);
                if (r == 0) {
                        ids[i] = xstrdup(response->job->job_id);
                        print_submitted(f, response, json);
                        json_array_append_new(answers, json_of_message(&response->job->base));
                } else {
                        (void)error_prefix(e, "%s: job \"%s\"%s", f->name, f->names[i],
                                n > 0 ? " (those printed before were submitted)" : "");
                }
                message_free(spec);
                message_free(response);
        }
        if (json)
                json_print(answers, /* compact= */ false, stdout);
        else
                json_decref(answers);
        (void)fflush(stdout);
        return r;
}

/* Until the job has ended; 0 or 1 as it ended, or an error. */
static int wait_for(struct mete_client *c, const char *id, struct error *e)
{
        Mete__Api__Call call = METE__API__CALL__INIT;
        Mete__Api__Call__Wait wait = METE__API__CALL__WAIT__INIT;

        wait.job_id = (char *)id;
        wait.has_timeout_seconds = true;
        wait.timeout_seconds = WAIT_SECONDS;
        call.type = METE__API__CALL__TYPE__WAIT;
        call.wait = &wait;
        for (;;) {
                Mete__Api__Response *response = NULL;
                int r = mete_client_call(c, &call, (WAIT_SECONDS + 30) * NSEC_PER_SEC, &response, e);
                bool over =
                        r == 0 && response->job && response->job->state > METE__API__JOB_STATE__JOB_RUNNING;
                bool well = over && response->job->state == METE__API__JOB_STATE__JOB_FINISHED;

                if (over)
                        printf("%s  %s  %s\n", id, response->job->spec->name,
                                text_job_state(response->job->state));
                message_free(response);
                (void)fflush(stdout);
                if (r < 0)
                        return error_prefix(e, "job %s and those after it go on", id);
                if (over)
                        return well ? VERB_EXIT_OK : VERB_EXIT_FAILED;
        }
}

static int run_several(
        struct mete_client *c, const struct run_options *o, struct job_file *f, struct error *e)
{
        char **ids = xcalloc(f->file->n_jobs, sizeof(*ids));
        int r = ask_all(c, f, e), code = VERB_EXIT_OK;

        if (r == 0)
                r = submit_all(c, f, o->common.json, ids, e);
        for (size_t n = 0; r == 0 && !o->detach && n < f->file->n_jobs; n++) {
                int ended = wait_for(c, ids[f->order[n]], e);

                if (ended < 0)
                        r = ended;
                else
                        code = MAX(code, ended);
        }
        for (size_t i = 0; i < f->file->n_jobs; i++)
                free(ids[i]);
        free(ids);
        return r < 0 ? r : code;
}

int run_file(const struct run_options *o, struct job_file *f, struct error *e)
{
        CLEANUP(cleanup_mete_client_free) struct mete_client *c = NULL;
        int r = query_client(&o->common, &c, e);

        if (r < 0)
                return r;
        if (f->file->n_jobs > 1 || o->detach)
                return run_several(c, o, f, e);
        r = run_attached(c, f->file->jobs[0], e);
        if (r == -EINVAL) {
                job_file_add_refusal(f, 0, error_message(e));
                job_file_print_problems(f, stderr);
                error_done(e);
        }
        return r;
}

int run_command_or_file(const struct run_options *o, int argc, char **argv,
        int (*command)(const struct run_options *o, int argc, char **argv, struct error *e),
        int (*file)(const struct run_options *o, struct job_file *f, struct error *e), struct error *e)
{
        CLEANUP(job_file_done) struct job_file f = {0};
        int r;

        if (!o->file && argc == 0) {
                error_set(e, -EINVAL, "what is to be given is missing: a COMMAND, or --file FILE");
                return VERB_USAGE;
        }
        if (!o->file)
                return command(o, argc, argv, e);
        if (run_options_check_file(o, argc, argv, e) < 0)
                return VERB_USAGE;
        r = job_file_read(o->file, &f, e);
        if (r < 0)
                return r;
        if (f.problem_count == 0)
                return file(o, &f, e);
        job_file_print_problems(&f, stderr);
        return VERB_EXIT_FAILED;
}
