/*
 * text_diff.h: what differs between two texts, line by line, as diff -u prints it.
 *
 * For `wattport attach --dry-run`. Pure: safe in any thread.
 */
#ifndef WATTPORT_HOST_TEXT_DIFF_H
#define WATTPORT_HOST_TEXT_DIFF_H

#include <stdio.h>

#define TEXT_DIFF_CONTEXT     3	   /* equal lines around a change */
#define TEXT_DIFF_CHANGES_MAX 1000 /* lines; behind that all lines are shown as changed */

/* Writes nothing where the texts are equal. The names are those of the two files. -ENOMEM. */
int text_diff_print(FILE *stream, const char *before_name, const char *before,
		    const char *after_name, const char *after);

#endif
