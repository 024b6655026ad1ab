#include "master/spec/api_error.h"

#include <stdarg.h>
#include <stdlib.h>

int api_error_set(struct api_error *x, int status, const char *field, const char *fmt, ...)
{
        va_list ap;

        api_error_done(x);
        x->status = status;
        x->field = xstrdup(field);
        va_start(ap, fmt);
        x->message = xvasprintf(fmt, ap);
        va_end(ap);
        return -EINVAL;
}

void api_error_done(struct api_error *x)
{
        free(x->field);
        free(x->message);
        *x = (struct api_error){};
}
