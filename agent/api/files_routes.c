/* GET /files/browse, /files/read and /files/download: sandboxes of this agent, for their owners. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/api/api_internal.h"
#include "agent/api/files.h"
#include "lib/base/utf8.h"
#include "lib/linux/users.h"
#include "lib/net/json_writer.h"

#define READ_MAX (64u << 10) /* 16 pages */
#define ENTRIES_MAX 10000
#define PATH_TEXT_MAX 8192
#define AHEAD_PAGES 8 /* then others have their turn, however fast the peer reads */

struct file_request {
        struct agent *agent;
        struct http_request *http;
        const char *path; /* as the client gave it */
        struct sandbox_path place;
        int sandbox_fd;
        struct stat sandbox;
};

static void refuse(struct http_request *http, int r, const char *path)
{
        _cleanup_free_ char *text = text_for_message(path, 256);

        if (r == -EACCES || r == -EPERM)
                http_respond_text(http, 403, "%s may not be read", text);
        else if (r == -EISDIR)
                http_respond_text(http, 400, "%s is a directory", text);
        else if (r == -ENOTDIR)
                http_respond_text(http, 400, "%s is not a directory", text);
        else
                http_respond_text(http, 404, "there is no %s in a sandbox of this agent", text);
}

/* False: answered. */
static bool open_request(struct file_request *f)
{
        const struct agent *a = f->agent;
        struct api_caller caller = api_identify(a, f->http);

        f->path = http_request_query(f->http, "path");
        if (str_empty(f->path) || strlen(f->path) > PATH_TEXT_MAX) {
                http_respond_text(f->http, 400, "path: expected the path of a file in a sandbox");
                return false;
        }
        if (!caller.known && !caller.trusted) {
                http_respond_text(f->http, 403,
                        "who calls is not known here: call on this machine, not from inside a task");
                return false;
        }
        int r = a->identity.agent_id ? sandbox_path_parse(a->work_fd, a->options->work_dir,
                                               a->identity.agent_id, f->path, &f->place)
                                     : -ENOENT;
        if (r == 0)
                r = sandbox_open(a->work_fd, &f->place, &f->sandbox_fd, &f->sandbox);
        if (r == 0 && !api_may_see(&caller, f->sandbox.st_uid))
                r = -EACCES;
        if (r < 0)
                refuse(f->http, r, f->path);
        return r == 0;
}

static void with_request(struct http_request *http, void *userdata, void (*handler)(struct file_request *f))
{
        struct file_request f = {.agent = userdata, .http = http, .sandbox_fd = -1};

        if (open_request(&f))
                handler(&f);
        sandbox_path_done(&f.place);
        (void)close_fd(f.sandbox_fd);
}

/* ---- browse ---- */

struct names {
        uid_t uid;
        gid_t gid;
        char *user;
};

/* Files of a sandbox have one owner mostly. The group has no reader of names here: its number serves. */
static void write_owner(struct buffer *out, struct names *names, const struct stat *st)
{
        char number[16];

        if (!names->user || names->uid != st->st_uid) {
                free(names->user);
                names->uid = st->st_uid;
                names->user = users_host_name(st->st_uid);
                if (!names->user)
                        names->user = xasprintf("%u", (unsigned)st->st_uid);
        }
        (void)snprintf(number, sizeof(number), "%u", (unsigned)st->st_gid);
        json_put_string(out, "uid", names->user);
        json_put_string(out, "gid", st->st_gid == 0 ? "root" : number);
}

static void write_entry(struct buffer *out, struct names *names, const char *path, const struct stat *st)
{
        char mode[11];

        file_mode_text(st->st_mode, mode);
        json_begin_object(out, NULL);
        json_put_string(out, "path", path);
        json_put_integer(out, "nlink", (int64_t)st->st_nlink);
        json_put_integer(out, "size", (int64_t)st->st_size);
        json_put_integer(out, "mtime", (int64_t)st->st_mtim.tv_sec);
        json_put_string(out, "mode", mode);
        write_owner(out, names, st);
        json_end_object(out);
}

/* Takes fd. */
static void write_directory(struct buffer *out, int fd, const char *path)
{
        size_t len = strlen(path);
        struct names names = {0};
        struct dirent *entry;
        struct stat st;
        DIR *d = fdopendir(fd);

        while (len > 1 && path[len - 1] == '/')
                len--;
        json_begin_array(out, NULL);
        for (size_t i = 0; d && i < ENTRIES_MAX && (entry = readdir(d)); i++) {
                if (str_equal(entry->d_name, ".") || str_equal(entry->d_name, "..") ||
                        fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                        continue;
                _cleanup_free_ char *whole = xasprintf("%.*s/%s", (int)len, path, entry->d_name);
                write_entry(out, &names, whole, &st);
        }
        json_end_array(out);
        free(names.user);
        if (d)
                (void)closedir(d);
        else
                (void)close_fd(fd);
}

static void browse(struct file_request *f)
{
        _cleanup_buffer_ struct buffer b = {0};
        struct stat st;
        int fd = -1;

        int r = sandbox_open_file(f->sandbox_fd, &f->sandbox, f->place.rest, S_IFDIR, &fd, &st);
        if (r < 0) {
                /* A file has nothing below it: so says Mesos. */
                refuse(f->http, r == -ENOTDIR ? -ENOENT : r, f->path);
                return;
        }
        write_directory(&b, fd, f->path);
        http_respond_json(f->http, 200, b.data, b.len);
}

/* ---- read ---- */

/* Decimal, and -1. -EINVAL. */
static int parse_number(const char *text, int64_t fallback, int64_t *ret)
{
        uint64_t n;

        if (!text || str_equal(text, "-1")) {
                *ret = text ? -1 : fallback;
                return 0;
        }
        if (parse_u64(text, INT64_MAX, &n) < 0)
                return -EINVAL;
        *ret = (int64_t)n;
        return 0;
}

/* A page that ends in the middle of a character ends before it: the next one begins there. */
static size_t whole_characters(const char *data, size_t len)
{
        for (size_t back = 1; back <= 3 && back < len; back++) {
                unsigned char c = (unsigned char)data[len - back];
                if (c >= 0xc0 && c <= 0xf4)
                        return (c >= 0xf0 ? 4u : c >= 0xe0 ? 3u : 2u) > back ? len - back : len;
                if (c < 0x80)
                        break;
        }
        return len;
}

/* What is no text keeps its number of bytes: readers count them to find where the next page begins. */
static void make_text(char *data, size_t len)
{
        uint32_t character;

        for (size_t i = 0; i < len;) {
                int n = utf8_decode(data + i, len - i, &character);
                if (n < 0 || character == 0) {
                        data[i] = '?';
                        n = 1;
                }
                i += (size_t)n;
        }
}

static void respond_page(struct http_request *http, int64_t offset, const char *data)
{
        _cleanup_buffer_ struct buffer b = {0};

        json_begin_object(&b, NULL);
        json_put_string(&b, "data", data);
        json_put_integer(&b, "offset", offset);
        json_end_object(&b);
        http_respond_json(http, 200, b.data, b.len);
}

static void read_page(struct file_request *f, int fd, int64_t size, int64_t offset, int64_t length)
{
        if (offset < 0 || offset > size) {
                respond_page(f->http, size, "");
                return;
        }
        size_t wanted = (size_t)MIN(length < 0 ? (int64_t)READ_MAX : length, (int64_t)READ_MAX);
        _cleanup_free_ char *data = xmalloc(wanted + 1);
        ssize_t n = pread(fd, data, wanted, offset);
        if (n < 0) {
                http_respond_text(f->http, 500, "cannot read the file: %s", strerror(errno));
                return;
        }
        size_t len = offset + n < size ? whole_characters(data, (size_t)n) : (size_t)n;
        make_text(data, len);
        data[len] = '\0';
        respond_page(f->http, offset, data);
}

static void read_file(struct file_request *f)
{
        int64_t offset, length;
        _cleanup_fd_ int fd = -1;
        struct stat st;

        if (parse_number(http_request_query(f->http, "offset"), -1, &offset) < 0) {
                http_respond_text(f->http, 400, "offset: expected a number of bytes, or -1 for the size");
                return;
        }
        if (parse_number(http_request_query(f->http, "length"), -1, &length) < 0) {
                http_respond_text(f->http, 400, "length: expected a number of bytes, or -1 for %u", READ_MAX);
                return;
        }
        int r = sandbox_open_file(f->sandbox_fd, &f->sandbox, f->place.rest, S_IFREG, &fd, &st);
        if (r < 0)
                refuse(f->http, r, f->path);
        else
                read_page(f, fd, st.st_size, offset, length);
}

/* ---- download ---- */

/* Its connection's: ends with the file, or with the peer. */
struct download {
        struct http_stream *stream;
        int fd;
        uint64_t offset, end; /* what is appended meanwhile is not waited for */
};

static void download_free(struct download *d)
{
        (void)close_fd(d->fd);
        free(d);
}

static void on_download_closed(struct http_stream *s, void *userdata)
{
        (void)s;
        download_free(userdata);
}

static void pump(struct http_stream *s, void *userdata)
{
        _cleanup_free_ char *data = xmalloc(READ_MAX);
        struct download *d = userdata;

        for (unsigned i = 0; i < AHEAD_PAGES; i++) {
                size_t wanted = (size_t)MIN(d->end - d->offset, (uint64_t)READ_MAX);
                ssize_t n = wanted > 0 ? pread(d->fd, data, wanted, (off_t)d->offset) : 0;

                if (n <= 0 || http_stream_write(s, data, (size_t)n) < 0) {
                        http_stream_close(s);
                        download_free(d);
                        return;
                }
                d->offset += (uint64_t)n;
        }
}

/* Only what is plain in a quoted string. */
static char *disposition(const char *path)
{
        const char *slash = strrchr(path, '/');
        char *text = xasprintf("attachment; filename=\"%.255s\"", slash ? slash + 1 : path);
        char *name = strchr(text, '"') + 1;

        for (char *p = name; *p && p[1]; p++)
                if (*p < ' ' || *p > '~' || *p == '"' || *p == '\\')
                        *p = '_';
        return text;
}

static void download(struct file_request *f)
{
        _cleanup_free_ char *header = NULL;
        struct download *d;
        struct stat st;
        int fd = -1;

        int r = sandbox_open_file(f->sandbox_fd, &f->sandbox, f->place.rest, S_IFREG, &fd, &st);
        if (r < 0) {
                refuse(f->http, r, f->path);
                return;
        }
        if (str_equal(http_request_method(f->http), "HEAD")) {
                (void)close_fd(fd);
                http_respond(f->http, 200, "application/octet-stream", NULL, 0);
                return;
        }
        d = NEW0(struct download);
        d->fd = fd;
        d->end = (uint64_t)st.st_size;
        header = disposition(f->path);
        http_request_add_header(f->http, "Content-Disposition", header);
        http_request_add_header(f->http, "X-Content-Type-Options", "nosniff");
        d->stream = http_stream_open(f->http, "application/octet-stream", on_download_closed, d);
        http_stream_on_drain(d->stream, pump);
        pump(d->stream, d);
}

/* ---- routes ---- */

static void on_browse(struct http_request *http, void *userdata)
{
        with_request(http, userdata, browse);
}

static void on_read(struct http_request *http, void *userdata)
{
        with_request(http, userdata, read_file);
}

static void on_download(struct http_request *http, void *userdata)
{
        with_request(http, userdata, download);
}

void api_files_routes(struct agent_api *api)
{
        static const struct {
                const char *path;
                http_handler handler;
        } routes[] = {
                {"/files/browse", on_browse},
                {"/files/read", on_read},
                {"/files/download", on_download},
        };

        for (size_t i = 0; i < ELEMENTSOF(routes); i++)
                http_server_route_process(
                        api->server, API_PROCESS, routes[i].path, "GET", routes[i].handler, api->agent);
}
