/* Verbs that do the same to each of their words: one call a word. */
#pragma once

#include <jansson.h>

#include "tools/mete/verb.h"

struct each_word {
        /* The call for this word: `options` are the verb's. */
        int (*call)(struct mete_client *c, const void *options, const char *word, Mete__Api__Response **ret,
                struct error *e);
        void (*print)(const void *options, const char *word, const Mete__Api__Response *response);
        json_t *(*json)(const Mete__Api__Response *response); /* a new reference */
};

/* Every word is tried: a refusal of one, which is printed, does not spare the next. The options begin with the common ones. */
int each_word(
        const struct each_word *w, const void *options, int argc, char **argv, struct error *e) WARN_UNUSED;
