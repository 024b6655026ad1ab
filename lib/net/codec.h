/*
 * One codec for both encodings of the APIs, by reflection over protobuf-c descriptors. JSON rules are those
 * of Mesos v1 (not proto3 JSON): docs/API.md lists them. Input is untrusted: sizes, nesting (protobuf and
 * JSON, 64 levels) and required fields are checked.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "lib/base/error.h"

enum codec { CODEC_PROTOBUF, CODEC_JSON, CODEC_MAX, CODEC_INVALID = -EINVAL };
#define CODEC_DEPTH_MAX 64

const char *codec_content_type(enum codec c);      /* "application/x-protobuf", "application/json" */
enum codec codec_from_content_type(const char *s); /* byte-wise equality; else CODEC_INVALID */
/* Accept header: missing = anything, "type/ *", "* / *"; q=0 refuses; both acceptable -> JSON. CODEC_INVALID
 * when neither. */
enum codec codec_from_accept(const char *s);

/* The caller frees with message_free(). The sentence names the field by its JSON path
 * ("accept.operations[0].type"). */
int message_decode(enum codec c, const ProtobufCMessageDescriptor *d, const void *data, size_t len,
        ProtobufCMessage **ret, struct error *e) WARN_UNUSED;
/* Appends to out. Fails only for a message that is itself invalid (-EINVAL). */
int message_encode(enum codec c, const ProtobufCMessage *m, struct buffer *out) WARN_UNUSED;
/* NULL is fine. Always by the default allocator. */
void message_free(void *message);
void *message_copy(const void *message);
/* Indented JSON for people (mete inspect). */
int message_to_pretty_json(const ProtobufCMessage *m, struct buffer *out) WARN_UNUSED;
