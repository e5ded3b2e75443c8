/*
 * plain_activity.h: which files somebody reads: one notice a file until it is asked for again.
 *
 * Nobody asks a plain file's writer; inotify(7) tells it afterwards. Notices go by inode, so it
 * does not matter through which mount a guest's QEMU or virtiofsd reads. A guest that polls as fast
 * as it can must not cost more than one that reads once: a watch that has told of a read is muted
 * (given a mask that never matches) until plain_activity_listen() is called again, so there is one
 * notice a file and second, and not one a read. One thread.
 */
#ifndef WATTPORT_FUSEFS_PLAIN_ACTIVITY_H
#define WATTPORT_FUSEFS_PLAIN_ACTIVITY_H

#include "common/diag.h"

#include <stddef.h>
#include <stdint.h>

struct plain_activity;

/* Whose file it is: the numbers of the caller. */
struct plain_activity_key {
	uint32_t tree;
	uint32_t file;
};

int plain_activity_create(struct plain_activity **ret_activity, struct diag *diag);
void plain_activity_destroy(struct plain_activity *activity);

/* Readable when there is a notice. */
int plain_activity_fd(const struct plain_activity *activity);

/*
 * Watches the file that is open at that descriptor, or listens to it again. -ENOSPC: the user has
 * as many watches as it may (fs.inotify.max_user_watches).
 */
int plain_activity_listen(struct plain_activity *activity, int fd, struct plain_activity_key key);

/* The next file that was read, which is muted now. -EAGAIN: none for now. */
int plain_activity_next(struct plain_activity *activity, struct plain_activity_key *ret_key);

/* Watches no file of that tree any more. */
void plain_activity_forget(struct plain_activity *activity, uint32_t tree);

#endif
