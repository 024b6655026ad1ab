#include "tools/mete/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/time.h"
#include "proto/mete.pb-c.h"

#define LINE_WIDTH 80

const char *text_size(uint64_t bytes, char buf[static TEXT_MAX])
{
        static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
        double value = (double)bytes;
        size_t unit = 0;

        /* 1023.95 would print as "1024.0": go on to the next unit before that. */
        while (value >= 1023.95 && unit + 1 < ELEMENTSOF(units)) {
                value /= 1024;
                unit++;
        }
        if (unit == 0 || value >= 99.95 || fabs(value - rint(value)) < 0.05)
                snprintf(buf, TEXT_MAX, "%.0f %s", value, units[unit]);
        else
                snprintf(buf, TEXT_MAX, "%.1f %s", value, units[unit]);
        return buf;
}

const char *text_cores(double cores, char buf[static TEXT_MAX])
{
        char *end;

        snprintf(buf, TEXT_MAX, "%.3f", cores);
        end = buf + strlen(buf);
        while (strchr(buf, '.') && (end[-1] == '0' || end[-1] == '.')) {
                bool point = end[-1] == '.';

                *--end = '\0';
                if (point)
                        break;
        }
        return buf;
}

const char *text_seconds(double seconds, char buf[static TEXT_MAX])
{
        char text[DURATION_TEXT_MAX];

        if (!(seconds >= 0))
                seconds = 0;
        snprintf(buf, TEXT_MAX, "%s", duration_format((uint64_t)(seconds * (double)NSEC_PER_SEC), text));
        return buf;
}

const char *text_age(double since, double now, char buf[static TEXT_MAX])
{
        if (since <= 0) {
                snprintf(buf, TEXT_MAX, "-");
                return buf;
        }
        /* Whole seconds: an age with tenths changes at every look and says no more. */
        return text_seconds(now > since ? floor(now - since) : 0, buf);
}

double text_now(void)
{
        return wall_seconds(wall_now());
}

/* Enum names of the wire, shown in lower case without their prefix. The result lives as long as the program. */
static const char *state_name(const ProtobufCEnumDescriptor *d, int value, const char *prefix)
{
        static char names[64][40];
        static size_t used;
        const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(d, value);
        char text[40];
        size_t i;

        if (!v)
                return "unknown";
        snprintf(text, sizeof(text), "%s", v->name + (str_has_prefix(v->name, prefix) ? strlen(prefix) : 0));
        for (i = 0; text[i]; i++)
                text[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + ('a' - 'A') : text[i]);
        for (i = 0; i < used; i++)
                if (str_equal(names[i], text))
                        return names[i];
        if (used == ELEMENTSOF(names))
                return v->name;
        strcpy(names[used], text);
        return names[used++];
}

const char *text_task_state(Mete__V1__TaskState state)
{
        return state_name(&mete__v1__task_state__descriptor, (int)state, "TASK_");
}

const char *text_job_state(Mete__Api__JobState state)
{
        return state_name(&mete__api__job_state__descriptor, (int)state, "JOB_");
}

const char *text_agent_state(Mete__Api__Agent__State state)
{
        return state_name(&mete__api__agent__state__descriptor, (int)state, "AGENT_");
}

char *text_safe(const char *s)
{
        char *copy = xstrdup(s ? s : "-");

        for (char *p = copy; *p; p++)
                if ((unsigned char)*p < 0x20 || *p == 0x7f)
                        *p = '?';
        /* C1 controls (U+0080 to U+009F) are two bytes in UTF-8. */
        for (char *p = copy; *p; p++)
                if ((unsigned char)p[0] == 0xc2 && (unsigned char)p[1] >= 0x80 && (unsigned char)p[1] < 0xa0)
                        p[0] = p[1] = '?';
        return copy;
}

/* Every path of a field begins with the call that it is of. */
static bool is_path_of_call(const char *sentence, size_t len)
{
        const char *dot = memchr(sentence, '.', len);
        _cleanup_free_ char *call = dot ? xstrndup(sentence, (size_t)(dot - sentence)) : NULL;

        return call && protobuf_c_message_descriptor_get_field_by_name(&mete__api__call__descriptor, call);
}

const char *text_without_field(const char *sentence)
{
        size_t n = strspn(sentence, "abcdefghijklmnopqrstuvwxyz_0123456789.[]"), leaf, name;
        const char *rest = sentence + n + 2;

        if (!is_path_of_call(sentence, n) || !str_has_prefix(sentence + n, ": "))
                return sentence;
        for (leaf = n; leaf > 0 && sentence[leaf - 1] != '.';)
                leaf--;
        name = strcspn(sentence + leaf, "[:");
        /* What an id names, and a name that is said again, is told by the rest. */
        if ((name >= 2 && memcmp(sentence + leaf + name - 2, "id", 2) == 0) ||
                strncmp(rest, sentence + leaf, name) == 0)
                return rest;
        return sentence + leaf;
}

/* Columns on a terminal: UTF-8 continuation bytes take none. */
static size_t width_of(const char *s)
{
        size_t width = 0;

        for (; *s; s++)
                width += ((unsigned char)*s & 0xc0) != 0x80;
        return width;
}

void text_print_wrapped(FILE *f, const char *text, size_t at, size_t indent)
{
        _cleanup_free_ char *safe = text_safe(text);
        const char *word = safe + strspn(safe, " ");

        while (*word) {
                size_t len = strcspn(word, " "), width;
                _cleanup_free_ char *copy = xstrndup(word, len);

                width = width_of(copy);
                /* `at` counts the space in front of the word, but for the first of a line. */
                if (at > indent && at + 1 + width >= LINE_WIDTH) {
                        fputc('\n', f);
                        at = 0;
                }
                fprintf(f, "%*s%s", at > indent ? 1 : (int)(indent - at), "", copy);
                at = MAX(at, indent) + width + (at > indent ? 1 : 0);
                word += len;
                word += strspn(word, " ");
        }
        fputc('\n', f);
}

void text_warn(char *const *warnings, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                _cleanup_free_ char *safe = text_safe(warnings[i]);

                fprintf(stderr, "mete: warning: %s\n", safe);
        }
}

unsigned text_distance(const char *a, const char *b)
{
        enum { WORD_MAX = 31 };
        unsigned d[WORD_MAX + 1][WORD_MAX + 1];
        size_t n = strlen(a), m = strlen(b);

        if (n > WORD_MAX || m > WORD_MAX)
                return UINT32_MAX;
        for (size_t i = 0; i <= n; i++)
                for (size_t j = 0; j <= m; j++) {
                        if (i == 0 || j == 0) {
                                d[i][j] = (unsigned)(i + j);
                                continue;
                        }
                        d[i][j] = d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0u : 1u);
                        d[i][j] = MIN(d[i][j], d[i - 1][j] + 1);
                        d[i][j] = MIN(d[i][j], d[i][j - 1] + 1);
                        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                                d[i][j] = MIN(d[i][j], d[i - 2][j - 2] + 1);
                }
        return d[n][m];
}

/* Only on a terminal, without NO_COLOR and with a TERM that is not "dumb". */
static bool text_colours(FILE *f)
{
        const char *term = getenv("TERM");

        return str_empty(getenv("NO_COLOR")) && !str_equal(term, "dumb") && isatty(fileno(f));
}

/* ---- tables ---- */

struct table {
        const struct column *columns; /* not owned */
        size_t column_count;
        char **cells; /* row by row, owned */
        size_t cell_count;
};

struct table *table_new(const struct column *columns, size_t count)
{
        struct table *t = NEW0(struct table);

        t->columns = columns;
        t->column_count = count;
        return t;
}

struct table *table_free(struct table *t)
{
        if (!t)
                return NULL;
        for (size_t i = 0; i < t->cell_count; i++)
                free(t->cells[i]);
        free(t->cells);
        free(t);
        return NULL;
}

void table_cell(struct table *t, const char *text)
{
        t->cells = xrealloc(t->cells, (t->cell_count + 1) * sizeof(*t->cells));
        t->cells[t->cell_count++] = text_safe(text);
}

void table_cellf(struct table *t, const char *fmt, ...)
{
        _cleanup_free_ char *text = NULL;
        va_list ap;

        va_start(ap, fmt);
        text = xvasprintf(fmt, ap);
        va_end(ap);
        table_cell(t, text);
}

static void print_cell(FILE *f, const char *text, size_t width, enum column_align align, bool last)
{
        int padding = (int)(width - width_of(text));

        if (align == COLUMN_RIGHT)
                fprintf(f, "%*s%s", padding, "", text);
        else
                fprintf(f, "%s%*s", text, last ? 0 : padding, "");
        fputs(last ? "\n" : "  ", f);
}

void table_print(const struct table *t, FILE *f)
{
        _cleanup_free_ size_t *widths = xcalloc(t->column_count, sizeof(*widths));
        bool bold = text_colours(f);

        for (size_t i = 0; i < t->column_count; i++)
                widths[i] = width_of(t->columns[i].title);
        for (size_t i = 0; i < t->cell_count; i++)
                widths[i % t->column_count] = MAX(widths[i % t->column_count], width_of(t->cells[i]));
        if (bold)
                fputs("\033[1m", f);
        for (size_t i = 0; i < t->column_count; i++)
                print_cell(f, t->columns[i].title, widths[i], t->columns[i].align, i + 1 == t->column_count);
        if (bold)
                fputs("\033[0m", f);
        for (size_t i = 0; i < t->cell_count; i++) {
                size_t column = i % t->column_count;

                print_cell(f, t->cells[i], widths[column], t->columns[column].align,
                        column + 1 == t->column_count);
        }
}
