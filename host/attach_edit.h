/*
 * attach_edit.h: the device put into a domain's XML and taken out, with all that belongs to it.
 *
 * Of attach_xml.c, which decides what is to be done. Safe in any thread.
 */
#ifndef WATTPORT_HOST_ATTACH_EDIT_H
#define WATTPORT_HOST_ATTACH_EDIT_H

#include "host/attach_xml.h"

/* Into a domain that has none. Results and errors are those of attach_xml_add(). */
int attach_edit_put(const char *xml, enum attach_transport transport, const char *source,
		    char **ret_xml, struct attach_changes *ret_changes, struct diag *diag);

/* As attach_xml_remove(). */
int attach_edit_take(const char *xml, const char *source, char **ret_xml,
		     struct attach_changes *ret_changes, struct diag *diag);

/* Tells the reason; returns `status`. */
int attach_edit_failed(int status, struct diag *diag);

#endif
