/* What the files of /metrics/snapshot share: a flat object of numbers. */
#pragma once

#include "master/api/read/read.h"

/* `name` is escaped: names of frameworks and roles are in it. */
void metric(struct buffer *out, double value, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* "task_failed", "launch": the enum's name in lower case. The caller frees it. */
char *metric_enum_name(const ProtobufCEnumDescriptor *d, int value);

/* ---- metrics_master.c ---- */
void metrics_master(struct buffer *out, const struct master *m);
/* ---- metrics_tasks.c ---- */
void metrics_tasks(struct buffer *out, const struct master *m);
/* ---- metrics_frameworks.c ---- */
void metrics_frameworks(struct buffer *out, const struct master *m);
