/* Agents as the queues see them: machines with attributes, a place, and whether and until when they may be used. */

#include <stdlib.h>
#include <string.h>

#include "master/jobs/jobs.h"
#include "master/operator/standing.h"
#include "master/operator/windows.h"

static void put_ranges(const Mete__V1__Value__Ranges *ranges, struct buffer *out)
{
        buffer_puts(out, "[");
        for (size_t i = 0; ranges && i < ranges->n_range; i++)
                buffer_printf(out, "%s%ju-%ju", i > 0 ? "," : "", (uintmax_t)ranges->range[i]->begin,
                        (uintmax_t)ranges->range[i]->end);
        buffer_puts(out, "]");
}

static void put_set(const Mete__V1__Value__Set *set, struct buffer *out)
{
        buffer_puts(out, "{");
        for (size_t i = 0; set && i < set->n_item; i++)
                buffer_printf(out, "%s%s", i > 0 ? "," : "", set->item[i]);
        buffer_puts(out, "}");
}

static char *attribute_text(const Mete__V1__Attribute *a)
{
        _cleanup_buffer_ struct buffer out = {};

        if (a->type == METE__V1__VALUE__TYPE__SCALAR)
                buffer_printf(&out, "%.10g", a->scalar ? a->scalar->value : 0);
        else if (a->type == METE__V1__VALUE__TYPE__RANGES)
                put_ranges(a->ranges, &out);
        else if (a->type == METE__V1__VALUE__TYPE__SET)
                put_set(a->set, &out);
        else
                buffer_puts(&out, a->text ? a->text->value : "");
        return buffer_take(&out);
}

static int compare_attributes(const void *a, const void *b)
{
        return strcmp(
                ((const struct machine_attribute *)a)->name, ((const struct machine_attribute *)b)->name);
}

static void take_attributes(const Mete__V1__AgentInfo *info, struct machine *ret)
{
        ret->attributes = xcalloc(info->n_attributes + 1, sizeof(*ret->attributes));
        for (size_t i = 0; i < info->n_attributes; i++) {
                ret->attributes[i].name = info->attributes[i]->name;
                ret->attributes[i].value = attribute_text(info->attributes[i]);
        }
        ret->attribute_count = info->n_attributes;
        qsort(ret->attributes, ret->attribute_count, sizeof(*ret->attributes), compare_attributes);
}

void jobs_on_agent(struct framework *f, struct agent *a, bool gone)
{
        struct jobs *js = f->userdata;
        const Mete__V1__DomainInfo__FaultDomain *place =
                a->info->domain ? a->info->domain->fault_domain : NULL;
        struct machine machine = {.id = a->id, .hostname = a->info->hostname, .total = a->total};

        if (gone) {
                machines_remove(js->queues->machines, a->id);
        } else {
                machine.region = place ? place->region->name : NULL;
                machine.zone = place ? place->zone->name : NULL;
                machine.unusable = agent_unusable(a);
                take_attributes(a->info, &machine);
                (void)agent_window(a, &machine.window_begin, &machine.window_end);
                (void)machines_set(js->queues->machines, &machine);
                for (size_t i = 0; i < machine.attribute_count; i++)
                        free((char *)machine.attributes[i].value);
                free(machine.attributes);
        }
        jobs_schedule_all(js);
}
