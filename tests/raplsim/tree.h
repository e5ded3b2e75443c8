/* Names and content of every file below DIR/sys, as the kernel makes them: the powercap class and
 * the CPU topology. Stands between the model and the mount. Fixed once laid out, but for zones that
 * come and go. Pure: no I/O; one thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/raplsim/host.h"

#define TREE_NAME_SIZE 40
#define TREE_TEXT_SIZE 4096 /* A file of sysfs never has more than a page. */
#define TREE_ROOT      0
#define TREE_NONE      SIZE_MAX

struct tree;

enum tree_kind { TREE_DIR, TREE_LINK, TREE_TEXT, TREE_ENERGY };

struct tree_node {
	enum tree_kind kind;
	unsigned int mode; /* Permission bits. */
	char name[TREE_NAME_SIZE];
	char *text; /* A file's fixed content or a link's target. */
	size_t parent;
	size_t child;	   /* First child, or TREE_NONE. */
	size_t sibling;	   /* Next child of the same parent, or TREE_NONE. */
	size_t zone;	   /* The zone this belongs to, or TREE_NONE: see tree_zone_set(). */
	size_t model_zone; /* TREE_ENERGY: index into host->zones. */
};

/* possible and present are the kernel's CPU lists, or NULL for those of host's CPUs.
 * host must outlive the tree. 0 or -ENOMEM. */
int tree_create(const struct host *host, const char *possible, const char *present,
		struct tree **ret_tree);
void tree_destroy(struct tree *tree);

size_t tree_node_count(const struct tree *tree);
const struct tree_node *tree_node(const struct tree *tree, size_t node);

/* The child of that name, or TREE_NONE if there is none or it belongs to an absent zone. */
size_t tree_lookup(const struct tree *tree, size_t parent, const char *name);
/* Whether the node's zone is there now. */
bool tree_visible(const struct tree *tree, size_t node);
/* Counts the removals of the node's zone. What was opened under another number is a file of a
 * device that is gone, and answers ENODEV as sysfs does. */
uint32_t tree_incarnation(const struct tree *tree, size_t node);

/* The directory that a person means: a zone by its id ("intel-rapl:0:1") or key
 * ("package-0/dram"), or a path below sys. Absent zones are found too. TREE_NONE if none. */
size_t tree_find_dir(const struct tree *tree, const char *name);
/* A directory's entry whether visible or not, or TREE_NONE. */
size_t tree_find_file(const struct tree *tree, size_t dir, const char *name);

/* Takes away or brings back the zone whose directory is dir and every zone below it. -EINVAL if dir
 * is not a zone's directory, -EALREADY if it is so already. */
int tree_zone_set(struct tree *tree, size_t dir, bool present);

/* A file's whole content as of the model's last advance. Returns its length. */
size_t tree_format(const struct tree *tree, size_t node, const struct model *model,
		   char text[TREE_TEXT_SIZE]);
