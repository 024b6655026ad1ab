#include "lib/net/json_writer.h"

#include <math.h>
#include <string.h>

#include "lib/net/codec_internal.h"

/* Behind a bracket, and between a name and its value, there is no comma. A string never ends in one of these: its last byte is '"'. */
static void separate(struct buffer *out)
{
        if (out->len > 0 && !strchr("{[:", out->data[out->len - 1]))
                codec_put(out, ",", 1);
}

static void begin_value(struct buffer *out, const char *key)
{
        separate(out);
        if (!key)
                return;
        codec_put(out, "\"", 1);
        codec_put(out, key, strlen(key));
        codec_put(out, "\":", 2);
}

void json_begin_object(struct buffer *out, const char *key)
{
        begin_value(out, key);
        codec_put(out, "{", 1);
}

void json_end_object(struct buffer *out)
{
        codec_put(out, "}", 1);
}

void json_begin_array(struct buffer *out, const char *key)
{
        begin_value(out, key);
        codec_put(out, "[", 1);
}

void json_end_array(struct buffer *out)
{
        codec_put(out, "]", 1);
}

void json_member(struct buffer *out, const char *name)
{
        separate(out);
        codec_json_string(out, name);
        codec_put(out, ":", 1);
}

void json_put_string(struct buffer *out, const char *key, const char *value)
{
        begin_value(out, key);
        codec_json_string(out, value ? value : "");
}

void json_put_double(struct buffer *out, const char *key, double value)
{
        char text[DOUBLE_TEXT_MAX];

        begin_value(out, key);
        codec_put(out, text, double_format(isfinite(value) ? value : 0, text));
}

void json_put_integer(struct buffer *out, const char *key, int64_t value)
{
        char text[24];

        begin_value(out, key);
        codec_put(out, text, (size_t)snprintf(text, sizeof(text), "%jd", (intmax_t)value));
}

void json_put_bool(struct buffer *out, const char *key, bool value)
{
        begin_value(out, key);
        codec_put(out, value ? "true" : "false", value ? 4 : 5);
}

void json_put_raw(struct buffer *out, const char *key, const char *json)
{
        begin_value(out, key);
        codec_put(out, json, strlen(json));
}

void json_put_message(struct buffer *out, const char *key, const ProtobufCMessage *value)
{
        begin_value(out, key);
        if (codec_json_encode(value, /* pretty= */ false, out) < 0)
                codec_put(out, "null", 4);
}
