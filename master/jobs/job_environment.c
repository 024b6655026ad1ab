/* A hundred thousand jobs of one script carry the same environment: it is kept once. */

#include <stdlib.h>
#include <string.h>

#include "master/jobs/jobs.h"

struct shared_environment {
        char *key; /* all names and values, each behind its length */
        size_t key_len;
        Mete__Api__EnvironmentVariable **variables; /* owned */
        size_t count;
        uint32_t references;
        UT_hash_handle hh;
};

static void add_text(struct buffer *out, const char *text)
{
        uint32_t len = (uint32_t)strlen(text);

        buffer_append(out, &len, sizeof(len));
        buffer_append(out, text, len);
}

static struct shared_environment *environment_of(struct jobs *js, Mete__Api__JobSpec *spec)
{
        _cleanup_buffer_ struct buffer key = {};
        struct shared_environment *s;

        for (size_t i = 0; i < spec->n_environment; i++) {
                add_text(&key, spec->environment[i]->name);
                add_text(&key, spec->environment[i]->value);
        }
        HASH_FIND(hh, js->environments, key.data, key.len, s);
        if (s)
                return s;
        s = NEW0(struct shared_environment);
        s->key_len = key.len;
        s->key = xmalloc(key.len);
        memcpy(s->key, key.data, key.len);
        s->variables = TAKE_PTR(spec->environment);
        s->count = spec->n_environment;
        spec->n_environment = 0;
        HASH_ADD_KEYPTR(hh, js->environments, s->key, s->key_len, s);
        return s;
}

static void variables_free(Mete__Api__EnvironmentVariable **variables, size_t count)
{
        for (size_t i = 0; i < count; i++)
                message_free(variables[i]);
        free(variables);
}

void job_environment_share(struct jobs *js, Mete__Api__JobSpec *spec)
{
        struct shared_environment *s;

        if (spec->n_environment == 0)
                return;
        s = environment_of(js, spec);
        s->references++;
        variables_free(spec->environment, spec->n_environment);
        spec->environment = s->variables;
        spec->n_environment = s->count;
}

void job_environment_release(struct jobs *js, Mete__Api__JobSpec *spec)
{
        struct shared_environment *s;

        if (spec->n_environment == 0)
                return;
        s = environment_of(js, spec);
        spec->environment = NULL;
        spec->n_environment = 0;
        if (--s->references > 0)
                return;
        HASH_DEL(js->environments, s);
        variables_free(s->variables, s->count);
        free(s->key);
        free(s);
}
