#include "tools/mete/all_verbs.h"
#include "tools/mete/completion.h"

static int run(void *options, int argc, char **argv, struct error *e)
{
        return completion_print(argv[0], stdout, e) < 0 ? VERB_USAGE : VERB_EXIT_OK;
}

static const char *const examples[] = {
        "source <(mete completion bash)",
        "complete verbs and options in this shell",
        NULL,
};

const struct verb verb_completion = {
        .name = "completion",
        .parser =
                {
                        .program = "mete completion",
                        .synopsis = "bash|zsh|fish",
                        .summary = "print the completion script of a shell",
                },
        .options_size = sizeof(struct common_options),
        .min_arguments = 1,
        .max_arguments = 1,
        .examples = examples,
        .run = run,
};
