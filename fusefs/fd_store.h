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

#include <stdint.h>

/*
 * What was kept, as descriptors from *ret_first on; returns how many. They are the caller's, and
 * are found only once.
 */
int fd_store_take(int *ret_first);

/* Has copies of both kept, and no memory of another epoch (heritage.h). */
void fd_store_put(int fuse_fd, int memory_fd, uint64_t epoch);

/* Has all dropped that was kept. */
void fd_store_clear(void);

#endif
