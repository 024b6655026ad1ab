#include "agent/shim/log_pump.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/shim/log_read.h"
#include "lib/linux/syscall.h"

const char *const log_stream_names[LOG_STREAM_MAX] = {[LOG_STDOUT] = "stdout", [LOG_STDERR] = "stderr"};

#define LOG_FILES_MAX 1000
#define DRAIN_READS_MAX 1024

static char pump_buffer[16 * 1024];

static int write_state(const struct log_pump *p)
{
        char text[256];
        int n = 0;

        for (int i = 0; i < LOG_STREAM_MAX; i++)
                n += snprintf(text + n, sizeof(text) - (size_t)n, "%s %llu %llu\n", log_stream_names[i],
                        (unsigned long long)p->streams[i].base, (unsigned long long)p->streams[i].inode);
        return write_file_atomic_at(p->state_fd, LOG_ANCHORS_NAME, text, (size_t)n, 0600, /* sync= */ false);
}

/* Takes over a file that is already there, when it is one that only this name leads to. */
static int open_existing(int dirfd, const char *name)
{
        struct stat st;

        _cleanup_fd_ int fd = sys_openat2(dirfd, name, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0,
                RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
                return -EMLINK;
        return ftruncate(fd, 0) < 0 ? -errno : TAKE_FD(fd);
}

static int open_live(struct log_pump *p, enum log_stream_id id)
{
        struct log_stream *s = &p->streams[id];
        const char *name = log_stream_names[id];
        struct stat st;

        int fd = openat(p->sandbox_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (fd < 0)
                fd = errno == EEXIST ? open_existing(p->sandbox_fd, name) : -errno;
        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0) {
                int r = -errno;
                (void)close_fd(fd);
                return r;
        }
        s->file_fd = fd;
        s->inode = st.st_ino;
        s->size = 0;
        return 0;
}

int log_pump_open_pipes(struct log_pump *p, int ret_write_fds[static LOG_STREAM_MAX], struct error *e)
{
        for (int i = 0; i < LOG_STREAM_MAX; i++) {
                int fds[2];
                if (pipe2(fds, O_CLOEXEC) < 0 || fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0)
                        return error_set_errno(e, -errno, "cannot make the pipe for %s", log_stream_names[i]);
                p->streams[i].pipe_fd = fds[0];
                ret_write_fds[i] = fds[1];
        }
        return 0;
}

int log_pump_open_files(struct log_pump *p, struct error *e)
{
        for (int i = 0; i < LOG_STREAM_MAX; i++) {
                int r = open_live(p, (enum log_stream_id)i);
                if (r < 0)
                        return error_set_errno(
                                e, r, "cannot make the file %s in the sandbox", log_stream_names[i]);
        }
        int r = write_state(p);
        return r < 0 ? error_set_errno(e, r, "cannot write the file %s", LOG_ANCHORS_NAME) : 0;
}

static void rotated_name(char *buf, size_t size, const char *name, uint32_t n)
{
        if (n == 0)
                (void)snprintf(buf, size, "%s", name);
        else
                (void)snprintf(buf, size, "%s.%u", name, n);
}

static void rotate(struct log_pump *p, enum log_stream_id id)
{
        struct log_stream *s = &p->streams[id];
        const char *name = log_stream_names[id];
        uint32_t files = MIN(p->files, (uint32_t)LOG_FILES_MAX);
        char from[32], to[32];

        /* rename works on the names alone; one that the task made undeletable only costs this file's history.
         */
        for (uint32_t n = files; n > 0; n--) {
                rotated_name(from, sizeof(from), name, n - 1);
                rotated_name(to, sizeof(to), name, n);
                (void)renameat(p->sandbox_fd, from, p->sandbox_fd, to);
        }
        (void)unlinkat(p->sandbox_fd, name, 0);
        s->base += s->size;
        s->size = 0;
        s->file_fd = close_fd(s->file_fd);
        /* No new file, because the task put a directory there or the disk is full: tried again with the next
         * output. */
        if (open_live(p, id) == 0)
                (void)write_state(p);
}

static void store(struct log_pump *p, enum log_stream_id id, const char *data, size_t len)
{
        struct log_stream *s = &p->streams[id];

        while (len > 0) {
                size_t part = len;

                if (s->file_fd < 0 && (open_live(p, id) < 0 || write_state(p) < 0))
                        return;
                if (p->max_bytes > 0) {
                        if (s->size >= p->max_bytes)
                                rotate(p, id);
                        part = MIN(len, (size_t)(p->max_bytes - s->size));
                }
                ssize_t n = s->file_fd < 0 ? -1 : write(s->file_fd, data, part);
                if (n <= 0)
                        return;
                s->size += (uint64_t)n;
                data += n;
                len -= (size_t)n;
        }
}

int log_pump_run(struct log_pump *p, enum log_stream_id id)
{
        struct log_stream *s = &p->streams[id];

        if (s->pipe_fd < 0)
                return -EPIPE;
        ssize_t n = read(s->pipe_fd, pump_buffer, sizeof(pump_buffer));
        if (n > 0) {
                store(p, id, pump_buffer, (size_t)n);
                return 1;
        }
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        s->pipe_fd = close_fd(s->pipe_fd);
        return -EPIPE;
}

void log_pump_drain(struct log_pump *p)
{
        for (int i = 0; i < LOG_STREAM_MAX; i++)
                for (int n = 0; n < DRAIN_READS_MAX; n++)
                        if (log_pump_run(p, (enum log_stream_id)i) <= 0)
                                break;
}
