/*
 * The shim records in which inode the output continues from which offset. Whatever name that file has by now,
 * the others are placed around it by their sizes: no lock is needed against a rotation that happens
 * meanwhile.
 */
#include "agent/shim/log_read.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/shim/log_pump.h"
#include "lib/linux/syscall.h"

#define LOG_READ_FILES_MAX 64
#define LOG_READ_ATTEMPTS 8
#define LOG_STATE_MAX 1024

struct log_file {
        int fd;
        uint64_t start, size, inode;
};
struct log_files {
        struct log_file items[LOG_READ_FILES_MAX]; /* [0] is the live one */
        size_t count;
};

static void log_files_done(struct log_files *f)
{
        for (size_t i = 0; i < f->count; i++)
                (void)close_fd(f->items[i].fd);
        f->count = 0;
}

static int read_anchor(int state_dirfd, const char *stream, uint64_t *ret_base, uint64_t *ret_inode)
{
        _cleanup_free_ char *text = NULL;
        size_t len, name_len = strlen(stream);
        char *save = NULL;

        int r = read_file_at(state_dirfd, LOG_ANCHORS_NAME, LOG_STATE_MAX, &text, &len);
        if (r < 0)
                return r;
        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                if (strncmp(line, stream, name_len) != 0 || line[name_len] != ' ')
                        continue;
                char *base = line + name_len + 1, *inode = strchr(base, ' ');
                if (!inode)
                        return -EBADMSG;
                *inode++ = '\0';
                if (parse_u64(base, UINT64_MAX, ret_base) < 0 || parse_u64(inode, UINT64_MAX, ret_inode) < 0)
                        return -EBADMSG;
                return 0;
        }
        return -ENOENT;
}

static bool is_rotated(char *text)
{
        char *save = NULL;

        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                const char *base = strchr(line, ' ');
                if (!base || strncmp(base, " 0 ", 3) != 0)
                        return true;
        }
        return false;
}

int log_anchors_to_keep(int state_dirfd, char **ret, size_t *ret_len)
{
        _cleanup_free_ char *text = NULL;
        size_t len;

        int r = read_file_at(state_dirfd, LOG_ANCHORS_NAME, LOG_STATE_MAX, &text, &len);
        if (r < 0)
                return r;
        _cleanup_free_ char *copy = xstrdup(text);
        if (!is_rotated(copy))
                return -ENOENT;
        *ret = TAKE_PTR(text);
        *ret_len = len;
        return 0;
}

static int open_safely(int sandbox_fd, const char *name, struct log_file *ret)
{
        struct stat st;

        _cleanup_fd_ int fd = sys_openat2(sandbox_fd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0,
                RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) || st.st_nlink > 1)
                return -ESTALE;
        *ret = (struct log_file){.fd = TAKE_FD(fd), .size = (uint64_t)st.st_size, .inode = st.st_ino};
        return 0;
}

/* 0 when the anchor was among the files: then their offsets are set. -EAGAIN: a rotation came between. */
static int place(struct log_files *f, uint64_t base, uint64_t inode)
{
        size_t anchor = 0;

        while (anchor < f->count && f->items[anchor].inode != inode)
                anchor++;
        if (anchor == f->count)
                return -EAGAIN;
        f->items[anchor].start = base;
        for (size_t i = anchor; i > 0; i--)
                f->items[i - 1].start = f->items[i].start + f->items[i].size;
        for (size_t i = anchor + 1; i < f->count; i++) {
                if (f->items[i].size > f->items[i - 1].start) {
                        /* More than the output can have been: not ours. Nor is what is older. */
                        for (size_t k = i; k < f->count; k++)
                                (void)close_fd(f->items[k].fd);
                        f->count = i;
                        break;
                }
                f->items[i].start = f->items[i - 1].start - f->items[i].size;
        }
        return 0;
}

static int collect(int sandbox_fd, int state_dirfd, const char *stream, struct log_files *f)
{
        uint64_t base, inode;
        char name[64];

        int r = state_dirfd < 0 ? -ENOENT : read_anchor(state_dirfd, stream, &base, &inode);
        bool anchored = r >= 0;
        if (r < 0 && r != -ENOENT)
                return r;
        for (unsigned n = 0; n < LOG_READ_FILES_MAX; n++) {
                (void)snprintf(name, sizeof(name), n ? "%s.%u" : "%s", stream, n);
                r = open_safely(sandbox_fd, name, &f->items[f->count]);
                if (r >= 0)
                        f->count++;
                else if (n > 0 || !anchored)
                        break;
                /* Nothing was rotated, or the anchors had been kept: the live file is the whole output. */
                if (!anchored)
                        return 0;
        }
        return anchored ? place(f, base, inode) : r;
}

static size_t read_range(const struct log_files *f, uint64_t offset, char *buf, size_t size)
{
        size_t done = 0;

        for (size_t i = f->count; i > 0 && done < size; i--) {
                const struct log_file *file = &f->items[i - 1];
                uint64_t at = offset + done;
                if (at < file->start || at >= file->start + file->size)
                        continue;
                size_t want = (size_t)MIN((uint64_t)(size - done), file->start + file->size - at);
                ssize_t n = pread(file->fd, buf + done, want, (off_t)(at - file->start));
                if (n <= 0)
                        break;
                done += (size_t)n;
        }
        return done;
}

int log_read(int sandbox_fd, int state_dirfd, const char *stream, uint64_t offset, void *buf, size_t size,
        struct log_read *ret)
{
        struct log_files files CLEANUP(log_files_done) = {.count = 0};
        int r = -EAGAIN;

        if (!str_equal(stream, log_stream_names[LOG_STDOUT]) &&
                !str_equal(stream, log_stream_names[LOG_STDERR]))
                return -EINVAL;
        for (int i = 0; i < LOG_READ_ATTEMPTS && r == -EAGAIN; i++) {
                log_files_done(&files);
                r = collect(sandbox_fd, state_dirfd, stream, &files);
        }
        if (r < 0)
                return r == -EAGAIN ? -ESTALE : r;
        uint64_t first = files.items[files.count - 1].start;
        uint64_t total = files.items[0].start + files.items[0].size;
        uint64_t at = MIN(MAX(offset, first), total);
        size_t n = read_range(&files, at, buf, size);
        *ret = (struct log_read){.offset = at, .total = total, .size = n};
        return 0;
}
