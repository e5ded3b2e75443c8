/*
 * marks.h: labels that a measured command writes, a line each, to a descriptor that it inherits.
 *
 * `exec` names that descriptor in WATTPORT_MARK: echo train >&$WATTPORT_MARK. What comes there is
 * as trustworthy as the command: labels are cut and cleaned, lines may be of any length. One
 * thread.
 */
#ifndef WATTPORT_GUEST_MARKS_H
#define WATTPORT_GUEST_MARKS_H

#include <stdbool.h>
#include <stddef.h>

#define MARKS_VARIABLE "WATTPORT_MARK"
#define MARK_SIZE      64 /* of a label, with the NUL; longer ones are cut at a character */

struct marks;

/*
 * Makes the pipe. -EMFILE where no descriptor below 10 is free: shells take only those behind >&
 * (POSIX.1-2017 XCU 2.7). To be destroyed.
 */
int marks_create(struct marks **ret_marks);
void marks_destroy(struct marks *marks);

/* The command's end, closed on exec(2) like all others; for whoever starts the command. */
int marks_command_fd(const struct marks *marks);

/* To be called once the command has its end: ours goes. */
void marks_started(struct marks *marks);

/* Readable when there may be labels; -1 when nobody can write any more. */
int marks_fd(const struct marks *marks);

/* Reads what has come, without waiting. Returns whether marks_next() has something. */
bool marks_read(struct marks *marks);

/* The next whole line of what was read, cleaned: UTF-8 without control characters. */
bool marks_next(struct marks *marks, char label[static MARK_SIZE]);

static inline void cleanup_marks_value(struct marks *const *marks)
{
	marks_destroy(*marks);
}
#define cleanup_marks __attribute__((cleanup(cleanup_marks_value)))

#endif
