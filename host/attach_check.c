#include "host/attach_check.h"
#include "host/attach_memory.h"
#include "host/attach_pci.h"
#include "host/xml_tree.h"

#include <errno.h>
#include <string.h>

static int attach_check_parse(const char *xml, const char *root, xmlDoc **ret_document,
			      struct diag *diag)
{
	return xml_tree_parse(xml, strlen(xml), root, ret_document, diag);
}

static bool attach_check_is_one_of(const xmlNode *node, const char *attribute,
				   const char *const *values)
{
	for (; *values != NULL; values++)
		if (xml_tree_attribute_is(node, attribute, *values))
			return true;
	return false;
}

int attach_check_machine(const char *xml, struct diag *diag)
{
	static const char *const hypervisors[] = {"qemu", "kvm", "hvf", NULL};
	/* isapc and none have no bus for virtio; libvirt gives a microvm none ("No PCI buses"). */
	static const char *const without_bus[] = {"isapc", "none", "microvm", NULL};
	cleanup_document xmlDoc *document = NULL;
	int status = attach_check_parse(xml, "domain", &document, diag);
	const xmlNode *domain, *type;

	if (status < 0)
		return status;
	domain = xmlDocGetRootElement(document);
	if (!attach_check_is_one_of(domain, "type", hypervisors)) {
		cleanup_xml_text xmlChar *other = xml_tree_attribute(domain, "type");

		return diag_error(diag, -ENOTSUP,
				  "it is of type %s: only machines of QEMU or KVM can be given a "
				  "tree",
				  other != NULL ? (const char *)other : "unknown");
	}
	type = xml_tree_child(xml_tree_child(domain, "os"), "type");
	if (attach_check_is_one_of(type, "machine", without_bus)) {
		cleanup_xml_text xmlChar *machine = xml_tree_attribute(type, "machine");

		return diag_error(
		    diag, -ENOTSUP,
		    "a machine of type %s has no bus for virtio devices, so it can be "
		    "given no tree",
		    (const char *)machine);
	}
	return 0;
}

/* Whether an <enum name=...> has the value. */
static bool attach_check_enum_has(const xmlNode *parent, const char *name, const char *value)
{
	const xmlNode *list = xml_tree_child(parent, "enum");

	for (; list != NULL; list = xml_tree_next(list, "enum")) {
		const xmlNode *node = xml_tree_child(list, "value");

		if (!xml_tree_attribute_is(list, "name", name))
			continue;
		for (; node != NULL; node = xml_tree_next(node, "value")) {
			cleanup_xml_text xmlChar *text = xmlNodeGetContent(node);

			if (text != NULL && strcmp((const char *)text, value) == 0)
				return true;
		}
	}
	return false;
}

int attach_check_capabilities(const char *xml, struct attach_capabilities *ret_capabilities,
			      struct diag *diag)
{
	cleanup_document xmlDoc *document = NULL;
	int status = attach_check_parse(xml, "domainCapabilities", &document, diag);
	const xmlNode *filesystem;

	if (status < 0)
		return status;
	filesystem =
	    xml_tree_child(xml_tree_child(xmlDocGetRootElement(document), "devices"), "filesystem");
	*ret_capabilities = (struct attach_capabilities){
	    .known = filesystem != NULL,
	    .has_9p = attach_check_enum_has(filesystem, "driverType", "path"),
	    .has_virtiofs = attach_check_enum_has(filesystem, "driverType", "virtiofs"),
	};
	return 0;
}

int attach_check_transport(const struct attach_capabilities *capabilities,
			   enum attach_transport transport, struct diag *diag)
{
	if (!capabilities->known)
		return 0;
	if (!capabilities->has_9p && !capabilities->has_virtiofs)
		return diag_error(diag, -ENOTSUP,
				  "its QEMU has neither 9p nor virtiofs; it needs another one");
	if (transport == ATTACH_9P && !capabilities->has_9p)
		return diag_error(diag, -ENOTSUP,
				  "its QEMU has no 9p (RHEL's has none); use --transport virtiofs");
	if (transport == ATTACH_VIRTIOFS && !capabilities->has_virtiofs)
		return diag_error(diag, -ENOTSUP,
				  "its QEMU has no virtiofs (vhost-user-fs); use --transport 9p");
	return 0;
}

int attach_check_plug(const char *xml, enum attach_transport transport, struct diag *diag)
{
	cleanup_document xmlDoc *document = NULL;
	const xmlNode *domain;
	uint32_t bus_max;
	int status;

	if (transport == ATTACH_9P)
		return diag_error(diag, -ENOTSUP, "9p cannot be plugged into a running machine");
	status = attach_check_parse(xml, "domain", &document, diag);
	if (status < 0)
		return status;
	domain = xmlDocGetRootElement(document);
	if (!attach_memory_is_shared(domain))
		return diag_error(diag, -ENOTSUP,
				  "the memory of the running machine is not shared");
	if (attach_pci_is_express(domain, &bus_max) && attach_pci_free_ports(domain) == 0)
		return diag_error(diag, -ENOSPC,
				  "the running machine has no free PCI Express port "
				  "(pcie-root-port)");
	return 0;
}
