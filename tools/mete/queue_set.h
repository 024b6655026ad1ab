/* What `mete queue` has below it. */
#pragma once

#include "tools/mete/verb.h"

extern const struct verb verb_queue_set, verb_queue_remove;
