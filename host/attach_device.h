/*
 * attach_device.h: the <filesystem> element with which a guest finds its tree.
 *
 * Of attach_xml.c: which element it is, whether it is right, and how it is written. Safe in any
 * thread.
 */
#ifndef WATTPORT_HOST_ATTACH_DEVICE_H
#define WATTPORT_HOST_ATTACH_DEVICE_H

#include "host/attach_xml.h"

#include <libxml/tree.h>
#include <stdint.h>

/* The file systems of a <domain> with the tag, one after the other; NULL: no more. */
const xmlNode *attach_device_first(const xmlNode *domain);
const xmlNode *attach_device_next(const xmlNode *device);

/* Whether the node is a file system with the tag. */
bool attach_device_is(const xmlNode *node);

enum attach_transport attach_device_transport(const xmlNode *device);

/* Whether it is the directory `source` that it gives. */
bool attach_device_is_of(const xmlNode *device, const char *source);

/* Whether a guest reads fresh values and finds links through it. */
bool attach_device_is_right(const xmlNode *device, enum attach_transport transport);

/* Whether every file system with the tag gives `source`: -EEXIST with what the other one gives. */
int attach_device_check(const xmlNode *domain, const char *source, struct diag *diag);

/* Its text, as a fragment for xml_edit_put(); the caller frees it. -ENOMEM, -EINVAL. */
int attach_device_format(enum attach_transport transport, const char *source, char **ret_fragment);

/* The number of the PCI bus that an element of <devices> sits on: -ENOENT. */
int attach_device_bus(const xmlNode *device, uint32_t *ret_bus);

#endif
