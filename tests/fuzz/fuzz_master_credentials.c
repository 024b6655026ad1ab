/*
 * A file of credentials, and behind a line "--" a header Authorization. What has the form of the header proves a principal only with the
 * principal's secret, and the file that holds it is any bytes.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lib/base/util.h"
#include "master/api/credentials.h"

#define INPUT_MAX 65536
#define BETWEEN "\n--\n"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct credentials *load(const void *data, size_t size)
{
        _cleanup_fd_ int fd = memfd_create("credentials", MFD_CLOEXEC);
        _cleanup_error_ struct error e = {};
        struct credentials *c = NULL;
        char path[64];

        if (fd < 0 || fchmod(fd, 0600) < 0 || write_all(fd, data, size) < 0)
                abort();
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        int r = credentials_load(path, &c, &e);
        if ((r < 0) != !c || (r < 0) != (e.message != NULL))
                abort();
        return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct credentials *fixed;
        _cleanup_free_ char *header = NULL;

        if (size > INPUT_MAX)
                return 0;
        if (!fixed)
                fixed = load("alice in-wonderland-4711", 24);
        const uint8_t *between = size ? memmem(data, size, BETWEEN, strlen(BETWEEN)) : NULL;
        size_t len = between ? (size_t)(between - data) : size;
        struct credentials *c = load(data, len);
        header = between ? xstrndup((const char *)between + strlen(BETWEEN), size - len - strlen(BETWEEN))
                         : xstrdup("");
        if (c)
                (void)credentials_check(c, header);
        credentials_free(c);
        /* Nobody here knows the secret. */
        if (credentials_check(fixed, header))
                abort();
        return 0;
}
