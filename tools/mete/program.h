/* Where the other programs of Mete are, seen from this one: beside it, or where `make install` puts them. */
#pragma once

#include "lib/base/error.h"

/* Absolute path of an executable "mete-agent"; the caller frees. -ENOENT with the places that were tried. */
int program_find(const char *name, char **ret, struct error *e) WARN_UNUSED;
