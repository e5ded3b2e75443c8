#include "host/attach_xml.h"
#include "common/cleanup.h"
#include "host/attach_device.h"
#include "host/attach_edit.h"
#include "host/attach_memory.h"
#include "host/xml_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int attach_xml_parse(const char *xml, struct xml_text **ret_document, struct diag *diag)
{
	return xml_text_parse(xml, "domain", ret_document, diag);
}

int attach_xml_inspect(const char *xml, const char *source, struct attach_state *ret_state,
		       struct diag *diag)
{
	struct attach_state state = {.attached = false};
	cleanup_xml_document struct xml_text *document = NULL;
	const xmlNode *domain, *device;
	int status = attach_xml_parse(xml, &document, diag);

	if (status < 0)
		return status;
	domain = xml_text_root(document);
	device = attach_device_first(domain);
	state.memory_shared = attach_memory_is_shared(domain);
	if (device != NULL) {
		state.attached = true;
		state.ours = attach_device_is_of(device, source);
		state.transport = attach_device_transport(device);
		state.right = attach_device_is_right(device, state.transport);
	}
	*ret_state = state;
	return 0;
}

int attach_xml_may_share(const char *xml, struct diag *diag)
{
	cleanup_xml_document struct xml_text *document = NULL;
	int status = attach_xml_parse(xml, &document, diag);

	return status < 0 ? status : attach_memory_check(xml_text_root(document), diag);
}

struct attach_present {
	bool any;      /* a file system of ours */
	bool complete; /* one, and all that it needs */
	enum attach_transport transport;
};

static int attach_xml_look(const char *xml, enum attach_transport transport, const char *source,
			   struct attach_present *ret_present, struct diag *diag)
{
	cleanup_xml_document struct xml_text *document = NULL;
	const xmlNode *domain, *device;
	int status = attach_xml_parse(xml, &document, diag);

	if (status < 0)
		return status;
	domain = xml_text_root(document);
	status = attach_device_check(domain, source, diag);
	if (status < 0)
		return status;
	device = attach_device_first(domain);
	*ret_present = (struct attach_present){.any = device != NULL};
	if (device == NULL)
		return 0;
	ret_present->transport = attach_device_transport(device);
	ret_present->complete = attach_device_next(device) == NULL &&
				attach_device_is_right(device, transport) &&
				(transport == ATTACH_9P || attach_memory_is_shared(domain));
	return 0;
}

/*
 * What is there and not as it should be is taken out whole before the right one is put in: so one
 * detach undoes any number of attaches, and what could not be undone is not done.
 */
int attach_xml_add(const char *xml, enum attach_transport transport, const char *source,
		   char **ret_xml, struct attach_changes *ret_changes, struct diag *diag)
{
	struct attach_changes before = {.device = false}, changes = {.device = false};
	struct attach_present present;
	cleanup_free char *bare = NULL;
	int status = attach_xml_look(xml, transport, source, &present, diag);

	if (status < 0)
		return status;
	status = attach_edit_take(xml, source, &bare, &before, diag);
	if (status < 0)
		return status;
	if (present.complete) {
		*ret_xml = strdup(xml);
		*ret_changes = changes;
		return *ret_xml != NULL ? 0 : attach_edit_failed(-ENOMEM, diag);
	}
	status = attach_edit_put(bare, transport, source, ret_xml, &changes, diag);
	if (status < 0)
		return status;
	changes.replaced = present.any && present.transport != transport;
	if (before.memory_unshared && changes.memory_shared)
		changes.memory_shared = false;
	else
		changes.memory_unshared = before.memory_unshared;
	if (transport == ATTACH_9P)
		changes.memory_stays = before.memory_stays;
	*ret_changes = changes;
	return 0;
}

int attach_xml_remove(const char *xml, const char *source, char **ret_xml,
		      struct attach_changes *ret_changes, struct diag *diag)
{
	return attach_edit_take(xml, source, ret_xml, ret_changes, diag);
}

int attach_xml_device(const char *xml, enum attach_transport transport, const char *source,
		      char **ret_xml, struct diag *diag)
{
	cleanup_xml_document struct xml_text *document = NULL;
	const xmlNode *device;
	struct xml_span span;
	int status;

	if (xml == NULL) {
		status = attach_device_format(transport, source, ret_xml);
		return status < 0 ? attach_edit_failed(status, diag) : 0;
	}
	status = attach_xml_parse(xml, &document, diag);
	if (status < 0)
		return status;
	device = attach_device_first(xml_text_root(document));
	if (device == NULL)
		return diag_error(diag, -ENOENT, "the domain has no such file system");
	span = xml_text_span(device);
	*ret_xml = strndup(xml + span.begin, span.end - span.begin);
	return *ret_xml != NULL ? 0 : attach_edit_failed(-ENOMEM, diag);
}
