/* Expressions of offer constraints, up to the first newline, and texts to match them against: bounded work, whatever it says. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/regex.h"
#include "lib/base/util.h"

#define INPUT_MAX 8192

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *pattern = NULL, *text = NULL;
        _cleanup_error_ struct error e = {};
        struct regex *r = NULL;
        bool matches;
        int code;

        if (size > INPUT_MAX)
                return 0;
        const uint8_t *newline = size ? memchr(data, '\n', size) : NULL;
        size_t len = newline ? (size_t)(newline - data) : size;
        pattern = xstrndup((const char *)data, len);
        text = newline ? xstrndup((const char *)newline + 1, size - len - 1) : xstrdup("");
        code = regex_new(pattern, "field", &r, &e);
        if ((code < 0) != !r || (code < 0) != (e.message != NULL))
                abort();
        if (code < 0)
                return 0;
        matches = regex_matches(r, text);
        if (matches != regex_matches(r, text))
                abort();
        regex_free(r);
        return 0;
}
