#include "agent/checkpoint.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/net/codec.h"

#define TASK_FILE "task"
#define UPDATES_FILE "updates"
#define KILL_FILE "kill"

int checkpoint_write(int dirfd, const char *name, const ProtobufCMessage *m, bool sync, struct error *e)
{
        size_t n = protobuf_c_message_get_packed_size(m);

        if (n > CHECKPOINT_SIZE_MAX)
                return error_set(e, -E2BIG, "checkpoint \"%s\" of %zu bytes is too large", name, n);
        _cleanup_free_ uint8_t *data = xmalloc(n + 1);
        (void)protobuf_c_message_pack(m, data);
        int r = write_file_atomic_at(dirfd, name, data, n, 0600, sync);
        return r < 0 ? error_set_errno(e, r, "cannot write the checkpoint \"%s\"", name) : 0;
}

int checkpoint_read(int dirfd, const char *name, const ProtobufCMessageDescriptor *d, ProtobufCMessage **ret,
        struct error *e)
{
        _cleanup_free_ char *data = NULL;
        size_t n;

        int r = read_file_at(dirfd, name, CHECKPOINT_SIZE_MAX, &data, &n);
        if (r < 0)
                return error_set_errno(e, r, "cannot read the checkpoint \"%s\"", name);
        r = message_decode(CODEC_PROTOBUF, d, data, n, ret, e);
        if (r < 0) {
                error_prefix(e, "checkpoint \"%s\"", name);
                return -EBADMSG;
        }
        return 0;
}

static int open_container(int containers_fd, const char *id)
{
        int fd = openat(containers_fd, id, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

int checkpoint_container_write(int containers_fd, const Mete__Checkpoint__Container *c, struct error *e)
{
        if (mkdirat(containers_fd, c->container_id, 0700) < 0)
                return error_set_errno(
                        e, -errno, "cannot make the checkpoint directory of container %s", c->container_id);
        _cleanup_fd_ int fd = open_container(containers_fd, c->container_id);
        if (fd < 0)
                return error_set_errno(
                        e, fd, "cannot open the checkpoint directory of container %s", c->container_id);
        return checkpoint_write(fd, TASK_FILE, &c->base, /* sync= */ false, e);
}

static int read_message(int containers_fd, const char *id, const char *file,
        const ProtobufCMessageDescriptor *d, ProtobufCMessage **ret, struct error *e)
{
        _cleanup_fd_ int fd = open_container(containers_fd, id);

        if (fd < 0)
                return error_set_errno(e, fd, "cannot open the checkpoint directory of container %s", id);
        return checkpoint_read(fd, file, d, ret, e);
}

int checkpoint_container_read(
        int containers_fd, const char *id, Mete__Checkpoint__Container **ret, struct error *e)
{
        ProtobufCMessage *m;

        int r = read_message(containers_fd, id, TASK_FILE, &mete__checkpoint__container__descriptor, &m, e);
        if (r < 0)
                return r;
        Mete__Checkpoint__Container *c = (Mete__Checkpoint__Container *)m;
        /* The ids name directories and cgroups further on: a file that lies about them is not followed. */
        if (c->version != CHECKPOINT_FORMAT || !str_equal(c->container_id, id) || !c->framework->id) {
                message_free(m);
                return error_set(
                        e, -EBADMSG, "checkpoint of container %s: is of another format or container", id);
        }
        *ret = c;
        return 0;
}

int checkpoint_updates_write(
        int containers_fd, const char *id, const Mete__Checkpoint__Updates *u, struct error *e)
{
        _cleanup_fd_ int fd = open_container(containers_fd, id);

        if (fd < 0)
                return error_set_errno(e, fd, "cannot open the checkpoint directory of container %s", id);
        return checkpoint_write(fd, UPDATES_FILE, &u->base, /* sync= */ false, e);
}

int checkpoint_updates_read(
        int containers_fd, const char *id, Mete__Checkpoint__Updates **ret, struct error *e)
{
        ProtobufCMessage *m;

        int r = read_message(containers_fd, id, UPDATES_FILE, &mete__checkpoint__updates__descriptor, &m, e);
        if (r < 0)
                return r;
        *ret = (Mete__Checkpoint__Updates *)m;
        return 0;
}

int checkpoint_kill_write(int containers_fd, const char *id, const char *text)
{
        _cleanup_fd_ int fd = open_container(containers_fd, id);

        if (fd < 0)
                return fd;
        return write_file_atomic_at(fd, KILL_FILE, text, __builtin_strlen(text), 0600, /* sync= */ false);
}

bool checkpoint_kill_exists(int containers_fd, const char *id)
{
        _cleanup_fd_ int fd = open_container(containers_fd, id);

        return fd >= 0 && faccessat(fd, KILL_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int checkpoint_container_remove(int containers_fd, const char *id)
{
        _cleanup_fd_ int fd = open_container(containers_fd, id);

        /*
         * "task" first: with it the container is forgotten in one step. Were "updates" gone and "task" still there when we
         * die, a task that ended would look like a launch that was interrupted.
         */
        if (fd >= 0 && unlinkat(fd, TASK_FILE, 0) < 0 && errno != ENOENT)
                return -errno;
        return remove_tree_at(containers_fd, id);
}
