#include "host/attach_domain.h"
#include "common/cleanup.h"
#include "common/parse.h"
#include "common/utf8.h"
#include "common/uuid.h"
#include "host/xml_tree.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>

/* The first libvirtd that runs virtiofsd without being root (its issue 535). */
#define ATTACH_SESSION_VIRTIOFS_SINCE 10000000

static int attach_domain_error(struct diag *diag, const char *what)
{
	return diag_error(diag, -EIO, "%s: %s", what, virGetLastErrorMessage());
}

int attach_domain_find(virConnectPtr connection, const char *text, virDomainPtr *ret_domain,
		       struct diag *diag)
{
	virDomainPtr found = NULL;
	struct uuid uuid;
	uint32_t id;

	if (uuid_parse(text, &uuid) == 0)
		found = virDomainLookupByUUID(connection, uuid.bytes);
	if (found == NULL && parse_u32(text, &id) == 0 && id <= INT_MAX)
		found = virDomainLookupByID(connection, (int)id);
	if (found == NULL)
		found = virDomainLookupByName(connection, text);
	if (found == NULL)
		return diag_error(diag, -ENOENT,
				  "libvirt knows no domain %s; `virsh list --all` lists them",
				  text);
	*ret_domain = found;
	return 0;
}

static int attach_domain_compare(const void *left, const void *right)
{
	const char *left_name = virDomainGetName(*(const virDomainPtr *)left);
	const char *right_name = virDomainGetName(*(const virDomainPtr *)right);

	return strcmp(left_name != NULL ? left_name : "", right_name != NULL ? right_name : "");
}

int attach_domain_list(virConnectPtr connection, virDomainPtr **ret_list, struct diag *diag)
{
	virDomainPtr *list = NULL;
	int count = virConnectListAllDomains(connection, &list, 0);

	if (count < 0)
		return attach_domain_error(diag, "cannot list the domains");
	qsort(list, (size_t)count, sizeof(virDomainPtr), attach_domain_compare);
	*ret_list = list;
	return count;
}

void attach_domain_list_free(virDomainPtr *list, int count)
{
	for (int i = 0; i < count; i++)
		(void)virDomainFree(list[i]);
	free(list);
}

void attach_domain_finish(const struct attach_domain *domain)
{
	free(domain->definition);
	free(domain->live);
	free(domain->saved);
}

const char *attach_domain_xml(const struct attach_domain *domain)
{
	return domain->definition != NULL ? domain->definition : domain->live;
}

static int attach_domain_identify(struct attach_domain *loaded, const char *runtime_dir,
				  struct diag *diag)
{
	const char *name = virDomainGetName(loaded->domain);
	char text[UUID_TEXT_SIZE];
	struct uuid uuid;
	int length;

	utf8_copy(loaded->name, sizeof(loaded->name), name != NULL ? name : "");
	if (virDomainGetUUID(loaded->domain, uuid.bytes) < 0)
		return attach_domain_error(diag, "cannot read the domain's uuid");
	uuid_format(&uuid, text);
	length = snprintf(loaded->source, sizeof(loaded->source), "%s/vm/%s", runtime_dir, text);
	if (length < 0 || (size_t)length >= sizeof(loaded->source))
		return diag_error(diag, -ENAMETOOLONG, "the runtime directory's path is too long");
	return 0;
}

static int attach_domain_read(struct attach_domain *loaded, enum attach_secrets secrets,
			      struct diag *diag)
{
	unsigned int flags = secrets == ATTACH_SECRETS_KEPT ? VIR_DOMAIN_XML_SECURE : 0;

	if (virDomainIsPersistent(loaded->domain) == 1) {
		loaded->definition =
		    virDomainGetXMLDesc(loaded->domain, VIR_DOMAIN_XML_INACTIVE | flags);
		if (loaded->definition == NULL)
			return attach_domain_error(diag, "cannot read the domain's definition");
	}
	if (virDomainIsActive(loaded->domain) == 1) {
		loaded->live = virDomainGetXMLDesc(loaded->domain, 0);
		if (loaded->live == NULL)
			return attach_domain_error(diag, "cannot read the running domain");
	}
	if (attach_domain_xml(loaded) == NULL)
		return diag_error(diag, -ENOENT, "the domain has just gone");
	if (virDomainHasManagedSaveImage(loaded->domain, 0) == 1)
		loaded->saved = virDomainManagedSaveGetXMLDesc(loaded->domain, 0);
	return 0;
}

/* What is not known stays so: older libvirts and other drivers do not tell. */
static void attach_domain_ask_capabilities(struct attach_domain *loaded)
{
	const char *xml = attach_domain_xml(loaded);
	cleanup_document xmlDoc *document = NULL;
	cleanup_xml_text xmlChar *emulator = NULL, *arch = NULL, *machine = NULL, *type = NULL;
	cleanup_free char *capabilities = NULL;
	const xmlNode *domain, *node;

	if (xml_tree_parse(xml, strlen(xml), "domain", &document, NULL) < 0)
		return;
	domain = xmlDocGetRootElement(document);
	node = xml_tree_child(xml_tree_child(domain, "devices"), "emulator");
	emulator = node != NULL ? xmlNodeGetContent(node) : NULL;
	node = xml_tree_child(xml_tree_child(domain, "os"), "type");
	arch = xml_tree_attribute(node, "arch");
	machine = xml_tree_attribute(node, "machine");
	type = xml_tree_attribute(domain, "type");
	capabilities = virConnectGetDomainCapabilities(loaded->connection, (const char *)emulator,
						       (const char *)arch, (const char *)machine,
						       (const char *)type, 0);
	if (capabilities != NULL)
		(void)attach_check_capabilities(capabilities, &loaded->capabilities, NULL);
}

static void attach_domain_ask_host(struct attach_domain *loaded)
{
	cleanup_free char *uri = virConnectGetURI(loaded->connection);
	const char *host = uri != NULL ? strstr(uri, "://") : NULL;

	loaded->remote = host != NULL && host[3] != '/';
}

int attach_domain_load(virDomainPtr domain, const char *runtime_dir, enum attach_secrets secrets,
		       struct attach_domain *ret_loaded, struct diag *diag)
{
	struct attach_domain loaded = {.domain = domain, .connection = virDomainGetConnect(domain)};
	int status = attach_domain_identify(&loaded, runtime_dir, diag);

	if (status == 0)
		status = attach_domain_read(&loaded, secrets, diag);
	if (status < 0) {
		attach_domain_finish(&loaded);
		return status;
	}
	attach_domain_ask_host(&loaded);
	attach_domain_ask_capabilities(&loaded);
	*ret_loaded = loaded;
	return 0;
}

int attach_domain_check_virtiofs(const struct attach_domain *domain, struct diag *diag)
{
	cleanup_free char *uri = virConnectGetURI(domain->connection);
	unsigned long version;

	if (uri != NULL && strstr(uri, "/session") != NULL &&
	    virConnectGetLibVersion(domain->connection, &version) == 0 &&
	    version < ATTACH_SESSION_VIRTIOFS_SINCE)
		return diag_error(diag, -ENOTSUP,
				  "libvirt before 10.0 has no virtiofs in session mode; use "
				  "qemu:///system or --transport 9p");
	return 0;
}

int attach_domain_define(const struct attach_domain *domain, const char *xml, struct diag *diag)
{
	virDomainPtr defined = virDomainDefineXML(domain->connection, xml);

	if (defined == NULL)
		return attach_domain_error(diag, "libvirt refuses the new definition");
	(void)virDomainFree(defined);
	return 0;
}

int attach_domain_plug_in(const struct attach_domain *domain, const char *device, struct diag *diag)
{
	if (virDomainAttachDeviceFlags(domain->domain, device, VIR_DOMAIN_AFFECT_LIVE) < 0)
		return attach_domain_error(diag, "it cannot be plugged in");
	return 0;
}

int attach_domain_plug_out(const struct attach_domain *domain, const char *device,
			   struct diag *diag)
{
	if (virDomainDetachDeviceFlags(domain->domain, device, VIR_DOMAIN_AFFECT_LIVE) < 0)
		return attach_domain_error(diag, "it cannot be plugged out");
	return 0;
}
