#include "lib/base/error.h"

#include <stdlib.h>
#include <string.h>

/* The text is made before the old message goes: the caller may have passed that as an argument. */
static int error_take(struct error *e, int code, char *message)
{
        assert(code < 0);
        if (!e) {
                free(message);
                return code;
        }
        free(e->message);
        e->code = code;
        e->message = message;
        return code;
}

int error_set(struct error *e, int code, const char *fmt, ...)
{
        va_list ap;
        char *message = NULL;

        if (e) {
                va_start(ap, fmt);
                message = xvasprintf(fmt, ap);
                va_end(ap);
        }
        return error_take(e, code, message);
}

int error_set_errno(struct error *e, int code, const char *fmt, ...)
{
        _cleanup_free_ char *text = NULL;
        va_list ap;

        if (!e)
                return error_take(e, code, NULL);
        va_start(ap, fmt);
        text = xvasprintf(fmt, ap);
        va_end(ap);
        return error_take(e, code, xasprintf("%s: %s", text, strerror(-code)));
}

int error_prefix(struct error *e, const char *fmt, ...)
{
        _cleanup_free_ char *text = NULL;
        va_list ap;

        /* Without a struct the code is not known here: the caller has it and returns that. */
        if (!e || e->code == 0)
                return 0;
        va_start(ap, fmt);
        text = xvasprintf(fmt, ap);
        va_end(ap);
        return error_take(e, e->code, xasprintf("%s: %s", text, error_message(e)));
}

const char *error_message(const struct error *e)
{
        if (!e)
                return "unknown error";
        return e->message ? e->message : strerror(-e->code);
}

void error_done(struct error *e)
{
        free(e->message);
        *e = (struct error){};
}
