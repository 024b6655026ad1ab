#include "agent/fetch_cache.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME "new"

void fetch_cache_init(struct fetch_cache *c, int dir_fd, uint64_t total_bytes)
{
        *c = (struct fetch_cache){.dir_fd = dir_fd, .total_bytes = total_bytes};
}

static void entry_free(struct fetch_cache_entry *x)
{
        close_fd(x->fd);
        free(x->key);
        free(x->message);
        free(x);
}

/* Out of the table: its space is free once its last user let go. */
static void unlist(struct fetch_cache *c, struct fetch_cache_entry *x)
{
        if (!x->listed)
                return;
        HASH_DEL(c->entries, x);
        x->listed = false;
        c->used_bytes -= x->size;
        if (x->users == 0)
                entry_free(x);
}

void fetch_cache_done(struct fetch_cache *c)
{
        struct fetch_cache_entry *x, *tmp;

        HASH_ITER (hh, c->entries, x, tmp)
                unlist(c, x);
        c->dir_fd = close_fd(c->dir_fd);
}

static char *key_of(uid_t uid, const char *uri)
{
        return xasprintf("%u %s", (unsigned)uid, uri);
}

struct fetch_cache_entry *fetch_cache_find(struct fetch_cache *c, uid_t uid, const char *uri)
{
        _cleanup_free_ char *key = key_of(uid, uri);
        struct fetch_cache_entry *x;

        HASH_FIND(hh, c->entries, key, strlen(key), x);
        if (x) {
                x->users++;
                x->used_at = ++c->clock;
        }
        return x;
}

static struct fetch_cache_entry *oldest(struct fetch_cache *c)
{
        struct fetch_cache_entry *x, *tmp, *found = NULL;

        HASH_ITER (hh, c->entries, x, tmp)
                if (x->state == FETCH_CACHE_READY && (!found || x->used_at < found->used_at))
                        found = x;
        return found;
}

static void make_room(struct fetch_cache *c)
{
        struct fetch_cache_entry *x;

        while ((c->used_bytes > c->total_bytes || HASH_COUNT(c->entries) >= FETCH_CACHE_ENTRIES_MAX) &&
                (x = oldest(c)))
                unlist(c, x);
}

int fetch_cache_add(
        struct fetch_cache *c, uid_t uid, const char *uri, struct fetch_cache_entry **ret, struct error *e)
{
        make_room(c);
        if (HASH_COUNT(c->entries) >= FETCH_CACHE_ENTRIES_MAX)
                return error_set(e, -EAGAIN, "the fetcher's cache is loading %d files already",
                        FETCH_CACHE_ENTRIES_MAX);
        int fd = openat(c->dir_fd, FILE_NAME, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0 || unlinkat(c->dir_fd, FILE_NAME, 0) < 0) {
                int r = -errno;
                (void)close_fd(fd);
                return error_set_errno(e, r, "cannot make a file in the fetcher's cache");
        }
        struct fetch_cache_entry *x = NEW0(struct fetch_cache_entry);
        *x = (struct fetch_cache_entry){
                .key = key_of(uid, uri), .fd = fd, .users = 1, .listed = true, .used_at = ++c->clock};
        HASH_ADD_KEYPTR(hh, c->entries, x->key, strlen(x->key), x);
        *ret = x;
        return 0;
}

int fetch_cache_loaded(struct fetch_cache *c, struct fetch_cache_entry *x, struct error *e)
{
        struct stat st;

        assert(x->state == FETCH_CACHE_LOADING);
        if (fstat(x->fd, &st) < 0)
                return error_set_errno(e, -errno, "cannot read the size of a file in the fetcher's cache");
        x->state = FETCH_CACHE_READY;
        x->loader = NULL;
        if (!x->listed)
                return 0;
        x->size = (uint64_t)st.st_size;
        c->used_bytes += x->size;
        if (x->size > c->total_bytes)
                unlist(c, x);
        make_room(c);
        return 0;
}

void fetch_cache_failed(struct fetch_cache *c, struct fetch_cache_entry *x, const char *message)
{
        assert(x->state == FETCH_CACHE_LOADING);
        x->state = FETCH_CACHE_FAILED;
        x->loader = NULL;
        x->message = xstrdup(message);
        unlist(c, x);
}

void fetch_cache_unuse(struct fetch_cache *c, struct fetch_cache_entry *x)
{
        assert(x->users > 0);
        if (--x->users == 0 && !x->listed)
                entry_free(x);
}

int fetch_cache_open(const struct fetch_cache_entry *x, bool writable, int *ret_fd)
{
        char link[64];

        (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", x->fd);
        int fd = open(link, (writable ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        *ret_fd = fd;
        return 0;
}
