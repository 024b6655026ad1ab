/*
 * Shared by the codec's own files: the per-message layout that reflection needs again and again, paths for
 * error sentences, and the text forms of numbers, strings and bytes. Thread-safe: layouts are built once and
 * never change.
 */
#pragma once

#include <string.h>

#include "lib/net/codec.h"

/*
 * What one decoded message may cost in memory, estimated before anything is allocated: a peer must not be
 * able to turn a small body of empty objects into a large heap.
 */
#define CODEC_MEMORY_MAX (UINT64_C(128) << 20)
#define CODEC_FIELDS_MAX (UINT32_C(1) << 20) /* fields of one protobuf body, all levels together */
#define CODEC_MESSAGE_FIELDS_MAX 256         /* fields of one message type; ours have far fewer */

struct codec_field {
        const ProtobufCFieldDescriptor *d;
        char *key; /* "\"name\":" */
        size_t key_len;
        bool emit_default; /* unset is written as the default that the .proto names */
        bool map;          /* repeated entries {key, value} that JSON shows as an object */
};

/* protobuf-c sorts its fields by number; JSON wants declaration order, which is the order in the generated
 * struct. */
struct codec_layout {
        const ProtobufCMessageDescriptor *d;
        size_t count;
        struct codec_field *fields; /* in declaration order */
        bool *map;                  /* by index in d->fields: is it a map? */
};

const struct codec_layout *codec_layout(const ProtobufCMessageDescriptor *d);
size_t codec_value_size(ProtobufCType type);

static inline void *codec_member(const ProtobufCMessage *m, size_t offset)
{
        return (char *)m + offset;
}
static inline size_t codec_count(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
        return *(size_t *)codec_member(m, f->quantifier_offset);
}
static inline void *codec_element(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, size_t i)
{
        return *(char **)codec_member(m, f->offset) + i * codec_value_size(f->type);
}
static inline bool codec_is_pointer(ProtobufCType type)
{
        return type == PROTOBUF_C_TYPE_STRING || type == PROTOBUF_C_TYPE_MESSAGE;
}
/* Set, by the rules of a singular field's label and type. A string that still is its default is not. */
bool codec_is_set(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f);
/* Marks a singular field as set after its member was written. */
void codec_mark_set(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f);

/* Where a value stands, as a chain on the stack; turned into text only for an error. */
struct codec_path {
        const struct codec_path *up; /* NULL above the root's fields */
        const char *name;
        ssize_t index;   /* of a repeated field's element; -1: none */
        const char *key; /* of a map's entry; NULL: none */
};
/* Sets "<path>: <text>" (or only the text at the root) and returns code. */
int codec_fail(struct error *e, const struct codec_path *path, int code, const char *fmt, ...)
        PRINTF_LIKE(4, 5);

int codec_json_decode(const ProtobufCMessageDescriptor *d, const char *data, size_t len,
        ProtobufCMessage **ret, struct error *e);
int codec_json_encode(const ProtobufCMessage *m, bool pretty, struct buffer *out);
/* Quoted and escaped. */
void codec_json_string(struct buffer *out, const char *s);
int codec_protobuf_decode(const ProtobufCMessageDescriptor *d, const uint8_t *data, size_t len,
        ProtobufCMessage **ret, struct error *e);
int codec_protobuf_encode(const ProtobufCMessage *m, struct buffer *out);
/*
 * Walks well-formedness, nesting, sizes, required fields, text and duplicates without recursion and without
 * allocating per field. *ret_unknown_enum: a number without a name was met in an optional or repeated field.
 */
int codec_protobuf_scan(const ProtobufCMessageDescriptor *d, const uint8_t *data, size_t len,
        bool *ret_unknown_enum, struct error *e);

/* The shortest decimal that reads back as the same double; "2.0" for integers; exponents beyond 1e-6 and
 * 1e21. Finite only. */
#define DOUBLE_TEXT_MAX 40
size_t double_format(double d, char buf[static DOUBLE_TEXT_MAX]);
/* A JSON number and nothing else. */
bool number_text_valid(const char *s, size_t n);
/* Room for n more bytes and a NUL. */
void codec_reserve(struct buffer *out, size_t n);
/* buffer_append() with the capacity checked inline: the encoder appends a few bytes at a time. */
static inline void codec_put(struct buffer *out, const char *s, size_t n)
{
        if (out->allocated <= out->len || out->allocated - out->len <= n)
                codec_reserve(out, n);
        memcpy(out->data + out->len, s, n);
        out->len += n;
        out->data[out->len] = 0;
}
