/*
 * What must outlive the master: an ordered map of keys to values. What the master lives on is read once at start; then batches of puts
 * and deletes are written, each atomically. store_write() answers through the loop after the batch is durable. What is too much to be kept
 * in memory (the history) is read off the loop by store_read().
 *
 * Group commit: while one transaction is on its way to disk on a worker thread, further batches gather and go together in
 * the next one. Batches become durable in the order of writing. Loop thread only.
 *
 * A failed transaction is final: its batches and all later ones are answered with the error, since what is in memory is by then
 * ahead of the disk. The owner stops the master.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/loop/loop.h"

struct store;
struct store_batch;

/*
 * "sqlite:PATH" or "memory:". Blocks: for the start. A file that is damaged, of a newer version, not ours or in use by another
 * master is refused with a sentence.
 */
int store_open(struct loop *l, const char *url, struct store **ret, struct error *e) WARN_UNUSED;
/* Writes what was handed over, calls back, closes. */
struct store *store_close(struct store *s);
DEFINE_CLEANUP(struct store, store_close)

/* For each key with the prefix, in order. Only before the first write. A negative return of `each` ends the scan and is returned. */
typedef int (*store_scan_handler)(const char *key, const void *value, size_t len, void *userdata);
int store_scan(struct store *s, const char *prefix, store_scan_handler each, void *userdata,
        struct error *e) WARN_UNUSED;
/* The value of one key, which the caller frees; -ENOENT. Only before the first write. */
int store_get(struct store *s, const char *key, void **ret, size_t *ret_len, struct error *e) WARN_UNUSED;

struct store_batch *store_batch_new(void);
struct store_batch *store_batch_free(struct store_batch *b);
void store_batch_put(struct store_batch *b, const char *key, const void *value, size_t len); /* copies */
void store_batch_delete(struct store_batch *b, const char *key);
void store_batch_delete_prefix(struct store_batch *b, const char *prefix);
bool store_batch_empty(const struct store_batch *b);

/* result: 0 or -errno. */
typedef void (*store_done_handler)(int result, void *userdata);
/* Takes the batch. `done` (may be NULL) fires later, on the loop. */
void store_write(struct store *s, struct store_batch *b, store_done_handler done, void *userdata);
/* Blocks until the batch is durable: for the start, before the first store_write. Takes the batch. */
int store_write_now(struct store *s, struct store_batch *b, struct error *e) WARN_UNUSED;
/* ---- reading while it runs ---- */

struct store_view;
struct store_range {
        const char *prefix; /* not empty */
        const char *beyond; /* a key: only those beyond it, in the direction of the scan; NULL: all */
        bool descending;
};
/* As store_scan(), but `each` may also return 1, which ends the scan well. */
int store_view_scan(struct store_view *v, const struct store_range *range, store_scan_handler each,
        void *userdata, struct error *e) WARN_UNUSED;
/* The value, which the caller frees; -ENOENT. */
int store_view_get(
        struct store_view *v, const char *key, void **ret, size_t *ret_len, struct error *e) WARN_UNUSED;
/*
 * `work` runs on the thread that also writes: it must be short, so that writes do not wait for long, and touch nothing but its userdata.
 * Then `done` fires on the loop with what it returned; without `work` having run, with -ECANCELED when the store is closed. All batches
 * that were handed over before can be seen. Reads and writes take turns.
 */
typedef int (*store_read_handler)(struct store_view *v, void *userdata);
void store_read(struct store *s, store_read_handler work, store_done_handler done, void *userdata);

/* The sentence of the failure, NULL while all is well. */
const char *store_failure(const struct store *s);
