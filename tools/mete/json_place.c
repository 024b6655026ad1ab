/* Values are skipped by the JSON library itself: what it has read of a text tells where the next one begins. */
#include "tools/mete/json_place.h"

#include <stdlib.h>
#include <string.h>

#include "tools/mete/text.h"

struct cursor {
        const char *text;
        size_t len, at;
};

static void skip_space(struct cursor *c)
{
        while (c->at < c->len && strchr(" \t\r\n", c->text[c->at]))
                c->at++;
}

static bool take(struct cursor *c, char expected)
{
        skip_space(c);
        if (c->at >= c->len || c->text[c->at] != expected)
                return false;
        c->at++;
        return true;
}

/* A new reference to the value here, behind which the cursor stands then; NULL at the end. */
static json_t *take_value(struct cursor *c)
{
        json_error_t error;
        json_t *v;

        skip_space(c);
        v = json_loadb(c->text + c->at, c->len - c->at, JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK, &error);
        if (v)
                c->at += (size_t)error.position;
        return v;
}

static bool skip_value(struct cursor *c)
{
        json_t *v = take_value(c);

        json_decref(v);
        return v;
}

/* To the value of the member; false: there is none. */
static bool enter_member(struct cursor *c, const char *name, size_t len)
{
        if (!take(c, '{'))
                return false;
        do {
                json_t *key = take_value(c);
                bool found = json_is_string(key) && json_string_length(key) == len &&
                             memcmp(json_string_value(key), name, len) == 0;

                json_decref(key);
                if (!key || !take(c, ':'))
                        return false;
                skip_space(c);
                if (found)
                        return true;
                if (!skip_value(c))
                        return false;
        } while (take(c, ','));
        return false;
}

static bool enter_element(struct cursor *c, unsigned long index)
{
        if (!take(c, '['))
                return false;
        for (; index > 0; index--)
                if (!skip_value(c) || !take(c, ','))
                        return false;
        skip_space(c);
        return c->at < c->len && c->text[c->at] != ']';
}

static bool enter(struct cursor *c, const char **path)
{
        size_t len = strcspn(*path, ".[");

        if (**path == '[') {
                char *end;
                unsigned long index = strtoul(*path + 1, &end, 10);

                *path = end + (*end == ']');
                return enter_element(c, index);
        }
        if (**path == '.') {
                (*path)++;
                return true;
        }
        *path += len;
        return enter_member(c, *path - len, len);
}

unsigned json_line_of(const char *text, size_t len, const char *path)
{
        struct cursor c = {.text = text, .len = len};
        size_t known;
        unsigned line = 1;

        skip_space(&c);
        known = c.at;
        while (path && *path && enter(&c, &path))
                known = c.at;
        for (size_t i = 0; i < known; i++)
                line += text[i] == '\n';
        return line;
}

char *json_path_of_sentence(const char *sentence)
{
        size_t n = strspn(sentence, "abcdefghijklmnopqrstuvwxyz_0123456789.[]");

        return xstrndup(sentence, str_has_prefix(sentence + n, ": ") ? n : 0);
}

static int unknown_member(
        const ProtobufCMessageDescriptor *d, const char *path, const char *name, struct error *e)
{
        const char *near = NULL;
        unsigned nearest = 4;

        for (unsigned i = 0; i < d->n_fields; i++) {
                unsigned distance = text_distance(name, d->fields[i].name);

                if (distance < nearest || (!near && str_has_prefix(d->fields[i].name, name))) {
                        near = d->fields[i].name;
                        nearest = distance;
                }
        }
        return error_set(e, -EINVAL,
                near ? "%s%s%s: there is no such field: did you mean \"%s\"?"
                     : "%s%s%s: there is no such field",
                path, *path ? "." : "", name, near);
}

static int check_enum(json_t *v, const ProtobufCEnumDescriptor *d, const char *path, struct error *e)
{
        _cleanup_buffer_ struct buffer names = {0};
        const ProtobufCEnumValue *value =
                json_is_string(v) ? protobuf_c_enum_descriptor_get_value_by_name(d, json_string_value(v))
                                  : NULL;

        if (value && value->value != 0)
                return 0;
        for (unsigned i = 0; i < d->n_values; i++)
                if (d->values[i].value != 0)
                        buffer_printf(&names, "%s%s", names.len ? ", " : "", d->values[i].name);
        return error_set(e, -EINVAL, "%s: expected one of %s", path, names.data);
}

static int check_value(json_t *v, const ProtobufCFieldDescriptor *f, const char *path, struct error *e)
{
        if (json_is_null(v))
                return 0;
        if (f->type == PROTOBUF_C_TYPE_ENUM)
                return check_enum(v, f->descriptor, path, e);
        return f->type == PROTOBUF_C_TYPE_MESSAGE ? json_check_members(v, f->descriptor, path, e) : 0;
}

/* Other kinds of values than those expected are the codec's to refuse. */
int json_check_members(json_t *object, const ProtobufCMessageDescriptor *d, const char *path, struct error *e)
{
        const char *name;
        json_t *v;
        int r = 0;

        if (!json_is_object(object))
                return 0;
        json_object_foreach(object, name, v)
        {
                const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field_by_name(d, name);
                _cleanup_free_ char *at = xasprintf("%s%s%s", path, *path ? "." : "", name);

                if (!f)
                        return unknown_member(d, path, name, e);
                if (!json_is_array(v))
                        r = check_value(v, f, at, e);
                for (size_t i = 0; r == 0 && json_is_array(v) && i < json_array_size(v); i++) {
                        _cleanup_free_ char *element = xasprintf("%s[%zu]", at, i);

                        r = check_value(json_array_get(v, i), f, element, e);
                }
                if (r < 0)
                        return r;
        }
        return 0;
}
