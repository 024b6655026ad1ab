/*
 * The static payload of the integration tests: it runs inside a task and reports, as plain "key value" lines,
 * what it sees and gets. One verb per function; the table at the end is the help.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Every system call number of this architecture by name, generated from <asm/unistd_64.h>. */
static const struct {
        const char *name;
        long number;
} syscalls[] = {
#include "tests/syscalls.inc"
};

static uint64_t now_ns(clockid_t clock)
{
        struct timespec t;
        clock_gettime(clock, &t);
        return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static double number(const char *s)
{
        return s ? atof(s) : 0;
}

static void burn_until(uint64_t end_ns)
{
        static volatile unsigned sink;
        while (now_ns(CLOCK_MONOTONIC) < end_ns)
                for (int i = 0; i < 1000; i++)
                        sink += (unsigned)i;
}

/* CPU time of this process and of every child it reaped, as the kernel's own thread clocks give it. */
static void print_cpu(void)
{
        struct rusage self, children;
        getrusage(RUSAGE_SELF, &self);
        getrusage(RUSAGE_CHILDREN, &children);
        double total = 0;
        const struct timeval *all[] = {
                &self.ru_utime, &self.ru_stime, &children.ru_utime, &children.ru_stime};
        for (size_t i = 0; i < 4; i++)
                total += (double)all[i]->tv_sec + (double)all[i]->tv_usec / 1e6;
        printf("cpu_seconds %.6f\n", total);
        fflush(stdout);
}

/* The moment at which the payload runs, on a clock that the spawner shares. */
static int verb_stamp(char **args)
{
        printf("%llu\n", (unsigned long long)now_ns(CLOCK_MONOTONIC));
        return 0;
}

static int verb_spin(char **args)
{
        burn_until(now_ns(CLOCK_MONOTONIC) + (uint64_t)(number(args[0]) * 1e9));
        print_cpu();
        return 0;
}

/* duty ON_US OFF_US SECONDS */
static int verb_duty(char **args)
{
        uint64_t on = (uint64_t)(number(args[0]) * 1e3), off = (uint64_t)(number(args[1]) * 1e3);
        uint64_t end = now_ns(CLOCK_MONOTONIC) + (uint64_t)(number(args[2]) * 1e9);
        while (now_ns(CLOCK_MONOTONIC) < end) {
                burn_until(now_ns(CLOCK_MONOTONIC) + on);
                nanosleep(&(struct timespec){.tv_nsec = (long)off}, NULL);
        }
        print_cpu();
        return 0;
}

/* Children that live for about a millisecond, one after another. */
static int verb_forks(char **args)
{
        uint64_t end = now_ns(CLOCK_MONOTONIC) + (uint64_t)(number(args[0]) * 1e9);
        unsigned long count = 0;
        while (now_ns(CLOCK_MONOTONIC) < end) {
                pid_t pid = fork();
                if (pid == 0) {
                        burn_until(now_ns(CLOCK_MONOTONIC) + 500000);
                        _exit(0);
                }
                if (pid < 0)
                        return 1;
                waitpid(pid, NULL, 0);
                count++;
        }
        printf("forks %lu\n", count);
        print_cpu();
        return 0;
}

static int verb_eat(char **args)
{
        size_t size = (size_t)number(args[0]);
        char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
                return 1;
        for (size_t i = 0; i < size; i += 4096)
                p[i] = 1;
        printf("ate %zu\n", size);
        fflush(stdout);
        if (args[1])
                sleep((unsigned)number(args[1]));
        return 0;
}

/* Forks without end; what could not be forked any more waits to be killed. */
static int verb_forkbomb(char **args)
{
        unsigned long count = 0;
        for (;;) {
                pid_t pid = fork();
                if (pid == 0) {
                        signal(SIGTERM, SIG_IGN);
                        for (;;)
                                pause();
                }
                if (pid < 0)
                        break;
                count++;
        }
        printf("children %lu errno %d\n", count, errno);
        fflush(stdout);
        signal(SIGTERM, SIG_IGN);
        for (;;)
                pause();
        return 0;
}

static void list_directory(const char *key, const char *path)
{
        DIR *d = opendir(path);
        if (!d) {
                printf("%s !%s\n", key, strerror(errno));
                return;
        }
        for (struct dirent *e; (e = readdir(d));)
                if (e->d_name[0] != '.')
                        printf("%s %s\n", key, e->d_name);
        closedir(d);
}

static void print_file_lines(const char *key, const char *path)
{
        FILE *f = fopen(path, "re");
        char line[4096];
        while (f && fgets(line, sizeof(line), f))
                printf("%s %s", key, line);
        if (f)
                fclose(f);
}

static void print_processes(void)
{
        DIR *d = opendir("/proc");
        for (struct dirent *e; d && (e = readdir(d));) {
                if (e->d_name[0] < '0' || e->d_name[0] > '9')
                        continue;
                char path[300], comm[64] = "";
                snprintf(path, sizeof(path), "/proc/%s/comm", e->d_name);
                FILE *f = fopen(path, "re");
                if (f && fgets(comm, sizeof(comm), f))
                        comm[strcspn(comm, "\n")] = 0;
                if (f)
                        fclose(f);
                printf("process %s %s\n", e->d_name, comm);
        }
        if (d)
                closedir(d);
}

static int verb_report(char **args)
{
        char host[256] = "", cwd[4096] = "";
        gethostname(host, sizeof(host));
        printf("hostname %s\ncwd %s\npid %d\nuid %u\ngid %u\n", host, getcwd(cwd, sizeof(cwd)) ? cwd : "!",
                getpid(), geteuid(), getegid());
        for (int fd = 0; fd < 4096; fd++)
                if (fcntl(fd, F_GETFD) >= 0)
                        printf("fd %d\n", fd);
        print_processes();
        print_file_lines("status", "/proc/self/status");
        print_file_lines("mount", "/proc/self/mountinfo");
        print_file_lines("cgroup", "/proc/self/cgroup");
        print_file_lines("net", "/proc/net/dev");
        print_file_lines("limit", "/proc/self/limits");
        list_directory("root", "/");
        list_directory("dev", "/dev");
        list_directory("tmp", "/tmp");
        list_directory("run", "/run");
        for (char **e = environ; *e; e++)
                printf("env %s\n", *e);
        return 0;
}

/* syscalls NAME...: each with arguments that no call accepts; prints "NAME errno". */
static int verb_syscalls(char **args)
{
        for (; *args; args++) {
                long nr = -1;
                for (size_t i = 0; i < sizeof(syscalls) / sizeof(syscalls[0]); i++)
                        if (strcmp(syscalls[i].name, *args) == 0)
                                nr = syscalls[i].number;
                if (nr < 0) {
                        printf("%s unknown\n", *args);
                        continue;
                }
                errno = 0;
                long r = syscall(nr, -1L, -1L, -1L, -1L, -1L, -1L);
                printf("%s %d\n", *args, r < 0 ? errno : 0);
                fflush(stdout);
        }
        return 0;
}

/* Names of all system calls that this build knows, one a line: so that the test covers every one that the
 * profile does not allow. */
static int verb_syscall_names(char **args)
{
        for (size_t i = 0; i < sizeof(syscalls) / sizeof(syscalls[0]); i++)
                puts(syscalls[i].name);
        return 0;
}

/* The x32 form of getpid: a filter that looks at the number alone would let it through. */
static int verb_x32(char **args)
{
        errno = 0;
        long r = syscall(0x40000000 + SYS_getpid);
        printf("x32 %ld %d\n", r, errno);
        return 0;
}

/* The i386 gate: its number 20 is getpid, which for the 64-bit table is writev. */
static int verb_i386(char **args)
{
        long r = -ENOSYS;
#if defined(__x86_64__)
        __asm__ volatile("int $0x80" : "=a"(r) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
#endif
        printf("i386 %ld\n", r);
        return 0;
}

/* deep COUNT: nested directories, far beyond PATH_MAX, from the working directory on. */
static int verb_deep(char **args)
{
        long count = (long)number(args[0]), made = 0;
        while (made < count && mkdir("d", 0700) == 0 && chdir("d") == 0)
                made++;
        printf("deep %ld\n", made);
        return 0;
}

/* inodes COUNT DIRECTORY: empty files, until there is no room or the kernel kills us. */
static int verb_inodes(char **args)
{
        long count = (long)number(args[0]), made = 0;
        for (; made < count; made++) {
                char path[4096];
                snprintf(path, sizeof(path), "%s/f%ld", args[1], made);
                int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
                if (fd < 0)
                        break;
                close(fd);
        }
        printf("inodes %ld\n", made);
        return 0;
}

/* hold PORT COUNT TEXT: connections to loopback that send TEXT and nothing more, until a signal comes. */
static int verb_hold(char **args)
{
        struct sockaddr_in a = {.sin_family = AF_INET,
                .sin_port = htons((uint16_t)number(args[0])),
                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        long open_now = 0;
        for (long i = 0; i < (long)number(args[1]); i++) {
                int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
                if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
                        break;
                if (args[2] && write(fd, args[2], strlen(args[2])) < 0)
                        break;
                open_now++;
        }
        printf("held %ld\n", open_now);
        fflush(stdout);
        pause();
        return 0;
}

/* swap SECONDS TARGET: what stands where the log files are changes all the time, while output goes on. */
static int verb_swap(char **args)
{
        uint64_t end = now_ns(CLOCK_MONOTONIC) + (uint64_t)(number(args[0]) * 1e9);
        static char block[8192];
        memset(block, 'x', sizeof(block));
        for (unsigned i = 0; now_ns(CLOCK_MONOTONIC) < end; i++) {
                const char *name = i % 8 < 4 ? "stdout" : "stdout.1";
                (void)unlink(name);
                (void)rmdir(name);
                int made = i % 4 == 0   ? symlink(args[1], name)
                           : i % 4 == 1 ? mkfifo(name, 0666)
                           : i % 4 == 2 ? link("mine", name)
                                        : mkdir(name, 0700);
                if (made < 0 && errno != EEXIST && errno != ENOENT)
                        return 1;
                if (write(STDOUT_FILENO, block, sizeof(block)) < 0)
                        return 1;
        }
        return 0;
}

static int verb_namespaces(char **args)
{
        static const struct {
                const char *name;
                int flag;
        } all[] = {{"user", CLONE_NEWUSER}, {"mount", CLONE_NEWNS}, {"pid", CLONE_NEWPID},
                {"net", CLONE_NEWNET}, {"uts", CLONE_NEWUTS}};
        for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
                int r = unshare(all[i].flag);
                printf("unshare_%s %d\n", all[i].name, r < 0 ? errno : 0);
                pid_t pid = (pid_t)syscall(SYS_clone, all[i].flag | SIGCHLD, 0, 0, 0, 0);
                if (pid == 0)
                        _exit(0);
                printf("clone_%s %d\n", all[i].name, pid < 0 ? errno : 0);
        }
        return 0;
}

/* open PATH FLAGS...: r, w or d (device node made with mknod first); prints "open PATH errno". */
static int verb_open(char **args)
{
        for (; args[0]; args++) {
                const char *mode = strchr(args[0], ':');
                int flags = mode && mode[1] == 'w' ? O_WRONLY : O_RDONLY;
                char path[4096];
                snprintf(path, sizeof(path), "%.*s", mode ? (int)(mode - args[0]) : (int)strlen(args[0]),
                        args[0]);
                int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK);
                char byte;
                ssize_t n = fd >= 0 && flags == O_RDONLY ? read(fd, &byte, 1) : -1;
                printf("open %s %d %zd\n", path, fd < 0 ? errno : 0, n);
                if (fd >= 0)
                        close(fd);
        }
        return 0;
}

/* lines COUNT BYTES: numbered lines, for output and rotation. */
static int verb_lines(char **args)
{
        long count = (long)number(args[0]), width = args[1] ? (long)number(args[1]) : 16;
        for (long i = 0; i < count; i++)
                printf("%0*ld\n", (int)width - 1, i);
        return 0;
}

/* until PATH: waits for the file, with a deadline: a test's way to hold a task until it is told. */
static int verb_until(char **args)
{
        uint64_t end = now_ns(CLOCK_MONOTONIC) + 120000000000u;
        while (access(args[0], F_OK) != 0 && now_ns(CLOCK_MONOTONIC) < end)
                nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
        return access(args[0], F_OK) == 0 ? 0 : 1;
}

/* trap SIGNAL: prints when it comes, exits 42. */
static volatile sig_atomic_t trapped;
static void on_signal(int signo)
{
        trapped = signo;
}
static int verb_trap(char **args)
{
        signal(atoi(args[0]), on_signal);
        puts("ready");
        fflush(stdout);
        while (!trapped)
                pause();
        printf("trapped %d\n", (int)trapped);
        return 42;
}

/* listen: can a loopback connection be made inside? */
static int verb_loopback(char **args)
{
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof(a);
        int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
            c = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (bind(s, (struct sockaddr *)&a, len) < 0 || listen(s, 1) < 0 ||
                getsockname(s, (struct sockaddr *)&a, &len) < 0 ||
                connect(c, (struct sockaddr *)&a, len) < 0) {
                printf("loopback !%s\n", strerror(errno));
                return 1;
        }
        printf("loopback ok\n");
        int raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
        printf("raw %d\n", raw < 0 ? errno : 0);
        if (args[0]) { /* connect to a port of the host's loopback */
                a.sin_port = htons((uint16_t)atoi(args[0]));
                int h = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
                printf("host %d\n", connect(h, (struct sockaddr *)&a, sizeof(a)) < 0 ? errno : 0);
        }
        return 0;
}

static const struct {
        const char *name;
        int (*run)(char **args);
} verbs[] = {
        {"stamp", verb_stamp},
        {"spin", verb_spin},
        {"duty", verb_duty},
        {"forks", verb_forks},
        {"eat", verb_eat},
        {"forkbomb", verb_forkbomb},
        {"report", verb_report},
        {"syscalls", verb_syscalls},
        {"syscall-names", verb_syscall_names},
        {"x32", verb_x32},
        {"i386", verb_i386},
        {"deep", verb_deep},
        {"inodes", verb_inodes},
        {"hold", verb_hold},
        {"swap", verb_swap},
        {"namespaces", verb_namespaces},
        {"open", verb_open},
        {"lines", verb_lines},
        {"until", verb_until},
        {"trap", verb_trap},
        {"loopback", verb_loopback},
};

int main(int argc, char **argv)
{
        for (size_t i = 0; argc > 1 && i < sizeof(verbs) / sizeof(verbs[0]); i++)
                if (strcmp(verbs[i].name, argv[1]) == 0)
                        return verbs[i].run(argv + 2);
        fprintf(stderr, "payload VERB [ARG...]:");
        for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
                fprintf(stderr, " %s", verbs[i].name);
        fprintf(stderr, "\n");
        return 2;
}
