#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/loop/loop.h"

struct fixture {
        struct loop *loop;
        struct loop_timer *deadline, *timer, *other;
        struct loop_io *io;
        struct loop_signal *signal;
        struct loop_child *child;
        unsigned fired, wanted;
        uint64_t start_ns, first_ns, last_ns;
        int pipe[2];
        siginfo_t info;
};

static void on_deadline(struct loop_timer *t, void *userdata)
{
        (void)t, (void)userdata;
        fail_msg("nothing happened within the deadline");
}

static int set_up(void **state)
{
        struct fixture *f = NEW0(struct fixture);

        assert_int_equal(loop_new(&f->loop, NULL), 0);
        f->deadline = loop_timer_new(f->loop, on_deadline, NULL);
        loop_timer_arm(f->deadline, 10 * NSEC_PER_SEC, 0);
        assert_int_equal(pipe2(f->pipe, O_CLOEXEC | O_NONBLOCK), 0);
        *state = f;
        return 0;
}

static int tear_down(void **state)
{
        struct fixture *f = *state;

        (void)loop_timer_free(f->deadline);
        (void)loop_timer_free(f->timer);
        (void)loop_timer_free(f->other);
        (void)loop_io_free(f->io);
        (void)loop_signal_free(f->signal);
        (void)loop_child_free(f->child);
        (void)loop_free(f->loop);
        (void)close_fd(f->pipe[0]);
        (void)close_fd(f->pipe[1]);
        free(f);
        return 0;
}

/* ---- timers ---- */

static void count_timer(struct loop_timer *t, void *userdata)
{
        struct fixture *f = userdata;

        (void)t;
        f->last_ns = mono_now().ns;
        if (f->fired++ == 0)
                f->first_ns = f->last_ns;
        if (f->fired == f->wanted)
                loop_stop(f->loop);
}

static void free_timer(struct loop_timer *t, void *userdata)
{
        struct fixture *f = userdata;

        assert_ptr_equal(t, f->timer);
        f->timer = loop_timer_free(t);
        loop_stop(f->loop);
}

static void test_timer_once(void **state)
{
        struct fixture *f = *state;

        f->timer = loop_timer_new(f->loop, count_timer, f);
        f->wanted = 1;
        assert_false(loop_timer_armed(f->timer));
        f->start_ns = mono_now().ns;
        loop_timer_arm(f->timer, 20 * NSEC_PER_MSEC + 1, 0);
        assert_true(loop_timer_armed(f->timer));
        assert_int_equal(loop_run(f->loop), 0);
        assert_int_equal(f->fired, 1);
        assert_false(loop_timer_armed(f->timer));
        /* Never early. */
        assert_true(f->first_ns - f->start_ns > 20 * NSEC_PER_MSEC);
}

static void test_timer_period(void **state)
{
        struct fixture *f = *state;

        f->timer = loop_timer_new(f->loop, count_timer, f);
        f->wanted = 5;
        f->start_ns = mono_now().ns;
        loop_timer_arm(f->timer, 0, 10 * NSEC_PER_MSEC);
        assert_int_equal(loop_run(f->loop), 0);
        assert_true(f->last_ns - f->start_ns >= 40 * NSEC_PER_MSEC);
        assert_true(loop_timer_armed(f->timer));
        loop_timer_disarm(f->timer);
        assert_false(loop_timer_armed(f->timer));
}

static void test_timer_rearm_and_free(void **state)
{
        struct fixture *f = *state;

        f->timer = loop_timer_new(f->loop, free_timer, f);
        f->other = loop_timer_new(f->loop, count_timer, f);
        loop_timer_arm(f->timer, UINT64_MAX, 0);
        loop_timer_arm(f->other, 0, 0);
        loop_timer_disarm(f->other);
        loop_timer_arm(f->timer, 5 * NSEC_PER_MSEC, 5 * NSEC_PER_MSEC);
        assert_int_equal(loop_run(f->loop), 0);
        assert_null(f->timer);
        assert_int_equal(f->fired, 0);
}

static void nothing(void *userdata)
{
        (void)userdata;
}

static void arm_after_work(struct loop_timer *t, void *userdata)
{
        struct fixture *f = userdata;
        uint64_t until = mono_now().ns + 30 * NSEC_PER_MSEC;

        (void)t;
        while (mono_now().ns < until)
                ;
        f->start_ns = mono_now().ns;
        loop_timer_arm(f->other, 20 * NSEC_PER_MSEC, 0);
        /* Makes the loop look at its timers at once. */
        loop_post(f->loop, nothing, NULL);
}

/* The delay counts from now, not from when the loop last looked at the clock. */
static void test_timer_armed_late_in_a_callback(void **state)
{
        struct fixture *f = *state;

        f->timer = loop_timer_new(f->loop, arm_after_work, f);
        f->other = loop_timer_new(f->loop, count_timer, f);
        f->wanted = 1;
        loop_timer_arm(f->timer, 0, 0);
        assert_int_equal(loop_run(f->loop), 0);
        assert_true(f->first_ns - f->start_ns >= 20 * NSEC_PER_MSEC);
}

static void test_stop_before_run(void **state)
{
        struct fixture *f = *state;

        loop_stop(f->loop);
        assert_int_equal(loop_run(f->loop), 0);
}

/* ---- descriptors ---- */

static void on_io(struct loop_io *io, int fd, uint32_t events, void *userdata)
{
        struct fixture *f = userdata;
        char c;

        assert_int_equal(events, EPOLLIN);
        /* Level-triggered: one byte a time, called again for the next. */
        if (read(fd, &c, 1) == 1) {
                f->fired++;
                return;
        }
        f->io = loop_io_free(io);
        loop_stop(f->loop);
}

static void test_io(void **state)
{
        struct fixture *f = *state;

        f->io = loop_io_new(f->loop, f->pipe[0], EPOLLIN, on_io, f);
        assert_int_equal(write(f->pipe[1], "abc", 3), 3);
        f->pipe[1] = close_fd(f->pipe[1]);
        assert_int_equal(loop_run(f->loop), 0);
        assert_int_equal(f->fired, 3);
        assert_null(f->io);
}

static void test_io_regular_file(void **state)
{
        struct fixture *f = *state;
        _cleanup_fd_ int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

        assert_null(loop_io_new(f->loop, fd, EPOLLIN, on_io, f));
}

static void test_broken_pipe_is_an_error(void **state)
{
        struct fixture *f = *state;

        f->pipe[0] = close_fd(f->pipe[0]);
        assert_int_equal(write(f->pipe[1], "x", 1), -1);
        assert_int_equal(errno, EPIPE);
}

/* ---- signals and processes ---- */

static void on_signal(struct loop_signal *s, int signo, void *userdata)
{
        struct fixture *f = userdata;

        assert_int_equal(signo, SIGUSR1);
        f->fired++;
        f->signal = loop_signal_free(s);
        loop_stop(f->loop);
}

static void test_signal(void **state)
{
        struct fixture *f = *state;

        f->signal = loop_signal_new(f->loop, SIGUSR1, on_signal, f);
        assert_int_equal(raise(SIGUSR1), 0);
        assert_int_equal(loop_run(f->loop), 0);
        assert_int_equal(f->fired, 1);
}

static void on_child(struct loop_child *c, const siginfo_t *info, void *userdata)
{
        struct fixture *f = userdata;

        f->info = *info;
        f->fired++;
        f->child = loop_child_free(c);
        loop_stop(f->loop);
}

static int pidfd_of(pid_t pid)
{
        int fd = (int)syscall(SYS_pidfd_open, pid, 0);

        assert_true(fd >= 0);
        return fd;
}

static void test_own_child(void **state)
{
        struct fixture *f = *state;
        pid_t pid = fork();

        if (pid == 0) {
                char c;

                (void)close(f->pipe[1]);
                (void)fcntl(f->pipe[0], F_SETFL, 0);
                _exit(read(f->pipe[0], &c, 1) == 0 ? 7 : 1);
        }
        f->child = loop_child_new(f->loop, pidfd_of(pid), on_child, f);
        f->pipe[1] = close_fd(f->pipe[1]);
        assert_int_equal(loop_run(f->loop), 0);
        assert_int_equal(f->fired, 1);
        assert_int_equal(f->info.si_pid, pid);
        assert_int_equal(f->info.si_code, CLD_EXITED);
        assert_int_equal(f->info.si_status, 7);
        /* Reaped. */
        assert_int_equal(waitpid(pid, NULL, WNOHANG), -1);
        assert_int_equal(errno, ECHILD);
}

static void test_killed_before_watched(void **state)
{
        struct fixture *f = *state;
        pid_t pid = fork();
        siginfo_t info;
        int fd;

        if (pid == 0) {
                (void)pause();
                _exit(0);
        }
        fd = pidfd_of(pid);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
        f->child = loop_child_new(f->loop, fd, on_child, f);
        assert_int_equal(loop_run(f->loop), 0);
        assert_int_equal(f->info.si_code, CLD_KILLED);
        assert_int_equal(f->info.si_status, SIGKILL);
}

static void test_somebody_elses_child(void **state)
{
        struct fixture *f = *state;
        int up[2];
        pid_t pid, grandchild = 0;

        assert_int_equal(pipe2(up, O_CLOEXEC), 0);
        pid = fork();
        if (pid == 0) {
                pid_t mine = fork();
                char c;
                ssize_t n;

                (void)close(f->pipe[1]);
                (void)fcntl(f->pipe[0], F_SETFL, 0);
                if (mine == 0) {
                        n = read(f->pipe[0], &c, 1);
                        _exit((int)n);
                }
                n = write(up[1], &mine, sizeof(mine));
                (void)waitpid(mine, NULL, 0);
                _exit(n == sizeof(mine) ? 0 : 1);
        }
        (void)close(up[1]);
        assert_int_equal(read(up[0], &grandchild, sizeof(grandchild)), sizeof(grandchild));
        (void)close(up[0]);
        f->child = loop_child_new(f->loop, pidfd_of(grandchild), on_child, f);
        f->pipe[1] = close_fd(f->pipe[1]);
        assert_int_equal(loop_run(f->loop), 0);
        assert_int_equal(f->fired, 1);
        assert_int_equal(f->info.si_pid, 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* ---- deferred work ---- */

static void posted(void *userdata)
{
        struct fixture *f = userdata;

        if (++f->fired == f->wanted)
                loop_stop(f->loop);
}

static void post_again(void *userdata)
{
        struct fixture *f = userdata;

        loop_post(f->loop, posted, f);
}

#define POSTS 20000

static void *post_many(void *userdata)
{
        struct fixture *f = userdata;

        for (unsigned i = 0; i < POSTS; i++)
                loop_post(f->loop, posted, f);
        return NULL;
}

static void test_post(void **state)
{
        struct fixture *f = *state;
        pthread_t threads[2];

        f->wanted = 1;
        loop_post(f->loop, post_again, f);
        assert_int_equal(f->fired, 0);
        assert_int_equal(loop_run(f->loop), 0);
        f->wanted = 1 + 2 * POSTS;
        for (unsigned i = 0; i < 2; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, post_many, f), 0);
        assert_int_equal(loop_run(f->loop), 0);
        for (unsigned i = 0; i < 2; i++)
                pthread_join(threads[i], NULL);
        assert_int_equal(f->fired, f->wanted);
}

static void test_post_runs_before_free(void **state)
{
        struct fixture f = {};

        (void)state;
        assert_int_equal(loop_new(&f.loop, NULL), 0);
        loop_post(f.loop, post_again, &f);
        (void)loop_free(f.loop);
        assert_int_equal(f.fired, 1);
}

/* ---- workers ---- */

struct pool_test {
        struct fixture *f;
        struct worker_pool *pool;
        pthread_t loop_thread;
        pthread_barrier_t barrier;
        atomic_int running, most, worked;
        unsigned done;
        unsigned order[64];
        atomic_uint order_count;
};

struct pool_job {
        struct pool_test *t;
        unsigned number;
};

static void work_keyed(void *userdata)
{
        struct pool_job *j = userdata;
        int now = atomic_fetch_add(&j->t->running, 1) + 1;

        if (now > atomic_load(&j->t->most))
                atomic_store(&j->t->most, now);
        assert_false(pthread_equal(pthread_self(), j->t->loop_thread));
        j->t->order[atomic_fetch_add(&j->t->order_count, 1)] = j->number;
        (void)sched_yield();
        atomic_fetch_sub(&j->t->running, 1);
        atomic_fetch_add(&j->t->worked, 1);
}

static void work_meeting(void *userdata)
{
        struct pool_job *j = userdata;

        (void)pthread_barrier_wait(&j->t->barrier);
        atomic_fetch_add(&j->t->worked, 1);
}

static void job_done(void *userdata)
{
        struct pool_job *j = userdata;

        assert_true(pthread_equal(pthread_self(), j->t->loop_thread));
        if (++j->t->done == j->t->f->wanted)
                loop_stop(j->t->f->loop);
}

static void test_pool_key_order(void **state)
{
        struct pool_test t = {.f = *state, .loop_thread = pthread_self()};
        struct pool_job jobs[64];
        int key;

        assert_int_equal(worker_pool_new(t.f->loop, 4, 1000, &t.pool, NULL), 0);
        for (unsigned i = 0; i < 64; i++) {
                jobs[i] = (struct pool_job){&t, i};
                assert_int_equal(worker_pool_submit(t.pool, &key, work_keyed, job_done, &jobs[i]), 0);
        }
        t.f->wanted = 64;
        assert_int_equal(loop_run(t.f->loop), 0);
        assert_int_equal(atomic_load(&t.most), 1);
        for (unsigned i = 0; i < 64; i++)
                assert_int_equal(t.order[i], i);
        (void)worker_pool_free(t.pool);
}

static void test_pool_parallel_and_bounded(void **state)
{
        struct pool_test t = {.f = *state, .loop_thread = pthread_self()};
        struct pool_job job = {&t, 0};
        int keys[2], r;
        unsigned accepted = 0;

        /* Two jobs of different keys that wait for each other, so both must run at once; then this thread lets them go. */
        assert_int_equal(pthread_barrier_init(&t.barrier, NULL, 3), 0);
        assert_int_equal(worker_pool_new(t.f->loop, 2, 4, &t.pool, NULL), 0);
        assert_int_equal(worker_pool_submit(t.pool, &keys[0], work_meeting, job_done, &job), 0);
        assert_int_equal(worker_pool_submit(t.pool, &keys[1], work_meeting, job_done, &job), 0);
        /* The workers hold both at most, so the queue fills within two more than its bound. */
        while ((r = worker_pool_submit(t.pool, NULL, work_keyed, NULL, &job)) == 0)
                assert_true(++accepted <= 4);
        assert_int_equal(r, -EAGAIN);
        (void)pthread_barrier_wait(&t.barrier);
        t.f->wanted = 2;
        assert_int_equal(loop_run(t.f->loop), 0);
        /* Freeing runs what is queued. */
        (void)worker_pool_free(t.pool);
        assert_int_equal(atomic_load(&t.worked), 2 + accepted);
        assert_int_equal(pthread_barrier_destroy(&t.barrier), 0);
}

static void submit_late(void *userdata)
{
        struct pool_job *j = userdata;

        assert_int_equal(worker_pool_submit(j->t->pool, NULL, work_keyed, NULL, j), -ESHUTDOWN);
        j->t->done++;
}

static void test_pool_free_delivers(void **state)
{
        struct pool_test t = {.f = *state, .loop_thread = pthread_self()};
        struct pool_job jobs[10];
        _cleanup_error_ struct error e = {};

        assert_int_equal(worker_pool_new(t.f->loop, 1, 10, &t.pool, NULL), 0);
        for (unsigned i = 0; i < 10; i++) {
                jobs[i] = (struct pool_job){&t, i};
                assert_int_equal(worker_pool_submit(t.pool, NULL, work_keyed, submit_late, &jobs[i]), 0);
        }
        (void)worker_pool_free(t.pool);
        assert_int_equal(t.done, 10);
        assert_int_equal(worker_pool_new(t.f->loop, 0, 10, &t.pool, &e), -EINVAL);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_timer_once),
                TEST(test_timer_period),
                TEST(test_timer_rearm_and_free),
                TEST(test_timer_armed_late_in_a_callback),
                TEST(test_stop_before_run),
                TEST(test_io),
                TEST(test_io_regular_file),
                TEST(test_broken_pipe_is_an_error),
                TEST(test_signal),
                TEST(test_own_child),
                TEST(test_killed_before_watched),
                TEST(test_somebody_elses_child),
                TEST(test_post),
                cmocka_unit_test(test_post_runs_before_free),
                TEST(test_pool_key_order),
                TEST(test_pool_parallel_and_bounded),
                TEST(test_pool_free_delivers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
