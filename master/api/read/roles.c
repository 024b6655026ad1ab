/* /roles, /weights, /quota: who is in which role, what the role holds, and what operators set for it. */

#include "master/api/read/read.h"

#include <stdlib.h>
#include <string.h>

struct role_row {
        char *name;
        const struct framework **frameworks; /* of the role, or holding something in it */
        size_t framework_count;
        struct resources allocated, offered, reserved, consumed;
        uint64_t weight_milli;
        struct allocator_quota *quotas;
        size_t quota_count;
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
        row->weight_milli = 1000;
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
        for (size_t i = 0; agent_is_registered(a) && i < a->total.count; i++) {
                struct resource plain = a->total.entries[i];
                const char *role = resource_traits_role(plain.traits);

                plain.traits = NULL;
                if (role)
                        resources_add_entry(&row_get(rows, role)->reserved, &plain);
        }
}

/* Roles that nobody is in are known by what was set for them. */
static void take_settings(const struct allocator_role_view *role, void *userdata)
{
        struct role_row **rows = userdata, *row;
        bool is_set = role->weight_milli != 1000 || role->quota_count > 0;

        HASH_FIND_STR(*rows, role->name, row);
        if (!row && !is_set)
                return;
        row = row_get(rows, role->name);
        row->weight_milli = role->weight_milli;
        resources_done(&row->consumed);
        resources_copy(role->consumed, &row->consumed);
        if (role->quota_count > 0)
                row->quotas = xmemdup(role->quotas, role->quota_count * sizeof(*role->quotas));
        row->quota_count = role->quota_count;
}

static int compare_rows(struct role_row *a, struct role_row *b)
{
        return strcmp(a->name, b->name);
}

static void rows_free(struct role_row *rows)
{
        struct role_row *row, *next;

        HASH_ITER (hh, rows, row, next) {
                HASH_DEL(rows, row);
                resources_done(&row->allocated);
                resources_done(&row->offered);
                resources_done(&row->reserved);
                resources_done(&row->consumed);
                free(row->quotas);
                free(row->frameworks);
                free(row->name);
                free(row);
        }
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
        allocator_each_role(m->allocator, take_settings, &rows);
        HASH_SORT(rows, compare_rows);
        return rows;
}

/* {"cpus": 1.0}: guarantees, or limits. */
static void json_quantities(struct buffer *out, const char *key, const struct role_row *row, bool limits)
{
        json_begin_object(out, key);
        for (size_t i = 0; i < row->quota_count; i++) {
                const struct allocator_quota *q = &row->quotas[i];

                if (limits ? q->limit_milli == QUOTA_NO_LIMIT : q->guarantee_milli == 0)
                        continue;
                json_member(out, q->name);
                json_put_double(out, NULL, milli_to_double(limits ? q->limit_milli : q->guarantee_milli));
        }
        json_end_object(out);
}

static void json_quota(struct buffer *out, const struct role_row *row)
{
        json_begin_object(out, "quota");
        json_put_string(out, "role", row->name);
        json_quantities(out, "guarantee", row, /* limits= */ false);
        json_quantities(out, "limit", row, /* limits= */ true);
        json_resources(out, "consumed", &row->consumed);
        json_end_object(out);
}

static void json_role(struct buffer *out, const struct role_row *row)
{
        _cleanup_resources_ struct resources both = {};

        resources_copy(&row->allocated, &both);
        resources_add(&both, &row->offered);
        json_begin_object(out, NULL);
        json_put_string(out, "name", row->name);
        json_put_double(out, "weight", milli_to_double(row->weight_milli));
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

        json_begin_object(&c->out, NULL);
        json_begin_array(&c->out, "roles");
        HASH_ITER (hh, rows, row, next)
                json_role(&c->out, row);
        json_end_array(&c->out);
        json_end_object(&c->out);
        rows_free(rows);
}

/* Of the roles that have one. */
void read_weights(struct read_call *c)
{
        struct role_row *rows = collect(c->master), *row, *next;

        json_begin_array(&c->out, NULL);
        HASH_ITER (hh, rows, row, next) {
                if (row->weight_milli == 1000)
                        continue;
                json_begin_object(&c->out, NULL);
                json_put_string(&c->out, "role", row->name);
                json_put_double(&c->out, "weight", milli_to_double(row->weight_milli));
                json_end_object(&c->out);
        }
        json_end_array(&c->out);
        rows_free(rows);
}

/* The form of before limits: the guarantee as resources. */
static void json_quota_info(struct buffer *out, const struct role_row *row)
{
        json_begin_object(out, NULL);
        json_put_string(out, "role", row->name);
        json_begin_array(out, "guarantee");
        for (size_t i = 0; i < row->quota_count; i++) {
                if (row->quotas[i].guarantee_milli == 0)
                        continue;
                json_begin_object(out, NULL);
                json_put_string(out, "name", row->quotas[i].name);
                json_put_string(out, "type", "SCALAR");
                json_begin_object(out, "scalar");
                json_put_double(out, "value", milli_to_double(row->quotas[i].guarantee_milli));
                json_end_object(out);
                json_end_object(out);
        }
        json_end_array(out);
        json_end_object(out);
}

/* {"cpus": {"value": 1.0}} */
static void json_quota_values(struct buffer *out, const char *key, const struct role_row *row, bool limits)
{
        json_begin_object(out, key);
        for (size_t i = 0; i < row->quota_count; i++) {
                const struct allocator_quota *q = &row->quotas[i];

                if (limits ? q->limit_milli == QUOTA_NO_LIMIT : q->guarantee_milli == 0)
                        continue;
                json_member(out, q->name);
                json_begin_object(out, NULL);
                json_put_double(out, "value", milli_to_double(limits ? q->limit_milli : q->guarantee_milli));
                json_end_object(out);
        }
        json_end_object(out);
}

void read_quota(struct read_call *c)
{
        struct role_row *rows = collect(c->master), *row, *next;

        json_begin_object(&c->out, NULL);
        json_begin_array(&c->out, "infos");
        HASH_ITER (hh, rows, row, next)
                if (row->quota_count > 0)
                        json_quota_info(&c->out, row);
        json_end_array(&c->out);
        json_begin_array(&c->out, "configs");
        HASH_ITER (hh, rows, row, next) {
                if (row->quota_count == 0)
                        continue;
                json_begin_object(&c->out, NULL);
                json_put_string(&c->out, "role", row->name);
                json_quota_values(&c->out, "guarantees", row, /* limits= */ false);
                json_quota_values(&c->out, "limits", row, /* limits= */ true);
                json_end_object(&c->out);
        }
        json_end_array(&c->out);
        json_end_object(&c->out);
        rows_free(rows);
}
