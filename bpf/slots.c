/*
 * Slots and the keys that lead to them. The order of writes makes a kill at any point safe: a slot is owned
 * (slot_map, pinned) before a key leads to it, and disowned after the last key is gone; its counters are
 * cleared when it is given out, after it rested.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bpf/internal.h"
#include "bpf/libbpf_calls.h"

/* At least one tick (10 ms at HZ=100), so that a program that looked up the slot before its keys went is
 * surely done. */
#define QUARANTINE_NS (50 * NSEC_PER_MSEC)
#define RESCAN_DEPTH_MAX 32

static struct bpf_cgroup_key v2_key(uint64_t cgroup_id)
{
        return (struct bpf_cgroup_key){.id = cgroup_id};
}

/* Every cached answer is void: after keys changed. 0 marks empty cache entries. */
static void next_generation(struct bpf_probes *p)
{
        uint32_t generation = p->meta->generation + 1;
        __atomic_store_n(&p->meta->generation, generation ? generation : 1, __ATOMIC_SEQ_CST);
}

static void count_key(struct bpf_probes *p, uint32_t slot, uint32_t change)
{
        if (slot != BPF_SLOT_NONE && slot <= p->slots)
                __atomic_fetch_add(&p->slot_map[slot].keys, change, __ATOMIC_SEQ_CST);
}

static int lookup_key(const struct bpf_probes *p, uint64_t cgroup_id, uint32_t *ret_slot)
{
        struct bpf_cgroup_key key = v2_key(cgroup_id);
        return bpf_map_lookup_elem(p->maps[SET_MAP_KEYS], &key, ret_slot) < 0 ? -errno : 0;
}

static int insert_key(struct bpf_probes *p, uint64_t cgroup_id, uint32_t slot, uint64_t flags)
{
        struct bpf_cgroup_key key = v2_key(cgroup_id);

        count_key(p, slot, 1);
        if (bpf_map_update_elem(p->maps[SET_MAP_KEYS], &key, &slot, flags) == 0)
                return 0;
        int r = -errno;
        count_key(p, slot, -1U);
        return r;
}

static void delete_key(struct bpf_probes *p, const struct bpf_cgroup_key *key, uint32_t slot)
{
        /* The kernel may have been faster (rmdir): then it has counted, too. */
        if (bpf_map_delete_elem(p->maps[SET_MAP_KEYS], key) == 0)
                count_key(p, slot, -1U);
}

/* ---- the list of free slots ---- */

static void push_free(struct bpf_probes *p, uint32_t slot, struct mono_time ready)
{
        assert(p->free_count < p->slots);
        p->free[(p->free_head + p->free_count++) % p->slots] = (struct free_slot){slot, ready};
}

static struct mono_time quarantine_end(void)
{
        return (struct mono_time){mono_now().ns + QUARANTINE_NS};
}

static int take_free(struct bpf_probes *p, uint32_t *ret_slot)
{
        struct free_slot *head = &p->free[p->free_head];

        if (p->free_count == 0 || mono_now().ns < head->ready.ns)
                return -ENOSPC;
        *ret_slot = head->slot;
        p->free_head = (p->free_head + 1) % p->slots;
        p->free_count--;
        return 0;
}

void set_slots_init(struct bpf_probes *p, struct mono_time ready)
{
        p->free = xcalloc(p->slots, sizeof(*p->free));
        p->free_head = p->free_count = 0;
        for (uint32_t slot = 1; slot <= p->slots; slot++)
                if (p->slot_map[slot].cgroup_id == 0)
                        push_free(p, slot, ready);
}

void set_slots_done(struct bpf_probes *p)
{
        free(TAKE_PTR(p->free));
}

/* ---- removing ---- */

/*
 * Calls for every key; the key may be deleted by the call. Programs change the table meanwhile, which can
 * restart the kernel's iteration: bounded, and a key that is passed over leads to a slot that stays disowned
 * until the next recovery.
 */
static void each_key(struct bpf_probes *p,
        void (*call)(struct bpf_probes *, const struct bpf_cgroup_key *, uint32_t, void *), void *user)
{
        struct bpf_cgroup_key key, next;
        int fd = p->maps[SET_MAP_KEYS];
        int r = bpf_map_get_next_key(fd, NULL, &next);

        for (uint32_t i = 0; r == 0 && i < 64 * p->slots; i++) {
                uint32_t slot;

                key = next;
                r = bpf_map_get_next_key(fd, &key, &next);
                if (bpf_map_lookup_elem(fd, &key, &slot) == 0)
                        call(p, &key, slot, user);
        }
}

static void delete_if_slot(struct bpf_probes *p, const struct bpf_cgroup_key *key, uint32_t slot, void *user)
{
        if (slot == *(uint32_t *)user)
                delete_key(p, key, slot);
}

void bpf_probes_remove(struct bpf_probes *p, uint32_t slot)
{
        struct bpf_slot *s;
        uint32_t owner;

        assert(slot != BPF_SLOT_NONE && slot <= p->slots);
        s = &p->slot_map[slot];
        if (s->cgroup_id == 0)
                return;
        if (lookup_key(p, s->cgroup_id, &owner) == 0 && owner == slot) {
                struct bpf_cgroup_key key = v2_key(s->cgroup_id);
                delete_key(p, &key, slot);
        }
        /* Usually none is left: the kernel removes the key of a cgroup with it. */
        if (__atomic_load_n(&s->keys, __ATOMIC_SEQ_CST) != 0)
                each_key(p, delete_if_slot, &slot);
        next_generation(p);
        __atomic_store_n(&s->cgroup_id, 0, __ATOMIC_SEQ_CST);
        push_free(p, slot, quarantine_end());
}

void bpf_probes_retain(struct bpf_probes *p, const uint32_t *slots, size_t n)
{
        _cleanup_free_ bool *keep = xcalloc(p->slots + 1, sizeof(*keep));

        for (size_t i = 0; i < n; i++)
                if (slots[i] <= p->slots)
                        keep[slots[i]] = true;
        for (uint32_t slot = 1; slot <= p->slots; slot++)
                if (!keep[slot])
                        bpf_probes_remove(p, slot);
}

/* Keys of a slot that nobody owns: an earlier process was killed while it removed the slot. */
static void delete_orphan(struct bpf_probes *p, const struct bpf_cgroup_key *key, uint32_t slot, void *user)
{
        if (slot != BPF_SLOT_NONE && slot <= p->slots && p->slot_map[slot].cgroup_id != 0)
                return;
        delete_key(p, key, slot);
        *(bool *)user = true;
}

void set_slots_recover(struct bpf_probes *p)
{
        bool found = false;

        each_key(p, delete_orphan, &found);
        next_generation(p);
        set_slots_init(p, found ? quarantine_end() : (struct mono_time){0});
}

/* ---- adding ---- */

static void clear_slot(struct bpf_probes *p, uint32_t slot)
{
        memset(&p->rows[(size_t)slot * p->cpus], 0, p->cpus * sizeof(*p->rows));
        memset(&p->slot_map[slot], 0, sizeof(p->slot_map[slot]));
}

int bpf_probes_add(struct bpf_probes *p, uint64_t cgroup_id, uint32_t *ret_slot)
{
        uint32_t inherited = BPF_SLOT_NONE, slot;
        int r;

        if (cgroup_id == 0)
                return -EINVAL;
        if (lookup_key(p, cgroup_id, &inherited) == 0 && inherited <= p->slots &&
                p->slot_map[inherited].cgroup_id == cgroup_id)
                return -EEXIST;
        r = take_free(p, &slot);
        if (r < 0) {
                p->meta->slots_overflow++;
                return r;
        }
        clear_slot(p, slot);
        __atomic_store_n(&p->slot_map[slot].cgroup_id, cgroup_id, __ATOMIC_SEQ_CST);
        r = insert_key(p, cgroup_id, slot, BPF_ANY);
        if (r < 0) {
                /* -E2BIG: the identity table is full. */
                p->slot_map[slot].cgroup_id = 0;
                push_free(p, slot, quarantine_end());
                p->meta->slots_overflow++;
                return r == -E2BIG ? -ENOSPC : r;
        }
        count_key(p, inherited, -1U);
        next_generation(p);
        *ret_slot = slot;
        return 0;
}

int bpf_probes_find(struct bpf_probes *p, uint64_t cgroup_id, uint32_t *ret_slot)
{
        for (uint32_t slot = 1; cgroup_id != 0 && slot <= p->slots; slot++) {
                if (p->slot_map[slot].cgroup_id != cgroup_id)
                        continue;
                /* Missing when an earlier process was killed while it added. Of a cgroup that is gone it does
                 * no harm: ids are not reused. */
                if (insert_key(p, cgroup_id, slot, BPF_NOEXIST) == 0)
                        next_generation(p);
                *ret_slot = slot;
                return 0;
        }
        return -ENOENT;
}

/* A group that has a slot already keeps it, and its children follow it. */
static int join_slot(struct bpf_probes *p, uint64_t cgroup_id, uint32_t slot, uint32_t *ret_slot)
{
        int r = insert_key(p, cgroup_id, slot, BPF_NOEXIST);

        *ret_slot = slot;
        if (r == -EEXIST)
                r = lookup_key(p, cgroup_id, ret_slot);
        return r == -ENOENT ? 0 : r;
}

/* Parents get their key before their children are listed: a group made meanwhile is either listed or
 * inherits. */
static int rescan_children(struct bpf_probes *p, int dirfd, uint32_t slot, unsigned depth)
{
        int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *d;
        int r = 0;

        if (!dir) {
                r = -errno;
                (void)close_fd(fd);
                return r == -ENOENT || r == -ENODEV ? 0 : r;
        }
        while (r == 0 && (d = readdir(dir))) {
                _cleanup_fd_ int child = -1;
                struct stat st;
                uint32_t own;

                if (d->d_type != DT_DIR || d->d_name[0] == '.')
                        continue;
                child = openat(fd, d->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                if (child < 0 || fstat(child, &st) < 0)
                        continue; /* gone meanwhile */
                r = join_slot(p, st.st_ino, slot, &own);
                if (r == 0 && depth < RESCAN_DEPTH_MAX)
                        r = rescan_children(p, child, own, depth + 1);
        }
        (void)closedir(dir);
        return r;
}

int bpf_probes_rescan(struct bpf_probes *p, int cgroup_dirfd, uint32_t slot)
{
        int r;

        assert(slot != BPF_SLOT_NONE && slot <= p->slots);
        r = rescan_children(p, cgroup_dirfd, slot, 1);
        next_generation(p);
        return r == -E2BIG ? -ENOSPC : r;
}
