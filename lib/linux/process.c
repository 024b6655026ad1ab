#include "lib/linux/process.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "lib/linux/syscall.h"

/* A stat line is bounded: 52 numbers of at most 20 digits and a name of at most 64 bytes. */
#define STAT_MAX 4096

/* Reads a small file of /proc in one go; the text is NUL-terminated. */
static int read_small(const char *path, char *buf, size_t size)
{
        _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return -errno;

        size_t len = 0;
        while (len < size - 1) {
                ssize_t n = read(fd, buf + len, size - 1 - len);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                len += (size_t)n;
        }
        buf[len] = '\0';
        return len == size - 1 ? -E2BIG : 0;
}

/* Fields are counted behind the last ')': the process chooses its name, which may hold spaces and brackets.
 */
static int parse_start_ticks(char *stat, uint64_t *ret)
{
        char *p = strrchr(stat, ')');
        if (!p)
                return -EBADMSG;

        char *save = NULL;
        char *word = strtok_r(p + 1, " \n", &save); /* field 3 */
        for (int field = 3; word && field < 22; field++)
                word = strtok_r(NULL, " \n", &save);
        if (!word || parse_u64(word, UINT64_MAX, ret) < 0)
                return -EBADMSG;
        return 0;
}

int process_start_ticks(const char *proc_root, pid_t pid, uint64_t *ret)
{
        char path[PATH_MAX];
        char stat[STAT_MAX];

        if (pid <= 0)
                return -EINVAL;
        if (snprintf(path, sizeof(path), "%s/%d/stat", proc_root, (int)pid) >= (int)sizeof(path))
                return -ENAMETOOLONG;
        int r = read_small(path, stat, sizeof(stat));
        if (r == -ENOENT) /* the open fails so; a read of a process that just went gives ESRCH by itself */
                return -ESRCH;
        if (r < 0)
                return r;
        return parse_start_ticks(stat, ret);
}

int process_open(const struct process_id *id, int *ret_pidfd)
{
        if (id->pid <= 0)
                return -EINVAL;

        _cleanup_fd_ int fd = sys_pidfd_open(id->pid, 0);
        if (fd < 0)
                /* EINVAL: the pid is now a thread of somebody else, so the process is gone as well. */
                return fd == -EINVAL ? -ESRCH : fd;

        /*
         * Read after the pidfd was opened. The process we look for existed before this call, so when the pid
         * still has its start time now, it had it at the open too.
         */
        uint64_t ticks;
        int r = process_start_ticks("/proc", id->pid, &ticks);
        if (r < 0)
                return r;
        if (ticks != id->start_ticks)
                return -ESRCH;
        *ret_pidfd = TAKE_FD(fd);
        return 0;
}

int boot_id_read(const char *proc_root, char ret[static BOOT_ID_MAX])
{
        char path[PATH_MAX];
        char text[64];

        if (snprintf(path, sizeof(path), "%s/sys/kernel/random/boot_id", proc_root) >= (int)sizeof(path))
                return -ENAMETOOLONG;
        int r = read_small(path, text, sizeof(text));
        if (r < 0)
                return r;
        text[strcspn(text, "\n")] = '\0';
        if (strlen(text) != 36 || strspn(text, "0123456789abcdef-") != 36)
                return -EBADMSG;
        memcpy(ret, text, 37);
        return 0;
}

/* Names of our own: sigabbrev_np has no entry for real-time signals and none for aliases that people type. */
static const struct {
        int signo;
        const char *name;
} signals[] = {
        {SIGHUP, "SIGHUP"},
        {SIGINT, "SIGINT"},
        {SIGQUIT, "SIGQUIT"},
        {SIGILL, "SIGILL"},
        {SIGTRAP, "SIGTRAP"},
        {SIGABRT, "SIGABRT"},
        {SIGBUS, "SIGBUS"},
        {SIGFPE, "SIGFPE"},
        {SIGKILL, "SIGKILL"},
        {SIGUSR1, "SIGUSR1"},
        {SIGSEGV, "SIGSEGV"},
        {SIGUSR2, "SIGUSR2"},
        {SIGPIPE, "SIGPIPE"},
        {SIGALRM, "SIGALRM"},
        {SIGTERM, "SIGTERM"},
        {SIGCHLD, "SIGCHLD"},
        {SIGCONT, "SIGCONT"},
        {SIGSTOP, "SIGSTOP"},
        {SIGTSTP, "SIGTSTP"},
        {SIGTTIN, "SIGTTIN"},
        {SIGTTOU, "SIGTTOU"},
        {SIGURG, "SIGURG"},
        {SIGXCPU, "SIGXCPU"},
        {SIGXFSZ, "SIGXFSZ"},
        {SIGPROF, "SIGPROF"},
        {SIGWINCH, "SIGWINCH"},
        {SIGIO, "SIGIO"},
        {SIGPWR, "SIGPWR"},
        {SIGSYS, "SIGSYS"},
        {SIGVTALRM, "SIGVTALRM"},
        {SIGSTKFLT, "SIGSTKFLT"},
};

/* The kernel's numbers 1..64, also those that glibc keeps for its threads. */
#define SIGNAL_MAX 64

const char *signal_name(int signo)
{
        static const char *const unnamed[] = {
                "SIG 32",
                "SIG 33",
                "SIG 34",
                "SIG 35",
                "SIG 36",
                "SIG 37",
                "SIG 38",
                "SIG 39",
                "SIG 40",
                "SIG 41",
                "SIG 42",
                "SIG 43",
                "SIG 44",
                "SIG 45",
                "SIG 46",
                "SIG 47",
                "SIG 48",
                "SIG 49",
                "SIG 50",
                "SIG 51",
                "SIG 52",
                "SIG 53",
                "SIG 54",
                "SIG 55",
                "SIG 56",
                "SIG 57",
                "SIG 58",
                "SIG 59",
                "SIG 60",
                "SIG 61",
                "SIG 62",
                "SIG 63",
                "SIG 64",
        };

        for (size_t i = 0; i < ELEMENTSOF(signals); i++)
                if (signals[i].signo == signo)
                        return signals[i].name;
        if (signo >= 32 && signo <= SIGNAL_MAX)
                return unnamed[signo - 32];
        return "SIG ?";
}

int signal_from_string(const char *s)
{
        uint32_t number;

        if (str_empty(s))
                return -EINVAL;
        if (parse_u32(s, SIGNAL_MAX, &number) >= 0)
                return number >= 1 ? (int)number : -EINVAL;
        if (str_has_prefix(s, "SIG"))
                s += 3;
        for (size_t i = 0; i < ELEMENTSOF(signals); i++)
                if (str_equal(signals[i].name + 3, s))
                        return signals[i].signo;
        return -EINVAL;
}

const char *wait_status_format(int wait_status, char buf[static WAIT_STATUS_TEXT_MAX])
{
        if (WIFEXITED(wait_status))
                (void)snprintf(buf, WAIT_STATUS_TEXT_MAX, "exited with status %d", WEXITSTATUS(wait_status));
        else if (WIFSIGNALED(wait_status))
                (void)snprintf(buf, WAIT_STATUS_TEXT_MAX, "terminated by signal %s%s",
                        signal_name(WTERMSIG(wait_status)), WCOREDUMP(wait_status) ? " (core dumped)" : "");
        else if (WIFSTOPPED(wait_status))
                (void)snprintf(buf, WAIT_STATUS_TEXT_MAX, "stopped by signal %s",
                        signal_name(WSTOPSIG(wait_status)));
        else
                (void)snprintf(
                        buf, WAIT_STATUS_TEXT_MAX, "ended with wait status 0x%x", (unsigned)wait_status);
        return buf;
}

int wait_status_exit_code(int wait_status)
{
        if (WIFEXITED(wait_status))
                return WEXITSTATUS(wait_status);
        return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : 255;
}

int machine_cpu_count(void)
{
        /* The kernel wants a mask as large as its own: grow until it fits (8192 CPUs is the largest Debian
         * kernel). */
        for (int cpus = 1024; cpus <= 65536; cpus *= 2) {
                cpu_set_t *set = CPU_ALLOC((size_t)cpus);
                if (!set)
                        break;
                size_t size = CPU_ALLOC_SIZE((size_t)cpus);
                int r = sched_getaffinity(0, size, set);
                int count = r < 0 ? -errno : CPU_COUNT_S(size, set);
                CPU_FREE(set);
                if (count > 0)
                        return count;
                if (count != -EINVAL)
                        break;
        }
        return 1;
}

int machine_memory_bytes(uint64_t *ret)
{
        char text[16384];
        int r = read_small("/proc/meminfo", text, sizeof(text));
        if (r < 0)
                return r;

        const char *p = strstr(text, "MemTotal:");
        if (!p || (p != text && p[-1] != '\n'))
                return -EBADMSG;
        p += strlen("MemTotal:");
        p += strspn(p, " \t");
        char number[24];
        size_t len = strspn(p, "0123456789");
        if (len == 0 || len >= sizeof(number) || !str_has_prefix(p + len, " kB"))
                return -EBADMSG;
        memcpy(number, p, len);
        number[len] = '\0';
        uint64_t kib;
        if (parse_u64(number, UINT64_MAX / 1024, &kib) < 0)
                return -EBADMSG;
        *ret = kib * 1024;
        return 0;
}
