/*
 * The order of jobs. Between two events the key of a job does not change, so the jobs stand in trees: one for those that waited too
 * long, by arrival; one for the others by the policy's key. Under "fair" each user has a tree, and the users are ordered when a pass
 * begins and whenever it launched something. What time changes is in a further tree, by when.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "master/queue/queue_internal.h"

#define USERS_MAX                                                                                            \
        10000 /* kept without a job for their usage; beyond that the one with the least is forgotten */

static int node_compare(const struct tree_node *a, const struct tree_node *b)
{
        const struct order_node *x = CONTAINER_OF(a, const struct order_node, node);
        const struct order_node *y = CONTAINER_OF(b, const struct order_node, node);

        if (x->key != y->key)
                return x->key < y->key ? -1 : 1;
        return x->number < y->number ? -1 : x->number > y->number;
}

static const struct tree_type order_type = {.compare = node_compare};

void order_init(struct queue *q)
{
        q->aged.type = q->ordered.type = q->wake.type = &order_type;
}

uint64_t order_key(const struct queue *q, const struct job *j)
{
        uint64_t duration;

        switch (j->aged ? QUEUE_FIFO : q->config.policy) {
        case QUEUE_SJF:
        case QUEUE_SRTF: /* of a task that waits all remains */
                duration = queue_job_duration(j);
                return duration > 0 ? duration : UINT64_MAX;
        case QUEUE_PRIORITY:
                return QUEUE_PRIORITY_MAX - MIN(j->spec.priority, (uint32_t)QUEUE_PRIORITY_MAX);
        default:
                return 0;
        }
}

static struct tree *tree_of(struct queue *q, struct job *j)
{
        if (j->aged)
                return &q->aged;
        return q->config.policy == QUEUE_FAIR ? &j->name->user->order : &q->ordered;
}

void order_insert(struct queue *q, struct job *j)
{
        j->order.key = order_key(q, j);
        j->order.number = j->spec.number;
        tree_insert(tree_of(q, j), &j->order.node);
        j->where = JOB_ORDERED;
        q->jobs_ordered++;
}

/* Before anything changes by which its tree is found. */
void order_remove(struct queue *q, struct job *j)
{
        tree_remove(tree_of(q, j), &j->order.node);
        j->where = JOB_NOWHERE;
        q->jobs_ordered--;
}

/* What a user's running tasks will have used soon counts already: users that start together take turns. */
static double charged_usage(const struct queue *q, const struct user *u, uint64_t now_ns)
{
        return user_usage(q, u, now_ns) +
               (double)u->milli_cpus / 1000 * ((double)FAIR_CHARGE_NS / NSEC_PER_SEC);
}

static size_t rank_among_users(const struct queue *q, const struct job *j, uint64_t now_ns)
{
        const struct user *own = j->name->user;
        double usage = charged_usage(q, own, now_ns);
        struct user *u, *next;
        size_t rank = 0;

        HASH_ITER (hh, q->users, u, next) {
                double other = u == own ? 0 : charged_usage(q, u, now_ns);

                if (u != own && (other < usage || (other == usage && strcmp(u->name, own->name) < 0)))
                        rank += tree_count(&u->order);
        }
        return rank;
}

size_t order_rank(const struct queue *q, const struct job *j, uint64_t now_ns)
{
        struct order_node probe = {.key = order_key(q, j), .number = j->spec.number};

        if (j->aged)
                return tree_rank(&q->aged, &probe.node);
        if (q->config.policy != QUEUE_FAIR)
                return tree_count(&q->aged) + tree_rank(&q->ordered, &probe.node);
        return tree_count(&q->aged) + rank_among_users(q, j, now_ns) +
               tree_rank(&j->name->user->order, &probe.node);
}

bool order_policy_prefers(const struct queue *q, const struct job *j, const struct run *r, uint64_t now_ns)
{
        const struct job *other = r->key.job;
        uint64_t duration = queue_job_duration(j);

        switch (q->config.policy) {
        case QUEUE_PRIORITY:
                return j->spec.priority > other->spec.priority;
        case QUEUE_SJF:
                return duration > 0 &&
                       (duration < queue_job_duration(other) || queue_job_duration(other) == 0);
        case QUEUE_SRTF:
                return duration > 0 && duration < run_remaining_ns(q, r, now_ns);
        case QUEUE_FIFO:
                return j->spec.number < other->spec.number;
        default:
                return false;
        }
}

bool order_goes_before(const struct queue *q, const struct job *j, const struct run *r, uint64_t now_ns)
{
        if (j->aged != r->aged)
                return j->aged;
        return j->aged ? j->spec.number < r->key.job->spec.number : order_policy_prefers(q, j, r, now_ns);
}

bool order_before(const struct queue *q, const struct job *a, const struct job *b)
{
        uint64_t ka = order_key(q, a), kb = order_key(q, b);

        if (a->aged != b->aged)
                return a->aged;
        if (!a->aged && q->config.policy == QUEUE_FAIR && a->name->user != b->name->user)
                return charged_usage(q, a->name->user, q->now.ns) <
                       charged_usage(q, b->name->user, q->now.ns);
        return ka != kb ? ka < kb : a->spec.number < b->spec.number;
}

/* ---- what time changes ---- */

static uint64_t wake_time(const struct queue *q, const struct job *j)
{
        uint64_t at = TIME_NEVER;

        if (j->expired)
                return at;
        if (j->spec.deadline.ns > 0 && j->waiting > 0)
                at = MIN(at, j->spec.deadline.ns);
        if (j->delayed_count > 0)
                at = MIN(at, j->delayed[0].until_ns);
        if (j->since_ns > 0 && !j->aged && q->config.ageing_ns > 0 && q->config.policy != QUEUE_FIFO)
                at = q->config.ageing_ns < at - MIN(at, j->since_ns) ? j->since_ns + q->config.ageing_ns : at;
        return at;
}

void wake_update(struct queue *q, struct job *j)
{
        uint64_t at = wake_time(q, j);

        if (j->in_wake && j->wake.key == at)
                return;
        if (j->in_wake)
                tree_remove(&q->wake, &j->wake.node);
        j->in_wake = at != TIME_NEVER;
        j->wake.key = at;
        j->wake.number = j->spec.number;
        if (j->in_wake)
                tree_insert(&q->wake, &j->wake.node);
}

static void job_due(struct queue *q, struct job *j, uint64_t now_ns)
{
        bool ages = j->since_ns > 0 && q->config.ageing_ns > 0 && now_ns >= j->since_ns &&
                    now_ns - j->since_ns >= q->config.ageing_ns;

        queue_job_end_delays(q, j);
        if (j->where == JOB_ORDERED)
                order_remove(q, j);
        if (j->spec.deadline.ns > 0 && j->waiting > 0 && j->spec.deadline.ns <= now_ns) {
                j->expired = true;
                (void)decision_add(q, QUEUE_EXPIRE, j->spec.number, 0);
        }
        j->aged = j->aged || ages;
        queue_job_changed(q, j);
}

/* Their expected durations have changed: they are put in order anew, some in each pass. */
static size_t rekey_some(struct queue *q, struct run_name *n, size_t budget)
{
        while (n->rekey && budget > 0) {
                struct job *j = n->rekey;

                n->rekey = j->name_next;
                budget--;
                if (j->where == JOB_ORDERED && j->order.key != order_key(q, j)) {
                        order_remove(q, j);
                        order_insert(q, j);
                }
        }
        if (!n->rekey) {
                DL_DELETE2(q->stale, n, stale_prev, stale_next);
                n->stale = false;
        }
        return budget;
}

bool order_due(struct queue *q, uint64_t now_ns)
{
        size_t budget = PASS_DUE_MAX;
        struct tree_node *n;

        while ((n = tree_first(&q->wake)) && budget > 0) {
                struct order_node *o = CONTAINER_OF(n, struct order_node, node);

                if (o->key > now_ns)
                        break;
                job_due(q, CONTAINER_OF(o, struct job, wake), now_ns);
                budget--;
        }
        while (q->stale && budget > 0)
                budget = rekey_some(q, q->stale, budget);
        return budget > 0;
}

bool queue_next_wakeup(const struct queue *q, struct wall_time *ret)
{
        struct tree_node *n = tree_first(&q->wake);
        uint64_t at = q->look_again_ns;

        if (n)
                at = MIN(at, CONTAINER_OF(n, struct order_node, node)->key);
        if (q->holds)
                at = MIN(at, q->hold_ends_ns);
        if (at == TIME_NEVER)
                return false;
        *ret = (struct wall_time){at};
        return true;
}

/* ---- names of jobs ---- */

struct run_name *run_name_get(struct queue *q, struct user *u, const char *name)
{
        char *key = xasprintf("%s\n%s", u->name, name);
        struct run_name *n;
        struct estimate known;

        HASH_FIND_STR(q->run_names, key, n);
        if (n) {
                free(key);
        } else {
                n = NEW0(struct run_name);
                n->key = key;
                n->name = key + strlen(u->name) + 1;
                n->user = u;
                HASH_ADD_KEYPTR(hh, q->run_names, n->key, strlen(n->key), n);
                if (estimates_get(q->estimates, u->name, n->name, q->now, &known))
                        n->expected_ns = known.expected_ns;
        }
        n->references++;
        return n;
}

struct run_name *run_name_unref(struct queue *q, struct run_name *n)
{
        if (--n->references > 0)
                return NULL;
        if (n->stale)
                DL_DELETE2(q->stale, n, stale_prev, stale_next);
        HASH_DEL(q->run_names, n);
        free(n->key);
        free(n);
        return NULL;
}

void run_name_learn(struct queue *q, struct run_name *n)
{
        struct estimate known;
        uint64_t before = n->expected_ns, change;

        if (!estimates_get(q->estimates, n->user->name, n->name, q->now, &known))
                return;
        change = known.expected_ns > before ? known.expected_ns - before : before - known.expected_ns;
        /* Small changes are not worth a new order of all jobs of the name. */
        if (before > 0 && change < before / 10)
                return;
        n->expected_ns = known.expected_ns;
        n->rekey = n->jobs;
        if (n->rekey && !n->stale) {
                n->stale = true;
                DL_APPEND2(q->stale, n, stale_prev, stale_next);
        }
}

/* ---- users ---- */

static void user_free(struct queue *q, struct user *u)
{
        HASH_DEL(q->users, u);
        free(u->name);
        free(u);
}

void user_release(struct queue *q, struct user *u)
{
        u->jobs--;
        if (u->jobs == 0 && u->running == 0 && u->usage <= 0)
                user_free(q, u);
}

static void forget_a_user(struct queue *q)
{
        struct user *least = NULL, *u, *next;

        HASH_ITER (hh, q->users, u, next)
                if (u->jobs == 0 && u->running == 0 && (!least || u->usage < least->usage))
                        least = u;
        if (least)
                user_free(q, least);
}

struct user *user_get(struct queue *q, const char *name)
{
        struct user *u;

        HASH_FIND_STR(q->users, name, u);
        if (u)
                return u;
        if (HASH_COUNT(q->users) >= USERS_MAX)
                forget_a_user(q);
        u = NEW0(struct user);
        u->name = xstrdup(name);
        u->order.type = &order_type;
        HASH_ADD_KEYPTR(hh, q->users, u->name, strlen(u->name), u);
        return u;
}

/* Usage decays by 2^(-t/h); a core in use all that time adds the integral of it: h / ln 2 * (1 - 2^(-t/h)). */
double user_usage(const struct queue *q, const struct user *u, uint64_t now_ns)
{
        uint64_t half_life_ns =
                q->config.fair_half_life_ns > 0 ? q->config.fair_half_life_ns : QUEUE_HALF_LIFE_DEFAULT_NS;
        double half_life = (double)half_life_ns / NSEC_PER_SEC, left;

        if (now_ns <= u->usage_at_ns)
                return u->usage;
        left = exp2(-((double)(now_ns - u->usage_at_ns) / NSEC_PER_SEC) / half_life);
        return u->usage * left + (double)u->milli_cpus / 1000 * half_life / M_LN2 * (1 - left);
}

void user_advance(const struct queue *q, struct user *u, uint64_t now_ns)
{
        if (now_ns <= u->usage_at_ns)
                return;
        u->usage = user_usage(q, u, now_ns);
        u->usage_at_ns = now_ns;
}

void queue_each_user(const struct queue *q, struct wall_time now,
        void (*each)(const char *user, double core_seconds, size_t running, size_t waiting, void *userdata),
        void *userdata)
{
        struct user *u, *next;

        HASH_ITER (hh, q->users, u, next)
                each(u->name, user_usage(q, u, now.ns), u->running, u->waiting, userdata);
}

void queue_restore_user(struct queue *q, const char *name, double core_seconds, struct wall_time at)
{
        struct user *u = user_get(q, name);

        u->usage = core_seconds;
        u->usage_at_ns = at.ns;
}

/* ---- walking ---- */

static bool user_before(const struct cursor_user *a, const struct cursor_user *b)
{
        return a->usage != b->usage ? a->usage < b->usage : strcmp(a->user->name, b->user->name) < 0;
}

static void sift_down(struct cursor *c, size_t i)
{
        for (;;) {
                size_t least = i;

                for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < c->user_count; child++)
                        if (user_before(&c->users[child], &c->users[least]))
                                least = child;
                if (least == i)
                        return;
                struct cursor_user moved = c->users[i];

                c->users[i] = c->users[least];
                c->users[least] = moved;
                i = least;
        }
}

void cursor_start(struct cursor *c, struct queue *q, uint64_t now_ns)
{
        struct user *u, *next;

        *c = (struct cursor){.q = q, .now_ns = now_ns};
        if (q->config.policy != QUEUE_FAIR)
                return;
        c->users = xcalloc(HASH_COUNT(q->users) + 1, sizeof(*c->users));
        HASH_ITER (hh, q->users, u, next) {
                if (!u->order.root)
                        continue;
                c->users[c->user_count++] =
                        (struct cursor_user){.user = u, .usage = charged_usage(q, u, now_ns)};
        }
        for (size_t i = c->user_count; i-- > 0;)
                sift_down(c, i);
}

static struct job *behind(const struct tree *t, const struct order_node *last)
{
        struct tree_node *n = last->number > 0 ? tree_after(t, &last->node) : tree_first(t);

        return n ? CONTAINER_OF(CONTAINER_OF(n, struct order_node, node), struct job, order) : NULL;
}

static struct job *next_of_users(struct cursor *c)
{
        while (c->user_count > 0) {
                struct job *j = behind(&c->users[0].user->order, &c->users[0].last);

                if (j)
                        return j;
                c->users[0] = c->users[--c->user_count];
                sift_down(c, 0);
        }
        return NULL;
}

struct job *cursor_job(struct cursor *c)
{
        if (!c->aged_done) {
                struct job *j = behind(&c->q->aged, &c->last);

                if (j)
                        return j;
                c->aged_done = true;
                c->last = (struct order_node){};
        }
        return c->q->config.policy == QUEUE_FAIR ? next_of_users(c) : behind(&c->q->ordered, &c->last);
}

void cursor_pass(struct cursor *c, const struct job *j)
{
        struct order_node *last =
                c->aged_done && c->q->config.policy == QUEUE_FAIR ? &c->users[0].last : &c->last;

        last->key = j->order.key;
        last->number = j->order.number;
}

void cursor_charge(struct cursor *c, const struct job *j)
{
        if (!c->aged_done || c->user_count == 0 || c->users[0].user != j->name->user)
                return;
        c->users[0].usage = charged_usage(c->q, c->users[0].user, c->now_ns);
        sift_down(c, 0);
}

void cursor_done(struct cursor *c)
{
        free(c->users);
        c->users = NULL;
}
