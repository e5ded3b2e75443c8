/*
 * attach_check.h: what cannot work, with the reason, before anything is changed.
 *
 * Of attach.c: looks at a domain's XML and at what libvirt says of its QEMU. Safe in any thread.
 */
#ifndef WATTPORT_HOST_ATTACH_CHECK_H
#define WATTPORT_HOST_ATTACH_CHECK_H

#include "host/attach_xml.h"

/* Whether the domain is a QEMU machine with a bus that takes virtio devices: -ENOTSUP. */
int attach_check_machine(const char *xml, struct diag *diag);

/* What libvirt says of one QEMU: its <domainCapabilities>. */
struct attach_capabilities {
	bool known; /* older ones do not speak of file systems */
	bool has_9p;
	bool has_virtiofs;
};

int attach_check_capabilities(const char *xml, struct attach_capabilities *ret_capabilities,
			      struct diag *diag);

/* Whether that QEMU can do it, as far as it is known: -ENOTSUP. */
int attach_check_transport(const struct attach_capabilities *capabilities,
			   enum attach_transport transport, struct diag *diag);

/* Whether the device can be plugged into the machine that runs as `xml`: -ENOTSUP or -ENOSPC. */
int attach_check_plug(const char *xml, enum attach_transport transport, struct diag *diag);

#endif
