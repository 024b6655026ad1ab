/*
 * Command-line options as rows of a table: parsing, --help, shell completion and man pages come from the same
 * rows.
 * `--name VALUE`, `--name=VALUE`, `-n VALUE`, `--flag`, `--no-flag` for booleans; "--" ends options. Parsing
 * stops at the first word that is not an option when `stop_at_positional` (as `mete run -- cmd` wants), else
 * options and words may mix.
 */
#pragma once

#include "lib/base/error.h"

enum option_type {
        OPTION_BOOL,            /* bool */
        OPTION_STRING,          /* char *, owned by the target, replaced on repetition */
        OPTION_STRING_OPTIONAL, /* the same, its value only by '=' and "" without it: --spread, --spread=rack */
        OPTION_STRINGS,         /* struct string_list, appended on repetition */
        OPTION_U64,             /* uint64_t, decimal */
        OPTION_SIZE,            /* uint64_t bytes: 64M, 1G */
        OPTION_MILLI,           /* uint64_t thousandths: 0.5 */
        OPTION_DURATION,        /* uint64_t nanoseconds: 5s, 200ms */
};

struct string_list {
        char **items; /* owned, NULL-terminated when items != NULL */
        size_t count;
};
void string_list_add(struct string_list *l, const char *s);
void string_list_done(struct string_list *l);

struct option_row {
        const char *name; /* long name without dashes */
        char letter;      /* short name or 0 */
        enum option_type type;
        size_t offset;     /* of the target in the options struct */
        const char *value; /* name of the value in help: "SIZE", "[=ATTRIBUTE]"; NULL for booleans */
        const char *help;  /* one sentence, lower case, no full stop; says the default */
        uint64_t max;      /* for numbers: largest value accepted; 0 = no bound of its own */
        const char *group; /* heading in help, or NULL to stay in the group before */
};

struct option_parser {
        const char *program;  /* "mete run" */
        const char *synopsis; /* "[options] [--] COMMAND [ARG...]" */
        const char *summary;  /* one sentence */
        const char *details;  /* more text for --help, examples; may be NULL */
        const struct option_row *rows;
        size_t count;
        bool stop_at_positional;
};

/*
 * Fills `target` (the struct the offsets refer to). *ret_first is the index in argv of the first positional;
 * when options and words may mix, argv is permuted so that positionals come last. Returns 0, 1 when --help
 * was printed to stdout (the caller exits 0), or -EINVAL with a sentence that names the option, the value and
 * what would be accepted.
 */
int options_parse(const struct option_parser *p, int argc, char **argv, void *target, int *ret_first,
        struct error *e) WARN_UNUSED;
void options_print_help(const struct option_parser *p, FILE *f);
/* The value as it could be given; the caller frees it. NULL: a string that is not set. */
char *option_value_text(const struct option_row *row, const void *target);
/* Frees what options own: strings. */
void options_done(const struct option_parser *p, void *target);
