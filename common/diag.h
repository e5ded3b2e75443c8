/*
 * diag.h: the sentence that tells a person what went wrong and what to do.
 *
 * A foundation. Functions whose failure a person must act on (configuration, probing, mounting,
 * binding, libvirt) take a `struct diag *` as their last parameter and fill it when they fail;
 * callers put the context in front with diag_prefix(). A NULL diag is allowed everywhere.
 * No allocation, no state: safe in any thread.
 */
#ifndef WATTPORT_COMMON_DIAG_H
#define WATTPORT_COMMON_DIAG_H

#define DIAG_SIZE_MAX 1024

struct diag {
	char text[DIAG_SIZE_MAX];
};

/* An empty one, for an initialiser. */
#define DIAG_INIT                                                                                  \
	{                                                                                          \
		.text = ""                                                                         \
	}

/*
 * Writes the sentence and returns `error`, which must be a negative errno, so that a failure is one
 * statement: `return diag_error(diag, -EINVAL, "...");`. What does not fit is cut.
 */
int diag_error(struct diag *diag, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "CONTEXT: " in front of what is there. */
void diag_prefix(struct diag *diag, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts "; TEXT" behind what is there, or just the text when nothing is. What does not fit is cut.
 */
void diag_append(struct diag *diag, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
