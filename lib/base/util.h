/*
 * Scope cleanup, hand-over macros, checked small allocations and the few string helpers that libc lacks.
 *
 * Small allocations abort when memory is out (x-functions); a size that comes from outside is checked by the
 * caller, which returns -ENOMEM or -E2BIG instead of using an x-function.
 */
#pragma once

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define CLEANUP(f) __attribute__((cleanup(f)))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define WARN_UNUSED __attribute__((warn_unused_result))

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))
#define MIN(a, b)                                                                                            \
        ({                                                                                                   \
                __typeof__(a) _min_a = (a);                                                                  \
                __typeof__(b) _min_b = (b);                                                                  \
                _min_a < _min_b ? _min_a : _min_b;                                                           \
        })
#define MAX(a, b)                                                                                            \
        ({                                                                                                   \
                __typeof__(a) _max_a = (a);                                                                  \
                __typeof__(b) _max_b = (b);                                                                  \
                _max_a > _max_b ? _max_a : _max_b;                                                           \
        })
#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* Visible hand-over of ownership: yields the value and leaves NULL or -1 behind. */
#define TAKE_PTR(p)                                                                                          \
        ({                                                                                                   \
                __typeof__(p) _taken = (p);                                                                  \
                (p) = NULL;                                                                                  \
                _taken;                                                                                      \
        })
#define TAKE_FD(fd)                                                                                          \
        ({                                                                                                   \
                int _taken = (fd);                                                                           \
                (fd) = -1;                                                                                   \
                _taken;                                                                                      \
        })

/* Closes fd when it is >= 0, keeps errno, returns -1 so that `fd = close_fd(fd)` reads well. */
int close_fd(int fd);
void cleanup_fd(int *fd);
void cleanup_free(void *pp);
void cleanup_file(FILE **fp);

#define _cleanup_free_ CLEANUP(cleanup_free)
#define _cleanup_fd_ CLEANUP(cleanup_fd)
#define _cleanup_file_ CLEANUP(cleanup_file)
/* Makes cleanup_X(T **) from an `x_free(T *)`. */
#define DEFINE_CLEANUP(type, func)                                                                           \
        static inline void cleanup_##func(type **p)                                                          \
        {                                                                                                    \
                if (*p)                                                                                      \
                        func(*p);                                                                            \
        }

void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *p, size_t size);
void *xmemdup(const void *p, size_t size);
char *xstrdup(const char *s); /* NULL gives NULL */
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) PRINTF_LIKE(1, 2);
char *xvasprintf(const char *fmt, va_list ap) PRINTF_LIKE(1, 0);
#define NEW0(type) ((type *)xcalloc(1, sizeof(type)))

static inline bool str_equal(const char *a, const char *b)
{
        return a == b || (a && b && __builtin_strcmp(a, b) == 0);
}
static inline bool str_empty(const char *s)
{
        return !s || !*s;
}
bool str_has_prefix(const char *s, const char *prefix);
bool str_has_suffix(const char *s, const char *suffix);

/* Whole-string decimal parsers, no sign, no white space, no leading '+'. -EINVAL, or -ERANGE above max. */
int parse_u64(const char *s, uint64_t max, uint64_t *ret) WARN_UNUSED;
int parse_u32(const char *s, uint32_t max, uint32_t *ret) WARN_UNUSED;
/* "64M", "1G", "512K", "1048576", "1.5G" (powers of 1024; suffix B/KiB/MB tolerated). -EINVAL, -ERANGE. */
int parse_size(const char *s, uint64_t *ret_bytes) WARN_UNUSED;
/* "1.5", "0.25": thousandths. More than three decimals, signs and exponents are -EINVAL; above max -ERANGE.
 */
int parse_milli(const char *s, uint64_t max_milli, uint64_t *ret_milli) WARN_UNUSED;
/* "90", "90s", "500ms", "5m", "2h", "1d": nanoseconds, bare numbers are seconds. */
int parse_duration_ns(const char *s, uint64_t *ret_ns) WARN_UNUSED;

/* A growing byte buffer: always NUL-terminated behind `len`. Zero-initialised is empty. */
struct buffer {
        char *data;
        size_t len;
        size_t allocated;
};
void buffer_done(struct buffer *b);
void buffer_append(struct buffer *b, const void *data, size_t len);
void buffer_puts(struct buffer *b, const char *s);
void buffer_printf(struct buffer *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
char *buffer_take(struct buffer *b); /* the caller frees; the buffer is empty afterwards */
#define _cleanup_buffer_ CLEANUP(buffer_done)

/* Writes everything or fails: 0 or -errno. */
int write_all(int fd, const void *data, size_t len) WARN_UNUSED;
/* Reads to the end; -E2BIG when more than max bytes. The result is NUL-terminated, the caller frees it. */
int read_all_fd(int fd, size_t max, char **ret, size_t *ret_len) WARN_UNUSED;
int read_file_at(int dirfd, const char *path, size_t max, char **ret, size_t *ret_len) WARN_UNUSED;
/* Written aside as ".<name>.tmp", renamed over name. `sync` also syncs the file and the directory. */
int write_file_atomic_at(
        int dirfd, const char *name, const void *data, size_t len, mode_t mode, bool sync) WARN_UNUSED;
/* mkdir -p below dirfd (AT_FDCWD for a path of our own). Components are created with mode. */
int mkdir_parents_at(int dirfd, const char *path, mode_t mode) WARN_UNUSED;
/* rm -rf below dirfd by file descriptors, never following links or crossing mounts. Missing is success. */
int remove_tree_at(int dirfd, const char *name) WARN_UNUSED;
/* The same in pieces: takes what it removes off *budget. 1: there is more, and the budget is used up. */
int remove_some_at(int dirfd, const char *name, unsigned long *budget) WARN_UNUSED;
/* As many open files as this process may have, from now on; returns that number. */
uint64_t raise_file_limit(void);
