/*
 * Launches that wait until reservations and volumes of the same agent, which an operation before them made, are on disk and the agent was
 * told of them. Loop thread only.
 */
#pragma once

#include "master/core.h"

/* Sends them now, or when what their agent was assigned is on disk. Tasks that end meanwhile are left out. */
void launch_when_assigned(struct framework *f, struct agent *a, struct task *const *tasks, size_t count);
/* All to the executor, at once; when one of them ended or is to be killed meanwhile, none is launched. The executor is copied. */
void launch_group_when_assigned(struct framework *f, struct agent *a, const Mete__V1__ExecutorInfo *executor,
        struct task *const *tasks, size_t count, const Mete__Api__Isolation *isolation);
