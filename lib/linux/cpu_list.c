#include "lib/linux/cpu_list.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 65536
#define WORD_BITS 64

bool cpu_list_has(const struct cpu_list *l, unsigned cpu)
{
        return cpu < CPU_LIST_MAX && (l->words[cpu / WORD_BITS] >> cpu % WORD_BITS & 1);
}

int cpu_list_add(struct cpu_list *l, uint64_t first, uint64_t last)
{
        if (first > last)
                return -EINVAL;
        if (last >= CPU_LIST_MAX)
                return -ERANGE;
        for (uint64_t cpu = first; cpu <= last; cpu++)
                l->words[cpu / WORD_BITS] |= UINT64_C(1) << cpu % WORD_BITS;
        return 0;
}

static int add_part(struct cpu_list *l, char *part)
{
        char *dash = strchr(part, '-');
        uint64_t first, last;

        if (dash)
                *dash = '\0';
        int r = parse_u64(part, UINT64_MAX, &first);
        if (r == 0)
                r = dash ? parse_u64(dash + 1, UINT64_MAX, &last) : 0;
        if (r < 0)
                return r;
        return cpu_list_add(l, first, dash ? last : first);
}

int cpu_list_parse(const char *text, struct cpu_list *ret)
{
        _cleanup_free_ char *copy = xstrndup(text, strcspn(text, "\n"));
        struct cpu_list l = {0};
        char *rest = *copy ? copy : NULL, *part;

        while ((part = strsep(&rest, ","))) {
                int r = add_part(&l, part);
                if (r < 0)
                        return r;
        }
        *ret = l;
        return 0;
}

char *cpu_list_format(const struct cpu_list *l)
{
        _cleanup_buffer_ struct buffer b = {0};

        buffer_puts(&b, "");
        for (unsigned first = 0; first < CPU_LIST_MAX; first++) {
                unsigned last = first;

                if (!cpu_list_has(l, first))
                        continue;
                while (cpu_list_has(l, last + 1))
                        last++;
                buffer_printf(&b, "%s%u", b.len ? "," : "", first);
                if (last > first)
                        buffer_printf(&b, "-%u", last);
                first = last;
        }
        return buffer_take(&b);
}

size_t cpu_list_count(const struct cpu_list *l)
{
        size_t n = 0;

        for (size_t i = 0; i < ELEMENTSOF(l->words); i++)
                n += (size_t)__builtin_popcountll(l->words[i]);
        return n;
}

bool cpu_list_equal(const struct cpu_list *a, const struct cpu_list *b)
{
        return memcmp(a, b, sizeof(*a)) == 0;
}

bool cpu_list_contains(const struct cpu_list *big, const struct cpu_list *small)
{
        for (size_t i = 0; i < ELEMENTSOF(big->words); i++)
                if (small->words[i] & ~big->words[i])
                        return false;
        return true;
}

bool cpu_list_overlaps(const struct cpu_list *a, const struct cpu_list *b)
{
        for (size_t i = 0; i < ELEMENTSOF(a->words); i++)
                if (a->words[i] & b->words[i])
                        return true;
        return false;
}

void cpu_list_join(struct cpu_list *l, const struct cpu_list *other)
{
        for (size_t i = 0; i < ELEMENTSOF(l->words); i++)
                l->words[i] |= other->words[i];
}

void cpu_list_take(struct cpu_list *l, const struct cpu_list *other)
{
        for (size_t i = 0; i < ELEMENTSOF(l->words); i++)
                l->words[i] &= ~other->words[i];
}

int cpu_list_online(const char *sysroot, struct cpu_list *ret)
{
        _cleanup_free_ char *path = xasprintf("%s/sys/devices/system/cpu/online", sysroot), *text = NULL;
        size_t len;

        int r = read_file_at(AT_FDCWD, path, TEXT_MAX, &text, &len);
        return r < 0 ? r : cpu_list_parse(text, ret);
}
