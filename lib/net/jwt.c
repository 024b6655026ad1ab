#include "lib/net/jwt.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "lib/net/json_writer.h"

#define SIGNATURE_BYTES 32

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void add_base64url(struct buffer *b, const void *data, size_t len)
{
        const uint8_t *p = data;
        uint32_t bits = 0;
        unsigned held = 0;

        for (size_t i = 0; i < len; i++) {
                bits = bits << 8 | p[i];
                for (held += 8; held >= 6; held -= 6)
                        buffer_append(b, &alphabet[bits >> (held - 6) & 63], 1);
        }
        if (held > 0)
                buffer_append(b, &alphabet[bits << (6 - held) & 63], 1);
}

/* Unpadded; bits that no byte takes must be zero, or one token would have several texts. */
static int take_base64url(const char *text, size_t len, struct buffer *ret)
{
        uint32_t bits = 0;
        unsigned held = 0;

        if (len % 4 == 1)
                return -EBADMSG;
        for (size_t i = 0; i < len; i++) {
                const char *at = text[i] ? strchr(alphabet, text[i]) : NULL;
                if (!at)
                        return -EBADMSG;
                bits = bits << 6 | (uint32_t)(at - alphabet);
                held += 6;
                if (held >= 8) {
                        uint8_t byte = (uint8_t)(bits >> (held - 8));
                        buffer_append(ret, &byte, 1);
                        held -= 8;
                }
        }
        return bits & ((1u << held) - 1) ? -EBADMSG : 0;
}

static void sign(const void *key, size_t key_len, const char *text, size_t len, uint8_t ret[SIGNATURE_BYTES])
{
        unsigned size = 0;

        if (!HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)text, len, ret, &size))
                abort();
        assert(size == SIGNATURE_BYTES);
}

char *jwt_new(const void *key, size_t key_len, const struct jwt_claim *claims, size_t count)
{
        static const char header[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";
        uint8_t signature[SIGNATURE_BYTES];
        _cleanup_buffer_ struct buffer b = {0};
        _cleanup_buffer_ struct buffer payload = {0};

        json_begin_object(&payload, NULL);
        for (size_t i = 0; i < count; i++)
                json_put_string(&payload, claims[i].name, claims[i].value);
        json_end_object(&payload);
        add_base64url(&b, header, strlen(header));
        buffer_puts(&b, ".");
        add_base64url(&b, payload.data, payload.len);
        sign(key, key_len, b.data, b.len, signature);
        buffer_puts(&b, ".");
        add_base64url(&b, signature, sizeof(signature));
        return buffer_take(&b);
}

static json_t *load(const char *text, size_t len)
{
        _cleanup_buffer_ struct buffer b = {0};

        if (take_base64url(text, len, &b) < 0 || b.len == 0)
                return NULL;
        json_t *o = json_loadb(b.data, b.len, JSON_REJECT_DUPLICATES, NULL);
        if (o && !json_is_object(o)) {
                json_decref(o);
                return NULL;
        }
        return o;
}

static bool algorithm_is_hs256(const char *header, size_t len)
{
        json_t *o = load(header, len);
        const char *alg = json_string_value(json_object_get(o, "alg"));
        /* "crit" names extensions that the reader must know: we know none. */
        bool yes = str_equal(alg, "HS256") && !json_object_get(o, "crit");

        json_decref(o);
        return yes;
}

static bool signature_is_right(const void *key, size_t key_len, const char *token, const char *last_dot)
{
        uint8_t expected[SIGNATURE_BYTES];
        _cleanup_buffer_ struct buffer b = {0};

        if (take_base64url(last_dot + 1, strlen(last_dot + 1), &b) < 0 || b.len != sizeof(expected))
                return false;
        sign(key, key_len, token, (size_t)(last_dot - token), expected);
        return CRYPTO_memcmp(b.data, expected, sizeof(expected)) == 0;
}

static int check_times(const json_t *claims, struct wall_time now)
{
        const json_t *until = json_object_get(claims, "exp"), *from = json_object_get(claims, "nbf");

        if ((until && !json_is_number(until)) || (from && !json_is_number(from)))
                return -EBADMSG;
        if (until && json_number_value(until) <= wall_seconds(now))
                return -EKEYEXPIRED;
        return from && json_number_value(from) > wall_seconds(now) ? -EKEYEXPIRED : 0;
}

int jwt_verify(const void *key, size_t key_len, const char *token, struct wall_time now,
        const char *const *names, char **values, size_t count)
{
        size_t len = strnlen(token, JWT_TEXT_MAX + 1);
        const char *first = strchr(token, '.'), *last = strrchr(token, '.');

        if (len > JWT_TEXT_MAX || !first || last == first ||
                memchr(first + 1, '.', (size_t)(last - first - 1)))
                return -EBADMSG;
        if (!algorithm_is_hs256(token, (size_t)(first - token)) ||
                !signature_is_right(key, key_len, token, last))
                return -EBADMSG;
        json_t *claims = load(first + 1, (size_t)(last - first - 1));
        int r = claims ? check_times(claims, now) : -EBADMSG;
        for (size_t i = 0; i < count && r == 0; i++)
                values[i] = xstrdup(json_string_value(json_object_get(claims, names[i])));
        json_decref(claims);
        return r;
}
