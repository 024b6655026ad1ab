#include "tools/mete/amounts.h"

#include <stdlib.h>
#include <string.h>

#include "lib/net/codec.h"

#define MIB 1048576.0

static bool is_size(const char *resource)
{
        return str_equal(resource, "mem") || str_equal(resource, "disk");
}

/* A number alone would be bytes here and MiB in Mesos: the unit is asked for. */
static int parse_mib(const char *text, double *ret)
{
        size_t digits = strspn(text, "0123456789.");
        uint64_t bytes;
        int r;

        if (!text[digits] && !str_equal(text, "0"))
                return -EINVAL;
        r = parse_size(text, &bytes);
        if (r < 0)
                return r;
        *ret = (double)bytes / MIB;
        return 0;
}

int amount_parse_mib(const char *what, const char *text, double *ret, struct error *e)
{
        if (parse_mib(text, ret) < 0)
                return error_set(
                        e, -EINVAL, "%s '%s': expected a size with its unit, such as 512M or 4G", what, text);
        return 0;
}

static int parse_value(
        const char *whole, const char *resource, const char *text, double *ret, struct error *e)
{
        uint64_t milli;

        if (is_size(resource)) {
                if (parse_mib(text, ret) < 0)
                        return error_set(e, -EINVAL,
                                "'%s': expected a size with its unit for %s, such as %s=4G", whole, resource,
                                resource);
                return 0;
        }
        if (parse_milli(text, INT64_MAX, &milli) < 0)
                return error_set(e, -EINVAL,
                        "'%s': expected a number with at most three decimals, such as %s=2", whole, resource);
        *ret = (double)milli / 1000;
        return 0;
}

/* "name=rest": the name is the caller's to free. */
static int split(
        const char *text, const char *example, char **ret_name, const char **ret_value, struct error *e)
{
        const char *equals = strchr(text, '=');

        if (!equals || equals == text || !equals[1])
                return error_set(e, -EINVAL, "'%s': expected RESOURCE=%s", text, example);
        *ret_name = xstrndup(text, (size_t)(equals - text));
        *ret_value = equals + 1;
        return 0;
}

int amount_parse(const char *text, Mete__Api__Amount **ret, struct error *e)
{
        _cleanup_free_ char *name = NULL;
        const char *value = NULL;
        double amount = 0;
        int r = split(text, "AMOUNT, such as cpus=2 or mem=4G", &name, &value, e);

        if (r == 0)
                r = parse_value(text, name, value, &amount, e);
        if (r < 0)
                return r;
        *ret = NEW0(Mete__Api__Amount);
        mete__api__amount__init(*ret);
        (*ret)->resource = TAKE_PTR(name);
        (*ret)->value = amount;
        return 0;
}

int quota_parse(const char *text, Mete__Api__Quota **ret, struct error *e)
{
        _cleanup_free_ char *name = NULL, *guarantee = NULL;
        Mete__Api__Quota quota = METE__API__QUOTA__INIT;
        const char *value = NULL, *colon;
        int r = split(text, "GUARANTEE[:LIMIT], such as cpus=2:4 or mem=4G:8G; cpus=:4 for a limit alone",
                &name, &value, e);

        if (r < 0)
                return r;
        colon = strchr(value, ':');
        guarantee = xstrndup(value, colon ? (size_t)(colon - value) : strlen(value));
        if (*guarantee) {
                quota.has_guarantee = true;
                r = parse_value(text, name, guarantee, &quota.guarantee, e);
        }
        if (r == 0 && colon && colon[1]) {
                quota.has_limit = true;
                r = parse_value(text, name, colon + 1, &quota.limit, e);
        }
        if (r == 0 && !quota.has_guarantee && !quota.has_limit)
                r = error_set(e, -EINVAL,
                        "'%s': expected a guarantee, a limit, or both: cpus=2, cpus=:4, cpus=2:4", text);
        if (r < 0)
                return r;
        *ret = xmemdup(&quota, sizeof(quota));
        (*ret)->resource = TAKE_PTR(name);
        return 0;
}

const char *amount_text(const char *resource, double value, char buf[static TEXT_MAX])
{
        return is_size(resource) && value >= 0 ? text_size((uint64_t)(value * MIB), buf)
                                               : text_cores(value, buf);
}

char *amounts_text(Mete__Api__Amount *const *amounts, size_t count)
{
        _cleanup_buffer_ struct buffer b = {0};
        char text[TEXT_MAX];

        for (size_t i = 0; i < count; i++)
                buffer_printf(&b, "%s%s %s", i ? ", " : "", amounts[i]->resource,
                        amount_text(amounts[i]->resource, amounts[i]->value, text));
        return count ? buffer_take(&b) : xstrdup("nothing");
}
