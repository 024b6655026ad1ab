/*
 * Traits are interned in a hash table with chains: as many buckets as objects, doubled as they grow. The table is freed with the last
 * object, so that nothing is left at exit.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/resources.h"

static struct {
        struct resource_traits **buckets;
        size_t bucket_count; /* a power of two, or 0 */
        size_t count;
} table;

/* ---- comparing ---- */

static int text_compare(const char *a, const char *b)
{
        if (a == b)
                return 0;
        if (!a || !b)
                return a ? 1 : -1;
        return strcmp(a, b);
}

static int number_compare(size_t a, size_t b)
{
        return a < b ? -1 : a > b;
}

static int labels_compare(const struct resource_reservation *a, const struct resource_reservation *b)
{
        int r = number_compare(a->label_count, b->label_count);

        for (size_t i = 0; i < a->label_count && r == 0; i++) {
                r = text_compare(a->labels[i].key, b->labels[i].key);
                if (r == 0)
                        r = text_compare(a->labels[i].value, b->labels[i].value);
        }
        return r;
}

static int reservation_compare(const struct resource_reservation *a, const struct resource_reservation *b)
{
        int r = text_compare(a->role, b->role);

        if (r == 0)
                r = number_compare(a->dynamic, b->dynamic);
        if (r == 0)
                r = text_compare(a->principal, b->principal);
        return r != 0 ? r : labels_compare(a, b);
}

static int volume_compare(const struct resource_traits *a, const struct resource_traits *b)
{
        int r = text_compare(a->volume_id, b->volume_id);

        if (r == 0)
                r = text_compare(a->container_path, b->container_path);
        if (r == 0)
                r = number_compare(a->read_only, b->read_only);
        return r != 0 ? r : text_compare(a->volume_principal, b->volume_principal);
}

int resource_traits_compare(const struct resource_traits *a, const struct resource_traits *b)
{
        int r = 0;

        if (a == b)
                return 0;
        if (!a || !b)
                return a ? 1 : -1;
        for (size_t i = 0; i < MIN(a->reservation_count, b->reservation_count) && r == 0; i++)
                r = reservation_compare(&a->reservations[i], &b->reservations[i]);
        if (r == 0)
                r = number_compare(a->reservation_count, b->reservation_count);
        if (r == 0)
                r = volume_compare(a, b);
        return r != 0 ? r : number_compare(a->revocable, b->revocable);
}

/* ---- interning ---- */

/* FNV-1a; a text ends with its NUL, and no text differs from an empty one. */
static uint32_t hash_text(uint32_t hash, const char *s)
{
        if (!s)
                return (hash ^ 0xff) * 16777619u;
        do
                hash = (hash ^ (unsigned char)*s) * 16777619u;
        while (*s++);
        return hash;
}

static uint32_t hash_of(const struct resource_traits *t)
{
        uint32_t hash = 2166136261u;

        for (size_t i = 0; i < t->reservation_count; i++) {
                const struct resource_reservation *r = &t->reservations[i];

                hash = hash_text(hash, r->role);
                hash = hash_text(hash, r->principal);
                hash = hash_text(hash, r->dynamic ? "dynamic" : "static");
                for (size_t k = 0; k < r->label_count; k++) {
                        hash = hash_text(hash, r->labels[k].key);
                        hash = hash_text(hash, r->labels[k].value);
                }
        }
        hash = hash_text(hash, t->volume_id);
        hash = hash_text(hash, t->container_path);
        return hash_text(hash, t->revocable ? "revocable" : NULL);
}

static void insert(struct resource_traits *t)
{
        struct resource_traits **bucket = &table.buckets[t->hash & (table.bucket_count - 1)];

        t->next = *bucket;
        *bucket = t;
}

static void grow(void)
{
        struct resource_traits **old = table.buckets;
        size_t old_count = table.bucket_count;

        table.bucket_count = MAX(old_count * 2, (size_t)16);
        table.buckets = xcalloc(table.bucket_count, sizeof(*table.buckets));
        for (size_t i = 0; i < old_count; i++)
                for (struct resource_traits *t = old[i], *next; t; t = next) {
                        next = t->next;
                        insert(t);
                }
        free(old);
}

static void copy_reservation(const struct resource_reservation *from, struct resource_reservation *ret)
{
        *ret = (struct resource_reservation){
                .role = xstrdup(from->role),
                .principal = xstrdup(from->principal),
                .dynamic = from->dynamic,
                .label_count = from->label_count,
        };
        if (from->label_count == 0)
                return;
        ret->labels = xcalloc(from->label_count, sizeof(*ret->labels));
        for (size_t i = 0; i < from->label_count; i++)
                ret->labels[i] = (struct resource_label){
                        .key = xstrdup(from->labels[i].key), .value = xstrdup(from->labels[i].value)};
}

static struct resource_traits *traits_copy(const struct resource_traits *from)
{
        struct resource_traits *t = NEW0(struct resource_traits);

        *t = (struct resource_traits){
                .reservation_count = from->reservation_count,
                .volume_id = xstrdup(from->volume_id),
                .volume_principal = xstrdup(from->volume_principal),
                .container_path = xstrdup(from->container_path),
                .read_only = from->read_only,
                .revocable = from->revocable,
        };
        if (from->reservation_count > 0)
                t->reservations = xcalloc(from->reservation_count, sizeof(*t->reservations));
        for (size_t i = 0; i < from->reservation_count; i++)
                copy_reservation(&from->reservations[i], &t->reservations[i]);
        return t;
}

static void traits_free(struct resource_traits *t)
{
        for (size_t i = 0; i < t->reservation_count; i++) {
                struct resource_reservation *r = &t->reservations[i];

                for (size_t k = 0; k < r->label_count; k++) {
                        free(r->labels[k].key);
                        free(r->labels[k].value);
                }
                free(r->labels);
                free(r->role);
                free(r->principal);
        }
        free(t->reservations);
        free(t->volume_id);
        free(t->volume_principal);
        free(t->container_path);
        free(t);
}

const struct resource_traits *resource_traits_get(const struct resource_traits *like)
{
        uint32_t hash;

        if (like->reservation_count == 0 && !like->volume_id && !like->revocable)
                return NULL;
        assert(like->reservation_count <= RESERVATIONS_MAX);
        hash = hash_of(like);
        if (table.count > 0)
                for (struct resource_traits *t = table.buckets[hash & (table.bucket_count - 1)]; t;
                        t = t->next)
                        if (t->hash == hash && resource_traits_compare(t, like) == 0)
                                return resource_traits_ref(t);
        if (table.count >= table.bucket_count)
                grow();
        struct resource_traits *t = traits_copy(like);
        t->hash = hash;
        t->references = 1;
        insert(t);
        table.count++;
        return t;
}

/* What is shared does not change; its count of references is the exception. */
static struct resource_traits *writable(const struct resource_traits *t)
{
        return (struct resource_traits *)t;
}

const struct resource_traits *resource_traits_ref(const struct resource_traits *t)
{
        if (t)
                writable(t)->references++;
        return t;
}

void resource_traits_unref(const struct resource_traits *t)
{
        struct resource_traits **at;

        if (!t || --writable(t)->references > 0)
                return;
        for (at = &table.buckets[t->hash & (table.bucket_count - 1)]; *at != t; at = &(*at)->next)
                assert(*at);
        *at = t->next;
        traits_free(writable(t));
        if (--table.count == 0) {
                free(table.buckets);
                table.buckets = NULL;
                table.bucket_count = 0;
        }
}

/* ---- looking ---- */

const char *resource_traits_role(const struct resource_traits *t)
{
        return t && t->reservation_count > 0 ? t->reservations[t->reservation_count - 1].role : NULL;
}

char *resource_traits_to_string(const struct resource_traits *t)
{
        _cleanup_buffer_ struct buffer b = {};

        for (size_t i = 0; t && i < t->reservation_count; i++) {
                const struct resource_reservation *r = &t->reservations[i];

                buffer_printf(&b, "%s(reserved: %s", b.len > 0 ? " " : "", r->role);
                if (r->principal)
                        buffer_printf(&b, " by %s", r->principal);
                buffer_puts(&b, ")");
        }
        if (t && t->volume_id)
                buffer_printf(&b, "%s(volume: %s at %s%s)", b.len > 0 ? " " : "", t->volume_id,
                        t->container_path ?: "?", t->read_only ? ", read only" : "");
        if (t && t->revocable)
                buffer_printf(&b, "%s(revocable)", b.len > 0 ? " " : "");
        return b.data ? buffer_take(&b) : xstrdup("");
}
