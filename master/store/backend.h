/* What a backend of the store does. Calls are never concurrent; apply(), range() and get() may run on a worker thread. */
#pragma once

#include "lib/base/error.h"
#include "master/store/store.h"

enum store_op { STORE_PUT, STORE_DELETE, STORE_DELETE_PREFIX };

struct store_change {
        enum store_op op;
        char *key;   /* owned */
        void *value; /* owned; STORE_PUT only */
        size_t len;
};

struct store_batch {
        struct store_change *changes;
        size_t count, capacity;
        store_done_handler done;
        void *userdata;
        struct store_batch *next; /* in a group */
};

/* The value as store_get() gives it: with a NUL behind it. */
void *store_value_copy(const void *value, size_t len);

struct store_backend {
        const char *scheme; /* of the URL, with the colon */
        bool blocks;        /* apply() waits for a disk: use a worker */
        int (*open)(const char *where, void **ret_state, struct error *e);
        void (*close)(void *state);
        int (*scan)(
                void *state, const char *prefix, store_scan_handler each, void *userdata, struct error *e);
        int (*range)(void *state, const struct store_range *range, store_scan_handler each, void *userdata,
                struct error *e);
        /* As store_view_get(). */
        int (*get)(void *state, const char *key, void **ret, size_t *ret_len, struct error *e);
        /* All batches of the list in one transaction, durable on return. */
        int (*apply)(void *state, const struct store_batch *group, struct error *e);
};

extern const struct store_backend store_backend_sqlite;
extern const struct store_backend store_backend_memory;
