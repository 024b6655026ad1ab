#include "master/options.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "lib/net/codec.h"
#include "lib/net/http_server.h"
#include "master/queue/queue.h"
#include "proto/domain.h"

#define HOSTNAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-"

#define ROW(field, n, t, v, h, ...)                                                                          \
        {                                                                                                    \
                .name = n, .type = t, .offset = offsetof(struct master_options, field), .value = v,          \
                .help = h, __VA_ARGS__                                                                       \
        }

static const struct option_row rows[] = {
        ROW(address, "address", OPTION_STRING, "ADDRESS", "numeric address to listen on (default 127.0.0.1)",
                .group = "Network"),
        ROW(port, "port", OPTION_U64, "PORT", "port to listen on, 0 picks one (default 5050)",
                .max = UINT16_MAX, .letter = 'p'),
        ROW(hostname, "hostname", OPTION_STRING, "NAME",
                "what clients are told to reach it by (default: the address)"),
        ROW(domain, "domain", OPTION_STRING, "REGION/ZONE",
                "where it is: agents of another region are offered to frameworks with REGION_AWARE only, and "
                "to the job queue (default: none)"),
        ROW(insecure, "insecure", OPTION_BOOL, NULL,
                "allow an address that is not loopback, and peers that cannot be identified"),
        ROW(work_dir, "work-dir", OPTION_STRING, "DIR",
                "what must outlive the master (default /var/lib/mete/master)", .group = "State"),
        ROW(store, "store", OPTION_STRING, "URL",
                "sqlite:PATH or memory: (default sqlite:<work-dir>/store.db)"),
        ROW(history_jobs, "history-jobs", OPTION_U64, "N",
                "ended jobs whose records are kept, the last ones (default 100000)", .max = 100000000),
        ROW(history_age_ns, "history-age", OPTION_DURATION, "DURATION",
                "how long they are kept, 0 for ever (default 90d)"),
        ROW(election, "election", OPTION_STRING, "NAME",
                "how the leader is found: standalone (default standalone)"),
        ROW(policy, "queue-policy", OPTION_STRING, "NAME",
                "order of the default queue: fifo, sjf, srtf, priority or fair (default fifo)",
                .group = "Scheduling"),
        ROW(offer_timeout_ns, "offer-timeout", OPTION_DURATION, "DURATION",
                "how long a framework may think about an offer, 0 for ever (default 0)"),
        ROW(agent_ping_timeout_ns, "agent-ping-timeout", OPTION_DURATION, "DURATION",
                "how long an agent may take to answer a ping (default 15s)", .group = "Agents"),
        ROW(max_agent_ping_timeouts, "max-agent-ping-timeouts", OPTION_U64, "N",
                "pings missed until an agent is unreachable (default 5)", .max = 1000),
        ROW(agent_reregister_timeout_ns, "agent-reregister-timeout", OPTION_DURATION, "DURATION",
                "how long an agent may stay away before its tasks are lost (default 10m)"),
        ROW(usage_interval_ns, "usage-interval", OPTION_DURATION, "DURATION",
                "how often agents report what tasks use (default 1s)"),
        ROW(heartbeat_interval_ns, "heartbeat-interval", OPTION_DURATION, "DURATION",
                "how often a framework's stream gets a HEARTBEAT (default 15s)", .group = "Frameworks"),
        ROW(authenticate_frameworks, "authenticate-frameworks", OPTION_BOOL, NULL,
                "ask frameworks for one of the credentials (HTTP basic authentication)"),
        ROW(credentials, "credentials", OPTION_STRING, "FILE",
                "JSON or lines of principal and secret, readable by nobody else"),
        ROW(verbose, "verbose", OPTION_BOOL, NULL, "log details", .letter = 'v', .group = "Output"),
        ROW(version, "version", OPTION_BOOL, NULL, "print the version and exit"),
};

const struct option_parser master_option_parser = {
        .program = "mete-master",
        .synopsis = "[options]",
        .summary = "The master of a Mete cluster: registry of agents, allocator, job queue and API.",
        .rows = rows,
        .count = ELEMENTSOF(rows),
};

void master_options_init(struct master_options *o)
{
        *o = (struct master_options){
                .address = xstrdup("127.0.0.1"),
                .port = 5050,
                .work_dir = xstrdup("/var/lib/mete/master"),
                .election = xstrdup("standalone"),
                .policy = xstrdup("fifo"),
                .history_jobs = 100000,
                .history_age_ns = 90 * 86400 * NSEC_PER_SEC,
                .agent_ping_timeout_ns = 15 * NSEC_PER_SEC,
                .max_agent_ping_timeouts = 5,
                .agent_reregister_timeout_ns = 600 * NSEC_PER_SEC,
                .usage_interval_ns = NSEC_PER_SEC,
                .heartbeat_interval_ns = 15 * NSEC_PER_SEC,
        };
}

static int check_domain(const struct master_options *o, struct error *e)
{
        Mete__V1__DomainInfo *domain = NULL;
        int r = o->domain ? domain_parse(o->domain, "--domain", &domain, e) : 0;

        message_free(domain);
        return r;
}

int master_options_check(const struct master_options *o, struct error *e)
{
        uint8_t numeric[sizeof(struct in6_addr)];

        if (inet_pton(AF_INET, o->address, numeric) != 1 && inet_pton(AF_INET6, o->address, numeric) != 1)
                return error_set(
                        e, -EINVAL, "--address: '%s' is not a numeric IPv4 or IPv6 address", o->address);
        if (!address_is_loopback(o->address) && !o->insecure)
                return error_set(e, -EINVAL,
                        "--address: %s is not loopback, and no authentication is configured: peers there "
                        "could not be identified. "
                        "Use 127.0.0.1, or --insecure where every machine that reaches the port is trusted",
                        o->address);
        if (o->hostname && (!*o->hostname || strlen(o->hostname) > 253 ||
                                   o->hostname[strspn(o->hostname, HOSTNAME_CHARACTERS)]))
                return error_set(e, -EINVAL,
                        "--hostname: '%s' is none: letters, digits, dots and hyphens are expected",
                        o->hostname);
        if (queue_policy_from_string(o->policy) < 0)
                return error_set(e, -EINVAL,
                        "--queue-policy: unknown '%s': fifo, sjf, srtf, priority or fair is expected",
                        o->policy);
        if (o->agent_ping_timeout_ns < NSEC_PER_MSEC || o->max_agent_ping_timeouts < 1)
                return error_set(e, -EINVAL,
                        "--agent-ping-timeout must be at least 1ms and --max-agent-ping-timeouts at least 1");
        if (o->agent_reregister_timeout_ns < NSEC_PER_MSEC)
                return error_set(e, -EINVAL, "--agent-reregister-timeout must be at least 1ms");
        if (o->usage_interval_ns < 10 * NSEC_PER_MSEC)
                return error_set(e, -EINVAL, "--usage-interval must be at least 10ms");
        if (o->heartbeat_interval_ns < NSEC_PER_MSEC)
                return error_set(e, -EINVAL, "--heartbeat-interval must be at least 1ms");
        if (o->authenticate_frameworks && str_empty(o->credentials))
                return error_set(e, -EINVAL,
                        "--authenticate-frameworks needs --credentials: a file with principals and secrets");
        if (str_empty(o->work_dir))
                return error_set(e, -EINVAL, "--work-dir must not be empty");
        return check_domain(o, e);
}
