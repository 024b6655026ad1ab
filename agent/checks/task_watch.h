/*
 * What the command executor of Mesos does beside a running command: health checks, checks, and the limit of its completion time. Made when
 * a command task runs, freed when it ends. Checks run as helper processes in the task's namespaces, cgroup and restrictions. Loop
 * thread.
 */
#pragma once

#include "agent/agent.h"
#include "proto/mesos.pb-c.h"

struct task_watch;
struct agent_container;

/* NULL when the task asks for none of it. */
struct task_watch *task_watch_new(struct agent_container *c);
struct task_watch *task_watch_free(struct task_watch *w);
/*
 * While the task is frozen: no check runs, none counts, and the time is not the task's. Both may come again, and w may be NULL.
 */
void task_watch_pause(struct task_watch *w);
void task_watch_resume(struct task_watch *w);
/* Is what the task asks for possible here? -EINVAL or -ENOTSUP with a sentence that names the field. */
int task_watch_check(const Mete__V1__TaskInfo *task, struct error *e) WARN_UNUSED;
/* What is known of the task's health and check into a status of it. w may be NULL. */
void task_watch_fill(const struct task_watch *w, Mete__V1__TaskStatus *s);
