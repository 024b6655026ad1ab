#include "tools/mete/program.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int program_find(const char *name, char **ret, struct error *e)
{
        static const char *const places[] = {"", "../sbin/", "../libexec/mete/", "../libexec/"};
        char self[PATH_MAX];
        ssize_t n;

        n = readlink("/proc/self/exe", self, sizeof(self) - 1);
        if (n < 0)
                return error_set_errno(e, -errno, "cannot find out where this program is");
        self[n] = '\0';
        *strrchr(self, '/') = '\0';
        for (size_t i = 0; i < ELEMENTSOF(places); i++) {
                _cleanup_free_ char *path = xasprintf("%s/%s%s", self, places[i], name);

                if (access(path, X_OK) < 0)
                        continue;
                *ret = TAKE_PTR(path);
                return 0;
        }
        return error_set(e, -ENOENT,
                "%s is neither in %s nor in ../sbin or ../libexec of it: build or install it", name, self);
}
