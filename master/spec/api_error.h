/* Why a call is refused. Owned by whoever holds it; any thread. */
#pragma once

#include "lib/base/util.h"

/* A refusal: HTTP status, one sentence, and the field that it is about. */
struct api_error {
        int status;
        char *field; /* owned, NULL when it is about none */
        char *message;
};
/* Returns -EINVAL. */
int api_error_set(struct api_error *x, int status, const char *field, const char *fmt, ...) PRINTF_LIKE(4, 5);
void api_error_done(struct api_error *x);
#define _cleanup_api_error_ CLEANUP(api_error_done)
