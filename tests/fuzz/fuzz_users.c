/* Input: "spec\n" then the passwd text, a line "--", and the group text. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/linux/users.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const char *text = (const char *)data;
        const char *newline = size ? memchr(text, '\n', size) : NULL;
        _cleanup_error_ struct error e = {0};
        struct user_ids ids;

        if (!newline)
                return 0;
        _cleanup_free_ char *spec = xstrndup(text, (size_t)(newline - text));
        const char *passwd = newline + 1;
        size_t rest = size - (size_t)(passwd - text);
        const char *separator = memmem(passwd, rest, "\n--\n", 4);
        size_t passwd_len = separator ? (size_t)(separator - passwd) : rest;
        const char *group = separator ? separator + 4 : passwd + rest;

        int r = users_resolve_text(passwd, passwd_len, group, size - (size_t)(group - text), spec, &ids, &e);
        if (r < 0) {
                if (e.code != r || !e.message)
                        abort();
                return 0;
        }
        if (ids.uid == UINT32_MAX || ids.gid == UINT32_MAX || ids.group_count > USER_GROUPS_MAX ||
                ids.home[0] != '/' || !memchr(ids.home, '\0', sizeof(ids.home)) ||
                !memchr(ids.name, '\0', sizeof(ids.name)))
                abort();
        return 0;
}
