/*
 * Tokens of which the signature is right, so that what is behind it is reached: header and claims, a line each, are signed as they are. And
 * the bytes themselves as a token, which never are one.
 */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/util.h"
#include "lib/net/jwt.h"

#define INPUT_MAX 8192

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char key[] = "0123456789abcdef0123456789abcdef";

static char *base64url(const void *data, size_t len)
{
        char *s = xcalloc(1, (len + 2) / 3 * 4 + 1), *end;

        (void)EVP_EncodeBlock((unsigned char *)s, data, (int)len);
        end = s + strcspn(s, "=");
        *end = '\0';
        for (char *p = s; *p; p++)
                *p = *p == '+' ? '-' : *p == '/' ? '_' : *p;
        return s;
}

static char *signed_token(const void *header, size_t header_len, const void *claims, size_t claims_len)
{
        _cleanup_free_ char *h = base64url(header, header_len), *c = base64url(claims, claims_len);
        _cleanup_free_ char *body = xasprintf("%s.%s", h, c), *s = NULL;
        unsigned char mac[EVP_MAX_MD_SIZE];
        unsigned mac_len = 0;

        if (!HMAC(EVP_sha256(), key, sizeof(key) - 1, (const unsigned char *)body, strlen(body), mac,
                    &mac_len))
                abort();
        s = base64url(mac, mac_len);
        return xasprintf("%s.%s", body, s);
}

/* All or nothing. */
static int verify(const char *token)
{
        static const char *const names[] = {"fid", "eid", "cid"};
        char *values[] = {NULL, NULL, NULL};
        int r = jwt_verify(key, sizeof(key) - 1, token, (struct wall_time){1000 * NSEC_PER_SEC}, names,
                values, ELEMENTSOF(values));

        for (size_t i = 0; i < ELEMENTSOF(values); i++) {
                if (r < 0 && values[i])
                        abort();
                free(values[i]);
        }
        return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *raw = NULL, *token = NULL;

        if (!size || size > INPUT_MAX)
                return 0;
        const uint8_t *newline = memchr(data, '\n', size);
        size_t len = newline ? (size_t)(newline - data) : size;
        raw = xstrndup((const char *)data, size);
        if (verify(raw) == 0)
                abort();
        token = signed_token(data, len, newline ? newline + 1 : data, newline ? size - len - 1 : 0);
        if (verify(token) == 0 && !memmem(data, len, "HS256", 5))
                abort();
        /* One character of the signature less, or more, is another. */
        token[strlen(token) - 1] = '\0';
        if (verify(token) == 0)
                abort();
        return 0;
}
