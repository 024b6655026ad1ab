#include "master/operator/quota_message.h"

#include "lib/base/utf8.h"

void quota_to_message(const struct allocator_quota *q, Mete__Api__Quota *ret)
{
        mete__api__quota__init(ret);
        ret->resource = (char *)q->name;
        ret->has_guarantee = q->guarantee_milli > 0;
        ret->guarantee = milli_to_double(q->guarantee_milli);
        ret->has_limit = q->limit_milli != QUOTA_NO_LIMIT;
        ret->limit = ret->has_limit ? milli_to_double(q->limit_milli) : 0;
}

static int quota_amount(const char *resource, const char *what, double value, uint64_t *ret, struct error *e)
{
        int r = milli_from_double(value, ret);

        if (r >= 0)
                return 0;
        return error_set(e, -EINVAL,
                "%s: a %s of %g is not accepted: at least 0 and at most %.0f is expected", resource, what,
                value, milli_to_double(RESOURCE_MILLI_MAX));
}

int quota_from_message(const Mete__Api__Quota *m, struct allocator_quota *ret, struct error *e)
{
        _cleanup_free_ char *shown = text_for_message(m->resource, TEXT_FOR_MESSAGE_BYTES);
        int r = 0;

        *ret = (struct allocator_quota){.limit_milli = QUOTA_NO_LIMIT};
        if (!resource_name_valid(m->resource))
                return error_set(e, -EINVAL,
                        "'%s' is no name of a resource: cpus, mem, disk or another scalar is expected",
                        shown);
        if (str_equal(m->resource, "ports") || str_equal(m->resource, "cores"))
                return error_set(e, -EINVAL,
                        "%s are no amount but single numbers: cpus, mem, disk or another scalar is expected",
                        m->resource);
        if (!m->has_guarantee && !m->has_limit)
                return error_set(
                        e, -EINVAL, "%s has neither a guarantee nor a limit: one is expected", m->resource);
        (void)snprintf(ret->name, sizeof(ret->name), "%s", m->resource);
        if (m->has_guarantee)
                r = quota_amount(m->resource, "guarantee", m->guarantee, &ret->guarantee_milli, e);
        if (r >= 0 && m->has_limit)
                r = quota_amount(m->resource, "limit", m->limit, &ret->limit_milli, e);
        if (r < 0)
                return r;
        if (ret->limit_milli < ret->guarantee_milli)
                return error_set(e, -EINVAL,
                        "%s: the limit %g is below the guarantee %g: at least that is expected", m->resource,
                        m->limit, m->guarantee);
        return 0;
}

int quotas_from_call(const Mete__Api__Call__SetQuota *call, struct allocator_quota *ret,
        const char **ret_field, struct error *e)
{
        *ret_field = "quotas";
        if (call->n_quotas > ROLE_QUOTAS_MAX)
                return error_set(e, -EINVAL, "%zu resources are named: at most %d are accepted",
                        call->n_quotas, ROLE_QUOTAS_MAX);
        for (size_t i = 0; i < call->n_quotas; i++) {
                int r = quota_from_message(call->quotas[i], &ret[i], e);

                for (size_t j = 0; j < i && r >= 0; j++)
                        if (str_equal(ret[i].name, ret[j].name))
                                r = error_set(e, -EINVAL, "%s is named twice: each resource once is expected",
                                        ret[i].name);
                if (r < 0)
                        return r;
        }
        return 0;
}
