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

int shim_record_write(int record_fd, enum shim_event event, const struct shim_record *r)
{
        char text[RECORD_FILE_MAX], stage[sizeof(r->failed_stage)], reason[SHIM_TEXT_MAX];
        int n;

        if (event == SHIM_EVENT_EXITED) {
                copy_one_line(stage, sizeof(stage), r->failed_stage);
                copy_one_line(reason, sizeof(reason), r->failed_text);
                n = snprintf(text, sizeof(text), "exit %llu %d %d %s %s\n",
                        (unsigned long long)r->finished_wall_ns, r->wait_status, r->failed_errno,
                        *stage ? stage : "-", reason);
        } else if (event == SHIM_EVENT_STARTED) {
                n = snprintf(text, sizeof(text), "started %d %llu %llu\n", r->init.pid,
                        (unsigned long long)r->init.start_ticks, (unsigned long long)r->started_wall_ns);
        } else {
                n = snprintf(text, sizeof(text), "shim %d %llu\n", r->shim.pid,
                        (unsigned long long)r->shim.start_ticks);
        }
        return write_all(record_fd, text, (size_t)n);
}

/* The next word of a line, cut out in place; NULL when there is none. */
static char *take_word(char **line)
{
        char *word = *line;
        size_t len = strcspn(word, " ");

        if (len == 0)
                return NULL;
        *line += len;
        if (**line)
                *(*line)++ = '\0';
        return word;
}

static int take_u64(char **line, uint64_t max, uint64_t *ret)
{
        const char *word = take_word(line);

        return word && parse_u64(word, max, ret) == 0 ? 0 : -EBADMSG;
}

static int parse_process(char **line, struct process_id *ret)
{
        uint64_t pid;

        if (take_u64(line, INT32_MAX, &pid) < 0 || take_u64(line, UINT64_MAX, &ret->start_ticks) < 0)
                return -EBADMSG;
        ret->pid = (pid_t)pid;
        return 0;
}

static int parse_shim(char *line, struct shim_record *r)
{
        return parse_process(&line, &r->shim);
}

static int parse_started(char *line, struct shim_record *r)
{
        int res = parse_process(&line, &r->init);

        return res < 0 ? res : take_u64(&line, UINT64_MAX, &r->started_wall_ns);
}

static int parse_exit(char *line, struct shim_record *r)
{
        uint64_t status, failed;

        if (take_u64(&line, UINT64_MAX, &r->finished_wall_ns) < 0 || take_u64(&line, 0xffff, &status) < 0 ||
                take_u64(&line, 4095, &failed) < 0 || r->finished_wall_ns == 0)
                return -EBADMSG;
        const char *stage = take_word(&line);
        if (!stage || strlen(stage) >= sizeof(r->failed_stage) || strlen(line) >= sizeof(r->failed_text))
                return -EBADMSG;
        r->wait_status = (int)status;
        r->failed_errno = (int)failed;
        (void)snprintf(r->failed_stage, sizeof(r->failed_stage), "%s", str_equal(stage, "-") ? "" : stage);
        (void)snprintf(r->failed_text, sizeof(r->failed_text), "%s", line);
        return 0;
}

static int parse_line(char *line, struct shim_record *r)
{
        static const struct {
                const char *word;
                int (*parse)(char *line, struct shim_record *r);
        } kinds[] = {{"shim", parse_shim}, {"started", parse_started}, {"exit", parse_exit}};
        const char *word = take_word(&line);

        for (size_t i = 0; word && i < ELEMENTSOF(kinds); i++)
                if (str_equal(word, kinds[i].word))
                        return kinds[i].parse(line, r);
        return -EBADMSG;
}

int shim_record_read(int state_dirfd, struct shim_record *ret)
{
        struct shim_record record = {0};
        _cleanup_free_ char *text = NULL;
        size_t len;

        int r = read_file_at(state_dirfd, SHIM_RECORD_NAME, RECORD_FILE_MAX, &text, &len);
        if (r == -E2BIG || (r >= 0 && strlen(text) != len))
                return -EBADMSG;
        if (r < 0)
                return r;
        char *line = text, *end = strchr(line, '\n');
        if (!end)
                return -ENOENT;
        /* A last line without an end is one that the shim was killed over. */
        for (; end; line = end + 1, end = strchr(line, '\n')) {
                *end = '\0';
                r = parse_line(line, &record);
                if (r < 0)
                        return r;
        }
        *ret = record;
        return 0;
}

int shim_lock_take(int state_dirfd, int *ret_fd)
{
        _cleanup_fd_ int fd = openat(
                state_dirfd, SHIM_RECORD_NAME, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

        if (fd < 0)
                return -errno;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? -EBUSY : -errno;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int shim_lock_held(int state_dirfd)
{
        _cleanup_fd_ int fd = openat(state_dirfd, SHIM_RECORD_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;
        /* Shared: two who ask at the same time do not see each other. Closing lets go. */
        if (flock(fd, LOCK_SH | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? 1 : -errno;
        return 0;
}
