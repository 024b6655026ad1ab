/*
 * The contract between agent and shim. The shim is one tiny static process per task, outside of the task's
 * cgroup: it clones the container's init into its cgroup and namespaces, pumps stdout and stderr into the
 * sandbox with rotation, records how it ended, and outlives the agent.
 *
 * File descriptors of the shim at exec (everything else is closed):
 *   0 /dev/null   1,2 the agent's stderr
 *   3 plan (sealed memfd)          4 state directory of the container (O_DIRECTORY)
 *   5 record file in it, flock'ed by the agent before the shim starts: held as long as the shim lives
 *   6 status pipe to the agent (write end): messages of shim_message, each one write(2) below PIPE_BUF
 *   7 sandbox directory            8 v2 cgroup directory of the task
 *   9.. v1 entry files of the task's cgroup (argv[2] says how many)
 * The shim is born in its own cgroup (shim_spawn clones it there).
 * argv: "mete-shim", "--", "<number of v1 fds>"
 *
 * State directory, readable by the agent after a restart:
 *   "record"   a line an event, appended in one write(2); a last line without its end is ignored
 *                shim <pid> <start ticks>
 *                started <pid of init> <start ticks> <time of execve>
 *                exit <time> <wait status> <errno> <stage or -> <text>    errno, stage, text: the step that failed
 *   "logs"     where the live log files begin in the whole output (log_read.h)
 * One file, because making and removing small files is what launches in quick succession wait for (ext4 looks for an inode that was
 * not freed lately). Absence of "exit" with the lock free means that the shim itself was killed: the task is FAILED with that sentence.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/linux/process.h"

enum shim_fd {
        SHIM_FD_PLAN = 3,
        SHIM_FD_STATE,
        SHIM_FD_RECORD,
        SHIM_FD_STATUS,
        SHIM_FD_SANDBOX,
        SHIM_FD_CGROUP,
        SHIM_FD_FIRST_V1
};

enum shim_event { SHIM_EVENT_STARTED = 1, SHIM_EVENT_EXITED, SHIM_EVENT_MAX };

#define SHIM_TEXT_MAX 512
/* Where a launch spends its time: monotonic, in the order in which they happen; in messages only. */
enum shim_phase {
        SHIM_PHASE_SHIM,      /* the shim runs */
        SHIM_PHASE_PREPARED,  /* plan checked, log files and pipes made */
        SHIM_PHASE_INIT,      /* init runs in its cgroup and namespaces */
        SHIM_PHASE_NAMESPACE, /* v1 cgroups joined, mounts private, network up */
        SHIM_PHASE_ROOT,      /* the new root is there, nothing in it yet */
        SHIM_PHASE_MOUNT,     /* and everything in it */
        SHIM_PHASE_PROTECT,   /* masked, read-only, entered */
        SHIM_PHASE_TASK,      /* the main process runs */
        SHIM_PHASE_READY,     /* every privilege is given up */
        SHIM_PHASE_STARTED,   /* the shim has seen execve succeed */
        SHIM_PHASE_MAX,
};
const char *shim_phase_to_string(enum shim_phase p);

struct shim_record {
        struct process_id shim;    /* "shim" */
        struct process_id init;    /* "started": pid in the agent's pid namespace */
        uint64_t started_wall_ns;  /* execve done; 0 = never */
        uint64_t finished_wall_ns; /* 0 = still running */
        int wait_status;           /* of the task's main process, valid when finished and failed_errno == 0 */
        int failed_errno;          /* positive; a step before execve failed */
        char failed_stage[32];     /* "mount", "exec" */
        char failed_text[SHIM_TEXT_MAX];   /* one sentence: what was tried on which object */
        uint64_t phase_ns[SHIM_PHASE_MAX]; /* 0: not reached */
};
/* The status pipe carries {uint32_t event, struct shim_record}: a hint to look now; the files are the truth.
 */
struct shim_message {
        uint32_t event, reserved;
        struct shim_record record;
};

/* 0, -ENOENT when nothing was recorded, -EBADMSG when a line is malformed. */
int shim_record_read(int state_dirfd, struct shim_record *ret) WARN_UNUSED;
/* event 0 writes "shim". */
int shim_record_write(int record_fd, enum shim_event event, const struct shim_record *r) WARN_UNUSED;
/* Creates and takes the lock; give the fd to shim_spawn, then close it. -EBUSY when it is held. */
int shim_lock_take(int state_dirfd, int *ret_fd) WARN_UNUSED;
/* Is some shim holding the lock of this state directory? 1, 0, or -errno. */
int shim_lock_held(int state_dirfd);
#define SHIM_RECORD_NAME "record"

/*
 * Init of the container (pid 1 in its namespace) reaps, forwards signals to the main process and ends with
 * it. SIGTERM goes to every process of the container, other signals to the main process' group. The agent
 * signals init by its pid from "started".
 */
