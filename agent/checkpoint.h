/*
 * What the agent keeps on disk below <work-dir>/meta:
 *
 *   lock                        flock'ed by the one agent of this work dir
 *   agent                       AgentIdentity: one message, written aside and renamed
 *   containers/<container id>   records, appended:
 *                                 Container  first, before anything of the container exists
 *                                 Updates    status updates that are not acknowledged yet; the last one counts
 *                                 Kill       a kill was asked for
 *                                 Framework  what is known of the framework now
 *                                 Suspended  it is to be frozen, or thawed; the last one counts
 *                               of an executor, also its tasks (agent/checkpoint_tasks.h):
 *                                 Task, TaskUpdate, TaskAcknowledged; Updates of a task, where the file was compacted
 *
 * One file a container, because file systems take much longer to make and remove a file than to append to one: a task costs one
 * creation and one unlink, and the unlink forgets all of the container in one step.
 *
 * A record is {magic, type, length, checksum} in the byte order of the machine, which the file never leaves, and a protobuf message.
 * What a kill -9 in the middle of a write or a full disk leaves is the state before that write: reading ends at the first record
 * that is not whole, and whoever reads cuts the rest off, so that later records follow whole ones.
 *
 * Only the identity is synced to the disk. The rest describes processes of this boot: a kill -9 of the agent loses nothing of the page
 * cache, and after a power loss the processes are gone, the boot id says so, and what the files cannot tell any more the master knows:
 * it reports tasks lost that the agent does not bring back. Syncing would cost milliseconds at each step of each task.
 *
 * Loop thread; nothing stays open between calls.
 */
#pragma once

#include "lib/base/error.h"
#include "proto/mete_checkpoint.pb-c.h"

#define CHECKPOINT_FORMAT 1
/* Of one message. */
#define CHECKPOINT_SIZE_MAX (16u << 20)
/* Of a container's file: beyond this its records that count are written aside and renamed over it. */
#define CHECKPOINT_COMPACT_BYTES (256u << 10)
/* A file that would be larger is not written: an executor holds no more tasks then. */
#define CHECKPOINT_FILE_MAX (256u << 20)
#define CHECKPOINT_KILL_TEXT_MAX 64

/* One message a file. -EBADMSG with a sentence when the content is malformed; -ENOENT when there is none. */
int checkpoint_write(
        int dirfd, const char *name, const ProtobufCMessage *m, bool sync, struct error *e) WARN_UNUSED;
int checkpoint_read(int dirfd, const char *name, const ProtobufCMessageDescriptor *d, ProtobufCMessage **ret,
        struct error *e) WARN_UNUSED;

/* A container's file. */
struct checkpoint_task;
struct checkpoint {
        Mete__Checkpoint__Container *container; /* owned */
        Mete__Checkpoint__Updates *updates;     /* owned; NULL: none yet */
        struct checkpoint_task *tasks; /* k: task id -> v: owned; of an executor, in order of launch */
        bool killed;
        uint32_t kill_cause;                    /* when killed */
        Mete__Checkpoint__Suspended *suspended; /* owned; NULL: never asked for */
};
void checkpoint_done(struct checkpoint *c);
#define _cleanup_checkpoint_ CLEANUP(checkpoint_done)

/*
 * The bytes of the file of container `id`. *ret_whole is how many of them whole records take. -ENOENT: not even the first record is
 * whole, the agent died while it wrote it; -EBADMSG: not a container's file, of another container or format, or damaged in the
 * record that everything depends on.
 */
int checkpoint_parse(const char *id, const void *data, size_t len, struct checkpoint *ret, size_t *ret_whole,
        struct error *e) WARN_UNUSED;

/* containers_fd is <work-dir>/meta/containers. Makes the file: -EEXIST when there is one. On failure there is none of ours. */
int checkpoint_container_write(
        int containers_fd, const Mete__Checkpoint__Container *c, struct error *e) WARN_UNUSED;
/* As checkpoint_parse; cuts off what is not whole. */
int checkpoint_container_read(
        int containers_fd, const char *id, struct checkpoint *ret, struct error *e) WARN_UNUSED;
/* A write that fails leaves what was there before. -ENOENT: no such container. */
int checkpoint_updates_write(
        int containers_fd, const char *id, const Mete__Checkpoint__Updates *u, struct error *e) WARN_UNUSED;
/* A kill that was asked for must not become a failure because the agent died in between. */
int checkpoint_kill_write(int containers_fd, const char *id, const char *signal, uint32_t cause) WARN_UNUSED;
int checkpoint_framework_write(
        int containers_fd, const char *id, const Mete__V1__FrameworkInfo *info) WARN_UNUSED;
int checkpoint_suspended_write(
        int containers_fd, const char *id, const Mete__Checkpoint__Suspended *s) WARN_UNUSED;
/* Everything of the container. Missing is success. */
int checkpoint_container_remove(int containers_fd, const char *id) WARN_UNUSED;
