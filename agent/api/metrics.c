/* GET /metrics/snapshot: a flat JSON object of numbers. Anybody on this machine may read it: it names no task. */
#include "agent/api/api.h"
#include "agent/launch_times.h"

static void add(struct buffer *b, const char *name, const char *phase, const char *key, uint64_t value)
{
        buffer_printf(b, "%s\"%s%s%s%s%s\":%llu", b->len > 1 ? "," : "", name, phase ? "/" : "",
                phase ? phase : "", key ? "/" : "", key ? key : "", (unsigned long long)value);
}

void api_metrics(struct http_request *request, void *userdata)
{
        const struct agent *a = userdata;
        _cleanup_buffer_ struct buffer b = {0};
        struct launch_phase_summary s;

        buffer_puts(&b, "{");
        add(&b, "containerizer/launches", NULL, NULL, a->launch_times->launches);
        for (size_t i = 0; launch_times_summary(a->launch_times, i, &s); i++) {
                add(&b, "containerizer/launch_usec", s.name, "order", i);
                add(&b, "containerizer/launch_usec", s.name, "p50", s.p50_usec);
                add(&b, "containerizer/launch_usec", s.name, "p99", s.p99_usec);
        }
        buffer_puts(&b, "}\n");
        http_respond(request, 200, "application/json", b.data, b.len);
}
