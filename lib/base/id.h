/* Random ids and the rules for ids that come from outside. */
#pragma once

#include "lib/base/error.h"

#define UUID_BYTES 16
#define UUID_TEXT_MAX 37 /* with the NUL */

/* Version 4, from getrandom(2); aborts when the kernel has no randomness, which cannot happen after boot. */
void uuid_generate_bytes(uint8_t ret[static UUID_BYTES]);
const char *uuid_format(const uint8_t uuid[static UUID_BYTES], char buf[static UUID_TEXT_MAX]);
/* -EINVAL unless the canonical 36 characters. */
int uuid_parse(const char *s, uint8_t ret[static UUID_BYTES]) WARN_UNUSED;

/*
 * Ids name directories and cgroups: 1 to 255 bytes, no '/', no control characters, no white space, not "." or
 * "..", valid UTF-8, no leading '-'. `field` names the offender in the message ("task_info.task_id").
 */
#define ID_LENGTH_MAX 255
int id_validate(const char *id, const char *field, struct error *e) WARN_UNUSED;

/*
 * How agents call the directories of roles and volumes, so masters accept none that is longer than a file system takes: "a/b" ->
 * "a%2Fb", one component that is neither hidden nor special, and another one for every other text. The caller frees.
 */
#define DIRECTORY_NAME_MAX 255
char *id_directory_name(const char *text);
