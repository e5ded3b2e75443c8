/*
 * attach.h: gives a libvirt domain the file system in which it reads its energy, and takes it away.
 *
 * Behind `wattport attach` and `detach`; each changes what libvirt keeps of the domain, and a
 * running machine too where QEMU can do that. Doing it twice does nothing more. One thread.
 */
#ifndef WATTPORT_HOST_ATTACH_H
#define WATTPORT_HOST_ATTACH_H

#include "common/sample.h"
#include "host/attach_xml.h"

#include <libvirt/libvirt.h>

struct attach_request {
	const char *runtime_dir; /* the tree is RUNTIME/vm/UUID */
	bool choose;		 /* find the transport out: virtiofs where it works, else 9p */
	enum attach_transport transport; /* without `choose` */
	bool dry_run;			 /* say it, change nothing */
};

/* What has become of a running machine. */
enum attach_live {
	ATTACH_LIVE_OFF,     /* it does not run */
	ATTACH_LIVE_HAS,     /* had it (attach), or had none (detach) before */
	ATTACH_LIVE_CHANGED, /* plugged in, or asked to give it back */
	ATTACH_LIVE_LATER,   /* only when it is shut down and started again; see `reason` */
};

/* Why it is this transport. */
enum attach_choice {
	ATTACH_CHOICE_ASKED, /* it was asked for */
	ATTACH_CHOICE_KEPT,  /* it was there */
	ATTACH_CHOICE_FIRST, /* virtiofs, which works */
	ATTACH_CHOICE_LEFT,  /* 9p, since virtiofs does not; see `hindrance` */
};

struct attach_report {
	char name[SAMPLE_NAME_SIZE];
	bool dry_run; /* all of it would be so */
	enum attach_transport transport;
	enum attach_choice choice;
	struct diag hindrance;
	bool persistent;	       /* libvirt keeps a definition */
	struct attach_changes changes; /* ... of which this was changed */
	char *difference;	       /* of a dry run; NULL: none */
	enum attach_live live;
	struct diag reason; /* why not at once */
	bool saved;	    /* its saved state is that of before */
	bool unserved;	    /* the tree is not there: it could not start */
};

/*
 * 0, -EEXIST, -ENOTSUP, -EINVAL, -EIO (what libvirt said), -ENOMEM; *diag says what to do. The
 * caller gives the report to attach_report_finish().
 */
int attach_add(virDomainPtr domain, const struct attach_request *request,
	       struct attach_report *ret_report, struct diag *diag);
int attach_remove(virDomainPtr domain, const struct attach_request *request,
		  struct attach_report *ret_report, struct diag *diag);

void attach_report_finish(const struct attach_report *report);

#endif
