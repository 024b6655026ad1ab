/*
 * The command line of mete-agent: one struct, filled once at start from one table of rows, constant afterwards. Owned by
 * main; every string belongs to the struct.
 */
#pragma once

#include "lib/base/option.h"

struct agent_options {
        char *master;
        char *address;
        uint64_t port;
        char *work_dir;
        char *runtime_dir;
        char *cgroup_root;
        char *hostname;
        char *shim;
        char *fetcher;
        char *frameworks_home;
        uint64_t fetcher_max_bytes;
        uint64_t fetcher_cache_bytes;
        uint64_t fetcher_stall_ns;
        char *attributes;
        char *domain; /* "region/zone"; NULL: none */
        char *jwt_secret_key;
        uint64_t http_heartbeat_interval_ns;
        bool authenticate_http_executors;
        uint64_t milli_cpus;
        uint64_t memory_bytes;
        char *resources; /* beside cpus and mem: see offered_resources.h */
        uint64_t log_max_bytes;
        uint64_t log_files;
        uint64_t gc_delay_ns;
        uint64_t gc_max_sandboxes;
        uint64_t executor_registration_ns, executor_reregistration_ns, executor_shutdown_ns, recovery_ns;
        char *executor_environment_variables;    /* JSON, parsed into: */
        struct string_list executor_environment; /* NAME=value */
        struct string_list hide;
        bool kill_tasks_on_exit;
        bool insecure;
        bool purge;
        bool no_ebpf;
        bool doctor;
        bool json;
        bool verbose;
        bool version;      /* printed by the parser */
        char *master_host; /* parsed from master */
        uint16_t master_port;
};

extern const struct option_parser agent_option_parser; /* --help and the manual */
/* Parses, checks and fills in defaults. 0, 1 when the help or the version was printed, negative with a sentence that names the option. */
int agent_options_parse(struct agent_options *o, int argc, char **argv, struct error *e) WARN_UNUSED;
void agent_options_done(struct agent_options *o);
#define _cleanup_agent_options_ CLEANUP(agent_options_done)
