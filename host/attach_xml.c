#include "host/attach_xml.h"
#include "common/cleanup.h"
#include "host/xml_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *attach_transport_name(enum attach_transport transport)
{
	return transport == ATTACH_9P ? "9p" : "virtiofs";
}

static int attach_xml_parse(const char *xml, xmlDoc **ret_document, struct diag *diag)
{
	return xml_tree_parse(xml, strlen(xml), "domain", ret_document, diag);
}

/* The file system with our tag, or NULL. */
static xmlNode *attach_xml_find(const xmlNode *domain)
{
	const xmlNode *devices = xml_tree_child(domain, "devices");
	xmlNode *node = xml_tree_child(devices, "filesystem");

	while (node != NULL &&
	       !xml_tree_attribute_is(xml_tree_child(node, "target"), "dir", ATTACH_TAG))
		node = xml_tree_next(node, "filesystem");
	return node;
}

static enum attach_transport attach_xml_transport(const xmlNode *filesystem)
{
	return xml_tree_attribute_is(xml_tree_child(filesystem, "driver"), "type", "virtiofs")
		   ? ATTACH_VIRTIOFS
		   : ATTACH_9P;
}

static bool attach_xml_is_ours(const xmlNode *filesystem, const char *source)
{
	return xml_tree_attribute_is(xml_tree_child(filesystem, "source"), "dir", source);
}

/* NUMA cells say it each for itself; else it holds for all memory. */
static bool attach_xml_cells(const xmlNode *domain, const char *access)
{
	const xmlNode *numa = xml_tree_child(xml_tree_child(domain, "cpu"), "numa");
	const xmlNode *cell = xml_tree_child(numa, "cell");

	if (cell == NULL)
		return false;
	for (; cell != NULL; cell = xml_tree_next(cell, "cell"))
		if (!xml_tree_attribute_is(cell, "memAccess", access))
			return false;
	return true;
}

static bool attach_xml_any_cell_private(const xmlNode *domain)
{
	const xmlNode *numa = xml_tree_child(xml_tree_child(domain, "cpu"), "numa");

	for (const xmlNode *cell = xml_tree_child(numa, "cell"); cell != NULL;
	     cell = xml_tree_next(cell, "cell"))
		if (xml_tree_attribute_is(cell, "memAccess", "private"))
			return true;
	return false;
}

static bool attach_xml_is_shared(const xmlNode *domain)
{
	const xmlNode *backing = xml_tree_child(domain, "memoryBacking");

	if (attach_xml_cells(domain, "shared"))
		return true;
	return xml_tree_attribute_is(xml_tree_child(backing, "access"), "mode", "shared") &&
	       !attach_xml_any_cell_private(domain);
}

int attach_xml_inspect(const char *xml, const char *source, struct attach_state *ret_state,
		       struct diag *diag)
{
	struct attach_state state = {.attached = false};
	cleanup_document xmlDoc *document = NULL;
	const xmlNode *domain, *filesystem;
	int status = attach_xml_parse(xml, &document, diag);

	if (status < 0)
		return status;
	domain = xmlDocGetRootElement(document);
	filesystem = attach_xml_find(domain);
	state.memory_shared = attach_xml_is_shared(domain);
	if (filesystem != NULL) {
		state.attached = true;
		state.ours = attach_xml_is_ours(filesystem, source);
		state.transport = attach_xml_transport(filesystem);
	}
	*ret_state = state;
	return 0;
}

static int attach_xml_check_memory(const xmlNode *domain, struct diag *diag)
{
	const xmlNode *backing = xml_tree_child(domain, "memoryBacking");

	if (attach_xml_is_shared(domain))
		return 0;
	if (xml_tree_attribute_is(xml_tree_child(backing, "access"), "mode", "private") ||
	    attach_xml_any_cell_private(domain))
		return diag_error(diag, -ENOTSUP,
				  "virtiofs needs shared memory and the domain asks for private "
				  "memory; take that out or use --transport 9p");
	if (xml_tree_attribute_is(xml_tree_child(backing, "source"), "type", "anonymous"))
		return diag_error(diag, -ENOTSUP,
				  "virtiofs needs shared memory and the domain asks for anonymous "
				  "memory; take that out or use --transport 9p");
	return 0;
}

int attach_xml_may_share(const char *xml, struct diag *diag)
{
	cleanup_document xmlDoc *document = NULL;
	int status = attach_xml_parse(xml, &document, diag);

	return status < 0 ? status : attach_xml_check_memory(xmlDocGetRootElement(document), diag);
}

static xmlNode *attach_xml_new(xmlNode *parent, const char *name)
{
	return xmlNewChild(parent, NULL, (const xmlChar *)name, NULL);
}

static void attach_xml_set(xmlNode *node, const char *name, const char *value)
{
	(void)xmlSetProp(node, (const xmlChar *)name, (const xmlChar *)value);
}

/*
 * 9p: `passthrough` and not `mapped`, which cannot carry symbolic links. virtiofs: its default
 * cache would show a kept descriptor the same value for ever; and libvirt knows no <readonly/> for
 * it yet ("virtiofs does not yet support read-only mode"), but the tree takes no writes anyway.
 */
static void attach_xml_fill(xmlNode *filesystem, enum attach_transport transport,
			    const char *source)
{
	attach_xml_set(filesystem, "type", "mount");
	attach_xml_set(filesystem, "accessmode", "passthrough");
	if (transport == ATTACH_VIRTIOFS) {
		xmlNode *binary;

		attach_xml_set(attach_xml_new(filesystem, "driver"), "type", "virtiofs");
		binary = attach_xml_new(filesystem, "binary");
		attach_xml_set(attach_xml_new(binary, "cache"), "mode", "none");
	} else {
		attach_xml_set(attach_xml_new(filesystem, "driver"), "type", "path");
	}
	attach_xml_set(attach_xml_new(filesystem, "source"), "dir", source);
	attach_xml_set(attach_xml_new(filesystem, "target"), "dir", ATTACH_TAG);
	if (transport == ATTACH_9P)
		(void)attach_xml_new(filesystem, "readonly");
}

/* memfd needs no file system of its own; huge pages are shared as they are. */
static void attach_xml_share_memory(xmlNode *domain)
{
	xmlNode *backing = xml_tree_child(domain, "memoryBacking");

	if (backing == NULL)
		backing = attach_xml_new(domain, "memoryBacking");
	if (xml_tree_child(backing, "source") == NULL &&
	    xml_tree_child(backing, "hugepages") == NULL)
		attach_xml_set(attach_xml_new(backing, "source"), "type", "memfd");
	if (xml_tree_child(backing, "access") == NULL)
		attach_xml_set(attach_xml_new(backing, "access"), "mode", "shared");
}

/* A copy in this program's own memory: libxml2 has an allocator of its own. */
static int attach_xml_print(xmlDoc *document, char **ret_xml)
{
	cleanup_xml_text xmlChar *text = NULL;
	char *copy;
	int size;

	xmlDocDumpMemory(document, &text, &size);
	if (text == NULL)
		return -ENOMEM;
	copy = strdup((const char *)text);
	if (copy == NULL)
		return -ENOMEM;
	*ret_xml = copy;
	return 0;
}

static int attach_xml_taken(const xmlNode *filesystem, struct diag *diag)
{
	cleanup_xml_text xmlChar *other =
	    xml_tree_attribute(xml_tree_child(filesystem, "source"), "dir");

	return diag_error(diag, -EEXIST,
			  "the domain has a file system with the tag " ATTACH_TAG
			  " already, of %s; take it out first",
			  other != NULL ? (const char *)other : "no directory");
}

static bool attach_xml_is_complete(const xmlNode *filesystem, enum attach_transport transport)
{
	const xmlNode *binary = xml_tree_child(filesystem, "binary");

	if (attach_xml_transport(filesystem) != transport)
		return false;
	return transport == ATTACH_9P
		   ? xml_tree_attribute_is(filesystem, "accessmode", "passthrough")
		   : xml_tree_attribute_is(xml_tree_child(binary, "cache"), "mode", "none");
}

static int attach_xml_put_device(xmlNode *domain, enum attach_transport transport,
				 const char *source, struct attach_changes *changes,
				 struct diag *diag)
{
	xmlNode *devices = xml_tree_child(domain, "devices");
	xmlNode *filesystem = attach_xml_find(domain);

	if (filesystem != NULL && !attach_xml_is_ours(filesystem, source))
		return attach_xml_taken(filesystem, diag);
	if (filesystem != NULL && attach_xml_is_complete(filesystem, transport))
		return 0;
	if (filesystem != NULL) {
		changes->replaced = attach_xml_transport(filesystem) != transport;
		xmlUnlinkNode(filesystem);
		xmlFreeNode(filesystem);
	}
	if (devices == NULL)
		devices = attach_xml_new(domain, "devices");
	attach_xml_fill(attach_xml_new(devices, "filesystem"), transport, source);
	changes->device = true;
	return 0;
}

int attach_xml_add(const char *xml, enum attach_transport transport, const char *source,
		   char **ret_xml, struct attach_changes *ret_changes, struct diag *diag)
{
	struct attach_changes changes = {.device = false};
	cleanup_document xmlDoc *document = NULL;
	xmlNode *domain;
	int status = attach_xml_parse(xml, &document, diag);

	if (status < 0)
		return status;
	domain = xmlDocGetRootElement(document);
	if (transport == ATTACH_VIRTIOFS) {
		status = attach_xml_check_memory(domain, diag);
		if (status < 0)
			return status;
	}
	status = attach_xml_put_device(domain, transport, source, &changes, diag);
	if (status < 0)
		return status;
	if (transport == ATTACH_VIRTIOFS && !attach_xml_is_shared(domain)) {
		attach_xml_share_memory(domain);
		changes.memory = true;
	}
	status = attach_xml_print(document, ret_xml);
	if (status < 0)
		return diag_error(diag, status, "out of memory");
	*ret_changes = changes;
	return 0;
}

int attach_xml_remove(const char *xml, const char *source, char **ret_xml,
		      struct attach_changes *ret_changes, struct diag *diag)
{
	struct attach_changes changes = {.device = false};
	cleanup_document xmlDoc *document = NULL;
	xmlNode *filesystem;
	int status = attach_xml_parse(xml, &document, diag);

	if (status < 0)
		return status;
	filesystem = attach_xml_find(xmlDocGetRootElement(document));
	if (filesystem != NULL) {
		if (!attach_xml_is_ours(filesystem, source))
			return attach_xml_taken(filesystem, diag);
		xmlUnlinkNode(filesystem);
		xmlFreeNode(filesystem);
		changes.device = true;
	}
	status = attach_xml_print(document, ret_xml);
	if (status < 0)
		return diag_error(diag, status, "out of memory");
	*ret_changes = changes;
	return 0;
}

int attach_xml_device(const char *xml, enum attach_transport transport, const char *source,
		      char **ret_xml, struct diag *diag)
{
	cleanup_document xmlDoc *document = NULL, *device = xmlNewDoc(NULL);
	xmlNode *filesystem;
	int status;

	if (device == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	if (xml == NULL) {
		filesystem = xmlNewDocNode(device, NULL, (const xmlChar *)"filesystem", NULL);
		attach_xml_fill(filesystem, transport, source);
	} else {
		status = attach_xml_parse(xml, &document, diag);
		if (status < 0)
			return status;
		filesystem = attach_xml_find(xmlDocGetRootElement(document));
		if (filesystem == NULL)
			return diag_error(diag, -ENOENT, "the domain has no such file system");
		filesystem = xmlDocCopyNode(filesystem, device, 1);
	}
	(void)xmlDocSetRootElement(device, filesystem);
	status = attach_xml_print(device, ret_xml);
	return status < 0 ? diag_error(diag, status, "out of memory") : 0;
}
