/*
 * What frameworks/ keeps of a framework that speaks the scheduler API, shared by its files and by the endpoint. It is there from the
 * subscription, or from the first report of an agent, until the framework is removed; the stream comes and goes. Loop thread.
 */
#pragma once

#include "master/frameworks/frameworks.h"

/* What one OFFERS event holds at most: clients bound the size of a record. */
#define OFFERS_PER_EVENT 200

struct http_framework {
        struct framework *framework;
        struct http_stream *stream;    /* NULL: not connected */
        char stream_id[UUID_TEXT_MAX]; /* of the current stream; only the subscriber was told */
        enum codec codec;
        bool stalled; /* its peer does not read: nothing more is sent, and `later` disconnects it */
        struct loop_timer *heartbeat;
        struct loop_timer *later;        /* after the current callback: sends the offers, or disconnects */
        struct loop_timer *failover;     /* armed while it may come back */
        struct string_list offers;       /* ids, made and not sent yet */
        struct buffer scratch;           /* for encoding */
        Mete__Api__Isolation host, none; /* by network; the user borrowed from below */
        char *user;                      /* "uid:gid" of an owner without privileges */
        UT_hash_handle hh;               /* in master.streams, while connected */
};

struct http_framework *http_framework_new(struct framework *f);
struct http_framework *http_framework_free(struct http_framework *h);
/* Takes the request: the stream of it replaces none (http_framework_close first). Nothing is sent yet. */
void http_framework_open(struct http_framework *h, struct http_request *req, enum codec codec);
/* Ends the stream, after an ERROR event when there is something to say. */
void http_framework_close(struct http_framework *h, const char *error);
/* SUBSCRIBED and the first HEARTBEAT; more of these follow. */
void http_framework_greet(struct http_framework *h, const Mete__V1__MasterInfo *master);
/* As whom its tasks run, and with whose rights files are opened for them. */
void http_framework_set_owner(struct http_framework *h, uid_t uid, gid_t gid);
void http_framework_set_privileged(struct http_framework *h);
/* Who is connected with this stream id. */
struct framework *http_framework_find(const struct master *m, const char *stream_id);

/* ---- framework_life.c ---- */
/* An orphan, or one just added, gets what a subscriber needs; it is not active yet. */
void framework_make_http(struct framework *f);
/* Its stream is open. */
void framework_connected(struct framework *f);
/* Somebody else subscribes in its place: an older stream is told and ends. */
void framework_failed_over(struct framework *f);
/* Takes the info, with its id. User and checkpoint stay as they are: what runs was launched by them. */
void framework_take_info(struct framework *f, Mete__V1__FrameworkInfo *info);
void framework_replace_info(struct framework *f, Mete__V1__FrameworkInfo *info); /* all of it */
void framework_tell_agents(struct framework *f);
/* The stream broke, or was cut. */
void framework_disconnected(struct framework *f, const char *why);
/* The failover timeout that was armed is over. */
void framework_failover(struct framework *f);
