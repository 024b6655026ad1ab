/*
 * The tasks of the job that `mete run` waits for: their latest state, and a reader for each output stream from the moment
 * they run. Owned by the caller; on the thread of the client.
 */
#pragma once

#include "tools/mete/log_reader.h"

struct run_task;

struct run_tasks_handlers {
        void (*on_output_closed)(void *userdata); /* our standard output has no reader any more */
        void (*on_read)(void *userdata);          /* a stream has been read to its end */
};

struct run_tasks {
        struct mete_client *client;
        bool prefixed;
        const struct run_tasks_handlers *handlers;
        void *userdata;
        struct run_task **items; /* by index of the task, owned */
        size_t count;
};

void run_tasks_init(struct run_tasks *t, struct mete_client *c, bool prefixed,
        const struct run_tasks_handlers *handlers, void *userdata);
void run_tasks_done(struct run_tasks *t);
void run_tasks_update(struct run_tasks *t, const Mete__Api__Task *task);
/* Tasks that run and have not ended; streams not yet read to the end; those of them whose agent does not answer. */
size_t run_tasks_live(const struct run_tasks *t);
size_t run_tasks_reading(const struct run_tasks *t);
size_t run_tasks_troubled(const struct run_tasks *t);
/* How tasks ended, where the exit code alone does not tell. */
void run_tasks_report(const struct run_tasks *t, FILE *f);
/* The first that is not zero, in the order of the tasks. */
int run_tasks_exit_code(const struct run_tasks *t);

/* For the tests: what run_tasks_* say of one task. */
int task_exit_code(const Mete__Api__Task *task);
bool task_end_needs_words(const Mete__Api__Task *task);
