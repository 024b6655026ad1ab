/*
 * The event loop: a thin layer over libevent's event_base. One loop per daemon, one thread per loop;
 * everything here must be called from that thread, save loop_post() which any thread may call. Callbacks may
 * free their own source.
 */
#pragma once

#include <signal.h>

#include "lib/base/error.h"
#include "lib/base/time.h"

struct event_base;
struct loop;
struct loop_timer;
struct loop_io;
struct loop_signal;
struct loop_child;

int loop_new(struct loop **ret, struct error *e) WARN_UNUSED;
struct loop *loop_free(struct loop *l); /* all sources must be gone; runs what is still posted */
int loop_run(struct loop *l);           /* until loop_stop; 0 or -errno */
void loop_stop(struct loop *l);
struct event_base *loop_base(struct loop *l);
DEFINE_CLEANUP(struct loop, loop_free)

/*
 * Sources have one of two priorities. Those that are ready with PROMPT run before all others; these run for some milliseconds at most before
 * the loop looks again for what is ready. Timers (unless loop_timer_make_prompt()) and what is posted
 * are BULK, everything else is PROMPT unless event_priority_set().
 */
#define LOOP_PRIORITY_PROMPT 1
#define LOOP_PRIORITY_BULK 2

/* Timers: on CLOCK_MONOTONIC. A timer is made idle; arm it relative; period_ns 0 = once. Re-arming replaces.
 */
typedef void (*loop_timer_handler)(struct loop_timer *t, void *userdata);
struct loop_timer *loop_timer_new(struct loop *l, loop_timer_handler handler, void *userdata);
void loop_timer_make_prompt(struct loop_timer *t); /* right after loop_timer_new() */
void loop_timer_arm(struct loop_timer *t, uint64_t delay_ns, uint64_t period_ns);
void loop_timer_disarm(struct loop_timer *t);
bool loop_timer_armed(const struct loop_timer *t);
struct loop_timer *loop_timer_free(struct loop_timer *t);

/*
 * Readiness of a file descriptor (not owned). events: EPOLLIN and/or EPOLLOUT; level-triggered. NULL when the
 * descriptor cannot be waited for (a regular file).
 */
typedef void (*loop_io_handler)(struct loop_io *io, int fd, uint32_t events, void *userdata);
struct loop_io *loop_io_new(struct loop *l, int fd, uint32_t events, loop_io_handler handler, void *userdata);
struct loop_io *loop_io_free(struct loop_io *io);

typedef void (*loop_signal_handler)(struct loop_signal *s, int signo, void *userdata);
struct loop_signal *loop_signal_new(struct loop *l, int signo, loop_signal_handler handler, void *userdata);
struct loop_signal *loop_signal_free(struct loop_signal *s);

/*
 * Exit of a process, by pidfd (owned by the source from here on). Fires once. For our own children it reaps
 * and passes the wait status (as waitid's si_code/si_status); for others (adopted after a restart)
 * info->si_pid is 0: the status is not ours to read.
 */
typedef void (*loop_child_handler)(struct loop_child *c, const siginfo_t *info, void *userdata);
struct loop_child *loop_child_new(struct loop *l, int pidfd, loop_child_handler handler, void *userdata);
struct loop_child *loop_child_free(struct loop_child *c);

/* Deferred work: runs on the loop thread, after the current callback. Thread-safe. */
void loop_post(struct loop *l, void (*handler)(void *userdata), void *userdata);

/*
 * A pool of worker threads for what blocks (fsync, SQLite, removal of trees). `work` runs on a worker, then
 * `done` on the loop. Bounded: -EAGAIN when more than max_queued jobs wait. Jobs with the same non-NULL `key`
 * run in order, one at a time. -ESHUTDOWN from a `done` that runs within worker_pool_free(). `done` may be
 * NULL, and must not free the pool.
 */
struct worker_pool;
int worker_pool_new(struct loop *l, unsigned threads, size_t max_queued, struct worker_pool **ret,
        struct error *e) WARN_UNUSED;
int worker_pool_submit(struct worker_pool *p, const void *key, void (*work)(void *userdata),
        void (*done)(void *userdata), void *userdata) WARN_UNUSED;
/* Waits for running jobs, runs the queued ones, delivers their `done`. */
struct worker_pool *worker_pool_free(struct worker_pool *p);
