#include "lib/base/util.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

int close_fd(int fd)
{
        if (fd >= 0) {
                int saved = errno;

                (void)close(fd);
                errno = saved;
        }
        return -1;
}

void cleanup_fd(int *fd)
{
        *fd = close_fd(*fd);
}

void cleanup_free(void *pp)
{
        void *p;

        /* Any pointer type comes here: copied by bytes, so that no `char **` is read through a `void **`. */
        memcpy(&p, pp, sizeof(p));
        free(p);
}

void cleanup_file(FILE **fp)
{
        if (*fp)
                (void)fclose(TAKE_PTR(*fp));
}

static void *checked(void *p)
{
        if (!p)
                abort();
        return p;
}

void *xmalloc(size_t size)
{
        return checked(malloc(size ? size : 1));
}

void *xcalloc(size_t count, size_t size)
{
        return checked(calloc(count ? count : 1, size ? size : 1));
}

void *xrealloc(void *p, size_t size)
{
        return checked(realloc(p, size ? size : 1));
}

void *xmemdup(const void *p, size_t size)
{
        void *copy = xmalloc(size);

        if (size)
                memcpy(copy, p, size);
        return copy;
}

char *xstrdup(const char *s)
{
        return s ? xmemdup(s, strlen(s) + 1) : NULL;
}

char *xstrndup(const char *s, size_t n)
{
        return s ? checked(strndup(s, n)) : NULL;
}

char *xvasprintf(const char *fmt, va_list ap)
{
        char *s;

        if (vasprintf(&s, fmt, ap) < 0)
                abort();
        return s;
}

char *xasprintf(const char *fmt, ...)
{
        va_list ap;
        char *s;

        va_start(ap, fmt);
        s = xvasprintf(fmt, ap);
        va_end(ap);
        return s;
}

bool str_has_prefix(const char *s, const char *prefix)
{
        return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_has_suffix(const char *s, const char *suffix)
{
        size_t n = strlen(s), m = strlen(suffix);

        return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

void buffer_done(struct buffer *b)
{
        free(b->data);
        *b = (struct buffer){};
}

/* Room for `len` more bytes and the NUL. */
static void buffer_reserve(struct buffer *b, size_t len)
{
        size_t need;

        if (__builtin_add_overflow(b->len, len, &need) || __builtin_add_overflow(need, 1, &need))
                abort();
        if (need <= b->allocated)
                return;
        b->allocated = MAX(need, MIN(b->allocated, SIZE_MAX / 2) * 2);
        b->allocated = MAX(b->allocated, (size_t)64);
        b->data = xrealloc(b->data, b->allocated);
}

void buffer_append(struct buffer *b, const void *data, size_t len)
{
        buffer_reserve(b, len);
        if (len)
                memcpy(b->data + b->len, data, len);
        b->len += len;
        b->data[b->len] = '\0';
}

void buffer_puts(struct buffer *b, const char *s)
{
        buffer_append(b, s, strlen(s));
}

void buffer_printf(struct buffer *b, const char *fmt, ...)
{
        size_t room = b->allocated - b->len;
        va_list ap, again;
        int n;

        va_start(ap, fmt);
        va_copy(again, ap);
        n = vsnprintf(b->data ? b->data + b->len : NULL, room, fmt, ap);
        va_end(ap);
        if (n < 0)
                abort();
        if ((size_t)n >= room) {
                buffer_reserve(b, (size_t)n);
                (void)vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
        }
        va_end(again);
        b->len += (size_t)n;
}

char *buffer_take(struct buffer *b)
{
        char *data = b->data ? b->data : xcalloc(1, 1);

        *b = (struct buffer){};
        return data;
}

uint64_t raise_file_limit(void)
{
        struct rlimit l = {};

        if (getrlimit(RLIMIT_NOFILE, &l) < 0)
                return 1024; /* every system gives that */
        l.rlim_cur = l.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &l) < 0)
                (void)getrlimit(RLIMIT_NOFILE, &l);
        return l.rlim_cur;
}
