/*
 * Errors that a person reads. Functions return 0 or a negative errno; where a sentence helps, the last
 * argument is a `struct error *` (NULL allowed) that carries one sentence naming what was tried on which
 * object. The caller owns the struct (zero-initialised) and calls error_done(), or declares it with
 * _cleanup_error_.
 */
#pragma once

#include "lib/base/util.h"

struct error {
        int code;      /* negative errno; 0 when unset */
        char *message; /* owned; NULL when unset */
};

/* Sets code and message and returns code; an already set error is replaced. e may be NULL. code must be
 * negative. */
int error_set(struct error *e, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* As error_set, with ": <strerror(-code)>" appended. */
int error_set_errno(struct error *e, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Puts "<text>: " in front of the message: for a layer that adds a fact. Returns e->code. */
int error_prefix(struct error *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The message, or strerror of the code, never NULL. */
const char *error_message(const struct error *e);
void error_done(struct error *e);
#define _cleanup_error_ CLEANUP(error_done)
