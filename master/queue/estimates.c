/*
 * Weights grow instead of decaying: a run at time t counts 2^((t - reference) / half-life), so that adding one touches one bucket, and
 * all weights together are scaled down when the exponent gets large. What is asked for, means and percentiles, are ratios, in which the
 * reference cancels out.
 */
#include "master/queue/estimates.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#define HALF_LIFE_SECONDS (7 * 24 * 3600.0)
#define FIRST_SECONDS 0.001 /* the first bucket ends there */
#define RATIO 1.05
#define BUCKETS_MAX 500     /* the last begins at 1.2 years */
#define EXPONENT_MAX 16.0   /* half-lives before weights are scaled down: far below what a float holds */
#define WEIGHT_KEPT 0x1p-24 /* of a bucket, after scaling: less says nothing any more */
#define ENCODED_VERSION 1
#define ENCODED_UNIT 0x1p-24    /* of weights, as bytes */
#define ENCODED_WEIGHT_MAX 1e12 /* decayed runs of one name: no master sees more */

struct bucket {
        uint16_t index;
        float weight;
};

struct estimated {
        char *key;              /* "user/name": neither has a '/' */
        double reference;       /* seconds since 1970 */
        struct bucket *buckets; /* sorted by index; few names have more than some dozen */
        size_t count, allocated;
        double weight, run_sum;     /* of all buckets; run times in seconds by their weights */
        double cpu_weight, cpu_sum; /* the same of the runs whose CPU time is known */
        UT_hash_handle hh;
        struct estimated *prev, *next; /* from the longest unused */
};

struct estimates {
        struct estimated *by_key; /* k: key -> v: struct estimated, owned */
        struct estimated *used;
        void (*forgot)(const char *user, const char *name, void *userdata);
        void *userdata;
};

/* ---- buckets ---- */

static uint16_t bucket_of(double seconds)
{
        double index = seconds <= FIRST_SECONDS ? 0 : ceil(log(seconds / FIRST_SECONDS) / log(RATIO));

        return (uint16_t)MIN(index, BUCKETS_MAX - 1.0);
}

static double bucket_end(size_t index)
{
        return FIRST_SECONDS * pow(RATIO, (double)index);
}

static double bucket_begin(size_t index)
{
        return index == 0 ? 0 : bucket_end(index - 1);
}

static void bucket_add(struct estimated *x, uint16_t index, double weight)
{
        size_t at = x->count;

        while (at > 0 && x->buckets[at - 1].index >= index)
                at--;
        if (at == x->count || x->buckets[at].index != index) {
                if (x->count == x->allocated) {
                        x->allocated = MAX(x->allocated * 2, (size_t)4);
                        x->buckets = xrealloc(x->buckets, x->allocated * sizeof(*x->buckets));
                }
                memmove(&x->buckets[at + 1], &x->buckets[at], (x->count - at) * sizeof(*x->buckets));
                x->buckets[at] = (struct bucket){.index = index};
                x->count++;
        }
        x->buckets[at].weight += (float)weight;
}

/* ---- decay ---- */

static double exponent_at(const struct estimated *x, double now)
{
        return (now - x->reference) / HALF_LIFE_SECONDS;
}

/* All weights as seen from `now`. */
static void rebase(struct estimated *x, double now)
{
        double by = exp2(-exponent_at(x, now));
        size_t kept = 0;

        x->weight = 0;
        for (size_t i = 0; i < x->count; i++) {
                struct bucket b = x->buckets[i];

                b.weight = (float)(b.weight * by);
                if (b.weight < WEIGHT_KEPT)
                        continue;
                x->weight += b.weight;
                x->buckets[kept++] = b;
        }
        x->count = kept;
        x->run_sum = kept > 0 ? x->run_sum * by : 0;
        x->cpu_sum *= by;
        x->cpu_weight *= by;
        x->reference = now;
}

/* ---- the table ---- */

struct estimates *estimates_new(void)
{
        return NEW0(struct estimates);
}

static void estimated_free(struct estimates *s, struct estimated *x)
{
        HASH_DEL(s->by_key, x);
        DL_DELETE(s->used, x);
        free(x->buckets);
        free(x->key);
        free(x);
}

struct estimates *estimates_free(struct estimates *s)
{
        if (!s)
                return NULL;
        while (s->used)
                estimated_free(s, s->used);
        free(s);
        return NULL;
}

void estimates_on_forget(struct estimates *s,
        void (*forgot)(const char *user, const char *name, void *userdata), void *userdata)
{
        s->forgot = forgot;
        s->userdata = userdata;
}

size_t estimates_count(const struct estimates *s)
{
        return HASH_COUNT(s->by_key);
}

static struct estimated *find(const struct estimates *s, const char *user, const char *name)
{
        _cleanup_free_ char *key = xasprintf("%s/%s", user, name);
        struct estimated *x;

        HASH_FIND_STR(s->by_key, key, x);
        return x;
}

static void forget_oldest(struct estimates *s)
{
        struct estimated *x = s->used;

        if (s->forgot) {
                char *slash = strchr(x->key, '/');

                *slash = 0;
                s->forgot(x->key, slash + 1, s->userdata);
                *slash = '/';
        }
        estimated_free(s, x);
}

static struct estimated *get(struct estimates *s, const char *user, const char *name)
{
        struct estimated *x = find(s, user, name);

        if (x) {
                DL_DELETE(s->used, x);
                DL_APPEND(s->used, x);
                return x;
        }
        while (HASH_COUNT(s->by_key) >= ESTIMATES_MAX)
                forget_oldest(s);
        x = NEW0(struct estimated);
        x->key = xasprintf("%s/%s", user, name);
        HASH_ADD_KEYPTR(hh, s->by_key, x->key, strlen(x->key), x);
        DL_APPEND(s->used, x);
        return x;
}

/* ---- adding and asking ---- */

static double seconds_of(uint64_t ns)
{
        return (double)ns / (double)NSEC_PER_SEC;
}

static uint64_t ns_of(double seconds)
{
        double ns = round(seconds * (double)NSEC_PER_SEC);

        return ns <= 0 ? 0 : ns >= 0x1p63 ? UINT64_C(1) << 63 : (uint64_t)ns;
}

void estimates_add(struct estimates *s, const char *user, const char *name, uint64_t ran_ns, uint64_t cpu_ns,
        struct wall_time now)
{
        struct estimated *x = get(s, user, name);
        double seconds = seconds_of(ran_ns), time = wall_seconds(now), weight;

        if (x->count == 0)
                x->reference = time;
        else if (exponent_at(x, time) > EXPONENT_MAX)
                rebase(x, time);
        weight = exp2(MAX(exponent_at(x, time), 0.0)); /* a clock that was set back ages nothing */
        bucket_add(x, bucket_of(seconds), weight);
        x->weight += weight;
        x->run_sum += weight * seconds;
        if (cpu_ns > 0) {
                x->cpu_weight += weight;
                x->cpu_sum += weight * seconds_of(cpu_ns);
        }
}

/* Where `share` of the weight has ended for sure. */
static double percentile(const struct estimated *x, double share)
{
        double sum = 0;

        for (size_t i = 0; i < x->count; i++) {
                sum += x->buckets[i].weight;
                if (sum >= share * x->weight * (1 - 1e-6)) /* floats were summed */
                        return bucket_end(x->buckets[i].index);
        }
        return x->count > 0 ? bucket_end(x->buckets[x->count - 1].index) : 0;
}

bool estimates_get(const struct estimates *s, const char *user, const char *name, struct wall_time now,
        struct estimate *ret)
{
        const struct estimated *x = find(s, user, name);

        if (!x || x->count == 0 || x->weight <= 0)
                return false;
        *ret = (struct estimate){
                .expected_ns = ns_of(x->run_sum / x->weight),
                .p90_ns = ns_of(percentile(x, 0.9)),
                .cpu_ns = x->cpu_weight > 0 ? ns_of(x->cpu_sum / x->cpu_weight) : 0,
                .samples = x->weight * exp2(-MAX(exponent_at(x, wall_seconds(now)), 0.0)),
        };
        return true;
}

/* Within a bucket run times are taken as spread evenly. */
uint64_t estimates_residual(
        const struct estimates *s, const char *user, const char *name, uint64_t ran_ns, struct wall_time now)
{
        const struct estimated *x = find(s, user, name);
        double ran = seconds_of(ran_ns), weight = 0, sum = 0;

        for (size_t i = 0; x && i < x->count; i++) {
                double begin = bucket_begin(x->buckets[i].index), end = bucket_end(x->buckets[i].index);
                double from = MAX(begin, ran);

                if (end <= ran)
                        continue;
                double part = x->buckets[i].weight * (end - from) / (end - begin);

                weight += part;
                sum += part * ((from + end) / 2 - ran);
        }
        return weight > 0 ? ns_of(sum / weight) : 0;
}

/* ---- as bytes: version, reference, four sums, then each bucket's index and weight ---- */

static void put(struct buffer *out, uint64_t value, size_t bytes)
{
        for (size_t i = 0; i < bytes; i++) {
                char c = (char)(value >> (8 * i));

                buffer_append(out, &c, 1);
        }
}

static void put_weight(struct buffer *out, double weight)
{
        put(out, (uint64_t)(MIN(weight, ENCODED_WEIGHT_MAX) / ENCODED_UNIT + 0.5), 8);
}

void estimates_encode(const struct estimates *s, const char *user, const char *name, struct buffer *out)
{
        const struct estimated *x = find(s, user, name);

        if (!x)
                return;
        put(out, ENCODED_VERSION, 1);
        put(out, ns_of(x->reference), 8);
        put(out, ns_of(x->weight > 0 ? x->run_sum / x->weight : 0), 8);
        put_weight(out, x->cpu_weight);
        put(out, ns_of(x->cpu_weight > 0 ? x->cpu_sum / x->cpu_weight : 0), 8);
        put(out, x->count, 2);
        for (size_t i = 0; i < x->count; i++) {
                put(out, x->buckets[i].index, 2);
                put_weight(out, x->buckets[i].weight);
        }
}

struct reader {
        const uint8_t *data;
        size_t len;
        bool failed;
};

static uint64_t take(struct reader *r, size_t bytes)
{
        uint64_t value = 0;

        if (r->len < bytes) {
                r->failed = true;
                r->len = 0;
                return 0;
        }
        for (size_t i = 0; i < bytes; i++)
                value |= (uint64_t)r->data[i] << (8 * i);
        r->data += bytes;
        r->len -= bytes;
        return value;
}

static double take_weight(struct reader *r)
{
        double weight = (double)take(r, 8) * ENCODED_UNIT;

        r->failed |= weight > ENCODED_WEIGHT_MAX;
        return weight;
}

static void take_buckets(struct reader *r, struct estimated *x)
{
        size_t count = take(r, 2);

        for (size_t i = 0; i < count && !r->failed; i++) {
                uint64_t index = take(r, 2);
                double weight = take_weight(r);

                r->failed |= index >= BUCKETS_MAX || weight <= 0 ||
                             (x->count > 0 && index <= x->buckets[x->count - 1].index);
                if (r->failed)
                        return;
                bucket_add(x, (uint16_t)index, weight);
                x->weight += (float)weight;
        }
}

int estimates_decode(struct estimates *s, const char *user, const char *name, const void *data, size_t len,
        struct error *e)
{
        struct reader r = {.data = data, .len = len};
        struct estimated x = {}, *to;
        double run_mean;

        r.failed = take(&r, 1) != ENCODED_VERSION;
        x.reference = seconds_of(take(&r, 8));
        run_mean = seconds_of(take(&r, 8));
        x.cpu_weight = take_weight(&r);
        x.cpu_sum = x.cpu_weight * seconds_of(take(&r, 8));
        take_buckets(&r, &x);
        x.run_sum = run_mean * x.weight;
        if (r.failed || r.len > 0) {
                free(x.buckets);
                return error_set(e, -EINVAL, "estimate of %s/%s: %zu bytes that are none of version %d", user,
                        name, len, ENCODED_VERSION);
        }
        to = get(s, user, name);
        free(to->buckets);
        to->reference = x.reference;
        to->buckets = x.buckets;
        to->count = x.count;
        to->allocated = x.allocated;
        to->weight = x.weight;
        to->run_sum = x.run_sum;
        to->cpu_weight = x.cpu_weight;
        to->cpu_sum = x.cpu_sum;
        return 0;
}
