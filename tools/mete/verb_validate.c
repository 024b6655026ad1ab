#include "lib/net/codec.h"
#include "tools/mete/all_verbs.h"
#include "tools/mete/job_schema.h"
#include "tools/mete/json.h"
#include "tools/mete/query.h"
#include "tools/mete/run_file.h"
#include "tools/mete/text.h"

struct validate_options {
        struct common_options common;
        bool schema;
};

static const struct option_row rows[] = {
        {"schema", 0, OPTION_BOOL, offsetof(struct validate_options, schema), NULL,
                "print the JSON schema of job files instead", 0, "What"},
        {"master", 0, OPTION_STRING, offsetof(struct common_options, master), "HOST:PORT",
                "also ask this master whether it would take the jobs (default: nobody is asked)", 0,
                "General"},
        OPTION_ROW_JSON,
};

/* A warning is no problem: the master takes such a job, and tells. */
static int ask_master(struct mete_client *c, struct job_file *f, json_t *warnings, bool json, struct error *e)
{
        for (size_t i = 0; i < f->file->n_jobs; i++) {
                _cleanup_error_ struct error why = {0};
                Mete__Api__JobSpec *spec = run_file_spec(f, i, /* ids= */ NULL);
                Mete__Api__Response *response = NULL;
                int r = query_plan(c, spec, &response, &why);

                message_free(spec);
                if (r == -ECONNREFUSED || r == -ETIMEDOUT)
                        return error_set(e, r, "%s", error_message(&why));
                if (r < 0)
                        job_file_add_refusal(f, i, error_message(&why));
                for (size_t j = 0; r == 0 && j < response->explanation->n_warnings; j++) {
                        _cleanup_free_ char *path = job_file_path(f, i, ""),
                                            *safe = text_safe(response->explanation->warnings[j]);

                        if (!json)
                                printf("%s: warning: %s%s%s\n", f->name, path, *path ? ": " : "", safe);
                        json_array_append_new(
                                warnings, json_pack("{s:s, s:s}", "field", path, "message", safe));
                }
                message_free(response);
        }
        return 0;
}

static json_t *json_of_file(const struct job_file *f, json_t *warnings)
{
        json_t *problems = json_array();

        for (size_t i = 0; i < f->problem_count; i++) {
                const struct job_problem *p = &f->problems[i];

                json_array_append_new(problems, json_pack("{s:i, s:s?, s:s}", "line", (int)p->line, "field",
                                                        p->field, "message", p->message));
        }
        return json_pack("{s:s, s:b, s:I, s:o, s:o}", "file", f->name, "valid", f->problem_count == 0, "jobs",
                (json_int_t)(f->file ? f->file->n_jobs : 0), "problems", problems, "warnings", warnings);
}

/* 0 or 1, or an error of reading or asking. */
static int validate_one(const struct validate_options *o, struct mete_client *c, const char *path,
        json_t *answers, struct error *e)
{
        CLEANUP(job_file_done) struct job_file f = {0};
        json_t *warnings;
        int r = job_file_read(path, &f, e);

        if (r < 0)
                return r;
        warnings = json_array();
        if (c && f.problem_count == 0)
                r = ask_master(c, &f, warnings, o->common.json, e);
        json_array_append_new(answers, json_of_file(&f, warnings));
        (void)fflush(stdout);
        if (r < 0)
                return r;
        if (!o->common.json) {
                job_file_print_problems(&f, stderr);
                if (f.problem_count == 0)
                        printf("%s: %zu %s, nothing is wrong\n", f.name, f.file->n_jobs,
                                f.file->n_jobs == 1 ? "job" : "jobs");
        }
        return f.problem_count > 0 ? VERB_EXIT_FAILED : VERB_EXIT_OK;
}

static int run(void *options, int argc, char **argv, struct error *e)
{
        const struct validate_options *o = options;
        CLEANUP(cleanup_mete_client_free) struct mete_client *c = NULL;
        json_t *answers;
        int code = VERB_EXIT_OK, r = 0;

        if (o->schema == (argc > 0)) {
                error_set(e, -EINVAL,
                        o->schema ? "--schema: no FILE is expected beside it"
                                  : "what is to be given is missing: FILE...");
                return VERB_USAGE;
        }
        if (o->schema) {
                json_print(job_schema(), /* compact= */ false, stdout);
                return VERB_EXIT_OK;
        }
        if (o->common.master)
                r = query_client(&o->common, &c, e);
        answers = json_array();
        for (int i = 0; r >= 0 && i < argc; i++) {
                r = validate_one(o, c, argv[i], answers, e);
                code = MAX(code, r);
        }
        if (o->common.json && r >= 0)
                json_print(answers, /* compact= */ false, stdout);
        else
                json_decref(answers);
        return r < 0 ? r : code;
}

static const char *const examples[] = {
        "mete validate jobs.json",
        "what is wrong with a job file, by line and field; exits 1 when anything is",
        "mete validate --schema >job.schema.json",
        "for an editor that checks what is typed",
        NULL,
};

const struct verb verb_validate = {
        .name = "validate",
        .parser =
                {
                        .program = "mete validate",
                        .synopsis = "[options] FILE... | --schema",
                        .summary = "check job files, by the rules of the master",
                        .details = "A job file is {\"jobs\": [...]}, or one job: an object with the fields "
                                   "of JobSpec in proto/mete.proto. "
                                   "\"-\" is standard\ninput.\n",
                        .rows = rows,
                        .count = ELEMENTSOF(rows),
                },
        .options_size = sizeof(struct validate_options),
        .min_arguments = 0,
        .max_arguments = -1,
        .examples = examples,
        .run = run,
};
