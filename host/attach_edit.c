#include "host/attach_edit.h"
#include "common/cleanup.h"
#include "host/attach_device.h"
#include "host/attach_memory.h"
#include "host/attach_pci.h"
#include "host/attach_record.h"
#include "host/xml_tree.h"

#include <errno.h>
#include <string.h>

int attach_edit_failed(int status, struct diag *diag)
{
	return diag_error(diag, status, "the XML cannot be edited: %s", strerror(-status));
}

/* An edit of a domain that is under way. */
struct attach_editing {
	struct xml_edit *edit;
	const xmlNode *domain;
	const xmlNode *parents[ATTACH_PARENT_COUNT];
	struct attach_record record;
	struct attach_changes changes;
};

static void attach_edit_end(const struct attach_editing *editing)
{
	xml_edit_destroy(editing->edit);
}
#define cleanup_editing __attribute__((cleanup(attach_edit_end)))

static int attach_edit_begin(const struct xml_text *document, struct attach_editing *editing,
			     struct diag *diag)
{
	editing->domain = xml_text_root(document);
	if (xml_tree_child(editing->domain, "name") == NULL)
		return diag_error(diag, -EINVAL, "the domain has no <name>");
	for (enum attach_parent i = 0; i < ATTACH_PARENT_COUNT; i++) {
		const char *name = attach_parent_name(i);
		const xmlNode *parent = xml_tree_child(editing->domain, name);

		if (parent != NULL && xml_tree_next(parent, name) != NULL)
			return diag_error(diag, -EINVAL, "the domain has <%s> twice", name);
		editing->parents[i] = parent;
	}
	return xml_edit_create(document, &editing->edit);
}

/*
 * Whether `node` is a port that libvirt added for the device and that nothing else has come to use:
 * the one it sits on if that has a number that was not there before, and behind it a spare one,
 * which libvirt adds to a domain that had no port at all.
 */
static bool attach_edit_is_port_of(const struct attach_editing *editing, const xmlNode *node,
				   const xmlNode *device)
{
	const struct attach_record *record = &editing->record;
	uint32_t bus;

	if (!record->has_ports || attach_device_bus(device, &bus) < 0 || bus <= record->ports)
		return false;
	return attach_pci_is_port_of(node, bus, device) ||
	       (record->ports == 0 && attach_pci_is_port_of(node, bus + 1, device));
}

/* Whether `node` is a file system of ours, or was added for one. */
static bool attach_edit_goes(const struct attach_editing *editing, const xmlNode *node)
{
	const xmlNode *device = attach_device_first(editing->domain);

	if (node->type != XML_ELEMENT_NODE)
		return false;
	if (attach_device_is(node))
		return true;
	for (; device != NULL; device = attach_device_next(device))
		if (attach_edit_is_port_of(editing, node, device))
			return true;
	return false;
}

/* Whether `node` is what attach remembers of itself. */
static bool attach_edit_is_record(const struct attach_editing *editing, const xmlNode *node)
{
	(void)editing;
	return attach_record_is(node);
}

/* Takes those children of a parent out that `goes` says. */
static int attach_edit_take_children(const struct attach_editing *editing, enum attach_parent which,
				     bool (*goes)(const struct attach_editing *editing,
						  const xmlNode *node))
{
	const xmlNode *parent = editing->parents[which];
	const xmlNode *taken[XML_EDIT_MAX];
	size_t count = 0;

	if (parent == NULL)
		return 0;
	for (const xmlNode *node = parent->children; node != NULL; node = node->next) {
		if (!goes(editing, node))
			continue;
		if (count == XML_EDIT_MAX)
			return -E2BIG;
		taken[count++] = node;
	}
	return xml_edit_take(editing->edit, parent, taken, count, editing->record.parents[which]);
}

/* Only what is still as attach made it goes, and only if nobody has come to need it. */
static int attach_edit_take_memory(struct attach_editing *editing)
{
	const struct attach_record *record = &editing->record;
	const xmlNode *parent = editing->parents[ATTACH_PARENT_MEMORY];
	const xmlNode *source = xml_tree_child(parent, "source");
	const xmlNode *access = xml_tree_child(parent, "access");
	const xmlNode *taken[2];
	size_t count = 0;
	const char *user;

	if (parent == NULL || (!record->source && !record->access))
		return 0;
	if ((record->source && !xml_tree_attribute_is(source, "type", "memfd")) ||
	    (record->access && !xml_tree_attribute_is(access, "mode", "shared"))) {
		editing->changes.memory_stays = "somebody changed it since";
		return 0;
	}
	if (attach_memory_users(editing->domain, ATTACH_TAG, &user) > record->users) {
		editing->changes.memory_stays = user;
		return 0;
	}
	for (const xmlNode *node = parent->children; node != NULL; node = node->next)
		if ((record->source && node == source) || (record->access && node == access))
			taken[count++] = node;
	editing->changes.memory_unshared = true;
	return xml_edit_take(editing->edit, parent, taken, count,
			     record->parents[ATTACH_PARENT_MEMORY]);
}

int attach_edit_take(const char *xml, const char *source, char **ret_xml,
		     struct attach_changes *ret_changes, struct diag *diag)
{
	cleanup_xml_document struct xml_text *document = NULL;
	cleanup_editing struct attach_editing editing = {.edit = NULL};
	int status = xml_text_parse(xml, "domain", &document, diag);

	if (status < 0)
		return status;
	status = attach_edit_begin(document, &editing, diag);
	if (status < 0)
		return status;
	status = attach_device_check(editing.domain, source, diag);
	if (status < 0)
		return status;
	attach_record_read(editing.parents[ATTACH_PARENT_METADATA], &editing.record);
	editing.changes.device = attach_device_first(editing.domain) != NULL;
	status = attach_edit_take_children(&editing, ATTACH_PARENT_METADATA, attach_edit_is_record);
	if (status == 0)
		status = attach_edit_take_memory(&editing);
	if (status == 0)
		status =
		    attach_edit_take_children(&editing, ATTACH_PARENT_DEVICES, attach_edit_goes);
	if (status == 0)
		status = xml_edit_apply(editing.edit, ret_xml);
	if (status < 0)
		return attach_edit_failed(status, diag);
	*ret_changes = editing.changes;
	return 0;
}

/* Puts `fragment` into a parent, which is made where the domain has none. */
static int attach_edit_put_into(const struct attach_editing *editing, enum attach_parent parent,
				const char *const *before, const char *fragment)
{
	/* As libvirt orders them; the devices come last. */
	static const char *const places[] = {"name",	      "uuid",	   "genid",	"title",
					     "description",   "metadata",  "maxMemory", "memory",
					     "currentMemory", "blkiotune", "memtune",	NULL};
	static const char *const metadata_places[] = {"name",  "uuid",	      "genid",
						      "title", "description", NULL};
	static const char *const *const parent_places[ATTACH_PARENT_COUNT] = {
	    [ATTACH_PARENT_METADATA] = metadata_places,
	    [ATTACH_PARENT_MEMORY] = places,
	    [ATTACH_PARENT_DEVICES] = NULL,
	};
	cleanup_free char *made = NULL;
	int status;

	if (editing->parents[parent] != NULL)
		return xml_edit_put(editing->edit, editing->parents[parent], before, fragment);
	status = xml_edit_wrap(attach_parent_name(parent), fragment, &made);
	if (status < 0)
		return status;
	return xml_edit_put(editing->edit, editing->domain, parent_places[parent], made);
}

static int attach_edit_put_record(const struct attach_editing *editing)
{
	cleanup_free char *fragment = NULL;
	int status;

	if (!attach_record_is_needed(&editing->record))
		return 0;
	status = attach_record_format(&editing->record, &fragment);
	return status < 0 ? status
			  : attach_edit_put_into(editing, ATTACH_PARENT_METADATA, NULL, fragment);
}

/* Both lack, or the access alone; then a source or huge pages are there. */
static int attach_edit_put_memory(const struct attach_editing *editing)
{
	static const char *const before[] = {"hugepages", "nosharepages", "locked", "source", NULL};

	if (!editing->record.access)
		return 0;
	return attach_edit_put_into(editing, ATTACH_PARENT_MEMORY, before,
				    editing->record.source
					? "<source type='memfd'/>\n<access mode='shared'/>"
					: "<access mode='shared'/>");
}

static int attach_edit_put_device(const struct attach_editing *editing,
				  enum attach_transport transport, const char *source)
{
	/* libvirt's order of devices, from the emulator on. */
	static const char *const before[] = {"emulator", "disk",       "controller",
					     "lease",	 "filesystem", NULL};
	cleanup_free char *fragment = NULL;
	int status = attach_device_format(transport, source, &fragment);

	return status < 0 ? status
			  : attach_edit_put_into(editing, ATTACH_PARENT_DEVICES, before, fragment);
}

/* How to undo it where the parent is made or opened for what is put in. */
static void attach_edit_plan_parent(struct attach_editing *editing, enum attach_parent parent)
{
	const xmlNode *node = editing->parents[parent];

	if (node == NULL)
		editing->record.parents[parent] = XML_EDIT_TAKE;
	else if (xml_text_span(node).empty)
		editing->record.parents[parent] = XML_EDIT_CLOSE;
}

/* What will have been done, so that it can be undone. */
static void attach_edit_plan(struct attach_editing *editing, enum attach_transport transport)
{
	struct attach_record *record = &editing->record;
	const char *user;

	editing->changes.device = true;
	attach_edit_plan_parent(editing, ATTACH_PARENT_DEVICES);
	record->has_ports = attach_pci_is_express(editing->domain, &record->ports);
	if (transport == ATTACH_VIRTIOFS && !attach_memory_is_shared(editing->domain)) {
		editing->changes.memory_shared = true;
		attach_edit_plan_parent(editing, ATTACH_PARENT_MEMORY);
		record->access = true;
		record->source = attach_memory_lacks_source(editing->domain);
		record->users = (uint32_t)attach_memory_users(editing->domain, ATTACH_TAG, &user);
	}
	if (attach_record_is_needed(record))
		attach_edit_plan_parent(editing, ATTACH_PARENT_METADATA);
}

int attach_edit_put(const char *xml, enum attach_transport transport, const char *source,
		    char **ret_xml, struct attach_changes *ret_changes, struct diag *diag)
{
	cleanup_xml_document struct xml_text *document = NULL;
	cleanup_editing struct attach_editing editing = {.edit = NULL};
	int status = xml_text_parse(xml, "domain", &document, diag);

	if (status < 0)
		return status;
	status = attach_edit_begin(document, &editing, diag);
	if (status == 0 && transport == ATTACH_VIRTIOFS)
		status = attach_memory_check(editing.domain, diag);
	if (status < 0)
		return status;
	attach_edit_plan(&editing, transport);
	status = attach_edit_put_record(&editing);
	if (status == 0)
		status = attach_edit_put_memory(&editing);
	if (status == 0)
		status = attach_edit_put_device(&editing, transport, source);
	if (status == 0)
		status = xml_edit_apply(editing.edit, ret_xml);
	if (status < 0)
		return attach_edit_failed(status, diag);
	*ret_changes = editing.changes;
	return 0;
}
