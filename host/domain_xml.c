#include "host/domain_xml.h"
#include "common/cleanup.h"
#include "common/parse.h"

#include <errno.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdlib.h>
#include <string.h>

/* No network, no DTD, no entity substitution; errors come back as a status, not on stderr. */
#define DOMAIN_XML_OPTIONS                                                                         \
	(XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NOBLANKS |          \
	 XML_PARSE_NOCDATA)

static void cleanup_document_value(xmlDoc *const *document)
{
	xmlFreeDoc(*document);
}
#define cleanup_document __attribute__((cleanup(cleanup_document_value)))

static void cleanup_text_value(xmlChar *const *text)
{
	xmlFree(*text);
}
#define cleanup_text __attribute__((cleanup(cleanup_text_value)))

static xmlNode *domain_xml_child(const xmlNode *parent, const char *name)
{
	if (parent == NULL)
		return NULL;
	for (xmlNode *node = parent->children; node != NULL; node = node->next)
		if (node->type == XML_ELEMENT_NODE && node->ns == NULL &&
		    strcmp((const char *)node->name, name) == 0)
			return node;
	return NULL;
}

/* The number that is the whole content of a node, white space around it apart. */
static int domain_xml_content_u64(const xmlNode *node, uint64_t *ret_value)
{
	cleanup_text xmlChar *text = xmlNodeGetContent(node);
	const char *cursor = (const char *)text;
	uint64_t value;
	int status;

	if (text == NULL)
		return -ENOMEM;
	cursor += strspn(cursor, " \t\r\n");
	status = parse_next_u64(&cursor, &value);
	if (status < 0)
		return status;
	if (cursor[strspn(cursor, " \t\r\n")] != '\0')
		return -EINVAL;
	*ret_value = value;
	return 0;
}

/* -ENODATA: there is no such attribute. */
static int domain_xml_attribute_u32(xmlNode *node, const char *name, uint32_t *ret_value)
{
	cleanup_text xmlChar *text = NULL;

	if (node == NULL)
		return -ENODATA;
	text = xmlGetNoNsProp(node, (const xmlChar *)name);
	return text != NULL ? parse_u32((const char *)text, ret_value) : -ENODATA;
}

static bool domain_xml_attribute_is(xmlNode *node, const char *name, const char *value)
{
	cleanup_text xmlChar *text = xmlGetNoNsProp(node, (const xmlChar *)name);

	return text != NULL && strcmp((const char *)text, value) == 0;
}

/* Multiples of libvirt's units (virScaleInteger() with bytes as the base; KiB without a unit). */
static int domain_xml_memory(xmlNode *node, uint64_t *ret_bytes)
{
	static const struct {
		const char *unit;
		uint64_t bytes;
	} units[] = {
	    {"b", 1},
	    {"bytes", 1},
	    {"KB", 1000},
	    {"k", UINT64_C(1) << 10},
	    {"KiB", UINT64_C(1) << 10},
	    {"MB", 1000000},
	    {"M", UINT64_C(1) << 20},
	    {"MiB", UINT64_C(1) << 20},
	    {"GB", 1000000000},
	    {"G", UINT64_C(1) << 30},
	    {"GiB", UINT64_C(1) << 30},
	    {"TB", UINT64_C(1000000000000)},
	    {"T", UINT64_C(1) << 40},
	    {"TiB", UINT64_C(1) << 40},
	};
	cleanup_text xmlChar *unit = xmlGetNoNsProp(node, (const xmlChar *)"unit");
	uint64_t scale = UINT64_C(1) << 10;
	uint64_t value;
	int status = domain_xml_content_u64(node, &value);

	if (status < 0)
		return status;
	for (size_t i = 0; unit != NULL && i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp((const char *)unit, units[i].unit) == 0)
			scale = units[i].bytes;
	return __builtin_mul_overflow(value, scale, ret_bytes) ? -ERANGE : 0;
}

/* How many vCPUs the guest may have at most, and how many of them share a socket. */
struct domain_xml_topology {
	uint32_t vcpu_max;
	uint32_t vcpus_per_socket;
};

static int domain_xml_topology(const xmlNode *domain, struct domain_xml_topology *ret_topology)
{
	static const char *const levels[] = {"dies", "clusters", "cores", "threads"};
	xmlNode *node = domain_xml_child(domain_xml_child(domain, "cpu"), "topology");
	struct domain_xml_topology topology = {.vcpus_per_socket = 1};
	xmlNode *vcpu = domain_xml_child(domain, "vcpu");
	uint64_t count = 1; /* libvirt's own default */
	int status;

	if (vcpu != NULL) {
		status = domain_xml_content_u64(vcpu, &count);
		if (status < 0)
			return status;
	}
	if (count == 0)
		return -EINVAL;
	if (count > VM_ROSTER_VCPU_MAX)
		return -ENOSPC;
	topology.vcpu_max = (uint32_t)count;
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		uint32_t factor = 1;

		status = domain_xml_attribute_u32(node, levels[i], &factor);
		if (status < 0 && status != -ENODATA)
			return status;
		if (factor == 0 || __builtin_mul_overflow(topology.vcpus_per_socket, factor,
							  &topology.vcpus_per_socket))
			return -EINVAL;
	}
	*ret_topology = topology;
	return 0;
}

/*
 * Which of the vCPUs are plugged in: those that <vcpus> lists as enabled, else the first
 * `<vcpu current=...>`, else all.
 */
static int domain_xml_plugged(const xmlNode *domain, uint32_t vcpu_max, bool *plugged)
{
	const xmlNode *list = domain_xml_child(domain, "vcpus");
	uint32_t current = vcpu_max;
	int status =
	    domain_xml_attribute_u32(domain_xml_child(domain, "vcpu"), "current", &current);

	if (status < 0 && status != -ENODATA)
		return status;
	if (list == NULL) {
		for (uint32_t id = 0; id < vcpu_max && id < current; id++)
			plugged[id] = true;
		return 0;
	}
	for (xmlNode *node = list->children; node != NULL; node = node->next) {
		uint32_t id;

		if (node->type != XML_ELEMENT_NODE ||
		    !domain_xml_attribute_is(node, "enabled", "yes"))
			continue;
		status = domain_xml_attribute_u32(node, "id", &id);
		if (status < 0 || id >= vcpu_max)
			return -EINVAL;
		plugged[id] = true;
	}
	return 0;
}

static int domain_xml_vcpus(const xmlNode *domain, struct vm_roster_vm *vm)
{
	cleanup_free bool *plugged = NULL;
	struct domain_xml_topology topology;
	int status = domain_xml_topology(domain, &topology);

	if (status < 0)
		return status;
	plugged = calloc(topology.vcpu_max, sizeof(*plugged));
	vm->vcpus = calloc(topology.vcpu_max, sizeof(*vm->vcpus));
	if (plugged == NULL || vm->vcpus == NULL)
		return -ENOMEM;
	status = domain_xml_plugged(domain, topology.vcpu_max, plugged);
	if (status < 0)
		return status;
	for (uint32_t id = 0; id < topology.vcpu_max; id++) {
		struct vm_roster_vcpu *vcpu = &vm->vcpus[vm->vcpu_count];

		if (!plugged[id])
			continue;
		*vcpu = (struct vm_roster_vcpu){.id = id, .socket = id / topology.vcpus_per_socket};
		vm->socket_count = vcpu->socket + 1;
		vm->vcpu_count++;
	}
	return vm->vcpu_count > 0 ? 0 : -EINVAL;
}

static int domain_xml_identity(const xmlNode *domain, struct vm_roster_vm *vm, struct diag *diag)
{
	cleanup_text xmlChar *name = xmlNodeGetContent(domain_xml_child(domain, "name"));
	cleanup_text xmlChar *uuid = xmlNodeGetContent(domain_xml_child(domain, "uuid"));

	if (uuid == NULL || uuid_parse((const char *)uuid, &vm->uuid) < 0 || uuid_is_nil(&vm->uuid))
		return diag_error(diag, -EINVAL, "the domain has no valid <uuid>");
	if (name == NULL || name[0] == '\0')
		return diag_error(diag, -EINVAL, "the domain has no <name>");
	vm_roster_set_name(vm, (const char *)name);
	return 0;
}

static int domain_xml_fill(const xmlNode *domain, struct vm_roster_vm *vm, struct diag *diag)
{
	xmlNode *memory = domain_xml_child(domain, "currentMemory");
	int status = domain_xml_identity(domain, vm, diag);

	if (status < 0)
		return status;
	if (memory == NULL)
		memory = domain_xml_child(domain, "memory");
	if (memory != NULL) {
		status = domain_xml_memory(memory, &vm->memory_bytes);
		if (status < 0)
			return diag_error(diag, status, "<%s> is not a size",
					  (const char *)memory->name);
	}
	status = domain_xml_vcpus(domain, vm);
	if (status < 0)
		return diag_error(diag, status, "<vcpu>, <vcpus> or <topology> make no sense");
	return 0;
}

int domain_xml_parse(const char *text, size_t size, struct vm_roster_vm *ret_vm, struct diag *diag)
{
	struct vm_roster_vm vm = {.socket_count = 1};
	cleanup_document xmlDoc *document = NULL;
	const xmlNode *domain;
	int status;

	if (size > DOMAIN_XML_SIZE_MAX)
		return diag_error(diag, -EFBIG, "the domain's XML is larger than %u bytes",
				  DOMAIN_XML_SIZE_MAX);
	document = xmlReadMemory(text, (int)size, NULL, NULL, DOMAIN_XML_OPTIONS);
	if (document == NULL)
		return diag_error(diag, -EINVAL, "the domain's XML is not well-formed");
	/* libvirt writes no DTD; reading one's entities back could grow without bounds. */
	if (xmlGetIntSubset(document) != NULL)
		return diag_error(diag, -EINVAL, "the domain's XML has a document type");
	domain = xmlDocGetRootElement(document);
	if (domain == NULL || strcmp((const char *)domain->name, "domain") != 0)
		return diag_error(diag, -EINVAL, "the XML is not a <domain>");
	status = domain_xml_fill(domain, &vm, diag);
	if (status < 0) {
		free(vm.vcpus);
		return status;
	}
	*ret_vm = vm;
	return 0;
}
