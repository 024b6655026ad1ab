/*
 * The daemons' log: one line an event on stderr, "2026-01-02T03:04:05.678Z LEVEL text"; with JOURNAL_STREAM
 * set, the
 * "<N>" priority prefix of sd-daemon(3) in place of the time. Colours only on a terminal. Thread-safe (one
 * write(2) a line). Library code never logs above debug: a failure is logged once, by whoever handles it.
 */
#pragma once

#include "lib/base/util.h"

enum log_level {
        LOG_LEVEL_ERROR,
        LOG_LEVEL_WARNING,
        LOG_LEVEL_INFO,
        LOG_LEVEL_DEBUG,
        LOG_LEVEL_MAX,
        LOG_LEVEL_INVALID = -EINVAL,
};

const char *log_level_to_string(enum log_level level);
enum log_level log_level_from_string(const char *s);
void log_set_level(enum log_level level);
/* Puts "NAME: " in front of every text. */
void log_set_program(const char *name);
bool log_enabled(enum log_level level);
void log_write(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                                                                       \
        do {                                                                                                 \
                if (log_enabled(LOG_LEVEL_DEBUG))                                                            \
                        log_write(LOG_LEVEL_DEBUG, __VA_ARGS__);                                             \
        } while (0)
