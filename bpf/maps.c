/* The maps of a set: created here with their real sizes, given to every group's object, and mapped into
 * memory. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bpf/internal.h"
#include "bpf/libbpf_calls.h"

const char *const set_map_names[SET_MAP_MAX] = {
        [SET_MAP_KEYS] = "keys",
        [SET_MAP_ROWS] = "rows",
        [SET_MAP_SLOTS] = "slots",
        [SET_MAP_CACHE] = "cache",
        [SET_MAP_META] = "meta",
};

/* Cgroups per slot, on average: a container that makes more is bounded by cgroup.max.descendants, not by
 * this. */
#define KEYS_PER_SLOT 16

struct map_shape {
        enum bpf_map_type type;
        uint32_t key_size, value_size, entries, flags;
};

static struct map_shape map_shape(const struct bpf_probes *p, enum set_map m)
{
        uint32_t entries = p->slots + 1;

        switch (m) {
        case SET_MAP_KEYS:
                return (struct map_shape){BPF_MAP_TYPE_HASH, sizeof(struct bpf_cgroup_key), sizeof(uint32_t),
                        p->slots * KEYS_PER_SLOT, 0};
        case SET_MAP_ROWS:
                return (struct map_shape){BPF_MAP_TYPE_ARRAY, sizeof(uint32_t), sizeof(struct bpf_cpu_row),
                        entries * p->cpus, BPF_F_MMAPABLE};
        case SET_MAP_SLOTS:
                return (struct map_shape){BPF_MAP_TYPE_ARRAY, sizeof(uint32_t), sizeof(struct bpf_slot),
                        entries, BPF_F_MMAPABLE};
        case SET_MAP_CACHE:
                return (struct map_shape){BPF_MAP_TYPE_ARRAY, sizeof(uint32_t),
                        sizeof(struct bpf_cache_entry), p->cpus * BPF_CACHE_ENTRIES, 0};
        case SET_MAP_META:
                return (struct map_shape){
                        BPF_MAP_TYPE_ARRAY, sizeof(uint32_t), sizeof(struct bpf_meta), 1, BPF_F_MMAPABLE};
        case SET_MAP_MAX:
                break;
        }
        assert(!"no such map");
}

static size_t mapped_size(const struct bpf_probes *p, enum set_map m)
{
        struct map_shape s = map_shape(p, m);
        size_t page = (size_t)sysconf(_SC_PAGESIZE);

        return ((size_t)s.value_size * s.entries + page - 1) / page * page;
}

static int map_memory(const struct bpf_probes *p, enum set_map m, void *ret, struct error *e)
{
        size_t size = mapped_size(p, m);
        void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, p->maps[m], 0);

        if (memory == MAP_FAILED)
                return error_set_errno(e, -errno, "mapping the BPF map \"%s\"", set_map_names[m]);
        /* Children of the agent have no business with it, and forking is cheaper without. */
        (void)madvise(memory, size, MADV_DONTFORK);
        memcpy(ret, &memory, sizeof(memory));
        return 0;
}

static int map_all_memory(struct bpf_probes *p, struct error *e)
{
        int r = map_memory(p, SET_MAP_ROWS, &p->rows, e);

        if (r == 0)
                r = map_memory(p, SET_MAP_SLOTS, &p->slot_map, e);
        if (r == 0)
                r = map_memory(p, SET_MAP_META, &p->meta, e);
        return r;
}

static int create_one(struct bpf_probes *p, enum set_map m, struct error *e)
{
        struct map_shape s = map_shape(p, m);
        LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = s.flags);
        int fd = bpf_map_create(s.type, set_map_names[m], s.key_size, s.value_size, s.entries, &opts);

        if (fd == -EPERM)
                return error_set(e, fd,
                        "the kernel refuses BPF maps (Operation not permitted): it takes CAP_BPF and "
                        "CAP_PERFMON, or root");
        if (fd < 0)
                return error_set_errno(
                        e, fd, "creating the BPF map \"%s\" with %u entries", set_map_names[m], s.entries);
        p->maps[m] = fd;
        return 0;
}

static int pin_one(struct bpf_probes *p, enum set_map m, struct error *e)
{
        _cleanup_free_ char *path = xasprintf("%s/map_%s", p->pins, set_map_names[m]);

        if (bpf_obj_pin(p->maps[m], path) < 0)
                return error_set_errno(e, -errno, "pinning %s", path);
        return 0;
}

int set_maps_create(struct bpf_probes *p, struct error *e)
{
        int r;

        for (enum set_map m = 0; m < SET_MAP_MAX; m++) {
                r = create_one(p, m, e);
                if (r < 0)
                        return r;
                if (p->pins) {
                        r = pin_one(p, m, e);
                        if (r < 0)
                                return r;
                }
        }
        return map_all_memory(p, e);
}

static int adopt_one(struct bpf_probes *p, enum set_map m, struct error *e)
{
        _cleanup_free_ char *path = xasprintf("%s/map_%s", p->pins, set_map_names[m]);
        struct map_shape s = map_shape(p, m);
        struct bpf_map_info info = {};
        uint32_t size = sizeof(info);
        int fd = bpf_obj_get(path);

        if (fd < 0)
                return error_set_errno(e, fd, "opening %s", path);
        p->maps[m] = fd;
        if (bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
                return error_set_errno(e, -errno, "inspecting %s", path);
        if (info.type != s.type || info.key_size != s.key_size || info.value_size != s.value_size ||
                info.max_entries != s.entries || info.map_flags != s.flags)
                return error_set(e, -ESTALE, "%s has another shape", path);
        return 0;
}

int set_maps_adopt(struct bpf_probes *p, struct error *e)
{
        for (enum set_map m = 0; m < SET_MAP_MAX; m++) {
                int r = adopt_one(p, m, e);
                if (r < 0)
                        return r;
        }
        return map_all_memory(p, e);
}

static void unmap(const struct bpf_probes *p, enum set_map m, void *memory)
{
        if (memory)
                (void)munmap(memory, mapped_size(p, m));
}

void set_maps_close(struct bpf_probes *p)
{
        unmap(p, SET_MAP_ROWS, TAKE_PTR(p->rows));
        unmap(p, SET_MAP_SLOTS, TAKE_PTR(p->slot_map));
        unmap(p, SET_MAP_META, TAKE_PTR(p->meta));
        for (enum set_map m = 0; m < SET_MAP_MAX; m++)
                p->maps[m] = close_fd(p->maps[m]);
}

/* FNV-1a over the shapes of the maps, their sizes apart:
 * another layout of the same size takes a new BPF_ABI. */
uint64_t set_maps_layout(const struct bpf_probes *p)
{
        uint64_t h = UINT64_C(0xcbf29ce484222325);

        for (enum set_map m = 0; m < SET_MAP_MAX; m++) {
                struct map_shape s = map_shape(p, m);
                const uint32_t words[] = {s.type, s.key_size, s.value_size, s.flags};

                for (size_t i = 0; i < ELEMENTSOF(words); i++)
                        h = (h ^ words[i]) * UINT64_C(0x100000001b3);
        }
        return h;
}

/* "memlock:" of fdinfo is what the kernel charges for the map, its own structures included (exactly so
 * since 6.4). */
uint64_t set_maps_bytes(const struct bpf_probes *p)
{
        uint64_t sum = 0;

        for (enum set_map m = 0; m < SET_MAP_MAX; m++) {
                char path[64], line[128];
                _cleanup_file_ FILE *f = NULL;
                unsigned long long bytes;

                (void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", p->maps[m]);
                f = fopen(path, "re");
                while (f && fgets(line, sizeof(line), f))
                        if (sscanf(line, "memlock: %llu", &bytes) == 1)
                                sum += bytes;
        }
        return sum;
}
