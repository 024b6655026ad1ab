/* The records of a container, as text: shims outlive upgrades of the agent. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "agent/shim/shim.h"
#include "lib/base/table.h"

static const char *const shim_phase_names[SHIM_PHASE_MAX] = {
        [SHIM_PHASE_SHIM] = "shim",
        [SHIM_PHASE_PREPARED] = "prepared",
        [SHIM_PHASE_INIT] = "init",
        [SHIM_PHASE_NAMESPACE] = "namespace",
        [SHIM_PHASE_ROOT] = "root",
        [SHIM_PHASE_MOUNT] = "mount",
        [SHIM_PHASE_PROTECT] = "protect",
        [SHIM_PHASE_TASK] = "task",
        [SHIM_PHASE_READY] = "ready",
        [SHIM_PHASE_STARTED] = "started",
};

const char *shim_phase_to_string(enum shim_phase p)
{
        return table_to_string(shim_phase_names, ELEMENTSOF(shim_phase_names), (int)p);
}

#define RECORD_FILE_MAX 4096

static void copy_one_line(char *to, size_t size, const char *from)
{
        size_t i = 0;

        for (; from[i] && i + 1 < size; i++)
                to[i] = (unsigned char)from[i] < ' ' || from[i] == 0x7f ? ' ' : from[i];
        to[i] = '\0';
}

int shim_record_write(int state_dirfd, enum shim_event event, const struct shim_record *r)
{
        char text[RECORD_FILE_MAX], stage[sizeof(r->failed_stage)], reason[SHIM_TEXT_MAX];
        const char *name;
        int n;

        if (event == SHIM_EVENT_EXITED) {
                copy_one_line(stage, sizeof(stage), r->failed_stage);
                copy_one_line(reason, sizeof(reason), r->failed_text);
                name = "exit";
                n = snprintf(text, sizeof(text),
                        "finished_ns %llu\nwait_status %d\nfailed_errno %d\nfailed_stage %s\nfailed_text "
                        "%s\n",
                        (unsigned long long)r->finished_wall_ns, r->wait_status, r->failed_errno, stage,
                        reason);
        } else if (event == SHIM_EVENT_STARTED) {
                name = "started";
                n = snprintf(text, sizeof(text), "pid %d\nstart_ticks %llu\nstarted_ns %llu\n", r->init.pid,
                        (unsigned long long)r->init.start_ticks, (unsigned long long)r->started_wall_ns);
        } else {
                name = "shim";
                n = snprintf(text, sizeof(text), "pid %d\nstart_ticks %llu\n", r->shim.pid,
                        (unsigned long long)r->shim.start_ticks);
        }
        return write_file_atomic_at(state_dirfd, name, text, (size_t)n, 0600, /* sync= */ false);
}

/* The value of "key value\n" in a NUL-terminated text, cut out in place; NULL when there is none. */
static char *take_value(char *text, const char *key, char *buf, size_t size)
{
        size_t len = strlen(key);

        for (char *line = text; line && *line;) {
                char *end = strchr(line, '\n');
                if (!end)
                        return NULL;
                if (strncmp(line, key, len) == 0 && line[len] == ' ') {
                        size_t n = (size_t)(end - line) - len - 1;
                        if (n >= size)
                                return NULL;
                        memcpy(buf, line + len + 1, n);
                        buf[n] = '\0';
                        return buf;
                }
                line = end + 1;
        }
        return NULL;
}

static int take_u64(char *text, const char *key, uint64_t max, uint64_t *ret)
{
        char buf[32];

        if (!take_value(text, key, buf, sizeof(buf)) || parse_u64(buf, max, ret) < 0)
                return -EBADMSG;
        return 0;
}

static int parse_process(char *text, struct process_id *ret)
{
        uint64_t pid;

        if (take_u64(text, "pid", INT32_MAX, &pid) < 0 ||
                take_u64(text, "start_ticks", UINT64_MAX, &ret->start_ticks) < 0)
                return -EBADMSG;
        ret->pid = (pid_t)pid;
        return 0;
}

static int parse_shim(char *text, struct shim_record *r)
{
        return parse_process(text, &r->shim);
}

static int parse_started(char *text, struct shim_record *r)
{
        int res = parse_process(text, &r->init);

        return res < 0 ? res : take_u64(text, "started_ns", UINT64_MAX, &r->started_wall_ns);
}

static int parse_exit(char *text, struct shim_record *r)
{
        uint64_t status, failed;

        if (take_u64(text, "finished_ns", UINT64_MAX, &r->finished_wall_ns) < 0 ||
                take_u64(text, "wait_status", 0xffff, &status) < 0 ||
                take_u64(text, "failed_errno", 4095, &failed) < 0 || r->finished_wall_ns == 0 ||
                !take_value(text, "failed_stage", r->failed_stage, sizeof(r->failed_stage)) ||
                !take_value(text, "failed_text", r->failed_text, sizeof(r->failed_text)))
                return -EBADMSG;
        r->wait_status = (int)status;
        r->failed_errno = (int)failed;
        return 0;
}

int shim_record_read(int state_dirfd, struct shim_record *ret)
{
        static const struct {
                const char *name;
                int (*parse)(char *text, struct shim_record *r);
        } files[] = {{"shim", parse_shim}, {"started", parse_started}, {"exit", parse_exit}};
        struct shim_record record = {0};
        int found = 0;

        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                _cleanup_free_ char *text = NULL;
                size_t len;
                int r = read_file_at(state_dirfd, files[i].name, RECORD_FILE_MAX, &text, &len);
                if (r == -ENOENT)
                        continue;
                if (r == -E2BIG || (r >= 0 && strlen(text) != len))
                        return -EBADMSG;
                if (r >= 0)
                        r = files[i].parse(text, &record);
                if (r < 0)
                        return r;
                found++;
        }
        if (!found)
                return -ENOENT;
        *ret = record;
        return 0;
}

int shim_lock_take(int state_dirfd, int *ret_fd)
{
        _cleanup_fd_ int fd =
                openat(state_dirfd, SHIM_LOCK_NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

        if (fd < 0)
                return -errno;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? -EBUSY : -errno;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int shim_lock_held(int state_dirfd)
{
        _cleanup_fd_ int fd = openat(state_dirfd, SHIM_LOCK_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;
        /* Shared: two who ask at the same time do not see each other. Closing lets go. */
        if (flock(fd, LOCK_SH | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? 1 : -errno;
        return 0;
}
