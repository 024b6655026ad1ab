/*
 * Reads a protobuf body once before protobuf-c does. protobuf-c recurses as deep as the body says, allocates
 * a full struct for each empty sub-message, copies growing arrays when a singular sub-message is repeated,
 * accepts any bytes as text, and says only "no" when something is wrong; this pass bounds the first three and
 * finds the field to name. Iterative: its stack is an array.
 */
#include "lib/base/utf8.h"
#include "lib/net/codec_internal.h"

#include <string.h>

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_LENGTH = 2, WIRE_32 = 5 };

struct frame {
        const ProtobufCMessageDescriptor *d;
        const ProtobufCFieldDescriptor *field; /* that it is the value of; NULL for the root */
        const uint8_t *tag, *start, *end;      /* tag: where that field began in the message around */
        struct codec_path path;                /* of this message; the root's is unused */
        uint64_t seen[CODEC_MESSAGE_FIELDS_MAX / 64];
        bool map_entry;
};

struct scan {
        const uint8_t *p, *tag; /* tag: where the current field began */
        struct frame frames[CODEC_DEPTH_MAX];
        size_t depth; /* frames in use */
        uint64_t memory;
        uint32_t fields;
        bool unknown_enum;
        struct error *e;
};

static struct frame *top(struct scan *s)
{
        return &s->frames[s->depth - 1];
}

static const struct codec_path *top_path(struct scan *s)
{
        return s->depth > 1 ? &top(s)->path : NULL;
}

static bool read_varint(const uint8_t **p, const uint8_t *end, uint64_t *ret)
{
        uint64_t v = 0;
        for (unsigned shift = 0; shift < 70 && *p < end; shift += 7) {
                uint8_t byte = *(*p)++;
                if (shift == 63 && byte > 1)
                        return false;
                v |= (uint64_t)(byte & 0x7f) << shift;
                if (!(byte & 0x80)) {
                        *ret = v;
                        return true;
                }
        }
        return false;
}

/* How many fields with this number stand before `stop`. Everything up to there was found to be well-formed. */
static ssize_t count_before(const uint8_t *p, const uint8_t *stop, uint32_t id)
{
        ssize_t n = 0;
        while (p < stop) {
                uint64_t tag = 0, v = 0;
                (void)read_varint(&p, stop, &tag);
                n += tag >> 3 == id;
                if ((tag & 7) == WIRE_64 || (tag & 7) == WIRE_32) {
                        p += (tag & 7) == WIRE_64 ? 8 : 4;
                        continue;
                }
                (void)read_varint(&p, stop, &v);
                if ((tag & 7) == WIRE_LENGTH)
                        p += v;
        }
        return n;
}

static ssize_t index_of(const struct frame *around, const ProtobufCFieldDescriptor *f, const uint8_t *tag)
{
        return f->label == PROTOBUF_C_LABEL_REPEATED ? count_before(around->start, tag, f->id) : -1;
}

/* Indexes are counted only here: a body without mistakes does not pay for them. */
static int fail_at(
        struct scan *s, const ProtobufCFieldDescriptor *f, ssize_t index, int code, const char *text)
{
        for (size_t i = 1; s->e && i < s->depth; i++)
                s->frames[i].path.index = index_of(&s->frames[i - 1], s->frames[i].field, s->frames[i].tag);
        struct codec_path path = {.up = top_path(s), .name = f ? f->name : NULL, .index = index};
        return codec_fail(s->e, f ? &path : top_path(s), code, "%s", text);
}

static int fail(struct scan *s, const ProtobufCFieldDescriptor *f, int code, const char *text)
{
        return fail_at(s, f, f && s->e ? index_of(top(s), f, s->tag) : -1, code, text);
}

static unsigned wire_type(ProtobufCType type)
{
        switch (type) {
        case PROTOBUF_C_TYPE_DOUBLE:
        case PROTOBUF_C_TYPE_FIXED64:
        case PROTOBUF_C_TYPE_SFIXED64:
                return WIRE_64;
        case PROTOBUF_C_TYPE_FLOAT:
        case PROTOBUF_C_TYPE_FIXED32:
        case PROTOBUF_C_TYPE_SFIXED32:
                return WIRE_32;
        case PROTOBUF_C_TYPE_STRING:
        case PROTOBUF_C_TYPE_BYTES:
        case PROTOBUF_C_TYPE_MESSAGE:
                return WIRE_LENGTH;
        default:
                return WIRE_VARINT;
        }
}

static int check_enum(struct scan *s, const ProtobufCFieldDescriptor *f, uint64_t v)
{
        if (f->type != PROTOBUF_C_TYPE_ENUM ||
                protobuf_c_enum_descriptor_get_value(f->descriptor, (int32_t)v))
                return 0;
        if (f->label == PROTOBUF_C_LABEL_REQUIRED)
                return fail(s, f, -EINVAL, "unknown value of a required field");
        s->unknown_enum = true;
        return 0;
}

static int scan_packed(
        struct scan *s, const ProtobufCFieldDescriptor *f, const uint8_t *p, const uint8_t *end)
{
        unsigned wire = wire_type(f->type);
        size_t len = (size_t)(end - p);
        s->memory += 8 * len;
        if (wire == WIRE_64 || wire == WIRE_32)
                return len % (wire == WIRE_64 ? 8 : 4) ? fail(s, f, -EINVAL, "truncated packed numbers") : 0;
        while (p < end) {
                uint64_t v;
                if (!read_varint(&p, end, &v))
                        return fail(s, f, -EINVAL, "malformed number");
                int r = check_enum(s, f, v);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int enter(struct scan *s, const ProtobufCFieldDescriptor *f, bool map, const uint8_t *end)
{
        const ProtobufCMessageDescriptor *d = f->descriptor;
        static_assert(CODEC_DEPTH_MAX == 64, "the sentence says so");
        if (s->depth == CODEC_DEPTH_MAX)
                return codec_fail(
                        s->e, top_path(s), -EINVAL, "nested deeper than %d levels", CODEC_DEPTH_MAX);
        s->memory += d->sizeof_message;
        struct frame *next = &s->frames[s->depth];
        *next = (struct frame){
                .d = d,
                .field = f,
                .tag = s->tag,
                .start = s->p,
                .end = end,
                .path = {.up = top_path(s), .name = f->name, .index = -1},
                .map_entry = map,
        };
        s->depth++;
        return 0;
}

/* At the end of a message: everything required was there. Encoders always write both halves of a map's entry.
 */
static int leave(struct scan *s)
{
        struct frame *m = top(s);
        for (unsigned i = 0; i < m->d->n_fields; i++) {
                const ProtobufCFieldDescriptor *f = &m->d->fields[i];
                if ((f->label == PROTOBUF_C_LABEL_REQUIRED || m->map_entry) &&
                        !(m->seen[i / 64] >> (i % 64) & 1))
                        return fail_at(s, f, -1, -EINVAL, "required but missing");
        }
        s->depth--;
        return 0;
}

static int note_seen(struct scan *s, const ProtobufCFieldDescriptor *f)
{
        struct frame *m = top(s);
        size_t index = (size_t)(f - m->d->fields);
        bool again = m->seen[index / 64] >> (index % 64) & 1;
        m->seen[index / 64] |= UINT64_C(1) << (index % 64);
        if (f->label == PROTOBUF_C_LABEL_REPEATED)
                return 0;
        if (again && f->type == PROTOBUF_C_TYPE_MESSAGE)
                return fail(s, f, -EINVAL, "given twice");
        if (!(f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF))
                return 0;
        for (unsigned i = 0; i < m->d->n_fields; i++) {
                const ProtobufCFieldDescriptor *other = &m->d->fields[i];
                if ((other != f || again) && (other->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
                        other->quantifier_offset == f->quantifier_offset && (m->seen[i / 64] >> (i % 64) & 1))
                        return fail(s, f, -EINVAL, "cannot stand beside another choice of the same kind");
        }
        return 0;
}

static int scan_length(struct scan *s, const ProtobufCFieldDescriptor *f)
{
        uint64_t len;
        struct frame *m = top(s);
        if (!read_varint(&s->p, m->end, &len) || len > (uint64_t)(m->end - s->p))
                return fail(s, f, -EINVAL, "truncated");
        const uint8_t *start = s->p, *end = s->p + len;
        s->p = end;
        s->memory += len;
        if (!f)
                return 0;
        if (wire_type(f->type) != WIRE_LENGTH)
                return scan_packed(s, f, start, end);
        if (f->type == PROTOBUF_C_TYPE_STRING && memchr(start, 0, len))
                return fail(s, f, -EINVAL, "text contains a NUL byte");
        if (f->type == PROTOBUF_C_TYPE_STRING && !utf8_valid((const char *)start, len))
                return fail(s, f, -EINVAL, "text is not valid UTF-8");
        if (f->type != PROTOBUF_C_TYPE_MESSAGE)
                return 0;
        s->p = start;
        s->memory -= len; /* counted field by field */
        return enter(s, f, codec_layout(m->d)->map[f - m->d->fields], end);
}

static int scan_number(struct scan *s, const ProtobufCFieldDescriptor *f, unsigned wire)
{
        uint64_t v = 0;
        const uint8_t *end = top(s)->end;
        if (wire == WIRE_VARINT) {
                if (!read_varint(&s->p, end, &v))
                        return fail(s, f, -EINVAL, "malformed number");
                return f ? check_enum(s, f, v) : 0;
        }
        size_t size = wire == WIRE_64 ? 8 : 4;
        if ((size_t)(end - s->p) < size)
                return fail(s, f, -EINVAL, "truncated");
        s->p += size;
        return 0;
}

static int scan_field(struct scan *s)
{
        uint64_t tag;
        struct frame *m = top(s);
        s->tag = s->p;
        if (!read_varint(&s->p, m->end, &tag) || tag >> 3 == 0 || tag >> 3 > (1 << 29) - 1)
                return fail(s, NULL, -EINVAL, "malformed protobuf: bad field number");
        unsigned wire = tag & 7;
        if (wire != WIRE_VARINT && wire != WIRE_64 && wire != WIRE_LENGTH && wire != WIRE_32)
                return fail(s, NULL, -EINVAL, "malformed protobuf: bad wire type");
        /* A pointer or an element in the message, and the parser's own record of the field. */
        s->memory += 48;
        if (++s->fields > CODEC_FIELDS_MAX || s->memory > CODEC_MEMORY_MAX)
                return fail(s, NULL, -E2BIG, "too many fields");
        const ProtobufCFieldDescriptor *f =
                protobuf_c_message_descriptor_get_field(m->d, (unsigned)(tag >> 3));
        if (f) {
                bool packed = wire == WIRE_LENGTH && f->label == PROTOBUF_C_LABEL_REPEATED;
                if (wire != wire_type(f->type) && !packed)
                        return fail(s, f, -EINVAL, "of the wrong type");
                int r = note_seen(s, f);
                if (r < 0)
                        return r;
        }
        return wire == WIRE_LENGTH ? scan_length(s, f) : scan_number(s, f, wire);
}

int codec_protobuf_scan(const ProtobufCMessageDescriptor *d, const uint8_t *data, size_t len,
        bool *ret_unknown_enum, struct error *e)
{
        struct scan s = {.p = data, .depth = 1, .memory = d->sizeof_message, .e = e};
        s.frames[0].d = d;
        s.frames[0].start = data;
        s.frames[0].end = data + len;
        while (s.depth) {
                int r = s.p == top(&s)->end ? leave(&s) : scan_field(&s);
                if (r < 0)
                        return r;
        }
        *ret_unknown_enum = s.unknown_enum;
        return 0;
}
