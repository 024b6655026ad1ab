/*
 * The codec on hostile bodies. Byte 0 picks the encoding and the message; the rest is the body. What decodes must encode in both
 * encodings, and what was encoded must decode again to the same text.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/net/codec.h"
#include "proto/executor.pb-c.h"
#include "proto/mete.pb-c.h"
#include "proto/mete_agent.pb-c.h"
#include "proto/scheduler.pb-c.h"
#include "proto/validate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ProtobufCMessageDescriptor *const kinds[] = {
        &mete__v1__scheduler__call__descriptor,
        &mete__v1__scheduler__event__descriptor,
        &mete__v1__executor__call__descriptor,
        &mete__v1__executor__event__descriptor,
        &mete__v1__task__descriptor,
        &mete__v1__operation__descriptor,
        &mete__v1__offer__operation__descriptor,
        &mete__v1__task_info__descriptor,
        &mete__api__call__descriptor,
        &mete__agent__call__descriptor,
        &mete__agent__command__descriptor,
};

static ProtobufCMessage *must_decode(
        enum codec c, const ProtobufCMessageDescriptor *d, const struct buffer *b)
{
        ProtobufCMessage *m = NULL;
        if (message_decode(c, d, b->data, b->len, &m, NULL) < 0)
                abort();
        return m;
}

static void must_encode(enum codec c, const ProtobufCMessage *m, struct buffer *b)
{
        if (message_encode(c, m, b) < 0)
                abort();
}

/* JSON cannot be read back when it holds NaN or integers from 2^63 on: the decoder says so, and nothing more is to be checked. */
static void check(const ProtobufCMessage *m)
{
        const ProtobufCMessageDescriptor *d = m->descriptor;
        _cleanup_buffer_ struct buffer json = {}, again = {}, wire = {};
        must_encode(CODEC_JSON, m, &json);
        if (memchr(json.data, '\n', json.len))
                abort();
        must_encode(CODEC_PROTOBUF, m, &wire);
        ProtobufCMessage *from_wire = must_decode(CODEC_PROTOBUF, d, &wire);
        ProtobufCMessage *copy = message_copy(from_wire);
        message_free(from_wire);
        must_encode(CODEC_JSON, copy, &again);
        if (json.len != again.len || memcmp(json.data, again.data, json.len))
                abort();
        if (message_validate_ids(copy, NULL) > 0)
                abort();
        message_free(copy);
        ProtobufCMessage *from_json = NULL;
        if (message_decode(CODEC_JSON, d, json.data, json.len, &from_json, NULL) < 0)
                return;
        again.len = 0;
        must_encode(CODEC_JSON, from_json, &again);
        message_free(from_json);
        if (json.len != again.len || memcmp(json.data, again.data, json.len))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (!size)
                return 0;
        _cleanup_error_ struct error e = {};
        const ProtobufCMessageDescriptor *d = kinds[(data[0] >> 1) % ELEMENTSOF(kinds)];
        ProtobufCMessage *m = NULL;
        int r = message_decode(data[0] & 1 ? CODEC_JSON : CODEC_PROTOBUF, d, data + 1, size - 1, &m, &e);
        if ((r < 0) != !m || (r < 0 && !e.message))
                abort();
        if (m)
                check(m);
        message_free(m);
        return 0;
}
