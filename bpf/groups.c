/*
 * The groups of programs: each its own object, loaded into the set's maps, attached to raw tracepoints with
 * typed arguments (tp_btf: no kprobe, no tracefs) and pinned by its links. A group that fails takes nothing
 * with it and leaves a sentence why.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

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

static int share_maps(const struct bpf_probes *p, struct bpf_object *object)
{
        struct bpf_config config = {.cpus = p->cpus};
        struct bpf_map *map;

        bpf_object__for_each_map(map, object)
        {
                const char *name = bpf_map__name(map);
                int r = -ENOENT;

                if (str_equal(name, ".rodata.config"))
                        r = bpf_map__set_initial_value(map, &config, sizeof(config));
                for (enum set_map m = 0; m < SET_MAP_MAX; m++)
                        if (str_equal(name, set_map_names[m]))
                                r = bpf_map__reuse_fd(map, p->maps[m]);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int open_object(const struct bpf_probes *p, enum bpf_group g, struct bpf_object **ret)
{
        const struct bpf_embedded *bytes = &bpf_embedded[g];
        LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = groups[g].name);
        struct bpf_object *object =
                bpf_object__open_mem(bytes->start, (size_t)(bytes->end - bytes->start), &opts);
        int r;

        if (!object)
                return -errno;
        r = share_maps(p, object);
        if (r == 0)
                r = bpf_object__load(object);
        if (r < 0) {
                bpf_object__close(object);
                return r;
        }
        *ret = object;
        return 0;
}

static char *link_path(const struct bpf_probes *p, const char *program)
{
        return xasprintf("%s/link_%s", p->pins, program);
}

static int attach_one(
        struct bpf_probes *p, struct bpf_object *object, const struct program *program, struct error *e)
{
        struct bpf_program *found = bpf_object__find_program_by_name(object, program->name);
        _cleanup_free_ char *path = p->pins ? link_path(p, program->name) : NULL;
        _cleanup_fd_ int fd = -1;

        assert(found);
        fd = bpf_raw_tracepoint_open(NULL, bpf_program__fd(found));
        if (fd < 0)
                return error_set_errno(
                        e, fd, "attaching %s to the tracepoint %s", program->name, program->tracepoint);
        if (!path) {
                assert(p->link_count < SET_LINKS_MAX);
                p->links[p->link_count++] = TAKE_FD(fd);
                return 0;
        }
        if (bpf_obj_pin(fd, path) < 0)
                return error_set_errno(e, -errno, "pinning %s", path);
        return 0;
}

/* Also what a process left that was killed before it could set the group's bit. */
static void unpin(const struct bpf_probes *p, const struct group *group)
{
        for (size_t i = 0; p->pins && group->programs[i].name; i++) {
                _cleanup_free_ char *path = link_path(p, group->programs[i].name);
                (void)unlink(path);
        }
}

static int load(struct bpf_probes *p, enum bpf_group g, struct error *e)
{
        const struct group *group = &groups[g];
        size_t links_before = p->link_count;
        struct bpf_object *object = NULL;
        int r = open_object(p, g, &object);

        if (r < 0)
                return explain(group, r, e);
        for (size_t i = 0; r == 0 && group->programs[i].name; i++)
                r = attach_one(p, object, &group->programs[i], e);
        /* Does not detach: links are ours, programs stay with them. */
        bpf_object__close(object);
        if (r < 0) {
                while (p->link_count > links_before)
                        (void)close_fd(p->links[--p->link_count]);
                unpin(p, group);
        }
        return r;
}

int set_group_load(struct bpf_probes *p, enum bpf_group g, struct error *e)
{
        _cleanup_error_ struct error why = {};
        int r;

        unpin(p, &groups[g]);
        r = load(p, g, &why);
        if (r == 0) {
                p->meta->groups |= 1U << g;
                return 0;
        }
        p->reasons[g] = xstrdup(error_message(&why));
        return error_set(e, r, "%s", p->reasons[g]);
}

int set_group_adopt(struct bpf_probes *p, enum bpf_group g, struct error *e)
{
        for (size_t i = 0; groups[g].programs[i].name; i++) {
                _cleanup_free_ char *path = link_path(p, groups[g].programs[i].name);
                _cleanup_fd_ int fd = bpf_obj_get(path);
                struct bpf_link_info info = {};
                uint32_t size = sizeof(info);

                if (fd < 0)
                        return error_set_errno(e, fd, "opening %s", path);
                if (bpf_obj_get_info_by_fd(fd, &info, &size) < 0 || info.type != BPF_LINK_TYPE_RAW_TRACEPOINT)
                        return error_set(e, -ESTALE, "%s is not the link of a tracepoint", path);
        }
        return 0;
}
