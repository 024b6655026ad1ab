/*
 * Archives, read by libarchive and written by ourselves: its own writer knows more kinds of entries and attributes than a sandbox may
 * get. Nothing is skipped in silence: an entry that may not be is the end of the fetch.
 */
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/fetcher/fetcher_run.h"

#define READ_BLOCK_BYTES (64 * 1024)

enum archive_kind { KIND_TAR, KIND_ZIP, KIND_GZIP };

static const struct {
        const char *suffix;
        enum archive_kind kind;
} kinds[] = {
        {".tar", KIND_TAR}, {".tgz", KIND_TAR}, {".tar.gz", KIND_TAR}, {".tbz2", KIND_TAR},
        {".tar.bz2", KIND_TAR}, {".txz", KIND_TAR}, {".tar.xz", KIND_TAR}, {".zip", KIND_ZIP},
        {".gz", KIND_GZIP}, /* last: ".tar.gz" ends like it */
};

static int kind_of(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                if (str_has_suffix(name, kinds[i].suffix))
                        return (int)kinds[i].kind;
        return -ENOENT;
}

bool extract_is_archive(const char *name)
{
        return kind_of(name) >= 0;
}

static int bad_archive(struct archive *a, struct error *e)
{
        const char *why = archive_error_string(a);

        return error_set(e, -EBADMSG, "cannot be unpacked: %s", why ? why : "it is damaged");
}

/* "./a//b/" is "a/b". NULL for what is no path below the sandbox. The caller frees. */
static char *normalise(const char *path)
{
        size_t len = path ? strlen(path) : 0, n = 0;
        char *s;

        if (len == 0 || len >= FETCH_PATH_MAX || path[0] == '/')
                return NULL;
        s = xmalloc(len + 1);
        for (const char *p = path; *p;) {
                size_t part = strcspn(p, "/");
                if (part > 0 && !(part == 1 && p[0] == '.')) {
                        if (n > 0)
                                s[n++] = '/';
                        memcpy(s + n, p, part);
                        n += part;
                }
                p += part + (p[part] == '/');
        }
        s[n] = '\0';
        return s;
}

/* Logical sizes count, holes included: whoever reads a sparse file reads them too. */
static int write_content(struct archive *a, int fd, struct fetch_budget *b, struct error *e)
{
        uint64_t size = 0;
        const void *data;
        size_t n;
        la_int64_t at;
        int r;

        while ((r = archive_read_data_block(a, &data, &n, &at)) == ARCHIVE_OK) {
                if (at < 0 || (uint64_t)at < size || (uint64_t)at > UINT64_MAX / 2)
                        return error_set(e, -EBADMSG, "cannot be unpacked: its parts overlap");
                int taken = fetch_budget_take(b, (uint64_t)at - size + n, e);
                if (taken < 0)
                        return taken;
                for (size_t done = 0; done < n;) {
                        ssize_t w = pwrite(fd, (const char *)data + done, n - done, at + (la_int64_t)done);
                        if (w < 0)
                                return error_set_errno(e, -errno, "cannot be unpacked");
                        done += (size_t)w;
                }
                size = (uint64_t)at + n;
        }
        if (r != ARCHIVE_EOF)
                return bad_archive(a, e);
        return 0;
}

static int extract_regular(int sandbox_fd, struct archive *a, struct archive_entry *x, const char *path,
        struct fetch_budget *b, struct error *e)
{
        _cleanup_fd_ int fd = -1;
        int64_t size = archive_entry_size_is_set(x) ? archive_entry_size(x) : 0;

        /* Before anything is written: a sparse terabyte is announced. */
        if (size < 0 || (uint64_t)size > b->bytes_left)
                return fetch_budget_take(b, size < 0 ? UINT64_MAX : (uint64_t)size, e);
        int r = place_file(sandbox_fd, path, archive_entry_perm(x) & 0777, &fd, e);
        if (r == 0)
                r = write_content(a, fd, b, e);
        if (r < 0)
                return r;
        struct stat st;
        /* A file may end with a hole; one that got less than it announced is damaged, and the reader has said so. */
        if (fstat(fd, &st) == 0 && size > st.st_size && ftruncate(fd, size) < 0)
                return error_set_errno(e, -errno, "cannot be unpacked");
        return 0;
}

static int extract_entry(int sandbox_fd, struct archive *a, struct archive_entry *x, const char *path,
        struct fetch_budget *b, struct error *e)
{
        const char *link = archive_entry_hardlink(x);

        if (link) {
                _cleanup_free_ char *target = normalise(link);
                if (!target || !*target)
                        return error_set(e, -EXDEV, "its hard link %.200s leads out of the sandbox", path);
                return place_hardlink(sandbox_fd, path, target, e);
        }
        switch (archive_entry_filetype(x)) {
        case AE_IFREG:
                return extract_regular(sandbox_fd, a, x, path, b, e);
        case AE_IFDIR:
                return place_directory(sandbox_fd, path, archive_entry_perm(x), e);
        case AE_IFLNK:
                link = archive_entry_symlink(x);
                return place_symlink(sandbox_fd, path, link ? link : "", e);
        default:
                return error_set(e, -EINVAL, "its entry %.200s is no file, directory or link", path);
        }
}

static int extract_entries(int sandbox_fd, struct archive *a, struct fetch_budget *b, struct error *e)
{
        struct archive_entry *x;
        int r;

        while ((r = archive_read_next_header(a, &x)) == ARCHIVE_OK || r == ARCHIVE_WARN) {
                _cleanup_free_ char *path = normalise(archive_entry_pathname(x));

                if (b->entries_left-- == 0)
                        return error_set(e, -E2BIG, "has more than %u entries", FETCH_ENTRIES_MAX);
                if (!path)
                        return error_set(e, -EXDEV, "its entry \"%.200s\" has no name below the sandbox",
                                archive_entry_pathname(x) ? archive_entry_pathname(x) : "");
                if (!*path)
                        continue; /* "./", the sandbox itself */
                int failed = extract_entry(sandbox_fd, a, x, path, b, e);
                if (failed < 0)
                        return failed;
        }
        return r == ARCHIVE_EOF ? 0 : bad_archive(a, e);
}

/* One file, of the name without ".gz". */
static int extract_gzip(
        int sandbox_fd, struct archive *a, const char *name, struct fetch_budget *b, struct error *e)
{
        const char *slash = strrchr(name, '/');
        const char *base = slash ? slash + 1 : name;
        _cleanup_free_ char *path = xstrndup(base, strlen(base) - strlen(".gz"));
        _cleanup_fd_ int fd = -1;
        struct archive_entry *x;

        if (archive_read_next_header(a, &x) != ARCHIVE_OK)
                return bad_archive(a, e);
        int r = place_file(sandbox_fd, path, 0644, &fd, e);
        return r < 0 ? r : write_content(a, fd, b, e);
}

static void enable(struct archive *a, enum archive_kind kind)
{
        if (kind == KIND_ZIP) {
                (void)archive_read_support_format_zip(a);
                return;
        }
        (void)archive_read_support_filter_gzip(a);
        if (kind == KIND_GZIP) {
                (void)archive_read_support_format_raw(a);
                return;
        }
        (void)archive_read_support_filter_bzip2(a);
        (void)archive_read_support_filter_xz(a);
        (void)archive_read_support_format_tar(a);
        (void)archive_read_support_format_empty(a);
}

int extract_archive(int sandbox_fd, int archive_fd, const char *name, struct fetch_budget *b, struct error *e)
{
        int kind = kind_of(name), r;
        struct archive *a = archive_read_new();

        if (kind < 0 || !a) {
                (void)archive_read_free(a);
                return error_set(e, -EINVAL, "is no archive");
        }
        enable(a, (enum archive_kind)kind);
        if (lseek(archive_fd, 0, SEEK_SET) < 0 ||
                archive_read_open_fd(a, archive_fd, READ_BLOCK_BYTES) != ARCHIVE_OK)
                r = bad_archive(a, e);
        else if (kind == KIND_GZIP)
                r = archive_filter_code(a, 0) == ARCHIVE_FILTER_GZIP
                            ? extract_gzip(sandbox_fd, a, name, b, e)
                            : error_set(e, -EBADMSG, "cannot be unpacked: it is not compressed by gzip");
        else
                r = extract_entries(sandbox_fd, a, b, e);
        (void)archive_read_free(a);
        return r;
}
