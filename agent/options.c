#include "agent/options.h"
#include "agent/agent.h"

#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/offered_resources.h"
#include "lib/base/option.h"
#include "lib/base/time.h"
#include "lib/linux/process.h"
#include "lib/net/codec.h"
#include "lib/net/http_client.h"
#include "lib/net/http_server.h"
#include "proto/domain.h"

#define MASTER_PORT_DEFAULT 5050
#define AGENT_PORT_DEFAULT 5051
#define MEMORY_RESERVE_BYTES (UINT64_C(1) << 30)
#define NOT_GIVEN UINT64_MAX
#define SOCKET_PATH_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)
#define RUNTIME_DIR_LENGTH_MAX (SOCKET_PATH_MAX - strlen("/" AGENT_SOCKET_DIR_NAME "/" AGENT_SOCKET_NAME))
#define MEMORY_MIN_BYTES (UINT64_C(32) << 20)

#define ROW(n, l, t, field, v, h, m, g)                                                                      \
        {                                                                                                    \
                .name = n, .letter = l, .type = t, .offset = offsetof(struct agent_options, field),          \
                .value = v, .help = h, .max = m, .group = g                                                  \
        }

/* clang-format off */
static const struct option_row rows[] = {
        ROW("master", 'm', OPTION_STRING, master, "HOST:PORT", "the master to serve (default 127.0.0.1:5050)", 0, "Cluster"),
        ROW("hostname", 0, OPTION_STRING, hostname, "NAME", "name shown to frameworks (default: this machine's)", 0, NULL),
        ROW("attributes", 0, OPTION_STRING, attributes, "NAME:VALUE;...", "what frameworks may select machines by, for example rack:r1;ssd:1", 0, NULL),
        ROW("domain", 0, OPTION_STRING, domain, "REGION/ZONE", "where this machine is: its fault domain, shown to frameworks (default: none)", 0, NULL),
        ROW("address", 0, OPTION_STRING, address, "ADDRESS", "numeric address to listen on (default 127.0.0.1)", 0, "Network"),
        ROW("port", 'p', OPTION_U64, port, "PORT", "port to listen on (default 5051)", 65535, NULL),
        ROW("insecure", 0, OPTION_BOOL, insecure, NULL, "allow an address that is not loopback, where nobody is authenticated", 0, NULL),
        ROW("cpus", 0, OPTION_MILLI, milli_cpus, "N", "cores to offer (default: all)", UINT64_C(1024000), "Resources"),
        ROW("mem", 0, OPTION_SIZE, memory_bytes, "SIZE", "memory to offer (default: all but 1G, or half of less than 2G)", 0, NULL),
        ROW("resources", 0, OPTION_STRING, resources, "NAME:VALUE;...", "more to offer: ports:[31000-32000] and the work directory's disk unless they are named; NAME(ROLE):VALUE is reserved for the role, of cpus and mem out of --cpus and --mem; cores:[2-3] for tasks that want cores to themselves", 0, NULL),
        ROW("work-dir", 0, OPTION_STRING, work_dir, "DIR", "checkpoints and sandboxes (default /var/lib/mete/agent)", 0, "Files"),
        ROW("runtime-dir", 0, OPTION_STRING, runtime_dir, "DIR", "state of this boot (default /run/mete/agent-<port>)", 0, NULL),
        ROW("cgroup-root", 0, OPTION_STRING, cgroup_root, "PATH", "where its cgroups are, below every hierarchy's mount (default mete/agent-<port>)", 0, NULL),
        ROW("shim", 0, OPTION_STRING, shim, "FILE", "the mete-shim program (default: beside this one, or ../libexec/mete)", 0, NULL),
        ROW("log-max-size", 0, OPTION_SIZE, log_max_bytes, "SIZE", "rotate a task's stdout and stderr at this size, 0 never (default 10M)", 0, "Tasks"),
        ROW("log-files", 0, OPTION_U64, log_files, "N", "rotated files kept beside the live one (default 2)", 100, NULL),
        ROW("gc-delay", 0, OPTION_DURATION, gc_delay_ns, "DURATION", "keep sandboxes of ended tasks this long (default 7d)", 0, NULL),
        ROW("gc-max-sandboxes", 0, OPTION_U64, gc_max_sandboxes, "N", "and at most this many of them (default 1000)", 1000000, NULL),
        ROW("hide", 0, OPTION_STRINGS, hide, "PATH", "hide this too from tasks that see the host's root; may be repeated", 0, NULL),
        ROW("executor-environment-variables", 0, OPTION_STRING, executor_environment_variables, "JSON", "an object of strings that every executor and command finds in its environment", 0, NULL),
        ROW("kill-tasks-on-exit", 0, OPTION_BOOL, kill_tasks_on_exit, NULL, "on SIGTERM kill every task and leave nothing behind", 0, NULL),
        ROW("executor-registration-timeout", 0, OPTION_DURATION, executor_registration_ns, "DURATION", "how long an executor may take to subscribe (default 1m)", UINT64_C(604800) * NSEC_PER_SEC, "Executors"),
        ROW("executor-reregistration-timeout", 0, OPTION_DURATION, executor_reregistration_ns, "DURATION", "and to subscribe again after a restart of the agent (default 2s, at most 15s)", UINT64_C(15) * NSEC_PER_SEC, NULL),
        ROW("executor-shutdown-grace-period", 0, OPTION_DURATION, executor_shutdown_ns, "DURATION", "how long an executor that is told to shut down may take (default 5s)", UINT64_C(604800) * NSEC_PER_SEC, NULL),
        ROW("recovery-timeout", 0, OPTION_DURATION, recovery_ns, "DURATION", "how long executors that lost the agent wait for it (default 15m)", UINT64_C(604800) * NSEC_PER_SEC, NULL),
        ROW("http-heartbeat-interval", 0, OPTION_DURATION, http_heartbeat_interval_ns, "DURATION", "between two heartbeats on an executor's stream (default 30m)", 0, NULL),
        ROW("authenticate-http-executors", 0, OPTION_BOOL, authenticate_http_executors, NULL, "executors must show the token that they find in their environment; needs --jwt-secret-key", 0, NULL),
        ROW("jwt-secret-key", 0, OPTION_STRING, jwt_secret_key, "FILE", "secret of 32 bytes or more that signs these tokens; root's, mode 0600", 0, NULL),
        ROW("fetcher", 0, OPTION_STRING, fetcher, "FILE", "the mete-fetcher program (default: beside this one, or ../libexec/mete)", 0, "Fetching"),
        ROW("fetcher-max-size", 0, OPTION_SIZE, fetcher_max_bytes, "SIZE", "what fetching may write for one task, unpacked (default 10G)", 0, NULL),
        ROW("fetcher-cache-size", 0, OPTION_SIZE, fetcher_cache_bytes, "SIZE", "keep fetched files with cache set up to this size (default 2G)", 0, NULL),
        ROW("fetcher-stall-timeout", 0, OPTION_DURATION, fetcher_stall_ns, "DURATION", "give a download up when nothing comes for this long (default 1m)", 0, NULL),
        ROW("frameworks-home", 0, OPTION_STRING, frameworks_home, "DIR", "where relative paths in URIs begin (default: they are refused)", 0, NULL),
        ROW("no-ebpf", 0, OPTION_BOOL, no_ebpf, NULL, "measure from cgroup files only", 0, "Measuring"),
        ROW("doctor", 0, OPTION_BOOL, doctor, NULL, "try every isolation on this host, say what is missing, and exit", 0, "Instead of running"),
        ROW("json", 0, OPTION_BOOL, json, NULL, "with --doctor: print JSON", 0, NULL),
        ROW("purge", 0, OPTION_BOOL, purge, NULL, "kill what an agent with these options left, remove its cgroups, probes and runtime state, and exit", 0, NULL),
        ROW("version", 0, OPTION_BOOL, version, NULL, "print the version and exit", 0, NULL),
        ROW("verbose", 'v', OPTION_BOOL, verbose, NULL, "log details", 0, "Output"),
};
/* clang-format on */

const struct option_parser agent_option_parser = {
        .program = "mete-agent",
        .synopsis = "[options]",
        .summary =
                "Runs tasks of a mete master on this machine, each in its own partition of CPU and memory.",
        .details = "Stopping the agent leaves its tasks running: the next start takes them over.",
        .rows = rows,
        .count = ELEMENTSOF(rows),
};

static void default_string(char **s, const char *value)
{
        if (!*s)
                *s = xstrdup(value);
}

/* Beside this program, or where an installation has it. */
static int default_program(const char *name, char **ret, struct error *e)
{
        char self[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

        if (n < 0)
                return error_set_errno(e, -errno, "cannot read /proc/self/exe");
        self[n] = '\0';
        char *slash = strrchr(self, '/');
        if (slash)
                *slash = '\0';
        *ret = xasprintf("%s/%s", self, name);
        if (access(*ret, X_OK) < 0) {
                free(*ret);
                *ret = xasprintf("%s/../libexec/mete/%s", self, name);
        }
        return 0;
}

static int default_resources(struct agent_options *o, struct error *e)
{
        uint64_t total;

        if (o->milli_cpus == NOT_GIVEN)
                o->milli_cpus = (uint64_t)machine_cpu_count() * 1000;
        if (o->milli_cpus == 0)
                return error_set(e, -EINVAL, "--cpus 0: give at least 0.001");
        int r = machine_memory_bytes(&total);
        if (r < 0)
                return error_set_errno(e, r, "cannot read the size of this machine's memory");
        if (o->memory_bytes == NOT_GIVEN)
                o->memory_bytes = total < 2 * MEMORY_RESERVE_BYTES ? total / 2 : total - MEMORY_RESERVE_BYTES;
        if (o->memory_bytes < MEMORY_MIN_BYTES || o->memory_bytes > total)
                return error_set(e, -EINVAL,
                        "--mem %" PRIu64 ": give at least 32M and at most this machine's %" PRIu64 " bytes",
                        o->memory_bytes, total);
        return 0;
}

static int check_resources(const struct agent_options *o, struct error *e)
{
        _cleanup_resources_ struct resources offered = {0};

        return offered_resources(o, &offered, e);
}

/* One object of strings: {"NAME":"value"}. */
static int parse_environment(struct agent_options *o, struct error *e)
{
        json_error_t why;
        const char *name;
        json_t *value;
        int r = 0;

        if (!o->executor_environment_variables)
                return 0;
        json_t *root = json_loads(o->executor_environment_variables, 0, &why);
        if (!json_is_object(root))
                r = error_set(e, -EINVAL,
                        "--executor-environment-variables: is no JSON object: give {\"NAME\":\"value\"}");
        json_object_foreach(root, name, value)
        {
                if (r == 0 && (!json_is_string(value) || str_empty(name) || strchr(name, '=')))
                        r = error_set(e, -EINVAL,
                                "--executor-environment-variables: \"%.80s\": give names without '=' and "
                                "strings as values",
                                name);
                if (r < 0)
                        break;
                _cleanup_free_ char *item = xasprintf("%s=%s", name, json_string_value(value));
                string_list_add(&o->executor_environment, item);
        }
        json_decref(root);
        return r;
}

static int check_paths(const struct agent_options *o, struct error *e)
{
        for (size_t i = 0; i < o->hide.count; i++)
                if (o->hide.items[i][0] != '/')
                        return error_set(
                                e, -EINVAL, "--hide \"%s\": give an absolute path", o->hide.items[i]);
        if (o->work_dir[0] != '/')
                return error_set(e, -EINVAL, "--work-dir \"%s\": give an absolute path", o->work_dir);
        if (o->frameworks_home && o->frameworks_home[0] != '/')
                return error_set(
                        e, -EINVAL, "--frameworks-home \"%s\": give an absolute path", o->frameworks_home);
        if (o->fetcher_max_bytes == 0)
                return error_set(e, -EINVAL, "--fetcher-max-size 0: give at least 1");
        if (o->runtime_dir[0] != '/')
                return error_set(e, -EINVAL, "--runtime-dir \"%s\": give an absolute path", o->runtime_dir);
        if (strlen(o->runtime_dir) > RUNTIME_DIR_LENGTH_MAX)
                return error_set(e, -EINVAL,
                        "--runtime-dir \"%.200s\": give at most %zu characters, because the path of a unix "
                        "socket there has at most %zu",
                        o->runtime_dir, RUNTIME_DIR_LENGTH_MAX, SOCKET_PATH_MAX);
        if (str_empty(o->hostname) || strlen(o->hostname) > 255)
                return error_set(e, -EINVAL, "--hostname: give 1 to 255 characters");
        return 0;
}

static int check_network(struct agent_options *o, struct error *e)
{
        Mete__V1__DomainInfo *domain = NULL;

        if (o->port == 0)
                return error_set(e, -EINVAL, "--port 0: give 1 to 65535");
        if (!address_is_loopback(o->address) && !o->insecure)
                return error_set(e, -EACCES,
                        "--address %s is not loopback and there is no authentication: anybody who reaches it "
                        "could read every "
                        "task's output; give --insecure to accept that",
                        o->address);
        if (o->authenticate_http_executors != !str_empty(o->jwt_secret_key))
                return error_set(e, -EINVAL,
                        "--authenticate-http-executors and --jwt-secret-key need each other: give both or "
                        "neither");
        if (o->http_heartbeat_interval_ns == 0)
                return error_set(e, -EINVAL, "--http-heartbeat-interval 0: give at least 1ms");
        int r = host_port_parse(o->master, MASTER_PORT_DEFAULT, &o->master_host, &o->master_port, e);
        if (r < 0)
                return error_prefix(e, "--master");
        if (!o->domain)
                return 0;
        r = domain_parse(o->domain, "--domain", &domain, e);
        message_free(domain);
        return r;
}

int agent_options_parse(struct agent_options *o, int argc, char **argv, struct error *e)
{
        int first;

        *o = (struct agent_options){
                .port = AGENT_PORT_DEFAULT,
                .milli_cpus = NOT_GIVEN,
                .memory_bytes = NOT_GIVEN,
                .log_max_bytes = UINT64_C(10) << 20,
                .log_files = 2,
                .http_heartbeat_interval_ns = UINT64_C(30) * 60 * NSEC_PER_SEC,
                .gc_delay_ns = UINT64_C(7) * 24 * 3600 * NSEC_PER_SEC,
                .gc_max_sandboxes = 1000,
                .fetcher_max_bytes = UINT64_C(10) << 30,
                .fetcher_cache_bytes = UINT64_C(2) << 30,
                .fetcher_stall_ns = 60 * NSEC_PER_SEC,
                .executor_registration_ns = 60 * NSEC_PER_SEC,
                .executor_reregistration_ns = 2 * NSEC_PER_SEC,
                .executor_shutdown_ns = 5 * NSEC_PER_SEC,
                .recovery_ns = 15 * 60 * NSEC_PER_SEC,
        };
        int r = options_parse(&agent_option_parser, argc, argv, o, &first, e);
        if (r != 0)
                return r;
        if (o->version) {
                printf("mete-agent %s\n", METE_VERSION);
                return 1;
        }
        if (first < argc)
                return error_set(e, -EINVAL,
                        "unexpected word \"%s\": mete-agent takes options only, see --help", argv[first]);
        default_string(&o->master, "127.0.0.1");
        default_string(&o->address, "127.0.0.1");
        default_string(&o->work_dir, "/var/lib/mete/agent");
        if (!o->runtime_dir)
                o->runtime_dir = xasprintf("/run/mete/agent-%" PRIu64, o->port);
        if (!o->cgroup_root)
                o->cgroup_root = xasprintf("mete/agent-%" PRIu64, o->port);
        if (!o->hostname) {
                char name[HOST_NAME_MAX + 1] = "localhost";
                (void)gethostname(name, sizeof(name) - 1);
                o->hostname = xstrdup(name);
        }
        if (!o->shim)
                r = default_program("mete-shim", &o->shim, e);
        if (r == 0 && !o->fetcher)
                r = default_program("mete-fetcher", &o->fetcher, e);
        if (r == 0)
                r = check_network(o, e);
        if (r == 0)
                r = check_paths(o, e);
        if (r == 0)
                r = default_resources(o, e);
        if (r == 0)
                r = check_resources(o, e);
        return r == 0 ? parse_environment(o, e) : r;
}

void agent_options_done(struct agent_options *o)
{
        options_done(&agent_option_parser, o);
        string_list_done(&o->executor_environment);
        free(o->master_host);
        o->master_host = NULL;
}
