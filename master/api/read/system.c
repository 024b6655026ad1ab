/* The machine that the master runs on. */

#include "master/api/read/read.h"

#include <stdlib.h>
#include <sys/sysinfo.h>
#include <unistd.h>

void system_stats_read(struct system_stats *ret)
{
        double loads[3] = {};
        struct sysinfo info;

        *ret = (struct system_stats){};
        (void)getloadavg(loads, 3);
        ret->load_1min = loads[0];
        ret->load_5min = loads[1];
        ret->load_15min = loads[2];
        ret->cpus_total = (double)sysconf(_SC_NPROCESSORS_ONLN);
        if (sysinfo(&info) < 0)
                return;
        ret->mem_total_bytes = (double)info.totalram * info.mem_unit;
        ret->mem_free_bytes = (double)info.freeram * info.mem_unit;
}

void read_system_stats(struct read_call *c)
{
        struct buffer *out = &c->out;
        struct system_stats s;

        system_stats_read(&s);
        json_begin_object(out, NULL);
        json_put_double(out, "avg_load_1min", s.load_1min);
        json_put_double(out, "avg_load_5min", s.load_5min);
        json_put_double(out, "avg_load_15min", s.load_15min);
        json_put_integer(out, "cpus_total", (int64_t)s.cpus_total);
        json_put_integer(out, "mem_total_bytes", (int64_t)s.mem_total_bytes);
        json_put_integer(out, "mem_free_bytes", (int64_t)s.mem_free_bytes);
        json_end_object(out);
}
