#include "host/attach_pci.h"
#include "common/parse.h"
#include "host/attach_device.h"
#include "host/xml_tree.h"

/* The number of a PCI controller, which is that of the bus behind it. */
static bool attach_pci_number(const xmlNode *controller, uint32_t *ret_number)
{
	cleanup_xml_text xmlChar *index = xml_tree_attribute(controller, "index");

	return xml_tree_attribute_is(controller, "type", "pci") && index != NULL &&
	       parse_u32((const char *)index, ret_number) == 0;
}

static bool attach_pci_is_port(const xmlNode *controller)
{
	return xml_tree_attribute_is(controller, "model", "pcie-root-port") ||
	       xml_tree_attribute_is(controller, "model", "pcie-switch-downstream-port");
}

static const xmlNode *attach_pci_first(const xmlNode *domain)
{
	return xml_tree_child(xml_tree_child(domain, "devices"), "controller");
}

bool attach_pci_is_express(const xmlNode *domain, uint32_t *ret_bus_max)
{
	bool express = false;
	uint32_t bus_max = 0;

	for (const xmlNode *controller = attach_pci_first(domain); controller != NULL;
	     controller = xml_tree_next(controller, "controller")) {
		uint32_t number;

		if (!attach_pci_number(controller, &number))
			continue;
		express = express || xml_tree_attribute_is(controller, "model", "pcie-root");
		bus_max = number > bus_max ? number : bus_max;
	}
	if (express)
		*ret_bus_max = bus_max;
	return express;
}

/* Whether an element of <devices> other than `except` sits on the bus. */
static bool attach_pci_is_used(const xmlNode *devices, uint32_t bus, const xmlNode *except)
{
	for (const xmlNode *node = devices->children; node != NULL; node = node->next) {
		uint32_t found;

		if (node != except && attach_device_bus(node, &found) == 0 && found == bus)
			return true;
	}
	return false;
}

size_t attach_pci_free_ports(const xmlNode *domain)
{
	size_t count = 0;

	for (const xmlNode *controller = attach_pci_first(domain); controller != NULL;
	     controller = xml_tree_next(controller, "controller")) {
		uint32_t number;

		if (attach_pci_number(controller, &number) && attach_pci_is_port(controller) &&
		    !xml_tree_attribute_is(xml_tree_child(controller, "target"), "hotplug",
					   "off") &&
		    !attach_pci_is_used(controller->parent, number, NULL))
			count++;
	}
	return count;
}

bool attach_pci_is_port_of(const xmlNode *node, uint32_t bus, const xmlNode *device)
{
	uint32_t number;

	return attach_pci_number(node, &number) && number == bus && attach_pci_is_port(node) &&
	       !attach_pci_is_used(node->parent, bus, device);
}
