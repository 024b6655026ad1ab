/*
 * The groups of programs: each its own object, loaded into the set's maps, attached to raw tracepoints with
 * typed arguments (tp_btf: no kprobe, no tracefs) and pinned by its links. A group that fails takes nothing
 * with it and leaves a sentence why.
 */
#include <stdlib.h>
#include <string.h>

#include "bpf/internal.h"
#include "bpf/libbpf_calls.h"
#include "lib/base/table.h"

struct program {
        const char *name;
        const char *tracepoint;
        const char *arguments; /* the leading ones that we read; 'p' pointer, 'i' integer */
};

struct kernel_field {
        const char *type, *field, *needs;
};

#define PROGRAMS_MAX 3
#define FIELDS_MAX 3

struct group {
        const char *name;
        struct program programs[PROGRAMS_MAX + 1];
        struct kernel_field fields[FIELDS_MAX + 1]; /* those that a kernel may be built without */
};

static const struct group groups[BPF_GROUP_MAX] = {
        [BPF_GROUP_TREE] = {"tree",
                {{"tree_mkdir", "cgroup_mkdir", "p"}, {"tree_rmdir", "cgroup_rmdir", "p"}}, {{NULL}}},
        [BPF_GROUP_CPU] = {"cpu", {{"cpu_runtime", "sched_stat_runtime", "pi"}}, {{NULL}}},
        [BPF_GROUP_SCHED] = {"sched", {{"sched_switched", "sched_switch", "ipp"}},
                {{"sched_info", "last_queued", "CONFIG_SCHED_INFO"},
                        {"cfs_rq", "rq", "CONFIG_FAIR_GROUP_SCHED"}}},
};

static const char *const bpf_group_names[BPF_GROUP_MAX] = {
        [BPF_GROUP_TREE] = "tree",
        [BPF_GROUP_CPU] = "cpu",
        [BPF_GROUP_SCHED] = "sched",
};

const char *bpf_group_to_string(enum bpf_group g)
{
        return table_to_string(bpf_group_names, ELEMENTSOF(bpf_group_names), (int)g);
}

uint32_t set_group_programs(enum bpf_group g)
{
        uint32_t n = 0;

        while (groups[g].programs[n].name)
                n++;
        return n;
}

/* ---- why a group does not load: reads the kernel's types, only after a failure ---- */

static bool is_kind(const struct btf *btf, uint32_t id, char kind)
{
        const struct btf_type *t = btf__type_by_id(btf, (uint32_t)btf__resolve_type(btf, id));

        if (!t)
                return false;
        return kind == 'p' ? btf_is_ptr(t) : btf_is_int(t) || btf_is_any_enum(t);
}

/* typedef void (*btf_trace_<tracepoint>)(void *, arguments...) */
static int explain_program(const struct btf *btf, const struct program *p, struct error *e)
{
        _cleanup_free_ char *name = xasprintf("btf_trace_%s", p->tracepoint);
        int id = btf__find_by_name_kind(btf, name, BTF_KIND_TYPEDEF);
        const struct btf_type *t;

        if (id < 0)
                return error_set(e, -ENOTSUP, "this kernel has no tracepoint %s", p->tracepoint);
        t = btf__type_by_id(btf, btf__type_by_id(btf, (uint32_t)id)->type);
        if (t && btf_is_ptr(t))
                t = btf__type_by_id(btf, t->type);
        if (!t || !btf_is_func_proto(t))
                return 0;
        for (size_t i = 0; p->arguments[i]; i++)
                if (i + 1 >= btf_vlen(t) || !is_kind(btf, btf_params(t)[i + 1].type, p->arguments[i]))
                        return error_set(e, -ENOTSUP,
                                "this kernel's tracepoint %s has another argument %zu than expected",
                                p->tracepoint, i + 1);
        return 0;
}

static int explain_field(const struct btf *btf, const struct kernel_field *f, struct error *e)
{
        int id = btf__find_by_name_kind(btf, f->type, BTF_KIND_STRUCT);
        const struct btf_type *t = id < 0 ? NULL : btf__type_by_id(btf, (uint32_t)id);

        for (uint16_t i = 0; t && i < btf_vlen(t); i++)
                if (str_equal(btf__name_by_offset(btf, btf_members(t)[i].name_off), f->field))
                        return 0;
        return error_set(
                e, -ENOTSUP, "this kernel has no %s.%s: it is built without %s", f->type, f->field, f->needs);
}

/* r: what loading failed with; the answer is a better sentence where there is one. */
static int explain(const struct group *g, int r, struct error *e)
{
        struct btf *btf = btf__load_vmlinux_btf();
        int q = 0;

        if (!btf)
                return error_set(e, -ENOTSUP,
                        "this kernel gives no type information (/sys/kernel/btf/vmlinux): it takes "
                        "CONFIG_DEBUG_INFO_BTF");
        for (size_t i = 0; q == 0 && g->programs[i].name; i++)
                q = explain_program(btf, &g->programs[i], e);
        for (size_t i = 0; q == 0 && g->fields[i].type; i++)
                q = explain_field(btf, &g->fields[i], e);
        btf__free(btf);
        if (q < 0)
                return q;
        if (r == -EPERM || r == -EACCES)
                return error_set_errno(e, r,
                        "the kernel refuses the BPF programs of group %s (CAP_BPF and CAP_PERFMON, or root)",
                        g->name);
        return error_set_errno(e, r, "loading the BPF programs of group %s", g->name);
}

/* ---- loading ---- */

static int share_map(const struct bpf_probes *p, struct bpf_map *map)
{
        struct bpf_config config = {.cpus = p->cpus};
        const char *name = bpf_map__name(map);

        if (str_equal(name, ".rodata.config"))
                return bpf_map__set_initial_value(map, &config, sizeof(config));
        for (enum set_map m = 0; m < SET_MAP_MAX; m++)
                if (str_equal(name, set_map_names[m]))
                        return bpf_map__reuse_fd(map, p->maps[m]); /* frees the name */
        return -ENOENT;
}

static int open_object(const struct bpf_probes *p, enum bpf_group g, struct bpf_object **ret)
{
        const struct bpf_embedded *bytes = &bpf_embedded[g];
        LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = groups[g].name);
        struct bpf_object *object =
                bpf_object__open_mem(bytes->start, (size_t)(bytes->end - bytes->start), &opts);
        struct bpf_map *map;
        int r = 0;

        if (!object)
                return -errno;
        for (map = bpf_object__next_map(object, NULL); r == 0 && map; map = bpf_object__next_map(object, map))
                r = share_map(p, map);
        if (r == 0)
                r = bpf_object__load(object);
        if (r < 0) {
                bpf_object__close(object);
                return r;
        }
        *ret = object;
        return 0;
}

static void set_down(struct bpf_probes *p, enum bpf_group g, const struct error *why)
{
        free(p->reasons[g]);
        p->reasons[g] = xstrdup(error_message(why));
}

static int attach_group(struct bpf_probes *p, enum bpf_group g, struct bpf_object *object, struct error *e)
{
        const struct group *group = &groups[g];
        size_t links_before = p->link_count;
        int r = 0;

        for (size_t i = 0; r == 0 && group->programs[i].name; i++) {
                const char *name = group->programs[i].name;
                struct bpf_program *program = bpf_object__find_program_by_name(object, name);

                assert(program);
                r = set_link_attach(p, name, bpf_program__fd(program), e);
        }
        if (r == 0) {
                p->meta->groups |= 1U << g;
                return 0;
        }
        while (p->link_count > links_before)
                (void)close_fd(p->links[--p->link_count]);
        for (size_t i = 0; group->programs[i].name; i++)
                set_links_drop(p, group->programs[i].name);
        return r;
}

/* In the place of what is attached: everything of the old programs, or what a
 * process left that was killed before it set the group's bit. */
static void make_room(struct bpf_probes *p, bool replace, struct bpf_object *const *objects)
{
        if (replace) {
                p->meta->programs_hash = 0;
                p->meta->groups = 0;
                set_links_drop(p, NULL);
                return;
        }
        for (enum bpf_group g = 0; g < BPF_GROUP_MAX; g++)
                for (size_t i = 0; objects[g] && groups[g].programs[i].name; i++)
                        set_links_drop(p, groups[g].programs[i].name);
}

int set_groups_load(struct bpf_probes *p, bool replace, struct error *e)
{
        struct bpf_object *objects[BPF_GROUP_MAX] = {};
        struct error why[BPF_GROUP_MAX] = {};
        int r = 0;

        /* Loading takes tens of milliseconds, attaching next to none: so
         * that hardly anything is missed, all are loaded first. */
        for (enum bpf_group g = 0; r == 0 && g < BPF_GROUP_MAX; g++) {
                if (!replace && (p->meta->groups & (1U << g)))
                        continue;
                int q = open_object(p, g, &objects[g]);
                if (q < 0)
                        q = explain(&groups[g], q, &why[g]);
                if (g == BPF_GROUP_TREE)
                        r = q;
        }
        if (r == 0)
                make_room(p, replace, objects);
        for (enum bpf_group g = 0; g < BPF_GROUP_MAX; g++) {
                if (r == 0 && objects[g]) {
                        int q = attach_group(p, g, objects[g], &why[g]);
                        if (g == BPF_GROUP_TREE)
                                r = q;
                }
                /* Does not detach: the links are ours, and the programs stay with them. */
                bpf_object__close(objects[g]);
                if (why[g].code < 0)
                        set_down(p, g, &why[g]);
                error_done(&why[g]);
        }
        return r < 0 ? error_set(e, r, "%s", p->reasons[BPF_GROUP_TREE]) : 0;
}

int set_groups_adopt(const struct bpf_probes *p, struct error *e)
{
        for (enum bpf_group g = 0; g < BPF_GROUP_MAX; g++) {
                if (!(p->meta->groups & (1U << g)))
                        continue;
                for (size_t i = 0; groups[g].programs[i].name; i++) {
                        int r = set_link_check(p, groups[g].programs[i].name, e);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}
