/*
 * One codec for both encodings of the APIs, by reflection over protobuf-c descriptors. Thread-safe; keeps no state but the layout of
 * message types. Input is untrusted: nesting (64 levels), memory (128 MiB estimated before it is allocated), text (UTF-8, no NUL), numbers
 * (no overflow) and required fields are checked; the caller bounds the size of the body.
 *
 * JSON follows Mesos v1, not proto3. Written: one line, names as in the .proto, declaration order, all integers as numbers, doubles in the
 * shortest form with a fraction ("2.0"), infinities quoted, bytes in padded base64, maps as objects sorted by key, empty repeated fields
 * left out, unset fields with a default of their own written unless deprecated. Read, besides: null is unset, unknown members are skipped,
 * numbers and booleans may be quoted (integers from 2^63 on must be), one value may stand for a repeated field, an unknown enum name
 * or number leaves an optional field unset and is dropped from a repeated one.
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

/* -EINVAL, -E2BIG, -ENOMEM. The caller frees with message_free(); *ret is untouched on failure. The sentence names the field by its JSON path
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

/* Padded base64 as bytes are written in JSON. */
void base64_append(struct buffer *out, const uint8_t *data, size_t len);
/* Canonical padded base64. -EINVAL. The caller frees; NULL for no bytes. */
int base64_decode(const char *s, size_t n, uint8_t **ret, size_t *ret_len) WARN_UNUSED;
