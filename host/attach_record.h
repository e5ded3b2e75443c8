/*
 * attach_record.h: what attach remembers of itself in a domain's <metadata>.
 *
 * detach takes away what attach put in and nothing else, so it has to know whether the shared
 * memory was the operator's, and whether elements around it were there. libvirt keeps <metadata> as
 * it is, also over a migration. Safe in any thread.
 */
#ifndef WATTPORT_HOST_ATTACH_RECORD_H
#define WATTPORT_HOST_ATTACH_RECORD_H

#include "host/xml_edit.h"

#include <stdint.h>

/* Elements that may have to be made, or opened where they are <empty/>. */
enum attach_parent {
	ATTACH_PARENT_METADATA,
	ATTACH_PARENT_MEMORY,
	ATTACH_PARENT_DEVICES,
	ATTACH_PARENT_COUNT,
};

/* "metadata", "memoryBacking", "devices": literals. */
const char *attach_parent_name(enum attach_parent parent);

struct attach_record {
	enum xml_edit_parent parents[ATTACH_PARENT_COUNT]; /* what undoes it */
	bool source, access;				   /* <memoryBacking>'s, put in by attach */
	uint32_t users; /* how many other devices needed it already */
	bool has_ports; /* PCI Express: libvirt may add a port for the device */
	uint32_t ports; /* ... with a number above this one */
};

/* Whether it is such an element. */
bool attach_record_is(const xmlNode *node);

/* Of the first in <metadata> (or NULL); what it does not say is as if nothing had been done. */
void attach_record_read(const xmlNode *metadata, struct attach_record *ret_record);

/* Whether there is anything to remember. */
bool attach_record_is_needed(const struct attach_record *record);

/* The element; the caller frees it. -ENOMEM. */
int attach_record_format(const struct attach_record *record, char **ret_element);

#endif
