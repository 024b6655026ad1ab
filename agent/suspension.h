/*
 * Tasks that stand still: the master has one frozen so that another can run, and thawed when there is room again. Nothing of its work is
 * lost. Loop thread.
 *
 * The record is written first, then the kernel is asked, then "frozen 1" in cgroup.events is waited for: an agent that dies in between
 * finds the record and asks again. A container that does not stand still in time (a process in an uninterruptible wait) is thawed and
 * the master told. A task that does not run yet is frozen as soon as it does, and answered for then. A kill thaws: what is frozen could
 * not act on SIGTERM. Checks and the limit of completion time stop meanwhile; measuring and logs go on.
 */
#pragma once

#include "lib/loop/loop.h"
#include "proto/mete_agent.pb-c.h"
#include "proto/mete_checkpoint.pb-c.h"

struct agent;
struct agent_container;

/* Of a container; zero-initialised: never asked for. */
struct suspension {
        bool recorded; /* on disk: a SUSPEND came in */
        bool wanted;   /* as the last record says */
        bool frozen;   /* the kernel said so */
        bool answer_due;
        bool carried_out;        /* some SUSPEND was: done_sequence */
        uint64_t sequence;       /* of the last record */
        uint64_t done_sequence;  /* of the last one that was carried out, or given up */
        char *failure;           /* why the last one was given up; owned */
        uint64_t since_wall_ns;  /* of the last record */
        uint64_t frozen_ns;      /* in suspensions that are over */
        int epoll_fd;            /* while waiting: the loop cannot wait for EPOLLPRI itself */
        struct loop_io *io;      /* while waiting */
        struct loop_timer *late; /* owned; NULL until the first wait */
};

/* A SUSPEND command, whatever task it names: SUSPENDED answers it. */
void suspension_command(struct agent *a, const Mete__Agent__Command__Suspend *s);
/* From its checkpoint, before it runs or is found running. saved may be NULL. */
void suspension_restore(struct agent_container *c, const Mete__Checkpoint__Suspended *saved);
/* The container runs: what was asked for while it did not, or by an earlier agent, is done now. */
void suspension_started(struct agent_container *c);
/* It is killed. */
void suspension_thaw(struct agent_container *c);
/* It ended. */
void suspension_done(struct agent_container *c);
/* Until now, all suspensions together. */
uint64_t suspension_total_ns(const struct agent_container *c);
