/* Checks of a real container: what they see from inside, how they end, what of them is left. Needs root. */
#include "tests/unit/agent/shim/harness.h"

#include "agent/checks/check_target.h"
#include "lib/loop/loop.h"

static struct harness harness;
static struct agent agent;
static struct launch task;
static struct agent_container container;
static struct check_report last;

static void open_agent(void)
{
        _cleanup_error_ struct error e = {0};

        agent = (struct agent){.shim_cgroup = harness.shim_cgroup, .shim_exe_fd = harness.shim_fd};
        agent.host = harness.host;
        assert_int_equal(loop_new(&agent.loop, &e), 0);
}

static void start_task(void)
{
        launch_shell(&task, &harness, "echo task >/tmp/mark; touch ready; sleep 1000");
        task.spec.hostname = xstrdup("the-task");
        task.spec.user = xstrdup("nobody");
        assert_int_equal(launch_start(&task), 0);
        launch_wait_started(&task);
        container = (struct agent_container){
                .agent = &agent, .spec = task.spec, .view = task.c, .record = task.record};
        container.view.spec = &container.spec;
}

static int setup(void **state)
{
        harness_open(&harness);
        open_agent();
        start_task();
        return 0;
}

static int teardown(void **state)
{
        assert_int_equal(cgroup_kill(task.c.cgroup, NULL), 0);
        launch_wait(&task);
        launch_done(&task);
        loop_free(agent.loop);
        harness_close(&harness);
        return 0;
}

static void on_done(const struct check_report *r, void *userdata)
{
        last = *r;
        loop_stop(agent.loop);
}

static void run_target(struct check_target *t)
{
        _cleanup_error_ struct error e = {0};
        struct check_run *run;

        if (!t->timeout_ns)
                t->timeout_ns = 20 * NSEC_PER_SEC;
        if (check_run_start(&container, t, on_done, NULL, &run, &e) < 0)
                fail_msg("%s", error_message(&e));
        assert_int_equal(loop_run(agent.loop), 0);
        check_run_free(run);
        check_target_done(t);
}

static void run_command(const char *script, uint64_t timeout_ns)
{
        Mete__V1__HealthCheck h = METE__V1__HEALTH_CHECK__INIT;
        Mete__V1__CommandInfo c = METE__V1__COMMAND_INFO__INIT;
        Mete__V1__Environment env = METE__V1__ENVIRONMENT__INIT;
        Mete__V1__Environment__Variable v = METE__V1__ENVIRONMENT__VARIABLE__INIT, *list[] = {&v};
        struct check_target t = {.plan_fd = -1};
        _cleanup_error_ struct error e = {0};

        v.name = (char *)(uintptr_t) "HOME";
        v.value = (char *)(uintptr_t) "/changed";
        env.variables = list;
        env.n_variables = 1;
        c.environment = &env;
        c.value = (char *)(uintptr_t)script;
        h.type = METE__V1__HEALTH_CHECK__TYPE__COMMAND;
        h.command = &c;
        if (check_target_of_health(&container, &h, &t, &e) < 0)
                fail_msg("%s", error_message(&e));
        t.timeout_ns = timeout_ns;
        run_target(&t);
}

static void expect_exit(const char *script, int status)
{
        run_command(script, 0);
        if (last.end != CHECK_END_EXITED || last.value != status)
                fail_msg("%s: end %d value %d %s", script, last.end, last.value, last.text);
}

static void commands_end(void **state)
{
        expect_exit("exit 0", 0);
        expect_exit("exit 7", 7);
        run_command("kill -KILL $$", 0);
        assert_int_equal(last.end, CHECK_END_SIGNALLED);
        assert_int_equal(last.value, SIGKILL);
        /* More output than any pipe holds. */
        expect_exit("head -c 1000000 /dev/zero; exit 3", 3);
}

/* The task's user, namespaces, cgroup, restrictions and environment. */
static void commands_are_inside(void **state)
{
        expect_exit("test $(hostname) = the-task", 0);
        expect_exit("test $(cat /tmp/mark) = task", 0);
        expect_exit("test $(cat /proc/1/comm) = mete-init", 0);
        expect_exit("test $(id -u):$(id -G) = 65534:65534", 0);
        expect_exit("test $(ls /sys/class/net) = lo", 0);
        expect_exit("test -e ready", 0); /* the sandbox */
        expect_exit("test \"$PATH:$HOME\" = /usr/bin:/bin:/usr/sbin:/sbin:/changed", 0);
        expect_exit("test $(grep -c sleep /proc/[0-9]*/comm | grep -c :1) -ge 1", 0);
        for (const char *const *p = (const char *const[]){"CapPrm", "CapEff", "CapInh", "CapAmb", NULL}; *p;
                p++) {
                _cleanup_free_ char *script =
                        xasprintf("grep -q '^%s:[[:space:]]*0000000000000000$' /proc/self/status", *p);
                expect_exit(script, 0);
        }
        expect_exit(
                "grep -q '^NoNewPrivs:.1$' /proc/self/status && grep -q '^Seccomp:.2$' /proc/self/status", 0);
        expect_exit("grep -q '^CapBnd:.00000000000004fb$' /proc/self/status", 0);
        /* The three, the directory itself, and nothing of the agent's. */
        expect_exit("test \"$(ls /proc/self/fd | tr '\\n' ' ')\" = '0 1 2 3 '", 0);
        expect_exit("for n in mnt pid uts ipc net cgroup; do test $(readlink /proc/self/ns/$n) = "
                    "$(readlink /proc/2/ns/$n) || exit 1; done",
                0);
        expect_exit("test \"$(cat /proc/self/cgroup | sort)\" = \"$(cat /proc/2/cgroup | sort)\"", 0);
        expect_exit("test $(cat /proc/self/oom_score_adj) -ge 0", 0);
}

static bool task_has(const char *comm)
{
        _cleanup_free_ char *script = xasprintf("grep -qx %s /proc/[0-9]*/comm", comm);

        run_command(script, 0);
        assert_int_equal(last.end, CHECK_END_EXITED);
        return last.value == 0;
}

/* All that a check started goes with its timeout: children, who left the group, who lost their parent. */
static void timeouts_end_the_whole(void **state)
{
        run_command("cp /bin/sleep /tmp/straggler; /tmp/straggler 500 & setsid /tmp/straggler 501 & "
                    "(setsid /tmp/straggler 502 &) ; sleep 503",
                UINT64_C(1500) * NSEC_PER_MSEC);
        assert_int_equal(last.end, CHECK_END_TIMED_OUT);
        assert_false(task_has("straggler"));
        /* The task itself goes on. */
        assert_true(task_has("sleep"));
        expect_exit("exit 0", 0);
}

static void failures_say_why(void **state)
{
        Mete__V1__HealthCheck h = METE__V1__HEALTH_CHECK__INIT;
        Mete__V1__CommandInfo c = METE__V1__COMMAND_INFO__INIT;
        struct check_target t = {.plan_fd = -1};

        c.has_shell = true;
        c.shell = false;
        c.value = (char *)(uintptr_t) "/no/such/program";
        h.type = METE__V1__HEALTH_CHECK__TYPE__COMMAND;
        h.command = &c;
        assert_int_equal(check_target_of_health(&container, &h, &t, NULL), 0);
        run_target(&t);
        assert_int_equal(last.end, CHECK_END_FAILED);
        assert_non_null(strstr(last.text, "/no/such/program"));
}

static void ports(void **state)
{
        struct check_target t = {.plan_fd = -1};
        Mete__V1__HealthCheck h = METE__V1__HEALTH_CHECK__INIT;
        Mete__V1__HealthCheck__TCPCheckInfo tcp = METE__V1__HEALTH_CHECK__TCPCHECK_INFO__INIT;
        Mete__V1__HealthCheck__HTTPCheckInfo http = METE__V1__HEALTH_CHECK__HTTPCHECK_INFO__INIT;
        static const char server[] =
                "exec setsid -w perl -MIO::Socket::INET -e '"
                "$s = IO::Socket::INET->new(Listen => 5, LocalAddr => \"127.0.0.1:8123\", ReuseAddr => 1) or "
                "exit 3; "
                "if (fork) { exit 0 } "
                "while ($c = $s->accept) { $l = <$c>; print $c ($l =~ m{^GET /ok } ? \"HTTP/1.1 204 "
                "x\\r\\n\" : "
                "$l =~ m{^GET /moved } ? \"HTTP/1.1 302 x\\r\\n\" : $l =~ m{^GET /odd } ? \"what?\\r\\n\" : "
                "\"HTTP/1.1 503 x\\r\\n\"), \"\\r\\n\"; close $c }'";
        static const struct {
                const char *path;
                int end, value;
        } rows[] = {{"/ok", CHECK_END_ANSWERED, 204}, {"/moved", CHECK_END_ANSWERED, 302},
                {"/other", CHECK_END_ANSWERED, 503}, {"/odd", CHECK_END_REFUSED, 0}};

        h.type = METE__V1__HEALTH_CHECK__TYPE__TCP;
        h.tcp = &tcp;
        tcp.port = 8123;
        assert_int_equal(check_target_of_health(&container, &h, &t, NULL), 0);
        run_target(&t);
        assert_int_equal(last.end, CHECK_END_REFUSED);
        expect_exit(server, 0);
        assert_int_equal(check_target_of_health(&container, &h, &t, NULL), 0);
        run_target(&t);
        assert_int_equal(last.end, CHECK_END_CONNECTED);
        h.type = METE__V1__HEALTH_CHECK__TYPE__HTTP;
        h.http = &http;
        http.port = 8123;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                http.path = (char *)(uintptr_t)rows[i].path;
                assert_int_equal(check_target_of_health(&container, &h, &t, NULL), 0);
                run_target(&t);
                if (last.end != rows[i].end || last.value != rows[i].value)
                        fail_msg("%s: %d %d %s", rows[i].path, last.end, last.value, last.text);
        }
}

/* One that is given up leaves no process and no zombie. */
static void freed_runs_are_gone(void **state)
{
        Mete__V1__HealthCheck h = METE__V1__HEALTH_CHECK__INIT;
        Mete__V1__CommandInfo c = METE__V1__COMMAND_INFO__INIT;
        struct check_target t = {.plan_fd = -1};
        struct check_run *run;

        c.value = (char *)(uintptr_t) "cp /bin/sleep /tmp/lonely; exec /tmp/lonely 500";
        h.type = METE__V1__HEALTH_CHECK__TYPE__COMMAND;
        h.command = &c;
        assert_int_equal(check_target_of_health(&container, &h, &t, NULL), 0);
        t.timeout_ns = 20 * NSEC_PER_SEC;
        assert_int_equal(check_run_start(&container, &t, on_done, NULL, &run, NULL), 0);
        struct mono_time start = mono_now();
        while (!task_has("lonely"))
                assert_true(mono_elapsed_ns(start, mono_now()) < 10 * NSEC_PER_SEC);
        check_run_free(run);
        check_target_done(&t);
        while (task_has("lonely"))
                assert_true(mono_elapsed_ns(start, mono_now()) < 20 * NSEC_PER_SEC);
        siginfo_t si = {0};
        (void)waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT);
        assert_int_equal(si.si_pid, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(commands_end),
                cmocka_unit_test(commands_are_inside),
                cmocka_unit_test(timeouts_end_the_whole),
                cmocka_unit_test(failures_say_why),
                cmocka_unit_test(ports),
                cmocka_unit_test(freed_runs_are_gone),
        };

        return cmocka_run_group_tests_name("agent/checks/check_run", tests, setup, teardown);
}
