/*
 * What was fetched with cache: true, by user and URI, the least recently used first to go. The files have no names: only the agent holds
 * them, copies are what tasks get, and when the agent dies the kernel frees them. Plain data but for the files; loop thread.
 */
#pragma once

#include <uthash.h>

#include "lib/base/error.h"

enum fetch_cache_state {
        FETCH_CACHE_LOADING, /* whoever made the entry is filling it */
        FETCH_CACHE_READY,
        FETCH_CACHE_FAILED, /* out of the table; kept for those who waited */
};

struct fetch_cache_entry {
        char *key; /* "<uid> <uri>" */
        enum fetch_cache_state state;
        int fd;
        uint64_t size, used_at;
        char *message;  /* FAILED: why */
        unsigned users; /* fetches that wait for it or copy it */
        bool listed;    /* in the table */
        void *loader;   /* of whoever fills it */
        UT_hash_handle hh;
};

#define FETCH_CACHE_ENTRIES_MAX 1024
struct fetch_cache {
        struct fetch_cache_entry
                *entries; /* k: key -> v: owned; an entry with users outlives its place here */
        int dir_fd;       /* where the files lie; the cache's */
        uint64_t total_bytes, used_bytes, clock;
};

/* dir_fd becomes the cache's. */
void fetch_cache_init(struct fetch_cache *c, int dir_fd, uint64_t total_bytes);
void fetch_cache_done(struct fetch_cache *c);
/* One more user. NULL: there is none. */
struct fetch_cache_entry *fetch_cache_find(struct fetch_cache *c, uid_t uid, const char *uri);
/* A new entry that is LOADING, with an empty file and one user. */
int fetch_cache_add(struct fetch_cache *c, uid_t uid, const char *uri, struct fetch_cache_entry **ret,
        struct error *e) WARN_UNUSED;
/* It is filled: takes its place, and the oldest go. One that is larger than the whole cache serves those who wait, and nobody else. */
int fetch_cache_loaded(struct fetch_cache *c, struct fetch_cache_entry *x, struct error *e) WARN_UNUSED;
void fetch_cache_failed(struct fetch_cache *c, struct fetch_cache_entry *x, const char *message);
/* One user less. The last user of an entry that is LOADING stops whoever loads it and calls fetch_cache_failed() first. */
void fetch_cache_unuse(struct fetch_cache *c, struct fetch_cache_entry *x);
/* A descriptor of its own, for reading or writing; the caller closes. */
int fetch_cache_open(const struct fetch_cache_entry *x, bool writable, int *ret_fd) WARN_UNUSED;
