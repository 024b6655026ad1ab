/* A set of probes from open to free: adopted from an earlier process where it fits, else loaded anew; never
 * both. */
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bpf/internal.h"
#include "bpf/libbpf_calls.h"
#include "lib/base/log.h"

#define SLOTS_DEFAULT 512
#define SLOTS_MAX 8192
/* For the rows, the one map that grows with CPUs and slots: fewer slots on a machine where it would not do.
 */
#define ROWS_BYTES_MAX (UINT64_C(64) << 20)

static int print_to_log(enum libbpf_print_level level, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);
static int print_to_log(enum libbpf_print_level level, const char *fmt, va_list ap)
{
        _cleanup_free_ char *text = NULL;

        if (level == LIBBPF_DEBUG || !log_enabled(LOG_LEVEL_DEBUG))
                return 0;
        text = xvasprintf(fmt, ap);
        text[strcspn(text, "\n")] = '\0';
        log_debug("%s", text);
        return 0;
}

/* FNV-1a over every program: a set is adopted by the very build that made it, or by one with the same
 * programs. */
static uint64_t programs_hash(void)
{
        uint64_t h = UINT64_C(0xcbf29ce484222325);

        for (enum bpf_group g = 0; g < BPF_GROUP_MAX; g++)
                for (const unsigned char *c = bpf_embedded[g].start; c < bpf_embedded[g].end; c++)
                        h = (h ^ *c) * UINT64_C(0x100000001b3);
        return h;
}

static int read_boot_id(char ret[static sizeof(((struct bpf_meta *)0)->boot_id)], struct error *e)
{
        _cleanup_free_ char *text = NULL;
        int r = read_file_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, &text, NULL);

        if (r < 0)
                return error_set_errno(e, r, "reading the boot id");
        (void)snprintf(ret, sizeof(((struct bpf_meta *)0)->boot_id), "%.36s", text);
        return 0;
}

static int expected_meta(const struct bpf_probes *p, struct bpf_meta *ret, struct error *e)
{
        *ret = (struct bpf_meta){
                .abi = BPF_ABI,
                .programs_hash = programs_hash(),
                .cpus = p->cpus,
                .slots = p->slots,
                .generation = 1,
        };
        return read_boot_id(ret->boot_id, e);
}

static int load_set(struct bpf_probes *p, const struct bpf_meta *want, struct error *e)
{
        int r;

        if (p->pins && mkdir(p->pins, 0700) < 0)
                return error_set_errno(e, -errno, "creating %s", p->pins);
        r = set_maps_create(p, e);
        if (r < 0)
                return r;
        *p->meta = *want;
        set_slots_init(p, (struct mono_time){0});
        r = set_groups_load(p, /* replace= */ false, e);
        if (r < 0)
                return r;
        __atomic_store_n(&p->meta->ready, 1, __ATOMIC_SEQ_CST);
        return 0;
}

static int check_meta(const struct bpf_meta *have, const struct bpf_meta *want, struct error *e)
{
        if (have->abi != want->abi || have->cpus != want->cpus || have->slots != want->slots ||
                strncmp(have->boot_id, want->boot_id, sizeof(have->boot_id)) != 0)
                return error_set(e, -ESTALE, "the pinned probes are of another boot or layout");
        if (!have->ready)
                return error_set(e, -ESTALE, "the pinned probes are incomplete");
        return 0;
}

/* The maps fit: the counters go on. The programs stay when they are
 * this build's, else this build's take their place. */
static int adopt_programs(struct bpf_probes *p, const struct bpf_meta *want, struct error *e)
{
        bool replace = p->meta->programs_hash != want->programs_hash;
        int r = 0;

        if (!replace && !(p->meta->groups & (1U << BPF_GROUP_TREE)))
                return error_set(e, -ESTALE, "the pinned probes have no tree");
        if (!replace)
                r = set_groups_adopt(p, e);
        /* A group that was down may come up now. */
        if (r == 0)
                r = set_groups_load(p, replace, e);
        if (r == 0)
                p->meta->programs_hash = want->programs_hash;
        return r;
}

static int adopt_set(struct bpf_probes *p, const struct bpf_meta *want, struct error *e)
{
        int r;

        if (access(p->pins, F_OK) < 0)
                return error_set_errno(e, -errno, "looking for %s", p->pins);
        r = set_maps_adopt(p, e);
        if (r == 0)
                r = check_meta(p->meta, want, e);
        if (r == 0)
                r = adopt_programs(p, want, e);
        if (r < 0)
                return r;
        set_slots_recover(p);
        p->adopted = true;
        return 0;
}

static int open_pinned(
        struct bpf_probes *p, const char *pin_dir, const struct bpf_meta *want, struct error *e)
{
        _cleanup_error_ struct error why = {};
        int r = pins_prepare(pin_dir, e);

        if (r < 0)
                return r;
        p->pins = xasprintf("%s/v%u-%016llx", pin_dir, BPF_ABI, (unsigned long long)set_maps_layout(p));
        if (adopt_set(p, want, &why) == 0)
                return 0;
        log_debug("probes are loaded anew: %s", error_message(&why));
        set_maps_close(p);
        r = pins_clear(pin_dir, e);
        return r < 0 ? r : load_set(p, want, e);
}

static int choose_size(struct bpf_probes *p, uint32_t slots, struct error *e)
{
        int cpus = libbpf_num_possible_cpus();

        if (cpus < 0)
                return error_set_errno(e, cpus, "counting the possible CPUs");
        if (slots > SLOTS_MAX)
                return error_set(e, -EINVAL, "%u slots for probes: at most %u", slots, SLOTS_MAX);
        p->cpus = (uint32_t)cpus;
        p->slots = slots ? slots : SLOTS_DEFAULT;
        while (p->slots > 1 &&
                (uint64_t)(p->slots + 1) * p->cpus * sizeof(struct bpf_cpu_row) > ROWS_BYTES_MAX)
                p->slots /= 2;
        return 0;
}

int bpf_probes_open(const struct bpf_options *o, struct bpf_probes **ret, struct error *e)
{
        CLEANUP(cleanup_bpf_probes_free) struct bpf_probes *p = NEW0(struct bpf_probes);
        struct bpf_meta want;
        int r;

        for (enum set_map m = 0; m < SET_MAP_MAX; m++)
                p->maps[m] = -1;
        (void)libbpf_set_print(print_to_log);
        r = choose_size(p, o->slots, e);
        if (r == 0)
                r = expected_meta(p, &want, e);
        if (r < 0)
                return r;
        r = o->pin_dir ? open_pinned(p, o->pin_dir, &want, e) : load_set(p, &want, e);
        /* Loading parses the kernel's types: some megabytes that are not needed again. */
        (void)malloc_trim(0);
        if (r < 0) {
                if (o->pin_dir && bpf_probes_purge(o->pin_dir, NULL) < 0)
                        log_debug("probes: %s is not empty", o->pin_dir);
                return r;
        }
        *ret = TAKE_PTR(p);
        return 0;
}

struct bpf_probes *bpf_probes_free(struct bpf_probes *p)
{
        if (!p)
                return NULL;
        while (p->link_count > 0)
                (void)close_fd(p->links[--p->link_count]);
        set_maps_close(p);
        set_slots_done(p);
        for (enum bpf_group g = 0; g < BPF_GROUP_MAX; g++)
                free(p->reasons[g]);
        free(p->pins);
        free(p);
        return NULL;
}

int bpf_supported(struct error *e)
{
        const struct bpf_options o = {.slots = 1};
        struct bpf_probes *p;
        int r = bpf_probes_open(&o, &p, e);

        if (r == 0)
                (void)bpf_probes_free(p);
        return r;
}

bool bpf_probes_group_up(const struct bpf_probes *p, enum bpf_group g, const char **ret_reason)
{
        bool up = p->meta->groups & (1U << g);

        assert(g >= 0 && g < BPF_GROUP_MAX);
        if (!up && ret_reason)
                *ret_reason = p->reasons[g] ? p->reasons[g] : "not loaded";
        return up;
}

bool bpf_probes_adopted(const struct bpf_probes *p)
{
        return p->adopted;
}

void bpf_probes_status(const struct bpf_probes *p, struct bpf_status *ret)
{
        struct bpf_status s = {
                .adopted = p->adopted,
                .pinned = p->pins != NULL,
                .cpus = p->cpus,
                .slots = p->slots,
                .slots_overflow = p->meta->slots_overflow,
                .keys_dropped = p->meta->keys_dropped,
                .map_bytes = set_maps_bytes(p),
        };

        for (uint32_t slot = 1; slot <= p->slots; slot++)
                s.slots_used += p->slot_map[slot].cgroup_id != 0;
        for (enum bpf_group g = 0; g < BPF_GROUP_MAX; g++) {
                s.group_up[g] = bpf_probes_group_up(p, g, NULL);
                s.programs += s.group_up[g] ? set_group_programs(g) : 0;
        }
        *ret = s;
}
