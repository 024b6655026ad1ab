#include "lib/loop/loop.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/log.h"

struct posted {
        void (*handler)(void *userdata);
        void *userdata;
};

struct loop {
        struct event_base *base;
        struct event *wake;
        int wake_fd;
        bool stopping;
        pthread_mutex_t lock; /* guards what follows */
        struct posted *posted;
        size_t posted_count, posted_allocated;
};

struct loop_timer {
        struct event *event;
        loop_timer_handler handler;
        void *userdata;
        uint64_t period_ns;
        uint64_t due_ns; /* on CLOCK_MONOTONIC, so that a period does not drift by the time its handlers take
                          */
};

struct loop_io {
        struct event *event;
        loop_io_handler handler;
        void *userdata;
};

struct loop_signal {
        struct event *event;
        loop_signal_handler handler;
        void *userdata;
};

struct loop_child {
        struct event *event;
        int pidfd;
        loop_child_handler handler;
        void *userdata;
};

static struct event *checked(struct event *e)
{
        if (!e)
                abort();
        return e;
}

static void on_library_log(int severity, const char *text)
{
        (void)severity;
        log_debug("libevent: %s", text);
}

static void ignore_signal(int signo)
{
        (void)signo;
}

/*
 * A peer that goes away must be an error of write(2), not the end of the daemon. A handler that does nothing
 * is taken in place of SIG_IGN, because that would be inherited through execve(2) by every task.
 */
static void survive_broken_pipes(void)
{
        struct sigaction now, action = {.sa_handler = ignore_signal, .sa_flags = SA_RESTART};

        if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
                (void)sigaction(SIGPIPE, &action, NULL);
}

/* Runs what was posted up to now; what the handlers post in turn waits for the next round. Returns how many
 * ran. */
static size_t run_posted(struct loop *l)
{
        _cleanup_free_ struct posted *batch = NULL;
        size_t count;

        (void)pthread_mutex_lock(&l->lock);
        batch = TAKE_PTR(l->posted);
        count = l->posted_count;
        l->posted_count = l->posted_allocated = 0;
        (void)pthread_mutex_unlock(&l->lock);
        for (size_t i = 0; i < count; i++)
                batch[i].handler(batch[i].userdata);
        return count;
}

static void on_wake(evutil_socket_t fd, short what, void *userdata)
{
        uint64_t value;
        ssize_t n;

        (void)what;
        /* Emptied before the list is taken: a post in between wakes once too often, never once too little. */
        n = read(fd, &value, sizeof(value));
        (void)n;
        (void)run_posted(userdata);
}

void loop_post(struct loop *l, void (*handler)(void *userdata), void *userdata)
{
        const uint64_t one = 1;
        bool first;

        (void)pthread_mutex_lock(&l->lock);
        if (l->posted_count == l->posted_allocated) {
                l->posted_allocated = MAX(l->posted_allocated * 2, (size_t)16);
                l->posted = xrealloc(l->posted, l->posted_allocated * sizeof(*l->posted));
        }
        first = l->posted_count == 0;
        l->posted[l->posted_count++] = (struct posted){handler, userdata};
        (void)pthread_mutex_unlock(&l->lock);
        if (first) {
                ssize_t n = write(l->wake_fd, &one, sizeof(one));

                (void)n; /* EAGAIN: it is readable already */
        }
}

/* A slice of bulk work. A pass of the loop costs some 0.2 us for each of the descriptors that are ready, again and again. */
#define BULK_SLICE_USEC 5000
#define PRIORITIES 3 /* an event that is not told otherwise has the one in the middle */

/* Makes the event_base: with true monotonic time, read anew at each call, so that no timer fires before its
 * delay. */
static struct event_base *make_base(void)
{
        const struct timeval slice = {.tv_usec = BULK_SLICE_USEC};
        struct event_config *config = event_config_new();
        struct event_base *base = NULL;

        if (config &&
                event_config_set_flag(
                        config, EVENT_BASE_FLAG_PRECISE_TIMER | EVENT_BASE_FLAG_NO_CACHE_TIME) == 0 &&
                event_config_set_max_dispatch_interval(
                        config, &slice, /* max_callbacks= */ -1, LOOP_PRIORITY_BULK) == 0)
                base = event_base_new_with_config(config);
        if (base)
                (void)event_base_priority_init(base, PRIORITIES);
        if (config)
                event_config_free(config);
        return base;
}

int loop_new(struct loop **ret, struct error *e)
{
        struct loop *l = NEW0(struct loop);

        event_set_log_callback(on_library_log);
        survive_broken_pipes();
        (void)pthread_mutex_init(&l->lock, NULL);
        l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (l->wake_fd < 0) {
                int r = error_set_errno(e, -errno, "cannot create the event loop's eventfd");

                free(l);
                return r;
        }
        l->base = make_base();
        if (!l->base) {
                (void)close_fd(l->wake_fd);
                free(l);
                return error_set(
                        e, -EMFILE, "cannot create the event loop: out of file descriptors or memory");
        }
        l->wake = checked(event_new(l->base, l->wake_fd, EV_READ | EV_PERSIST, on_wake, l));
        (void)event_priority_set(l->wake, LOOP_PRIORITY_BULK);
        if (event_add(l->wake, NULL) < 0)
                abort();
        *ret = l;
        return 0;
}

struct loop *loop_free(struct loop *l)
{
        if (!l)
                return NULL;
        /* Deferred work often is what frees something. */
        while (run_posted(l) > 0)
                ;
        event_free(l->wake);
        event_base_free(l->base);
        (void)close_fd(l->wake_fd);
        (void)pthread_mutex_destroy(&l->lock);
        free(l->posted);
        free(l);
        return NULL;
}

int loop_run(struct loop *l)
{
        int r = 0;

        /* libevent forgets a break that was asked for before the loop runs. */
        while (!l->stopping && r == 0)
                r = event_base_loop(l->base, EVLOOP_NO_EXIT_ON_EMPTY);
        l->stopping = false;
        return r < 0 ? -EIO : 0;
}

void loop_stop(struct loop *l)
{
        l->stopping = true;
        (void)event_base_loopbreak(l->base);
}

struct event_base *loop_base(struct loop *l)
{
        return l->base;
}

/* ---- timers ---- */

static void timer_add(struct loop_timer *t, uint64_t delay_ns)
{
        /* Rounded up: never early. Delays beyond 30 years are as good as none, and time_t arithmetic stays in
         * range. */
        uint64_t usec =
                MIN(delay_ns / NSEC_PER_USEC + (delay_ns % NSEC_PER_USEC != 0), UINT64_C(1000000000000000));
        struct timeval tv = {.tv_sec = (time_t)(usec / 1000000), .tv_usec = (suseconds_t)(usec % 1000000)};

        if (event_add(t->event, &tv) < 0)
                abort();
}

static void on_timer(evutil_socket_t fd, short what, void *userdata)
{
        struct loop_timer *t = userdata;

        (void)fd, (void)what;
        if (t->period_ns > 0) {
                uint64_t now = mono_now().ns;

                /* Ticks that were missed altogether are left out. */
                t->due_ns += t->period_ns;
                if (t->due_ns <= now)
                        t->due_ns = now + t->period_ns - (now - t->due_ns) % t->period_ns;
                timer_add(t, t->due_ns - now);
        }
        t->handler(t, t->userdata);
}

struct loop_timer *loop_timer_new(struct loop *l, loop_timer_handler handler, void *userdata)
{
        struct loop_timer *t = NEW0(struct loop_timer);

        t->handler = handler;
        t->userdata = userdata;
        t->event = checked(event_new(l->base, -1, 0, on_timer, t));
        (void)event_priority_set(t->event, LOOP_PRIORITY_BULK);
        return t;
}

void loop_timer_make_prompt(struct loop_timer *t)
{
        (void)event_priority_set(t->event, LOOP_PRIORITY_PROMPT);
}

void loop_timer_arm(struct loop_timer *t, uint64_t delay_ns, uint64_t period_ns)
{
        if (__builtin_add_overflow(mono_now().ns, delay_ns, &t->due_ns))
                t->due_ns = UINT64_MAX;
        t->period_ns = period_ns;
        timer_add(t, delay_ns);
}

void loop_timer_disarm(struct loop_timer *t)
{
        (void)event_del(t->event);
}

bool loop_timer_armed(const struct loop_timer *t)
{
        return event_pending(t->event, EV_TIMEOUT, NULL) != 0;
}

struct loop_timer *loop_timer_free(struct loop_timer *t)
{
        if (t) {
                event_free(t->event);
                free(t);
        }
        return NULL;
}

/* ---- file descriptors ---- */

static void on_io(evutil_socket_t fd, short what, void *userdata)
{
        struct loop_io *io = userdata;
        uint32_t events =
                (what & EV_READ ? (uint32_t)EPOLLIN : 0) | (what & EV_WRITE ? (uint32_t)EPOLLOUT : 0);

        io->handler(io, fd, events, io->userdata);
}

struct loop_io *loop_io_new(struct loop *l, int fd, uint32_t events, loop_io_handler handler, void *userdata)
{
        short what = (short)((events & EPOLLIN ? EV_READ : 0) | (events & EPOLLOUT ? EV_WRITE : 0));
        struct loop_io *io;

        assert(what != 0);
        io = NEW0(struct loop_io);
        io->handler = handler;
        io->userdata = userdata;
        io->event = checked(event_new(l->base, fd, (short)(what | EV_PERSIST), on_io, io));
        if (event_add(io->event, NULL) < 0)
                return loop_io_free(io);
        return io;
}

struct loop_io *loop_io_free(struct loop_io *io)
{
        if (io) {
                event_free(io->event);
                free(io);
        }
        return NULL;
}

/* ---- signals ---- */

static void on_signal(evutil_socket_t signo, short what, void *userdata)
{
        struct loop_signal *s = userdata;

        (void)what;
        s->handler(s, signo, s->userdata);
}

struct loop_signal *loop_signal_new(struct loop *l, int signo, loop_signal_handler handler, void *userdata)
{
        struct loop_signal *s = NEW0(struct loop_signal);

        s->handler = handler;
        s->userdata = userdata;
        s->event = checked(event_new(l->base, signo, EV_SIGNAL | EV_PERSIST, on_signal, s));
        if (event_add(s->event, NULL) < 0)
                abort();
        return s;
}

struct loop_signal *loop_signal_free(struct loop_signal *s)
{
        if (s) {
                event_free(s->event);
                free(s);
        }
        return NULL;
}

/* ---- processes ---- */

static void on_child(evutil_socket_t pidfd, short what, void *userdata)
{
        struct loop_child *c = userdata;
        siginfo_t info = {};
        int r;

        (void)what;
        r = waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG);
        if (r == 0 && info.si_pid == 0) {
                /* Ours, and not there yet. */
                if (event_add(c->event, NULL) < 0)
                        abort();
                return;
        }
        if (r < 0)
                memset(&info, 0, sizeof(info));
        c->handler(c, &info, c->userdata);
}

struct loop_child *loop_child_new(struct loop *l, int pidfd, loop_child_handler handler, void *userdata)
{
        struct loop_child *c = NEW0(struct loop_child);

        c->pidfd = pidfd;
        c->handler = handler;
        c->userdata = userdata;
        c->event = checked(event_new(l->base, pidfd, EV_READ, on_child, c));
        if (event_add(c->event, NULL) < 0)
                abort();
        return c;
}

struct loop_child *loop_child_free(struct loop_child *c)
{
        if (c) {
                event_free(c->event);
                (void)close_fd(c->pidfd);
                free(c);
        }
        return NULL;
}
