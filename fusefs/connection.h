/*
 * connection.h: the kernel's end of the mount and the memory that belongs to it.
 *
 * The keeper's: opened with a new mount, or taken over from a predecessor (takeover.h), and from
 * then on held at the numbers where a successor finds them (heritage.h) and by the service manager
 * (fd_store.h). One thread.
 */
#ifndef WATTPORT_FUSEFS_CONNECTION_H
#define WATTPORT_FUSEFS_CONNECTION_H

#include "common/diag.h"
#include "fusefs/fd_store.h"
#include "fusefs/fs_memory.h"
#include "fusefs/takeover.h"

#include <stdbool.h>

struct connection {
	int fuse_fd;		     /* -1: not opened */
	int memory_fd;		     /* of the memory, likewise */
	struct fs_memory *memory;    /* NULL: likewise */
	struct heritage_mapping old; /* what has to be copied there once nobody writes to it */
};

/*
 * Mounts at that path and takes the kernel's opening message. On failure what is there by then
 * belongs to *connection, too.
 */
int connection_open(const char *mount_path, struct fd_store *store, struct connection *connection,
		    struct diag *diag);

/*
 * Gets ready to go on with what was found, which moves to *connection but for old memory that has
 * to be copied. Whoever serves goes on meanwhile. `copy`: fs_memory_inherit().
 */
int connection_inherit(struct takeover *takeover, bool copy, struct connection *connection,
		       struct diag *diag);

/* After takeover_end_worker(): nobody serves any more, and this cannot fail. */
void connection_adopt(struct takeover *takeover, struct connection *connection);

/* Lets go of it; the mount stays as long as somebody else has its descriptor. */
void connection_close(struct connection *connection);

#endif
