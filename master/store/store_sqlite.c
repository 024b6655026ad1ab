/*
 * One table of keys and values in SQLite. WAL with synchronous=FULL: a commit is one write and one sync of the log; a kill at any
 * moment loses nothing that was committed. The file is locked for as long as it is open: two masters never share one.
 */

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "master/store/backend.h"

#define APPLICATION_ID 0x4d657465 /* "Mete" */
#define SCHEMA_VERSION 1

struct sqlite_state {
        sqlite3 *db;
        char *path;
        sqlite3_stmt *put, *get, *delete_one, *delete_range;
};

static int sqlite_fail(struct sqlite_state *s, const char *what, struct error *e)
{
        int code = s->db ? sqlite3_extended_errcode(s->db) : SQLITE_CANTOPEN;
        const char *text = s->db ? sqlite3_errmsg(s->db) : "out of memory";

        switch (code & 0xff) {
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
                return error_set(e, -EBUSY, "store %s: in use by another process: is another master running?",
                        s->path);
        case SQLITE_NOTADB:
        case SQLITE_CORRUPT:
                return error_set(e, -EUCLEAN,
                        "store %s: damaged (%s): restore it from a backup, or move it away to start empty",
                        s->path, text);
        case SQLITE_FULL:
                return error_set(e, -ENOSPC, "store %s: cannot %s: no space left", s->path, what);
        case SQLITE_CANTOPEN:
        case SQLITE_PERM:
        case SQLITE_READONLY:
                return error_set(e, -EACCES, "store %s: cannot %s: %s", s->path, what, text);
        default:
                return error_set(e, -EIO, "store %s: cannot %s: %s", s->path, what, text);
        }
}

static int run(struct sqlite_state *s, const char *sql, const char *what, struct error *e)
{
        return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : sqlite_fail(s, what, e);
}

static int pragma_int(struct sqlite_state *s, const char *sql, int64_t *ret, struct error *e)
{
        sqlite3_stmt *stmt = NULL;
        int r = 0;

        if (sqlite3_prepare_v2(s->db, sql, -1, &stmt, NULL) != SQLITE_OK || sqlite3_step(stmt) != SQLITE_ROW)
                r = sqlite_fail(s, "read the header", e);
        else
                *ret = sqlite3_column_int64(stmt, 0);
        sqlite3_finalize(stmt);
        return r;
}

static int check_integrity(struct sqlite_state *s, struct error *e)
{
        sqlite3_stmt *stmt = NULL;
        int r = 0;

        if (sqlite3_prepare_v2(s->db, "PRAGMA integrity_check(1)", -1, &stmt, NULL) != SQLITE_OK ||
                sqlite3_step(stmt) != SQLITE_ROW) {
                r = sqlite_fail(s, "check the file", e);
        } else {
                const char *text = (const char *)sqlite3_column_text(stmt, 0);

                if (!str_equal(text, "ok"))
                        r = error_set(e, -EUCLEAN,
                                "store %s: damaged (%s): restore it from a backup, or move it away to start "
                                "empty",
                                s->path, text ? text : "?");
        }
        sqlite3_finalize(stmt);
        return r;
}

/* An empty file becomes ours; any other must be ours already, and of a version that we know. */
static int check_schema(struct sqlite_state *s, struct error *e)
{
        int64_t id, version, tables;
        int r = pragma_int(s, "PRAGMA application_id", &id, e);

        if (r >= 0)
                r = pragma_int(s, "PRAGMA user_version", &version, e);
        if (r >= 0)
                r = pragma_int(s, "SELECT count(*) FROM sqlite_master", &tables, e);
        if (r < 0)
                return r;
        if (id == 0 && tables == 0) {
                _cleanup_free_ char *sql = xasprintf(
                        "BEGIN; CREATE TABLE kv (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
                        "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
                        APPLICATION_ID, SCHEMA_VERSION);

                return run(s, sql, "create the table", e);
        }
        if (id != APPLICATION_ID)
                return error_set(e, -EINVAL, "store %s: a database of another program", s->path);
        if (version != SCHEMA_VERSION)
                return error_set(e, -EPROTONOSUPPORT, "store %s: schema version %jd, this program knows %d",
                        s->path, (intmax_t)version, SCHEMA_VERSION);
        return 0;
}

static int prepare(struct sqlite_state *s, const char *sql, sqlite3_stmt **ret, struct error *e)
{
        if (sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL) != SQLITE_OK)
                return sqlite_fail(s, "prepare a statement", e);
        return 0;
}

static void sqlite_close(void *state)
{
        struct sqlite_state *s = state;

        sqlite3_finalize(s->put);
        sqlite3_finalize(s->get);
        sqlite3_finalize(s->delete_one);
        sqlite3_finalize(s->delete_range);
        sqlite3_close(s->db);
        free(s->path);
        free(s);
}

static int sqlite_setup(struct sqlite_state *s, struct error *e)
{
        int r;

        if (sqlite3_open_v2(s->path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                    NULL) != SQLITE_OK)
                return sqlite_fail(s, "open the file", e);
        /* Keys and values are small; the page cache need not be large. */
        r = run(s, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA trusted_schema=OFF; PRAGMA cache_size=-512",
                "lock the file", e);
        if (r >= 0)
                r = run(s,
                        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA journal_size_limit=4194304",
                        "start the log", e);
        if (r >= 0) /* the lock is taken at the first write */
                r = run(s, "BEGIN EXCLUSIVE; COMMIT", "lock the file", e);
        if (r >= 0)
                r = check_integrity(s, e);
        if (r >= 0)
                r = check_schema(s, e);
        if (r >= 0)
                r = prepare(s, "INSERT OR REPLACE INTO kv VALUES (?1, ?2)", &s->put, e);
        if (r >= 0)
                r = prepare(s, "SELECT value FROM kv WHERE key = ?1", &s->get, e);
        if (r >= 0)
                r = prepare(s, "DELETE FROM kv WHERE key = ?1", &s->delete_one, e);
        if (r >= 0)
                r = prepare(s, "DELETE FROM kv WHERE key >= ?1 AND key < ?2", &s->delete_range, e);
        return r;
}

static int sqlite_open(const char *where, void **ret, struct error *e)
{
        struct sqlite_state *s;
        int r;

        if (str_empty(where))
                return error_set(e, -EINVAL, "store: 'sqlite:' needs the path of a file");
        s = NEW0(struct sqlite_state);
        s->path = xstrdup(where);
        r = sqlite_setup(s, e);
        if (r < 0) {
                sqlite_close(s);
                return r;
        }
        *ret = s;
        return 0;
}

/* The first key behind all keys with the prefix: prefixes are ASCII and end in a byte below 0x7f. */
static char *prefix_end(const char *prefix)
{
        char *end = xstrdup(prefix);

        if (*end)
                end[strlen(end) - 1]++;
        return end;
}

static int sqlite_scan(
        void *state, const char *prefix, store_scan_handler each, void *userdata, struct error *e)
{
        struct sqlite_state *s = state;
        _cleanup_free_ char *end = prefix_end(prefix);
        sqlite3_stmt *stmt = NULL;
        int step, r = 0;

        if (sqlite3_prepare_v2(s->db,
                    *prefix ? "SELECT key, value FROM kv WHERE key >= ?1 AND key < ?2 ORDER BY key"
                            : "SELECT key, value FROM kv ORDER BY key",
                    -1, &stmt, NULL) != SQLITE_OK)
                return sqlite_fail(s, "read", e);
        if (*prefix) {
                sqlite3_bind_text(stmt, 1, prefix, -1, SQLITE_STATIC);
                sqlite3_bind_text(stmt, 2, end, -1, SQLITE_STATIC);
        }
        while ((step = sqlite3_step(stmt)) == SQLITE_ROW && r >= 0) {
                const void *value = sqlite3_column_blob(stmt, 1);

                r = each((const char *)sqlite3_column_text(stmt, 0), value ? value : "",
                        (size_t)sqlite3_column_bytes(stmt, 1), userdata);
        }
        if (r >= 0 && step != SQLITE_DONE)
                r = sqlite_fail(s, "read", e);
        sqlite3_finalize(stmt);
        return r;
}

static const char *range_sql(const struct store_range *range)
{
#define SELECT "SELECT key, value FROM kv WHERE key >= ?1 AND key < ?2 "
        if (range->descending)
                return range->beyond ? SELECT "AND key < ?3 ORDER BY key DESC" : SELECT "ORDER BY key DESC";
        return range->beyond ? SELECT "AND key > ?3 ORDER BY key" : SELECT "ORDER BY key";
#undef SELECT
}

static int sqlite_range(void *state, const struct store_range *range, store_scan_handler each, void *userdata,
        struct error *e)
{
        struct sqlite_state *s = state;
        _cleanup_free_ char *end = prefix_end(range->prefix);
        sqlite3_stmt *stmt = NULL;
        int step = SQLITE_DONE, r = 0;

        if (sqlite3_prepare_v2(s->db, range_sql(range), -1, &stmt, NULL) != SQLITE_OK)
                return sqlite_fail(s, "read", e);
        sqlite3_bind_text(stmt, 1, range->prefix, -1, SQLITE_STATIC);
        sqlite3_bind_text(stmt, 2, end, -1, SQLITE_STATIC);
        if (range->beyond)
                sqlite3_bind_text(stmt, 3, range->beyond, -1, SQLITE_STATIC);
        while (r == 0 && (step = sqlite3_step(stmt)) == SQLITE_ROW) {
                const void *value = sqlite3_column_blob(stmt, 1);

                r = each((const char *)sqlite3_column_text(stmt, 0), value ? value : "",
                        (size_t)sqlite3_column_bytes(stmt, 1), userdata);
        }
        if (r == 0 && step != SQLITE_DONE)
                r = sqlite_fail(s, "read", e);
        sqlite3_finalize(stmt);
        return MIN(r, 0);
}

static int sqlite_get(void *state, const char *key, void **ret, size_t *ret_len, struct error *e)
{
        struct sqlite_state *s = state;
        int step, r = 0;

        sqlite3_bind_text(s->get, 1, key, -1, SQLITE_STATIC);
        step = sqlite3_step(s->get);
        if (step == SQLITE_ROW) {
                const void *value = sqlite3_column_blob(s->get, 0);

                *ret_len = (size_t)sqlite3_column_bytes(s->get, 0);
                *ret = store_value_copy(value, *ret_len);
        } else {
                r = step == SQLITE_DONE ? -ENOENT : sqlite_fail(s, "read", e);
        }
        sqlite3_reset(s->get);
        sqlite3_clear_bindings(s->get);
        return r;
}

static int apply_change(struct sqlite_state *s, const struct store_change *c, struct error *e)
{
        sqlite3_stmt *stmt = c->op == STORE_PUT      ? s->put
                             : c->op == STORE_DELETE ? s->delete_one
                                                     : s->delete_range;
        _cleanup_free_ char *end = c->op == STORE_DELETE_PREFIX ? prefix_end(c->key) : NULL;
        int r = 0;

        sqlite3_bind_text(stmt, 1, c->key, -1, SQLITE_STATIC);
        if (c->op == STORE_PUT)
                sqlite3_bind_blob64(stmt, 2, c->value ? c->value : "", c->len, SQLITE_STATIC);
        else if (end)
                sqlite3_bind_text(stmt, 2, end, -1, SQLITE_STATIC);
        if (sqlite3_step(stmt) != SQLITE_DONE)
                r = sqlite_fail(s, "write", e);
        sqlite3_reset(stmt);
        sqlite3_clear_bindings(stmt);
        return r;
}

static int sqlite_apply(void *state, const struct store_batch *group, struct error *e)
{
        struct sqlite_state *s = state;
        int r = run(s, "BEGIN IMMEDIATE", "begin a transaction", e);

        for (const struct store_batch *b = group; b && r >= 0; b = b->next)
                for (size_t i = 0; i < b->count && r >= 0; i++)
                        r = apply_change(s, &b->changes[i], e);
        if (r >= 0)
                r = run(s, "COMMIT", "commit", e);
        if (r < 0)
                (void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
        return r;
}

const struct store_backend store_backend_sqlite = {
        .scheme = "sqlite:",
        .blocks = true,
        .open = sqlite_open,
        .close = sqlite_close,
        .scan = sqlite_scan,
        .range = sqlite_range,
        .get = sqlite_get,
        .apply = sqlite_apply,
};
