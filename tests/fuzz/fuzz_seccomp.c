/* Input: a seccomp profile. Parsed for two sets of capabilities, and compiled when it is small. */
#include <stdint.h>
#include <stdlib.h>

#include "isolators/seccomp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define COMPILE_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *json = xstrndup((const char *)data, size);
        const uint64_t sets[] = {0, UINT64_MAX};

        for (size_t i = 0; i < ELEMENTSOF(sets); i++) {
                struct seccomp_profile profile CLEANUP(seccomp_profile_done) = {0};
                _cleanup_error_ struct error e = {0};
                const struct sock_filter *filter;
                size_t count;

                int r = seccomp_profile_parse(json, sets[i], &profile, &e);
                if (r < 0 && (e.code != r || !e.message))
                        abort();
                if (r >= 0 && size <= COMPILE_MAX &&
                        seccomp_compile(json, sets[i], &filter, &count, NULL) >= 0 &&
                        (count == 0 || count > 4096))
                        abort();
        }
        seccomp_cache_clear();
        return 0;
}
