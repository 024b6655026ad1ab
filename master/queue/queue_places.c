/* Machines as this queue sees them, the offers that it holds there, and which machines meet the constraints of which jobs. */
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "master/queue/queue_internal.h"

/* ---- places by what is free ---- */

static int compare_u64(uint64_t a, uint64_t b)
{
        return a < b ? -1 : a > b;
}

static int place_compare(const struct tree_node *a, const struct tree_node *b)
{
        const struct place *x = CONTAINER_OF(a, const struct place, node);
        const struct place *y = CONTAINER_OF(b, const struct place, node);
        int r = compare_u64(x->free_amounts.of[QUANTITY_CPUS], y->free_amounts.of[QUANTITY_CPUS]);

        if (r == 0)
                r = compare_u64(x->free_amounts.of[QUANTITY_MEM], y->free_amounts.of[QUANTITY_MEM]);
        return r != 0 ? r : compare_u64(x->serial, y->serial);
}

static void raise_most(struct quantities *most, const struct tree_node *child)
{
        const struct quantities *other = child ? &CONTAINER_OF(child, const struct place, node)->most : NULL;

        for (size_t i = 0; other && i < QUANTITIES_MAX; i++)
                most->of[i] = MAX(most->of[i], other->of[i]);
}

static void place_summarise(struct tree_node *n)
{
        struct place *p = CONTAINER_OF(n, struct place, node);

        p->most = p->free_amounts;
        raise_most(&p->most, n->left);
        raise_most(&p->most, n->right);
}

static const struct tree_type place_type = {.compare = place_compare, .summarise = place_summarise};

void places_init(struct queue *q)
{
        q->free_places.type = &place_type;
        q->generation = 1;
}

void place_free_changed(struct queue *q, struct place *p, const struct quantities *now)
{
        bool in_tree = p->offers && p->host != NO_HOST;

        if (p->in_tree && in_tree && memcmp(now, &p->free_amounts, sizeof(*now)) == 0)
                return;
        if (p->in_tree)
                tree_remove(&q->free_places, &p->node);
        p->free_amounts = *now;
        p->in_tree = in_tree;
        if (in_tree)
                tree_insert(&q->free_places, &p->node);
}

static void recompute_free(struct queue *q, struct place *p)
{
        struct quantities now;

        quantities_available(&q->names, &p->free, &now);
        place_free_changed(q, p, &now);
}

/* NO_HOST also when the machines have changed since they were read: then all places are looked up when they are read again. */
static uint32_t host_of(const struct queue *q, const char *agent)
{
        const struct machine *m;

        if (q->machines_generation != machines_generation(q->machines))
                return NO_HOST;
        m = machines_find(q->machines, agent);
        return m && m->index < q->index_count ? q->host_by_index[m->index] : NO_HOST;
}

struct place *place_get(struct queue *q, const char *agent)
{
        struct place *p;

        HASH_FIND_STR(q->places, agent, p);
        if (p)
                return p;
        p = NEW0(struct place);
        p->id = xstrdup(agent);
        p->serial = ++q->serial;
        p->host = host_of(q, agent);
        if (p->host != NO_HOST)
                q->hosts[p->host].place = p;
        HASH_ADD_KEYPTR(hh, q->places, p->id, strlen(p->id), p);
        return p;
}

struct host *place_host(const struct queue *q, const struct place *p)
{
        return p->host == NO_HOST ? NULL : &q->hosts[p->host];
}

void place_free(struct queue *q, struct place *p)
{
        assert(!p->offers && !p->surplus && p->run_count == 0 && !p->reserved);
        if (p->in_tree)
                tree_remove(&q->free_places, &p->node);
        HASH_DEL(q->places, p);
        resources_done(&p->free);
        free(p->runs);
        free(p->id);
        free(p);
}

/* ---- hosts ---- */

static void add_host(const struct machine *m, void *userdata)
{
        struct queue *q = userdata;
        struct host *h = &q->hosts[q->host_count];

        if (m->index >= q->index_count) {
                q->host_by_index = xrealloc(q->host_by_index, (m->index + 1) * 2 * sizeof(*q->host_by_index));
                while (q->index_count < (m->index + 1) * 2)
                        q->host_by_index[q->index_count++] = NO_HOST;
        }
        if (m->unusable)
                return;
        q->host_by_index[m->index] = (uint32_t)q->host_count;
        *h = (struct host){.machine = m};
        quantities_available(&q->names, &m->total, &h->total);
        HASH_FIND_STR(q->places, m->id, h->place);
        if (h->place)
                h->place->host = (uint32_t)q->host_count;
        q->host_count++;
}

void hosts_refresh(struct queue *q)
{
        struct place *p, *next;

        if (q->machines_generation == machines_generation(q->machines))
                return;
        q->machines_generation = machines_generation(q->machines);
        q->generation++;
        reservations_clear(q);
        HASH_ITER (hh, q->places, p, next)
                p->host = NO_HOST;
        free(q->hosts);
        q->host_count = 0;
        for (size_t i = 0; i < q->index_count; i++)
                q->host_by_index[i] = NO_HOST;
        q->hosts = xcalloc(machines_count(q->machines) + 1, sizeof(*q->hosts));
        machines_each(q->machines, add_host, q);
        HASH_ITER (hh, q->places, p, next) {
                if (p->host == NO_HOST && !p->offers && !p->surplus && p->run_count == 0)
                        place_free(q, p);
                else if (p->in_tree != (p->offers && p->host != NO_HOST))
                        recompute_free(q, p);
        }
}

void hosts_done(struct queue *q)
{
        struct domain *d, *next;

        HASH_ITER (hh, q->domains, d, next) {
                HASH_DEL(q->domains, d);
                free(d->attribute);
                free(d->values);
                free(d);
        }
        free(q->hosts);
        free(q->host_by_index);
}

void names_changed(struct queue *q)
{
        struct place *p, *next;
        struct run *r, *next_run;

        q->machines_generation = 0; /* which no table has */
        HASH_ITER (hh, q->places, p, next) {
                recompute_free(q, p);
                p->held = (struct quantities){};
                p->known = false;
        }
        HASH_ITER (hh, q->runs, r, next_run) {
                _cleanup_resources_ struct resources held = {};

                resources_copy(&r->resources, &held);
                if (resources_subtract(&held, &r->missing) < 0)
                        assert(!"a suspended task lacks what it never had");
                quantities_available(&q->names, &held, &r->held);
                quantities_available(&q->names, &r->missing, &r->need);
                quantities_add(&r->place->held, &r->held);
        }
}

/* ---- offers ---- */

void queue_add_offer(struct queue *q, uint64_t number, const char *agent, const struct resources *resources)
{
        struct offer *o;
        struct place *p;

        HASH_FIND(hh, q->offers, &number, sizeof(number), o);
        if (o)
                held_offer_free(q, o);
        p = place_get(q, agent);
        o = NEW0(struct offer);
        o->number = number;
        o->place = p;
        resources_copy(resources, &o->resources);
        HASH_ADD(hh, q->offers, number, sizeof(o->number), o);
        if (p->offer_count > QUEUE_MERGED_MAX) {
                DL_APPEND2(p->surplus, o, place_prev, place_next);
                return;
        }
        DL_APPEND2(p->offers, o, place_prev, place_next);
        p->offer_count++;
        resources_add(&p->free, resources);
        recompute_free(q, p);
}

static bool is_surplus(const struct offer *o)
{
        for (const struct offer *s = o->place->surplus; s; s = s->place_next)
                if (s == o)
                        return true;
        return false;
}

void held_offer_free(struct queue *q, struct offer *o)
{
        struct place *p = o->place;

        HASH_DEL(q->offers, o);
        if (is_surplus(o)) {
                DL_DELETE2(p->surplus, o, place_prev, place_next);
        } else {
                struct offer *other;

                DL_DELETE2(p->offers, o, place_prev, place_next);
                p->offer_count--;
                resources_done(&p->free);
                DL_FOREACH2(p->offers, other, place_next)
                resources_add(&p->free, &other->resources);
                recompute_free(q, p);
        }
        resources_done(&o->resources);
        free(o);
}

void queue_remove_offer(struct queue *q, uint64_t number)
{
        struct offer *o;

        HASH_FIND(hh, q->offers, &number, sizeof(number), o);
        if (!o)
                return;
        /* It goes to somebody else: what is free there is no longer known. */
        o->place->known = false;
        held_offer_free(q, o);
}

size_t queue_offers_held(const struct queue *q)
{
        return HASH_COUNT(q->offers);
}

/* ---- constraints ---- */

static char *constraints_key(const struct queue_job *job)
{
        _cleanup_buffer_ struct buffer text = {};

        for (size_t i = 0; i < job->constraint_count; i++) {
                _cleanup_free_ char *one = constraint_to_string(&job->constraints[i]);

                buffer_printf(&text, "%s\n", one);
        }
        return text.data ? buffer_take(&text) : xstrdup("");
}

static struct constraint_set *set_get(struct queue *q, const struct queue_job *job)
{
        char *key = constraints_key(job);
        struct constraint_set *set;

        HASH_FIND_STR(q->sets, key, set);
        if (set) {
                free(key);
                set->references++;
                return set;
        }
        set = NEW0(struct constraint_set);
        set->key = key;
        set->references = 1;
        set->count = job->constraint_count;
        set->constraints = xcalloc(set->count + 1, sizeof(*set->constraints));
        for (size_t i = 0; i < set->count; i++) {
                constraint_copy(&job->constraints[i], &set->constraints[i]);
                set->distinct = set->distinct || set->constraints[i].operator== CONSTRAINT_DISTINCT;
                set->volumes = set->volumes || set->constraints[i].operator== CONSTRAINT_VOLUME;
        }
        HASH_ADD_KEYPTR(hh, q->sets, set->key, strlen(set->key), set);
        return set;
}

static void set_unref(struct queue *q, struct constraint_set *set)
{
        if (--set->references > 0)
                return;
        HASH_DEL(q->sets, set);
        for (size_t i = 0; i < set->count; i++)
                constraint_done(&set->constraints[i]);
        free(set->constraints);
        free(set->holds);
        free(set->hosts);
        free(set->key);
        free(set);
}

static bool all_hold(const struct constraint_set *set, const struct machine *m)
{
        for (size_t i = 0; i < set->count; i++)
                if (!constraint_holds(&set->constraints[i], m))
                        return false;
        return true;
}

void set_refresh(struct queue *q, struct constraint_set *set)
{
        if (set->generation == q->generation)
                return;
        set->generation = q->generation;
        set->host_count = 0;
        if (set->count == 0)
                return;
        free(set->holds);
        free(set->hosts);
        set->holds = xcalloc(q->host_count + 1, sizeof(*set->holds));
        set->hosts = xcalloc(q->host_count + 1, sizeof(*set->hosts));
        for (uint32_t i = 0; i < q->host_count; i++) {
                set->holds[i] = all_hold(set, q->hosts[i].machine);
                if (set->holds[i])
                        set->hosts[set->host_count++] = i;
        }
        q->matches += q->host_count * set->count;
}

/* ---- volumes ---- */

static const struct run *user_of_volume(const struct place *p, const struct constraint *volume)
{
        for (uint32_t i = 0; i < p->run_count; i++)
                if (resources_find_volume(&p->runs[i]->resources, volume->attribute, volume->value))
                        return p->runs[i];
        return NULL;
}

const struct constraint *place_lacks_volume(
        const struct place *p, const struct constraint_set *set, const struct run **ret_user)
{
        for (size_t i = 0; set->volumes && i < set->count; i++) {
                const struct constraint *c = &set->constraints[i];

                if (c->operator!= CONSTRAINT_VOLUME ||
                        resources_find_volume(&p->free, c->attribute, c->value))
                        continue;
                *ret_user = user_of_volume(p, c);
                if (*ret_user || p->offers)
                        return c;
        }
        return NULL;
}

bool place_has_volumes(const struct place *p, const struct constraint_set *set)
{
        const struct run *user;

        return !set->volumes || !place_lacks_volume(p, set, &user);
}

void place_take_volumes(struct place *p, const struct constraint_set *set, struct resources *to)
{
        _cleanup_resources_ struct resources taken = {};

        for (size_t i = 0; set->volumes && i < set->count; i++) {
                const struct constraint *c = &set->constraints[i];

                if (c->operator== CONSTRAINT_VOLUME)
                        resources_add_entry(&taken, resources_find_volume(&p->free, c->attribute, c->value));
        }
        if (resources_subtract(&p->free, &taken) < 0)
                assert(!"a volume that is there is not");
        resources_add(to, &taken);
}

bool volumes_somewhere(struct queue *q, struct constraint_set *set)
{
        if (!set->volumes)
                return true;
        set_refresh(q, set);
        for (size_t i = 0; i < set->host_count; i++) {
                const struct place *p = q->hosts[set->hosts[i]].place;

                if (!p || place_has_volumes(p, set))
                        return true;
        }
        return false;
}

/* ---- shapes ---- */

struct shape *shape_get(struct queue *q, const struct queue_job *job, const struct quantities *need)
{
        struct shape_key key;
        struct shape *s;

        memset(&key, 0, sizeof(key));
        key.need = *need;
        key.set = set_get(q, job);
        HASH_FIND(hh, q->shapes, &key, sizeof(key), s);
        if (s) {
                set_unref(q, key.set);
        } else {
                s = NEW0(struct shape);
                s->key = key;
                for (size_t i = 0; i < job->size.count; i++)
                        if (job->size.entries[i].kind == RESOURCE_SCALAR)
                                resources_set_scalar(
                                        &s->size, job->size.entries[i].name, job->size.entries[i].milli);
                HASH_ADD(hh, q->shapes, key, sizeof(s->key), s);
        }
        s->references++;
        return s;
}

void shape_unref(struct queue *q, struct shape *s)
{
        if (--s->references > 0)
                return;
        HASH_DEL(q->shapes, s);
        set_unref(q, s->key.set);
        resources_done(&s->size);
        free(s);
}

/* ---- what could be ---- */

void queue_set_limits(struct queue *q, const struct queue_limit *limits, size_t count)
{
        if (count == q->limit_count &&
                (count == 0 || memcmp(limits, q->limits, count * sizeof(*limits)) == 0))
                return;
        q->limits = xrealloc(q->limits, (count + 1) * sizeof(*limits));
        if (count > 0)
                memcpy(q->limits, limits, count * sizeof(*limits));
        q->limit_count = count;
        q->machines_generation = 0; /* which no table has: what is possible is found out anew */
}

uint64_t limits_times(const struct queue *q, const struct quantities *need, uint64_t max,
        const struct queue_limit **ret_limit)
{
        *ret_limit = NULL;
        for (size_t i = 0; i < q->limit_count; i++) {
                size_t place = quantity_place(&q->names, q->limits[i].name);
                uint64_t most;

                if (place == QUANTITIES_MAX || need->of[place] == 0)
                        continue;
                most = q->limits[i].milli / need->of[place];
                if (most >= max)
                        continue;
                max = most;
                *ret_limit = &q->limits[i];
        }
        return max;
}

bool shape_possible(struct queue *q, struct shape *s)
{
        struct constraint_set *set = s->key.set;
        const struct queue_limit *limit;
        size_t count;

        if (s->checked == q->generation)
                return s->possible;
        set_refresh(q, set);
        s->checked = q->generation;
        s->possible = false;
        if (limits_times(q, &s->key.need, 1, &limit) == 0)
                return false;
        count = set->holds ? set->host_count : q->host_count;
        for (size_t i = 0; i < count && !s->possible; i++, q->visits++)
                s->possible =
                        quantities_within(&s->key.need, &q->hosts[set->holds ? set->hosts[i] : i].total);
        return s->possible;
}

/* Values of the attribute on machines that could hold a task. */
static uint64_t count_values(struct queue *q, const struct shape *s, const char *attribute)
{
        const struct domain *d = domain_get(q, attribute);
        bool *seen = xcalloc(d->value_count + 1, sizeof(*seen));
        uint64_t count = 0;

        for (uint32_t i = 0; i < q->host_count; i++, q->visits++) {
                if (seen[d->values[i]] || !set_holds(s->key.set, i) ||
                        !quantities_within(&s->key.need, &q->hosts[i].total))
                        continue;
                seen[d->values[i]] = true;
                count++;
        }
        free(seen);
        return count;
}

/* At most as many tasks as there are values of what must be distinct. Several such attributes are each looked at alone. */
static uint64_t tasks_distinct(struct queue *q, const struct shape *s, uint64_t tasks)
{
        const struct constraint_set *set = s->key.set;

        for (size_t i = 0; i < set->count; i++)
                if (set->constraints[i].operator== CONSTRAINT_DISTINCT)
                        tasks = MIN(tasks, count_values(q, s, set->constraints[i].attribute));
        return tasks;
}

bool gang_possible(struct queue *q, struct job *j)
{
        const struct shape *s = j->shape;
        const struct constraint_set *set = s->key.set;
        const struct queue_limit *limit;
        uint64_t tasks = 0;

        if (j->gang_checked == q->generation)
                return j->gang_possible;
        for (uint32_t i = 0; i < q->host_count && tasks < j->waiting; i++, q->visits++)
                if (set_holds(set, i))
                        tasks += quantities_times(&q->hosts[i].total, &s->key.need, j->waiting);
        j->gang_checked = q->generation;
        tasks = limits_times(q, &s->key.need, tasks_distinct(q, s, tasks), &limit);
        j->gang_possible = tasks >= j->waiting;
        return j->gang_possible;
}

/* ---- values of attributes ---- */

struct value {
        const char *text; /* of a machine */
        uint32_t number;
        UT_hash_handle hh;
};

static void domain_read(struct queue *q, struct domain *d)
{
        struct value *values = NULL, *v, *next;

        free(d->values);
        d->values = xcalloc(q->host_count + 1, sizeof(*d->values));
        d->value_count = 0;
        for (size_t i = 0; i < q->host_count; i++) {
                const char *text = machine_value(q->hosts[i].machine, d->attribute);

                if (!text)
                        continue;
                HASH_FIND_STR(values, text, v);
                if (!v) {
                        v = NEW0(struct value);
                        v->text = text;
                        v->number = ++d->value_count;
                        HASH_ADD_KEYPTR(hh, values, v->text, strlen(v->text), v);
                }
                d->values[i] = v->number;
        }
        HASH_ITER (hh, values, v, next) {
                HASH_DEL(values, v);
                free(v);
        }
}

const struct domain *domain_get(struct queue *q, const char *attribute)
{
        struct domain *d;

        HASH_FIND_STR(q->domains, attribute, d);
        if (!d) {
                d = NEW0(struct domain);
                d->attribute = xstrdup(attribute);
                HASH_ADD_KEYPTR(hh, q->domains, d->attribute, strlen(d->attribute), d);
        }
        if (d->generation != q->generation) {
                d->generation = q->generation;
                domain_read(q, d);
                q->matches += q->host_count;
        }
        return d;
}
