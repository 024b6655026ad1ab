#include "master/queue/quantities.h"

#include <stdlib.h>
#include <string.h>

static const char *const fixed_names[QUANTITY_OTHERS] = {"cpus", "mem", "ports", "cores"};

const char *quantity_name(const struct quantity_names *names, size_t place)
{
        return place < QUANTITY_OTHERS ? fixed_names[place] : names->names[place - QUANTITY_OTHERS];
}

uint64_t quantities_times(const struct quantities *have, const struct quantities *need, uint64_t max)
{
        for (size_t i = 0; i < QUANTITIES_MAX; i++)
                if (need->of[i] > 0)
                        max = MIN(max, have->of[i] / need->of[i]);
        return max;
}

size_t quantities_lacking(const struct quantities *have, const struct quantities *need)
{
        size_t i = 0;

        while (i < QUANTITIES_MAX && need->of[i] <= have->of[i])
                i++;
        return i;
}

size_t quantity_place(const struct quantity_names *names, const char *name)
{
        if (strcmp(name, "cpus") == 0)
                return QUANTITY_CPUS;
        if (strcmp(name, "mem") == 0)
                return QUANTITY_MEM;
        for (size_t i = 0; i < names->count; i++)
                if (strcmp(name, names->names[i]) == 0)
                        return QUANTITY_OTHERS + i;
        return QUANTITIES_MAX;
}

int quantities_of_size(struct quantity_names *names, const struct resources *size, struct quantities *ret)
{
        struct quantities sum = {};

        for (size_t i = 0; i < size->count; i++) {
                const struct resource *e = &size->entries[i];
                size_t place;

                if (e->kind != RESOURCE_SCALAR)
                        continue;
                place = quantity_place(names, e->name);
                if (place == QUANTITIES_MAX) {
                        if (names->count == ELEMENTSOF(names->names))
                                return -E2BIG;
                        place = QUANTITY_OTHERS + names->count;
                        (void)snprintf(names->names[names->count++], RESOURCE_NAME_MAX, "%s", e->name);
                }
                sum.of[place] += e->milli;
        }
        *ret = sum;
        return 0;
}

/* A volume is somebody's data, and what is revocable may be taken back at any moment: neither is a task's to have unasked. */
static bool usable(const struct resource *e)
{
        return !e->traits || (!e->traits->revocable && !e->traits->volume_id);
}

static uint64_t range_total(const struct resource *e)
{
        uint64_t sum = 0;

        for (size_t i = 0; i < e->range_count; i++)
                sum += e->ranges[i].end - e->ranges[i].begin + 1;
        return sum;
}

void quantities_available(
        const struct quantity_names *names, const struct resources *r, struct quantities *ret)
{
        *ret = (struct quantities){};
        for (size_t i = 0; i < r->count; i++) {
                const struct resource *e = &r->entries[i];
                size_t place;

                if (!usable(e))
                        continue;
                if (e->kind == RESOURCE_SCALAR) {
                        place = quantity_place(names, e->name);
                        if (place < QUANTITIES_MAX)
                                ret->of[place] += e->milli;
                } else if (e->kind == RESOURCE_RANGES && strcmp(e->name, "ports") == 0) {
                        ret->of[QUANTITY_PORTS] += range_total(e);
                } else if (e->kind == RESOURCE_RANGES && strcmp(e->name, "cores") == 0) {
                        ret->of[QUANTITY_CORES] += range_total(e);
                }
        }
}

/* The first `count` numbers of the entry, at most; returns how many. */
static uint64_t take_numbers(const struct resource *e, uint64_t count, struct resources *ret)
{
        struct resource part = *e;
        uint64_t taken = 0;

        part.ranges = xcalloc(e->range_count, sizeof(*part.ranges));
        part.range_count = 0;
        for (size_t i = 0; i < e->range_count && taken < count; i++) {
                uint64_t here = MIN(count - taken, e->ranges[i].end - e->ranges[i].begin + 1);

                part.ranges[part.range_count++] =
                        (struct resource_range){e->ranges[i].begin, e->ranges[i].begin + here - 1};
                taken += here;
        }
        if (taken > 0)
                resources_add_entry(ret, &part);
        free(part.ranges);
        return taken;
}

static uint64_t take_scalar(const struct resource *e, uint64_t milli, struct resources *ret)
{
        struct resource part = *e;

        part.milli = MIN(milli, e->milli);
        resources_add_entry(ret, &part);
        return part.milli;
}

/* Reserved entries go first: what is reserved serves nobody else, what is not may. */
static void take(const struct resources *from, const char *name, enum resource_kind kind, uint64_t amount,
        struct resources *ret)
{
        for (int reserved = 1; reserved >= 0; reserved--) {
                for (size_t i = 0; i < from->count && amount > 0; i++) {
                        const struct resource *e = &from->entries[i];

                        if (e->kind != kind || (e->traits != NULL) != reserved || !usable(e) ||
                                strcmp(e->name, name) != 0)
                                continue;
                        amount -= kind == RESOURCE_SCALAR ? take_scalar(e, amount, ret)
                                                          : take_numbers(e, amount, ret);
                }
        }
        assert(amount == 0);
}

void quantities_take(struct resources *from, const struct resources *size, uint32_t ports, uint32_t cores,
        struct resources *ret)
{
        struct resources taken = {};

        for (size_t i = 0; i < size->count; i++)
                if (size->entries[i].kind == RESOURCE_SCALAR)
                        take(from, size->entries[i].name, RESOURCE_SCALAR, size->entries[i].milli, &taken);
        take(from, "ports", RESOURCE_RANGES, ports, &taken);
        take(from, "cores", RESOURCE_RANGES, cores, &taken);
        if (resources_subtract(from, &taken) < 0)
                assert(!"what was taken is not there");
        *ret = taken;
}
