/* What the sources of this folder share: the set itself, its embedded programs and its pins. Not for others.
 */
#pragma once

#include "bpf/bpf.h"
#include "lib/base/time.h"

enum set_map { SET_MAP_KEYS, SET_MAP_ROWS, SET_MAP_SLOTS, SET_MAP_CACHE, SET_MAP_META, SET_MAP_MAX };

#define SET_LINKS_MAX 16

struct free_slot {
        uint32_t slot;
        struct mono_time ready; /* not given out before */
};

struct bpf_probes {
        char *pins; /* "<pin_dir>/v<abi>-<hash of the layout>"; NULL: unpinned */
        bool adopted;
        uint32_t cpus;
        uint32_t slots; /* numbers 1 to slots; the maps have one more, unused, for slot 0 */
        int maps[SET_MAP_MAX];
        int links[SET_LINKS_MAX]; /* unpinned only: closing one detaches its program */
        size_t link_count;
        char *reasons[BPF_GROUP_MAX]; /* why a group is down; NULL: up */
        /* Mapped from the kernel, shared with the programs. */
        struct bpf_cpu_row *rows;  /* [slot * cpus + cpu] */
        struct bpf_slot *slot_map; /* [slot] */
        struct bpf_meta *meta;
        /* First in, first out, so that a slot rests as long as possible. */
        struct free_slot *free; /* ring of `slots` entries */
        uint32_t free_head, free_count;
};

/* Objects compiled from bpf/<group>.bpf.c. */
struct bpf_embedded {
        const unsigned char *start, *end;
};
extern const struct bpf_embedded bpf_embedded[BPF_GROUP_MAX];

/* maps.c: creates, opens and maps the memory of a set. The fds land in p->maps, also those of a half-done
 * failure. */
extern const char *const set_map_names[SET_MAP_MAX];
int set_maps_create(struct bpf_probes *p, struct error *e) WARN_UNUSED;
int set_maps_adopt(struct bpf_probes *p, struct error *e) WARN_UNUSED;
void set_maps_close(struct bpf_probes *p);
uint64_t set_maps_bytes(const struct bpf_probes *p);

uint64_t set_maps_layout(const struct bpf_probes *p);

/*
 * groups.c: loads and attaches every group that is not attached; `replace`: all of them, in the place of older
 * programs on the same maps. Only the tree's failure is one of the set.
 */
int set_groups_load(struct bpf_probes *p, bool replace, struct error *e) WARN_UNUSED;
/* Whether everything that should be attached is pinned. */
int set_groups_adopt(const struct bpf_probes *p, struct error *e) WARN_UNUSED;
uint32_t set_group_programs(enum bpf_group g);

/* links.c */
int set_link_attach(struct bpf_probes *p, const char *program, int program_fd, struct error *e) WARN_UNUSED;
int set_link_check(const struct bpf_probes *p, const char *program, struct error *e) WARN_UNUSED;
/* Detaches a pinned program, or with NULL all, and waits until it is so. */
void set_links_drop(const struct bpf_probes *p, const char *program);

/* pins.c: the directory. */
int pins_prepare(const char *pin_dir, struct error *e) WARN_UNUSED;
/* Unpins everything below pin_dir, which detaches what no process holds. */
int pins_clear(const char *pin_dir, struct error *e) WARN_UNUSED;

/* slots.c */
/* Every slot without an owner becomes free, to be given out from `ready` on. */
void set_slots_init(struct bpf_probes *p, struct mono_time ready);
void set_slots_recover(struct bpf_probes *p);
void set_slots_done(struct bpf_probes *p);
