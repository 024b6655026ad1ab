#include "lib/net/codec_internal.h"

#include <stdlib.h>
#include <string.h>

static bool enum_known(const ProtobufCFieldDescriptor *f, const void *p)
{
        return protobuf_c_enum_descriptor_get_value(f->descriptor, *(const int32_t *)p) != NULL;
}

static void drop_unknown_elements(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
        size_t n = codec_count(m, f), kept = 0;
        for (size_t i = 0; i < n; i++) {
                int32_t *from = codec_element(m, f, i), *to = codec_element(m, f, kept);
                *to = *from;
                kept += enum_known(f, to);
        }
        *(size_t *)codec_member(m, f->quantifier_offset) = kept;
        if (kept)
                return;
        free(*(void **)codec_member(m, f->offset));
        *(void **)codec_member(m, f->offset) = NULL;
}

/* As an unknown name in JSON: the field counts as not given, and reads as its default. */
static void drop_unknown_enums(ProtobufCMessage *m)
{
        for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
                const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
                bool repeated = f->label == PROTOBUF_C_LABEL_REPEATED;
                if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
                        size_t n = repeated ? codec_count(m, f) : codec_is_set(m, f);
                        for (size_t j = 0; j < n; j++)
                                drop_unknown_enums(
                                        *(ProtobufCMessage **)(repeated ? codec_element(m, f, j)
                                                                        : codec_member(m, f->offset)));
                } else if (f->type != PROTOBUF_C_TYPE_ENUM) {
                        continue;
                } else if (repeated) {
                        drop_unknown_elements(m, f);
                } else if (codec_is_set(m, f) && !enum_known(f, codec_member(m, f->offset))) {
                        const ProtobufCEnumDescriptor *d = f->descriptor;
                        int32_t *member = codec_member(m, f->offset);
                        *member = f->default_value ? *(const int32_t *)f->default_value : d->values[0].value;
                        if (f->label == PROTOBUF_C_LABEL_OPTIONAL)
                                *(uint32_t *)codec_member(m, f->quantifier_offset) =
                                        0; /* has_x or the oneof's case */
                }
        }
}

int codec_protobuf_decode(const ProtobufCMessageDescriptor *d, const uint8_t *data, size_t len,
        ProtobufCMessage **ret, struct error *e)
{
        bool unknown_enum;
        int r = codec_protobuf_scan(d, data, len, &unknown_enum, e);
        if (r < 0)
                return r;
        ProtobufCMessage *m = protobuf_c_message_unpack(d, NULL, len, data);
        if (!m)
                return codec_fail(e, NULL, -EINVAL, "malformed protobuf message");
        if (unknown_enum)
                drop_unknown_enums(m);
        *ret = m;
        return 0;
}

static int check_message(const ProtobufCMessage *m, unsigned depth);

static int check_value(const ProtobufCFieldDescriptor *f, const void *p, unsigned depth)
{
        const ProtobufCBinaryData *bytes = p;
        switch (f->type) {
        case PROTOBUF_C_TYPE_STRING:
                return *(void *const *)p ? 0 : -EINVAL;
        case PROTOBUF_C_TYPE_MESSAGE:
                return *(void *const *)p ? check_message(*(ProtobufCMessage *const *)p, depth + 1) : -EINVAL;
        case PROTOBUF_C_TYPE_BYTES:
                return bytes->len && !bytes->data ? -EINVAL : 0;
        case PROTOBUF_C_TYPE_ENUM:
                return enum_known(f, p) ? 0 : -EINVAL;
        default:
                return 0;
        }
}

/* protobuf-c's own check follows the pointers of all members of a oneof, and its packer writes a missing
 * message as an empty one. */
static int check_message(const ProtobufCMessage *m, unsigned depth)
{
        int r = depth > 2 * CODEC_DEPTH_MAX ? -EINVAL : 0;
        for (unsigned i = 0; r >= 0 && i < m->descriptor->n_fields; i++) {
                const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
                if (f->label == PROTOBUF_C_LABEL_REPEATED) {
                        size_t n = codec_count(m, f);
                        for (size_t j = 0; r >= 0 && j < n; j++)
                                r = check_value(f, codec_element(m, f, j), depth);
                } else if (codec_is_set(m, f) || f->label == PROTOBUF_C_LABEL_REQUIRED) {
                        r = check_value(f, codec_member(m, f->offset), depth);
                }
        }
        return r;
}

int codec_protobuf_encode(const ProtobufCMessage *m, struct buffer *out)
{
        int r = check_message(m, 1);
        if (r < 0)
                return r;
        size_t len = protobuf_c_message_get_packed_size(m);
        codec_reserve(out, len);
        out->len += protobuf_c_message_pack(m, (uint8_t *)out->data + out->len);
        out->data[out->len] = 0;
        return 0;
}
