/* Writing a plan: the agent's side. Records are kept one buffer a phase, so that sorting is concatenation. */
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "isolators/plan.h"
#include "lib/linux/syscall.h"

struct plan {
        struct buffer phases[PLAN_PHASE_MAX];
        uint32_t count;
        bool too_large; /* a record with more than it may hold: seal refuses */
};

struct plan *plan_new(void)
{
        return NEW0(struct plan);
}

struct plan *plan_free(struct plan *p)
{
        if (!p)
                return NULL;
        for (int i = 0; i < PLAN_PHASE_MAX; i++)
                buffer_done(&p->phases[i]);
        free(p);
        return NULL;
}

static void plan_add_record(struct plan *p, enum plan_phase phase, enum plan_step step, uint32_t flags,
        uint32_t string_count, const void *data, size_t len)
{
        static const char zero[8];
        struct plan_record r = {
                .step = (uint16_t)step,
                .phase = (uint16_t)phase,
                .flags = flags,
                .string_count = string_count,
                .length = (uint32_t)len,
        };

        assert(phase >= 0 && phase < PLAN_PHASE_MAX);
        assert(step > PLAN_STEP_INVALID_0 && step < PLAN_STEP_MAX);
        if (len > PLAN_SIZE_MAX || string_count > PLAN_STRINGS_MAX ||
                p->phases[phase].len + len > PLAN_SIZE_MAX) {
                p->too_large = true;
                return;
        }
        buffer_append(&p->phases[phase], &r, sizeof(r));
        if (len > 0)
                buffer_append(&p->phases[phase], data, len);
        buffer_append(&p->phases[phase], zero, -len & 7);
        p->count++;
}

void plan_add(struct plan *p, enum plan_phase phase, enum plan_step step, uint32_t flags)
{
        plan_add_record(p, phase, step, flags, 0, NULL, 0);
}

void plan_add_blob(struct plan *p, enum plan_phase phase, enum plan_step step, uint32_t flags,
        const void *data, size_t len)
{
        plan_add_record(p, phase, step, flags, 0, data, len);
}

void plan_add_strings(struct plan *p, enum plan_phase phase, enum plan_step step, uint32_t flags, ...)
{
        _cleanup_buffer_ struct buffer b = {0};
        uint32_t count = 0;
        va_list ap;

        va_start(ap, flags);
        for (const char *s; (s = va_arg(ap, const char *)); count++)
                buffer_append(&b, s, strlen(s) + 1);
        va_end(ap);
        plan_add_record(p, phase, step, flags, count, b.data, b.len);
}

void plan_add_string_array(struct plan *p, enum plan_phase phase, enum plan_step step, uint32_t flags,
        const char *const *strings, size_t count)
{
        _cleanup_buffer_ struct buffer b = {0};

        if (count > PLAN_STRINGS_MAX) {
                p->too_large = true;
                return;
        }
        for (size_t i = 0; i < count && b.len <= PLAN_SIZE_MAX; i++)
                buffer_append(&b, strings[i], strlen(strings[i]) + 1);
        plan_add_record(p, phase, step, flags, (uint32_t)count, b.data, b.len);
}

int plan_seal(struct plan *p, int *ret_fd, struct error *e)
{
        struct plan_header h = {PLAN_MAGIC, PLAN_VERSION, p->count, sizeof(h)};
        size_t size = sizeof(h);

        for (int i = 0; i < PLAN_PHASE_MAX; i++)
                size += p->phases[i].len;
        if (p->too_large || size > PLAN_SIZE_MAX)
                return error_set(e, -E2BIG,
                        "the task is too large to launch: arguments and environment may hold %d strings each "
                        "and "
                        "%u bytes together",
                        PLAN_STRINGS_MAX, PLAN_SIZE_MAX);
        h.size = (uint32_t)size;

        _cleanup_fd_ int fd = sys_memfd_create("mete-plan", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0)
                return error_set_errno(e, fd, "cannot create the launch plan");
        int r = write_all(fd, &h, sizeof(h));
        for (int i = 0; i < PLAN_PHASE_MAX && r >= 0; i++)
                r = write_all(fd, p->phases[i].data, p->phases[i].len);
        if (r >= 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
                r = -errno;
        if (r < 0)
                return error_set_errno(e, r, "cannot write the launch plan");
        *ret_fd = TAKE_FD(fd);
        return 0;
}
