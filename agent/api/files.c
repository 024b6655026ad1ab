#include "agent/api/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/id.h"
#include "lib/linux/fs_identity.h"
#include "lib/linux/syscall.h"

#define RUNS_MAX 10000 /* looked at for "latest" */

void sandbox_path_done(struct sandbox_path *p)
{
        free(p->sandbox);
        free(p->rest);
        *p = (struct sandbox_path){0};
}

/* ---- paths ---- */

static const char *skip_slashes(const char *p)
{
        return p + strspn(p, "/");
}

/* A component that is this word; NULL when it is not. */
static const char *take_word(const char *p, const char *word)
{
        size_t n = strlen(word);

        p = p ? skip_slashes(p) : NULL;
        return p && strncmp(p, word, n) == 0 && (p[n] == '/' || p[n] == '\0') ? p + n : NULL;
}

/* A component that is an id. */
static const char *take_id(const char *p, char **ret)
{
        p = p ? skip_slashes(p) : NULL;
        if (!p || !*p)
                return NULL;
        size_t n = strcspn(p, "/");
        char *id = xstrndup(p, n);
        if (id_validate(id, "path", NULL) < 0) {
                free(id);
                return NULL;
        }
        *ret = id;
        return p + n;
}

/* Behind "slaves/<our id>", which an absolute path has and a virtual one has not. */
static const char *behind_agent(const char *work_dir, const char *agent_id, const char *path)
{
        size_t n = strlen(work_dir);

        while (n > 0 && work_dir[n - 1] == '/')
                n--;
        if (take_word(path, "frameworks"))
                return path;
        if (strncmp(path, work_dir, n) != 0 || path[n] != '/')
                return NULL;
        return take_word(take_word(path + n, "slaves"), agent_id);
}

static bool has_dots(const char *rest)
{
        for (const char *p = rest; *p; p += strcspn(p, "/"), p = skip_slashes(p))
                if (strncmp(p, "..", 2) == 0 && (p[2] == '/' || p[2] == '\0'))
                        return true;
        return false;
}

/* The run that was made last. */
static int latest_run(int work_fd, const char *runs, char **ret)
{
        int fd = openat(work_fd, runs, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);
        _cleanup_free_ char *best = NULL;
        struct timespec newest = {0};
        struct dirent *entry;
        struct stat st;

        if (!d) {
                (void)close_fd(fd);
                return -ENOENT;
        }
        for (size_t i = 0; i < RUNS_MAX && (entry = readdir(d)); i++) {
                /* Beside each sandbox lies "<container>.state". */
                if (entry->d_name[0] == '.' || strchr(entry->d_name, '.') ||
                        fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
                        !S_ISDIR(st.st_mode))
                        continue;
                if (best &&
                        (st.st_ctim.tv_sec < newest.tv_sec ||
                                (st.st_ctim.tv_sec == newest.tv_sec && st.st_ctim.tv_nsec < newest.tv_nsec)))
                        continue;
                free(best);
                best = xstrdup(entry->d_name);
                newest = st.st_ctim;
        }
        (void)closedir(d);
        *ret = TAKE_PTR(best);
        return *ret ? 0 : -ENOENT;
}

int sandbox_path_parse(
        int work_fd, const char *work_dir, const char *agent_id, const char *path, struct sandbox_path *ret)
{
        _cleanup_free_ char *framework = NULL, *executor = NULL, *container = NULL;
        const char *p = behind_agent(work_dir, agent_id, path);

        p = take_id(take_word(p, "frameworks"), &framework);
        p = take_id(take_word(p, "executors"), &executor);
        p = take_id(take_word(p, "runs"), &container);
        if (!p)
                return -ENOENT;
        p = skip_slashes(p);
        if (has_dots(p) || strchr(container, '.'))
                return -ENOENT;
        if (str_equal(container, "latest")) {
                _cleanup_free_ char *runs =
                        xasprintf("slaves/%s/frameworks/%s/executors/%s/runs", agent_id, framework, executor);
                free(TAKE_PTR(container));
                if (latest_run(work_fd, runs, &container) < 0)
                        return -ENOENT;
        }
        ret->sandbox = gc_sandbox_path(agent_id, framework, executor, container);
        ret->rest = xstrdup(*p ? p : ".");
        return 0;
}

/* ---- opening ---- */

int sandbox_open(int work_fd, const struct sandbox_path *p, int *ret_fd, struct stat *ret_st)
{
        _cleanup_fd_ int fd = sys_openat2(work_fd, p->sandbox, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0,
                RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);

        if (fd < 0 || fstat(fd, ret_st) < 0)
                return -ENOENT;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/*
 * First a handle that opens nothing: a FIFO would wait and a device might act. What it is is looked at, and that very file is opened then,
 * where the owner's rights are asked.
 */
static int open_as_owner(int sandbox_fd, const char *rest, mode_t type, int *ret_fd, struct stat *ret_st)
{
        char link[64];

        _cleanup_fd_ int handle = sys_openat2(sandbox_fd, rest, O_PATH | O_CLOEXEC, 0,
                RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV);
        if (handle < 0)
                return handle == -ENOENT || handle == -ENOTDIR || handle == -ENAMETOOLONG ? -ENOENT : -EACCES;
        if (fstat(handle, ret_st) < 0)
                return -errno;
        if ((ret_st->st_mode & S_IFMT) != type)
                return S_ISDIR(ret_st->st_mode) ? -EISDIR : S_ISREG(ret_st->st_mode) ? -ENOTDIR : -EACCES;
        (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", handle);
        int fd = open(link, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd < 0)
                return errno == EPERM ? -EACCES : -errno;
        *ret_fd = fd;
        return 0;
}

int sandbox_open_file(int sandbox_fd, const struct stat *sandbox, const char *rest, mode_t type, int *ret_fd,
        struct stat *ret_st)
{
        _cleanup_fd_ int fd = -1;
        struct fs_identity saved;

        int r = fs_identity_assume(sandbox->st_uid, sandbox->st_gid, &saved);
        if (r < 0)
                return r;
        r = open_as_owner(sandbox_fd, rest, type, &fd, ret_st);
        fs_identity_restore(&saved);
        if (r < 0)
                return r;
        /* Another name of somebody's file: that it can be named here says nothing about who may read it. */
        if (type == S_IFREG && ret_st->st_nlink > 1 && ret_st->st_uid != sandbox->st_uid)
                return -EACCES;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

void file_mode_text(mode_t mode, char ret[static 11])
{
        static const char letters[] = "rwxrwxrwx";

        ret[0] = S_ISDIR(mode)    ? 'd'
                 : S_ISLNK(mode)  ? 'l'
                 : S_ISFIFO(mode) ? 'p'
                 : S_ISSOCK(mode) ? 's'
                 : S_ISCHR(mode)  ? 'c'
                 : S_ISBLK(mode)  ? 'b'
                                  : '-';
        for (unsigned i = 0; i < 9; i++)
                ret[1 + i] = mode & (0400u >> i) ? letters[i] : '-';
        if (mode & S_ISUID)
                ret[3] = mode & S_IXUSR ? 's' : 'S';
        if (mode & S_ISGID)
                ret[6] = mode & S_IXGRP ? 's' : 'S';
        if (mode & S_ISVTX)
                ret[9] = mode & S_IXOTH ? 't' : 'T';
        ret[10] = '\0';
}
