/*
 * What is learned of jobs and users and outlives the master: estimates of run times, and the usage by which fair queues order users.
 * Written once in a while, not with each task: a crash forgets the last minute of it. Owned by the master; loop thread only.
 */
#pragma once

#include "master/jobs/jobs.h"

struct learned;
struct learned *learned_new(struct master *m);
struct learned *learned_free(struct learned *l);
/* After the queues are recovered. What cannot be read is left out. */
int learned_recover(struct learned *l, struct error *e) WARN_UNUSED;
/* A task of the job ended, and its queue has noted how long it ran. */
void learned_task_ended(struct learned *l, const struct job *j);
/* What has changed goes to the store: also before it is closed. */
void learned_write(struct learned *l);
