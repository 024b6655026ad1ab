/* Replays files through a fuzz target without libFuzzer: corpora are ordinary tests. Directories are read one level deep. */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "lib/base/util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(int dirfd, const char *name)
{
        _cleanup_free_ char *data = NULL;
        size_t len = 0;
        int r = read_file_at(dirfd, name, 16u << 20, &data, &len);
        if (r < 0) {
                fprintf(stderr, "cannot read %s: error %d\n", name, -r);
                return r;
        }
        (void)LLVMFuzzerTestOneInput((const uint8_t *)data, len);
        return 0;
}

int main(int argc, char **argv)
{
        size_t count = 0;
        for (int i = 1; i < argc; i++) {
                DIR *d = opendir(argv[i]);
                if (!d)
                        return 2;
                for (struct dirent *e; (e = readdir(d));) {
                        if (e->d_name[0] == '.')
                                continue;
                        if (replay_file(dirfd(d), e->d_name) < 0)
                                return 1;
                        count++;
                }
                (void)closedir(d);
        }
        printf("replayed %zu inputs\n", count);
        return count > 0 ? 0 : 1;
}
