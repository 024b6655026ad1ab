/* In the library: for whoever is linked without the facts. A program's own object comes before the library, so that this is not taken. */

#include "lib/base/build_info.h"

const struct build_info build_info = {.user = "", .git_sha = "", .git_branch = "", .git_tag = ""};
