#include "tests/unit/guest_tree.h"
#include "tests/unit/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

void guest_tree_create(struct guest_tree *guest)
{
	struct diag diag = DIAG_INIT;

	*guest = (struct guest_tree){.root = NULL};
	tree_create(&guest->tree);
	tree_write(&guest->tree, "proc/self/mountinfo", "1 0 0:1 / / rw - ext4 root rw\n");
	tree_write(&guest->tree, "proc/cpuinfo", "processor\t: 0\n\n");
	(void)snprintf(guest->at, sizeof(guest->at), "%s/tree", guest->tree.path);
	assert_int_equal(sysroot_open(guest->tree.path, &guest->root, &diag), 0);
}

void guest_tree_remove(struct guest_tree *guest)
{
	sysroot_close(guest->root);
	tree_remove(&guest->tree);
}

void guest_tree_set_energy(const struct guest_tree *guest, const char *base, unsigned int index,
			   uint64_t energy_uj)
{
	char path[256];

	(void)snprintf(path, sizeof(path),
		       "%s/devices/virtual/powercap/intel-rapl/intel-rapl:%x/energy_uj", base,
		       index);
	tree_write(&guest->tree, path, "%" PRIu64 "\n", energy_uj);
}

static void add_link(const struct guest_tree *guest, const char *base, const char *name,
		     const char *target)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/class", base);
	(void)mkdirat(guest->tree.fd, path, 0755);
	(void)snprintf(path, sizeof(path), "%s/class/powercap", base);
	(void)mkdirat(guest->tree.fd, path, 0755);
	(void)snprintf(path, sizeof(path), "%s/class/powercap/%s", base, name);
	if (symlinkat(target, guest->tree.fd, path) < 0)
		assert_int_equal(errno, EEXIST);
}

void guest_tree_add_zone(const struct guest_tree *guest, const char *base, unsigned int index,
			 uint64_t energy_uj, const char *range_uj)
{
	char path[256], name[64], target[256];

	(void)snprintf(path, sizeof(path), "%s/devices/virtual/powercap/intel-rapl/enabled", base);
	tree_write(&guest->tree, path, "1\n");
	(void)snprintf(path, sizeof(path),
		       "%s/devices/virtual/powercap/intel-rapl/intel-rapl:%x/name", base, index);
	tree_write(&guest->tree, path, "package-%u\n", index);
	(void)snprintf(path, sizeof(path),
		       "%s/devices/virtual/powercap/intel-rapl/intel-rapl:%x/max_energy_range_uj",
		       base, index);
	tree_write(&guest->tree, path, "%s\n", range_uj);
	guest_tree_set_energy(guest, base, index, energy_uj);
	add_link(guest, base, "intel-rapl", "../../devices/virtual/powercap/intel-rapl");
	(void)snprintf(name, sizeof(name), "intel-rapl:%x", index);
	(void)snprintf(target, sizeof(target), "../../devices/virtual/powercap/intel-rapl/%s",
		       name);
	add_link(guest, base, name, target);
}

void guest_tree_set_info(const struct guest_tree *guest, const char *source, uint64_t age_ms)
{
	tree_write(&guest->tree, "tree/wattport/age_ms", "%" PRIu64 "\n", age_ms);
	tree_write(&guest->tree, "tree/wattport/mode", "isolated\n");
	tree_write(&guest->tree, "tree/wattport/source", "%s\n", source);
	tree_write(&guest->tree, "tree/wattport/uuid", "%s\n", GUEST_TREE_UUID);
}
