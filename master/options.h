/* The options of mete-master as rows of a table. */
#pragma once

#include "lib/base/option.h"
#include "master/master.h"

extern const struct option_parser master_option_parser;
