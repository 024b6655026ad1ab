/*
 * Who is served before whom. Thousands of machines that call at once must not keep a health check waiting until all of them are through.
 * Connections are accepted, and the first request of each is read, before any other work of the loop (LOOP_PRIORITY_PROMPT); but only
 * requests to prompt routes are carried out then. All others wait for their turn in one line with what comes on older connections and
 * with the timers (LOOP_PRIORITY_BULK). What goes first is bounded: one request of a connection, read within PROMPT_READING_NS, and
 * ACCEPT_CROWD connections before the line moves on for ACCEPT_REST_NS. So a flood of connections slows the line down, and cannot stop it.
 */
#include <event2/bufferevent.h>
#include <stdlib.h>
#include <utlist.h>

#include "lib/net/http_internal.h"

#define PROMPT_READING_NS (100 * NSEC_PER_MSEC)
#define ACCEPT_CROWD 256u
#define ACCEPT_WINDOW_NS (20 * NSEC_PER_MSEC)
#define ACCEPT_REST_NS (5 * NSEC_PER_MSEC)

/* ---- requests ---- */

static void on_turn(evutil_socket_t fd, short what, void *userdata)
{
        struct http_request *r = userdata;

        event_free(r->turn);
        r->turn = NULL;
        http_request_carry_out(r);
}

void http_request_wait_turn(struct http_request *r)
{
        r->turn = evtimer_new(loop_base(r->loop), on_turn, r);
        if (!r->turn)
                abort();
        (void)event_priority_set(r->turn, LOOP_PRIORITY_BULK);
        event_active(r->turn, EV_TIMEOUT, 1);
}

/* ---- connections ---- */

void http_connection_demote(struct http_connection *c)
{
        if (!c->prompt)
                return;
        c->prompt = false;
        (void)bufferevent_priority_set(evhttp_connection_get_bufferevent(c->peer), LOOP_PRIORITY_BULK);
}

/* The oldest come first in the list, so that the rest is young too. */
static void on_settle(struct loop_timer *t, void *userdata)
{
        struct http_server *s = userdata;
        struct mono_time now = mono_now();
        struct http_connection *c;

        DL_FOREACH2(s->silent, c, idle_next)
        {
                if (mono_elapsed_ns(c->since, now) < PROMPT_READING_NS)
                        break;
                http_connection_demote(c);
        }
        if (c)
                loop_timer_arm(t, PROMPT_READING_NS, 0);
}

void http_connection_begin(struct http_connection *c)
{
        struct http_server *s = c->server;

        c->prompt = true;
        c->since = mono_now();
        if (!loop_timer_armed(s->settle))
                loop_timer_arm(s->settle, PROMPT_READING_NS, 0);
}

/* ---- acceptance ---- */

void http_server_count_accepted(struct http_server *s)
{
        struct mono_time now = mono_now();

        if (mono_elapsed_ns(s->crowd_since, now) > ACCEPT_WINDOW_NS) {
                s->crowd_since = now;
                s->crowd = 0;
        }
        if (++s->crowd < ACCEPT_CROWD)
                return;
        s->crowd = 0;
        http_listeners_rest(s, ACCEPT_REST_NS);
}

void http_turns_start(struct http_server *s)
{
        s->settle = loop_timer_new(s->loop, on_settle, s);
}

void http_turns_stop(struct http_server *s)
{
        s->settle = loop_timer_free(s->settle);
}
