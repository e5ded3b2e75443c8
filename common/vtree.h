/*
 * vtree.h: the powercap tree that a guest sees: the one description of it.
 *
 * Last stage of the flow. Names, types, modes, links and the text of every file are described here
 * and nowhere else; a front end (FUSE, or plain files) serves what these functions say. Pure: no
 * state, no I/O, safe in any thread.
 *
 * A node is a number that means something by itself (what, zone, socket, attribute), so a process
 * that was just started understands the nodes that another one handed out.
 *
 * The layout is the kernel's (drivers/powercap/powercap_sys.c, intel_rapl_common.c):
 *     class/powercap/intel-rapl              link to the control type
 *     class/powercap/intel-rapl:N[:M]        flat links to every zone
 *     devices/virtual/powercap/intel-rapl/   the control type, zones nested below
 *     wattport/                              what powercap has no place for
 * Zone N is package-N, the guest's physical_package_id; N is hexadecimal. core, uncore and dram, as
 * far as they are shown, are its children, numbered from 0 in this order. psys is a zone of its own
 * behind the packages. Where we differ from sysfs:
 *   - `uevent` is empty there; here it is one newline, because no value of ours is ever empty.
 *     Readers of KEY=VALUE lines find none in either.
 *   - a symbolic link's size is its length (0 there), as in every other file system.
 *   - `power/` is left out, as nothing of a guest's zone can be suspended, and `device`, a link to
 *     the directory above.
 *   - nobody limits a guest's power here: constraint_0 of each zone says so with a limit of 0 uW,
 *     as a host does whose firmware sets none, and with a maximum that no zone comes near: thermald
 *     takes 0 for a limit, and measures only what has one beyond its bounds. constraint_1 and _2
 *     could say no more.
 *
 * `wattport/snapshot` is all counters in one consistent read:
 *     t_ns N                when the sample was taken; 0: none yet. Exact: the host's
 *                           CLOCK_BOOTTIME; isolated: since the tree was opened first
 *     package-0 ENERGY_UJ   one line a zone: packages, then core-N, uncore-N, dram-N, then psys
 *
 * `wattport/compat/` has what the virtual machine modes of other tools read:
 *     watts                 PowerJoular's format "watts": the power in watts, a plain number
 *     powerjoular           its format "powerjoular": UNIX_SECONDS,CPU_LOAD,WATTS (load 0 to 1)
 *     scaphandre/           for SCAPHANDRE_POWERCAP_PATH: the zones in one flat directory and with
 *                           decimal numbers, because it finds no others, and without psys
 * Power is that of packages and DRAM together, what a reader of their counters would work out.
 */
#ifndef WATTPORT_COMMON_VTREE_H
#define WATTPORT_COMMON_VTREE_H

#include "common/uuid.h"
#include "common/zone.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define VTREE_SOCKET_MAX      64
#define VTREE_CONTENT_SIZE    8192 /* no file holds more; only a snapshot more than sysfs' page */
#define VTREE_NAME_SIZE	      32   /* of one entry, with the NUL */
#define VTREE_LINK_SIZE	      128  /* of a link's target, with the NUL */
#define VTREE_NODE_BITS	      18   /* of a node's id that may be set */
#define VTREE_ENERGY_RANGE_UJ UINT64_C(9007199254740991) /* 2^53 - 1: whole in a double */
#define VTREE_POWER_MAX_UW    UINT64_C(1000000000)	 /* fits into 32 bits, too */

/* What a tree consists of. */
struct vtree_shape {
	uint32_t socket_count; /* 1 to VTREE_SOCKET_MAX */
	bool core;
	bool uncore;
	bool dram;
	bool psys;
	bool exact; /* counters are for their owner alone: mode 0400 */
};

/* The zones that a tree shows only when asked for, where the host measures them. */
struct vtree_request {
	bool core;
	bool uncore;
	bool psys;
};

/* What its files say. */
struct vtree_values {
	struct vtree_shape shape;
	struct uuid uuid;
	uint32_t generation;
	uint64_t age_ms;
	uint64_t time_ns;   /* of the sample */
	const char *source; /* never NULL */
	/* By enum zone_kind. */
	uint64_t socket_uj[VTREE_SOCKET_MAX][ZONE_SOCKET_KIND_COUNT];
	uint64_t psys_uj;
	uint64_t wall_s;   /* seconds since 1970 */
	uint64_t power_uw; /* what the counters tell, over about the last second */
	uint32_t load_ppm; /* CPU time of the same second, of what its vCPUs could have had */
};

struct vtree_node {
	uint64_t id; /* never 0; below 2^VTREE_NODE_BITS */
};

struct vtree_entry {
	char name[VTREE_NAME_SIZE];
	struct vtree_node node;
};

struct vtree_attributes {
	mode_t mode; /* with the type */
	uint32_t link_count;
	uint64_t size; /* as in sysfs, 4096 for files whatever they hold; never less than that */
};

/* The counters, for those who must treat them apart. */
enum vtree_counter_kind {
	VTREE_COUNTER_NONE,
	VTREE_COUNTER_ONE,
	VTREE_COUNTER_ALL,  /* the snapshot */
	VTREE_COUNTER_RATE, /* what follows from them, without telling their values */
};

/* The directory that all others lie in. */
struct vtree_node vtree_root(void);

/* The entry of that name. -ENOENT; -ENOTDIR; -ESTALE when `directory` is not of this shape. */
int vtree_lookup(const struct vtree_shape *shape, struct vtree_node directory, const char *name,
		 struct vtree_node *ret_node);

/* The entry at that place, from 0. -ENOENT behind the last; else as above. */
int vtree_list(const struct vtree_shape *shape, struct vtree_node directory, size_t index,
	       struct vtree_entry *ret_entry);

/* -ESTALE when there is no such node in this shape: made up, or of a zone that is no more. */
int vtree_attributes(const struct vtree_shape *shape, struct vtree_node node,
		     struct vtree_attributes *ret_attributes);

/* The target of a symbolic link. -EINVAL for what is none; -ESTALE as above. */
int vtree_link(const struct vtree_shape *shape, struct vtree_node node,
	       char ret_target[static VTREE_LINK_SIZE]);

/* What a read of the node depends on: counters or nothing that moves fast. */
enum vtree_counter_kind vtree_counter(struct vtree_node node);

/*
 * The counter of these values that a file shows which vtree_counter() calls VTREE_COUNTER_ONE, for
 * who must not tell less than was told before; NULL for every other node.
 */
uint64_t *vtree_energy_uj(struct vtree_values *values, struct vtree_node node);

/*
 * The text of a file: lines that end in a newline, at least one. Returns its length; -EISDIR for a
 * directory, -EINVAL for a link, -ESTALE as above.
 */
int vtree_content(const struct vtree_values *values, struct vtree_node node,
		  char ret_text[static VTREE_CONTENT_SIZE]);

#endif
