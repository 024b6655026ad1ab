#include "tools/mete/job_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/net/codec.h"
#include "master/spec/job_spec.h"
#include "tools/mete/json_place.h"
#include "tools/mete/text.h"

#define CALL_PREFIX "submit.job."

void job_file_done(struct job_file *f)
{
        for (size_t i = 0; f->file && i < f->file->n_jobs; i++)
                free(f->names ? f->names[i] : NULL);
        for (size_t i = 0; i < f->problem_count; i++) {
                free(f->problems[i].field);
                free(f->problems[i].message);
        }
        message_free(f->file);
        free(f->names);
        free(f->order);
        free(f->problems);
        free(f->text);
        free(f->name);
        *f = (struct job_file){0};
}

char *job_file_path(const struct job_file *f, size_t job, const char *field)
{
        return f->single ? xstrdup(field)
                         : xasprintf("jobs[%zu]%s%s", job, str_empty(field) ? "" : ".", field);
}

/* ---- what is wrong ---- */

static void add_problem(struct job_file *f, unsigned line, const char *field, const char *message)
{
        struct job_problem *p;

        f->problems = xrealloc(f->problems, (f->problem_count + 1) * sizeof(*f->problems));
        p = &f->problems[f->problem_count++];
        *p = (struct job_problem){
                .line = line, .field = str_empty(field) ? NULL : xstrdup(field), .message = xstrdup(message)};
}

/* A sentence that begins with a path in the file. */
static void add_sentence(struct job_file *f, const char *sentence)
{
        _cleanup_free_ char *path = json_path_of_sentence(sentence);

        add_problem(f, json_line_of(f->text, f->len, path), path,
                sentence + (*path ? strlen(path) + strlen(": ") : 0));
}

/* `sentence` of a call: its path is turned into the file's. */
static void add_of_job(
        struct job_file *f, size_t job, const char *prefix, const char *field, const char *sentence)
{
        _cleanup_free_ char *place = NULL, *told = NULL;
        const char *at = strstr(sentence, prefix);
        size_t skip = strlen(prefix);

        place = job_file_path(f, job, field && str_has_prefix(field, prefix) ? field + skip : "");
        /* The field stands in front, or is what the sentence begins with: "command is empty". */
        if (at == sentence && field && str_has_prefix(sentence, field) &&
                str_has_prefix(sentence + strlen(field), ": "))
                told = xstrdup(sentence + strlen(field) + strlen(": "));
        else if (at)
                told = xasprintf("%.*s%s", (int)(at - sentence), sentence, at + skip);
        add_problem(f, json_line_of(f->text, f->len, place), place, told ? told : sentence);
}

void job_file_add_refusal(struct job_file *f, size_t job, const char *sentence)
{
        _cleanup_free_ char *path = json_path_of_sentence(sentence);

        if (str_has_prefix(path, "plan.job."))
                add_of_job(f, job, "plan.job.", path, sentence);
        else
                add_of_job(f, job, CALL_PREFIX, path, sentence);
}

void job_file_print_problems(const struct job_file *f, FILE *out)
{
        for (size_t i = 0; i < f->problem_count; i++) {
                const struct job_problem *p = &f->problems[i];
                _cleanup_free_ char *line = p->line ? xasprintf(":%u", p->line) : xstrdup(""),
                                    *sentence = xasprintf("%s%s: %s%s%s", f->name, line,
                                            p->field ? p->field : "", p->field ? ": " : "", p->message),
                                    *safe = text_safe(sentence);

                fprintf(out, "%s\n", safe);
        }
}

/* ---- reading ---- */

static int read_text(struct job_file *f, struct error *e)
{
        bool standard_input = str_equal(f->name, "-");
        int r = standard_input ? read_all_fd(STDIN_FILENO, JOB_FILE_MAX, &f->text, &f->len)
                               : read_file_at(AT_FDCWD, f->name, JOB_FILE_MAX, &f->text, &f->len);

        if (r == -E2BIG)
                return error_set(e, r, "%s: a job file has at most 4 MiB", f->name);
        return r < 0 ? error_set_errno(e, r, "cannot read %s", standard_input ? "standard input" : f->name)
                     : 0;
}

/* NULL, with the problem noted, for text that is no JSON object. */
static json_t *parse_text(struct job_file *f)
{
        json_error_t where;
        json_t *root = json_loadb(f->text, f->len, JSON_REJECT_DUPLICATES, &where);

        if (root && json_is_object(root))
                return root;
        if (root) {
                add_problem(f, 1, NULL,
                        "expected {\"jobs\": [...]}, or one job such as {\"command\": [\"./work\"]}");
        } else {
                _cleanup_free_ char *text = text_safe(where.text),
                                    *sentence = xasprintf("column %d: not JSON: %s", where.column, text);

                add_problem(f, where.line > 0 ? (unsigned)where.line : 0, NULL, sentence);
        }
        json_decref(root);
        return NULL;
}

static Mete__Api__JobFile *file_of_one(Mete__Api__JobSpec *spec)
{
        Mete__Api__JobFile *file = NEW0(Mete__Api__JobFile);

        mete__api__job_file__init(file);
        file->jobs = NEW0(Mete__Api__JobSpec *);
        file->jobs[0] = spec;
        file->n_jobs = 1;
        return file;
}

static void decode(struct job_file *f, json_t *root)
{
        const ProtobufCMessageDescriptor *d;
        _cleanup_error_ struct error e = {0};
        ProtobufCMessage *m = NULL;

        f->single = !json_object_get(root, "jobs");
        d = f->single ? &mete__api__job_spec__descriptor : &mete__api__job_file__descriptor;
        /* "$schema" is how editors know what to check: it is no field, and no mistake. */
        (void)json_object_del(root, "$schema");
        if (json_check_members(root, d, "", &e) < 0 ||
                message_decode(CODEC_JSON, d, f->text, f->len, &m, &e) < 0) {
                add_sentence(f, error_message(&e));
                return;
        }
        f->file = f->single ? file_of_one((Mete__Api__JobSpec *)m) : (Mete__Api__JobFile *)m;
        if (f->file->n_jobs == 0 || f->file->n_jobs > JOB_FILE_JOBS_MAX) {
                _cleanup_free_ char *sentence =
                        xasprintf("%zu jobs: 1 to %u are accepted", f->file->n_jobs, JOB_FILE_JOBS_MAX);

                add_problem(f, json_line_of(f->text, f->len, "jobs"), "jobs", sentence);
        }
}

/* The master's own rules, on a copy: it would fill the defaults in. */
static void check_job(struct job_file *f, size_t i)
{
        CLEANUP(api_error_done) struct api_error x = {0};
        Mete__Api__JobSpec *spec = message_copy(f->file->jobs[i]);

        if (job_spec_validate(spec, &x) < 0)
                add_of_job(f, i, CALL_PREFIX, x.field, x.message);
        f->names[i] = xstrdup(spec->name);
        message_free(spec);
}

/* ---- order ---- */

int job_file_find(const struct job_file *f, const char *name, size_t *ret)
{
        for (size_t i = 0; i < f->file->n_jobs; i++)
                if (str_equal(f->names[i], name)) {
                        *ret = i;
                        return 0;
                }
        return -ENOENT;
}

static void check_names(struct job_file *f)
{
        for (size_t i = 0; i < f->file->n_jobs; i++)
                for (size_t j = 0; j < f->file->jobs[i]->n_after; j++) {
                        const char *name = f->file->jobs[i]->after[j]->job;
                        _cleanup_free_ char *field = xasprintf("after[%zu].job", j),
                                            *path = job_file_path(f, i, field), *sentence = NULL;
                        size_t named = 0;

                        for (size_t k = 0; k < f->file->n_jobs; k++)
                                named += str_equal(f->names[k], name);
                        if (named < 2)
                                continue;
                        sentence = xasprintf("\"%s\" is the name of %zu jobs in this file: a name that one "
                                             "of them has is expected",
                                name, named);
                        add_problem(f, json_line_of(f->text, f->len, path), path, sentence);
                }
}

struct visit {
        struct job_file *f;
        enum { UNSEEN, OPEN, DONE } * states;
        size_t *stack; /* jobs being visited, from the first */
        size_t depth, ordered;
};

static void report_cycle(struct visit *v, size_t again, size_t from, size_t dependency)
{
        _cleanup_buffer_ struct buffer names = {0};
        _cleanup_free_ char *field = xasprintf("after[%zu].job", dependency),
                            *path = job_file_path(v->f, from, field), *sentence = NULL;
        size_t begin = 0;

        while (v->stack[begin] != again)
                begin++;
        for (size_t i = begin; i < v->depth; i++)
                buffer_printf(&names, "%s -> ", v->f->names[v->stack[i]]);
        sentence =
                xasprintf("a cycle, in which each waits for the next: %s%s", names.data, v->f->names[again]);
        add_problem(v->f, json_line_of(v->f->text, v->f->len, path), path, sentence);
}

/* Depth first: what a job waits for is in the order before it. JOB_FILE_JOBS_MAX bounds the recursion. */
static int visit(struct visit *v, size_t i)
{
        const Mete__Api__JobSpec *spec = v->f->file->jobs[i];

        if (v->states[i] == DONE)
                return 0;
        v->states[i] = OPEN;
        v->stack[v->depth++] = i;
        for (size_t j = 0; j < spec->n_after; j++) {
                size_t before;

                if (job_file_find(v->f, spec->after[j]->job, &before) < 0)
                        continue; /* the master's */
                if (v->states[before] == OPEN) {
                        report_cycle(v, before, i, j);
                        return -ELOOP;
                }
                if (visit(v, before) < 0)
                        return -ELOOP;
        }
        v->states[i] = DONE;
        v->depth--;
        v->f->order[v->ordered++] = i;
        return 0;
}

static void put_in_order(struct job_file *f)
{
        size_t count = f->file->n_jobs;
        struct visit v = {.f = f,
                .states = xcalloc(count, sizeof(*v.states)),
                .stack = xcalloc(count, sizeof(*v.stack))};
        int r = 0;

        f->order = xcalloc(count, sizeof(*f->order));
        for (size_t i = 0; r == 0 && i < count; i++)
                r = visit(&v, i);
        free(v.states);
        free(v.stack);
}

int job_file_read(const char *path, struct job_file *ret, struct error *e)
{
        struct job_file f = {.name = xstrdup(path)};
        json_t *root;
        int r = read_text(&f, e);

        if (r < 0) {
                job_file_done(&f);
                return r;
        }
        root = parse_text(&f);
        if (root)
                decode(&f, root);
        json_decref(root);
        if (f.file && f.problem_count == 0) {
                f.names = xcalloc(f.file->n_jobs, sizeof(*f.names));
                for (size_t i = 0; i < f.file->n_jobs; i++)
                        check_job(&f, i);
                check_names(&f);
                put_in_order(&f);
        }
        *ret = f;
        return 0;
}
