/* The attachments of a set: links, pinned as "link_<program>" or held by the process. */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "bpf/internal.h"
#include "bpf/libbpf_calls.h"

#define LINK_PREFIX "link_"
#define DETACH_TRIES 400
#define DETACH_PAUSE_USEC 500

static char *link_path(const struct bpf_probes *p, const char *program)
{
        return xasprintf("%s/" LINK_PREFIX "%s", p->pins, program);
}

int set_link_attach(struct bpf_probes *p, const char *program, int program_fd, struct error *e)
{
        _cleanup_free_ char *path = p->pins ? link_path(p, program) : NULL;
        _cleanup_fd_ int fd = bpf_raw_tracepoint_open(NULL, program_fd);

        if (fd < 0)
                return error_set_errno(e, fd, "attaching the BPF program %s to its tracepoint", program);
        if (!path) {
                assert(p->link_count < SET_LINKS_MAX);
                p->links[p->link_count++] = TAKE_FD(fd);
                return 0;
        }
        if (bpf_obj_pin(fd, path) < 0)
                return error_set_errno(e, -errno, "pinning %s", path);
        return 0;
}

static int link_info(const char *path, struct bpf_link_info *ret)
{
        _cleanup_fd_ int fd = bpf_obj_get(path);
        uint32_t size = sizeof(*ret);

        if (fd < 0)
                return fd;
        memset(ret, 0, sizeof(*ret));
        return bpf_obj_get_info_by_fd(fd, ret, &size) < 0 ? -errno : 0;
}

int set_link_check(const struct bpf_probes *p, const char *program, struct error *e)
{
        _cleanup_free_ char *path = link_path(p, program);
        struct bpf_link_info info;
        int r = link_info(path, &info);

        if (r < 0)
                return error_set_errno(e, r, "opening %s", path);
        if (info.type != BPF_LINK_TYPE_RAW_TRACEPOINT)
                return error_set(e, -ESTALE, "%s is not the link of a tracepoint", path);
        return 0;
}

/* The kernel detaches some milliseconds after the pin is gone;
 * attaching a successor earlier would count twice. */
static void wait_until_gone(uint32_t link_id)
{
        for (int i = 0; i < DETACH_TRIES; i++) {
                _cleanup_fd_ int fd = bpf_link_get_fd_by_id(link_id);

                if (fd < 0)
                        return;
                fd = close_fd(fd);
                (void)usleep(DETACH_PAUSE_USEC);
        }
}

void set_links_drop(const struct bpf_probes *p, const char *program)
{
        uint32_t ids[SET_LINKS_MAX];
        size_t count = 0;
        struct dirent *d;
        DIR *dir = p->pins ? opendir(p->pins) : NULL;

        while (dir && (d = readdir(dir))) {
                struct bpf_link_info info;
                _cleanup_free_ char *path = NULL;

                if (!str_has_prefix(d->d_name, LINK_PREFIX))
                        continue;
                if (program && !str_equal(d->d_name + strlen(LINK_PREFIX), program))
                        continue;
                path = xasprintf("%s/%s", p->pins, d->d_name);
                if (link_info(path, &info) == 0 && count < ELEMENTSOF(ids))
                        ids[count++] = info.id;
                (void)unlink(path);
        }
        if (dir)
                (void)closedir(dir);
        for (size_t i = 0; i < count; i++)
                wait_until_gone(ids[i]);
}
