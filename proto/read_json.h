/*
 * What the read sides of master and agent show alike, in the shape that the tools of Mesos know. Parts of documents: see json_writer.h for
 * `key`. Pure functions.
 */
#pragma once

#include "lib/base/option.h"
#include "lib/base/resources.h"
#include "lib/net/json_writer.h"
#include "proto/mesos.pb-c.h"

/* Members: the version, and what this program was built from. */
void json_version(struct buffer *out);
/* "flags": names with underscores, values as text. */
void json_flags(struct buffer *out, const struct option_parser *parser, const void *options);

/* {"cpus": 1.0, "gpus": 0.0, ..., "ports": "[31000-32000]"}: the four that everybody looks for are always there. */
void json_resources(struct buffer *out, const char *key, const struct resources *r);
/* The same of messages; what is not legal counts for nothing. */
void json_resources_of(struct buffer *out, const char *key, Mete__V1__Resource *const *list, size_t count);
/* "{a,b}", appended. */
void resource_items_text(struct buffer *text, char *const *items, size_t count);

/* NULL: an empty array. */
void json_labels(struct buffer *out, const char *key, const Mete__V1__Labels *labels);
/* "TASK_RUNNING"; "TASK_UNKNOWN" for a number without a name. */
const char *task_state_wire_name(Mete__V1__TaskState state);
