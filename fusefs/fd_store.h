/*
 * fd_store.h: descriptors that the service manager keeps while no wattport-fs runs.
 *
 * systemd's file descriptor store (sd_notify(3), FDSTORE=1; FileDescriptorStoreMax= in the unit):
 * it passes them to the next process of the service, whether that is started after a crash, for a
 * restart or for an upgrade, and drops them when the service is stopped for good. It drops a
 * connection by itself when that is gone. Outside of a service manager nothing is kept and nothing
 * is found. One thread.
 */
#ifndef WATTPORT_FUSEFS_FD_STORE_H
#define WATTPORT_FUSEFS_FD_STORE_H

#include "common/diag.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FD_STORE_PAIR 2 /* descriptors that are kept of a connection: itself and its memory */

struct fd_store {
	int first; /* what was kept: descriptors from this one on */
	int count;
	char **names;	/* of these; NULL: none */
	uint64_t epoch; /* of the memory that we have kept; 0: none yet */
	bool plain;	/* fd_store_put_plain() */
};

/* What was kept. The descriptors are the caller's to close; they are found only once. */
void fd_store_take(struct fd_store *ret_store);

/*
 * Has copies of both kept, and then nothing else: at no moment there is no memory kept. Memories
 * are told apart by their epoch (heritage.h).
 */
void fd_store_put(struct fd_store *store, int fuse_fd, int memory_fd, uint64_t epoch);

/* One of the plain files: where they are written. Kept and dropped with all the others. */
void fd_store_put_plain(struct fd_store *store, int root_fd);

/* A copy of it, the caller's to close; -1 if it is not kept. Before fd_store_take(). */
int fd_store_plain(void);

/* Waits until the manager has what was put: before the process ends. -errno with *diag. */
int fd_store_settle(struct diag *diag);

/* Has all dropped that is kept. */
void fd_store_clear(struct fd_store *store);

/* Frees the names. */
void fd_store_finish(struct fd_store *store);

#endif
