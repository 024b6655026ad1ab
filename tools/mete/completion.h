/* Shell completion and the man page, both written from the verbs' option tables. */
#pragma once

#include <stdio.h>

#include "lib/base/error.h"

/* shell: "bash", "zsh", "fish". -EINVAL for others. */
int completion_print(const char *shell, FILE *f, struct error *e) WARN_UNUSED;
/* mete.1 in man(7) macros. */
void man_page_print(FILE *f);
