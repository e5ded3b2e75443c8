#include "host/attach_memory.h"
#include "host/xml_tree.h"

#include <errno.h>

static const xmlNode *attach_memory_first_cell(const xmlNode *domain)
{
	return xml_tree_child(xml_tree_child(xml_tree_child(domain, "cpu"), "numa"), "cell");
}

static bool attach_memory_all_cells_shared(const xmlNode *domain)
{
	const xmlNode *cell = attach_memory_first_cell(domain);

	if (cell == NULL)
		return false;
	for (; cell != NULL; cell = xml_tree_next(cell, "cell"))
		if (!xml_tree_attribute_is(cell, "memAccess", "shared"))
			return false;
	return true;
}

static bool attach_memory_any_cell_private(const xmlNode *domain)
{
	for (const xmlNode *cell = attach_memory_first_cell(domain); cell != NULL;
	     cell = xml_tree_next(cell, "cell"))
		if (xml_tree_attribute_is(cell, "memAccess", "private"))
			return true;
	return false;
}

static bool attach_memory_any_module_private(const xmlNode *domain)
{
	const xmlNode *module = xml_tree_child(xml_tree_child(domain, "devices"), "memory");

	for (; module != NULL; module = xml_tree_next(module, "memory"))
		if (xml_tree_attribute_is(module, "access", "private"))
			return true;
	return false;
}

bool attach_memory_is_shared(const xmlNode *domain)
{
	const xmlNode *backing = xml_tree_child(domain, "memoryBacking");

	if (attach_memory_all_cells_shared(domain))
		return true;
	return xml_tree_attribute_is(xml_tree_child(backing, "access"), "mode", "shared") &&
	       !attach_memory_any_cell_private(domain);
}

int attach_memory_check(const xmlNode *domain, struct diag *diag)
{
	const xmlNode *backing = xml_tree_child(domain, "memoryBacking");

	/* What is neither shared nor to be changed without the operator: it was written on purpose.
	 */
	if (attach_memory_any_module_private(domain))
		return diag_error(diag, -ENOTSUP,
				  "virtiofs needs shared memory and a <memory> device has "
				  "access='private'; set it to shared or use --transport 9p");
	if (attach_memory_is_shared(domain))
		return 0;
	if (attach_memory_any_cell_private(domain))
		return diag_error(diag, -ENOTSUP,
				  "virtiofs needs shared memory and a NUMA cell of the domain has "
				  "memAccess='private'; set it to shared or use --transport 9p");
	if (xml_tree_child(backing, "access") != NULL)
		return diag_error(diag, -ENOTSUP,
				  "virtiofs needs shared memory and the domain asks for private "
				  "memory; set <access mode='shared'/> in its <memoryBacking> or "
				  "use --transport 9p");
	if (xml_tree_attribute_is(xml_tree_child(backing, "source"), "type", "anonymous"))
		return diag_error(diag, -ENOTSUP,
				  "virtiofs needs shared memory and the domain asks for anonymous "
				  "memory; set <source type='memfd'/> in its <memoryBacking> or "
				  "use --transport 9p");
	return 0;
}

bool attach_memory_lacks_source(const xmlNode *domain)
{
	const xmlNode *backing = xml_tree_child(domain, "memoryBacking");

	return xml_tree_child(backing, "source") == NULL &&
	       xml_tree_child(backing, "hugepages") == NULL;
}

size_t attach_memory_users(const xmlNode *domain, const char *except, const char **ret_user)
{
	const xmlNode *devices = xml_tree_child(domain, "devices");
	const xmlNode *node = devices != NULL ? devices->children : NULL;
	size_t count = 0;

	*ret_user = NULL;
	for (; node != NULL; node = node->next) {
		const xmlNode *driver = xml_tree_child(node, "driver");

		if (xml_tree_attribute_is(xml_tree_child(node, "target"), "dir", except))
			continue;
		if (xml_tree_attribute_is(driver, "type", "virtiofs"))
			*ret_user = "another virtiofs share needs it";
		else if (xml_tree_attribute_is(node, "type", "vhostuser") ||
			 xml_tree_attribute_is(driver, "name", "vhostuser"))
			*ret_user = "a vhost-user device needs it";
		else
			continue;
		count++;
	}
	return count;
}
