#include "proto/read_json.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/build_info.h"
#include "proto/validate.h"

/* ---- the program ---- */

void json_version(struct buffer *out)
{
        time_t when = (time_t)build_info.time;
        char date[32] = "";
        struct tm tm;

        if (when > 0 && gmtime_r(&when, &tm))
                (void)strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm);
        json_put_string(out, "version", METE_VERSION);
        json_put_string(out, "build_date", date);
        json_put_double(out, "build_time", (double)build_info.time);
        json_put_string(out, "build_user", build_info.user);
        if (*build_info.git_sha)
                json_put_string(out, "git_sha", build_info.git_sha);
        if (*build_info.git_branch)
                json_put_string(out, "git_branch", build_info.git_branch);
        if (*build_info.git_tag)
                json_put_string(out, "git_tag", build_info.git_tag);
}

void json_flags(struct buffer *out, const struct option_parser *parser, const void *options)
{
        json_begin_object(out, "flags");
        for (size_t i = 0; i < parser->count; i++) {
                const struct option_row *row = &parser->rows[i];
                _cleanup_free_ char *value = option_value_text(row, options);
                _cleanup_free_ char *name = xstrdup(row->name);

                for (char *p = strchr(name, '-'); p; p = strchr(p, '-'))
                        *p = '_';
                if (value)
                        json_put_string(out, name, value);
        }
        json_end_object(out);
}

/* ---- resources ---- */

static const char *const always[] = {"cpus", "gpus", "mem", "disk"};

static bool is_always_there(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(always); i++)
                if (str_equal(name, always[i]))
                        return true;
        return false;
}

static void ranges_text(struct buffer *text, const struct resource_range *ranges, size_t count)
{
        buffer_puts(text, "[");
        for (size_t i = 0; i < count; i++)
                buffer_printf(text, "%s%ju-%ju", i > 0 ? ", " : "", (uintmax_t)ranges[i].begin,
                        (uintmax_t)ranges[i].end);
        buffer_puts(text, "]");
}

void resource_items_text(struct buffer *text, char *const *items, size_t count)
{
        buffer_puts(text, "{");
        for (size_t i = 0; i < count; i++)
                buffer_printf(text, "%s%s", i > 0 ? "," : "", items[i]);
        buffer_puts(text, "}");
}

static void json_entry(struct buffer *out, const struct resource *r)
{
        _cleanup_buffer_ struct buffer text = {};

        json_member(out, r->name);
        if (r->kind == RESOURCE_SCALAR) {
                json_put_double(out, NULL, milli_to_double(r->milli));
                return;
        }
        if (r->kind == RESOURCE_RANGES)
                ranges_text(&text, r->ranges, r->range_count);
        else
                resource_items_text(&text, r->items, r->item_count);
        json_put_string(out, NULL, text.data);
}

static bool any_traits(const struct resources *r)
{
        for (size_t i = 0; i < r->count; i++)
                if (r->entries[i].traits)
                        return true;
        return false;
}

void json_resources(struct buffer *out, const char *key, const struct resources *r)
{
        _cleanup_resources_ struct resources sums = {};

        /* One member a name. */
        if (any_traits(r)) {
                resources_with_traits(r, NULL, &sums);
                r = &sums;
        }
        json_begin_object(out, key);
        for (size_t i = 0; i < ELEMENTSOF(always); i++)
                json_put_double(out, always[i], milli_to_double(resources_scalar(r, always[i])));
        for (size_t i = 0; i < r->count; i++)
                if (!is_always_there(r->entries[i].name))
                        json_entry(out, &r->entries[i]);
        json_end_object(out);
}

void json_resources_of(struct buffer *out, const char *key, Mete__V1__Resource *const *list, size_t count)
{
        _cleanup_resources_ struct resources r = {};

        if (resources_from_proto(list, count, "resources", &r, NULL) < 0)
                r = (struct resources){};
        json_resources(out, key, &r);
}

/* ---- tasks ---- */

void json_labels(struct buffer *out, const char *key, const Mete__V1__Labels *labels)
{
        json_begin_array(out, key);
        for (size_t i = 0; labels && i < labels->n_labels; i++)
                json_put_message(out, NULL, &labels->labels[i]->base);
        json_end_array(out);
}

const char *task_state_wire_name(Mete__V1__TaskState state)
{
        const ProtobufCEnumValue *v =
                protobuf_c_enum_descriptor_get_value(&mete__v1__task_state__descriptor, (int)state);

        return v ? v->name : "TASK_UNKNOWN";
}
