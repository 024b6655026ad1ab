/*
 * Where the leading master is: a list of addresses that are tried in turn, and what a redirect says. Reads no clock and does no I/O;
 * belongs to its driver.
 */
#pragma once

#include "lib/base/error.h"

struct detector;

/* "HOST[:PORT],...". -EINVAL with a sentence. */
int detector_new(
        const char *addresses, uint16_t default_port, struct detector **ret, struct error *e) WARN_UNUSED;
struct detector *detector_free(struct detector *d);
DEFINE_CLEANUP(struct detector, detector_free)

/* The one to try now; valid until the next call below. */
const char *detector_host(const struct detector *d);
uint16_t detector_port(const struct detector *d);
/* That one leads. */
void detector_found(struct detector *d);
/* Location of a redirect: "//host:port/path" or "http://...". False when it makes no sense or goes round in circles: then wait. */
bool detector_redirected(struct detector *d, const char *location);
/* That one does not answer, or knows no leader. True when every address has been tried since the last time: then wait. */
bool detector_failed(struct detector *d);
