#include "guest/compat.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define COMPAT_NAME_SIZE 32

static const struct compat_tool *const compat_tools[] = {&compat_scaphandre, &compat_node,
							 &compat_kepler};

const struct compat_tool *compat_list(size_t index)
{
	return index < sizeof(compat_tools) / sizeof(compat_tools[0]) ? compat_tools[index] : NULL;
}

static uint32_t compat_find(const char *name, size_t length)
{
	for (size_t i = 0; compat_list(i) != NULL; i++)
		if (strlen(compat_list(i)->name) == length &&
		    strncmp(compat_list(i)->name, name, length) == 0)
			return UINT32_C(1) << i;
	return 0;
}

int compat_parse(const char *text, uint32_t *ret_tools, struct diag *diag)
{
	uint32_t tools = 0;

	if (strcmp(text, "none") == 0)
		text = "";
	for (text += strspn(text, " "); *text != '\0'; text += strspn(text, " ")) {
		size_t length = strcspn(text, " ");
		uint32_t tool = compat_find(text, length);

		if (tool == 0)
			return diag_error(diag, -EINVAL,
					  "there are the names of scaphandre, node and kepler, not "
					  "of %.*s",
					  COMPAT_NAME_SIZE, text);
		tools |= tool;
		text += length;
	}
	*ret_tools = tools;
	return 0;
}

void compat_write_metrics(struct metrics *metrics, uint32_t tools,
			  const struct compat_machine *machine)
{
	if (!machine->view->reading.up)
		return;
	for (size_t i = 0; compat_list(i) != NULL; i++)
		if ((tools & UINT32_C(1) << i) != 0)
			compat_list(i)->write(metrics, machine);
}

enum zone_kind compat_zone_kind(const char *id)
{
	char name[ZONE_ID_SIZE];
	enum zone_kind kind = ZONE_PSYS;

	(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(id, "-"), id);
	(void)zone_kind_parse(name, &kind);
	return kind;
}

uint32_t compat_zone_package(const char *id)
{
	uint32_t package = 0;

	for (id += strcspn(id, "0123456789"); *id >= '0' && *id <= '9'; id++)
		package = package * 10 + (uint32_t)(*id - '0');
	return package;
}

void compat_zone_path(const struct compat_machine *machine, const struct meter_zone *zone,
		      char ret_path[static COMPAT_PATH_SIZE])
{
	(void)snprintf(ret_path, COMPAT_PATH_SIZE, "%s/class/powercap/%s", machine->sys_path,
		       zone->place);
}
