/*
 * JSON to messages, with the leniency that clients of the Mesos v1 API rely on: unknown members are skipped,
 * null is unset, numbers and booleans may be quoted, one value may stand for a repeated field, an unknown
 * enum name leaves an optional field unset.
 */
#include "lib/base/utf8.h"
#include "lib/net/codec_internal.h"

#include <jansson.h>
#include <malloc.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_LARGE ((size_t)512 << 10) /* bytes */

union value {
        int32_t i32;
        uint32_t u32;
        int64_t i64;
        uint64_t u64;
        float f;
        double d;
        protobuf_c_boolean b;
        char *text;
        ProtobufCBinaryData bytes;
        ProtobufCMessage *message;
};

/* Positive: understood, but nothing to store. */
enum { VALUE_UNSET = 1 };

static int decode_message(const ProtobufCMessageDescriptor *d, json_t *object, const struct codec_path *path,
        unsigned depth, ProtobufCMessage **ret, struct error *e);

static const char *json_kind(const json_t *v)
{
        switch (json_typeof(v)) {
        case JSON_OBJECT:
                return "an object";
        case JSON_ARRAY:
                return "an array";
        case JSON_STRING:
                return "a string";
        case JSON_INTEGER:
        case JSON_REAL:
                return "a number";
        case JSON_TRUE:
        case JSON_FALSE:
                return "a boolean";
        default:
                return "null";
        }
}

static int wrong_kind(const json_t *v, const char *expected, const struct codec_path *path, struct error *e)
{
        return codec_fail(e, path, -EINVAL, "expected %s, got %s", expected, json_kind(v));
}

static int decode_double(json_t *v, const struct codec_path *path, double *ret, struct error *e)
{
        if (json_is_number(v)) {
                *ret = json_number_value(v);
                return 0;
        }
        if (!json_is_string(v))
                return wrong_kind(v, "a number", path, e);
        const char *s = json_string_value(v);
        if (str_equal(s, "Infinity") || str_equal(s, "-Infinity")) {
                *ret = *s == '-' ? -INFINITY : INFINITY;
                return 0;
        }
        if (json_string_length(v) > 64 || !number_text_valid(s, json_string_length(v)))
                return codec_fail(e, path, -EINVAL, "expected a number, got a string that is none");
        double d = strtod(s, NULL);
        if (!isfinite(d))
                return codec_fail(e, path, -EINVAL, "number is too large");
        *ret = d;
        return 0;
}

struct integer {
        bool negative;
        uint64_t magnitude;
};

/* 2.0 and "2.0" are integers too; 2.5 is not. */
static int integer_from_double(double d, const struct codec_path *path, struct integer *ret, struct error *e)
{
        if (d != trunc(d))
                return codec_fail(e, path, -EINVAL, "expected an integer, got a fraction");
        if (!(fabs(d) < 18446744073709551616.0))
                return codec_fail(e, path, -EINVAL, "number is too large");
        *ret = (struct integer){.negative = d < 0, .magnitude = (uint64_t)fabs(d)};
        return 0;
}

static int decode_integer(json_t *v, const struct codec_path *path, struct integer *ret, struct error *e)
{
        if (json_is_integer(v)) {
                json_int_t i = json_integer_value(v);
                *ret = (struct integer){.negative = i < 0, .magnitude = i < 0 ? -(uint64_t)i : (uint64_t)i};
                return 0;
        }
        if (json_is_real(v))
                return integer_from_double(json_real_value(v), path, ret, e);
        if (!json_is_string(v))
                return wrong_kind(v, "an integer", path, e);
        const char *s = json_string_value(v);
        size_t n = json_string_length(v);
        if (n > 64 || !number_text_valid(s, n))
                return codec_fail(e, path, -EINVAL, "expected an integer, got a string that is none");
        if (strpbrk(s, ".eE"))
                return integer_from_double(strtod(s, NULL), path, ret, e);
        ret->negative = *s == '-';
        errno = 0;
        ret->magnitude = strtoull(s + ret->negative, NULL, 10);
        return errno ? codec_fail(e, path, -EINVAL, "number is too large") : 0;
}

static int decode_signed(
        json_t *v, uint64_t max, const struct codec_path *path, int64_t *ret, struct error *e)
{
        struct integer i;
        int r = decode_integer(v, path, &i, e);
        if (r < 0)
                return r;
        if (i.magnitude > max + i.negative)
                return codec_fail(e, path, -EINVAL, "number is outside %lld to %lld", -(long long)max - 1,
                        (long long)max);
        *ret = (int64_t)(i.negative ? -i.magnitude : i.magnitude);
        return 0;
}

static int decode_unsigned(
        json_t *v, uint64_t max, const struct codec_path *path, uint64_t *ret, struct error *e)
{
        struct integer i;
        int r = decode_integer(v, path, &i, e);
        if (r < 0)
                return r;
        if ((i.negative && i.magnitude) || i.magnitude > max)
                return codec_fail(e, path, -EINVAL, "number is outside 0 to %llu", (unsigned long long)max);
        *ret = i.magnitude;
        return 0;
}

static int decode_bool(json_t *v, const struct codec_path *path, protobuf_c_boolean *ret, struct error *e)
{
        const char *s = json_string_value(v);
        if (json_is_true(v) || str_equal(s, "true"))
                *ret = 1;
        else if (json_is_false(v) || str_equal(s, "false"))
                *ret = 0;
        else if (s)
                return codec_fail(e, path, -EINVAL, "expected true or false");
        else
                return wrong_kind(v, "true or false", path, e);
        return 0;
}

static int decode_enum(const ProtobufCFieldDescriptor *f, json_t *v, const struct codec_path *path,
        int32_t *ret, struct error *e)
{
        const ProtobufCEnumDescriptor *d = f->descriptor;
        if (!json_is_string(v))
                return wrong_kind(v, "the name of a value", path, e);
        const ProtobufCEnumValue *value =
                protobuf_c_enum_descriptor_get_value_by_name(d, json_string_value(v));
        if (!value && f->label == PROTOBUF_C_LABEL_REQUIRED)
                return codec_fail(e, path, -EINVAL, "expected a value of %s such as \"%s\"", d->short_name,
                        d->values[0].name);
        if (!value)
                return VALUE_UNSET;
        *ret = value->value;
        return 0;
}

static int decode_text(json_t *v, const struct codec_path *path, char **ret, struct error *e)
{
        if (!json_is_string(v))
                return wrong_kind(v, "a string", path, e);
        char *s = strdup(json_string_value(v));
        if (!s)
                return codec_fail(e, path, -ENOMEM, "out of memory");
        *ret = s;
        return 0;
}

static int decode_bytes(json_t *v, const struct codec_path *path, ProtobufCBinaryData *ret, struct error *e)
{
        if (!json_is_string(v))
                return wrong_kind(v, "base64 text", path, e);
        int r = base64_decode(json_string_value(v), json_string_length(v), &ret->data, &ret->len);
        if (r == -EINVAL)
                return codec_fail(e, path, r, "expected padded base64");
        return r < 0 ? codec_fail(e, path, r, "out of memory") : 0;
}

static int decode_value(const ProtobufCFieldDescriptor *f, json_t *v, const struct codec_path *path,
        unsigned depth, union value *ret, struct error *e)
{
        int64_t i = 0;
        int r;
        switch (f->type) {
        case PROTOBUF_C_TYPE_INT32:
        case PROTOBUF_C_TYPE_SINT32:
        case PROTOBUF_C_TYPE_SFIXED32:
                r = decode_signed(v, INT32_MAX, path, &i, e);
                ret->i32 = (int32_t)i;
                return r;
        case PROTOBUF_C_TYPE_INT64:
        case PROTOBUF_C_TYPE_SINT64:
        case PROTOBUF_C_TYPE_SFIXED64:
                return decode_signed(v, INT64_MAX, path, &ret->i64, e);
        case PROTOBUF_C_TYPE_UINT32:
        case PROTOBUF_C_TYPE_FIXED32:
                r = decode_unsigned(v, UINT32_MAX, path, (uint64_t *)&i, e);
                ret->u32 = (uint32_t)i;
                return r;
        case PROTOBUF_C_TYPE_UINT64:
        case PROTOBUF_C_TYPE_FIXED64:
                return decode_unsigned(v, UINT64_MAX, path, &ret->u64, e);
        case PROTOBUF_C_TYPE_FLOAT: {
                double d = 0;
                r = decode_double(v, path, &d, e);
                ret->f = (float)d;
                return r;
        }
        case PROTOBUF_C_TYPE_DOUBLE:
                return decode_double(v, path, &ret->d, e);
        case PROTOBUF_C_TYPE_BOOL:
                return decode_bool(v, path, &ret->b, e);
        case PROTOBUF_C_TYPE_ENUM:
                return decode_enum(f, v, path, &ret->i32, e);
        case PROTOBUF_C_TYPE_STRING:
                return decode_text(v, path, &ret->text, e);
        case PROTOBUF_C_TYPE_BYTES:
                return decode_bytes(v, path, &ret->bytes, e);
        case PROTOBUF_C_TYPE_MESSAGE:
                return decode_message(f->descriptor, v, path, depth + 1, &ret->message, e);
        }
        return codec_fail(e, path, -EINVAL, "unsupported type");
}

/* Room for n elements, counted in as they are stored, so that a half-filled message can be freed. */
static int repeated_reserve(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, size_t n,
        const struct codec_path *path, struct error *e)
{
        if (!n)
                return 0;
        void *elements = calloc(n, codec_value_size(f->type));
        if (!elements)
                return codec_fail(e, path, -ENOMEM, "out of memory");
        *(void **)codec_member(m, f->offset) = elements;
        return 0;
}

static int repeated_add(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, json_t *v,
        const struct codec_path *path, unsigned depth, struct error *e)
{
        if (json_is_null(v))
                return 0;
        union value value = {};
        int r = decode_value(f, v, path, depth, &value, e);
        if (r)
                return r < 0 ? r : 0;
        size_t *count = codec_member(m, f->quantifier_offset);
        memcpy(codec_element(m, f, *count), &value, codec_value_size(f->type));
        (*count)++;
        return 0;
}

static int decode_repeated(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, json_t *v,
        struct codec_path *path, unsigned depth, struct error *e)
{
        bool array = json_is_array(v);
        size_t n = array ? json_array_size(v) : 1;
        int r = repeated_reserve(m, f, n, path, e);
        for (size_t i = 0; r >= 0 && i < n; i++) {
                path->index = array ? (ssize_t)i : -1;
                r = repeated_add(m, f, array ? json_array_get(v, i) : v, path, depth, e);
        }
        return r;
}

static int map_add(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, json_t *v,
        const struct codec_path *path, unsigned depth, struct error *e)
{
        const ProtobufCMessageDescriptor *d = f->descriptor;
        union value value = {};
        /* The entry is a level of its own, as it is on the wire. */
        int r = decode_value(&d->fields[1], v, path, depth + 1, &value, e);
        if (r)
                return r < 0 ? r : 0;
        ProtobufCMessage *entry = xcalloc(1, d->sizeof_message);
        d->message_init(entry);
        *(char **)codec_member(entry, d->fields[0].offset) = xstrdup(path->key);
        memcpy(codec_member(entry, d->fields[1].offset), &value, codec_value_size(d->fields[1].type));
        codec_mark_set(entry, &d->fields[1]);
        size_t *count = codec_member(m, f->quantifier_offset);
        *(ProtobufCMessage **)codec_element(m, f, (*count)++) = entry;
        return 0;
}

static int decode_map(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, json_t *v,
        struct codec_path *path, unsigned depth, struct error *e)
{
        const char *key;
        json_t *member;
        if (!json_is_object(v))
                return wrong_kind(v, "an object", path, e);
        int r = repeated_reserve(m, f, json_object_size(v), path, e);
        if (r < 0)
                return r;
        json_object_foreach(v, key, member)
        {
                path->key = key;
                r = json_is_null(member) ? 0 : map_add(m, f, member, path, depth, e);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int decode_singular(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, json_t *v,
        const struct codec_path *path, unsigned depth, struct error *e)
{
        if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) && *(uint32_t *)codec_member(m, f->quantifier_offset))
                return codec_fail(e, path, -EINVAL, "cannot stand beside another choice of the same kind");
        union value value = {};
        int r = decode_value(f, v, path, depth, &value, e);
        if (r)
                return r;
        memcpy(codec_member(m, f->offset), &value, codec_value_size(f->type));
        codec_mark_set(m, f);
        return 0;
}

static int decode_members(ProtobufCMessage *m, json_t *object, const struct codec_path *up, unsigned depth,
        uint64_t seen[static CODEC_MESSAGE_FIELDS_MAX / 64], struct error *e)
{
        const struct codec_layout *layout = codec_layout(m->descriptor);
        const char *name;
        json_t *v;
        json_object_foreach(object, name, v)
        {
                const ProtobufCFieldDescriptor *f =
                        protobuf_c_message_descriptor_get_field_by_name(m->descriptor, name);
                if (!f || json_is_null(v))
                        continue;
                size_t index = (size_t)(f - m->descriptor->fields);
                struct codec_path path = {.up = up, .name = f->name, .index = -1};
                int r;
                if (layout->map[index])
                        r = decode_map(m, f, v, &path, depth, e);
                else if (f->label == PROTOBUF_C_LABEL_REPEATED)
                        r = decode_repeated(m, f, v, &path, depth, e);
                else
                        r = decode_singular(m, f, v, &path, depth, e);
                if (r < 0)
                        return r;
                if (r == 0)
                        seen[index / 64] |= UINT64_C(1) << (index % 64);
        }
        return 0;
}

static int decode_message(const ProtobufCMessageDescriptor *d, json_t *object, const struct codec_path *path,
        unsigned depth, ProtobufCMessage **ret, struct error *e)
{
        if (!json_is_object(object))
                return wrong_kind(object, "an object", path, e);
        if (depth > CODEC_DEPTH_MAX)
                return codec_fail(e, path, -EINVAL, "nested deeper than %d levels", CODEC_DEPTH_MAX);
        ProtobufCMessage *m = calloc(1, d->sizeof_message);
        if (!m)
                return codec_fail(e, path, -ENOMEM, "out of memory");
        d->message_init(m);
        uint64_t seen[CODEC_MESSAGE_FIELDS_MAX / 64] = {};
        int r = decode_members(m, object, path, depth, seen, e);
        for (size_t i = 0; r >= 0 && i < d->n_fields; i++) {
                if (d->fields[i].label != PROTOBUF_C_LABEL_REQUIRED || seen[i / 64] >> (i % 64) & 1)
                        continue;
                struct codec_path missing = {.up = path, .name = d->fields[i].name, .index = -1};
                r = codec_fail(e, &missing, -EINVAL, "required but missing");
        }
        if (r < 0) {
                message_free(m);
                return r;
        }
        *ret = m;
        return 0;
}

/* Before the parser allocates anything: brackets bound its recursion, and commas and brackets what its tree
 * will cost. */
static int scan_text(const char *data, size_t len, struct error *e)
{
        unsigned depth = 0;
        uint64_t memory = 0;
        bool quoted = false;
        for (size_t i = 0; i < len; i++) {
                char c = data[i];
                if (quoted) {
                        if (c == '\\')
                                i++;
                        quoted = c != '"';
                } else if (c == '"') {
                        quoted = true;
                } else if (c == '{' || c == '[') {
                        memory += c == '{' ? 256 : 128;
                        if (++depth > 2 * CODEC_DEPTH_MAX)
                                return codec_fail(e, NULL, -EINVAL, "JSON is nested deeper than %d levels",
                                        2 * CODEC_DEPTH_MAX);
                } else if (c == '}' || c == ']') {
                        depth -= depth > 0;
                } else if (c == ',') {
                        memory += 64;
                }
        }
        if (memory > CODEC_MEMORY_MAX)
                return codec_fail(e, NULL, -E2BIG, "JSON has too many values");
        return 0;
}

static int not_json(const json_error_t *where, struct error *e)
{
        if (json_error_code(where) == json_error_null_character ||
                json_error_code(where) == json_error_null_byte_in_key)
                return codec_fail(e, NULL, -EINVAL, "text contains a NUL character (line %d)", where->line);
        if (json_error_code(where) == json_error_numeric_overflow)
                return codec_fail(e, NULL, -EINVAL,
                        "number is too large (line %d); integers from 2^63 on are given as strings",
                        where->line);
        /* The parser quotes the peer's text. */
        _cleanup_free_ char *text = text_for_message(where->text, JSON_ERROR_TEXT_LENGTH);
        return codec_fail(e, NULL, -EINVAL, "not valid JSON: %s (line %d, column %d)", text, where->line,
                where->column);
}

int codec_json_decode(const ProtobufCMessageDescriptor *d, const char *data, size_t len,
        ProtobufCMessage **ret, struct error *e)
{
        int r = scan_text(data, len, e);
        if (r < 0)
                return r;
        json_error_t where;
        json_t *root = json_loadb(data, len, 0, &where);
        if (!root)
                return not_json(&where, e);
        r = decode_message(d, root, NULL, 1, ret, e);
        json_decref(root);
        /* It was some thirty times as large as its text, and glibc keeps what is freed below anything that lives on. */
        if (len >= TEXT_LARGE)
                (void)malloc_trim(0);
        return r;
}
