/*
 * attach_xml.h: the file system device in a domain's XML: looks at it, puts it in, takes it out.
 *
 * The pure half of attach.c. The text is edited in place, so everything else in it (metadata,
 * foreign namespaces, comments, white space) stays byte for byte, and attach_xml_remove() gives the
 * text back from before attach_xml_add(). Safe in any thread.
 */
#ifndef WATTPORT_HOST_ATTACH_XML_H
#define WATTPORT_HOST_ATTACH_XML_H

#include "common/diag.h"

#include <stdbool.h>

#define ATTACH_TAG "wattport" /* by which the guest finds the share */

enum attach_transport {
	ATTACH_9P,
	ATTACH_VIRTIOFS,
};

/* "9p", "virtiofs": literals. */
const char *attach_transport_name(enum attach_transport transport);

/* What a domain has; of an XML that was read before. */
struct attach_state {
	bool attached; /* a file system with the tag */
	bool ours;     /* its source is the one that was asked about */
	enum attach_transport transport;
	bool right;	    /* a guest reads fresh values and finds links through it */
	bool memory_shared; /* what virtiofs needs */
};

/* `source`: the directory that the guest is to see. */
int attach_xml_inspect(const char *xml, const char *source, struct attach_state *ret_state,
		       struct diag *diag);

/*
 * Whether the domain can be given virtiofs: -ENOTSUP with the reason when it asks for memory that
 * is not shared. Where it says nothing, attach_xml_add() makes its memory shared.
 */
int attach_xml_may_share(const char *xml, struct diag *diag);

struct attach_changes {
	bool device;		  /* the file system was put in, changed or taken out */
	bool replaced;		  /* ... in the place of one of the other transport */
	bool memory_shared;	  /* the memory was made shared */
	bool memory_unshared;	  /* ... or is no longer, as it was before attach made it so */
	const char *memory_stays; /* why shared memory stays that attach made: a literal, or NULL */
};

/*
 * The XML with the device in it; *ret_xml is the caller's to free. Nothing changes when it is all
 * there. -EEXIST: another directory has the tag; -EINVAL: not the XML of a domain, or the source is
 * no text for XML; the errors of attach_xml_may_share().
 */
int attach_xml_add(const char *xml, enum attach_transport transport, const char *source,
		   char **ret_xml, struct attach_changes *ret_changes, struct diag *diag);

/*
 * The XML without the device and without all that attach_xml_add() put in for it; shared memory
 * stays where something else has come to need it, or somebody changed it. -EEXIST as above.
 */
int attach_xml_remove(const char *xml, const char *source, char **ret_xml,
		      struct attach_changes *ret_changes, struct diag *diag);

/*
 * The device alone, for plugging it in or out: as it stands in `xml`, or (xml NULL) as it would be
 * made. -ENOENT: it is not there.
 */
int attach_xml_device(const char *xml, enum attach_transport transport, const char *source,
		      char **ret_xml, struct diag *diag);

#endif
