/*
 * guest_tree.h: a host's tree and a guest's /sys, of a test's own making.
 *
 * The tree lies in DIR/tree, as the share would be mounted; the guest's sysroot is DIR itself.
 */
#ifndef WATTPORT_TESTS_GUEST_TREE_H
#define WATTPORT_TESTS_GUEST_TREE_H

#include "common/sysroot.h"
#include "tests/unit/tree.h"

#include <stdint.h>

#define GUEST_TREE_UUID	 "11111111-2222-3333-4444-555555555555"
#define GUEST_TREE_RANGE "9007199254740991"

struct guest_tree {
	struct tree tree;
	struct sysroot *root;
	char at[96]; /* DIR/tree */
};

/* An empty machine: no powercap, no tree, one mount. */
void guest_tree_create(struct guest_tree *guest);
void guest_tree_remove(struct guest_tree *guest);

/* Zone `index` with these values below DIR/BASE, BASE being "sys" or "tree". */
void guest_tree_add_zone(const struct guest_tree *guest, const char *base, unsigned int index,
			 uint64_t energy_uj, const char *range_uj);
void guest_tree_set_energy(const struct guest_tree *guest, const char *base, unsigned int index,
			   uint64_t energy_uj);

/* wattport/ of DIR/tree: isolated, that source, that age. */
void guest_tree_set_info(const struct guest_tree *guest, const char *source, uint64_t age_ms);

#endif
