/*
 * The parts of mete-fetcher. One process a fetch, single-threaded, unprivileged as soon as it knows as whom; what a server or an archive
 * says is never trusted. Each function returns 0 or -errno with a sentence.
 */
#pragma once

#include "agent/fetcher/request.h"

/* What may still be written; counts down. */
struct fetch_budget {
        uint64_t bytes_max, bytes_left;
        uint32_t entries_left;
};
#define FETCH_ENTRIES_MAX 500000u
int fetch_budget_take(struct fetch_budget *b, uint64_t bytes, struct error *e) WARN_UNUSED;

/* ---- place.c: files below the sandbox, never through a link ---- */

/* A new file, open for writing; one that is there is removed first, whatever it is linked to. */
int place_file(int sandbox_fd, const char *path, mode_t mode, int *ret_fd, struct error *e) WARN_UNUSED;
int place_directory(int sandbox_fd, const char *path, mode_t mode, struct error *e) WARN_UNUSED;
/* A link whose target, resolved from where it lies, stays below the sandbox. */
int place_symlink(int sandbox_fd, const char *path, const char *target, struct error *e) WARN_UNUSED;
/* target: relative to the sandbox, a regular file of it. */
int place_hardlink(int sandbox_fd, const char *path, const char *target, struct error *e) WARN_UNUSED;

/* ---- source.c ---- */

/* A local file, opened with the rights that the caller has; a regular one, not below anything hidden. */
int source_open(const struct fetch_job *j, const char *path, int *ret_fd, struct error *e) WARN_UNUSED;
int source_copy(int from_fd, int to_fd, struct fetch_budget *b, struct error *e) WARN_UNUSED;

/* ---- http.c ---- */
int http_fetch(const char *url, int to_fd, uint32_t stall_seconds, struct fetch_budget *b,
        struct error *e) WARN_UNUSED;

/* ---- extract.c ---- */

bool extract_is_archive(const char *name);
/* Unpacks the open file `name` (read from its beginning) into the sandbox. */
int extract_archive(int sandbox_fd, int archive_fd, const char *name, struct fetch_budget *b,
        struct error *e) WARN_UNUSED;

/* ---- run.c ---- */

/* Everything after the request was read; the caller is still root. local_fds and cache_fds: see run.c. */
int fetcher_run(const struct fetch_job *j, int sandbox_fd, const int *cache_fds, size_t cache_count,
        struct error *e) WARN_UNUSED;
/* The program. */
int fetcher_main(int argc, char **argv);
