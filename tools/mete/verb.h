/*
 * A verb of `mete` is one constant row: its option table, its defaults and its function. Help, completion and the man
 * page come from the same rows (verbs.c lists them). Each verb has a file of its own, verb_<name>.c. A verb may have verbs
 * below it ("quota set"), which are rows alike; what it does without one of them is its own function.
 */
#pragma once

#include "lib/base/option.h"
#include "sdk/client.h"

/* First member of every verb's options. */
struct common_options {
        char *master;
        bool json;
};

#define OPTION_ROW_MASTER                                                                                    \
        {                                                                                                    \
                "master", 0, OPTION_STRING, offsetof(struct common_options, master), "HOST:PORT",            \
                        "the master to talk to (default: $METE_MASTER, else " METE_DEFAULT_MASTER ")", 0,    \
                        "General"                                                                            \
        }
#define OPTION_ROW_JSON                                                                                      \
        {                                                                                                    \
                "json", 0, OPTION_BOOL, offsetof(struct common_options, json), NULL,                         \
                        "print one JSON document, with the names of the API's fields", 0, NULL               \
        }

enum verb_exit {
        VERB_EXIT_OK = 0,
        VERB_EXIT_FAILED = 1, /* refused or failed */
        VERB_EXIT_USAGE = 2,
        VERB_USAGE = -4096, /* returned for a wrong command line, with a sentence; not an errno */
};

struct verb {
        struct option_parser parser; /* program is "mete <name>", "mete <verb> <name>" */
        const char *name;
        const char *group; /* heading in `mete --help`, or NULL to stay in the group before */
        size_t options_size;
        void (*defaults)(void *options);  /* NULL: zeroes */
        int min_arguments, max_arguments; /* positional; -1: any number */
        const char *const *examples; /* pairs of command line and what it does, NULL-terminated; or NULL */
        /* Exit code, VERB_USAGE, or a negative errno; the latter two with a sentence in e. */
        int (*run)(void *options, int argc, char **argv, struct error *e);
        const struct verb *const *below; /* NULL-terminated; or NULL */
};

extern const struct verb *const verbs[]; /* NULL-terminated, in the order of `mete --help` */
const struct verb *verb_find(const char *name);
/* That of `v` with this name; NULL. */
const struct verb *verb_below(const struct verb *v, const char *name);
/* Every verb, those below another one right after it: from 0 on, NULL at the end. */
const struct verb *verb_at(size_t index);
/* The verb whose name is nearest to what was typed, or NULL when none is near. */
const char *verb_suggest(const char *typed);

/* Parses and runs it, or the one below it that argv[1] names. Prints what went wrong on stderr; returns the exit code. argv[0] is
 * the verb's name. */
int verb_invoke(const struct verb *v, int argc, char **argv);
void verb_print_help(const struct verb *v, FILE *f);
void verbs_print_help(FILE *f);
