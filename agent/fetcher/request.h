/*
 * What the agent asks of mete-fetcher: one request in a sealed memfd, of plain numbers and strings. Both ends are one build; the reader
 * checks every length all the same, because it runs as the task's user and decides what that user gets. Pure but for sealing.
 *
 * Descriptors of mete-fetcher: 0 to 2 /dev/null, then these. argv: "mete-fetcher", "<number of v1 entry files>".
 */
#pragma once

#include "lib/base/option.h"
#include "lib/linux/users.h"

enum fetch_fd {
        FETCH_FD_REQUEST = 3,
        FETCH_FD_RESULT, /* pipe: nothing, or one sentence when something failed; the exit status says which */
        FETCH_FD_SANDBOX, /* the sandbox, or /dev/null when the only item goes into the cache */
        FETCH_FD_FIRST,   /* entry files of the cgroup (v1), then the files of the cache that items name */
};

#define FETCH_URIS_MAX 256
#define FETCH_URI_LENGTH_MAX 8192
#define FETCH_PATH_MAX 4096
#define FETCH_HIDDEN_MAX 256
#define FETCH_REQUEST_MAX (4u << 20)
#define FETCH_RESULT_MAX 1024

enum fetch_item_flags {
        FETCH_EXECUTABLE = 1 << 0, /* mode 0755, and not unpacked */
        FETCH_EXTRACT = 1 << 1,    /* unpacked when its name is an archive's */
        FETCH_FROM_CACHE = 1 << 2, /* its content is the open file `cache_index` */
        FETCH_TO_CACHE = 1 << 3,   /* its content goes into that file; nothing else is done */
};
#define FETCH_ITEM_FLAGS_ALL ((1u << 4) - 1)

struct fetch_item {
        uint32_t flags;
        uint32_t cache_index;
        char *uri;    /* as it was asked for, for messages */
        char *source; /* "http://...", or an absolute path */
        char *output; /* relative to the sandbox */
};

struct fetch_job {
        uid_t uid;
        gid_t gid;
        gid_t groups[USER_GROUPS_MAX];
        uint32_t group_count;
        uint64_t max_bytes; /* of everything that is written */
        uint32_t stall_seconds;
        struct fetch_item items[FETCH_URIS_MAX];
        uint32_t item_count;
        struct string_list hidden; /* absolute directories: what lies below is nobody's to fetch */
};
struct fetch_job *fetch_job_new(void);
/* Returns NULL. */
struct fetch_job *fetch_job_free(struct fetch_job *j);
DEFINE_CLEANUP(struct fetch_job, fetch_job_free)

/* -E2BIG above FETCH_REQUEST_MAX. */
int fetch_request_seal(const struct fetch_job *j, int *ret_fd, struct error *e) WARN_UNUSED;
/* Appends the bytes of the request. */
void fetch_request_encode(const struct fetch_job *j, struct buffer *b);
/* -EBADMSG when anything is not as fetch_request_encode() writes it. The caller frees. */
int fetch_request_decode(const void *data, size_t len, struct fetch_job **ret) WARN_UNUSED;

/* ---- what names may be ---- */

/* Relative, of components that are neither empty nor "." nor "..", at most 255 bytes each, without control characters. */
bool fetch_path_is_legal(const char *path);
/*
 * *ret_source is what to read: the URL, or the absolute path of a local file. frameworks_home: where relative paths begin, or NULL.
 * -EINVAL or -EPROTONOSUPPORT with a sentence. The caller frees.
 */
int fetch_uri_source(
        const char *uri, const char *frameworks_home, char **ret_source, struct error *e) WARN_UNUSED;
/* Where it goes when no output_file says so: what is behind the last '/', a query included. Points into uri. */
int fetch_uri_basename(const char *uri, const char **ret, struct error *e) WARN_UNUSED;
