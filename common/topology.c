#include "common/topology.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/parse.h"
#include "common/topology_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define TOPOLOGY_DIRECTORY     "devices/system/cpu"
#define TOPOLOGY_PATH_SIZE     64
#define TOPOLOGY_LIST_SIZE_MAX 65536 /* every second of TOPOLOGY_CPU_MAX CPUs fits */
#define TOPOLOGY_ID_SIZE_MAX   32

/* The digits at *cursor; moves behind them. */
static int topology_list_number(const char **cursor, uint32_t *ret_number)
{
	char digits[16];
	size_t length = strspn(*cursor, "0123456789");
	uint32_t number;
	int status;

	if (length >= sizeof(digits))
		return -ERANGE;
	memcpy(digits, *cursor, length);
	digits[length] = '\0';
	status = parse_u32(digits, &number);
	if (status < 0)
		return status;
	if (number >= TOPOLOGY_CPU_MAX)
		return -ERANGE;
	*cursor += length;
	*ret_number = number;
	return 0;
}

int topology_list_next(const char **cursor, struct topology_range *ret_range)
{
	struct topology_range range;
	const char *c = *cursor;
	int status;

	if (*c == '\0' || strcmp(c, "\n") == 0)
		return -ENODATA;
	status = topology_list_number(&c, &range.first);
	if (status < 0)
		return status;
	range.last = range.first;
	if (*c == '-') {
		c++;
		status = topology_list_number(&c, &range.last);
		if (status < 0)
			return status;
	}
	if (range.last < range.first)
		return -EINVAL;
	if (*c == ',' && c[1] >= '0' && c[1] <= '9')
		c++;
	else if (*c != '\0' && strcmp(c, "\n") != 0)
		return -EINVAL;
	*cursor = c;
	*ret_range = range;
	return 0;
}

int topology_parse_id(const char *text, uint32_t unknown, uint32_t *ret_id)
{
	if (strcmp(text, "-1") == 0) {
		*ret_id = unknown;
		return 0;
	}
	return parse_u32(text, ret_id);
}

static int topology_read_id(int cpus_fd, uint32_t cpu, const char *name, uint32_t unknown,
			    uint32_t *ret_id)
{
	char path[TOPOLOGY_PATH_SIZE], text[TOPOLOGY_ID_SIZE_MAX];
	int status;

	(void)snprintf(path, sizeof(path), "cpu%u/topology/%s", (unsigned)cpu, name);
	status = file_read_line_at(cpus_fd, path, text, sizeof(text));
	if (status < 0)
		return status;
	return topology_parse_id(text, unknown, ret_id);
}

/* -ENOENT: the CPU has no topology, that is, it is offline. */
static int topology_read_cpu(int cpus_fd, uint32_t cpu, struct topology_cpu *ret_cpu)
{
	struct topology_cpu found = {.cpu = cpu};
	int status;

	status = topology_read_id(cpus_fd, cpu, "physical_package_id", 0, &found.package);
	if (status < 0)
		return status;
	status = topology_read_id(cpus_fd, cpu, "core_id", cpu, &found.core);
	if (status < 0)
		return status;
	/* Kernels before 5.2 have no die_id: then a package is one die. */
	status = topology_read_id(cpus_fd, cpu, "die_id", 0, &found.die);
	if (status < 0 && status != -ENOENT)
		return status;
	*ret_cpu = found;
	return 0;
}

static int topology_read_range(int cpus_fd, struct topology_range range, struct topology *topology,
			       struct diag *diag)
{
	for (uint32_t number = range.first; number <= range.last; number++) {
		struct topology_cpu cpu;
		int status = topology_read_cpu(cpus_fd, number, &cpu);

		if (status == -ENOENT)
			continue;
		if (status < 0)
			return diag_error(diag, status,
					  "cannot read the topology of CPU %u in sys/%s: %s",
					  (unsigned)number, TOPOLOGY_DIRECTORY, strerror(-status));
		status = topology_add(topology, &cpu);
		if (status < 0)
			return diag_error(diag, status, "sys/%s/present is not in ascending order",
					  TOPOLOGY_DIRECTORY);
	}
	return 0;
}

static int topology_read_present(int cpus_fd, struct topology *topology, struct diag *diag)
{
	cleanup_free char *list = malloc(TOPOLOGY_LIST_SIZE_MAX);
	const char *cursor = list;
	struct topology_range range;
	int status;

	if (list == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	status = file_read_line_at(cpus_fd, "present", list, TOPOLOGY_LIST_SIZE_MAX);
	if (status < 0)
		return diag_error(diag, status, "cannot read sys/%s/present: %s",
				  TOPOLOGY_DIRECTORY, strerror(-status));
	while ((status = topology_list_next(&cursor, &range)) == 0) {
		status = topology_read_range(cpus_fd, range, topology, diag);
		if (status < 0)
			return status;
	}
	if (status != -ENODATA)
		return diag_error(diag, status, "sys/%s/present is no list of CPUs: %s",
				  TOPOLOGY_DIRECTORY, strerror(-status));
	return 0;
}

int topology_read(const struct sysroot *root, struct topology **ret_topology, struct diag *diag)
{
	cleanup_topology struct topology *topology = NULL;
	cleanup_fd int cpus_fd =
	    openat(sysroot_sys_fd(root), TOPOLOGY_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int status;

	if (cpus_fd < 0)
		return diag_error(diag, -errno,
				  "cannot open sys/%s under %s: %s; is sysfs mounted there?",
				  TOPOLOGY_DIRECTORY, sysroot_path(root), strerror(errno));
	status = topology_create(&topology);
	if (status < 0)
		return diag_error(diag, status, "out of memory");
	status = topology_read_present(cpus_fd, topology, diag);
	if (status < 0)
		return status;
	if (topology->cpu_count == 0)
		return diag_error(diag, -ENODEV,
				  "no CPU in sys/%s under %s has a topology directory",
				  TOPOLOGY_DIRECTORY, sysroot_path(root));
	*ret_topology = TAKE_PTR(topology);
	return 0;
}

int topology_create(struct topology **ret_topology)
{
	struct topology *topology = calloc(1, sizeof(*topology));

	if (topology == NULL)
		return -ENOMEM;
	*ret_topology = topology;
	return 0;
}

void topology_destroy(struct topology *topology)
{
	free(topology);
}

int topology_add(struct topology *topology, const struct topology_cpu *cpu)
{
	if (topology->cpu_count > 0 && cpu->cpu <= topology->cpus[topology->cpu_count - 1].cpu)
		return -EINVAL;
	if (topology->cpu_count == TOPOLOGY_CPU_MAX)
		return -ENOSPC;
	topology->cpus[topology->cpu_count++] = *cpu;
	return 0;
}

int topology_index(const struct topology *topology, uint32_t cpu)
{
	size_t low = 0, high = topology->cpu_count;

	/* On most machines no number is missing. */
	if (cpu < topology->cpu_count && topology->cpus[cpu].cpu == cpu)
		return (int)cpu;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (topology->cpus[middle].cpu == cpu)
			return (int)middle;
		if (topology->cpus[middle].cpu < cpu)
			low = middle + 1;
		else
			high = middle;
	}
	return -ENOENT;
}

bool topology_cpu_in_zone(const struct topology_cpu *cpu, const struct zone *zone)
{
	if (zone->kind == ZONE_PSYS)
		return true;
	return cpu->package == zone->package &&
	       (zone->die == ZONE_ANY_DIE || zone->die == cpu->die);
}
