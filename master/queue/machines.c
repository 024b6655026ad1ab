#include "master/queue/machines.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define LARGEST_KEPT                                                                                         \
        8 /* resources whose largest machine is remembered: cpus, mem, disk, gpus and a few more */

struct machine_entry {
        struct machine machine; /* everything that it points to is owned */
        UT_hash_handle hh;
};

struct largest {
        char resource[RESOURCE_NAME_MAX];
        uint64_t generation; /* when it was looked for */
        const struct machine *machine;
};

/* What machines_largest() found; apart, because asking changes nothing of the table. */
struct largest_found {
        struct largest kept[LARGEST_KEPT];
        size_t next; /* is replaced by the next name that is not there */
};

struct machines {
        struct machine_entry *by_id; /* k: machine.id -> v: struct machine_entry, owned */
        uint64_t generation;
        uint64_t *free_indexes; /* below index_end; taken from the end */
        size_t free_count, free_allocated;
        uint64_t index_end;
        struct largest_found *largest; /* owned */
};

struct machines *machines_new(void)
{
        struct machines *ms = NEW0(struct machines);

        ms->generation = 1;
        ms->largest = NEW0(struct largest_found);
        return ms;
}

static void machine_clear(struct machine *m)
{
        for (size_t i = 0; i < m->attribute_count; i++) {
                free((char *)m->attributes[i].name);
                free((char *)m->attributes[i].value);
        }
        free(m->attributes);
        free((char *)m->hostname);
        free((char *)m->region);
        free((char *)m->zone);
        free((char *)m->unusable);
        resources_done(&m->total);
}

static void entry_free(struct machines *ms, struct machine_entry *entry)
{
        HASH_DEL(ms->by_id, entry);
        machine_clear(&entry->machine);
        free((char *)entry->machine.id);
        free(entry);
}

struct machines *machines_free(struct machines *ms)
{
        struct machine_entry *entry, *next;

        if (!ms)
                return NULL;
        HASH_ITER (hh, ms->by_id, entry, next)
                entry_free(ms, entry);
        free(ms->free_indexes);
        free(ms->largest);
        free(ms);
        return NULL;
}

/* ---- attributes ---- */

static int by_name(const void *a, const void *b)
{
        return strcmp(
                ((const struct machine_attribute *)a)->name, ((const struct machine_attribute *)b)->name);
}

static struct machine_attribute *attributes_sorted(const struct machine *m)
{
        struct machine_attribute *sorted = xcalloc(m->attribute_count + 1, sizeof(*sorted));

        for (size_t i = 0; i < m->attribute_count; i++)
                sorted[i] = m->attributes[i];
        qsort(sorted, m->attribute_count, sizeof(*sorted),
                by_name); /* a merge sort: equal names keep their order */
        return sorted;
}

const char *machine_value(const struct machine *m, const char *attribute)
{
        size_t low = 0, high = m->attribute_count;

        if (str_equal(attribute, "hostname"))
                return m->hostname;
        if (str_equal(attribute, "agent"))
                return m->id;
        if (str_equal(attribute, "region"))
                return m->region;
        if (str_equal(attribute, "zone"))
                return m->zone;
        while (low < high) { /* the first that is not before it */
                size_t middle = low + (high - low) / 2;

                if (strcmp(m->attributes[middle].name, attribute) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low < m->attribute_count && str_equal(m->attributes[low].name, attribute)
                       ? m->attributes[low].value
                       : NULL;
}

/* ---- the table ---- */

static struct machine_entry *find(const struct machines *ms, const char *id)
{
        struct machine_entry *entry;

        HASH_FIND_STR(ms->by_id, id, entry);
        return entry;
}

/* Agents report themselves more often than they change: what stays the same makes nothing stale. */
static bool machine_same(
        const struct machine *a, const struct machine *b, const struct machine_attribute *sorted)
{
        if (!str_equal(a->hostname, b->hostname) || !str_equal(a->region, b->region) ||
                !str_equal(a->zone, b->zone) || !str_equal(a->unusable, b->unusable) ||
                a->window_begin.ns != b->window_begin.ns || a->window_end.ns != b->window_end.ns ||
                a->attribute_count != b->attribute_count || !resources_equal(&a->total, &b->total))
                return false;
        for (size_t i = 0; i < a->attribute_count; i++)
                if (!str_equal(a->attributes[i].name, sorted[i].name) ||
                        !str_equal(a->attributes[i].value, sorted[i].value))
                        return false;
        return true;
}

static struct machine_entry *entry_new(struct machines *ms, const char *id)
{
        struct machine_entry *entry = NEW0(struct machine_entry);

        entry->machine.id = xstrdup(id);
        entry->machine.index = ms->free_count > 0 ? ms->free_indexes[--ms->free_count] : ms->index_end++;
        HASH_ADD_KEYPTR(hh, ms->by_id, entry->machine.id, strlen(entry->machine.id), entry);
        return entry;
}

/* `sorted` is taken. Copies come first: the caller may give what it got from here. */
static void machine_fill(struct machine *to, const struct machine *from, struct machine_attribute *sorted)
{
        struct machine copy = {
                .id = to->id,
                .index = to->index,
                .hostname = xstrdup(from->hostname),
                .region = xstrdup(from->region),
                .zone = xstrdup(from->zone),
                .unusable = xstrdup(from->unusable),
                .window_begin = from->window_begin,
                .window_end = from->window_end,
                .attributes = sorted,
                .attribute_count = from->attribute_count,
        };

        for (size_t i = 0; i < copy.attribute_count; i++) {
                sorted[i].name = xstrdup(sorted[i].name);
                sorted[i].value = xstrdup(sorted[i].value);
        }
        resources_copy(&from->total, &copy.total);
        machine_clear(to);
        *to = copy;
}

const struct machine *machines_set(struct machines *ms, const struct machine *m)
{
        struct machine_entry *entry = find(ms, m->id);
        struct machine_attribute *sorted = attributes_sorted(m);

        if (entry && machine_same(&entry->machine, m, sorted)) {
                free(sorted);
                return &entry->machine;
        }
        if (!entry)
                entry = entry_new(ms, m->id);
        machine_fill(&entry->machine, m, sorted);
        ms->generation++;
        return &entry->machine;
}

int machines_set_unusable(struct machines *ms, const char *id, const char *why)
{
        struct machine_entry *entry = find(ms, id);
        char *copy;

        if (!entry)
                return -ENOENT;
        if (str_equal(entry->machine.unusable, why))
                return 0;
        copy = xstrdup(why);
        free((char *)entry->machine.unusable);
        entry->machine.unusable = copy;
        ms->generation++;
        return 0;
}

int machines_set_window(struct machines *ms, const char *id, struct wall_time begin, struct wall_time end)
{
        struct machine_entry *entry = find(ms, id);

        if (!entry)
                return -ENOENT;
        if (entry->machine.window_begin.ns == begin.ns && entry->machine.window_end.ns == end.ns)
                return 0;
        entry->machine.window_begin = begin;
        entry->machine.window_end = end;
        ms->generation++;
        return 0;
}

void machines_remove(struct machines *ms, const char *id)
{
        struct machine_entry *entry = find(ms, id);

        if (!entry)
                return;
        if (ms->free_count == ms->free_allocated) {
                ms->free_allocated = MAX(ms->free_allocated * 2, (size_t)16);
                ms->free_indexes = xrealloc(ms->free_indexes, ms->free_allocated * sizeof(*ms->free_indexes));
        }
        ms->free_indexes[ms->free_count++] = entry->machine.index;
        entry_free(ms, entry);
        ms->generation++;
}

const struct machine *machines_find(const struct machines *ms, const char *id)
{
        struct machine_entry *entry = find(ms, id);

        return entry ? &entry->machine : NULL;
}

size_t machines_count(const struct machines *ms)
{
        return HASH_COUNT(ms->by_id);
}

uint64_t machines_generation(const struct machines *ms)
{
        return ms->generation;
}

void machines_each(
        const struct machines *ms, void (*each)(const struct machine *m, void *userdata), void *userdata)
{
        for (const struct machine_entry *entry = ms->by_id; entry; entry = entry->hh.next)
                each(&entry->machine, userdata);
}

static const struct machine *look_for_largest(const struct machines *ms, const char *resource)
{
        const struct machine *largest = NULL;
        uint64_t most = 0;

        for (const struct machine_entry *entry = ms->by_id; entry; entry = entry->hh.next) {
                uint64_t milli = resources_scalar(&entry->machine.total, resource);

                if (!largest || milli > most) {
                        largest = &entry->machine;
                        most = milli;
                }
        }
        return largest;
}

/* Asked with every submission, while machines seldom change. */
const struct machine *machines_largest(const struct machines *ms, const char *resource)
{
        struct largest *l = NULL;

        for (size_t i = 0; i < LARGEST_KEPT && !l; i++)
                if (str_equal(ms->largest->kept[i].resource, resource))
                        l = &ms->largest->kept[i];
        if (!l) {
                l = &ms->largest->kept[ms->largest->next++ % LARGEST_KEPT];
                (void)snprintf(l->resource, sizeof(l->resource), "%s", resource);
                l->generation = 0;
        }
        if (l->generation != ms->generation) {
                l->machine = look_for_largest(ms, resource);
                l->generation = ms->generation;
        }
        return l->machine;
}
