/*
 * attach.h: gives a libvirt domain the file system in which it reads its energy, and takes it away.
 *
 * Behind `wattport attach` and `detach`; each changes what libvirt keeps of the domain, and a
 * running machine too where QEMU can do that. Doing it twice does nothing more. One thread.
 */
#ifndef WATTPORT_HOST_ATTACH_H
#define WATTPORT_HOST_ATTACH_H

#include "common/diag.h"
#include "common/sample.h"
#include "host/attach_xml.h"

#include <libvirt/libvirt.h>
#include <stdbool.h>
#include <stdio.h>

struct attach_request {
	const char *runtime_dir; /* the tree is RUNTIME/vm/UUID */
	bool choose;		 /* find the transport out: virtiofs where it works, else 9p */
	enum attach_transport transport; /* without `choose` */
};

/* What has become of a running machine. */
enum attach_live {
	ATTACH_LIVE_OFF,     /* it does not run */
	ATTACH_LIVE_HAS,     /* had it (attach), or had none (detach) before */
	ATTACH_LIVE_CHANGED, /* plugged in, or asked to give it back */
	ATTACH_LIVE_LATER,   /* only when it is shut down and started again; see `reason` */
};

struct attach_report {
	char name[SAMPLE_NAME_SIZE];
	enum attach_transport transport;
	bool persistent;	       /* libvirt keeps a definition */
	struct attach_changes changes; /* ... of which this was changed */
	enum attach_live live;
	struct diag reason; /* why not at once */
	struct diag choice; /* why not virtiofs, when 9p was chosen */
};

/* By uuid, name or id, as virsh takes it. -ENOENT. The caller frees with virDomainFree(). */
int attach_find(virConnectPtr connection, const char *domain, virDomainPtr *ret_domain,
		struct diag *diag);

/* 0, -EEXIST, -ENOTSUP, -EIO (what libvirt said), -ENOMEM; *diag says what to do. */
int attach_add(virDomainPtr domain, const struct attach_request *request,
	       struct attach_report *ret_report, struct diag *diag);
int attach_remove(virDomainPtr domain, const struct attach_request *request,
		  struct attach_report *ret_report, struct diag *diag);

/* Says it in sentences. */
void attach_print_added(FILE *stream, const struct attach_report *report);
void attach_print_removed(FILE *stream, const struct attach_report *report);

#endif
