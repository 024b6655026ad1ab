/* /roles: who is in which role, and what the role holds. */

#include "master/api/read/read.h"

#include <stdlib.h>
#include <string.h>

struct role_row {
        char *name;
        const struct framework **frameworks; /* of the role, or holding something in it */
        size_t framework_count;
        struct resources allocated, offered, reserved;
        UT_hash_handle hh;
};

static struct role_row *row_get(struct role_row **rows, const char *name)
{
        struct role_row *row;

        HASH_FIND_STR(*rows, name, row);
        if (row)
                return row;
        row = NEW0(struct role_row);
        row->name = xstrdup(name);
        HASH_ADD_KEYPTR(hh, *rows, row->name, strlen(row->name), row);
        return row;
}

/* Frameworks come one after the other: the latest is the last in the list. */
static void row_add_framework(struct role_row *row, const struct framework *f)
{
        if (row->framework_count > 0 && row->frameworks[row->framework_count - 1] == f)
                return;
        row->frameworks = xrealloc(row->frameworks, (row->framework_count + 1) * sizeof(struct framework *));
        row->frameworks[row->framework_count++] = f;
}

static struct role_row *row_of(struct role_row **rows, const struct framework *f, const char *role)
{
        struct role_row *row = row_get(rows, role);

        row_add_framework(row, f);
        return row;
}

static void collect_framework(struct role_row **rows, const struct framework *f)
{
        const struct executor *x;
        const struct task *t, *next;
        const struct offer *o;

        for (size_t i = 0; i < f->roles.count; i++)
                (void)row_of(rows, f, f->roles.items[i]);
        HASH_ITER (hh, f->tasks, t, next)
                resources_add(&row_of(rows, f, t->role)->allocated, &t->resources);
        DL_FOREACH2(f->executors, x, framework_next)
        {
                resources_add(&row_of(rows, f, x->role)->allocated, &x->resources);
        }
        DL_FOREACH2(f->offers, o, framework_next)
        {
                resources_add(&row_of(rows, f, o->role)->offered, &o->resources);
        }
}

static void collect_reservations(struct role_row **rows, const struct agent *a)
{
        _cleanup_role_sums_ struct role_sums sums = {};

        for (size_t i = 0; agent_is_registered(a) && i < a->info->n_resources; i++) {
                const char *role = resource_role(a->info->resources[i]);

                if (!str_equal(role, "*"))
                        role_sums_add_message(&sums, role, a->info->resources[i]);
        }
        for (size_t i = 0; i < sums.count; i++)
                resources_add(&row_get(rows, sums.items[i].role)->reserved, &sums.items[i].resources);
}

static struct role_row *collect(const struct master *m)
{
        const struct framework *f, *next_framework;
        const struct agent *a, *next;
        struct role_row *rows = NULL;

        HASH_ITER (hh, m->frameworks, f, next_framework)
                collect_framework(&rows, f);
        HASH_ITER (hh, m->agents, a, next)
                collect_reservations(&rows, a);
        return rows;
}

static int compare_rows(struct role_row *a, struct role_row *b)
{
        return strcmp(a->name, b->name);
}

/* No quota can be set: no guarantee, no limit. What is consumed is what is allocated or reserved. */
static void json_quota(struct buffer *out, const struct role_row *row)
{
        _cleanup_resources_ struct resources consumed = {};

        resources_copy(&row->allocated, &consumed);
        resources_add(&consumed, &row->reserved);
        json_begin_object(out, "quota");
        json_put_string(out, "role", row->name);
        json_begin_object(out, "guarantee");
        json_end_object(out);
        json_begin_object(out, "limit");
        json_end_object(out);
        json_resources(out, "consumed", &consumed);
        json_end_object(out);
}

static void json_role(struct buffer *out, const struct role_row *row)
{
        _cleanup_resources_ struct resources both = {};

        resources_copy(&row->allocated, &both);
        resources_add(&both, &row->offered);
        json_begin_object(out, NULL);
        json_put_string(out, "name", row->name);
        json_put_double(out, "weight", 1); /* weights cannot be set yet */
        json_begin_array(out, "frameworks");
        for (size_t i = 0; i < row->framework_count; i++)
                json_put_string(out, NULL, row->frameworks[i]->id);
        json_end_array(out);
        json_resources(out, "resources", &both);
        json_quota(out, row);
        json_resources(out, "allocated", &row->allocated);
        json_resources(out, "offered", &row->offered);
        json_resources(out, "reserved", &row->reserved);
        json_end_object(out);
}

void read_roles(struct read_call *c)
{
        struct role_row *rows = collect(c->master), *row, *next;

        HASH_SORT(rows, compare_rows);
        json_begin_object(&c->out, NULL);
        json_begin_array(&c->out, "roles");
        HASH_ITER (hh, rows, row, next) {
                json_role(&c->out, row);
                HASH_DEL(rows, row);
                resources_done(&row->allocated);
                resources_done(&row->offered);
                resources_done(&row->reserved);
                free(row->frameworks);
                free(row->name);
                free(row);
        }
        json_end_array(&c->out);
        json_end_object(&c->out);
}
