/* mete: the operator's command line. Finds the verb; everything else is in the verb's own file. */
#include <signal.h>
#include <stdlib.h>

#include "tools/mete/all_verbs.h"

struct main_options {
        struct common_options common;
        bool version;
};

static const struct option_row rows[] = {
        OPTION_ROW_MASTER,
        {"version", 'V', OPTION_BOOL, offsetof(struct main_options, version), NULL, "print the version", 0,
                NULL},
};

static const struct option_parser parser = {
        .program = "mete",
        .synopsis = "[--master HOST:PORT] VERB [options] [arguments]",
        .rows = rows,
        .count = ELEMENTSOF(rows),
        .stop_at_positional = true,
};

static int unknown_verb(const char *typed)
{
        const char *near = verb_suggest(typed);

        if (near)
                fprintf(stderr, "mete: there is no verb \"%s\": did you mean `mete %s`?\n", typed, near);
        else
                fprintf(stderr, "mete: there is no verb \"%s\": `mete --help` lists them\n", typed);
        return VERB_EXIT_USAGE;
}

static bool wants_help(int argc, char **argv)
{
        return argc >= 2 && (str_equal(argv[1], "--help") || str_equal(argv[1], "-h"));
}

int main(int argc, char **argv)
{
        struct main_options options = {0};
        _cleanup_error_ struct error e = {0};
        const struct verb *v;
        int first = 0, code, r;

        /* A closed pipe is an error of write(2), handled where it is written. */
        (void)signal(SIGPIPE, SIG_IGN);
        if (wants_help(argc, argv)) {
                verbs_print_help(stdout);
                return VERB_EXIT_OK;
        }
        r = options_parse(&parser, argc, argv, &options, &first, &e);
        if (r < 0)
                fprintf(stderr, "mete: %s\n", error_message(&e));
        if (r == 0 && options.common.master)
                (void)setenv("METE_MASTER", options.common.master, /* overwrite= */ 1);
        options_done(&parser, &options);
        if (r != 0)
                return r < 0 ? VERB_EXIT_USAGE : VERB_EXIT_OK;
        if (options.version)
                return verb_invoke(&verb_version, 1, (char *[]){(char *)"version", NULL});
        if (first >= argc) {
                verbs_print_help(stderr);
                return VERB_EXIT_USAGE;
        }
        v = verb_find(argv[first]);
        if (!v)
                return unknown_verb(argv[first]);
        code = verb_invoke(v, argc - first, argv + first);
        if (fflush(stdout) != 0 && code == VERB_EXIT_OK) {
                fprintf(stderr, "mete: cannot write to standard output\n");
                code = VERB_EXIT_FAILED;
        }
        return code;
}
