/*
 * What the fetcher takes from others. Byte 0 picks what the rest is: a request as the agent writes it, a URI, a CommandInfo in JSON, or an
 * archive by one of its names. What an archive unpacks lies below the sandbox, and is within the budget.
 */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/fetcher.h"
#include "agent/fetcher/fetcher_run.h"
#include "lib/net/codec.h"

#define INPUT_MAX 65536
#define BUDGET_BYTES (1 << 20)
#define BUDGET_ENTRIES 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- requests ---- */

/* What decodes is what would be encoded. */
static void check_request(const void *data, size_t size)
{
        struct fetch_job *j = NULL;
        _cleanup_buffer_ struct buffer b = {};

        if (fetch_request_decode(data, size, &j) < 0)
                return;
        for (size_t i = 0; i < j->item_count; i++)
                if (!j->items[i].uri || !j->items[i].source ||
                        (*j->items[i].output && !fetch_path_is_legal(j->items[i].output)))
                        abort();
        fetch_request_encode(j, &b);
        if (b.len != size || memcmp(b.data, data, size) != 0)
                abort();
        fetch_job_free(j);
}

/* ---- names ---- */

static void check_name(const void *data, size_t size)
{
        _cleanup_free_ char *uri = xstrndup(data, size), *source = NULL;
        _cleanup_error_ struct error e = {}, e2 = {};
        const char *base = NULL;

        if (fetch_uri_source(uri, "/home", &source, &e) >= 0 && source[0] != '/' && !strstr(source, "://"))
                abort();
        if (fetch_uri_basename(uri, &base, &e2) >= 0 && (!fetch_path_is_legal(base) || strchr(base, '/')))
                abort();
        (void)extract_is_archive(uri);
        if (fetch_path_is_legal(uri) && (*uri == '/' || strstr(uri, "/../") || str_has_prefix(uri, "../")))
                abort();
}

static void check_command(const void *data, size_t size)
{
        ProtobufCMessage *m = NULL;
        _cleanup_error_ struct error e = {};

        if (message_decode(CODEC_JSON, &mete__v1__command_info__descriptor, data, size, &m, NULL) < 0)
                return;
        const Mete__V1__CommandInfo *c = (const Mete__V1__CommandInfo *)m;
        if ((fetch_check_uris(c->uris, c->n_uris, "command.uris", &e) < 0) != (e.message != NULL))
                abort();
        message_free(m);
}

/* ---- archives ---- */

static uint64_t unpacked_bytes, unpacked_entries;

static int count(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        unpacked_entries++;
        if (type == FTW_F && st->st_nlink == 1)
                unpacked_bytes += (uint64_t)st->st_size;
        if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode) && !S_ISLNK(st->st_mode))
                abort();
        if (st->st_mode & (S_ISUID | S_ISGID))
                abort();
        return 0;
}

static size_t entries_of(const char *path)
{
        DIR *d = opendir(path);
        size_t n = 0;

        if (!d)
                abort();
        for (const struct dirent *x; (x = readdir(d));)
                n += x->d_name[0] != '.' || (x->d_name[1] && !str_equal(x->d_name, ".."));
        (void)closedir(d);
        return n;
}

static void check_archive(const char *name, const void *data, size_t size)
{
        struct fetch_budget budget = {BUDGET_BYTES, BUDGET_BYTES, BUDGET_ENTRIES};
        char place[] = "/tmp/mete-fuzz-XXXXXX";
        _cleanup_fd_ int archive = memfd_create("archive", MFD_CLOEXEC), sandbox = -1;
        _cleanup_free_ char *path = NULL;
        _cleanup_error_ struct error e = {};

        if (archive < 0 || write_all(archive, data, size) < 0 || !mkdtemp(place))
                abort();
        path = xasprintf("%s/sandbox", place);
        if (mkdir(path, 0755) < 0 || (sandbox = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
                abort();
        if ((extract_archive(sandbox, archive, name, &budget, &e) < 0) != (e.message != NULL))
                abort();
        unpacked_bytes = unpacked_entries = 0;
        if (entries_of(place) != 1 || nftw(path, count, 16, FTW_PHYS) < 0)
                abort();
        if (unpacked_bytes > BUDGET_BYTES)
                abort();
        if (remove_tree_at(AT_FDCWD, place) < 0)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const char *const names[] = {"a.tar", "a.tgz", "a.zip", "a.gz", "a.tar.xz", "a.tbz2"};

        if (!size || size > INPUT_MAX)
                return 0;
        unsigned what = data[0] % 16; /* '0' and on in readable inputs */
        data++, size--;
        if (what == 0)
                check_request(data, size);
        else if (what == 1)
                check_name(data, size);
        else if (what == 2)
                check_command(data, size);
        else
                check_archive(names[(what - 3) % ELEMENTSOF(names)], data, size);
        return 0;
}
