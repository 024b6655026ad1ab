/* Messages to JSON, one line unless for people, members in declaration order. */
#include "lib/base/utf8.h"
#include "lib/net/codec_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct writer {
        struct buffer *out;
        bool pretty;
        unsigned depth;
};

static int write_message(struct writer *w, const ProtobufCMessage *m);

static void put_char(struct writer *w, char c)
{
        codec_put(w->out, &c, 1);
}

static void new_line(struct writer *w)
{
        if (!w->pretty)
                return;
        put_char(w, '\n');
        for (unsigned i = 0; i < w->depth; i++)
                codec_put(w->out, "  ", 2);
}

static void open_bracket(struct writer *w, char c)
{
        put_char(w, c);
        w->depth++;
}

static void close_bracket(struct writer *w, char c, bool empty)
{
        w->depth--;
        if (!empty)
                new_line(w);
        put_char(w, c);
}

static void next_item(struct writer *w, bool *first)
{
        if (!*first)
                put_char(w, ',');
        *first = false;
        new_line(w);
}

static void write_escape(struct buffer *out, unsigned char c)
{
        static const char short_forms[] = {['"'] = '"',
                ['\\'] = '\\',
                ['\b'] = 'b',
                ['\f'] = 'f',
                ['\n'] = 'n',
                ['\r'] = 'r',
                ['\t'] = 't'};
        char text[8] = {'\\', c < sizeof(short_forms) ? short_forms[c] : 0};
        if (!text[1])
                (void)snprintf(text, sizeof(text), "\\u%04X", c);
        codec_put(out, text, strlen(text));
}

/* Text that is not UTF-8 (a path in a task's message, say) must not cost the whole event: it shows as U+FFFD.
 */
void codec_json_string(struct buffer *out, const char *s)
{
        size_t n = strlen(s), start = 0;
        codec_reserve(out, n + 2);
        codec_put(out, "\"", 1);
        for (size_t i = 0; i < n;) {
                unsigned char c = (unsigned char)s[i];
                if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
                        i++;
                        continue;
                }
                uint32_t character;
                int len = c >= 0x80 ? utf8_decode(s + i, n - i, &character) : 0;
                if (len > 0) {
                        i += (size_t)len;
                        continue;
                }
                codec_put(out, s + start, i - start);
                if (c < 0x80)
                        write_escape(out, c);
                else
                        codec_put(out, "\xef\xbf\xbd", 3);
                start = ++i;
        }
        codec_put(out, s + start, n - start);
        codec_put(out, "\"", 1);
}

static void write_string(struct writer *w, const char *s)
{
        codec_json_string(w->out, s);
}

static void write_unsigned(struct writer *w, uint64_t v, bool negative)
{
        char text[24], *p = text + sizeof(text);
        do
                *--p = (char)('0' + v % 10);
        while (v /= 10);
        if (negative)
                *--p = '-';
        codec_put(w->out, p, (size_t)(text + sizeof(text) - p));
}

static void write_signed(struct writer *w, int64_t v)
{
        write_unsigned(w, v < 0 ? -(uint64_t)v : (uint64_t)v, v < 0);
}

static void write_double(struct writer *w, double d)
{
        char text[DOUBLE_TEXT_MAX];
        if (isnan(d))
                codec_put(w->out, "NaN", 3);
        else if (isinf(d))
                write_string(w, d < 0 ? "-Infinity" : "Infinity");
        else
                codec_put(w->out, text, double_format(d, text));
}

static void write_bytes(struct writer *w, const ProtobufCBinaryData *bytes)
{
        put_char(w, '"');
        base64_append(w->out, bytes->data, bytes->len);
        put_char(w, '"');
}

static int write_enum(struct writer *w, const ProtobufCFieldDescriptor *f, int32_t number)
{
        const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(f->descriptor, number);
        if (!v)
                return -EINVAL;
        put_char(w, '"');
        codec_put(w->out, v->name, strlen(v->name));
        put_char(w, '"');
        return 0;
}

/* `p` points at the member, not at what the member points at. */
static int write_value(struct writer *w, const ProtobufCFieldDescriptor *f, const void *p)
{
        switch (f->type) {
        case PROTOBUF_C_TYPE_INT32:
        case PROTOBUF_C_TYPE_SINT32:
        case PROTOBUF_C_TYPE_SFIXED32:
                write_signed(w, *(const int32_t *)p);
                return 0;
        case PROTOBUF_C_TYPE_INT64:
        case PROTOBUF_C_TYPE_SINT64:
        case PROTOBUF_C_TYPE_SFIXED64:
                write_signed(w, *(const int64_t *)p);
                return 0;
        case PROTOBUF_C_TYPE_UINT32:
        case PROTOBUF_C_TYPE_FIXED32:
                write_unsigned(w, *(const uint32_t *)p, false);
                return 0;
        case PROTOBUF_C_TYPE_UINT64:
        case PROTOBUF_C_TYPE_FIXED64:
                write_unsigned(w, *(const uint64_t *)p, false);
                return 0;
        case PROTOBUF_C_TYPE_FLOAT:
                write_double(w, *(const float *)p);
                return 0;
        case PROTOBUF_C_TYPE_DOUBLE:
                write_double(w, *(const double *)p);
                return 0;
        case PROTOBUF_C_TYPE_BOOL:
                codec_put(w->out, *(const protobuf_c_boolean *)p ? "true" : "false",
                        *(const protobuf_c_boolean *)p ? 4 : 5);
                return 0;
        case PROTOBUF_C_TYPE_ENUM:
                return write_enum(w, f, *(const int32_t *)p);
        case PROTOBUF_C_TYPE_STRING:
                if (!*(char *const *)p)
                        return -EINVAL;
                write_string(w, *(char *const *)p);
                return 0;
        case PROTOBUF_C_TYPE_BYTES:
                if (((const ProtobufCBinaryData *)p)->len && !((const ProtobufCBinaryData *)p)->data)
                        return -EINVAL;
                write_bytes(w, p);
                return 0;
        case PROTOBUF_C_TYPE_MESSAGE:
                return *(ProtobufCMessage *const *)p ? write_message(w, *(ProtobufCMessage *const *)p)
                                                     : -EINVAL;
        }
        return -EINVAL;
}

static int write_repeated(struct writer *w, const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
        size_t n = codec_count(m, f);
        bool first = true;
        open_bracket(w, '[');
        for (size_t i = 0; i < n; i++) {
                next_item(w, &first);
                int r = write_value(w, f, codec_element(m, f, i));
                if (r < 0)
                        return r;
        }
        close_bracket(w, ']', first);
        return 0;
}

struct map_entry {
        const char *key;
        const ProtobufCMessage *entry;
        size_t index;
};

static int compare_entries(const void *a, const void *b)
{
        const struct map_entry *x = a, *y = b;
        int r = strcmp(x->key, y->key);
        return r ? r : x->index < y->index ? -1 : 1;
}

/* Sorted, so that equal maps have equal text; of equal keys the last one counts. */
static int write_map(struct writer *w, const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
        const ProtobufCMessageDescriptor *d = f->descriptor;
        size_t n = codec_count(m, f);
        _cleanup_free_ struct map_entry *entries = xcalloc(n, sizeof(*entries));
        for (size_t i = 0; i < n; i++) {
                const ProtobufCMessage *entry = *(ProtobufCMessage **)codec_element(m, f, i);
                if (!entry)
                        return -EINVAL;
                const char *key = *(char **)codec_member(entry, d->fields[0].offset);
                entries[i] = (struct map_entry){.key = key ? key : "", .entry = entry, .index = i};
        }
        qsort(entries, n, sizeof(*entries), compare_entries);
        bool first = true;
        open_bracket(w, '{');
        for (size_t i = 0; i < n; i++) {
                if (i + 1 < n && str_equal(entries[i].key, entries[i + 1].key))
                        continue;
                next_item(w, &first);
                write_string(w, entries[i].key);
                codec_put(w->out, ": ", w->pretty ? 2 : 1);
                int r = write_value(w, &d->fields[1], codec_member(entries[i].entry, d->fields[1].offset));
                if (r < 0)
                        return r;
        }
        close_bracket(w, '}', first);
        return 0;
}

static void write_key(struct writer *w, const struct codec_field *field, bool *first)
{
        next_item(w, first);
        codec_put(w->out, field->key, field->key_len);
        if (w->pretty)
                put_char(w, ' ');
}

static int write_singular(
        struct writer *w, const ProtobufCMessage *m, const struct codec_field *field, bool *first)
{
        const ProtobufCFieldDescriptor *f = field->d;
        if (codec_is_set(m, f)) {
                write_key(w, field, first);
                return write_value(w, f, codec_member(m, f->offset));
        }
        if (f->label == PROTOBUF_C_LABEL_REQUIRED)
                return -EINVAL;
        if (!field->emit_default)
                return 0;
        write_key(w, field, first);
        const char *text = f->default_value;
        return write_value(w, f, f->type == PROTOBUF_C_TYPE_STRING ? (const void *)&text : f->default_value);
}

static int write_message(struct writer *w, const ProtobufCMessage *m)
{
        if (w->depth > 4 * CODEC_DEPTH_MAX)
                return -EINVAL; /* more than any decoded message can have: ours, and perhaps a loop */
        const struct codec_layout *layout = codec_layout(m->descriptor);
        bool first = true;
        open_bracket(w, '{');
        for (size_t i = 0; i < layout->count; i++) {
                const struct codec_field *field = &layout->fields[i];
                int r;
                if (field->d->label != PROTOBUF_C_LABEL_REPEATED) {
                        r = write_singular(w, m, field, &first);
                } else if (!codec_count(m, field->d)) {
                        continue;
                } else {
                        write_key(w, field, &first);
                        r = field->map ? write_map(w, m, field->d) : write_repeated(w, m, field->d);
                }
                if (r < 0)
                        return r;
        }
        close_bracket(w, '}', first);
        return 0;
}

int codec_json_encode(const ProtobufCMessage *m, bool pretty, struct buffer *out)
{
        struct writer w = {.out = out, .pretty = pretty};
        size_t start = out->len;
        int r = write_message(&w, m);
        if (r < 0) {
                out->len = start;
                if (out->data)
                        out->data[start] = 0;
        }
        return r;
}
