/*
 * The steps of a plan, as the container's init and the task's main process execute them. Single-threaded, in
 * their own namespaces; on failure the error says what was tried on which object, and the process ends.
 */
#pragma once

#include "isolators/plan.h"

struct steps {
        int sandbox_mount_fd; /* detached clone of the sandbox, made in the agent's mount namespace; consumed
                               */
        int root_fd;          /* the new root once a ROOT step made it, else -1 */
        int mask_fd; /* the first empty directory that masks something; further ones are its clones */
        int null_fd; /* /dev/null of the new root, verified */
        struct error error;
};
#define STEPS_INIT                                                                                           \
        {                                                                                                    \
                .sandbox_mount_fd = -1, .root_fd = -1, .mask_fd = -1, .null_fd = -1                          \
        }

/* NAMESPACE to PROTECT: in init, as root, the host still visible. */
int steps_mount_run(struct steps *s, const struct plan_view *v) WARN_UNUSED;
/* Makes the new root the only one. -EINVAL when no step made one. */
int steps_enter_root(struct steps *s) WARN_UNUSED;
/* PROCESS and PRIVILEGE: in the main process, in the new root. */
int steps_process_run(struct steps *s, const struct plan_view *v) WARN_UNUSED;
/* What init keeps for the container's life: the right to signal its processes, nothing else. */
int steps_drop_to_signalling(struct steps *s) WARN_UNUSED;
