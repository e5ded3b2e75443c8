/*
 * libvirt_sync.h: keeps a roster in line with what libvirt has.
 *
 * Called by the libvirt provider's thread alone, after events and after every (re)connection. All
 * calls to libvirt that read domains are here; each may hang as long as libvirtd does.
 */
#ifndef WATTPORT_HOST_LIBVIRT_SYNC_H
#define WATTPORT_HOST_LIBVIRT_SYNC_H

#include "common/diag.h"
#include "host/qemu_scan.h"
#include "host/vm_roster.h"

#include <libvirt/libvirt.h>
#include <stdbool.h>

struct libvirt_sync {
	struct vm_roster *roster;
	struct qemu_scan scan;
	int proc_fd;
	bool told_times; /* take libvirt's times even of QEMUs that can be seen */
	bool unsettled;	 /* a process was not found, but is still looked for: come again soon */
};

int libvirt_sync_init(struct libvirt_sync *sync, int proc_fd, bool told_times);
void libvirt_sync_finish(struct libvirt_sync *sync);

/*
 * Reads every domain anew. A domain that cannot be read stays as it was known; on an error the
 * whole roster does.
 */
int libvirt_sync_all(struct libvirt_sync *sync, virConnectPtr connection, struct diag *diag);

/*
 * Looks for the QEMU processes, and then at single domains: 1 if libvirt knows it, 0 if not (it is
 * then out of the roster), or the negative errno.
 */
int libvirt_sync_processes(struct libvirt_sync *sync);
int libvirt_sync_one(struct libvirt_sync *sync, virConnectPtr connection, const struct uuid *uuid,
		     struct diag *diag);

/* Whether libvirt has to tell times of any machine. */
bool libvirt_sync_wants_times(const struct libvirt_sync *sync);

/* Takes them. NOWAIT: a QEMU that does not answer is passed over. -EOPNOTSUPP, -EIO. */
int libvirt_sync_times(struct libvirt_sync *sync, virConnectPtr connection, struct diag *diag);

#endif
