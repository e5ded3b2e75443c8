/*
 * attach_pci.h: the PCI Express ports of a domain.
 *
 * Every device there needs a port of its own: libvirt adds one when a definition has none left, and
 * a running machine has as many as it was started with. Of attach_xml.c and attach_check.c. Safe in
 * any thread.
 */
#ifndef WATTPORT_HOST_ATTACH_PCI_H
#define WATTPORT_HOST_ATTACH_PCI_H

#include <libxml/tree.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether the <domain> has PCI Express; then the highest number of its buses, too. */
bool attach_pci_is_express(const xmlNode *domain, uint32_t *ret_bus_max);

/* Ports with nothing on them that take a device while the machine runs. */
size_t attach_pci_free_ports(const xmlNode *domain);

/* Whether the node is the port with that number, and it would have nothing on it without `device`.
 */
bool attach_pci_is_port_of(const xmlNode *node, uint32_t bus, const xmlNode *device);

#endif
