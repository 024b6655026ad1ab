#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/id.h"
#include "lib/base/table.h"
#include "lib/linux/cgroup_internal.h"

#define NAME_DEPTH_MAX 16
#define NAME_LENGTH_MAX 2048

static const char *const cgroup_layout_names[CGROUP_LAYOUT_MAX] = {
        [CGROUP_LAYOUT_UNIFIED] = "unified",
        [CGROUP_LAYOUT_HYBRID] = "hybrid",
};

static const char *const cgroup_controller_names[CGROUP_CONTROLLER_MAX] = {
        [CGROUP_CPU] = "cpu",
        [CGROUP_CPUACCT] = "cpuacct",
        [CGROUP_CPUSET] = "cpuset",
        [CGROUP_MEMORY] = "memory",
        [CGROUP_PIDS] = "pids",
        [CGROUP_IO] = "io",
        [CGROUP_DEVICES] = "devices",
        [CGROUP_FREEZER] = "freezer",
};

const char *cgroup_layout_to_string(enum cgroup_layout l)
{
        return table_to_string(cgroup_layout_names, ELEMENTSOF(cgroup_layout_names), (int)l);
}

const char *cgroup_controller_to_string(enum cgroup_controller c)
{
        return table_to_string(cgroup_controller_names, ELEMENTSOF(cgroup_controller_names), (int)c);
}

const char *cgroup_controller_v1_name(enum cgroup_controller c)
{
        return c == CGROUP_IO ? "blkio" : cgroup_controller_names[c];
}

const char *cgroup_controller_v2_name(enum cgroup_controller c)
{
        return CONTROLLERS_V2 & CONTROLLER_BIT(c) ? cgroup_controller_names[c] : NULL;
}

int cgroup_file_write(int dirfd, const char *file, const char *text)
{
        if (dirfd < 0)
                return -ENOENT;
        _cleanup_fd_ int fd = openat(dirfd, file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return -errno;
        /* A control file takes one write as one command: a short one cannot be continued. */
        size_t len = strlen(text);
        ssize_t n;
        do
                n = write(fd, text, len);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        return (size_t)n == len ? 0 : -EIO;
}

int cgroup_file_write_u64(int dirfd, const char *file, uint64_t value)
{
        char text[24];

        (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
        return cgroup_file_write(dirfd, file, text);
}

int cgroup_fd_read(int fd, char *buf, size_t size)
{
        size_t len = 0;

        while (len < size) {
                ssize_t n = pread(fd, buf + len, size - len, (off_t)len);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                /* seq_file hands out what fits into a page or the buffer, so only an empty read is the end; most files end in one. */
                if (n == 0 || (buf[len + (size_t)n - 1] == '\n' && len + (size_t)n < size && n < 2048)) {
                        buf[len + (size_t)n] = '\0';
                        return 0;
                }
                len += (size_t)n;
        }
        return -E2BIG;
}

int cgroup_file_read(int dirfd, const char *file, char *buf, size_t size)
{
        if (dirfd < 0)
                return -ENOENT;
        _cleanup_fd_ int fd = openat(dirfd, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        return fd < 0 ? -errno : cgroup_fd_read(fd, buf, size);
}

/* The digits at s up to a line end or blank. */
static int parse_number(const char *s, uint64_t *ret)
{
        char digits[24];
        size_t len = strcspn(s, " \n");

        if (len == 0)
                return -EBADMSG;
        if (len >= sizeof(digits)) /* longer than any number that fits */
                return s[strspn(s, "0123456789")] == s[len] ? -ERANGE : -EBADMSG;
        memcpy(digits, s, len);
        digits[len] = '\0';
        int r = parse_u64(digits, UINT64_MAX, ret);
        return r == -EINVAL ? -EBADMSG : r;
}

int cgroup_parse_value(const char *text, uint64_t *ret)
{
        if (str_equal(text, "max") || str_equal(text, "max\n")) {
                *ret = UINT64_MAX;
                return 0;
        }
        return parse_number(text, ret);
}

int cgroup_parse_keyed(const char *text, const char *key, uint64_t *ret)
{
        size_t key_len = strlen(key);

        for (const char *line = text; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
                if (strncmp(line, key, key_len) == 0 && line[key_len] == ' ')
                        return parse_number(line + key_len + 1, ret);
        return -ENOENT;
}

unsigned cgroup_parse_controllers(const char *text)
{
        unsigned bits = 0;

        for (const char *p = text; *p;) {
                p += strspn(p, " \n");
                size_t len = strcspn(p, " \n");
                for (int c = 0; c < CGROUP_CONTROLLER_MAX; c++) {
                        const char *name = cgroup_controller_v2_name((enum cgroup_controller)c);
                        if (name && strlen(name) == len && memcmp(p, name, len) == 0)
                                bits |= CONTROLLER_BIT(c);
                }
                p += len;
        }
        return bits;
}

/* Names of the kernel's own files: "tasks" is one in every v1 group, "memory.max" where the controller is. */
static bool component_is_reserved(const char *s, size_t len)
{
        static const char *const files[] = {"tasks", "notify_on_release", "release_agent"};
        static const char *const prefixes[] = {"_", "cgroup.", "cpu.", "cpuacct.", "cpuset.", "memory.",
                "pids.", "blkio.", "io.", "devices.", "freezer.", "hugetlb.", "rdma.", "misc.", "net_cls.",
                "net_prio.", "perf_event.", "dmem.", "irq.", "debug."};

        for (size_t i = 0; i < ELEMENTSOF(files); i++)
                if (strlen(files[i]) == len && memcmp(files[i], s, len) == 0)
                        return true;
        for (size_t i = 0; i < ELEMENTSOF(prefixes); i++)
                if (strlen(prefixes[i]) <= len && memcmp(prefixes[i], s, strlen(prefixes[i])) == 0)
                        return true;
        return false;
}

char *cgroup_name_to_directory(const char *name)
{
        _cleanup_buffer_ struct buffer b = {0};

        for (const char *p = name;;) {
                size_t len = strcspn(p, "/");
                if (component_is_reserved(p, len))
                        buffer_puts(&b, "_");
                buffer_append(&b, p, len);
                if (!p[len])
                        break;
                buffer_puts(&b, "/");
                p += len + 1;
        }
        return b.data ? buffer_take(&b) : xstrdup("");
}

const char *cgroup_name_from_directory(const char *directory)
{
        return *directory == '_' ? directory + 1 : directory;
}

int cgroup_name_validate(const char *name, bool allow_empty, struct error *e)
{
        if (str_empty(name))
                return allow_empty ? 0 : error_set(e, -EINVAL, "the name of a control group is empty");
        if (strlen(name) > NAME_LENGTH_MAX)
                return error_set(
                        e, -EINVAL, "the name of a control group is longer than %d bytes", NAME_LENGTH_MAX);

        _cleanup_free_ char *copy = xstrdup(name);
        size_t depth = 0;
        for (char *p = copy, *next; p; p = next) {
                next = strchr(p, '/');
                if (next)
                        *next++ = '\0';
                int r = id_validate(p, "control group", e);
                if (r < 0)
                        return r;
                if (++depth > NAME_DEPTH_MAX)
                        return error_set(e, -EINVAL,
                                "the name of a control group has more than %d components", NAME_DEPTH_MAX);
        }
        return 0;
}
