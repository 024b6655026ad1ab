#include "master/frameworks/validate_framework.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/id.h"
#include "lib/base/utf8.h"

static int compare_text(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_multi_role(const Mete__V1__FrameworkInfo *info)
{
        for (size_t i = 0; i < info->n_capabilities; i++)
                if (info->capabilities[i]->type == METE__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__MULTI_ROLE)
                        return true;
        return false;
}

/* Sorted, borrowed; the array is the caller's. */
static const char **roles_of(const Mete__V1__FrameworkInfo *info, size_t *ret_count)
{
        bool multi = is_multi_role(info);
        size_t count = multi ? info->n_roles : 1;
        const char **roles = xcalloc(count + 1, sizeof(char *));

        if (!multi)
                roles[0] = info->role ? info->role : "*";
        else if (count > 0)
                memcpy(roles, info->roles, count * sizeof(char *));
        qsort(roles, count, sizeof(char *), compare_text);
        *ret_count = count;
        return roles;
}

static int check_roles(const Mete__V1__FrameworkInfo *info, struct error *e)
{
        const ProtobufCFieldDescriptor *role = protobuf_c_message_descriptor_get_field_by_name(
                &mete__v1__framework_info__descriptor, "role");
        bool multi = is_multi_role(info), has_role = info->role && info->role != role->default_value;
        size_t count;

        if (multi && has_role)
                return error_set(e, -EINVAL,
                        "framework_info.role must not be set with the capability MULTI_ROLE: expected roles");
        if (!multi && info->n_roles > 0)
                return error_set(e, -EINVAL,
                        "framework_info.roles needs the capability MULTI_ROLE: expected role without it");
        if (info->n_roles > FRAMEWORK_ROLES_MAX)
                return error_set(e, -E2BIG, "framework_info.roles has %zu roles: at most %d are accepted",
                        info->n_roles, FRAMEWORK_ROLES_MAX);
        _cleanup_free_ const char **roles = roles_of(info, &count);

        for (size_t i = 0; i < count; i++) {
                int r = role_validate(roles[i], multi ? "framework_info.roles" : "framework_info.role", e);

                if (r < 0)
                        return r;
                if (i > 0 && str_equal(roles[i], roles[i - 1]))
                        return error_set(e, -EINVAL,
                                "framework_info.roles names '%s' twice: expected each role once", roles[i]);
        }
        return 0;
}

static int check_subset(
        const char **roles, size_t count, const char *role, const char *field, struct error *e)
{
        _cleanup_free_ char *shown = NULL;

        if (bsearch(&role, roles, count, sizeof(char *), compare_text))
                return 0;
        shown = text_for_message(role, TEXT_FOR_MESSAGE_BYTES);
        return error_set(e, -EINVAL, "%s: '%s' is not one of the roles of the framework", field, shown);
}

/* ---- the rest ---- */

static int check_text(const char *text, const char *field, struct error *e)
{
        if (!text)
                return 0;
        if (strlen(text) > FRAMEWORK_TEXT_MAX)
                return error_set(e, -E2BIG, "%s has %zu bytes: at most %d are accepted", field, strlen(text),
                        FRAMEWORK_TEXT_MAX);
        for (const char *p = text; *p; p++)
                if ((unsigned char)*p < ' ' || *p == 0x7f)
                        return error_set(e, -EINVAL, "%s has a control character: expected text", field);
        return 0;
}

static int check_texts(const Mete__V1__FrameworkInfo *info, struct error *e)
{
        const struct {
                const char *text, *field;
        } texts[] = {
                {info->name, "framework_info.name"},
                {info->user, "framework_info.user"},
                {info->hostname, "framework_info.hostname"},
                {info->principal, "framework_info.principal"},
                {info->webui_url, "framework_info.webui_url"},
        };
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(texts) && r >= 0; i++)
                r = check_text(texts[i].text, texts[i].field, e);
        return r;
}

static int check_offer_filters(const Mete__V1__FrameworkInfo *info, struct error *e)
{
        size_t count;
        int r = 0;

        if (info->n_offer_filters > FRAMEWORK_ROLES_MAX)
                return error_set(e, -E2BIG, "framework_info.offer_filters has %zu roles: at most %d",
                        info->n_offer_filters, FRAMEWORK_ROLES_MAX);
        _cleanup_free_ const char **roles = roles_of(info, &count);

        for (size_t i = 0; i < info->n_offer_filters && r >= 0; i++)
                r = check_subset(
                        roles, count, info->offer_filters[i]->key, "framework_info.offer_filters", e);
        return r;
}

int framework_info_validate(const Mete__V1__FrameworkInfo *info, struct error *e)
{
        size_t size = protobuf_c_message_get_packed_size(&info->base);
        int r = 0;

        if (size > FRAMEWORK_BYTES_MAX)
                return error_set(e, -E2BIG, "framework_info has %zu bytes: at most %u are accepted", size,
                        FRAMEWORK_BYTES_MAX);
        if (info->id && !str_empty(info->id->value))
                r = id_validate(info->id->value, "framework_info.id.value", e);
        if (r >= 0)
                r = check_texts(info, e);
        if (r >= 0)
                r = check_roles(info, e);
        if (r >= 0 &&
                !(info->failover_timeout >= 0 && info->failover_timeout <= FAILOVER_TIMEOUT_MAX_SECONDS))
                r = error_set(e, -EINVAL, "framework_info.failover_timeout: %g is not from 0 to %.0f seconds",
                        info->failover_timeout, FAILOVER_TIMEOUT_MAX_SECONDS);
        if (r >= 0)
                r = check_offer_filters(info, e);
        return r;
}

int framework_roles_check(const Mete__V1__FrameworkInfo *info, char *const *suppressed,
        size_t suppressed_count, const Mete__V1__Scheduler__OfferConstraints *constraints, struct error *e)
{
        size_t count, constrained = constraints ? constraints->n_role_constraints : 0;
        _cleanup_free_ const char **roles = roles_of(info, &count);
        int r = 0;

        if (suppressed_count > FRAMEWORK_ROLES_MAX || constrained > FRAMEWORK_ROLES_MAX)
                return error_set(e, -E2BIG,
                        "suppressed_roles or offer_constraints.role_constraints has more than %d roles",
                        FRAMEWORK_ROLES_MAX);
        for (size_t i = 0; i < suppressed_count && r >= 0; i++)
                r = check_subset(roles, count, suppressed[i], "suppressed_roles", e);
        for (size_t i = 0; i < constrained && r >= 0; i++)
                r = check_subset(roles, count, constraints->role_constraints[i]->key,
                        "offer_constraints.role_constraints", e);
        return r;
}
