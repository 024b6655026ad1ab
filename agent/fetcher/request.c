#include "agent/fetcher/request.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/linux/syscall.h"

#define REQUEST_MAGIC 0x48435446 /* "FTCH" */
#define REQUEST_VERSION 1

struct request_header {
        uint32_t magic, version;
        uint64_t size; /* of everything */
        uint64_t max_bytes;
        uint32_t uid, gid, group_count;
        uint32_t stall_seconds;
        uint32_t item_count, hidden_count;
};

struct fetch_job *fetch_job_new(void)
{
        return NEW0(struct fetch_job);
}

struct fetch_job *fetch_job_free(struct fetch_job *j)
{
        if (!j)
                return NULL;
        for (size_t i = 0; i < j->item_count; i++) {
                free(j->items[i].uri);
                free(j->items[i].source);
                free(j->items[i].output);
        }
        string_list_done(&j->hidden);
        free(j);
        return NULL;
}

/* ---- writing ---- */

static void put_string(struct buffer *b, const char *s)
{
        buffer_append(b, s, strlen(s) + 1);
}

void fetch_request_encode(const struct fetch_job *j, struct buffer *b)
{
        struct request_header h = {
                .magic = REQUEST_MAGIC,
                .version = REQUEST_VERSION,
                .max_bytes = j->max_bytes,
                .uid = j->uid,
                .gid = j->gid,
                .group_count = j->group_count,
                .stall_seconds = j->stall_seconds,
                .item_count = j->item_count,
                .hidden_count = (uint32_t)j->hidden.count,
        };
        size_t start = b->len;

        buffer_append(b, &h, sizeof(h));
        for (size_t i = 0; i < j->group_count; i++) {
                uint32_t gid = j->groups[i];
                buffer_append(b, &gid, sizeof(gid));
        }
        for (size_t i = 0; i < j->item_count; i++) {
                const struct fetch_item *x = &j->items[i];
                buffer_append(b, &x->flags, sizeof(x->flags));
                buffer_append(b, &x->cache_index, sizeof(x->cache_index));
                put_string(b, x->uri);
                put_string(b, x->source);
                put_string(b, x->output);
        }
        for (size_t i = 0; i < j->hidden.count; i++)
                put_string(b, j->hidden.items[i]);
        h.size = b->len - start;
        memcpy(b->data + start, &h, sizeof(h));
}

int fetch_request_seal(const struct fetch_job *j, int *ret_fd, struct error *e)
{
        _cleanup_buffer_ struct buffer b = {0};

        fetch_request_encode(j, &b);
        if (b.len > FETCH_REQUEST_MAX)
                return error_set(e, -E2BIG, "command.uris: %zu bytes are too many: at most %u", b.len,
                        FETCH_REQUEST_MAX);
        _cleanup_fd_ int fd = sys_memfd_create("fetch-request", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        int r = fd < 0 ? fd : write_all(fd, b.data, b.len);
        if (r == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
                r = -errno;
        if (r < 0)
                return error_set_errno(e, r, "cannot make the request to the fetcher");
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* ---- reading ---- */

struct reader {
        const char *at;
        size_t left;
        bool failed;
};

static void take(struct reader *r, void *to, size_t n)
{
        if (r->failed || r->left < n) {
                r->failed = true;
                memset(to, 0, n);
                return;
        }
        memcpy(to, r->at, n);
        r->at += n;
        r->left -= n;
}

static char *take_string(struct reader *r, size_t max)
{
        const char *end = r->failed ? NULL : memchr(r->at, '\0', MIN(r->left, max + 1));

        if (!end) {
                r->failed = true;
                return xstrdup("");
        }
        char *s = xstrndup(r->at, (size_t)(end - r->at));
        r->left -= (size_t)(end - r->at) + 1;
        r->at = end + 1;
        return s;
}

static bool item_is_legal(const struct fetch_item *x)
{
        const uint32_t cached = x->flags & (FETCH_FROM_CACHE | FETCH_TO_CACHE);

        return !(x->flags & ~FETCH_ITEM_FLAGS_ALL) && cached != (FETCH_FROM_CACHE | FETCH_TO_CACHE) &&
               x->cache_index < FETCH_URIS_MAX && *x->source && fetch_path_is_legal(x->output);
}

static void read_items(struct reader *r, struct fetch_job *j)
{
        for (uint32_t i = 0; i < j->item_count; i++) {
                struct fetch_item *x = &j->items[i];
                take(r, &x->flags, sizeof(x->flags));
                take(r, &x->cache_index, sizeof(x->cache_index));
                x->uri = take_string(r, FETCH_URI_LENGTH_MAX);
                x->source = take_string(r, FETCH_URI_LENGTH_MAX + FETCH_PATH_MAX);
                x->output = take_string(r, FETCH_PATH_MAX);
                r->failed = r->failed || !item_is_legal(x);
        }
}

static bool header_is_legal(const struct request_header *h, size_t len)
{
        return h->magic == REQUEST_MAGIC && h->version == REQUEST_VERSION && h->size == len &&
               h->group_count <= USER_GROUPS_MAX && h->item_count >= 1 && h->item_count <= FETCH_URIS_MAX &&
               h->hidden_count <= FETCH_HIDDEN_MAX && h->stall_seconds >= 1;
}

int fetch_request_decode(const void *data, size_t len, struct fetch_job **ret)
{
        CLEANUP(cleanup_fetch_job_free) struct fetch_job *j = fetch_job_new();
        struct reader r = {.at = data, .left = len};
        struct request_header h;

        take(&r, &h, sizeof(h));
        if (r.failed || !header_is_legal(&h, len))
                return -EBADMSG;
        j->uid = h.uid;
        j->gid = h.gid;
        j->group_count = h.group_count;
        j->max_bytes = h.max_bytes;
        j->stall_seconds = h.stall_seconds;
        j->item_count = h.item_count;
        for (uint32_t i = 0; i < h.group_count; i++) {
                uint32_t gid;
                take(&r, &gid, sizeof(gid));
                j->groups[i] = gid;
        }
        read_items(&r, j);
        for (uint32_t i = 0; i < h.hidden_count; i++) {
                _cleanup_free_ char *path = take_string(&r, FETCH_PATH_MAX);
                r.failed = r.failed || path[0] != '/';
                string_list_add(&j->hidden, path);
        }
        if (r.failed || r.left > 0)
                return -EBADMSG;
        *ret = TAKE_PTR(j);
        return 0;
}

/* ---- names ---- */

static bool has_control_character(const char *s)
{
        for (; *s; s++)
                if ((unsigned char)*s < ' ' || *s == 0x7f)
                        return true;
        return false;
}

bool fetch_path_is_legal(const char *path)
{
        if (!*path || strlen(path) >= FETCH_PATH_MAX || has_control_character(path))
                return false;
        for (const char *p = path;;) {
                size_t n = strcspn(p, "/");
                if (n == 0 || n > 255 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
                        return false;
                if (!p[n])
                        return true;
                p += n + 1;
        }
}

static int check_uri(const char *uri, struct error *e)
{
        if (!*uri)
                return error_set(e, -EINVAL, "is empty: give a URL or an absolute path");
        if (strlen(uri) > FETCH_URI_LENGTH_MAX)
                return error_set(e, -EINVAL, "is longer than %d bytes", FETCH_URI_LENGTH_MAX);
        if (strpbrk(uri, "\\'\"") || has_control_character(uri))
                return error_set(e, -EINVAL, "must not contain backslashes, quotes or control characters");
        return 0;
}

static int local_source(const char *path, const char *home, char **ret, struct error *e)
{
        if (path[0] == '/')
                *ret = xstrdup(path);
        else if (!*path)
                return error_set(e, -EINVAL, "has no path");
        else if (home)
                *ret = xasprintf("%s/%s", home, path);
        else
                return error_set(e, -EINVAL,
                        "is a relative path, and this agent has no --frameworks-home: give an absolute one");
        return 0;
}

int fetch_uri_source(const char *uri, const char *frameworks_home, char **ret_source, struct error *e)
{
        int r = check_uri(uri, e);

        if (r < 0)
                return r;
        const char *colon = strstr(uri, "://");
        if (!colon)
                return local_source(uri, frameworks_home, ret_source, e);
        if (strncasecmp(uri, "file://", 7) == 0) {
                const char *path = uri + 7;
                if (str_has_prefix(path, "localhost/"))
                        path += strlen("localhost");
                return local_source(path, frameworks_home, ret_source, e);
        }
        if (strncasecmp(uri, "http://", 7) != 0 && strncasecmp(uri, "https://", 8) != 0)
                return error_set(e, -EPROTONOSUPPORT,
                        "has the scheme \"%.*s\": http, https, file and plain paths are fetched here",
                        (int)MIN((ptrdiff_t)32, colon - uri), uri);
        *ret_source = xstrdup(uri);
        return 0;
}

int fetch_uri_basename(const char *uri, const char **ret, struct error *e)
{
        const char *colon = strstr(uri, "://");
        const char *rest = colon ? colon + 3 : uri;
        const char *slash = strrchr(rest, '/');

        if (colon && (!strchr(rest, '/') || !strchr(rest, '/')[1]))
                return error_set(e, -EINVAL, "has no path");
        const char *name = slash ? slash + 1 : rest;
        if (!fetch_path_is_legal(name))
                return error_set(
                        e, -EINVAL, "gives \"%.80s\", which cannot be a file's name: give output_file", name);
        *ret = name;
        return 0;
}
