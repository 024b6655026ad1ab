#include "master/operator/windows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "master/agent_internal.h"
#include "master/operator/standing.h"
#include "master/operator/window_check.h"

#define LOOK_AGAIN_NS (60 * NSEC_PER_SEC) /* the wall clock may be set */

struct window_name {
        const char *name; /* in the message */
        bool known;       /* an agent has it now; while warnings are made */
        UT_hash_handle hh;
};

struct window {
        Mete__Api__Window *message; /* owned, with id */
        struct window_name *names;  /* k: id or host name -> v, owned */
        bool stored;                /* on disk: until then nothing follows from it */
        bool begun;
        bool cancelled;
};

struct windows {
        struct master *master;
        struct window **items;        /* owned; soonest first */
        Mete__Api__Window **messages; /* of items */
        size_t count;
        uint64_t next;
        struct loop_timer *timer; /* the next beginning or end */
};

/* ---- the table ---- */

bool window_has_begun(const Mete__Api__Window *w, double now)
{
        return now >= w->start;
}

static void window_free(struct window *w)
{
        struct window_name *n, *next;

        HASH_ITER (hh, w->names, n, next) {
                HASH_DEL(w->names, n);
                free(n);
        }
        message_free(w->message);
        free(w);
}

static int compare_windows(const void *a, const void *b)
{
        const Mete__Api__Window *x = (*(struct window *const *)a)->message;
        const Mete__Api__Window *y = (*(struct window *const *)b)->message;

        return x->start != y->start ? (x->start > y->start) - (x->start < y->start) : strcmp(x->id, y->id);
}

static void list_messages(struct windows *ws)
{
        if (ws->count > 1)
                qsort(ws->items, ws->count, sizeof(*ws->items), compare_windows);
        ws->messages = xrealloc(ws->messages, (ws->count + 1) * sizeof(*ws->messages));
        for (size_t i = 0; i < ws->count; i++)
                ws->messages[i] = ws->items[i]->message;
}

/* Takes the message. */
static struct window *window_add(struct windows *ws, Mete__Api__Window *message)
{
        struct window *w = NEW0(struct window);

        w->message = message;
        for (size_t i = 0; i < message->n_agents; i++) {
                struct window_name *n;

                HASH_FIND_STR(w->names, message->agents[i], n);
                if (n)
                        continue;
                n = NEW0(struct window_name);
                n->name = message->agents[i];
                HASH_ADD_KEYPTR(hh, w->names, n->name, strlen(n->name), n);
        }
        ws->items = xrealloc(ws->items, (ws->count + 1) * sizeof(*ws->items));
        ws->items[ws->count++] = w;
        list_messages(ws);
        return w;
}

static void window_remove(struct windows *ws, struct window *w)
{
        size_t at = 0;

        while (ws->items[at] != w)
                at++;
        memmove(ws->items + at, ws->items + at + 1, (--ws->count - at) * sizeof(*ws->items));
        list_messages(ws);
        window_free(w);
}

static struct window_name *find_name(const struct window *w, const char *name)
{
        struct window_name *n;

        HASH_FIND_STR(w->names, name, n);
        return n;
}

static bool is_in(const struct window *w, const struct agent *a)
{
        return w->stored && (find_name(w, a->id) || find_name(w, a->info->hostname));
}

/* ---- agents ---- */

/* Which windows the agent is in. */
static void list_of_agent(struct windows *ws, struct agent *a)
{
        a->n_windows = 0;
        for (size_t i = 0; i < ws->count; i++) {
                if (!is_in(ws->items[i], a))
                        continue;
                a->windows = xrealloc(a->windows, (a->n_windows + 1) * sizeof(*a->windows));
                a->windows[a->n_windows++] = ws->items[i]->message;
        }
}

/* Offers told another time, or none. */
static void tell_agent(struct agent *a)
{
        offers_rescind_agent(a);
        offers_schedule(a->master);
        agent_changed(a);
}

static bool list_has(const struct string_list *l, const char *s)
{
        for (size_t i = 0; i < l->count; i++)
                if (str_equal(l->items[i], s))
                        return true;
        return false;
}

static void list_remove(struct string_list *l, const char *s)
{
        for (size_t i = 0; i < l->count; i++) {
                if (!str_equal(l->items[i], s))
                        continue;
                free(l->items[i]);
                memmove(l->items + i, l->items + i + 1,
                        (l->count - i) * sizeof(*l->items)); /* and the NULL */
                l->count--;
                return;
        }
}

static void begin_on(struct window *w, struct agent *a)
{
        struct agent_standing *s = &a->standing;
        _cleanup_free_ char *why = xasprintf("for maintenance %s", w->message->id);

        if (a->gone_time > 0 || list_has(&s->windows_begun, w->message->id))
                return;
        string_list_add(&s->windows_begun, w->message->id);
        s->by_window = s->by_window || !s->deactivated;
        if (w->message->drain && s->drain == AGENT_DRAIN_NONE)
                agent_drain(a, &(struct drain_wish){.why = why});
        else
                agent_deactivate(a, why);
}

static void end_on(struct window *w, struct agent *a)
{
        struct agent_standing *s = &a->standing;

        if (!list_has(&s->windows_begun, w->message->id))
                return;
        list_remove(&s->windows_begun, w->message->id);
        if (s->by_window && s->windows_begun.count == 0)
                agent_reactivate(a, "after maintenance");
        else
                agent_standing_changed(a);
}

void windows_take_agent(struct agent *a)
{
        struct windows *ws = a->master->windows;

        list_of_agent(ws, a);
        for (size_t i = 0; i < ws->count; i++)
                if (ws->items[i]->begun && is_in(ws->items[i], a))
                        begin_on(ws->items[i], a);
}

/* ---- time ---- */

static void begin(struct windows *ws, struct window *w)
{
        struct agent *a, *next;

        log_info("maintenance %s begins", w->message->id);
        w->begun = true;
        HASH_ITER (hh, ws->master->agents, a, next)
                if (is_in(w, a))
                        begin_on(w, a);
}

/* The agents serve again on disk before the window is forgotten there. */
static void end(struct windows *ws, struct window *w)
{
        _cleanup_free_ char *key = xasprintf("window/%s", w->message->id);
        struct store_batch *b = store_batch_new();
        struct agent *a, *next;

        log_info("maintenance %s %s", w->message->id, w->cancelled ? "is cancelled" : "is over");
        HASH_ITER (hh, ws->master->agents, a, next)
                end_on(w, a);
        store_batch_delete(b, key);
        master_write(ws->master, b, NULL, NULL);
        window_remove(ws, w);
        HASH_ITER (hh, ws->master->agents, a, next)
                list_of_agent(ws, a);
}

static void look_again_at(struct windows *ws, double now)
{
        double next = INFINITY;
        uint64_t delay_ns = LOOK_AGAIN_NS;

        for (size_t i = 0; i < ws->count; i++) {
                const struct window *w = ws->items[i];

                if (!w->stored)
                        continue;
                next = fmin(next, w->begun ? window_end(w->message) : w->message->start);
        }
        if (isinf(next)) {
                loop_timer_disarm(ws->timer);
                return;
        }
        if (next - now < (double)LOOK_AGAIN_NS / 1e9)
                delay_ns = next > now ? (uint64_t)((next - now) * 1e9) + 1 : 0;
        loop_timer_arm(ws->timer, delay_ns, /* period_ns= */ 0);
}

static void run(struct windows *ws)
{
        double now = wall_seconds_now();

        for (size_t i = 0; i < ws->count;) {
                struct window *w = ws->items[i];

                if (w->stored && window_end(w->message) <= now) {
                        end(ws, w);
                        continue;
                }
                if (w->stored && !w->begun && window_has_begun(w->message, now))
                        begin(ws, w);
                i++;
        }
        look_again_at(ws, now);
}

static void on_timer(struct loop_timer *timer, void *userdata)
{
        run(userdata);
}

/* ---- scheduling ---- */

static void note_known(struct window_name *n)
{
        if (n)
                n->known = true;
}

static void warn_of_unknown(const struct master *m, const struct window *w, struct string_list *warnings)
{
        const struct agent *a, *next_agent;
        const struct window_name *n, *next;

        HASH_ITER (hh, m->agents, a, next_agent) {
                note_known(find_name(w, a->id));
                note_known(find_name(w, a->info->hostname));
        }
        HASH_ITER (hh, w->names, n, next) {
                _cleanup_free_ char *text = NULL;

                if (n->known)
                        continue;
                text = xasprintf(
                        "no agent '%s' is known: the window will hold for it when it registers", n->name);
                string_list_add(warnings, text);
        }
}

static struct window *find(const struct windows *ws, const char *id)
{
        for (size_t i = 0; i < ws->count; i++)
                if (str_equal(ws->items[i]->message->id, id))
                        return ws->items[i];
        return NULL;
}

struct scheduled {
        struct master *master;
        char *id;
};

static void scheduled_written(int result, void *userdata)
{
        struct scheduled *x = userdata;
        struct windows *ws = x->master->windows;
        struct window *w = result >= 0 && !x->master->stopping ? find(ws, x->id) : NULL;
        struct agent *a, *next;

        if (w) {
                w->stored = true;
                HASH_ITER (hh, x->master->agents, a, next) {
                        if (!is_in(w, a))
                                continue;
                        list_of_agent(ws, a);
                        tell_agent(a);
                }
                run(ws);
        }
        free(x->id);
        free(x);
}

int windows_schedule(struct windows *ws, const Mete__Api__Window *wanted, struct string_list *warnings,
        const char **ret_field, struct error *e)
{
        Mete__Checkpoint__StoredWindow stored = METE__CHECKPOINT__STORED_WINDOW__INIT;
        _cleanup_free_ char *key = NULL;
        struct store_batch *b;
        struct scheduled *x;
        int r = window_check(wanted, wall_seconds_now(), ret_field, e);

        if (r < 0)
                return r;
        *ret_field = NULL;
        if (ws->count >= WINDOWS_MAX)
                return error_set(e, -ENOSPC,
                        "%d windows are scheduled: no more are accepted until some are over", WINDOWS_MAX);
        stored.window = message_copy(wanted);
        free(stored.window->id);
        stored.window->id = xasprintf("w%ju.%ju", (uintmax_t)ws->master->epoch, (uintmax_t)ws->next++);
        warn_of_unknown(ws->master, window_add(ws, stored.window), warnings);
        key = xasprintf("window/%s", stored.window->id);
        b = store_batch_new();
        master_put_message(b, key, &stored.base);
        x = NEW0(struct scheduled);
        *x = (struct scheduled){ws->master, xstrdup(stored.window->id)};
        master_write(ws->master, b, scheduled_written, x);
        return 0;
}

int windows_cancel(struct windows *ws, const char *id)
{
        struct window *w = find(ws, id);
        struct agent *a, *next;
        struct string_list in = {};

        if (!w)
                return -ENOENT;
        w->cancelled = true;
        HASH_ITER (hh, ws->master->agents, a, next)
                if (is_in(w, a))
                        string_list_add(&in, a->id);
        end(ws, w);
        for (size_t i = 0; i < in.count; i++)
                tell_agent(agent_find(ws->master, in.items[i]));
        string_list_done(&in);
        run(ws);
        return 0;
}

/* ---- looking ---- */

Mete__Api__Window *const *windows_list(struct windows *ws, size_t *ret_count)
{
        *ret_count = ws->count;
        return ws->messages;
}

static struct wall_time wall_of(double seconds)
{
        return (struct wall_time){seconds < 1.8e10 ? (uint64_t)(seconds * 1e9) : UINT64_MAX};
}

bool agent_window(const struct agent *a, struct wall_time *ret_begin, struct wall_time *ret_end)
{
        if (a->n_windows == 0)
                return false;
        *ret_begin = wall_of(a->windows[0]->start);
        *ret_end = wall_of(window_end(a->windows[0]));
        return true;
}

/* ---- start, end ---- */

static int recover(const char *key, const void *value, size_t len, void *userdata)
{
        _cleanup_error_ struct error error = {};
        Mete__Checkpoint__StoredWindow *stored;
        ProtobufCMessage *message = NULL;

        if (message_decode(CODEC_PROTOBUF, &mete__checkpoint__stored_window__descriptor, value, len, &message,
                    &error) < 0) {
                log_error("store: %s is skipped: %s", key, error_message(&error));
                return 0;
        }
        stored = (Mete__Checkpoint__StoredWindow *)message;
        if (stored->window->id)
                window_add(userdata, TAKE_PTR(stored->window))->stored = true;
        else
                log_error("store: %s is skipped: the window has no id", key);
        message_free(message);
        return 0;
}

int windows_recover(struct windows *ws, struct error *e)
{
        return store_scan(ws->master->store, "window/", recover, ws, e);
}

void windows_start(struct windows *ws)
{
        struct agent *a, *next;

        HASH_ITER (hh, ws->master->agents, a, next)
                list_of_agent(ws, a);
        if (ws->count > 0)
                loop_timer_arm(ws->timer, /* delay_ns= */ 0, /* period_ns= */ 0);
}

struct windows *windows_new(struct master *m)
{
        struct windows *ws = NEW0(struct windows);

        ws->master = m;
        ws->next = 1;
        ws->timer = loop_timer_new(m->loop, on_timer, ws);
        return ws;
}

struct windows *windows_free(struct windows *ws)
{
        if (!ws)
                return NULL;
        for (size_t i = 0; i < ws->count; i++)
                window_free(ws->items[i]);
        loop_timer_free(ws->timer);
        free(ws->items);
        free(ws->messages);
        free(ws);
        return NULL;
}
