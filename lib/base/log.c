#include "lib/base/log.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/table.h"
#include "lib/base/time.h"

static const char *const log_level_names[LOG_LEVEL_MAX] = {
        [LOG_LEVEL_ERROR] = "error",
        [LOG_LEVEL_WARNING] = "warning",
        [LOG_LEVEL_INFO] = "info",
        [LOG_LEVEL_DEBUG] = "debug",
};
DEFINE_STRING_TABLE(log_level, enum log_level)

static const struct {
        const char *label;
        const char *colour;
        int priority; /* of syslog */
} styles[LOG_LEVEL_MAX] = {
        [LOG_LEVEL_ERROR] = {"ERROR", "\033[1;31m", 3},
        [LOG_LEVEL_WARNING] = {"WARNING", "\033[1;33m", 4},
        [LOG_LEVEL_INFO] = {"INFO", "", 6},
        [LOG_LEVEL_DEBUG] = {"DEBUG", "\033[2m", 7},
};

static atomic_int threshold = LOG_LEVEL_INFO;
static _Atomic(const char *) program;

void log_set_level(enum log_level level)
{
        if (level >= 0 && level < LOG_LEVEL_MAX)
                atomic_store(&threshold, (int)level);
}

void log_set_program(const char *name)
{
        /* An older name may still be in use by another thread, and this is called once: kept. */
        atomic_store(&program, xstrdup(name));
}

bool log_enabled(enum log_level level)
{
        return (int)level <= atomic_load(&threshold);
}

static void put_head(struct buffer *b, enum log_level level, bool colours)
{
        const char *name = atomic_load(&program);

        if (getenv("JOURNAL_STREAM")) {
                buffer_printf(b, "<%d>", styles[level].priority);
        } else {
                char when[WALL_TIME_TEXT_MAX];

                buffer_printf(b, "%s%s %s ", colours ? styles[level].colour : "",
                        wall_time_format(wall_now(), when), styles[level].label);
        }
        if (name)
                buffer_printf(b, "%s: ", name);
}

void log_write(enum log_level level, const char *fmt, ...)
{
        _cleanup_buffer_ struct buffer b = {};
        _cleanup_free_ char *text = NULL;
        int saved = errno, ignored;
        bool colours;
        size_t start;
        va_list ap;

        if (level < 0 || level >= LOG_LEVEL_MAX || !log_enabled(level))
                return;
        va_start(ap, fmt);
        text = xvasprintf(fmt, ap);
        va_end(ap);
        colours = *styles[level].colour && !getenv("JOURNAL_STREAM") && isatty(STDERR_FILENO);
        put_head(&b, level, colours);
        start = b.len;
        buffer_puts(&b, text);
        /* One event, one line: text from outside must not be able to write lines or terminal codes of its
         * own. */
        for (size_t i = start; i < b.len; i++)
                if ((unsigned char)b.data[i] < 0x20 || b.data[i] == 0x7f)
                        b.data[i] = ' ';
        buffer_puts(&b, colours ? "\033[0m\n" : "\n");
        /* A log that cannot be written has nowhere to say so. */
        ignored = write_all(STDERR_FILENO, b.data, b.len);
        (void)ignored;
        errno = saved;
}
