#include "master/jobs/queues.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "master/frameworks/frameworks.h"
#include "master/frameworks/validate_framework.h"
#include "master/jobs/jobs.h"

#define SECONDS_MAX (10.0 * 365 * 86400)
#define QUEUE_KEY "queue/%s"
#define WAITING_SHOWN_MAX 100 /* jobs of a queue that waits; a list of queues stays readable, and cheap */

/* ---- the table ---- */

struct job_queue *job_queue_find(const struct job_queues *qs, const char *name)
{
        struct job_queue *jq;

        HASH_FIND_STR(qs->by_name, name, jq);
        return jq;
}

struct job_queue *job_queue_of_role(const struct job_queues *qs, const char *role)
{
        for (struct job_queue *jq = qs->by_name; jq; jq = jq->hh.next)
                if (str_equal(jq->role, role))
                        return jq;
        return NULL;
}

/* The least of what the role and those above it are allowed. */
static void take_limits(const struct allocator_role_view *role, struct queue_limit **limits, size_t *count)
{
        for (size_t i = 0; i < role->quota_count; i++) {
                const struct allocator_quota *q = &role->quotas[i];
                size_t k = 0;

                if (q->limit_milli == QUOTA_NO_LIMIT)
                        continue;
                while (k < *count && !str_equal((*limits)[k].name, q->name))
                        k++;
                if (k == *count) {
                        *limits = xrealloc(*limits, ++*count * sizeof(**limits));
                        (*limits)[k] = (struct queue_limit){.milli = q->limit_milli};
                        (void)snprintf((*limits)[k].name, sizeof((*limits)[k].name), "%s", q->name);
                }
                (*limits)[k].milli = MIN((*limits)[k].milli, q->limit_milli);
        }
}

void job_queue_refresh_limits(struct job_queue *jq)
{
        const struct allocator *a = jq->all->master->allocator;
        _cleanup_free_ char *role = xstrdup(jq->role);
        _cleanup_free_ struct queue_limit *limits = NULL;
        struct allocator_role_view view;
        size_t count = 0;

        for (char *slash = role; slash; slash = strrchr(role, '/')) {
                if (slash != role)
                        *slash = 0;
                if (allocator_role(a, role, &view))
                        take_limits(&view, &limits, &count);
        }
        queue_set_limits(jq->queue, limits, count);
}

static struct job_queue *queue_make(
        struct job_queues *qs, const char *name, const char *role, const struct queue_config *config)
{
        struct job_queue *jq = NEW0(struct job_queue);

        jq->all = qs;
        jq->name = xstrdup(name);
        jq->role = xstrdup(role);
        jq->queue = queue_new(config, qs->machines, qs->estimates);
        HASH_ADD_KEYPTR(hh, qs->by_name, jq->name, strlen(jq->name), jq);
        job_queue_refresh_limits(jq);
        return jq;
}

static void queue_drop(struct job_queue *jq)
{
        HASH_DEL(jq->all->by_name, jq);
        queue_free(jq->queue);
        free(jq->role);
        free(jq->name);
        free(jq);
}

struct job_queues *job_queues_new(struct master *m, enum queue_policy default_policy)
{
        struct job_queues *qs = NEW0(struct job_queues);
        struct queue_config config;

        qs->master = m;
        qs->machines = machines_new();
        qs->estimates = estimates_new();
        queue_config_default(&config);
        config.policy = default_policy;
        (void)queue_make(qs, QUEUE_DEFAULT, QUEUE_ROLE, &config);
        return qs;
}

struct job_queues *job_queues_free(struct job_queues *qs)
{
        struct job_queue *jq, *next;

        if (!qs)
                return NULL;
        HASH_ITER (hh, qs->by_name, jq, next)
                queue_drop(jq);
        machines_free(qs->machines);
        estimates_free(qs->estimates);
        free(qs);
        return NULL;
}

/* ---- what may be asked for ---- */

bool job_queue_name_legal(const char *name)
{
        size_t len = strlen(name);

        return len >= 1 && len <= 63 &&
               name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] == 0 &&
               *name != '-' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

#define F "set_queue.queue."

static int take_seconds(
        bool has, double seconds, uint64_t *ns, const char *field, const char **ret_field, struct error *e)
{
        if (!has)
                return 0;
        *ret_field = field;
        if (!isfinite(seconds) || seconds < 0 || seconds > SECONDS_MAX)
                return error_set(e, -EINVAL, "%s: %g is refused: 0 to %.0f seconds are accepted", field,
                        seconds, SECONDS_MAX);
        *ns = (uint64_t)(seconds * 1e9);
        return 0;
}

static int take_times(
        const Mete__Api__Queue *q, struct queue_config *config, const char **ret_field, struct error *e)
{
        int r = take_seconds(q->has_ageing_seconds, q->ageing_seconds, &config->ageing_ns, F "ageing_seconds",
                ret_field, e);

        if (r >= 0)
                r = take_seconds(q->has_grace_seconds, q->grace_seconds, &config->grace_ns, F "grace_seconds",
                        ret_field, e);
        if (r >= 0)
                r = take_seconds(q->has_min_gain_seconds, q->min_gain_seconds, &config->min_gain_ns,
                        F "min_gain_seconds", ret_field, e);
        if (r >= 0)
                r = take_seconds(q->has_fair_half_life_seconds, q->fair_half_life_seconds,
                        &config->fair_half_life_ns, F "fair_half_life_seconds", ret_field, e);
        if (r >= 0 && q->has_fair_half_life_seconds && config->fair_half_life_ns < NSEC_PER_SEC) {
                *ret_field = F "fair_half_life_seconds";
                return error_set(e, -EINVAL,
                        F "fair_half_life_seconds: %g is refused: at least 1 is expected",
                        q->fair_half_life_seconds);
        }
        return r;
}

static int take_config(
        const Mete__Api__Queue *q, struct queue_config *config, const char **ret_field, struct error *e)
{
        queue_config_default(config);
        if (q->policy) {
                *ret_field = F "policy";
                config->policy = queue_policy_from_string(q->policy);
                if (config->policy < 0)
                        return error_set(e, -EINVAL,
                                F "policy: '%.64s' is refused: fifo, sjf, srtf, priority or fair is expected",
                                q->policy);
        }
        if (q->preemption) {
                *ret_field = F "preemption";
                config->preemption = queue_preemption_from_string(q->preemption);
                if (config->preemption < 0)
                        return error_set(e, -EINVAL,
                                F "preemption: '%.64s' is refused: none, suspend or requeue is expected",
                                q->preemption);
        }
        if (q->has_preemptions_max)
                config->preemptions_max = q->preemptions_max;
        if (q->has_backfill_max)
                config->backfill_max = q->backfill_max;
        return take_times(q, config, ret_field, e);
}

static const char *role_asked(const Mete__Api__Queue *q)
{
        return !str_empty(q->role) ? q->role : str_equal(q->name, QUEUE_DEFAULT) ? QUEUE_ROLE : q->name;
}

static int check_role(
        const struct job_queues *qs, const Mete__Api__Queue *q, const char *role, struct error *e)
{
        const struct job_queue *jq = job_queue_find(qs, q->name), *other = job_queue_of_role(qs, role);

        int r = role_validate(role, F "role", e);

        if (r < 0)
                return r;
        if (other && other != jq)
                return error_set(e, -EEXIST,
                        F "role: '%s' is that of queue '%s': a role that no other queue has is expected",
                        role, other->name);
        if (str_equal(q->name, QUEUE_DEFAULT) && !str_equal(role, QUEUE_ROLE))
                return error_set(e, -EINVAL, F "role: '%s' is refused: queue '%s' is always of role '%s'",
                        role, QUEUE_DEFAULT, QUEUE_ROLE);
        if (jq && jq->live_jobs > 0 && !str_equal(jq->role, role))
                return error_set(e, -EBUSY,
                        F "role: queue '%s' has %zu live jobs in role '%s', which stay there: change it when "
                          "they have ended",
                        jq->name, jq->live_jobs, jq->role);
        return 0;
}

int job_queue_check(const struct job_queues *qs, const Mete__Api__Queue *asked,
        struct queue_config *ret_config, char **ret_role, const char **ret_field, struct error *e)
{
        struct queue_config config;
        int r;

        *ret_field = F "name";
        if (!job_queue_name_legal(asked->name))
                return error_set(e, -EINVAL,
                        F "name: '%.64s' is refused: 1 to 63 of a-z A-Z 0-9 . _ - are accepted, no '-' in "
                          "front",
                        asked->name);
        if (!job_queue_find(qs, asked->name) && HASH_COUNT(qs->by_name) >= QUEUES_MAX)
                return error_set(e, -ENOSPC, F "name: there are %d queues: no more are accepted", QUEUES_MAX);
        r = take_config(asked, &config, ret_field, e);
        if (r < 0)
                return r;
        *ret_field = F "role";
        r = check_role(qs, asked, role_asked(asked), e);
        if (r < 0)
                return r;
        *ret_config = config;
        *ret_role = xstrdup(role_asked(asked));
        return 0;
}

/* ---- changes ---- */

static void view_config(const struct job_queue *jq, Mete__Api__Queue *ret)
{
        const struct queue_config *config = queue_get_config(jq->queue);

        mete__api__queue__init(ret);
        ret->name = jq->name;
        ret->role = jq->role;
        ret->policy = (char *)queue_policy_to_string(config->policy);
        ret->preemption = (char *)queue_preemption_to_string(config->preemption);
        ret->has_ageing_seconds = ret->has_grace_seconds = ret->has_min_gain_seconds =
                ret->has_fair_half_life_seconds = ret->has_preemptions_max = ret->has_backfill_max = true;
        ret->ageing_seconds = (double)config->ageing_ns / 1e9;
        ret->grace_seconds = (double)config->grace_ns / 1e9;
        ret->min_gain_seconds = (double)config->min_gain_ns / 1e9;
        ret->fair_half_life_seconds = (double)config->fair_half_life_ns / 1e9;
        ret->preemptions_max = config->preemptions_max;
        ret->backfill_max = config->backfill_max;
}

static void queue_put(const struct job_queue *jq, struct store_batch *b)
{
        _cleanup_free_ char *key = xasprintf(QUEUE_KEY, jq->name);
        Mete__Checkpoint__StoredQueue stored = METE__CHECKPOINT__STORED_QUEUE__INIT;
        Mete__Api__Queue view;

        view_config(jq, &view);
        stored.queue = &view;
        master_put_message(b, key, &stored.base);
}

struct job_queue *job_queue_set(struct job_queues *qs, const char *name, const char *role,
        const struct queue_config *config, struct store_batch *b)
{
        struct job_queue *jq = job_queue_find(qs, name);
        bool same_role = jq && str_equal(jq->role, role);

        if (jq) {
                queue_configure(jq->queue, config);
                set_string(&jq->role, role);
        } else {
                jq = queue_make(qs, name, role, config);
        }
        if (!same_role) {
                jq->wanted = false;
                job_queues_set_roles(qs);
        }
        queue_put(jq, b);
        return jq;
}

void job_queue_remove(struct job_queue *jq, struct store_batch *b)
{
        struct job_queues *qs = jq->all;
        _cleanup_free_ char *key = xasprintf(QUEUE_KEY, jq->name);
        struct job *j;

        store_batch_delete(b, key);
        DL_FOREACH (qs->master->jobs->ended, j)
                if (j->queue == jq)
                        j->queue = job_queue_find(qs, QUEUE_DEFAULT);
        queue_drop(jq);
        job_queues_set_roles(qs);
}

static void add_capability(Mete__V1__FrameworkInfo *info, Mete__V1__FrameworkInfo__Capability__Type type)
{
        Mete__V1__FrameworkInfo__Capability *c = NEW0(Mete__V1__FrameworkInfo__Capability);

        mete__v1__framework_info__capability__init(c);
        c->has_type = true;
        c->type = type;
        info->capabilities =
                xrealloc(info->capabilities, (info->n_capabilities + 1) * sizeof(*info->capabilities));
        info->capabilities[info->n_capabilities++] = c;
}

static void set_info_roles(const struct job_queues *qs, struct framework *f)
{
        Mete__V1__FrameworkInfo *info = f->info;
        size_t n = 0;

        if (!framework_has(f, METE__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__MULTI_ROLE)) {
                add_capability(info, METE__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__MULTI_ROLE);
                add_capability(info, METE__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__RESERVATION_REFINEMENT);
        }
        for (size_t i = 0; i < info->n_roles; i++)
                free(info->roles[i]);
        info->roles = xrealloc(info->roles, HASH_COUNT(qs->by_name) * sizeof(*info->roles));
        for (struct job_queue *jq = qs->by_name; jq; jq = jq->hh.next)
                info->roles[n++] = xstrdup(jq->role);
        info->n_roles = n;
}

/* Offers of roles that are no longer ours are taken back; a role that is new starts without. */
void job_queues_set_roles(struct job_queues *qs)
{
        struct framework *f = qs->master->queue_framework;

        /* As long as there is only the one of everybody's role, it is a framework of that role. */
        if (!f || (HASH_COUNT(qs->by_name) == 1 && f->info->n_roles == 0))
                return;
        for (size_t i = 0; i < f->roles.count; i++)
                if (!job_queue_of_role(qs, f->roles.items[i]))
                        offers_rescind_framework(f, f->roles.items[i], /* told= */ false);
        set_info_roles(qs, f);
        framework_info_changed(f);
        for (struct job_queue *jq = qs->by_name; jq; jq = jq->hh.next)
                if (!jq->wanted)
                        (void)allocator_suppress(qs->master->allocator, f->id, jq->role);
}

/* ---- recovery ---- */

static int recover_queue(const char *key, const void *value, size_t len, void *userdata)
{
        struct job_queues *qs = userdata;
        Mete__Checkpoint__StoredQueue *stored = NULL;
        _cleanup_error_ struct error e = {};
        struct queue_config config;
        _cleanup_free_ char *role = NULL;
        struct job_queue *jq;
        const char *field;

        if (message_decode(CODEC_PROTOBUF, &mete__checkpoint__stored_queue__descriptor, value, len,
                    (ProtobufCMessage **)&stored, &e) < 0 ||
                job_queue_check(qs, stored->queue, &config, &role, &field, &e) < 0) {
                log_error("store: the value of %s is not a queue: it is skipped: %s", key, error_message(&e));
                message_free(stored);
                return 0;
        }
        jq = job_queue_find(qs, stored->queue->name);
        if (jq)
                queue_configure(jq->queue, &config);
        else
                (void)queue_make(qs, stored->queue->name, role, &config);
        message_free(stored);
        return 0;
}

int job_queues_recover(struct job_queues *qs, struct error *e)
{
        int r = store_scan(qs->master->store, "queue/", recover_queue, qs, e);

        if (r >= 0)
                job_queues_set_roles(qs);
        return r;
}

/* ---- looking ---- */

struct users {
        Mete__Api__Queue__UserShare **items;
        size_t count, capacity;
};

static void add_user(const char *user, double core_seconds, size_t running, size_t waiting, void *userdata)
{
        struct users *u = userdata;
        Mete__Api__Queue__UserShare *share = NEW0(Mete__Api__Queue__UserShare);

        mete__api__queue__user_share__init(share);
        share->user = xstrdup(user);
        share->has_core_seconds = share->has_tasks_running = share->has_tasks_waiting = true;
        share->core_seconds = core_seconds;
        share->tasks_running = running;
        share->tasks_waiting = waiting;
        if (u->count == u->capacity) {
                u->capacity = MAX(u->capacity * 2, (size_t)8);
                u->items = xrealloc(u->items, u->capacity * sizeof(*u->items));
        }
        u->items[u->count++] = share;
}

static bool add_waiting(const struct queue_job *job, uint32_t waiting, void *userdata)
{
        Mete__Api__Queue *view = userdata;

        if (waiting > 0)
                view->waiting[view->n_waiting++] = xasprintf("%ju", (uintmax_t)job->number);
        return view->n_waiting < WAITING_SHOWN_MAX;
}

void job_queue_view(const struct job_queue *jq, Mete__Api__Queue *ret)
{
        struct users users = {};

        view_config(jq, ret);
        ret->has_jobs_waiting = ret->has_tasks_waiting = ret->has_tasks_running = ret->has_tasks_suspended =
                true;
        ret->jobs_waiting = queue_jobs_waiting(jq->queue);
        ret->tasks_waiting = queue_tasks_waiting(jq->queue);
        ret->tasks_running = jq->tasks_running - jq->tasks_suspended;
        ret->tasks_suspended = jq->tasks_suspended;
        queue_each_user(jq->queue, wall_now(), add_user, &users);
        ret->users = users.items;
        ret->n_users = users.count;
        ret->waiting = xcalloc(WAITING_SHOWN_MAX, sizeof(*ret->waiting));
        if (ret->jobs_waiting > 0)
                queue_each_job(jq->queue, wall_now(), add_waiting, ret);
}

void job_queue_view_done(Mete__Api__Queue *view)
{
        for (size_t i = 0; i < view->n_users; i++)
                message_free(view->users[i]);
        for (size_t i = 0; i < view->n_waiting; i++)
                free(view->waiting[i]);
        free(view->users);
        free(view->waiting);
        view->users = NULL;
        view->waiting = NULL;
        view->n_users = view->n_waiting = 0;
}
