#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utlist.h>

#include "lib/loop/loop.h"

struct job {
        const void *key;
        void (*work)(void *userdata);
        void (*done)(void *userdata);
        void *userdata;
        struct job *prev, *next;
};

struct worker_pool {
        pthread_t *threads;
        unsigned thread_count;
        size_t max_queued;
        int wake_fd; /* readable when `finished` is not empty */
        struct loop_io *wake;
        bool delivering;

        pthread_mutex_t lock; /* guards what follows */
        pthread_cond_t changed;
        bool stopping;
        struct job *queued; /* in the order of submission */
        size_t queued_count;
        struct job *running;
        struct job *finished; /* in the order of completion */
};

static bool key_running(const struct worker_pool *p, const void *key)
{
        const struct job *j;

        DL_FOREACH (p->running, j)
                if (key && j->key == key)
                        return true;
        return false;
}

/* The first queued job whose key no other worker holds. */
static struct job *pick(struct worker_pool *p)
{
        struct job *j;

        DL_FOREACH (p->queued, j)
                if (!key_running(p, j->key))
                        return j;
        return NULL;
}

static void *worker(void *userdata)
{
        struct worker_pool *p = userdata;
        const uint64_t one = 1;

        (void)pthread_mutex_lock(&p->lock);
        for (;;) {
                struct job *j = pick(p);
                ssize_t n;

                if (!j) {
                        if (p->stopping && !p->queued)
                                break;
                        (void)pthread_cond_wait(&p->changed, &p->lock);
                        continue;
                }
                DL_DELETE(p->queued, j);
                p->queued_count--;
                DL_APPEND(p->running, j);
                (void)pthread_mutex_unlock(&p->lock);
                j->work(j->userdata);
                (void)pthread_mutex_lock(&p->lock);
                DL_DELETE(p->running, j);
                DL_APPEND(p->finished, j);
                n = write(p->wake_fd, &one, sizeof(one));
                (void)n; /* EAGAIN: it is readable already */
                /* Jobs of this key, or the end, may have been what others wait for. */
                if (p->queued || p->stopping)
                        (void)pthread_cond_broadcast(&p->changed);
        }
        (void)pthread_mutex_unlock(&p->lock);
        return NULL;
}

static void deliver(struct worker_pool *p)
{
        struct job *batch, *j, *next;

        (void)pthread_mutex_lock(&p->lock);
        batch = TAKE_PTR(p->finished);
        (void)pthread_mutex_unlock(&p->lock);
        p->delivering = true;
        DL_FOREACH_SAFE (batch, j, next) {
                if (j->done)
                        j->done(j->userdata);
                free(j);
        }
        p->delivering = false;
}

static void on_finished(struct loop_io *io, int fd, uint32_t events, void *userdata)
{
        uint64_t value;
        ssize_t n = read(fd, &value, sizeof(value));

        (void)n, (void)io, (void)events;
        deliver(userdata);
}

/* Signals belong to the loop's thread: workers are born with all of them blocked. */
static int start_threads(struct worker_pool *p, unsigned count)
{
        sigset_t all, before;
        int r = 0;

        (void)sigfillset(&all);
        (void)pthread_sigmask(SIG_SETMASK, &all, &before);
        for (; p->thread_count < count && r == 0; p->thread_count += r == 0)
                r = -pthread_create(&p->threads[p->thread_count], NULL, worker, p);
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
        return r;
}

int worker_pool_new(
        struct loop *l, unsigned threads, size_t max_queued, struct worker_pool **ret, struct error *e)
{
        struct worker_pool *p;
        int r;

        if (threads == 0)
                return error_set(e, -EINVAL, "a worker pool needs at least one thread");
        p = NEW0(struct worker_pool);
        p->max_queued = max_queued;
        (void)pthread_mutex_init(&p->lock, NULL);
        (void)pthread_cond_init(&p->changed, NULL);
        p->threads = xcalloc(threads, sizeof(*p->threads));
        p->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        r = p->wake_fd < 0 ? -errno : 0;
        if (r == 0) {
                p->wake = loop_io_new(l, p->wake_fd, EPOLLIN, on_finished, p);
                r = p->wake ? start_threads(p, threads) : -ENOMEM;
        }
        if (r < 0) {
                (void)worker_pool_free(p);
                return error_set_errno(e, r, "cannot start %u worker threads", threads);
        }
        *ret = p;
        return 0;
}

int worker_pool_submit(struct worker_pool *p, const void *key, void (*work)(void *userdata),
        void (*done)(void *userdata), void *userdata)
{
        struct job *j;
        int r = 0;

        (void)pthread_mutex_lock(&p->lock);
        if (p->stopping) {
                r = -ESHUTDOWN;
        } else if (p->queued_count >= p->max_queued) {
                r = -EAGAIN;
        } else {
                j = NEW0(struct job);
                *j = (struct job){.key = key, .work = work, .done = done, .userdata = userdata};
                DL_APPEND(p->queued, j);
                p->queued_count++;
                (void)pthread_cond_signal(&p->changed);
        }
        (void)pthread_mutex_unlock(&p->lock);
        return r;
}

struct worker_pool *worker_pool_free(struct worker_pool *p)
{
        if (!p)
                return NULL;
        assert(!p->delivering);
        (void)pthread_mutex_lock(&p->lock);
        p->stopping = true;
        (void)pthread_cond_broadcast(&p->changed);
        (void)pthread_mutex_unlock(&p->lock);
        for (unsigned i = 0; i < p->thread_count; i++)
                (void)pthread_join(p->threads[i], NULL);
        deliver(p);
        (void)loop_io_free(p->wake);
        (void)close_fd(p->wake_fd);
        (void)pthread_cond_destroy(&p->changed);
        (void)pthread_mutex_destroy(&p->lock);
        free(p->threads);
        free(p);
        return NULL;
}
