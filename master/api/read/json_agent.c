#include "master/api/read/read.h"

#include <stdlib.h>
#include <string.h>

bool agent_is_registered(const struct agent *a)
{
        return a->state == AGENT_ACTIVE || a->state == AGENT_DISCONNECTED;
}

/* ---- attributes ---- */

static void json_attribute(struct buffer *out, const Mete__V1__Attribute *a)
{
        _cleanup_buffer_ struct buffer text = {};

        json_member(out, a->name);
        if (a->scalar) {
                json_put_double(out, NULL, a->scalar->value);
                return;
        }
        if (a->ranges) {
                buffer_puts(&text, "[");
                for (size_t i = 0; i < a->ranges->n_range; i++)
                        buffer_printf(&text, "%s%ju-%ju", i > 0 ? ", " : "",
                                (uintmax_t)a->ranges->range[i]->begin, (uintmax_t)a->ranges->range[i]->end);
                buffer_puts(&text, "]");
        } else if (a->set) {
                resource_items_text(&text, a->set->item, a->set->n_item);
        }
        json_put_string(out, NULL, a->text ? a->text->value : text.data);
}

static void json_attributes(struct buffer *out, const Mete__V1__AgentInfo *info)
{
        json_begin_object(out, "attributes");
        for (size_t i = 0; i < info->n_attributes; i++)
                json_attribute(out, info->attributes[i]);
        json_end_object(out);
}

/* ---- resources ---- */

static void offered_on(const struct agent *a, struct resources *ret)
{
        const struct offer *o;

        DL_FOREACH2(a->offers, o, agent_next)
        {
                resources_add(ret, &o->resources);
        }
}

/* Of the last refinement; the names are those of `r`. */
static void sum_by_role(const struct resources *r, struct role_sums *ret)
{
        for (size_t i = 0; i < r->count; i++) {
                const struct resources one = {.entries = &r->entries[i], .count = 1};
                const char *role = resource_traits_role(r->entries[i].traits);

                role_sums_add(ret, role ? role : "*", &one);
        }
}

static void json_reserved(struct buffer *out, const struct agent *a)
{
        _cleanup_role_sums_ struct role_sums sums = {};
        const struct resources none = {}, *unreserved = &none;

        sum_by_role(&a->total, &sums);
        json_begin_object(out, "reserved_resources");
        for (size_t i = 0; i < sums.count; i++) {
                if (str_equal(sums.items[i].role, "*")) {
                        unreserved = &sums.items[i].resources;
                        continue;
                }
                json_member(out, sums.items[i].role);
                json_resources(out, NULL, &sums.items[i].resources);
        }
        json_end_object(out);
        json_resources(out, "unreserved_resources", unreserved);
}

static void json_agent_resources(struct buffer *out, const struct agent *a)
{
        _cleanup_resources_ struct resources offered = {};

        offered_on(a, &offered);
        json_resources(out, "resources", &a->total);
        json_resources(out, "used_resources", &a->booked);
        json_resources(out, "offered_resources", &offered);
        json_reserved(out, a);
}

/* Reservations as a stack, and beside it their role, which older readers look for. */
static void json_full_list(struct buffer *out, const struct resources *r, const char *allocated_to)
{
        Mete__V1__Resource **list;
        size_t count;

        resources_to_proto(r, allocated_to, /* with_role= */ false, &list, &count);
        for (size_t i = 0; i < count; i++) {
                list[i]->role = xstrdup(resource_role(list[i]));
                json_put_message(out, NULL, &list[i]->base);
                message_free(list[i]);
        }
        free(list);
}

static void json_full(struct buffer *out, const char *key, const struct role_sums *sums)
{
        json_begin_array(out, key);
        for (size_t i = 0; i < sums->count; i++)
                json_full_list(out, &sums->items[i].resources, sums->items[i].role);
        json_end_array(out);
}

static void json_full_by_holder(struct buffer *out, const struct agent *a)
{
        _cleanup_role_sums_ struct role_sums used = {}, offered = {};
        const struct executor *x, *next;
        const struct offer *o;
        const struct task *t;

        DL_FOREACH2(a->tasks, t, agent_next)
        {
                role_sums_add(&used, t->role, &t->resources);
        }
        HASH_ITER (hh, a->executors, x, next)
                role_sums_add(&used, x->role, &x->resources);
        DL_FOREACH2(a->offers, o, agent_next)
        {
                role_sums_add(&offered, o->role, &o->resources);
        }
        json_full(out, "used_resources_full", &used);
        json_full(out, "offered_resources_full", &offered);
}

void json_agent_full_resources(struct buffer *out, const struct agent *a)
{
        _cleanup_role_sums_ struct role_sums sums = {};
        const struct resources none = {}, *unreserved = &none;

        sum_by_role(&a->total, &sums);
        json_full_by_holder(out, a);
        json_begin_object(out, "reserved_resources_full");
        for (size_t i = 0; i < sums.count; i++) {
                if (str_equal(sums.items[i].role, "*")) {
                        unreserved = &sums.items[i].resources;
                        continue;
                }
                json_member(out, sums.items[i].role);
                json_begin_array(out, NULL);
                json_full_list(out, &sums.items[i].resources, NULL);
                json_end_array(out);
        }
        json_end_object(out);
        json_begin_array(out, "unreserved_resources_full");
        json_full_list(out, unreserved, NULL);
        json_end_array(out);
}

/* ---- the agent ---- */

/* Tools derive URLs from it: "slave(1)@host:port". */
static void json_address(struct buffer *out, const struct agent *a)
{
        _cleanup_free_ char *at = a->address && strchr(a->address, ':')
                                          ? xasprintf("slave(1)@%s", a->address)
                                          : xasprintf("slave(1)@%s:%d", a->info->hostname, a->info->port);
        uint32_t port;

        if (parse_u32(strrchr(at, ':') + 1, UINT16_MAX, &port) < 0)
                port = (uint32_t)a->info->port;
        json_put_string(out, "pid", at);
        json_put_integer(out, "port", port);
}

static void json_capabilities(struct buffer *out, const struct agent *a)
{
        const ProtobufCEnumDescriptor *d = &mete__v1__agent_info__capability__type__descriptor;

        json_begin_array(out, "capabilities");
        for (unsigned i = 0; i < d->n_values; i++)
                if (d->values[i].value > 0 && (a->capabilities & (1u << d->values[i].value)))
                        json_put_string(out, NULL, d->values[i].name);
        json_end_array(out);
}

static void json_drain(struct buffer *out, const struct agent *a)
{
        const struct agent_standing *s = &a->standing;

        if (s->drain == AGENT_DRAIN_NONE)
                return;
        json_begin_object(out, "drain_info");
        json_put_string(out, "state", s->drain == AGENT_DRAINED ? "DRAINED" : "DRAINING");
        json_begin_object(out, "config");
        if (s->has_max_grace) {
                json_begin_object(out, "max_grace_period");
                json_put_integer(out, "nanoseconds", (int64_t)(s->max_grace_seconds * 1e9));
                json_end_object(out);
        }
        json_put_bool(out, "mark_gone", s->mark_gone);
        json_end_object(out);
        json_end_object(out);
        json_put_double(out, "estimated_drain_start_time_seconds", s->drain_since);
}

void json_agent(struct buffer *out, const struct agent *a)
{
        json_put_string(out, "id", a->id);
        json_put_string(out, "hostname", a->info->hostname);
        json_address(out, a);
        json_attributes(out, a->info);
        json_put_double(out, "registered_time", a->registered);
        if (a->reregistered > 0)
                json_put_double(out, "reregistered_time", a->reregistered);
        json_agent_resources(out, a);
        json_put_bool(out, "active", agent_is_offered(a));
        json_put_bool(out, "deactivated", a->standing.deactivated);
        json_drain(out, a);
        json_put_string(out, "version", a->version);
        json_capabilities(out, a);
        if (a->info->domain)
                json_put_message(out, "domain", &a->info->domain->base);
}

void json_recovered_agents(struct read_call *c)
{
        const struct agent *a, *next;

        json_begin_array(&c->out, "recovered_slaves");
        HASH_ITER (hh, c->master->agents, a, next) {
                if (a->state != AGENT_RECOVERED)
                        continue;
                json_begin_object(&c->out, NULL);
                json_put_string(&c->out, "id", a->id);
                json_put_string(&c->out, "hostname", a->info->hostname);
                json_address(&c->out, a);
                json_attributes(&c->out, a->info);
                json_put_double(&c->out, "registered_time", a->registered);
                json_resources(&c->out, "resources", &a->total);
                json_end_object(&c->out);
        }
        json_end_array(&c->out);
}
