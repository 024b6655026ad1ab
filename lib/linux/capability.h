/* Capabilities by name: for whoever checks a request and for whoever grants it. */
#pragma once

#define CAPABILITY_COUNT 41 /* CAP_CHECKPOINT_RESTORE, 5.9, is the last */

/* The number of a capability ("CAP_NET_RAW", "net_raw"), -EINVAL when there is none. */
int capability_from_string(const char *name);
const char *capability_to_string(int cap); /* "CAP_CHOWN", NULL when there is none */
