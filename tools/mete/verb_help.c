#include "tools/mete/all_verbs.h"
#include "tools/mete/completion.h"

struct help_options {
        struct common_options common;
        bool man;
};

static const struct option_row rows[] = {
        {"man", 0, OPTION_BOOL, offsetof(struct help_options, man), NULL,
                "print the manual page mete(1) instead", 0, NULL},
};

static int run(void *options, int argc, char **argv, struct error *e)
{
        const struct help_options *o = options;
        const struct verb *v;
        const char *near;

        if (o->man) {
                man_page_print(stdout);
                return VERB_EXIT_OK;
        }
        if (argc == 0) {
                verbs_print_help(stdout);
                return VERB_EXIT_OK;
        }
        v = verb_find(argv[0]);
        if (v && argc == 2 && !verb_below(v, argv[1])) {
                error_set(e, -EINVAL, "there is no verb \"%s %s\": `mete help %s` tells of it", argv[0],
                        argv[1], argv[0]);
                return VERB_USAGE;
        }
        if (v) {
                verb_print_help(argc == 2 ? verb_below(v, argv[1]) : v, stdout);
                return VERB_EXIT_OK;
        }
        near = verb_suggest(argv[0]);
        error_set(e, -EINVAL,
                near ? "there is no verb \"%s\": did you mean \"%s\"?" : "there is no verb \"%s\"", argv[0],
                near);
        return VERB_USAGE;
}

const struct verb verb_help = {
        .name = "help",
        .parser =
                {
                        .program = "mete help",
                        .synopsis = "[VERB [VERB]]",
                        .summary = "explain a verb",
                        .rows = rows,
                        .count = ELEMENTSOF(rows),
                },
        .options_size = sizeof(struct help_options),
        .min_arguments = 0,
        .max_arguments = 2,
        .run = run,
};
