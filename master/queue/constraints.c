/* What a job wants of a machine, as people write it: parsed once, then asked of each machine. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/regex.h"
#include "lib/base/utf8.h"
#include "master/queue/machines.h"

#define DISTINCT "distinct:"
#define SHOWN 80 /* bytes of a text in a sentence */

/* In the order in which they are looked for: "!=" before "=". */
static const struct {
        const char *text;
        enum constraint_operator operator;
} signs[] = {
        {"!=", CONSTRAINT_NOT_EQUAL},
        {"=", CONSTRAINT_EQUAL},
        {"~", CONSTRAINT_MATCHES},
        {"<", CONSTRAINT_LESS},
        {">", CONSTRAINT_GREATER},
};

/* ---- parsing ---- */

static int refuse(const char *text, const char *why, struct error *e)
{
        _cleanup_free_ char *shown = text_for_message(text, SHOWN);

        return error_set(e, -EINVAL,
                "'%s': %s: \"attribute=value\", \"!=\", \"~expression\", \"<number\", \">number\", "
                "\"attribute\", "
                "\"!attribute\" or \"distinct:attribute\" is expected",
                shown, why);
}

static bool number_parse(const char *s, double *ret)
{
        char *end;

        /* strtod() takes more than decimal numbers: hexadecimal ones, "inf", white space in front. */
        if (!*s || s[strspn(s, "0123456789.eE+-")])
                return false;
        *ret = strtod(s, &end);
        return !*end && isfinite(*ret);
}

static bool attribute_legal(const char *s, size_t len)
{
        if (len < 1 || len >= RESOURCE_NAME_MAX)
                return false;
        for (size_t i = 0; i < len; i++)
                if (s[i] <= 0x20 || s[i] >= 0x7f || strchr("=!~<>:", s[i]))
                        return false;
        return true;
}

bool constraint_attribute_legal(const char *name)
{
        return attribute_legal(name, strlen(name));
}

/* Where the operator begins; NULL: there is none. */
static const char *find_sign(const char *text, size_t *ret_index)
{
        const char *at = text + strcspn(text, "!=~<>");

        for (size_t i = 0; i < ELEMENTSOF(signs); i++)
                if (str_has_prefix(at, signs[i].text)) {
                        *ret_index = i;
                        return at;
                }
        return NULL;
}

static int parse_value(const char *text, const char *value, struct constraint *c, struct error *e)
{
        if (!*value)
                return refuse(text, "the value is missing", e);
        if (strlen(value) > CONSTRAINT_VALUE_MAX)
                return refuse(text, "the value has more than 256 bytes", e);
        if (!utf8_valid(value, strlen(value)))
                return refuse(text, "the value is not UTF-8", e);
        if ((c->operator== CONSTRAINT_LESS || c->operator== CONSTRAINT_GREATER) &&
                !number_parse(value, &c->number))
                return refuse(text, "what is compared by < or > is a number", e);
        if (c->operator== CONSTRAINT_MATCHES) {
                _cleanup_free_ char *shown = text_for_message(text, SHOWN);
                _cleanup_free_ char *field = xasprintf("'%s'", shown);
                int r = regex_new(value, field, &c->regex, e);

                if (r < 0)
                        return r == -E2BIG ? -EINVAL : r;
        }
        c->value = xstrdup(value);
        return 0;
}

int constraint_parse(const char *text, struct constraint *ret, struct error *e)
{
        struct constraint c = {.operator= CONSTRAINT_EXISTS };
        const char *name = text, *sign;
        size_t len, index;

        if (str_has_prefix(text, DISTINCT)) {
                c.operator= CONSTRAINT_DISTINCT;
                name += strlen(DISTINCT);
        } else if (*text == '!') {
                c.operator= CONSTRAINT_ABSENT;
                name++;
        }
        sign = c.operator== CONSTRAINT_EXISTS ? find_sign(text, &index) : NULL;
        len = sign ? (size_t)(sign - name) : strlen(name);
        if (!attribute_legal(name, len))
                return refuse(text,
                        "the attribute's name is not one (1 to 63 printable ASCII characters, no \"=!~<>:\")",
                        e);
        if (sign) {
                int r;

                c.operator= signs[index].operator;
                r = parse_value(text, sign + strlen(signs[index].text), &c, e);
                if (r < 0)
                        return r;
        }
        c.attribute = xstrndup(name, len);
        *ret = c;
        return 0;
}

void constraint_volume(const char *role, const char *id, struct constraint *ret)
{
        *ret = (struct constraint){
                .operator= CONSTRAINT_VOLUME,
                .attribute = xstrdup(role),
                .value = xstrdup(id),
        };
}

void constraint_done(struct constraint *c)
{
        free(c->attribute);
        free(c->value);
        regex_free(c->regex);
        *c = (struct constraint){};
}

void constraint_copy(const struct constraint *from, struct constraint *ret)
{
        *ret = (struct constraint){
                .operator= from->operator,
                .attribute = xstrdup(from->attribute),
                .value = xstrdup(from->value),
                .number = from->number,
                .regex = regex_ref(from->regex),
        };
}

char *constraint_to_string(const struct constraint *c)
{
        switch (c->operator) {
        case CONSTRAINT_EXISTS:
                return xstrdup(c->attribute);
        case CONSTRAINT_ABSENT:
                return xasprintf("!%s", c->attribute);
        case CONSTRAINT_DISTINCT:
                return xasprintf(DISTINCT "%s", c->attribute);
        case CONSTRAINT_VOLUME: /* no name of an attribute has a ':' */
                return xasprintf("volume:%s:%s", c->attribute, c->value);
        default:
                for (size_t i = 0; i < ELEMENTSOF(signs); i++)
                        if (signs[i].operator== c->operator)
                                return xasprintf("%s%s%s", c->attribute, signs[i].text, c->value);
                assert(!"an operator of constraint_parse()");
                return NULL;
        }
}

/* ---- asking ---- */

/* "{a,b}" */
static bool set_has(const char *set, const char *item)
{
        size_t len = strlen(item);

        for (const char *p = set + 1; *p;) {
                size_t n = strcspn(p, ",}");

                if (n == len && memcmp(p, item, len) == 0)
                        return true;
                p += n + (p[n] != 0);
        }
        return false;
}

/* "[1-10,20-20]" */
static bool ranges_have(const char *ranges, double number)
{
        for (const char *p = ranges + 1; *p;) {
                char *end;
                double begin = strtod(p, &end), last = begin;

                if (end == p)
                        return false;
                if (*end == '-')
                        last = strtod(end + 1, &end);
                if (number >= begin && number <= last)
                        return true;
                p = end + strcspn(end, ",]");
                p += *p != 0;
        }
        return false;
}

static bool value_equals(const char *have, const char *want)
{
        double a, b;

        if (str_equal(have, want))
                return true;
        if (*have == '{' && str_has_suffix(have, "}"))
                return set_has(have, want);
        if (!number_parse(want, &b))
                return false;
        if (*have == '[' && str_has_suffix(have, "]"))
                return ranges_have(have, b);
        return number_parse(have, &a) && a == b;
}

bool constraint_holds(const struct constraint *c, const struct machine *m)
{
        const char *value = machine_value(m, c->attribute);
        double number;

        switch (c->operator) {
        case CONSTRAINT_EQUAL:
                return value && value_equals(value, c->value);
        case CONSTRAINT_NOT_EQUAL:
                return !value || !value_equals(value, c->value);
        case CONSTRAINT_MATCHES:
                return value && regex_matches(c->regex, value);
        case CONSTRAINT_LESS:
                return value && number_parse(value, &number) && number < c->number;
        case CONSTRAINT_GREATER:
                return value && number_parse(value, &number) && number > c->number;
        case CONSTRAINT_EXISTS:
        case CONSTRAINT_DISTINCT: /* between the tasks of a job on machines that have it at all */
                return value;
        case CONSTRAINT_ABSENT:
                return !value;
        case CONSTRAINT_VOLUME:
                return resources_find_volume(&m->total, c->attribute, c->value);
        default:
                return true;
        }
}
