#include "tools/mete/roles_table.h"

#include <stdlib.h>

#include "lib/base/option.h"
#include "tools/mete/amounts.h"

static const struct column role_columns[] = {
        {"ROLE", COLUMN_LEFT},
        {"WEIGHT", COLUMN_RIGHT},
        {"SHARE", COLUMN_RIGHT},
        {"FRAMEWORKS", COLUMN_RIGHT},
        {"QUEUE", COLUMN_LEFT},
        {"RESOURCE", COLUMN_LEFT},
        {"USED", COLUMN_RIGHT},
        {"RESERVED", COLUMN_RIGHT},
        {"GUARANTEE", COLUMN_RIGHT},
        {"LIMIT", COLUMN_RIGHT},
};

static const struct column quota_columns[] = {
        {"ROLE", COLUMN_LEFT},
        {"RESOURCE", COLUMN_LEFT},
        {"GUARANTEE", COLUMN_RIGHT},
        {"LIMIT", COLUMN_RIGHT},
        {"CONSUMED", COLUMN_RIGHT},
};

static const Mete__Api__Amount *find_amount(
        Mete__Api__Amount *const *amounts, size_t count, const char *resource)
{
        for (size_t i = 0; i < count; i++)
                if (str_equal(amounts[i]->resource, resource))
                        return amounts[i];
        return NULL;
}

static const Mete__Api__Quota *find_quota(const Mete__Api__Role *role, const char *resource)
{
        for (size_t i = 0; i < role->n_quotas; i++)
                if (str_equal(role->quotas[i]->resource, resource))
                        return role->quotas[i];
        return NULL;
}

static void add_name(struct string_list *names, const char *name)
{
        for (size_t i = 0; i < names->count; i++)
                if (str_equal(names->items[i], name))
                        return;
        string_list_add(names, name);
}

/* cpus, mem and disk first where there are any, then the rest as they come. */
static void resources_of(const Mete__Api__Role *role, struct string_list *ret)
{
        static const char *const first[] = {"cpus", "mem", "disk"};

        for (size_t i = 0; i < ELEMENTSOF(first); i++)
                if (find_amount(role->allocated, role->n_allocated, first[i]) ||
                        find_amount(role->reserved, role->n_reserved, first[i]) || find_quota(role, first[i]))
                        add_name(ret, first[i]);
        for (size_t i = 0; i < role->n_allocated; i++)
                add_name(ret, role->allocated[i]->resource);
        for (size_t i = 0; i < role->n_reserved; i++)
                add_name(ret, role->reserved[i]->resource);
        for (size_t i = 0; i < role->n_quotas; i++)
                add_name(ret, role->quotas[i]->resource);
}

static void cell_amount(struct table *t, const char *resource, bool known, double value)
{
        char text[TEXT_MAX];

        table_cell(t, known ? amount_text(resource, value, text) : NULL);
}

static void resource_cells(struct table *t, const Mete__Api__Role *role, const char *resource)
{
        const Mete__Api__Amount *used = find_amount(role->allocated, role->n_allocated, resource),
                                *reserved = find_amount(role->reserved, role->n_reserved, resource);
        const Mete__Api__Quota *quota = find_quota(role, resource);

        table_cell(t, resource);
        cell_amount(t, resource, used, used ? used->value : 0);
        cell_amount(t, resource, reserved, reserved ? reserved->value : 0);
        cell_amount(t, resource, quota && quota->has_guarantee, quota ? quota->guarantee : 0);
        cell_amount(t, resource, quota && quota->has_limit, quota ? quota->limit : 0);
}

static void role_cells(struct table *t, const Mete__Api__Role *role)
{
        char text[TEXT_MAX];

        table_cell(t, role->name);
        table_cell(t, text_cores(role->weight, text));
        if (role->has_share)
                table_cellf(t, "%.1f%%", role->share * 100);
        else
                table_cell(t, NULL);
        table_cellf(t, "%zu", role->n_frameworks);
        table_cell(t, role->queue);
}

void roles_print(Mete__Api__Role *const *roles, size_t count, FILE *f)
{
        CLEANUP(cleanup_table_free) struct table *t = table_new(role_columns, ELEMENTSOF(role_columns));

        for (size_t i = 0; i < count; i++) {
                CLEANUP(string_list_done) struct string_list resources = {0};

                resources_of(roles[i], &resources);
                role_cells(t, roles[i]);
                if (resources.count == 0)
                        for (size_t j = 0; j < 5; j++)
                                table_cell(t, NULL);
                for (size_t j = 0; j < resources.count; j++) {
                        /* What is the role's own stands in its first line alone. */
                        for (size_t k = 0; j > 0 && k < 5; k++)
                                table_cell(t, "");
                        resource_cells(t, roles[i], resources.items[j]);
                }
        }
        table_print(t, f);
}

void roles_print_quotas(Mete__Api__Role *const *roles, size_t count, FILE *f)
{
        CLEANUP(cleanup_table_free) struct table *t = table_new(quota_columns, ELEMENTSOF(quota_columns));

        for (size_t i = 0; i < count; i++)
                for (size_t j = 0; j < roles[i]->n_quotas; j++) {
                        const Mete__Api__Quota *q = roles[i]->quotas[j];
                        const Mete__Api__Amount *consumed =
                                find_amount(roles[i]->consumed, roles[i]->n_consumed, q->resource);

                        table_cell(t, j == 0 ? roles[i]->name : "");
                        table_cell(t, q->resource);
                        cell_amount(t, q->resource, q->has_guarantee, q->guarantee);
                        cell_amount(t, q->resource, q->has_limit, q->limit);
                        cell_amount(t, q->resource, true, consumed ? consumed->value : 0);
                }
        table_print(t, f);
}

void roles_warn(Mete__Api__Role *const *roles, size_t count)
{
        for (size_t i = 0; i < count; i++)
                for (size_t j = 0; j < roles[i]->n_warnings; j++) {
                        _cleanup_free_ char *safe = text_safe(roles[i]->warnings[j]);

                        fprintf(stderr, "mete: warning: role %s: %s\n", roles[i]->name, safe);
                }
}
