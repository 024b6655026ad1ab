#include "tools/mete/each_word.h"

#include "lib/net/codec.h"
#include "tools/mete/json.h"
#include "tools/mete/query.h"
#include "tools/mete/text.h"

static int one(const struct each_word *w, struct mete_client *c, const struct common_options *o,
        const char *word, json_t *answers)
{
        Mete__Api__Response *response = NULL;
        _cleanup_error_ struct error why = {0};

        if (w->call(c, o, word, &response, &why) < 0) {
                _cleanup_free_ char *sentence = text_safe(text_without_field(error_message(&why)));

                (void)fflush(stdout);
                fprintf(stderr, "mete: %s\n", sentence);
                return VERB_EXIT_FAILED;
        }
        if (!o->json) {
                w->print(o, word, response);
                (void)fflush(stdout);
                text_warn(response->warnings, response->n_warnings);
        }
        json_array_append_new(answers, w->json(response));
        message_free(response);
        return VERB_EXIT_OK;
}

int each_word(const struct each_word *w, const void *options, int argc, char **argv, struct error *e)
{
        const struct common_options *o = options;
        CLEANUP(cleanup_mete_client_free) struct mete_client *c = NULL;
        int code = VERB_EXIT_OK, r = query_client(o, &c, e);
        json_t *answers;

        if (r < 0)
                return r;
        answers = json_array();
        for (int i = 0; i < argc; i++)
                code = MAX(code, one(w, c, o, argv[i], answers));
        if (o->json)
                json_print(answers, /* compact= */ false, stdout);
        else
                json_decref(answers);
        return code;
}
