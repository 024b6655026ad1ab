/* The text form of resource vectors: "cpus:0.5;cpus(role):2;mem:64;ports:[31000-32000,33000-33000];disks:{a,b}". */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/resources.h"
#include "lib/base/utf8.h"

static void put_scalar(struct buffer *b, uint64_t milli)
{
        unsigned fraction = (unsigned)(milli % 1000), digits = 3;

        buffer_printf(b, "%" PRIu64, milli / 1000);
        if (fraction == 0)
                return;
        for (; fraction % 10 == 0; fraction /= 10)
                digits--;
        buffer_printf(b, ".%0*u", (int)digits, fraction);
}

static void put_traits(struct buffer *b, const struct resource_traits *t)
{
        const char *role = resource_traits_role(t);

        if (role)
                buffer_printf(b, "(%s)", role);
        if (t && t->volume_id)
                buffer_printf(b, "[%s:%s]", t->volume_id, t->container_path ?: "");
        if (t && t->revocable)
                buffer_puts(b, "{revocable}");
}

char *resources_to_string(const struct resources *r)
{
        _cleanup_buffer_ struct buffer b = {};

        for (size_t i = 0; i < r->count; i++) {
                const struct resource *e = &r->entries[i];

                buffer_printf(&b, "%s%s", i > 0 ? ";" : "", e->name);
                put_traits(&b, e->traits);
                buffer_puts(&b, ":");
                switch (e->kind) {
                case RESOURCE_SCALAR:
                        put_scalar(&b, e->milli);
                        break;
                case RESOURCE_RANGES:
                        for (size_t k = 0; k < e->range_count; k++)
                                buffer_printf(&b, "%s%" PRIu64 "-%" PRIu64, k > 0 ? "," : "[",
                                        e->ranges[k].begin, e->ranges[k].end);
                        buffer_puts(&b, "]");
                        break;
                case RESOURCE_SET:
                        for (size_t k = 0; k < e->item_count; k++)
                                buffer_printf(&b, "%s%s", k > 0 ? "," : "{", e->items[k]);
                        buffer_puts(&b, "}");
                        break;
                }
        }
        return buffer_take(&b);
}

/* Cuts white space at both ends, in place. */
static char *trim(char *s)
{
        size_t len;

        s += strspn(s, " \t\n");
        len = strlen(s);
        while (len > 0 && strchr(" \t\n", s[len - 1]))
                s[--len] = '\0';
        return s;
}

static int refuse(struct error *e, const char *name, const char *text, const char *what)
{
        _cleanup_free_ char *shown_name = text_for_message(name, TEXT_FOR_MESSAGE_BYTES);
        _cleanup_free_ char *shown = text_for_message(text, TEXT_FOR_MESSAGE_BYTES);

        return error_set(
                e, -EINVAL, "resource '%s': '%s' is not valid: expected %s", shown_name, shown, what);
}

static int parse_scalar(struct resources *r, const char *name, const char *text, struct error *e)
{
        uint64_t milli, others = resources_scalar(r, name);
        int error;

        error = parse_milli(text, RESOURCE_MILLI_MAX, &milli);
        if (error == 0 && milli > RESOURCE_MILLI_MAX - MIN(RESOURCE_MILLI_MAX, others))
                error = -ERANGE;
        if (error == -ERANGE)
                return refuse(e, name, text, "at most 9007199254.74");
        if (error < 0)
                return refuse(
                        e, name, text, "a number with at most three decimals, [BEGIN-END,...] or {ITEM,...}");
        /* Written twice means the sum, as in Mesos. */
        resources_set_scalar(r, name, resources_plain_scalar(r, name) + milli);
        return 0;
}

static int parse_range(struct resources *r, const char *name, char *text, struct error *e)
{
        static const char form[] = "ranges such as [31000-32000,33000-33010] with begin not above end";
        _cleanup_free_ char *whole = xstrdup(text);
        char *dash = strchr(text, '-');
        uint64_t begin, end;
        int error;

        if (!dash)
                return refuse(e, name, whole, form);
        *dash = '\0';
        if (parse_u64(trim(text), UINT64_MAX, &begin) < 0 || parse_u64(trim(dash + 1), UINT64_MAX, &end) < 0)
                return refuse(e, name, whole, form);
        error = resources_add_range(r, name, begin, end);
        if (error == -E2BIG)
                return refuse(e, name, whole, "fewer ranges");
        return error < 0 ? refuse(e, name, whole, form) : 0;
}

static int parse_item(struct resources *r, const char *name, char *text, struct error *e)
{
        if (strpbrk(text, "{}[];"))
                return refuse(e, name, text, "items without brackets and ';'");
        resources_add_item(r, name, text);
        return 0;
}

/* The inside of brackets: members between commas. */
static int parse_members(struct resources *r, const char *name, char *text, char close, struct error *e)
{
        size_t len = strlen(text);
        char *next = text + 1;
        int error;

        if (len < 2 || text[len - 1] != close)
                return refuse(e, name, text, close == ']' ? "a closing ']'" : "a closing '}'");
        text[len - 1] = '\0';
        if (!*trim(next))
                return 0;
        while (next) {
                char *member = strsep(&next, ",");

                member = trim(member);
                if (!*member)
                        return refuse(e, name, member, "a member between the commas");
                error = close == ']' ? parse_range(r, name, member, e) : parse_item(r, name, member, e);
                if (error < 0)
                        return error;
        }
        return 0;
}

static int parse_value(struct resources *r, const char *name, char *value, struct error *e)
{
        if (*value == '[')
                return parse_members(r, name, value, ']', e);
        if (*value == '{')
                return parse_members(r, name, value, '}', e);
        return parse_scalar(r, name, value, e);
}

/* Into r with a static reservation. The amount is bounded together with what is there. */
static int parse_reserved(struct resources *r, const char *name, char *role, char *value, struct error *e)
{
        _cleanup_resources_ struct resources plain = {}, reserved = {};
        int error;

        error = role_validate(role, "resource", e);
        if (error < 0)
                return error;
        if (str_equal(role, "*"))
                return parse_value(r, name, value, e);
        error = parse_value(&plain, name, value, e);
        if (error < 0)
                return error;
        if (resources_scalar(&plain, name) >
                RESOURCE_MILLI_MAX - MIN(RESOURCE_MILLI_MAX, resources_scalar(r, name)))
                return refuse(e, name, value, "at most 9007199254.74");
        resources_push_reservation(&plain, &(struct resource_reservation){.role = role}, &reserved);
        resources_add(r, &reserved);
        return 0;
}

/* NAME:VALUE, or NAME(ROLE):VALUE. */
static int parse_entry(struct resources *r, char *entry, struct error *e)
{
        char *end = strpbrk(entry, "(:"), *name, *role = NULL;

        if (end && *end == '(') {
                *end = '\0';
                role = end + 1;
                end = strchr(role, ')');
                if (!end || end[1 + strspn(end + 1, " \t\n")] != ':')
                        return refuse(e, entry, role, "NAME(ROLE):VALUE");
                *end = '\0';
                end += 1 + strspn(end + 1, " \t\n");
        }
        if (!end)
                return refuse(e, entry, entry, "NAME:VALUE");
        *end = '\0';
        name = trim(entry);
        if (!resource_name_valid(name))
                return refuse(e, name, name, "a name of 1 to 63 printable ASCII characters without brackets");
        if (role)
                return parse_reserved(r, name, trim(role), trim(end + 1), e);
        return parse_value(r, name, trim(end + 1), e);
}

int resources_parse(const char *s, struct resources *ret, struct error *e)
{
        _cleanup_free_ char *copy = xstrdup(s);
        _cleanup_resources_ struct resources r = {};
        char *next = copy;

        while (next) {
                char *entry = trim(strsep(&next, ";"));
                int error;

                if (!*entry)
                        continue;
                error = parse_entry(&r, entry, e);
                if (error < 0)
                        return error;
        }
        *ret = r;
        r = (struct resources){};
        return 0;
}
