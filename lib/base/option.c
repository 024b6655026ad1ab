#include "lib/base/option.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/time.h"
#include "lib/base/utf8.h"

void string_list_add(struct string_list *l, const char *s)
{
        l->items = xrealloc(l->items, (l->count + 2) * sizeof(*l->items));
        l->items[l->count++] = xstrdup(s);
        l->items[l->count] = NULL;
}

void string_list_done(struct string_list *l)
{
        for (size_t i = 0; i < l->count; i++)
                free(l->items[i]);
        free(l->items);
        *l = (struct string_list){};
}

/* An option as it was found: the row and the way it was written, for messages. */
struct found {
        const struct option_row *row;
        bool negated;
        char spelling[80];
};

static const char *const expected[] = {
        [OPTION_U64] = "a whole number without sign",
        [OPTION_SIZE] = "a size such as 64M, 1.5G or 1048576",
        [OPTION_MILLI] = "a number with at most three decimals, such as 2 or 0.5",
        [OPTION_DURATION] = "a duration such as 500ms, 90s, 5m, 2h or 1d",
};

static void format_bound(enum option_type type, uint64_t bound, char *buf, size_t size)
{
        char duration[DURATION_TEXT_MAX];

        switch (type) {
        case OPTION_MILLI:
                (void)snprintf(buf, size, "%" PRIu64 ".%03u", bound / 1000, (unsigned)(bound % 1000));
                break;
        case OPTION_DURATION:
                (void)snprintf(buf, size, "%s", duration_format(bound, duration));
                break;
        default:
                (void)snprintf(buf, size, "%" PRIu64, bound);
                break;
        }
}

static int parse_number(enum option_type type, uint64_t max, const char *text, uint64_t *ret)
{
        uint64_t v = 0;
        int r = -EINVAL;

        switch (type) {
        case OPTION_U64:
                r = parse_u64(text, max, &v);
                break;
        case OPTION_SIZE:
                r = parse_size(text, &v);
                break;
        case OPTION_MILLI:
                r = parse_milli(text, max, &v);
                break;
        case OPTION_DURATION:
                r = parse_duration_ns(text, &v);
                break;
        default:
                break;
        }
        if (r < 0)
                return r;
        if (v > max)
                return -ERANGE;
        *ret = v;
        return 0;
}

static int store_number(const struct found *f, const char *text, uint64_t *target, struct error *e)
{
        const struct option_row *row = f->row;
        uint64_t max = row->max ? row->max : UINT64_MAX;
        _cleanup_free_ char *shown = NULL;
        char bound[64];
        int r;

        r = parse_number(row->type, max, text, target);
        if (r == 0)
                return 0;
        shown = text_for_message(text, TEXT_FOR_MESSAGE_BYTES);
        if (r == -ERANGE) {
                format_bound(row->type, max, bound, sizeof(bound));
                return error_set(
                        e, -EINVAL, "%s '%s' is too large: expected at most %s", f->spelling, shown, bound);
        }
        return error_set(e, -EINVAL, "%s '%s': expected %s", f->spelling, shown, expected[row->type]);
}

static int store(const struct found *f, const char *text, void *target, struct error *e)
{
        void *p = (char *)target + f->row->offset;

        switch (f->row->type) {
        case OPTION_BOOL:
                *(bool *)p = !f->negated;
                return 0;
        case OPTION_STRING:
        case OPTION_STRING_OPTIONAL:
                free(*(char **)p);
                *(char **)p = xstrdup(text ? text : "");
                return 0;
        case OPTION_STRINGS:
                string_list_add(p, text);
                return 0;
        default:
                return store_number(f, text, p, e);
        }
}

static const struct option_row *row_by_name(const struct option_parser *p, const char *name, size_t len)
{
        for (size_t i = 0; i < p->count; i++)
                if (strlen(p->rows[i].name) == len && memcmp(p->rows[i].name, name, len) == 0)
                        return &p->rows[i];
        return NULL;
}

static const struct option_row *row_by_letter(const struct option_parser *p, char letter)
{
        for (size_t i = 0; i < p->count; i++)
                if (p->rows[i].letter == letter)
                        return &p->rows[i];
        return NULL;
}

/* The one row whose name begins as the unknown word does, or that the word begins with: "did you mean". */
static const struct option_row *row_alike(const struct option_parser *p, const char *name, size_t len)
{
        const struct option_row *alike = NULL;

        for (size_t i = 0; i < p->count && len >= 2; i++) {
                size_t common = MIN(strlen(p->rows[i].name), len);

                if (common < 2 || memcmp(p->rows[i].name, name, common) != 0)
                        continue;
                if (alike)
                        return NULL;
                alike = &p->rows[i];
        }
        return alike;
}

static int unknown_option(const struct option_parser *p, const char *word, size_t name_len, struct error *e)
{
        const struct option_row *alike = row_alike(p, word + 2, name_len);
        _cleanup_free_ char *name = xstrndup(word, name_len + 2);
        _cleanup_free_ char *shown = text_for_message(name, TEXT_FOR_MESSAGE_BYTES);

        if (alike)
                return error_set(e, -EINVAL, "unknown option '%s': did you mean --%s? (see %s --help)", shown,
                        alike->name, p->program);
        return error_set(e, -EINVAL, "unknown option '%s': see %s --help", shown, p->program);
}

/* The words being parsed; `next` is the first that is not consumed. */
struct cursor {
        int argc;
        char **argv;
        int next;
};

static int take_value(struct cursor *c, const struct found *f, const char **ret, struct error *e)
{
        if (c->next >= c->argc)
                return error_set(e, -EINVAL, "%s needs a value: %s", f->spelling,
                        f->row->value ? f->row->value : "VALUE");
        *ret = c->argv[c->next++];
        return 0;
}

static bool stands_alone(const struct option_row *row)
{
        return row->type == OPTION_BOOL || row->type == OPTION_STRING_OPTIONAL;
}

/* Returns 1 for --help. */
static int parse_long(
        const struct option_parser *p, struct cursor *c, const char *word, void *target, struct error *e)
{
        const char *name = word + 2, *equals = strchr(name, '='), *value = equals ? equals + 1 : NULL;
        size_t len = equals ? (size_t)(equals - name) : strlen(name);
        struct found f = {.row = row_by_name(p, name, len)};
        int r;

        if (!f.row && len == 4 && memcmp(name, "help", 4) == 0 && !value)
                return 1;
        if (!f.row && len > 3 && memcmp(name, "no-", 3) == 0) {
                f.row = row_by_name(p, name + 3, len - 3);
                f.negated = true;
                if (f.row && f.row->type != OPTION_BOOL)
                        f.row = NULL;
        }
        if (!f.row)
                return unknown_option(p, word, len, e);
        (void)snprintf(f.spelling, sizeof(f.spelling), "--%s%s", f.negated ? "no-" : "", f.row->name);
        if (f.row->type == OPTION_BOOL && value)
                return error_set(e, -EINVAL, "%s takes no value: write --%s or --no-%s", f.spelling,
                        f.row->name, f.row->name);
        if (!value && !stands_alone(f.row)) {
                r = take_value(c, &f, &value, e);
                if (r < 0)
                        return r;
        }
        return store(&f, value, target, e);
}

/* "-n VALUE", "-nVALUE", and flags run together: "-ab". */
static int parse_short(
        const struct option_parser *p, struct cursor *c, const char *word, void *target, struct error *e)
{
        int r;

        for (const char *letter = word + 1; *letter; letter++) {
                struct found f = {.row = row_by_letter(p, *letter)};
                const char *value = NULL;

                if (!f.row && *letter == 'h')
                        return 1;
                if (!f.row) {
                        _cleanup_free_ char *shown = text_for_message(word, TEXT_FOR_MESSAGE_BYTES);

                        return error_set(e, -EINVAL, "unknown option '%s': see %s --help", shown, p->program);
                }
                (void)snprintf(f.spelling, sizeof(f.spelling), "-%c", *letter);
                if (stands_alone(f.row)) {
                        r = store(&f, NULL, target, e);
                        if (r < 0)
                                return r;
                        continue;
                }
                if (letter[1]) {
                        value = letter + 1;
                } else {
                        r = take_value(c, &f, &value, e);
                        if (r < 0)
                                return r;
                }
                return store(&f, value, target, e);
        }
        return 0;
}

int options_parse(
        const struct option_parser *p, int argc, char **argv, void *target, int *ret_first, struct error *e)
{
        struct cursor c = {.argc = argc, .argv = argv, .next = MIN(argc, 1)};
        _cleanup_free_ char **positionals = xcalloc((size_t)argc + 1, sizeof(*positionals));
        _cleanup_free_ char **options = xcalloc((size_t)argc + 1, sizeof(*options));
        int positional_count = 0, option_count = 0, r;

        while (c.next < argc) {
                int start = c.next;
                char *word = argv[c.next++];

                if (word[0] != '-' || word[1] == '\0') {
                        if (p->stop_at_positional) {
                                c.next--;
                                break;
                        }
                        positionals[positional_count++] = word;
                        continue;
                }
                if (str_equal(word, "--")) {
                        options[option_count++] = word;
                        break;
                }
                r = word[1] == '-' ? parse_long(p, &c, word, target, e) : parse_short(p, &c, word, target, e);
                if (r < 0)
                        return r;
                if (r > 0) {
                        options_print_help(p, stdout);
                        return 1;
                }
                while (start < c.next)
                        options[option_count++] = argv[start++];
        }
        while (c.next < argc)
                positionals[positional_count++] = argv[c.next++];
        for (int i = 0; i < option_count; i++)
                argv[MIN(argc, 1) + i] = options[i];
        *ret_first = MIN(argc, 1) + option_count;
        for (int i = 0; i < positional_count; i++)
                argv[*ret_first + i] = positionals[i];
        return 0;
}

#define HELP_WIDTH 100
#define HELP_COLUMN 28

/* Prints text from HELP_COLUMN on, breaking at spaces. `at` is the column that the line has reached. */
static void print_wrapped(FILE *f, const char *text, size_t at)
{
        if (at + 2 > HELP_COLUMN) {
                (void)fputc('\n', f);
                at = 0;
        }
        (void)fprintf(f, "%*s", (int)(HELP_COLUMN - at), "");
        while (*text) {
                size_t len = strlen(text), room = HELP_WIDTH - HELP_COLUMN;

                if (len > room) {
                        for (len = room; len > 0 && text[len] != ' ';)
                                len--;
                        if (len == 0)
                                len = strcspn(text, " ");
                }
                (void)fprintf(f, "%.*s\n", (int)len, text);
                text += len;
                while (*text == ' ')
                        text++;
                if (*text)
                        (void)fprintf(f, "%*s", HELP_COLUMN, "");
        }
}

static void print_row(FILE *f, char letter, const char *name, const char *value, const char *help)
{
        char head[128];
        int n;

        n = snprintf(head, sizeof(head), "  %c%c%s --%s%s%s", letter ? '-' : ' ', letter ? letter : ' ',
                letter ? "," : " ", name, value && value[0] != '[' ? " " : "", value ? value : "");
        (void)fputs(head, f);
        print_wrapped(f, help ? help : "", MIN((size_t)n, sizeof(head) - 1));
}

void options_print_help(const struct option_parser *p, FILE *f)
{
        (void)fprintf(f, "Usage: %s %s\n", p->program, p->synopsis ? p->synopsis : "");
        if (p->summary)
                (void)fprintf(f, "\n%s\n", p->summary);
        if (p->count == 0 || !p->rows[0].group)
                (void)fprintf(f, "\nOptions:\n");
        for (size_t i = 0; i < p->count; i++) {
                const struct option_row *row = &p->rows[i];

                if (row->group && (i == 0 || !str_equal(row->group, p->rows[i - 1].group)))
                        (void)fprintf(f, "\n%s:\n", row->group);
                print_row(f, row->letter, row->name,
                        row->type == OPTION_BOOL ? NULL
                        : row->value             ? row->value
                                                 : "VALUE",
                        row->help);
        }
        if (!row_by_name(p, "help", 4))
                print_row(f, row_by_letter(p, 'h') ? 0 : 'h', "help", NULL, "print this help");
        if (p->details)
                (void)fprintf(f, "\n%s%s", p->details, str_has_suffix(p->details, "\n") ? "" : "\n");
}

void options_done(const struct option_parser *p, void *target)
{
        for (size_t i = 0; i < p->count; i++) {
                void *t = (char *)target + p->rows[i].offset;

                if (p->rows[i].type == OPTION_STRING || p->rows[i].type == OPTION_STRING_OPTIONAL) {
                        free(*(char **)t);
                        *(char **)t = NULL;
                } else if (p->rows[i].type == OPTION_STRINGS) {
                        string_list_done(t);
                }
        }
}
