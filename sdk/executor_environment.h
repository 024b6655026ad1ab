/* What an agent tells its executor by environment variables. Plain values, owned. */
#pragma once

#include "lib/base/error.h"

struct executor_environment {
        char *framework_id, *executor_id;
        char *agent;  /* "ip:port"; NULL when there is a socket */
        char *socket; /* path of the agent's unix socket, preferred, or NULL */
        char *token;  /* of Authorization: Bearer, or NULL */
        bool checkpoint;
        uint64_t recovery_timeout_ns;
        uint64_t backoff_max_ns;
        uint64_t shutdown_grace_ns;
};

/* -EINVAL names the variable. */
int executor_environment_read(struct executor_environment *ret, struct error *e) WARN_UNUSED;
void executor_environment_done(struct executor_environment *v);
/* "15mins", "2.5secs", "500ms": a number and ns, us, ms, secs, mins, hrs, days or weeks. -EINVAL. */
int executor_duration_parse(const char *s, uint64_t *ret_ns) WARN_UNUSED;
