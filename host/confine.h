/*
 * confine.h: what wattportd gives up before it looks at anything from outside.
 *
 * The last step of its start that needs root's capabilities: what comes later (files of accounts,
 * libvirt, questions on meter.sock) meets a process that owns root's files and can do no more.
 */
#ifndef WATTPORT_HOST_CONFINE_H
#define WATTPORT_HOST_CONFINE_H

#include "common/diag.h"
#include "common/privilege_table.h"
#include "common/settings.h"

/* Where it may write: descriptors of its directories. */
struct confine_directories {
	int runtime_fd;
	int state_fd;
};

/*
 * The table that holds for a wattportd with this vms.uri; NULL with *diag if it cannot work under
 * any: libvirt's client would have to start a program (ssh).
 */
const struct privilege_table *confine_table(const struct settings *settings, struct diag *diag);

/* Before the first thread. 0, or a negative errno with *diag: then the process must not go on. */
int confine(const struct settings *settings, struct confine_directories directories,
	    struct diag *diag);

#endif
