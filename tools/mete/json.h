/* JSON output of the verbs: messages as the API's own codec writes them, in documents of ours. */
#pragma once

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdio.h>

#include "proto/mete.pb-c.h"

/* A new reference; never NULL for a valid message. */
json_t *json_of_message(const ProtobufCMessage *m);
/* An array of messages. */
json_t *json_of_messages(ProtobufCMessage *const *messages, size_t count);
/* The task or the job that an answer has; an empty object. */
json_t *json_of_task_or_job(const Mete__Api__Response *response);
/* Steals v. Indented; `compact` writes one line, for repeated documents. */
void json_print(json_t *v, bool compact, FILE *f);
/* Sets every field of d that obj does not have to null: a reader finds each key, always. */
void json_fill_nulls(json_t *obj, const ProtobufCMessageDescriptor *d);
