#include "master/master.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "master/api/api.h"
#include "master/api/credentials.h"
#include "master/jobs/history.h"
#include "master/jobs/learned.h"
#include "master/operator/recovery_hold.h"
#include "master/operator/roles.h"
#include "master/operator/windows.h"
#include "proto/domain.h"

#define IDENTITY_VERSION 1
#define FILES_RESERVED 200   /* store, sockets that listen, lookups of who calls */
#define BODY_MAX (32u << 20) /* an agent reports all its tasks at once */

/* ---- failing ---- */

void master_fail(struct master *m, const char *fmt, ...)
{
        va_list ap;

        if (m->failure)
                return;
        va_start(ap, fmt);
        m->failure = xvasprintf(fmt, ap);
        va_end(ap);
        loop_stop(m->loop);
}

const char *master_failure(const struct master *m)
{
        return m->failure;
}

/* ---- writing ---- */

void master_put_message(struct store_batch *b, const char *key, const ProtobufCMessage *message)
{
        _cleanup_buffer_ struct buffer out = {};
        int r = message_encode(CODEC_PROTOBUF, message, &out);

        if (r < 0)
                log_error("store: %s could not be encoded", key);
        else
                store_batch_put(b, key, out.data, out.len);
}

void master_put_identity(struct master *m, struct store_batch *b)
{
        Mete__Checkpoint__MasterIdentity identity = METE__CHECKPOINT__MASTER_IDENTITY__INIT;

        identity.version = IDENTITY_VERSION;
        identity.epoch = m->epoch;
        identity.queue_framework_id = m->queue_framework->id;
        identity.has_next_job = true;
        identity.next_job = m->jobs->next_number;
        master_put_message(b, "meta", &identity.base);
}

struct write {
        struct master *master;
        struct mono_time begun;
        store_done_handler done;
        void *userdata;
};

/* What is in memory is ahead of the disk from here on: only a restart from the disk is safe. */
static void write_done(int result, void *userdata)
{
        struct write *w = userdata;

        w->master->counters.writes_pending--;
        samples_add(&w->master->counters.store_write, mono_elapsed_ns(w->begun, mono_now()));
        if (w->done)
                w->done(result, w->userdata);
        if (result < 0 && !w->master->stopping)
                master_fail(w->master, "%s", store_failure(w->master->store) ?: "the store failed");
        free(w);
}

void master_write(struct master *m, struct store_batch *b, store_done_handler done, void *userdata)
{
        struct write *w;

        if (store_batch_empty(b) && !done) {
                store_batch_free(b);
                return;
        }
        w = NEW0(struct write);
        *w = (struct write){m, mono_now(), done, userdata};
        m->counters.writes_pending++;
        store_write(m->store, b, write_done, w);
}

/* ---- start ---- */

static int open_store(struct master *m, struct error *e)
{
        _cleanup_free_ char *url = NULL;
        int r;

        if (!m->options->store || str_has_prefix(m->options->store, "sqlite:")) {
                r = mkdir_parents_at(AT_FDCWD, m->options->work_dir, 0700);
                if (r < 0)
                        return error_set_errno(e, r, "work directory %s", m->options->work_dir);
        }
        url = m->options->store ? xstrdup(m->options->store)
                                : xasprintf("sqlite:%s/store.db", m->options->work_dir);
        return store_open(m->loop, url, &m->store, e);
}

/* Reads who we were; a new cluster gets a new identity. Persists the epoch before anything is sent under it. */
static int take_identity(struct master *m, struct error *e)
{
        _cleanup_free_ void *value = NULL;
        _cleanup_free_ char *framework_id = xasprintf("%s-0000", m->id);
        Mete__Checkpoint__MasterIdentity *identity = NULL;
        struct store_batch *b;
        size_t len;
        int r = store_get(m->store, "meta", &value, &len, e);

        if (r < 0 && r != -ENOENT)
                return r;
        if (r >= 0) {
                r = message_decode(CODEC_PROTOBUF, &mete__checkpoint__master_identity__descriptor, value, len,
                        (ProtobufCMessage **)&identity, e);
                if (r < 0)
                        return error_prefix(e, "store: the master's identity");
                if (identity->version != IDENTITY_VERSION) {
                        error_set(e, -EPROTONOSUPPORT, "store: identity of version %u, this program knows %d",
                                identity->version, IDENTITY_VERSION);
                        message_free(identity);
                        return -EPROTONOSUPPORT;
                }
                m->epoch = identity->epoch;
                m->jobs->next_number = MAX(m->jobs->next_number, identity->next_job);
        }
        m->epoch++;
        m->queue_framework = framework_add_local(m,
                identity && identity->queue_framework_id ? identity->queue_framework_id : framework_id,
                QUEUE_NAME, &job_framework_ops, m->jobs);
        message_free(identity);
        b = store_batch_new();
        master_put_identity(m, b);
        return store_write_now(m->store, b, e);
}

static int recover_agent(const char *key, const void *value, size_t len, void *userdata)
{
        struct master *m = userdata;
        _cleanup_error_ struct error error = {};
        ProtobufCMessage *admitted = NULL;

        if (message_decode(CODEC_PROTOBUF, &mete__checkpoint__admitted_agent__descriptor, value, len,
                    &admitted, &error) < 0 ||
                !agent_recover(m, (Mete__Checkpoint__AdmittedAgent *)admitted, &error))
                log_error("store: %s is skipped: %s", key, error_message(&error));
        return 0;
}

static int recover(struct master *m, struct error *e)
{
        struct mono_time begun = mono_now();
        int r = take_identity(m, e);

        if (r >= 0)
                r = store_scan(m->store, "agent/", recover_agent, m, e);
        if (r >= 0)
                r = roles_recover(m->roles, e);
        if (r >= 0)
                r = windows_recover(m->windows, e);
        if (r >= 0)
                r = job_queues_recover(m->jobs->queues, e);
        if (r >= 0)
                r = jobs_recover(m->jobs, e);
        if (r >= 0)
                r = history_recover(m->history, e);
        if (r >= 0)
                r = learned_recover(m->learned, e);
        if (r < 0)
                return r;
        m->counters.store_fetch_ns = mono_elapsed_ns(begun, mono_now());
        jobs_restore(m->jobs);
        history_start(m->history);
        agents_start(m);
        windows_start(m->windows);
        if (roles_have_quotas(m->roles))
                recovery_hold_start(m, RECOVERY_HOLD_MAX_NS);
        log_info("epoch %ju: %u agents and %zu jobs (%zu ended) from the store", (uintmax_t)m->epoch,
                HASH_COUNT(m->agents), m->jobs->live_count + m->jobs->ended_count, m->jobs->ended_count);
        return 0;
}

static void on_election(enum election_state state, void *userdata)
{
        struct master *m = userdata;

        if (m->leading && state != ELECTION_LEADER)
                master_fail(m, "another master leads now");
        m->leading = state == ELECTION_LEADER;
        m->elected_time = m->leading ? wall_seconds_now() : 0;
        jobs_schedule_all(m->jobs);
        offers_schedule(m);
}

/*
 * An agent's commands come down a connection that is open all the time, and its calls go up one more, which is closed and opened again
 * where connections are short. A quarter of all is left for those calls, frameworks and people.
 */
static size_t agents_max_of(size_t connections)
{
        return connections / 4 * 3;
}

static int start(struct master *m, struct error *e)
{
        const struct http_server_options http = {.max_body_bytes = BODY_MAX,
                .max_connections = MAX(raise_file_limit(), UINT64_C(2) * FILES_RESERVED) - FILES_RESERVED};
        int r = m->options->authenticate_frameworks
                        ? credentials_load(m->options->credentials, &m->credentials, e)
                        : 0;

        m->connections_max = http.max_connections;
        m->agents_max = agents_max_of(http.max_connections);
        if (r >= 0)
                r = open_store(m, e);
        if (r >= 0)
                r = recover(m, e);
        if (r >= 0)
                r = election_new(m->loop, m->options->election, on_election, m, &m->election, e);
        if (r >= 0)
                r = election_start(m->election);
        if (r >= 0)
                r = http_server_new(m->loop, &http, &m->server, e);
        if (r < 0)
                return r;
        api_add_routes(m);
        r = http_server_listen(m->server, m->options->address, (uint16_t)m->options->port, &m->port, e);
        if (r < 0)
                return r;
        log_info("mete-master %s listens on %s:%u", METE_VERSION, m->options->address, m->port);
        return 0;
}

int master_new(struct loop *l, const struct master_options *o, struct master **ret, struct error *e)
{
        struct master *m = NEW0(struct master);
        uint8_t uuid[UUID_BYTES];
        int r;

        m->loop = l;
        m->options = o;
        m->start_time = wall_seconds_now();
        if (o->domain && (r = domain_parse(o->domain, "--domain", &m->domain, e)) < 0) {
                free(m);
                return r;
        }
        uuid_generate_bytes(uuid);
        uuid_format(uuid, m->id);
        m->allocator =
                allocator_new(&(struct allocator_options){.qualifies = offer_qualifies, .userdata = m});
        offers_init(m);
        m->jobs = jobs_new(m, queue_policy_from_string(o->policy));
        m->history = history_new(m);
        m->learned = learned_new(m);
        m->subscribers = subscribers_new(m);
        m->windows = windows_new(m);
        m->roles = roles_new(m);
        r = start(m, e);
        if (r < 0) {
                master_free(m);
                return r;
        }
        *ret = m;
        return 0;
}

/* Running tasks stay with their agents. */
struct master *master_free(struct master *m)
{
        if (!m)
                return NULL;
        if (m->store)
                learned_write(m->learned);
        m->stopping = true;
        store_close(m->store); /* all writes are answered: nothing refers to us from there any more */
        m->store = NULL;
        api_stop(m);
        offers_free(m);
        reconciliations_free(m);
        agents_stop(m);
        windows_free(m->windows);
        recovery_hold_free(m->hold);
        roles_free(m->roles);
        http_server_free(m->server);
        frameworks_free(m);
        subscribers_free(m->subscribers);
        learned_free(m->learned);
        jobs_free(m->jobs);
        history_free(m->history);
        election_free(m->election);
        loop_timer_free(m->offer_timer);
        loop_timer_free(m->offer_expiry);
        allocator_free(m->allocator);
        credentials_free(m->credentials);
        message_free(m->domain);
        free(m->failure);
        free(m);
        return NULL;
}

uint16_t master_port(const struct master *m)
{
        return m->port;
}
