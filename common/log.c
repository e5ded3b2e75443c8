#include "common/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct {
	const char *name;
	int syslog_priority;
} log_levels[] = {
    [LOG_LEVEL_ERROR] = {"error", 3},
    [LOG_LEVEL_WARNING] = {"warning", 4},
    [LOG_LEVEL_INFO] = {"info", 6},
    [LOG_LEVEL_DEBUG] = {"debug", 7},
};

/* The one mutable global that the house style allows: set once in main(), before any thread. */
static struct {
	const char *program;
	enum log_level level;
	bool journal;
} log_state = {.program = "wattport", .level = LOG_LEVEL_INFO, .journal = false};

void log_init(const char *program, enum log_level level)
{
	log_state.program = program;
	log_state.level = level;
	log_state.journal = getenv("JOURNAL_STREAM") != NULL;
}

__attribute__((format(printf, 2, 0))) static void log_write(enum log_level level,
							    const char *format, va_list arguments)
{
	char line[LOG_LINE_SIZE_MAX];
	size_t head, used;
	int written;

	if (level > log_state.level)
		return;
	if (log_state.journal)
		written = snprintf(line, sizeof(line), "<%d>", log_levels[level].syslog_priority);
	else
		written = snprintf(line, sizeof(line), "%s: %s: ", log_state.program,
				   log_levels[level].name);
	head = (size_t)written;
	written = vsnprintf(line + head, sizeof(line) - head - 1, format, arguments);
	if (written < 0)
		return;
	used = head + (size_t)written;
	if (used > sizeof(line) - 2)
		used = sizeof(line) - 2;
	for (size_t i = head; i < used; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	line[used++] = '\n';
	/* Nobody can be told when stderr itself is gone. */
	if (write(STDERR_FILENO, line, used) < 0)
		return;
}

#define LOG_FUNCTION(name, level)                                                                  \
	void name(const char *format, ...)                                                         \
	{                                                                                          \
		va_list arguments;                                                                 \
                                                                                                   \
		va_start(arguments, format);                                                       \
		log_write(level, format, arguments);                                               \
		va_end(arguments);                                                                 \
	}

LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)
LOG_FUNCTION(log_warning, LOG_LEVEL_WARNING)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)
