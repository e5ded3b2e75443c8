#include "host/domain_xml.h"
#include "common/cleanup.h"
#include "common/parse.h"
#include "host/xml_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The number that is the whole content of a node, white space around it apart. */
static int domain_xml_content_u64(const xmlNode *node, uint64_t *ret_value)
{
	cleanup_xml_text xmlChar *text = xmlNodeGetContent(node);
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
static int domain_xml_attribute_u32(const xmlNode *node, const char *name, uint32_t *ret_value)
{
	cleanup_xml_text xmlChar *text = xml_tree_attribute(node, name);

	return text != NULL ? parse_u32((const char *)text, ret_value) : -ENODATA;
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
	cleanup_xml_text xmlChar *unit = xml_tree_attribute(node, "unit");
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
	xmlNode *node = xml_tree_child(xml_tree_child(domain, "cpu"), "topology");
	struct domain_xml_topology topology = {.vcpus_per_socket = 1};
	xmlNode *vcpu = xml_tree_child(domain, "vcpu");
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
	const xmlNode *list = xml_tree_child(domain, "vcpus");
	uint32_t current = vcpu_max;
	int status = domain_xml_attribute_u32(xml_tree_child(domain, "vcpu"), "current", &current);

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
		    !xml_tree_attribute_is(node, "enabled", "yes"))
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
	vm->vcpus_per_socket = topology.vcpus_per_socket;
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
	cleanup_xml_text xmlChar *name = xmlNodeGetContent(xml_tree_child(domain, "name"));
	cleanup_xml_text xmlChar *uuid = xmlNodeGetContent(xml_tree_child(domain, "uuid"));

	if (uuid == NULL || uuid_parse((const char *)uuid, &vm->uuid) < 0 || uuid_is_nil(&vm->uuid))
		return diag_error(diag, -EINVAL, "the domain has no valid <uuid>");
	if (name == NULL || name[0] == '\0')
		return diag_error(diag, -EINVAL, "the domain has no <name>");
	vm_roster_set_name(vm, (const char *)name);
	return 0;
}

static int domain_xml_fill(const xmlNode *domain, struct vm_roster_vm *vm, struct diag *diag)
{
	xmlNode *memory = xml_tree_child(domain, "currentMemory");
	int status = domain_xml_identity(domain, vm, diag);

	if (status < 0)
		return status;
	if (memory == NULL)
		memory = xml_tree_child(domain, "memory");
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
	int status = xml_tree_parse(text, size, "domain", &document, diag);

	if (status < 0)
		return status;
	status = domain_xml_fill(xmlDocGetRootElement(document), &vm, diag);
	if (status < 0) {
		free(vm.vcpus);
		return status;
	}
	*ret_vm = vm;
	return 0;
}
