/* The environment that a task starts with: ours first, the task's own on top. Pure functions. */
#pragma once

#include "agent/task_spec.h"

#define TASK_ENVIRONMENT_MAX 1024
#define TASK_ENVIRONMENT_BYTES_MAX (1u << 20)

/* NULL-terminated NAME=value list, each name once. -EINVAL, -E2BIG with a sentence naming the variable. */
int task_environment_build(const Mete__Agent__Command__Launch *launch, const struct task_place *place,
        const struct user_ids *user, char ***ret, struct error *e) WARN_UNUSED;
