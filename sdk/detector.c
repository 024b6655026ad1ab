#include "sdk/detector.h"

#include <stdlib.h>
#include <string.h>

#include "lib/net/http_client.h"

#define ADDRESSES_MAX 64
#define REDIRECTS_MAX 5

struct address {
        char *host;
        uint16_t port;
};

struct detector {
        struct address *list;
        size_t count, next;
        size_t tried;            /* since one led, or since detector_failed() asked for patience */
        struct address redirect; /* host NULL: the list's */
        unsigned redirects;      /* in a row */
        uint16_t default_port;
};

static void forget_redirect(struct detector *d)
{
        free(d->redirect.host);
        d->redirect = (struct address){0};
}

static int add_address(struct detector *d, const char *text, struct error *e)
{
        struct address a = {0};
        int r;

        if (d->count == ADDRESSES_MAX)
                return error_set(e, -EINVAL, "too many masters: expected at most %d", ADDRESSES_MAX);
        r = host_port_parse(text, d->default_port, &a.host, &a.port, e);
        if (r < 0)
                return r;
        d->list = xrealloc(d->list, (d->count + 1) * sizeof(*d->list));
        d->list[d->count++] = a;
        return 0;
}

int detector_new(const char *addresses, uint16_t default_port, struct detector **ret, struct error *e)
{
        CLEANUP(cleanup_detector_free) struct detector *d = NEW0(struct detector);
        _cleanup_free_ char *copy = xstrdup(addresses);
        char *rest = copy, *text;
        int r;

        d->default_port = default_port;
        if (strstr(copy, "://"))
                return error_set(e, -EINVAL, "'%s': expected the masters as HOST:PORT,HOST:PORT", copy);
        while ((text = strsep(&rest, ","))) {
                r = add_address(d, text, e);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(d);
        return 0;
}

struct detector *detector_free(struct detector *d)
{
        if (d) {
                for (size_t i = 0; i < d->count; i++)
                        free(d->list[i].host);
                free(d->list);
                forget_redirect(d);
                free(d);
        }
        return NULL;
}

static const struct address *current(const struct detector *d)
{
        return d->redirect.host ? &d->redirect : &d->list[d->next];
}

const char *detector_host(const struct detector *d)
{
        return current(d)->host;
}

uint16_t detector_port(const struct detector *d)
{
        return current(d)->port;
}

void detector_found(struct detector *d)
{
        d->tried = 0;
        d->redirects = 0;
}

bool detector_redirected(struct detector *d, const char *location)
{
        _cleanup_free_ char *authority = NULL;
        struct address a = {0};

        if (!location || ++d->redirects > REDIRECTS_MAX)
                return false;
        if (str_has_prefix(location, "http:"))
                location += strlen("http:");
        if (!str_has_prefix(location, "//"))
                return false;
        authority = xstrndup(location + 2, strcspn(location + 2, "/?#"));
        if (host_port_parse(authority, d->default_port, &a.host, &a.port, NULL) < 0)
                return false;
        forget_redirect(d);
        d->redirect = a;
        return true;
}

bool detector_failed(struct detector *d)
{
        /* Where a redirect led to nothing the list goes on behind the one that gave it. */
        forget_redirect(d);
        d->redirects = 0;
        d->next = (d->next + 1) % d->count;
        if (++d->tried < d->count)
                return false;
        d->tried = 0;
        return true;
}
