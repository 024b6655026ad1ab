#include "sdk/executor_environment.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/time.h"
#include "lib/base/util.h"

#define DURATION_MAX_NS (UINT64_C(3650) * 86400 * NSEC_PER_SEC)

static const struct {
        const char *name;
        uint64_t ns;
} units[] = {
        {"ns", 1},
        {"us", NSEC_PER_USEC},
        {"ms", NSEC_PER_MSEC},
        {"secs", NSEC_PER_SEC},
        {"mins", 60 * NSEC_PER_SEC},
        {"hrs", 3600 * NSEC_PER_SEC},
        {"days", 86400 * NSEC_PER_SEC},
        {"weeks", 7 * 86400 * NSEC_PER_SEC},
};

int executor_duration_parse(const char *s, uint64_t *ret_ns)
{
        size_t digits = strspn(s, "0123456789."), unit = 0;
        _cleanup_free_ char *number = xstrndup(s, digits);
        uint64_t milli, ns;

        while (unit < ELEMENTSOF(units) && !str_equal(units[unit].name, s + digits))
                unit++;
        /* Thousandths are fine enough for what agents say: more decimals are cut off. */
        if (strchr(number, '.') && strlen(strchr(number, '.')) > 4)
                strchr(number, '.')[4] = '\0';
        if (unit == ELEMENTSOF(units) || parse_milli(number, UINT32_MAX, &milli) < 0)
                return -EINVAL;
        if (__builtin_mul_overflow(milli, units[unit].ns, &ns) || ns / 1000 > DURATION_MAX_NS)
                return -EINVAL;
        *ret_ns = ns / 1000;
        return 0;
}

static const char *variable(const char *name)
{
        const char *value = getenv(name);

        return str_empty(value) ? NULL : value;
}

static int read_duration(const char *name, uint64_t fallback_ns, uint64_t *ret_ns, struct error *e)
{
        const char *value = variable(name);

        *ret_ns = fallback_ns;
        if (value && executor_duration_parse(value, ret_ns) < 0)
                return error_set(
                        e, -EINVAL, "%s is '%s': expected a duration as 5secs or 15mins", name, value);
        return 0;
}

static int read_required(const char *name, char **ret, struct error *e)
{
        const char *value = variable(name);

        if (!value)
                return error_set(e, -EINVAL, "%s is not set: executors are started by an agent", name);
        *ret = xstrdup(value);
        return 0;
}

static int read_all(struct executor_environment *v, struct error *e)
{
        const char *checkpoint = variable("MESOS_CHECKPOINT");
        int r;

        r = read_required("MESOS_FRAMEWORK_ID", &v->framework_id, e);
        if (r == 0)
                r = read_required("MESOS_EXECUTOR_ID", &v->executor_id, e);
        v->socket = xstrdup(variable("MESOS_DOMAIN_SOCKET"));
        v->token = xstrdup(variable("MESOS_EXECUTOR_AUTHENTICATION_TOKEN"));
        if (r == 0 && !v->socket)
                r = read_required("MESOS_AGENT_ENDPOINT", &v->agent, e);
        v->checkpoint = checkpoint && !str_equal(checkpoint, "0") && !str_equal(checkpoint, "false");
        if (r == 0)
                r = read_duration(
                        "MESOS_RECOVERY_TIMEOUT", 15 * 60 * NSEC_PER_SEC, &v->recovery_timeout_ns, e);
        if (r == 0)
                r = read_duration("MESOS_SUBSCRIPTION_BACKOFF_MAX", 2 * NSEC_PER_SEC, &v->backoff_max_ns, e);
        if (r == 0)
                r = read_duration(
                        "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", 5 * NSEC_PER_SEC, &v->shutdown_grace_ns, e);
        return r;
}

int executor_environment_read(struct executor_environment *ret, struct error *e)
{
        struct executor_environment v = {0};
        int r = read_all(&v, e);

        if (r < 0)
                executor_environment_done(&v);
        else
                *ret = v;
        return r;
}

void executor_environment_done(struct executor_environment *v)
{
        free(v->framework_id);
        free(v->executor_id);
        free(v->agent);
        free(v->socket);
        free(v->token);
        *v = (struct executor_environment){0};
}
