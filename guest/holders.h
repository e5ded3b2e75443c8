/*
 * holders.h: which processes have something open below a directory.
 *
 * For `wattport-agent mount --undo`, which tells whom a mount waits for. Reads /proc alone, never
 * what is open: a host that does not answer must hold nobody up. One thread.
 */
#ifndef WATTPORT_GUEST_HOLDERS_H
#define WATTPORT_GUEST_HOLDERS_H

#include "common/sysroot.h"

#include <stddef.h>
#include <sys/types.h>

#define HOLDERS_LIST_MAX  8   /* processes remembered by name */
#define HOLDERS_NAME_SIZE 16  /* TASK_COMM_LEN */
#define HOLDERS_TEXT_SIZE 320 /* of all names */

struct holder {
	pid_t pid;
	char name[HOLDERS_NAME_SIZE];
};

struct holders {
	size_t count; /* may exceed HOLDERS_LIST_MAX: the rest is not kept */
	struct holder list[HOLDERS_LIST_MAX];
};

/*
 * Those that have a file at or below one of the absolute paths open, or stand there. Processes of
 * which nothing can be seen (another user's, ended meanwhile) are left out.
 */
void holders_find(const struct sysroot *root, const char *const paths[], size_t path_count,
		  struct holders *ret_holders);

/* "node_exporter (812), sh (77) and 3 more"; empty for none. */
void holders_format(const struct holders *holders, char ret_text[static HOLDERS_TEXT_SIZE]);

#endif
