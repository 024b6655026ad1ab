#include "master/api/credentials.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/net/codec.h"
#include "proto/mesos.pb-c.h"

#define FILE_BYTES_MAX (1u << 20)
#define AUTHORIZATION_MAX 8192

struct credential {
        char *principal, *secret;
};

struct credentials {
        struct credential *items;
        size_t count;
};

struct credentials *credentials_free(struct credentials *c)
{
        if (!c)
                return NULL;
        for (size_t i = 0; i < c->count; i++) {
                explicit_bzero(c->items[i].secret, strlen(c->items[i].secret));
                free(c->items[i].secret);
                free(c->items[i].principal);
        }
        free(c->items);
        free(c);
        return NULL;
}

static const struct credential *find(const struct credentials *c, const char *principal)
{
        for (size_t i = 0; i < c->count; i++)
                if (str_equal(c->items[i].principal, principal))
                        return &c->items[i];
        return NULL;
}

/* ---- reading ---- */

static int add(
        struct credentials *c, const char *principal, const char *secret, const char *where, struct error *e)
{
        if (str_empty(principal) || strchr(principal, ':'))
                return error_set(e, -EINVAL, "%s: a principal is expected, not empty and without ':'", where);
        if (str_empty(secret))
                return error_set(e, -EINVAL, "%s: '%s' has no secret", where, principal);
        if (find(c, principal))
                return error_set(e, -EINVAL, "%s: '%s' is there twice", where, principal);
        c->items = xrealloc(c->items, (c->count + 1) * sizeof(*c->items));
        c->items[c->count++] = (struct credential){xstrdup(principal), xstrdup(secret)};
        return 0;
}

static int take_json(struct credentials *c, const char *text, size_t len, struct error *e)
{
        ProtobufCMessage *message = NULL;
        const Mete__V1__Credentials *all;
        int r = message_decode(CODEC_JSON, &mete__v1__credentials__descriptor, text, len, &message, e);

        if (r < 0)
                return r;
        all = (const Mete__V1__Credentials *)message;
        for (size_t i = 0; i < all->n_credentials && r >= 0; i++) {
                _cleanup_free_ char *where = xasprintf("credentials[%zu]", i);

                r = add(c, all->credentials[i]->principal, all->credentials[i]->secret, where, e);
        }
        message_free(message);
        return r;
}

static int take_lines(struct credentials *c, char *text, struct error *e)
{
        char *save = NULL;
        int r = 0;

        for (char *line = text; line && r >= 0;) {
                char *next = strchr(line, '\n');

                if (next)
                        *next++ = '\0';
                const char *principal = strtok_r(line, " \t\r", &save);
                const char *secret = principal ? strtok_r(NULL, " \t\r", &save) : NULL;

                if (principal && save && strtok_r(NULL, " \t\r", &save))
                        r = error_set(e, -EINVAL, "'%s': a principal and a secret are expected, no more",
                                principal);
                else if (principal)
                        r = add(c, principal, secret, "a line", e);
                line = next;
        }
        return r;
}

static int check_mode(int fd, struct error *e)
{
        struct stat st;

        if (fstat(fd, &st) < 0)
                return error_set_errno(e, -errno, "cannot look at it");
        if (!S_ISREG(st.st_mode))
                return error_set(e, -EINVAL, "a regular file is expected");
        if (st.st_uid != 0 && st.st_uid != geteuid())
                return error_set(e, -EPERM, "it belongs to user %u: expected root or this process' user",
                        (unsigned)st.st_uid);
        if (st.st_mode & (S_IRWXO | S_IWGRP))
                return error_set(e, -EPERM, "others may read or change it (mode %04o): expected 0600 or 0640",
                        (unsigned)(st.st_mode & 07777));
        return 0;
}

int credentials_load(const char *path, struct credentials **ret, struct error *e)
{
        _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        struct credentials *c = NEW0(struct credentials);
        _cleanup_free_ char *text = NULL;
        size_t len = 0;
        int r = 0;

        if (fd < 0)
                r = error_set_errno(e, -errno, "cannot open it");
        if (r >= 0)
                r = check_mode(fd, e);
        if (r >= 0) {
                r = read_all_fd(fd, FILE_BYTES_MAX, &text, &len);
                if (r < 0)
                        (void)error_set_errno(e, r, "cannot read it");
        }
        if (r >= 0)
                r = text[strspn(text, " \t\r\n")] == '{' ? take_json(c, text, len, e)
                                                         : take_lines(c, text, e);
        if (r >= 0 && c->count == 0)
                r = error_set(e, -EINVAL, "it has no credentials");
        if (text)
                explicit_bzero(text, len);
        if (r < 0) {
                credentials_free(c);
                (void)error_prefix(e, "credentials %s", path);
                return r;
        }
        *ret = c;
        return 0;
}

/* ---- checking ---- */

/* Takes as long whatever differs: how long it takes depends on what was sent alone. */
static bool secret_equal(const char *sent, const char *secret)
{
        size_t n = strlen(sent), secret_len = strlen(secret);
        volatile unsigned char differs = n != secret_len;

        for (size_t i = 0; i < n; i++)
                differs |= (unsigned char)(sent[i] ^ secret[i % (secret_len + 1)]);
        return !differs;
}

const char *credentials_check(const struct credentials *c, const char *authorization)
{
        _cleanup_free_ char *text = NULL;
        const struct credential *known;
        uint8_t *bytes = NULL;
        const char *base64;
        char *colon;
        size_t len;

        if (!authorization || strncasecmp(authorization, "Basic ", 6) != 0)
                return NULL;
        base64 = authorization + 6 + strspn(authorization + 6, " ");
        if (strlen(base64) > AUTHORIZATION_MAX || base64_decode(base64, strlen(base64), &bytes, &len) < 0)
                return NULL;
        text = xstrndup(bytes ? (const char *)bytes : "", len);
        free(bytes);
        colon = strchr(text, ':');
        if (!colon)
                return NULL;
        *colon++ = '\0';
        known = find(c, text);
        return known && secret_equal(colon, known->secret) ? known->principal : NULL;
}
