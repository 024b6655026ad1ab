/*
 * JSON Web Tokens signed with a shared secret (RFC 7519, HS256 alone): made and verified. Stateless, any thread. Tokens come from outside: their size is
 * bounded, "alg" is compared and never obeyed, and the signature is compared in constant time before anything inside is believed.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/base/time.h"

#define JWT_TEXT_MAX 4096
#define JWT_KEY_MIN 32 /* RFC 7518, 3.2: at least as long as the hash */

struct jwt_claim {
        const char *name, *value;
};

/* The caller frees. Claims are strings. */
char *jwt_new(const void *key, size_t key_len, const struct jwt_claim *claims, size_t count);
/*
 * Fills values[i] with the string claim names[i] (the caller frees each; NULL when the token has none). -EBADMSG: no token, another
 * algorithm or a wrong signature; -EKEYEXPIRED: its "exp" is over, or "nbf" is to come. Untouched on failure.
 */
int jwt_verify(const void *key, size_t key_len, const char *token, struct wall_time now,
        const char *const *names, char **values, size_t count) WARN_UNUSED;
