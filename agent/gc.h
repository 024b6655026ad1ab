/*
 * Sandboxes of ended tasks: kept for reading, removed oldest first when they are too old or too many. The list is rebuilt from the
 * directories at start, so nothing of it is written down. Trees are removed on a worker; loop thread otherwise.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/loop/loop.h"

struct gc_entry {
        char *path; /* below the work dir: slaves/A/frameworks/F/executors/T/runs/C */
        uint64_t ended_wall_ns;
        struct gc_entry *prev, *next;
};

struct gc {
        struct loop *loop;
        struct worker_pool *pool;
        struct loop_timer *timer;
        struct gc_entry *entries; /* owned, oldest first */
        size_t count, max_count;
        uint64_t removed, failed; /* sandboxes since the start */
        uint64_t delay_ns;
        int work_fd;  /* not owned */
        bool running; /* a batch is on a worker */
};

void gc_start(struct gc *g, struct loop *l, struct worker_pool *pool, int work_fd, uint64_t delay_ns,
        size_t max_count);
void gc_stop(struct gc *g); /* before the worker pool is freed, which ends the batch that runs */
/* Finds what earlier agents left; `is_live` names containers that are not garbage yet. */
void gc_scan(struct gc *g, bool (*is_live)(const char *container_id, void *userdata), void *userdata);
/* The task of this sandbox (path below the work dir) has ended. */
void gc_add(struct gc *g, const char *path);
/* The sandbox that ended last of a task id, or NULL; borrowed until the loop goes on. */
const char *gc_find(const struct gc *g, const char *task_id);
/* A path of ours below the work dir; NULL when it is not below it. Points into path. */
const char *gc_relative_path(const char *path, const char *work_dir);
/* "slaves/A/frameworks/F/executors/T/runs/C"; the caller frees. */
char *gc_sandbox_path(
        const char *agent_id, const char *framework_id, const char *task_id, const char *container_id);
/* rmdir of what is empty above a sandbox that is gone. On the loop, where launches make these directories: none is taken away under
 * a launch. Shortens path. */
void gc_remove_empty_parents(int work_fd, char *path);
