/*
 * log.h: messages to stderr, as journald and a terminal both like them.
 *
 * A foundation. One line each, `PROGRAM: level: text`; under journald (JOURNAL_STREAM is set) the
 * level becomes the `<N>` prefix of sd-daemon(3) instead. common/ itself logs only at
 * LOG_LEVEL_DEBUG: everything else returns its errors. Control characters in the text are shown as
 * `?`, so that a VM's name cannot forge a line. Safe in any thread: one write(2) a line.
 */
#ifndef WATTPORT_COMMON_LOG_H
#define WATTPORT_COMMON_LOG_H

#define LOG_LINE_SIZE_MAX 2048

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

/* Names the program (kept by pointer, so a literal) and the most talkative level shown. */
void log_init(const char *program, enum log_level level);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
