/* /state: all there is. */

#include "master/api/read/read.h"
#include "master/master_info.h"
#include "master/options.h"

static void json_capabilities(struct buffer *out, const Mete__V1__MasterInfo *info)
{
        json_begin_array(out, "capabilities");
        for (size_t i = 0; i < info->n_capabilities; i++)
                json_put_string(out, NULL,
                        protobuf_c_enum_descriptor_get_value(
                                &mete__v1__master_info__capability__type__descriptor,
                                (int)info->capabilities[i]->type)
                                ->name);
        json_end_array(out);
}

static void json_leader(struct read_call *c)
{
        struct buffer *out = &c->out;
        struct master_info info;

        master_info_fill(c->master, &info);
        json_put_string(out, "id", c->master->id);
        json_put_string(out, "pid", info.pid);
        json_put_string(out, "hostname", info.hostname);
        json_capabilities(out, &info.info);
        json_put_string(out, "leader", info.pid);
        json_begin_object(out, "leader_info");
        json_put_string(out, "id", c->master->id);
        json_put_string(out, "pid", info.pid);
        json_put_integer(out, "port", info.info.port);
        json_put_string(out, "hostname", info.hostname);
        json_capabilities(out, &info.info);
        if (c->master->domain)
                json_put_message(out, "domain", &c->master->domain->base);
        json_end_object(out);
        if (c->master->domain)
                json_put_message(out, "domain", &c->master->domain->base);
}

static void json_agent_counts(struct read_call *c)
{
        int64_t active = 0, inactive = 0, unreachable = 0;
        const struct agent *a, *next;

        HASH_ITER (hh, c->master->agents, a, next) {
                active += agent_is_offered(a);
                inactive += agent_is_registered(a) && !agent_is_offered(a);
                unreachable += a->state == AGENT_UNREACHABLE;
        }
        json_put_integer(&c->out, "activated_slaves", active);
        json_put_integer(&c->out, "deactivated_slaves", inactive);
        json_put_integer(&c->out, "unreachable_slaves", unreachable);
}

static void json_agents(struct read_call *c)
{
        const struct agent *a, *next;

        json_begin_array(&c->out, "slaves");
        HASH_ITER (hh, c->master->agents, a, next) {
                if (!agent_is_registered(a))
                        continue;
                json_begin_object(&c->out, NULL);
                json_agent(&c->out, a);
                json_end_object(&c->out);
        }
        json_end_array(&c->out);
        json_recovered_agents(c);
}

static void json_nothing(struct read_call *c, const char *key)
{
        json_begin_array(&c->out, key);
        json_end_array(&c->out);
}

static void json_one_framework(struct read_call *c, const struct framework *f)
{
        json_begin_object(&c->out, NULL);
        json_framework(&c->out, f, c->root);
        json_end_object(&c->out);
}

/* Of all, or of the one with the id. */
static void json_frameworks(struct read_call *c, const char *only)
{
        const struct framework *f, *next;

        json_begin_array(&c->out, "frameworks");
        HASH_ITER (hh, c->master->frameworks, f, next)
                if (!only || str_equal(only, f->id))
                        json_one_framework(c, f);
        json_end_array(&c->out);
        json_begin_array(&c->out, "completed_frameworks");
        DL_FOREACH (c->master->completed_frameworks, f)
                if (!only || str_equal(only, f->id))
                        json_one_framework(c, f);
        json_end_array(&c->out);
        json_nothing(
                c, "unregistered_frameworks"); /* none are kept: they are frameworks that are "recovered" */
}

void read_state(struct read_call *c)
{
        json_begin_object(&c->out, NULL);
        json_version(&c->out);
        json_put_double(&c->out, "start_time", c->master->start_time);
        json_put_double(&c->out, "elected_time", c->master->elected_time);
        json_leader(c);
        json_agent_counts(c);
        json_flags(&c->out, &master_option_parser, c->master->options);
        json_agents(c);
        json_frameworks(c, NULL);
        json_nothing(c, "orphan_tasks"); /* none: a task without a framework brings one that is "recovered" */
        json_end_object(&c->out);
}

void read_frameworks(struct read_call *c)
{
        json_begin_object(&c->out, NULL);
        json_frameworks(c, http_request_query(c->req, "framework_id"));
        json_end_object(&c->out);
}

/* ?slave_id=ID or /slaves/ID */
void read_slaves(struct read_call *c)
{
        const char *subpath = http_request_subpath(c->req);
        const char *only = *subpath ? subpath + 1 : http_request_query(c->req, "slave_id");
        const struct agent *a, *next;

        json_begin_object(&c->out, NULL);
        json_begin_array(&c->out, "slaves");
        HASH_ITER (hh, c->master->agents, a, next) {
                if (!agent_is_registered(a) || (only && !str_equal(only, a->id)))
                        continue;
                json_begin_object(&c->out, NULL);
                json_agent(&c->out, a);
                json_agent_full_resources(&c->out, a);
                json_end_object(&c->out);
        }
        json_end_array(&c->out);
        json_recovered_agents(c);
        json_end_object(&c->out);
}
