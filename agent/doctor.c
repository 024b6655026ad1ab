#include "agent/doctor.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bpf/bpf.h"
#include "isolators/isolator.h"

#define DESTROY_TIMEOUT_NS (5 * NSEC_PER_SEC)

/* What the isolators look at, as the agent would give it to them. */
struct doctor {
        struct isolator_host host;
        char *cgroups_missing; /* NULL: there is a root */
};

static void doctor_open(struct doctor *d)
{
        _cleanup_error_ struct error cgroups = {0}, probes = {0};
        _cleanup_free_ char *relative = xasprintf("mete/doctor-%d", getpid());

        d->host.state_dir = "/var/lib/mete/agent";
        d->host.runtime_dir = "/run/mete/doctor";
        if (cgroup_root_open_with_cpuset("/", relative, &d->host.cgroups, &cgroups) < 0)
                d->cgroups_missing = xstrdup(error_message(&cgroups));
        if (bpf_supported(&probes) < 0)
                d->host.probes_missing = xstrdup(error_message(&probes));
}

static void doctor_close(struct doctor *d)
{
        _cleanup_error_ struct error e = {0};

        if (d->host.cgroups && cgroup_root_destroy(d->host.cgroups, DESTROY_TIMEOUT_NS, &e) < 0)
                fprintf(stderr, "mete-agent: %s\n", error_message(&e));
        cgroup_root_free(d->host.cgroups);
        free(d->host.probes_missing);
        free(d->cgroups_missing);
}

static bool measures(const struct isolator *i)
{
        return str_equal(i->name, "probes");
}

/* Tasks that do not ask for it start without. */
static bool is_optional(const struct isolator *i)
{
        return measures(i) || str_equal(i->name, "cores");
}

/* NULL when the host gives it, else why not; the caller frees. */
static char *examine(struct doctor *d, const struct isolator *i)
{
        _cleanup_error_ struct error e = {0};

        if (measures(i))
                return xstrdup(d->host.probes_missing);
        if (!d->host.cgroups && str_equal(i->name, "cgroup"))
                return xstrdup(d->cgroups_missing);
        if (!i->probe || i->probe(&d->host, &e) == 0)
                return NULL;
        return xstrdup(error_message(&e));
}

/* Sentences read "what is missing: what would provide it". */
static const char *remedy_in(const char *reason)
{
        const char *remedy = NULL;

        for (const char *at = reason; at && (at = strstr(at, ": ")); at += 2)
                remedy = at + 2;
        return remedy;
}

static json_t *json_or_null(const char *s)
{
        return s ? json_string(s) : json_null();
}

static void add_json(json_t *rows, const struct isolator *i, const char *reason)
{
        json_t *row = json_object();

        json_object_set_new(row, "isolation", json_string(i->name));
        json_object_set_new(row, "provides", json_string(i->provides));
        json_object_set_new(row, "available", json_boolean(reason == NULL));
        json_object_set_new(row, "reason", json_or_null(reason));
        json_object_set_new(row, "provides_it", json_or_null(remedy_in(reason)));
        json_array_append_new(rows, row);
}

static void print_row(FILE *f, const struct isolator *i, const char *reason)
{
        fprintf(f, "%-13s%-5s%s\n", i->name, reason ? "no" : "yes", i->provides);
        if (reason)
                fprintf(f, "%18s%s\n", "", reason);
}

static void print_host(FILE *f, const struct doctor *d)
{
        struct utsname name;

        if (uname(&name) < 0)
                return;
        fprintf(f, "Linux %s, cgroups: %s\n\n%-13s%-5s%s\n", name.release,
                d->host.cgroups ? cgroup_layout_to_string(cgroup_root_layout(d->host.cgroups)) : "none",
                "ISOLATION", "HERE", "WHAT IT GIVES A TASK");
}

static void print_verdict(FILE *f, const struct doctor *d, unsigned missing)
{
        if (missing > 0)
                fprintf(f, "\nTasks do not start on this host: %u of the above %s missing.\n", missing,
                        missing == 1 ? "is" : "are");
        else if (d->host.probes_missing)
                fputs("\nTasks are fully isolated here. CPU time is read from cgroup files.\n", f);
        else
                fputs("\nTasks are fully isolated here, and measured by eBPF.\n", f);
}

int agent_doctor(bool json, FILE *f)
{
        struct doctor d = {0};
        json_t *rows = json_array();
        unsigned missing = 0;

        doctor_open(&d);
        if (!json)
                print_host(f, &d);
        for (size_t i = 0; isolators[i]; i++) {
                _cleanup_free_ char *reason = examine(&d, isolators[i]);

                missing += reason && !is_optional(isolators[i]);
                if (json)
                        add_json(rows, isolators[i], reason);
                else
                        print_row(f, isolators[i], reason);
        }
        if (json) {
                (void)json_dumpf(rows, f, JSON_INDENT(2));
                fputc('\n', f);
        } else {
                print_verdict(f, &d, missing);
        }
        json_decref(rows);
        doctor_close(&d);
        return missing > 0 ? 1 : 0;
}
