#include "host/attach_device.h"
#include "common/cleanup.h"
#include "common/parse.h"
#include "host/xml_edit.h"
#include "host/xml_tree.h"

#include <errno.h>
#include <string.h>

const char *attach_transport_name(enum attach_transport transport)
{
	return transport == ATTACH_9P ? "9p" : "virtiofs";
}

bool attach_device_is(const xmlNode *node)
{
	return node->type == XML_ELEMENT_NODE && node->ns == NULL &&
	       strcmp((const char *)node->name, "filesystem") == 0 &&
	       xml_tree_attribute_is(xml_tree_child(node, "target"), "dir", ATTACH_TAG);
}

static const xmlNode *attach_device_from(const xmlNode *node)
{
	while (node != NULL && !attach_device_is(node))
		node = node->next;
	return node;
}

const xmlNode *attach_device_first(const xmlNode *domain)
{
	const xmlNode *devices = xml_tree_child(domain, "devices");

	return devices != NULL ? attach_device_from(devices->children) : NULL;
}

const xmlNode *attach_device_next(const xmlNode *device)
{
	return attach_device_from(device->next);
}

enum attach_transport attach_device_transport(const xmlNode *device)
{
	return xml_tree_attribute_is(xml_tree_child(device, "driver"), "type", "virtiofs")
		   ? ATTACH_VIRTIOFS
		   : ATTACH_9P;
}

bool attach_device_is_of(const xmlNode *device, const char *source)
{
	return xml_tree_attribute_is(xml_tree_child(device, "source"), "dir", source);
}

/*
 * 9p: `mapped` cannot carry symbolic links (`squash` can; somebody may want it); libvirt's default
 * is passthrough. virtiofs: its default cache would show a kept descriptor the same value for ever.
 */
bool attach_device_is_right(const xmlNode *device, enum attach_transport transport)
{
	const xmlNode *binary = xml_tree_child(device, "binary");

	if (attach_device_transport(device) != transport)
		return false;
	if (transport == ATTACH_9P)
		return !xml_tree_attribute_is(device, "accessmode", "mapped");
	return xml_tree_attribute_is(xml_tree_child(binary, "cache"), "mode", "none");
}

int attach_device_check(const xmlNode *domain, const char *source, struct diag *diag)
{
	for (const xmlNode *device = attach_device_first(domain); device != NULL;
	     device = attach_device_next(device)) {
		cleanup_xml_text xmlChar *other =
		    xml_tree_attribute(xml_tree_child(device, "source"), "dir");

		if (!attach_device_is_of(device, source))
			return diag_error(diag, -EEXIST,
					  "the domain has a file system with the tag " ATTACH_TAG
					  " already, of %s; take it out first",
					  other != NULL ? (const char *)other : "no directory");
	}
	return 0;
}

/*
 * 9p is read-only by name. libvirt 9.0 refuses <readonly/> for virtiofs ("virtiofs does not yet
 * support read-only mode"), and those that accept it do not say whether this host's virtiofsd
 * does too, which shows when the machine fails to start. The tree takes no writes anyway.
 */
int attach_device_format(enum attach_transport transport, const char *source, char **ret_fragment)
{
	cleanup_free char *text = NULL;
	cleanup_file FILE *stream = NULL;
	size_t size;
	int status;

	stream = open_memstream(&text, &size);
	if (stream == NULL)
		return -ENOMEM;
	(void)fputs("<filesystem type='mount' accessmode='passthrough'>\n\t<driver type='", stream);
	(void)fputs(transport == ATTACH_VIRTIOFS
			? "virtiofs'/>\n\t<binary>\n\t\t<cache mode='none'/>\n\t</binary>"
			: "path'/>",
		    stream);
	(void)fputs("\n\t<source dir='", stream);
	status = xml_edit_quote(stream, source);
	if (status < 0)
		return status;
	(void)fputs("'/>\n\t<target dir='" ATTACH_TAG "'/>", stream);
	if (transport == ATTACH_9P)
		(void)fputs("\n\t<readonly/>", stream);
	(void)fputs("\n</filesystem>", stream);
	return cleanup_take_text(&stream, &text, ret_fragment);
}

int attach_device_bus(const xmlNode *device, uint32_t *ret_bus)
{
	const xmlNode *address = xml_tree_child(device, "address");
	cleanup_xml_text xmlChar *bus = xml_tree_attribute(address, "bus");
	const char *text = (const char *)bus;

	if (text == NULL || !xml_tree_attribute_is(address, "type", "pci"))
		return -ENOENT;
	if (strncmp(text, "0x", 2) == 0)
		return parse_hex_u32(text + 2, ret_bus) == 0 ? 0 : -ENOENT;
	return parse_u32(text, ret_bus) == 0 ? 0 : -ENOENT;
}
