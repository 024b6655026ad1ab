#include "agent/checkpoint.h"

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

/* ---- records ---- */

enum record_type {
        RECORD_CONTAINER = 1,
        RECORD_UPDATES = 2,
        RECORD_KILL = 3,
        RECORD_MAX, /* a newer agent may write more: they are skipped */
};

struct record_header {
        uint32_t magic;
        uint32_t type;
        uint32_t length;   /* of the message that follows */
        uint32_t checksum; /* of type, length and message */
};

#define RECORD_MAGIC UINT32_C(0x4b43454d) /* "MECK" */
#define FILE_MAX ((size_t)2 * CHECKPOINT_SIZE_MAX + CHECKPOINT_COMPACT_BYTES)

/* A record in a file that was read: header and message. */
struct record {
        const char *data; /* borrowed; NULL: none */
        size_t len;
};

/* FNV-1a, 32 bits (Fowler, Noll, Vo): every single changed byte changes the sum. It finds accidents, not forgers. */
static uint32_t fnv1a(uint32_t sum, const void *data, size_t len)
{
        const uint8_t *p = data;

        for (size_t i = 0; i < len; i++)
                sum = (sum ^ p[i]) * UINT32_C(16777619);
        return sum;
}

static uint32_t record_checksum(const struct record_header *h, const void *message)
{
        uint32_t sum = fnv1a(UINT32_C(2166136261), &h->type, sizeof(h->type));

        sum = fnv1a(sum, &h->length, sizeof(h->length));
        return fnv1a(sum, message, h->length);
}

static int record_append(enum record_type type, const ProtobufCMessage *m, struct buffer *b)
{
        size_t n = protobuf_c_message_get_packed_size(m);

        if (n > CHECKPOINT_SIZE_MAX)
                return -EFBIG;
        _cleanup_free_ uint8_t *message = xmalloc(n + 1);
        (void)protobuf_c_message_pack(m, message);
        struct record_header h = {.magic = RECORD_MAGIC, .type = type, .length = (uint32_t)n};
        h.checksum = record_checksum(&h, message);
        buffer_append(b, &h, sizeof(h));
        buffer_append(b, message, n);
        return 0;
}

/* The record at the beginning of data: its size, -ENOENT when data ends within it, -EBADMSG when it is none. */
static ssize_t record_at(const char *data, size_t len, struct record_header *ret)
{
        struct record_header h;

        if (len < sizeof(h))
                return -ENOENT;
        memcpy(&h, data, sizeof(h));
        if (h.magic != RECORD_MAGIC || h.length > CHECKPOINT_SIZE_MAX)
                return -EBADMSG;
        if (h.length > len - sizeof(h))
                return -ENOENT;
        if (h.checksum != record_checksum(&h, data + sizeof(h)))
                return -EBADMSG;
        *ret = h;
        return (ssize_t)(sizeof(h) + h.length);
}

/* The records that count, by type; *ret_whole is where they end. */
static int find_records(const char *data, size_t len, struct record ret[static RECORD_MAX], size_t *ret_whole)
{
        struct record found[RECORD_MAX] = {0};
        struct record_header h;
        size_t at = 0;

        for (;;) {
                ssize_t n = record_at(data + at, len - at, &h);

                if (at == 0 && n < 0)
                        return (int)n;
                if (at == 0 && h.type != RECORD_CONTAINER)
                        return -EBADMSG;
                if (n < 0)
                        break;
                if (h.type < RECORD_MAX && (at == 0 || h.type != RECORD_CONTAINER))
                        found[h.type] = (struct record){data + at, (size_t)n};
                at += (size_t)n;
        }
        memcpy(ret, found, sizeof(found));
        *ret_whole = at;
        return 0;
}

static int decode_record(
        const struct record *r, const ProtobufCMessageDescriptor *d, ProtobufCMessage **ret, struct error *e)
{
        const size_t header = sizeof(struct record_header);

        return message_decode(CODEC_PROTOBUF, d, r->data + header, r->len - header, ret, e) < 0 ? -EBADMSG
                                                                                                : 0;
}

/* The ids name directories and cgroups further on: a file that lies about them is not followed. */
static int decode_container(const char *id, const struct record *r, struct checkpoint *ret, struct error *e)
{
        ProtobufCMessage *m;

        if (decode_record(r, &mete__checkpoint__container__descriptor, &m, e) < 0)
                return -EBADMSG;
        ret->container = (Mete__Checkpoint__Container *)m;
        if (ret->container->version != CHECKPOINT_FORMAT || !str_equal(ret->container->container_id, id) ||
                !ret->container->framework->id || !ret->container->task == !ret->container->executor)
                return error_set(e, -EBADMSG, "it is of another format or container");
        return 0;
}

static int decode_updates(const struct record *r, struct checkpoint *ret, struct error *e)
{
        ProtobufCMessage *m;

        if (decode_record(r, &mete__checkpoint__updates__descriptor, &m, e) < 0)
                return -EBADMSG;
        ret->updates = (Mete__Checkpoint__Updates *)m;
        if (ret->updates->version != CHECKPOINT_FORMAT)
                return error_set(e, -EBADMSG, "its status updates are of another format");
        return 0;
}

void checkpoint_done(struct checkpoint *c)
{
        message_free(c->container);
        message_free(c->updates);
        *c = (struct checkpoint){0};
}

int checkpoint_parse(const char *id, const void *data, size_t len, struct checkpoint *ret, size_t *ret_whole,
        struct error *e)
{
        _cleanup_checkpoint_ struct checkpoint c = {0};
        struct record records[RECORD_MAX];
        size_t whole;

        int r = find_records(data, len, records, &whole);
        if (r < 0)
                return error_set(e, r, "checkpoint of container %s: %s", id,
                        r == -ENOENT ? "it ends before its first record does"
                                     : "its first record is damaged");
        r = decode_container(id, &records[RECORD_CONTAINER], &c, e);
        if (r == 0 && records[RECORD_UPDATES].data)
                r = decode_updates(&records[RECORD_UPDATES], &c, e);
        if (r < 0) {
                error_prefix(e, "checkpoint of container %s", id);
                return r;
        }
        c.killed = records[RECORD_KILL].data;
        *ret = c;
        c = (struct checkpoint){0};
        *ret_whole = whole;
        return 0;
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

/* Writes the records that count and the new one aside: the file stays bounded however long its container lives. */
static int rewrite_with(
        int containers_fd, const char *id, int fd, enum record_type type, const struct buffer *b)
{
        _cleanup_free_ char *data = NULL;
        _cleanup_buffer_ struct buffer all = {0};
        struct record records[RECORD_MAX];
        size_t len, whole;

        int r = read_all_fd(fd, FILE_MAX, &data, &len);
        if (r == 0)
                r = find_records(data, len, records, &whole);
        if (r < 0)
                return r;
        records[type] = (struct record){b->data, b->len};
        for (size_t i = RECORD_CONTAINER; i < RECORD_MAX; i++)
                if (records[i].data)
                        buffer_append(&all, records[i].data, records[i].len);
        return write_file_atomic_at(containers_fd, id, all.data, all.len, 0600, /* sync= */ false);
}

static int append(int containers_fd, const char *id, enum record_type type, const ProtobufCMessage *m)
{
        _cleanup_buffer_ struct buffer b = {0};
        _cleanup_fd_ int fd = -1;
        size_t size;

        int r = record_append(type, m, &b);
        if (r == 0)
                r = open_file(containers_fd, id, &fd, &size);
        if (r < 0)
                return r;
        if (size + b.len > CHECKPOINT_COMPACT_BYTES)
                return rewrite_with(containers_fd, id, fd, type, &b);
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
        int r = append(containers_fd, id, RECORD_UPDATES, &u->base);

        return r < 0 ? error_set_errno(e, r, "cannot checkpoint the status updates of container %s", id) : 0;
}

int checkpoint_kill_write(int containers_fd, const char *id, const char *signal)
{
        Mete__Checkpoint__Kill k = METE__CHECKPOINT__KILL__INIT;
        char text[CHECKPOINT_KILL_TEXT_MAX + 1];

        k.version = CHECKPOINT_FORMAT;
        (void)snprintf(text, sizeof(text), "%s", signal);
        k.signal = text;
        return append(containers_fd, id, RECORD_KILL, &k.base);
}

int checkpoint_container_remove(int containers_fd, const char *id)
{
        return unlinkat(containers_fd, id, 0) < 0 && errno != ENOENT ? -errno : 0;
}
