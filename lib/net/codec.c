#include "lib/net/codec_internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const content_types[CODEC_MAX] = {
        [CODEC_PROTOBUF] = "application/x-protobuf",
        [CODEC_JSON] = "application/json",
};

const char *codec_content_type(enum codec c)
{
        assert(c >= 0 && c < CODEC_MAX);
        return content_types[c];
}

enum codec codec_from_content_type(const char *s)
{
        for (int c = 0; s && c < CODEC_MAX; c++)
                if (str_equal(s, content_types[c]))
                        return (enum codec)c;
        return CODEC_INVALID;
}

static bool is_blank(char c)
{
        return c == ' ' || c == '\t';
}

static void trim(const char **s, size_t *n)
{
        while (*n && is_blank(**s)) {
                (*s)++;
                (*n)--;
        }
        while (*n && is_blank((*s)[*n - 1]))
                (*n)--;
}

/* "q=0", "q=0.", "q=0.000": this range is refused. Any other weight only orders, and the order is ours. */
static bool refuses(const char *parameters, size_t n)
{
        while (n) {
                const char *p = parameters;
                const char *semicolon = memchr(p, ';', n);
                size_t len = semicolon ? (size_t)(semicolon - p) : n;
                size_t used = semicolon ? len + 1 : len;
                trim(&p, &len);
                if (len >= 3 && (p[0] == 'q' || p[0] == 'Q') && p[1] == '=') {
                        size_t zeros = 2;
                        while (zeros < len && (p[zeros] == '0' || p[zeros] == '.'))
                                zeros++;
                        return zeros == len;
                }
                parameters += used;
                n -= used;
        }
        return false;
}

/* How closely a media range names the type: 0 not at all, 1 any, 2 its family, 3 itself. */
static int specificity(const char *range, size_t n, const char *type)
{
        if (n == 3 && memcmp(range, "*/*", 3) == 0)
                return 1;
        size_t family = (size_t)(strchr(type, '/') - type) + 1;
        if (n == family + 1 && range[family] == '*' && strncasecmp(range, type, family) == 0)
                return 2;
        return n == strlen(type) && strncasecmp(range, type, n) == 0 ? 3 : 0;
}

static bool accepts(const char *header, const char *type)
{
        int best = 0;
        bool accepted = false;
        for (const char *p = header; *p;) {
                size_t len = strcspn(p, ",");
                size_t range_len = strcspn(p, ",;");
                const char *range = p;
                const char *parameters = p + MIN(range_len + 1, len);
                bool refused = refuses(parameters, len - (size_t)(parameters - p));
                p += len + (p[len] == ',');
                trim(&range, &range_len);
                int s = specificity(range, range_len, type);
                if (s > best || (s && s == best && !refused)) {
                        best = s;
                        accepted = !refused;
                }
        }
        return accepted;
}

enum codec codec_from_accept(const char *s)
{
        if (!s || !s[strspn(s, " \t")])
                return CODEC_JSON;
        if (accepts(s, content_types[CODEC_JSON]))
                return CODEC_JSON;
        return accepts(s, content_types[CODEC_PROTOBUF]) ? CODEC_PROTOBUF : CODEC_INVALID;
}

int message_decode(enum codec c, const ProtobufCMessageDescriptor *d, const void *data, size_t len,
        ProtobufCMessage **ret, struct error *e)
{
        const char *bytes = data ? data : "";
        if (c == CODEC_JSON)
                return codec_json_decode(d, bytes, len, ret, e);
        if (c == CODEC_PROTOBUF)
                return codec_protobuf_decode(d, (const uint8_t *)bytes, len, ret, e);
        return error_set(e, -EINVAL, "unknown encoding");
}

int message_encode(enum codec c, const ProtobufCMessage *m, struct buffer *out)
{
        return c == CODEC_JSON       ? codec_json_encode(m, /* pretty= */ false, out)
               : c == CODEC_PROTOBUF ? codec_protobuf_encode(m, out)
                                     : -EINVAL;
}

int message_to_pretty_json(const ProtobufCMessage *m, struct buffer *out)
{
        return codec_json_encode(m, /* pretty= */ true, out);
}

void message_free(void *message)
{
        if (message)
                protobuf_c_message_free_unpacked(message, NULL);
}

static void *copy_bytes(const void *p, size_t n)
{
        return n ? xmemdup(p, n) : NULL;
}

/* Turns a shallow copy of one value into a deep one. Strings that still are the default stay shared, as
 * protobuf-c has them. */
static void own_value(const ProtobufCFieldDescriptor *f, void *p)
{
        if (f->type == PROTOBUF_C_TYPE_STRING) {
                char **s = p;
                if (*s != f->default_value)
                        *s = xstrdup(*s);
        } else if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
                *(void **)p = message_copy(*(void **)p);
        } else if (f->type == PROTOBUF_C_TYPE_BYTES) {
                ProtobufCBinaryData *b = p;
                const ProtobufCBinaryData *fallback = f->default_value;
                if (!fallback || fallback->data != b->data)
                        b->data = copy_bytes(b->data, b->len);
        }
}

static void own_field(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
        if (f->label != PROTOBUF_C_LABEL_REPEATED) {
                if (!(f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) || codec_is_set(m, f))
                        own_value(f, codec_member(m, f->offset));
                return;
        }
        size_t n = codec_count(m, f);
        void **elements = codec_member(m, f->offset);
        *elements = copy_bytes(*elements, n * codec_value_size(f->type));
        for (size_t i = 0; i < n; i++)
                own_value(f, codec_element(m, f, i));
}

void *message_copy(const void *message)
{
        const ProtobufCMessage *from = message;
        if (!from)
                return NULL;
        ProtobufCMessage *m = xmemdup(from, from->descriptor->sizeof_message);
        for (unsigned i = 0; i < m->descriptor->n_fields; i++)
                own_field(m, &m->descriptor->fields[i]);
        m->unknown_fields =
                copy_bytes(from->unknown_fields, from->n_unknown_fields * sizeof(*from->unknown_fields));
        for (unsigned i = 0; i < m->n_unknown_fields; i++)
                m->unknown_fields[i].data =
                        copy_bytes(from->unknown_fields[i].data, from->unknown_fields[i].len);
        return m;
}
