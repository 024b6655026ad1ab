/*
 * A daemon that `mete dev` runs: started with its output in a log file, in a process group of its own (Ctrl-C is ours to pass
 * on), and ended by the kernel should we vanish. Owned by the cluster; loop thread.
 */
#pragma once

#include "lib/base/option.h"
#include "lib/loop/loop.h"

struct dev_process {
        char *name;              /* "agent-1" */
        struct string_list argv; /* argv[0] is the program's path */
        char *log_path;          /* NULL: our own stderr */
        pid_t pid;               /* 0: not started, or gone */
        struct loop_child *child;
        void (*on_exit)(struct dev_process *p, const siginfo_t *info, void *userdata);
        void *userdata;
};

int dev_process_start(struct dev_process *p, struct loop *l, struct error *e) WARN_UNUSED;
void dev_process_signal(struct dev_process *p, int signo);
void dev_process_done(struct dev_process *p);
/* Runs it with one more argument and waits for its end: `mete-agent ... --purge`. */
int dev_process_run_once(const struct dev_process *p, const char *argument, struct error *e) WARN_UNUSED;
/* The last lines of its log, for a person; the caller frees. "" when there is none. */
char *dev_process_log_tail(const struct dev_process *p);
