#include "lib/base/utf8.h"
#include "lib/net/codec_internal.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Descriptors are constants of the program: a few hundred at most, so the table never fills and nothing is
 * ever removed. */
#define LAYOUT_SLOTS 4096

/* k: descriptor (by address, open addressing) -> v: its layout, owned */
static _Atomic(struct codec_layout *) layouts[LAYOUT_SLOTS];

/* protoc turns `map<string, V>` into a repeated message <parent>.<Field>Entry {key = 1, value = 2}. */
static bool field_is_map(const ProtobufCMessageDescriptor *parent, const ProtobufCFieldDescriptor *f)
{
        if (f->label != PROTOBUF_C_LABEL_REPEATED || f->type != PROTOBUF_C_TYPE_MESSAGE)
                return false;
        const ProtobufCMessageDescriptor *d = f->descriptor;
        size_t n = strlen(parent->name);
        return d->n_fields == 2 && str_equal(d->fields[0].name, "key") &&
               str_equal(d->fields[1].name, "value") && d->fields[0].id == 1 && d->fields[1].id == 2 &&
               d->fields[0].type == PROTOBUF_C_TYPE_STRING &&
               d->fields[1].label != PROTOBUF_C_LABEL_REPEATED && strncmp(d->name, parent->name, n) == 0 &&
               d->name[n] == '.' && str_has_suffix(d->name, "Entry");
}

static int compare_fields(const void *a, const void *b)
{
        const ProtobufCFieldDescriptor *x = ((const struct codec_field *)a)->d,
                                       *y = ((const struct codec_field *)b)->d;
        if (x->offset != y->offset)
                return x->offset < y->offset ? -1 : 1;
        return x->id < y->id ? -1 : x->id > y->id; /* members of one union */
}

static struct codec_layout *layout_new(const ProtobufCMessageDescriptor *d)
{
        assert(d->n_fields <= CODEC_MESSAGE_FIELDS_MAX);
        struct codec_layout *l = NEW0(struct codec_layout);
        l->d = d;
        l->count = d->n_fields;
        l->fields = xcalloc(l->count + 1, sizeof(*l->fields));
        l->map = xcalloc(l->count + 1, sizeof(*l->map));
        for (size_t i = 0; i < l->count; i++) {
                const ProtobufCFieldDescriptor *f = &d->fields[i];
                l->map[i] = field_is_map(d, f);
                l->fields[i] = (struct codec_field){
                        .d = f,
                        .key = xasprintf("\"%s\":", f->name),
                        .key_len = strlen(f->name) + 3,
                        .emit_default = f->default_value && f->label == PROTOBUF_C_LABEL_OPTIONAL &&
                                        !(f->flags & (PROTOBUF_C_FIELD_FLAG_DEPRECATED |
                                                             PROTOBUF_C_FIELD_FLAG_ONEOF)),
                        .map = l->map[i],
                };
        }
        qsort(l->fields, l->count, sizeof(*l->fields), compare_fields);
        return l;
}

static void layout_free(struct codec_layout *l)
{
        for (size_t i = 0; i < l->count; i++)
                free(l->fields[i].key);
        free(l->fields);
        free(l->map);
        free(l);
}

const struct codec_layout *codec_layout(const ProtobufCMessageDescriptor *d)
{
        size_t slot = ((uintptr_t)d >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 52;
        for (size_t i = 0; i < LAYOUT_SLOTS; i++, slot = (slot + 1) % LAYOUT_SLOTS) {
                struct codec_layout *l = atomic_load_explicit(&layouts[slot], memory_order_acquire);
                if (l && l->d == d)
                        return l;
                if (l)
                        continue;
                struct codec_layout *fresh = layout_new(d);
                if (atomic_compare_exchange_strong(&layouts[slot], &l, fresh))
                        return fresh;
                layout_free(fresh);
                if (l->d == d)
                        return l;
        }
        assert(!"more message types than the codec has slots for");
        abort();
}

size_t codec_value_size(ProtobufCType type)
{
        switch (type) {
        case PROTOBUF_C_TYPE_INT64:
        case PROTOBUF_C_TYPE_SINT64:
        case PROTOBUF_C_TYPE_SFIXED64:
        case PROTOBUF_C_TYPE_UINT64:
        case PROTOBUF_C_TYPE_FIXED64:
                return sizeof(uint64_t);
        case PROTOBUF_C_TYPE_DOUBLE:
                return sizeof(double);
        case PROTOBUF_C_TYPE_STRING:
        case PROTOBUF_C_TYPE_MESSAGE:
                return sizeof(void *);
        case PROTOBUF_C_TYPE_BYTES:
                return sizeof(ProtobufCBinaryData);
        default: /* 32-bit integers, float, enum (forced to int), protobuf_c_boolean (an int) */
                return sizeof(uint32_t);
        }
}

bool codec_is_set(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
        if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
                return *(uint32_t *)codec_member(m, f->quantifier_offset) == f->id;
        if (codec_is_pointer(f->type)) {
                const void *p = *(void **)codec_member(m, f->offset);
                return p && (p != f->default_value || f->label == PROTOBUF_C_LABEL_REQUIRED);
        }
        return f->label != PROTOBUF_C_LABEL_OPTIONAL ||
               *(protobuf_c_boolean *)codec_member(m, f->quantifier_offset);
}

void codec_mark_set(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
        if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
                *(uint32_t *)codec_member(m, f->quantifier_offset) = f->id;
        else if (f->label == PROTOBUF_C_LABEL_OPTIONAL && !codec_is_pointer(f->type))
                *(protobuf_c_boolean *)codec_member(m, f->quantifier_offset) = 1;
}

static void path_append(struct buffer *b, const struct codec_path *path)
{
        if (path->up)
                path_append(b, path->up);
        if (b->len)
                buffer_puts(b, ".");
        buffer_puts(b, path->name);
        if (path->index >= 0)
                buffer_printf(b, "[%zd]", path->index);
        if (!path->key)
                return;
        _cleanup_free_ char *key = text_for_message(path->key, TEXT_FOR_MESSAGE_BYTES);
        buffer_printf(b, "[\"%s\"]", key);
}

int codec_fail(struct error *e, const struct codec_path *path, int code, const char *fmt, ...)
{
        if (!e)
                return code;
        _cleanup_buffer_ struct buffer where = {};
        if (path)
                path_append(&where, path);
        va_list ap;
        va_start(ap, fmt);
        _cleanup_free_ char *text = xvasprintf(fmt, ap);
        va_end(ap);
        if (!where.len)
                return error_set(e, code, "%s", text);
        return error_set(e, code, "%s: %s", where.data, text);
}
