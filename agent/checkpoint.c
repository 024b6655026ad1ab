#include "agent/checkpoint.h"
#include "agent/checkpoint_tasks.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/net/codec.h"

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

/* ---- what a file says ---- */

#define FILE_MAX ((size_t)CHECKPOINT_FILE_MAX)

static int decode(const ProtobufCMessageDescriptor *d, const char *data, size_t len, ProtobufCMessage **ret)
{
        return message_decode(CODEC_PROTOBUF, d, data, len, ret, NULL) < 0 ? -EBADMSG : 0;
}

/* The ids name directories and cgroups further on: a file that lies about them is not followed. */
static int read_container(struct checkpoint *c, const char *id, const char *data, size_t len, struct error *e)
{
        ProtobufCMessage *m;

        if (decode(&mete__checkpoint__container__descriptor, data, len, &m) < 0)
                return error_set(e, -EBADMSG, "its first record is no container");
        c->container = (Mete__Checkpoint__Container *)m;
        if (c->container->version != CHECKPOINT_FORMAT || !str_equal(c->container->container_id, id) ||
                !c->container->framework->id || !c->container->task == !c->container->executor)
                return error_set(e, -EBADMSG, "it is of another format or container");
        return 0;
}

static int read_updates(struct checkpoint *c, const char *data, size_t len, struct error *e)
{
        ProtobufCMessage *m;

        if (decode(&mete__checkpoint__updates__descriptor, data, len, &m) < 0)
                return error_set(e, -EBADMSG, "its status updates cannot be read");
        message_free(c->updates);
        c->updates = (Mete__Checkpoint__Updates *)m;
        if (c->updates->version != CHECKPOINT_FORMAT)
                return error_set(e, -EBADMSG, "its status updates are of another format");
        return 0;
}

static int read_framework(struct checkpoint *c, const char *data, size_t len, struct error *e)
{
        ProtobufCMessage *m;

        if (decode(&mete__checkpoint__framework__descriptor, data, len, &m) < 0)
                return error_set(e, -EBADMSG, "its framework cannot be read");
        Mete__Checkpoint__Framework *f = (Mete__Checkpoint__Framework *)m;
        if (f->framework->id && str_equal(f->framework->id->value, c->container->framework->id->value)) {
                message_free(c->container->framework);
                c->container->framework = TAKE_PTR(f->framework);
                f->framework = NULL;
        }
        message_free(m);
        return 0;
}

/* That there was one is what matters; the first says why. */
static int read_kill(struct checkpoint *c, const char *data, size_t len, struct error *e)
{
        ProtobufCMessage *m;

        if (decode(&mete__checkpoint__kill__descriptor, data, len, &m) < 0)
                return error_set(e, -EBADMSG, "its kill cannot be read");
        if (!c->killed)
                c->kill_cause = ((const Mete__Checkpoint__Kill *)m)->cause;
        c->killed = true;
        message_free(m);
        return 0;
}

static int read_suspended(struct checkpoint *c, const char *data, size_t len, struct error *e)
{
        ProtobufCMessage *m;

        if (decode(&mete__checkpoint__suspended__descriptor, data, len, &m) < 0)
                return error_set(e, -EBADMSG, "its suspension cannot be read");
        message_free(c->suspended);
        c->suspended = (Mete__Checkpoint__Suspended *)m;
        return 0;
}

/* A record that is whole and of another format is not one of a crash: the file is not followed. */
static int read_record(struct checkpoint *c, const struct record_header *h, const char *data, struct error *e)
{
        switch (h->type) {
        case RECORD_UPDATES:
                return read_updates(c, data, h->length, e);
        case RECORD_KILL:
                return read_kill(c, data, h->length, e);
        case RECORD_FRAMEWORK:
                return read_framework(c, data, h->length, e);
        case RECORD_SUSPENDED:
                return read_suspended(c, data, h->length, e);
        case RECORD_TASK:
        case RECORD_TASK_UPDATES:
        case RECORD_TASK_UPDATE:
        case RECORD_TASK_ACKNOWLEDGED:
                return checkpoint_tasks_read(c, h->type, data, h->length, e);
        default:
                return 0;
        }
}

void checkpoint_done(struct checkpoint *c)
{
        message_free(c->container);
        message_free(c->updates);
        message_free(c->suspended);
        checkpoint_tasks_done(c);
        *c = (struct checkpoint){0};
}

static int read_records(const char *id, const char *data, size_t len, struct checkpoint *c, size_t *ret_whole,
        struct error *e)
{
        struct record_header h;
        size_t at = 0;

        ssize_t n = record_at(data, len, &h);
        if (n < 0 || h.type != RECORD_CONTAINER)
                return error_set(e, n == -ENOENT ? -ENOENT : -EBADMSG, "%s",
                        n == -ENOENT ? "it ends before its first record does"
                                     : "its first record is damaged");
        int r = read_container(c, id, data + sizeof(h), h.length, e);
        while (r == 0) {
                at += (size_t)n;
                n = record_at(data + at, len - at, &h);
                if (n < 0)
                        break;
                r = read_record(c, &h, data + at + sizeof(h), e);
        }
        *ret_whole = at;
        return r;
}

int checkpoint_parse(const char *id, const void *data, size_t len, struct checkpoint *ret, size_t *ret_whole,
        struct error *e)
{
        _cleanup_checkpoint_ struct checkpoint c = {0};
        size_t whole = 0;

        int r = read_records(id, data, len, &c, &whole, e);
        if (r < 0) {
                error_prefix(e, "checkpoint of container %s", id);
                return r;
        }
        *ret = c;
        c = (struct checkpoint){0};
        *ret_whole = whole;
        return 0;
}

/* The same as records, as few as possible. */
static int write_records(const struct checkpoint *c, struct buffer *b)
{
        Mete__Checkpoint__Kill k = METE__CHECKPOINT__KILL__INIT;

        k.version = CHECKPOINT_FORMAT;
        k.has_cause = true;
        k.cause = c->kill_cause;
        int r = record_append(RECORD_CONTAINER, &c->container->base, b);
        if (r == 0 && c->updates)
                r = record_append(RECORD_UPDATES, &c->updates->base, b);
        if (r == 0 && c->killed)
                r = record_append(RECORD_KILL, &k.base, b);
        if (r == 0 && c->suspended)
                r = record_append(RECORD_SUSPENDED, &c->suspended->base, b);
        return r == 0 ? checkpoint_tasks_append(c, b) : r;
}

/* ---- files ---- */

/* *ret_size is the size before anything is written: what a failure goes back to. */
static int open_file(int containers_fd, const char *id, int *ret_fd, size_t *ret_size)
{
        /* O_NONBLOCK: whatever lies here in place of a file, the agent does not wait for it. */
        _cleanup_fd_ int fd =
                openat(containers_fd, id, O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EBADMSG;
        *ret_size = (size_t)st.st_size;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* Writes what counts and the new record aside: the file stays bounded however long its container lives. */
static int rewrite_with(int containers_fd, const char *id, int fd, const struct buffer *b, size_t *compact_at)
{
        _cleanup_checkpoint_ struct checkpoint c = {0};
        _cleanup_free_ char *data = NULL;
        _cleanup_buffer_ struct buffer all = {0};
        size_t len, whole;

        int r = read_all_fd(fd, FILE_MAX, &data, &len);
        if (r == 0)
                r = checkpoint_parse(id, data, len, &c, &whole, NULL);
        if (r == 0)
                r = write_records(&c, &all);
        if (r < 0)
                return r;
        buffer_append(&all, b->data, b->len);
        if (all.len > FILE_MAX)
                return -EFBIG;
        if (compact_at) /* much lives in it: the next time is after as much again, not at each record */
                *compact_at = MAX((size_t)CHECKPOINT_COMPACT_BYTES, 2 * all.len);
        return write_file_atomic_at(containers_fd, id, all.data, all.len, 0600, /* sync= */ false);
}

int checkpoint_append(int containers_fd, const char *id, enum record_type type, const ProtobufCMessage *m,
        size_t *compact_at)
{
        _cleanup_buffer_ struct buffer b = {0};
        _cleanup_fd_ int fd = -1;
        size_t size;

        int r = record_append(type, m, &b);
        if (r == 0)
                r = open_file(containers_fd, id, &fd, &size);
        if (r < 0)
                return r;
        if (size + b.len > MAX(compact_at ? *compact_at : 0, (size_t)CHECKPOINT_COMPACT_BYTES))
                return rewrite_with(containers_fd, id, fd, &b, compact_at);
        r = write_all(fd, b.data, b.len);
        /* Half a record would hide the ones behind it. */
        if (r < 0 && ftruncate(fd, (off_t)size) < 0)
                r = -errno;
        return r;
}

int checkpoint_container_write(int containers_fd, const Mete__Checkpoint__Container *c, struct error *e)
{
        _cleanup_buffer_ struct buffer b = {0};
        _cleanup_fd_ int fd = -1;

        int r = record_append(RECORD_CONTAINER, &c->base, &b);
        if (r == 0) {
                fd = openat(containers_fd, c->container_id,
                        O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
                r = fd < 0 ? -errno : write_all(fd, b.data, b.len);
                if (r < 0 && fd >= 0)
                        (void)unlinkat(containers_fd, c->container_id, 0);
        }
        return r < 0 ? error_set_errno(e, r, "cannot write the checkpoint of container %s", c->container_id)
                     : 0;
}

int checkpoint_container_read(int containers_fd, const char *id, struct checkpoint *ret, struct error *e)
{
        _cleanup_free_ char *data = NULL;
        _cleanup_fd_ int fd = -1;
        size_t size, len, whole;

        int r = open_file(containers_fd, id, &fd, &size);
        if (r == 0)
                r = read_all_fd(fd, FILE_MAX, &data, &len);
        if (r < 0)
                return error_set_errno(e, r, "cannot read the checkpoint of container %s", id);
        r = checkpoint_parse(id, data, len, ret, &whole, e);
        if (r < 0 || whole == len)
                return r;
        /* A running task is worth more than the updates that would be told again after the next restart. */
        if (ftruncate(fd, (off_t)whole) < 0)
                log_warning("checkpoint of container %s: %zu bytes at its end are no record and cannot be "
                            "cut off",
                        id, len - whole);
        return 0;
}

int checkpoint_updates_write(
        int containers_fd, const char *id, const Mete__Checkpoint__Updates *u, struct error *e)
{
        int r = checkpoint_append(containers_fd, id, RECORD_UPDATES, &u->base, /* compact_at= */ NULL);

        return r < 0 ? error_set_errno(e, r, "cannot checkpoint the status updates of container %s", id) : 0;
}

int checkpoint_kill_write(int containers_fd, const char *id, const char *signal, uint32_t cause)
{
        Mete__Checkpoint__Kill k = METE__CHECKPOINT__KILL__INIT;
        char text[CHECKPOINT_KILL_TEXT_MAX + 1];

        k.version = CHECKPOINT_FORMAT;
        (void)snprintf(text, sizeof(text), "%s", signal);
        k.signal = text;
        k.has_cause = true;
        k.cause = cause;
        return checkpoint_append(containers_fd, id, RECORD_KILL, &k.base, /* compact_at= */ NULL);
}

int checkpoint_framework_write(int containers_fd, const char *id, const Mete__V1__FrameworkInfo *info)
{
        Mete__Checkpoint__Framework f = METE__CHECKPOINT__FRAMEWORK__INIT;

        f.version = CHECKPOINT_FORMAT;
        f.framework = (Mete__V1__FrameworkInfo *)info;
        return checkpoint_append(containers_fd, id, RECORD_FRAMEWORK, &f.base, /* compact_at= */ NULL);
}

int checkpoint_suspended_write(int containers_fd, const char *id, const Mete__Checkpoint__Suspended *s)
{
        return checkpoint_append(containers_fd, id, RECORD_SUSPENDED, &s->base, /* compact_at= */ NULL);
}

int checkpoint_container_remove(int containers_fd, const char *id)
{
        return unlinkat(containers_fd, id, 0) < 0 && errno != ENOENT ? -errno : 0;
}
