/* Where in a JSON text a value stands, and whether its members are those of a message: what errors about files need. No state. */
#pragma once

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

#include "lib/base/error.h"

/*
 * The line, from 1, of the value at a path such as "jobs[1].after[0].job"; of the innermost that is there when it is not. The text has
 * been parsed before: it is JSON.
 */
unsigned json_line_of(const char *text, size_t len, const char *path);
/* The path that a sentence begins with ("jobs[1].cpus: ..."); empty: none. The caller frees. */
char *json_path_of_sentence(const char *sentence);
/*
 * The codec skips members that it does not know and values of enumerations that it does not know: in a file that a person wrote they
 * are mistakes. -EINVAL with a sentence that begins with the path.
 */
int json_check_members(
        json_t *object, const ProtobufCMessageDescriptor *d, const char *path, struct error *e) WARN_UNUSED;
