/*
 * What the agent keeps on disk below <work-dir>/meta, one protobuf message a file, each written aside and renamed:
 *
 *   lock                              flock'ed by the one agent of this work dir
 *   agent                             AgentIdentity
 *   containers/<container id>/task    Container: before anything of the container exists
 *   containers/<container id>/updates Updates: status updates that are not acknowledged yet
 *   containers/<container id>/kill    present: a kill was asked for (text: what was asked)
 *
 * Only the identity is synced to the disk. The rest describes processes of this boot: a kill -9 of the agent loses nothing of the page
 * cache, and after a power loss the processes are gone, the boot id says so, and what the files cannot tell any more the master knows:
 * it reports tasks lost that the agent does not bring back. Syncing would cost milliseconds at each step of each task.
 */
#pragma once

#include "lib/base/error.h"
#include "proto/mete_checkpoint.pb-c.h"

#define CHECKPOINT_FORMAT 1
#define CHECKPOINT_SIZE_MAX (16u << 20)

/* One message a file. -EBADMSG with a sentence when the content is malformed; -ENOENT when there is none. */
int checkpoint_write(
        int dirfd, const char *name, const ProtobufCMessage *m, bool sync, struct error *e) WARN_UNUSED;
int checkpoint_read(int dirfd, const char *name, const ProtobufCMessageDescriptor *d, ProtobufCMessage **ret,
        struct error *e) WARN_UNUSED;

/* containers_fd is <work-dir>/meta/containers. Makes the directory of the container, then "task". */
int checkpoint_container_write(
        int containers_fd, const Mete__Checkpoint__Container *c, struct error *e) WARN_UNUSED;
int checkpoint_container_read(
        int containers_fd, const char *id, Mete__Checkpoint__Container **ret, struct error *e) WARN_UNUSED;
int checkpoint_updates_write(
        int containers_fd, const char *id, const Mete__Checkpoint__Updates *u, struct error *e) WARN_UNUSED;
/* -ENOENT: none yet. */
int checkpoint_updates_read(
        int containers_fd, const char *id, Mete__Checkpoint__Updates **ret, struct error *e) WARN_UNUSED;
/* A kill that was asked for must not become a failure because the agent died in between. */
int checkpoint_kill_write(int containers_fd, const char *id, const char *text) WARN_UNUSED;
bool checkpoint_kill_exists(int containers_fd, const char *id);
/* Everything of the container. Missing is success. */
int checkpoint_container_remove(int containers_fd, const char *id) WARN_UNUSED;
