#include "lib/net/codec.h"
#include "tools/mete/all_verbs.h"
#include "tools/mete/explanation.h"
#include "tools/mete/json.h"
#include "tools/mete/query.h"

static const struct option_row rows[] = {OPTION_ROW_MASTER, OPTION_ROW_JSON};

static int query_explain(
        const struct common_options *o, const char *job, Mete__Api__Response **ret, struct error *e)
{
        Mete__Api__Call call = METE__API__CALL__INIT;
        Mete__Api__Call__Explain explain = METE__API__CALL__EXPLAIN__INIT;
        int r;

        explain.job_id = (char *)job;
        call.type = METE__API__CALL__TYPE__EXPLAIN;
        call.explain = &explain;
        r = query_once(o, &call, ret, e);
        if (r < 0)
                return r;
        if ((*ret)->explanation)
                return 0;
        message_free(*ret);
        return error_set(e, -EPROTO, "the master answered without an explanation");
}

/* "job 17 "sweep" of alice", as far as the answer tells. The caller frees. */
static char *subject_of(const Mete__Api__Response *response, const char *given)
{
        const Mete__Api__Job *j = response->job;

        if (!j)
                return xasprintf("job %s", given);
        return xasprintf("job %s \"%s\"%s%s", j->job_id, j->spec->name ? j->spec->name : "",
                j->user ? " of " : "", j->user ? j->user : "");
}

static int run(void *options, int argc, char **argv, struct error *e)
{
        const struct common_options *o = options;
        Mete__Api__Response *response = NULL;
        _cleanup_free_ char *subject = NULL;
        int r = query_explain(o, argv[0], &response, e);

        if (r < 0)
                return r;
        subject = subject_of(response, argv[0]);
        if (o->json)
                json_print(json_of_message(&response->explanation->base), /* compact= */ false, stdout);
        else
                explanation_print(response->explanation, subject, text_now(), stdout);
        message_free(response);
        return VERB_EXIT_OK;
}

static const char *const examples[] = {
        "mete explain 17",
        "why job 17 waits, when it is expected to start, and what decides its rank",
        NULL,
};

const struct verb verb_explain = {
        .name = "explain",
        .parser =
                {
                        .program = "mete explain",
                        .synopsis = "[options] JOB",
                        .summary = "why a job waits, when it starts, and what its rank is made of",
                        .rows = rows,
                        .count = ELEMENTSOF(rows),
                },
        .options_size = sizeof(struct common_options),
        .min_arguments = 1,
        .max_arguments = 1,
        .examples = examples,
        .run = run,
};
