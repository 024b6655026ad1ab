/*
 * JSON straight into a buffer, one line, for answers that are too large for a tree of values first. Commas come by themselves; the caller
 * balances begin and end. `key` is the member's name, NULL within an array and at the top; it is the caller's own text and is not escaped.
 * Numbers and strings look as in codec.h. ("put", because jansson has the names without it.)
 */
#pragma once

#include "lib/net/codec.h"

void json_begin_object(struct buffer *out, const char *key);
void json_end_object(struct buffer *out);
void json_begin_array(struct buffer *out, const char *key);
void json_end_array(struct buffer *out);
/* A member whose name comes from outside: it is escaped. The value follows, with key NULL. */
void json_member(struct buffer *out, const char *name);

void json_put_string(struct buffer *out, const char *key, const char *value); /* NULL: "" */
void json_put_double(struct buffer *out, const char *key, double value);      /* not finite: 0 */
void json_put_integer(struct buffer *out, const char *key, int64_t value);
void json_put_bool(struct buffer *out, const char *key, bool value);
/* What is JSON already, one line. */
void json_put_raw(struct buffer *out, const char *key, const char *json);
/* A message that cannot be encoded (it lacks what is required) is written as null. */
void json_put_message(struct buffer *out, const char *key, const ProtobufCMessage *value);
