/* Real containers, from the plan to the last record. Needs root. */
#include "tests/unit/agent/shim/harness.h"

static struct harness harness;

static int setup(void **state)
{
        harness_open(&harness);
        return 0;
}

static int teardown(void **state)
{
        harness_close(&harness);
        return 0;
}

/* Runs a shell script that must succeed; returns its output. */
static char *run_script(const char *script)
{
        struct launch l;

        launch_shell(&l, &harness, script);
        launch_run(&l);
        if (l.record.failed_errno)
                fail_msg("%s: %s", l.record.failed_stage, l.record.failed_text);
        char *out = launch_output(&l, "stdout");
        if (l.record.wait_status != 0) {
                char *err = launch_output(&l, "stderr");
                fail_msg("status 0x%x\n%s\n%s", (unsigned)l.record.wait_status, out, err);
        }
        launch_done(&l);
        return out;
}

static void assert_script(const char *script, const char *expected)
{
        char *out = run_script(script);

        assert_string_equal(out, expected);
        free(out);
}

static void test_exit_code(void **state)
{
        struct launch l;

        launch_shell(&l, &harness, "echo out; echo err >&2; exit 7");
        launch_run(&l);
        assert_int_equal(l.record.failed_errno, 0);
        assert_true(WIFEXITED(l.record.wait_status));
        assert_int_equal(WEXITSTATUS(l.record.wait_status), 7);
        assert_true(l.record.started_wall_ns > 0 && l.record.finished_wall_ns >= l.record.started_wall_ns);
        char *out = launch_output(&l, "stdout"), *err = launch_output(&l, "stderr");
        assert_string_equal(out, "out\n");
        assert_string_equal(err, "err\n");
        free(out);
        free(err);
        launch_done(&l);
}

static void test_namespaces(void **state)
{
        char *out = run_script(
                "hostname; echo $$; ls -1 /sys/class/net; cat /proc/1/comm; ls -d /proc/[0-9]* | wc -l");

        /* sh, ls and wc at most beside init. */
        assert_ptr_equal(strstr(out, "test-"), out);
        assert_non_null(strstr(out, "\n2\nlo\nmete-init\n"));
        assert_true(atoi(strstr(out, "mete-init\n") + strlen("mete-init\n")) <= 4);
        free(out);
        /* Loopback is up and there is no route out. */
        assert_script("cat /sys/class/net/lo/operstate; wc -l </proc/net/route", "unknown\n1\n");
        assert_script(
                "cut -d: -f3 /proc/self/cgroup | sort -u | head -3 | grep -c containers || true", "0\n");
}

static void test_privileges(void **state)
{
        assert_script("grep -E '^(CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp):' /proc/self/status",
                "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"
                "CapBnd:\t00000000000004fb\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n");
        assert_script("id -u; id -G", "65534\n65534\n");
        /* ls has its own directory open. */
        assert_script("ls /proc/self/fd | tr '\\n' ' '; readlink /proc/self/fd/0", "0 1 2 3 /dev/null\n");
        assert_script("echo reopened >/dev/stdout", "reopened\n");
        assert_script("readlink /proc/1/exe || echo denied", "denied\n");
        assert_script("ulimit -n; ulimit -c; umask", "1024\n0\n0022\n");
}

static void test_root_user(void **state)
{
        struct launch l;

        launch_shell(&l, &harness,
                "id -u; grep CapEff /proc/self/status; kill -9 1; readlink /proc/1/exe || echo no; mknod "
                "/tmp/x c 1 3 || echo no; "
                "mount -t tmpfs x /mnt || echo no; cat /etc/shadow | wc -c; ls /root | wc -l; "
                "echo 1 >/proc/sys/vm/swappiness || echo ro; touch /etc/x || echo ro");
        l.spec.user = xstrdup("root");
        launch_run(&l);
        char *out = launch_output(&l, "stdout");
        assert_string_equal(out, "0\nCapEff:\t00000000000004fb\nno\nno\nno\n0\n0\nro\nro\n");
        free(out);
        launch_done(&l);
}

/* Whatever the agent has open, by accident without close-on-exec. */
static void test_no_leaked_descriptors(void **state)
{
        int dir = open("/", O_RDONLY | O_DIRECTORY), high = fcntl(dir, F_DUPFD, 200);

        assert_true(high >= 200);
        assert_script("ls /proc/self/fd | tr '\\n' ' '", "0 1 2 3 ");
        (void)close(dir);
        (void)close(high);
}

/* Without its witness a container ends. */
static void test_shim_killed(void **state)
{
        struct launch l;
        siginfo_t si = {0};
        bool populated = true;

        launch_shell(&l, &harness, "sleep 1000 & sleep 1000");
        assert_int_equal(launch_start(&l), 0);
        launch_wait_started(&l);
        assert_int_equal(shim_lock_held(l.state_fd), 1);
        assert_int_equal(sys_pidfd_send_signal(l.pidfd, SIGKILL), 0);
        assert_int_equal(waitid(P_PIDFD, (id_t)l.pidfd, &si, WEXITED), 0);
        struct mono_time start = mono_now();
        while (cgroup_populated(l.c.cgroup, &populated) == 0 && populated)
                assert_true(mono_elapsed_ns(start, mono_now()) < 10 * NSEC_PER_SEC);
        assert_int_equal(shim_lock_held(l.state_fd), 0);
        assert_int_equal(shim_record_read(l.state_fd, &l.record), 0);
        assert_int_equal(l.record.finished_wall_ns, 0);
        launch_done(&l);

        /* What ends an agent's session does not end its shims. */
        launch_shell(&l, &harness, "sleep 0.2; exit 5");
        assert_int_equal(launch_start(&l), 0);
        launch_wait_started(&l);
        assert_int_equal(sys_pidfd_send_signal(l.pidfd, SIGTERM), 0);
        assert_int_equal(sys_pidfd_send_signal(l.pidfd, SIGHUP), 0);
        launch_wait(&l);
        assert_int_equal(WEXITSTATUS(l.record.wait_status), 5);
        launch_done(&l);
}

static void test_files(void **state)
{
        assert_script("touch /usr/x 2>/dev/null || echo ro; touch /tmp/x /var/tmp/y /dev/shm/z && echo rw; "
                      "ls -A /tmp | grep -v mete-test",
                "ro\nrw\nx\n");
        assert_script("ls -A /run | wc -l; ls /dev | tr '\\n' ' '",
                "0\nfd full null ptmx pts random shm stderr stdin stdout tty urandom zero ");
        assert_script("for f in kcore keys timer_list interrupts; do test ! -e /proc/$f || wc -c </proc/$f; "
                      "done | sort -u; ls -A /sys/firmware | wc -l",
                "0\n0\n");
        assert_script("head -c3 /dev/zero | wc -c; echo x >/dev/null && echo ok; touch /dev/x 2>/dev/null || "
                      "echo ro",
                "3\nok\nro\n");
        assert_script("test -w . && pwd | grep -c sandbox; ls -A .. | tr '\\n' ' '", "1\nsandbox ");
        /* Nothing of the host's own mounts of these. */
        assert_script("awk '{print $5}' /proc/self/mountinfo | grep -cE '^/sys/fs/cgroup/' || true", "0\n");
}

static void test_failures(void **state)
{
        static const char *const missing[] = {"/does/not/exist", NULL}, *const bare[] = {
                                                                                "no-such-program", NULL};
        struct launch l;

        launch_new(&l, &harness, missing);
        launch_run(&l);
        assert_int_equal(l.record.failed_errno, ENOENT);
        assert_string_equal(l.record.failed_stage, "exec");
        assert_non_null(strstr(l.record.failed_text, "/does/not/exist"));
        assert_int_equal(l.record.started_wall_ns, 0);
        launch_done(&l);

        launch_new(&l, &harness, bare);
        launch_run(&l);
        assert_string_equal(l.record.failed_stage, "exec");
        assert_non_null(strstr(l.record.failed_text, "PATH=/usr/bin"));
        launch_done(&l);

        launch_shell(&l, &harness, "true");
        l.spec.working_directory = xstrdup("/does/not/exist");
        launch_run(&l);
        assert_string_equal(l.record.failed_stage, "cwd");
        assert_int_equal(l.record.failed_errno, ENOENT);
        launch_done(&l);

        launch_shell(&l, &harness, "true");
        l.spec.working_directory = xstrdup("/proc/self/fd/9");
        launch_run(&l);
        assert_string_equal(l.record.failed_stage, "cwd");
        launch_done(&l);
}

static void test_refusals(void **state)
{
        struct launch l;

        launch_shell(&l, &harness, "true");
        l.spec.user = xstrdup("no-such-user");
        assert_int_equal(launch_start(&l), -ENOENT);
        assert_non_null(strstr(error_message(&l.error), "no-such-user"));
        launch_done(&l);

        launch_shell(&l, &harness, "true");
        l.spec.rootfs = xstrdup("/");
        assert_int_equal(launch_start(&l), -EPERM);
        launch_done(&l);

        launch_shell(&l, &harness, "true");
        string_list_add(&l.spec.capabilities_add, "NOT_A_CAP");
        assert_int_equal(launch_start(&l), -EINVAL);
        assert_non_null(strstr(error_message(&l.error), "cap_add"));
        launch_done(&l);

        launch_shell(&l, &harness, "true");
        l.spec.memory_limit_bytes = 1 << 20;
        assert_int_equal(launch_start(&l), -ERANGE);
        launch_done(&l);
}

static char *run_launch(struct launch *l)
{
        launch_run(l);
        if (l->record.failed_errno)
                fail_msg("%s: %s", l->record.failed_stage, l->record.failed_text);
        assert_int_equal(l->record.wait_status, 0);
        char *out = launch_output(l, "stdout");
        launch_done(l);
        return out;
}

static void test_choices(void **state)
{
        struct launch l;

        /* The smallest memory that is accepted is enough to start. */
        launch_shell(&l, &harness, "echo small");
        l.spec.memory_bytes = l.spec.memory_limit_bytes = 4 << 20;
        char *out = run_launch(&l);
        assert_string_equal(out, "small\n");
        free(out);

        launch_shell(
                &l, &harness, "grep -E 'Cap(Prm|Amb|Bnd)' /proc/self/status; id -u; ulimit -n; hostname");
        l.spec.user = xstrdup("12345:77");
        l.spec.hostname = xstrdup("own.name");
        string_list_add(&l.spec.capabilities_add, "NET_BIND_SERVICE");
        string_list_add(&l.spec.capabilities_drop, "ALL");
        l.spec.rlimits = xcalloc(1, sizeof(*l.spec.rlimits));
        l.spec.rlimits[0] = (struct container_rlimit){xstrdup("NOFILE"), 64, 128};
        l.spec.rlimit_count = 1;
        out = run_launch(&l);
        assert_string_equal(out,
                "CapPrm:\t0000000000000400\nCapBnd:\t0000000000000400\nCapAmb:\t0000000000000400\n"
                "12345\n64\nown.name\n");
        free(out);

        launch_shell(&l, &harness, "readlink /proc/self/ns/net; grep Seccomp: /proc/self/status");
        l.spec.network = CONTAINER_NETWORK_HOST;
        l.spec.seccomp_unconfined = true;
        out = run_launch(&l);
        char net[64] = "";
        assert_true(readlink("/proc/self/ns/net", net, sizeof(net) - 1) > 0);
        assert_ptr_equal(strstr(out, net), out);
        assert_non_null(strstr(out, "Seccomp:\t0"));
        free(out);

        const char *argv[3002] = {"/bin/sh", "-c", "echo $#", "sh"};
        for (size_t i = 4; i < 3001; i++)
                argv[i] = "x";
        launch_new(&l, &harness, argv);
        out = run_launch(&l);
        assert_string_equal(out, "2997\n");
        free(out);
}

/* As many as an agent may start at once; each is its own. */
static void test_many_at_once(void **state)
{
        static struct launch l[24];

        for (size_t i = 0; i < ELEMENTSOF(l); i++) {
                char script[32];
                (void)snprintf(script, sizeof(script), "exit %zu", i + 1);
                launch_shell(&l[i], &harness, script);
                assert_int_equal(launch_start(&l[i]), 0);
        }
        for (size_t i = 0; i < ELEMENTSOF(l); i++) {
                launch_wait(&l[i]);
                assert_int_equal(WEXITSTATUS(l[i].record.wait_status), i + 1);
                launch_done(&l[i]);
        }
}

static void test_oom(void **state)
{
        struct launch l;
        uint64_t kills = 0;

        launch_shell(&l, &harness, "head -c 200000000 /dev/zero | tail");
        launch_run(&l);
        assert_int_equal(cgroup_read_oom_kills(l.c.cgroup, &kills), 0);
        assert_true(kills > 0);
        launch_done(&l);

        /* Private tmpfs pages are the container's memory. */
        launch_shell(&l, &harness, "exec head -c 200000000 /dev/zero >/dev/shm/x");
        launch_run(&l);
        assert_int_not_equal(l.record.wait_status, 0);
        launch_done(&l);
}

static void test_pids(void **state)
{
        struct launch l;

        launch_shell(&l, &harness, "i=0; while [ $i -lt 200 ]; do sleep 1000 & i=$((i+1)); done; echo all");
        launch_run(&l);
        char *out = launch_output(&l, "stdout");
        assert_null(strstr(out, "all"));
        free(out);
        launch_done(&l);
}

static void test_signals(void **state)
{
        struct launch l;
        struct pollfd none;

        launch_shell(&l, &harness, "trap 'echo term; exit 3' TERM; echo ready; while :; do sleep 0.02; done");
        assert_int_equal(launch_start(&l), 0);
        launch_wait_started(&l);
        for (;;) {
                char *out = launch_output(&l, "stdout");
                bool ready = strstr(out, "ready") != NULL;
                free(out);
                if (ready)
                        break;
                (void)poll(&none, 0, 5);
        }
        assert_int_equal(kill(l.record.init.pid, SIGTERM), 0);
        launch_wait(&l);
        assert_int_equal(WEXITSTATUS(l.record.wait_status), 3);
        launch_done(&l);

        /* A signal that is not SIGTERM goes to the main process and its group. */
        launch_shell(&l, &harness, "trap 'exit 9' USR1; touch ready; while :; do sleep 0.02; done");
        assert_int_equal(launch_start(&l), 0);
        launch_wait_started(&l);
        while (faccessat(l.c.sandbox_fd, "ready", F_OK, 0) < 0)
                (void)poll(&none, 0, 5);
        assert_int_equal(kill(l.record.init.pid, SIGUSR1), 0);
        launch_wait(&l);
        assert_int_equal(WEXITSTATUS(l.record.wait_status), 9);
        launch_done(&l);

        /* The whole cgroup at once: the record still names the signal. */
        launch_shell(&l, &harness, "sleep 1000 & sleep 1000");
        assert_int_equal(launch_start(&l), 0);
        launch_wait_started(&l);
        assert_int_equal(cgroup_kill(l.c.cgroup, NULL), 0);
        launch_wait(&l);
        assert_true(WIFSIGNALED(l.record.wait_status));
        assert_int_equal(WTERMSIG(l.record.wait_status), SIGKILL);
        launch_done(&l);
}

static void test_rotation(void **state)
{
        struct launch l;
        struct log_read lr;
        char buf[64];

        harness.host.log_max_bytes = 10000;
        harness.host.log_files = 2;
        /* 8 characters a line: 6000 lines are 48000 bytes. */
        launch_shell(&l, &harness, "seq -f %07g 0 5999");
        launch_run(&l);
        harness.host.log_max_bytes = 0;
        assert_int_equal(log_read(l.c.sandbox_fd, l.state_fd, "stdout", 0, buf, sizeof(buf), &lr), 0);
        assert_int_equal(lr.total, 48000);
        assert_int_equal(lr.offset, 20000); /* the first two were rotated away */
        assert_memory_equal(buf, "0002500\n", 8);
        assert_int_equal(log_read(l.c.sandbox_fd, l.state_fd, "stdout", 39992, buf, 24, &lr), 0);
        assert_int_equal(lr.size, 24);
        assert_memory_equal(buf, "0004999\n0005000\n0005001\n", 24);
        launch_done(&l);
}

/* Output that finds no room is lost; the task neither hangs nor fails. */
static void test_full_disk(void **state)
{
        struct launch l;
        struct log_read lr;
        char byte;

        launch_shell(&l, &harness, "head -c 1000000 /dev/zero && exit 4");
        l.sandbox_options = "size=64k,mode=0755";
        launch_run(&l);
        assert_int_equal(WEXITSTATUS(l.record.wait_status), 4);
        assert_int_equal(log_read(l.c.sandbox_fd, l.state_fd, "stdout", 0, &byte, 1, &lr), 0);
        assert_in_range(lr.total, 4096, 65536);
        launch_done(&l);
}

/* Everything that a task wrote before its end is in the file when the end is recorded. */
static void test_last_words(void **state)
{
        for (int i = 0; i < 10; i++) {
                char *out = run_script("head -c 300000 /dev/zero | tr '\\0' x");
                assert_int_equal(strlen(out), 300000);
                free(out);
        }
}

static void test_log_swap(void **state)
{
        struct launch l;
        struct log_read lr;
        char buf[64];

        launch_shell(&l, &harness,
                "echo first; until test -s stdout; do :; done; rm stdout; ln -s /etc/passwd stdout; echo "
                "second");
        launch_run(&l);
        assert_int_equal(log_read(l.c.sandbox_fd, l.state_fd, "stdout", 0, buf, sizeof(buf), &lr), -ESTALE);
        launch_done(&l);
}

/* Denied calls give the promised errno: perl-free, so by what a shell can reach. */
static void test_seccomp_in_container(void **state)
{
        assert_script("unshare -U true 2>/dev/null || echo denied", "denied\n");
}

static void test_overlay(void **state)
{
        struct launch l;
        char rootfs[160], path[600];
        _cleanup_error_ struct error e = {0};

        (void)snprintf(rootfs, sizeof(rootfs), "%s/image,with:odd\\name", harness.dir);
        assert_int_equal(mkdir(rootfs, 0755), 0);
        (void)snprintf(path, sizeof(path), "mkdir '%s/bin' && cp /bin/busybox '%s/bin/sh'", rootfs, rootfs);
        assert_int_equal(system(path), 0);
        launch_shell(&l, &harness, "touch /written && echo ok; pwd; echo $$; cd /; echo *");
        l.spec.rootfs = xstrdup(rootfs);
        l.spec.user = xstrdup("0");
        launch_run(&l);
        if (l.record.failed_errno)
                fail_msg("%s: %s", l.record.failed_stage, l.record.failed_text);
        char *out = launch_output(&l, "stdout");
        assert_string_equal(out, "ok\n/mnt/mesos/sandbox\n2\nbin dev mnt proc run sys tmp var written\n");
        free(out);
        launch_done(&l);
        (void)snprintf(path, sizeof(path), "%s/written", rootfs);
        assert_int_equal(access(path, F_OK), -1);
        (void)snprintf(path, sizeof(path), "%s/overlays", harness.state_dir);
        assert_int_equal(rmdir(path), 0); /* nothing is left in it */

        /* A link where /proc belongs. */
        (void)snprintf(path, sizeof(path), "%s/proc", rootfs);
        assert_int_equal(symlink("/bin", path), 0);
        launch_shell(&l, &harness, "true");
        l.spec.rootfs = xstrdup(rootfs);
        launch_run(&l);
        assert_int_equal(l.record.failed_errno, ELOOP);
        assert_string_equal(l.record.failed_stage, "mount");
        launch_done(&l);
}

static size_t count_lines(const char *path)
{
        size_t n = 0;
        int c;
        FILE *f = fopen(path, "re");

        assert_non_null(f);
        while ((c = fgetc(f)) != EOF)
                n += c == '\n';
        (void)fclose(f);
        return n;
}

static void test_nothing_left(void **state)
{
        size_t mounts = count_lines("/proc/self/mountinfo");

        for (int i = 0; i < 20; i++)
                free(run_script("sleep 1000 & true"));
        assert_int_equal(count_lines("/proc/self/mountinfo"), mounts);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static int compare_u64(const void *a, const void *b)
{
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return x < y ? -1 : x > y;
}

static uint64_t pss_kib(pid_t pid)
{
        char path[64], line[128];
        unsigned long kib = 0;

        (void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
        FILE *f = fopen(path, "re");
        if (!f)
                return 0;
        while (fgets(line, sizeof(line), f))
                if (sscanf(line, "Pss: %lu", &kib) == 1)
                        break;
        (void)fclose(f);
        return kib;
}

/* What a running task costs beside its own memory, alone and among others: programs' text is shared. */
static void bench_memory(void)
{
        static const char *const sleeping[] = {"/bin/sleep", "1000", NULL};
        static struct launch l[20];
        uint64_t shim = 0, init = 0;

        for (size_t i = 0; i < ELEMENTSOF(l); i++) {
                launch_new(&l[i], &harness, sleeping);
                assert_int_equal(launch_start(&l[i]), 0);
                launch_wait_started(&l[i]);
                if (i == 0)
                        printf("PSS of one task's shim %lu KiB, init %lu KiB\n",
                                (unsigned long)pss_kib(l[0].record.shim.pid),
                                (unsigned long)pss_kib(l[0].record.init.pid));
        }
        for (size_t i = 0; i < ELEMENTSOF(l); i++) {
                shim += pss_kib(l[i].record.shim.pid);
                init += pss_kib(l[i].record.init.pid);
        }
        printf("PSS a task among %zu: shim %lu KiB, init %lu KiB\n", ELEMENTSOF(l),
                (unsigned long)(shim / ELEMENTSOF(l)), (unsigned long)(init / ELEMENTSOF(l)));
        for (size_t i = 0; i < ELEMENTSOF(l); i++) {
                assert_int_equal(cgroup_kill(l[i].c.cgroup, NULL), 0);
                launch_wait(&l[i]);
                launch_done(&l[i]);
        }
}

/* Not a test: figures for a person, by `test_launch --bench COUNT`. */
static void bench(size_t count)
{
        static const char *const argv[] = {"/bin/true", NULL};
        uint64_t *started = xcalloc(count, sizeof(uint64_t)), *prepared = xcalloc(count, sizeof(uint64_t)),
                 *phases[SHIM_PHASE_MAX], *ended = xcalloc(count, sizeof(uint64_t)),
                 *cleaned = xcalloc(count, sizeof(uint64_t));
        struct launch l;

        for (size_t p = 0; p < SHIM_PHASE_MAX; p++)
                phases[p] = xcalloc(count, sizeof(uint64_t));
        harness_open(&harness);
        for (size_t i = 0; i < count; i++) {
                launch_new(&l, &harness, argv);
                struct mono_time t0 = mono_now();
                assert_int_equal(launch_start(&l), 0);
                struct mono_time t1 = mono_now();
                launch_wait_started(&l);
                struct mono_time t2 = mono_now();
                for (size_t p = 0; p < SHIM_PHASE_MAX; p++)
                        phases[p][i] =
                                mono_elapsed_ns((struct mono_time){p ? l.record.phase_ns[p - 1] : t1.ns},
                                        (struct mono_time){l.record.phase_ns[p]});
                launch_wait(&l);
                struct mono_time t3 = mono_now();
                launch_done(&l);
                prepared[i] = mono_elapsed_ns(t0, t1);
                started[i] = mono_elapsed_ns(t1, t2);
                ended[i] = mono_elapsed_ns(t2, t3);
                cleaned[i] = mono_elapsed_ns(t3, mono_now());
        }
        uint64_t *const rows[] = {prepared, started, ended, cleaned};
        static const char *const names[] = {
                "prepare, isolate, shim_spawn", "shim_spawn -> STARTED", "STARTED -> shim's end", "cleanup"};
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                qsort(rows[i], count, sizeof(uint64_t), compare_u64);
                printf("%-30s median %6.3f ms  p99 %6.3f ms\n", names[i], (double)rows[i][count / 2] / 1e6,
                        (double)rows[i][count * 99 / 100] / 1e6);
        }
        for (size_t p = 0; p < SHIM_PHASE_MAX; p++) {
                qsort(phases[p], count, sizeof(uint64_t), compare_u64);
                printf("  until %-24s median %6.3f ms  p99 %6.3f ms\n",
                        shim_phase_to_string((enum shim_phase)p), (double)phases[p][count / 2] / 1e6,
                        (double)phases[p][count * 99 / 100] / 1e6);
        }
        bench_memory();
        harness_close(&harness);
}

int main(int argc, char **argv)
{
        if (argc == 3 && str_equal(argv[1], "--bench")) {
                bench((size_t)atoi(argv[2]));
                return 0;
        }
        if (geteuid() != 0) {
                printf("SKIP test_launch: containers need root\n");
                return 0;
        }
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_exit_code),
                cmocka_unit_test(test_namespaces),
                cmocka_unit_test(test_privileges),
                cmocka_unit_test(test_root_user),
                cmocka_unit_test(test_no_leaked_descriptors),
                cmocka_unit_test(test_shim_killed),
                cmocka_unit_test(test_files),
                cmocka_unit_test(test_failures),
                cmocka_unit_test(test_refusals),
                cmocka_unit_test(test_choices),
                cmocka_unit_test(test_many_at_once),
                cmocka_unit_test(test_oom),
                cmocka_unit_test(test_pids),
                cmocka_unit_test(test_signals),
                cmocka_unit_test(test_rotation),
                cmocka_unit_test(test_full_disk),
                cmocka_unit_test(test_last_words),
                cmocka_unit_test(test_log_swap),
                cmocka_unit_test(test_seccomp_in_container),
                cmocka_unit_test(test_overlay),
                cmocka_unit_test(test_nothing_left),
        };
        return cmocka_run_group_tests(tests, setup, teardown);
}
