#include "tools/sim/trace/trace.h"

#include <stdlib.h>

void trace_done(struct trace *t)
{
        free(t->jobs);
        *t = (struct trace){};
}

void trace_add(struct trace *t, const struct trace_job *j)
{
        if (t->count == t->capacity) {
                t->capacity = MAX(t->capacity * 2, (size_t)1024);
                t->jobs = xrealloc(t->jobs, t->capacity * sizeof(*t->jobs));
        }
        t->jobs[t->count++] = *j;
}
