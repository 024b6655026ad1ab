#include <math.h>
#include <string.h>
#include <time.h>

#include "lib/base/time.h"
#include "tools/mete/text.h"

/* Whole text, one of the forms; false for what no calendar has (2026-02-31). */
static bool parse_calendar(const char *text, double *ret)
{
        static const char *const forms[] = {
                "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d"};

        for (size_t i = 0; i < ELEMENTSOF(forms); i++) {
                struct tm tm = {.tm_isdst = -1}, same;
                const char *end = strptime(text, forms[i], &tm);
                bool utc = str_equal(end, "Z");
                time_t t;

                if (!end || (*end && !utc))
                        continue;
                same = tm;
                t = utc ? timegm(&same) : mktime(&same);
                if (t == (time_t)-1 || same.tm_mday != tm.tm_mday)
                        return false;
                *ret = (double)t;
                return true;
        }
        return false;
}

int text_parse_time(
        const char *what, const char *text, enum time_side side, double now, double *ret, struct error *e)
{
        bool plus = text[0] == '+';
        uint64_t number;

        if (text[0] == '@' && parse_u64(text + 1, UINT32_MAX, &number) == 0) {
                *ret = (double)number;
                return 0;
        }
        if (str_equal(text, "now")) {
                *ret = now;
                return 0;
        }
        if (parse_duration_ns(plus ? text + 1 : text, &number) == 0 && !(plus && side == TIME_PAST)) {
                double distance = (double)number / (double)NSEC_PER_SEC;

                *ret = side == TIME_PAST ? now - distance : now + distance;
                return 0;
        }
        if (parse_calendar(text, ret))
                return 0;
        return error_set(e, -EINVAL, "%s '%s': expected %s, or a time such as \"2026-11-23 18:00\"", what,
                text, side == TIME_PAST ? "how long ago, such as 2h" : "how long from now, such as +2h");
}

const char *text_time(double seconds, double now, char buf[static TEXT_MAX])
{
        time_t t = (time_t)seconds, today = (time_t)now;
        struct tm tm, tm_now;
        bool same_day;

        if (!localtime_r(&t, &tm) || !localtime_r(&today, &tm_now)) {
                snprintf(buf, TEXT_MAX, "@%.0f", seconds);
                return buf;
        }
        same_day = tm.tm_year == tm_now.tm_year && tm.tm_yday == tm_now.tm_yday;
        (void)strftime(buf, TEXT_MAX, same_day ? "%H:%M:%S" : "%Y-%m-%d %H:%M", &tm);
        return buf;
}

const char *text_rough(double seconds, char buf[static TEXT_MAX])
{
        static const struct {
                const char *unit, *below;
                uint64_t seconds, below_seconds;
        } units[] = {{"d", "h", 86400, 3600}, {"h", "m", 3600, 60}, {"m", "s", 60, 1}, {"s", "", 1, 1}};
        uint64_t whole = seconds > 0 && seconds < 1e15 ? (uint64_t)rint(seconds) : 0;
        size_t i = 0;
        unsigned long long first, second;

        while (i + 1 < ELEMENTSOF(units) && whole < units[i].seconds)
                i++;
        first = whole / units[i].seconds;
        second = whole % units[i].seconds / units[i].below_seconds;
        /* From ten on the next smaller unit says nothing that is sure. */
        if (second > 0 && first < 10)
                snprintf(buf, TEXT_MAX, "%llu%s%llu%s", first, units[i].unit, second, units[i].below);
        else
                snprintf(buf, TEXT_MAX, "%llu%s", first, units[i].unit);
        return buf;
}

const char *text_distance_in_time(double seconds, double now, char buf[static TEXT_MAX])
{
        double distance = seconds - now;
        char text[TEXT_MAX];

        if (distance > -1 && distance < 1)
                snprintf(buf, TEXT_MAX, "now");
        else if (distance > 0)
                snprintf(buf, TEXT_MAX, "in about %.32s", text_rough(distance, text));
        else
                snprintf(buf, TEXT_MAX, "%.32s ago", text_rough(-distance, text));
        return buf;
}
