/* Numbers as people and protocols write them. Every parser takes the whole string and leaves *ret alone when
 * it fails. */
#include <limits.h>
#include <string.h>
#include <strings.h>

#include "lib/base/time.h"
#include "lib/base/util.h"

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

/*
 * Digits up to the first other character, which *end points to. -EINVAL without a digit; -ERANGE when the
 * value does not fit, and then *end is set all the same, so that "malformed" can be told before "too large".
 */
static int scan_u64(const char *s, const char **end, uint64_t *ret)
{
        uint64_t v = 0;
        int r = 0;

        if (!is_digit(*s))
                return -EINVAL;
        for (; is_digit(*s); s++)
                if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
                        r = -ERANGE;
        *end = s;
        if (r == 0)
                *ret = v;
        return r;
}

int parse_u64(const char *s, uint64_t max, uint64_t *ret)
{
        const char *end;
        uint64_t v = 0;
        int r;

        if (!s)
                return -EINVAL;
        r = scan_u64(s, &end, &v);
        if (r == -EINVAL || *end)
                return -EINVAL;
        if (r < 0 || v > max)
                return -ERANGE;
        *ret = v;
        return 0;
}

int parse_u32(const char *s, uint32_t max, uint32_t *ret)
{
        uint64_t v;
        int r = parse_u64(s, max, &v);

        if (r < 0)
                return r;
        *ret = (uint32_t)v;
        return 0;
}

/* A decimal number as integer part and fraction of 10^-9; `decimals` is how many were written (at most 9). */
struct decimal {
        uint64_t integer;
        uint32_t nano;
        unsigned decimals;
        bool too_large;
};

static int scan_decimal(const char *s, const char **end, struct decimal *ret)
{
        struct decimal d = {};
        uint32_t weight = 100000000;
        int r;

        *end = s;
        /* ".5" is how some people write a half: accepted, since it cannot mean anything else. */
        if (*s != '.') {
                r = scan_u64(s, end, &d.integer);
                if (r == -EINVAL)
                        return r;
                d.too_large = r == -ERANGE;
        }
        if (**end == '.') {
                for (s = *end + 1; is_digit(*s); s++, weight /= 10) {
                        if (++d.decimals > 9)
                                return -EINVAL;
                        d.nano += (uint32_t)(*s - '0') * weight;
                }
                if (d.decimals == 0)
                        return -EINVAL;
                *end = s;
        }
        *ret = d;
        return 0;
}

/* number * unit, rounded down. */
static int decimal_scale(const struct decimal *d, uint64_t unit, uint64_t *ret)
{
        unsigned __int128 v;

        if (d->too_large)
                return -ERANGE;
        v = (unsigned __int128)d->integer * unit + (unsigned __int128)d->nano * unit / NSEC_PER_SEC;
        if (v > UINT64_MAX)
                return -ERANGE;
        *ret = (uint64_t)v;
        return 0;
}

int parse_size(const char *s, uint64_t *ret_bytes)
{
        static const char letters[] = "kmgtpe";
        const char *end, *letter;
        struct decimal d;
        uint64_t unit = 1;
        int r;

        if (!s)
                return -EINVAL;
        r = scan_decimal(s, &end, &d);
        if (r < 0)
                return r;
        letter = *end ? strchr(letters, *end | 0x20) : NULL;
        if (letter) {
                unit <<= 10 * (unsigned)(letter - letters + 1);
                end++;
                if (strcasecmp(end, "i") != 0 && strcasecmp(end, "ib") != 0 && strcasecmp(end, "b") != 0 &&
                        *end)
                        return -EINVAL;
        } else if (*end && strcasecmp(end, "b") != 0) {
                return -EINVAL;
        }
        /* A fraction of a byte is a typing error. */
        if (unit == 1 && d.decimals > 0)
                return -EINVAL;
        return decimal_scale(&d, unit, ret_bytes);
}

int parse_milli(const char *s, uint64_t max_milli, uint64_t *ret_milli)
{
        const char *end;
        struct decimal d;
        uint64_t v;
        int r;

        if (!s)
                return -EINVAL;
        r = scan_decimal(s, &end, &d);
        if (r < 0)
                return r;
        if (*end || d.decimals > 3)
                return -EINVAL;
        r = decimal_scale(&d, 1000, &v);
        if (r < 0 || v > max_milli)
                return -ERANGE;
        *ret_milli = v;
        return 0;
}

int parse_duration_ns(const char *s, uint64_t *ret_ns)
{
        /* The long names are those that Mesos flags use. */
        static const struct {
                const char *name;
                uint64_t ns;
        } units[] = {
                {"", NSEC_PER_SEC},
                {"ns", 1},
                {"us", NSEC_PER_USEC},
                {"ms", NSEC_PER_MSEC},
                {"s", NSEC_PER_SEC},
                {"secs", NSEC_PER_SEC},
                {"m", 60 * NSEC_PER_SEC},
                {"mins", 60 * NSEC_PER_SEC},
                {"h", 3600 * NSEC_PER_SEC},
                {"hrs", 3600 * NSEC_PER_SEC},
                {"d", 86400 * NSEC_PER_SEC},
                {"days", 86400 * NSEC_PER_SEC},
                {"weeks", 7 * 86400 * NSEC_PER_SEC},
        };
        const char *end;
        struct decimal d;
        int r;

        if (!s)
                return -EINVAL;
        r = scan_decimal(s, &end, &d);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(units); i++)
                if (str_equal(end, units[i].name))
                        return decimal_scale(&d, units[i].ns, ret_ns);
        return -EINVAL;
}
