/* /maintenance/schedule and /maintenance/status: windows as Mesos shows them, to be read only. */

#include "master/api/read/read.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "master/operator/windows.h"

/* Of the agent's address, without its port and the brackets of IPv6. */
static void json_ip(struct buffer *out, const struct agent *a)
{
        const char *colon = a->address ? strrchr(a->address, ':') : NULL;
        uint8_t numeric[sizeof(struct in6_addr)];
        _cleanup_free_ char *host = NULL;

        if (!colon)
                return;
        host = a->address[0] == '[' && colon - a->address > 2
                       ? xstrndup(a->address + 1, (size_t)(colon - a->address) - 2)
                       : xstrndup(a->address, (size_t)(colon - a->address));
        if (inet_pton(AF_INET, host, numeric) == 1 || inet_pton(AF_INET6, host, numeric) == 1)
                json_put_string(out, "ip", host);
}

/* By host name: windows may name many. */
struct host {
        const struct agent *agent; /* the first of several */
        UT_hash_handle hh;
};

static struct host *hosts_new(const struct master *m)
{
        struct host *hosts = NULL, *h;
        const struct agent *a, *next;

        HASH_ITER (hh, m->agents, a, next) {
                HASH_FIND_STR(hosts, a->info->hostname, h);
                if (h)
                        continue;
                h = NEW0(struct host);
                h->agent = a;
                HASH_ADD_KEYPTR(hh, hosts, a->info->hostname, strlen(a->info->hostname), h);
        }
        return hosts;
}

static void hosts_free(struct host *hosts)
{
        struct host *h, *next;

        HASH_ITER (hh, hosts, h, next) {
                HASH_DEL(hosts, h);
                free(h);
        }
}

/* A name that is no agent's id is a host's. */
static void json_machine(struct read_call *c, const char *key, const struct host *hosts, const char *name)
{
        const struct agent *a = agent_find(c->master, name);
        const struct host *h = NULL;

        if (!a)
                HASH_FIND_STR(hosts, name, h);
        if (h)
                a = h->agent;
        json_begin_object(&c->out, key);
        json_put_string(&c->out, "hostname", a ? a->info->hostname : name);
        if (a)
                json_ip(&c->out, a);
        json_end_object(&c->out);
}

static void json_time(struct buffer *out, const char *key, double seconds)
{
        json_begin_object(out, key);
        json_put_integer(out, "nanoseconds", (int64_t)(seconds * 1e9));
        json_end_object(out);
}

static void json_window(struct read_call *c, const struct host *hosts, const Mete__Api__Window *w)
{
        struct buffer *out = &c->out;

        json_begin_object(out, NULL);
        json_begin_array(out, "machine_ids");
        for (size_t i = 0; i < w->n_agents; i++)
                json_machine(c, NULL, hosts, w->agents[i]);
        json_end_array(out);
        json_begin_object(out, "unavailability");
        json_time(out, "start", w->start);
        if (w->has_duration_seconds)
                json_time(out, "duration", w->duration_seconds);
        json_end_object(out);
        json_end_object(out);
}

void read_maintenance_schedule(struct read_call *c)
{
        size_t count;
        Mete__Api__Window *const *windows = windows_list(c->master->windows, &count);
        struct host *hosts = hosts_new(c->master);

        json_begin_object(&c->out, NULL);
        json_begin_array(&c->out, "windows");
        for (size_t i = 0; i < count; i++)
                json_window(c, hosts, windows[i]);
        json_end_array(&c->out);
        json_end_object(&c->out);
        hosts_free(hosts);
}

/* Machines whose window is still to come, or those where it has begun. */
static void json_machines(struct read_call *c, const char *key, const struct host *hosts, bool begun)
{
        size_t count;
        Mete__Api__Window *const *windows = windows_list(c->master->windows, &count);
        double now = wall_seconds_now();

        json_begin_array(&c->out, key);
        for (size_t i = 0; i < count; i++) {
                if (window_has_begun(windows[i], now) != begun)
                        continue;
                for (size_t j = 0; j < windows[i]->n_agents; j++) {
                        if (begun) {
                                json_machine(c, NULL, hosts, windows[i]->agents[j]);
                                continue;
                        }
                        json_begin_object(&c->out, NULL);
                        json_machine(c, "id", hosts, windows[i]->agents[j]);
                        json_end_object(&c->out);
                }
        }
        json_end_array(&c->out);
}

void read_maintenance_status(struct read_call *c)
{
        struct host *hosts = hosts_new(c->master);

        json_begin_object(&c->out, NULL);
        json_machines(c, "draining_machines", hosts, /* begun= */ false);
        json_machines(c, "down_machines", hosts, /* begun= */ true);
        json_end_object(&c->out);
        hosts_free(hosts);
}
