/*
 * heritage.h: what one wattport-fs leaves to the next: two descriptors that outlive it.
 *
 * Guests must not notice a restart or an upgrade of wattport-fs. What they hold on to is the
 * connection (/dev/fuse, which the mount lives by) and what this program remembers of it: which
 * numbers it gave to the kernel and what it told of every counter. The latter is kept in sealed
 * memory with a descriptor of its own (memfd_create(2)), so that both can be handed on: by the
 * service manager, which keeps them while nobody runs (fd_store.h), or taken from a process that
 * still has them (takeover.h), for which both lie at fixed numbers in keeper and worker.
 *
 * The successor may be of another version, newer or older, with another memory layout. There is no
 * number of a layout, because a number alone tells a successor only that it understands nothing.
 * Instead the memory begins with a description: where each thing lies, by name. Where the
 * descriptions are equal the memory is used as it is; else all that both know by the same name is
 * copied into new memory, and what is missing begins empty. So nobody has to write a conversion,
 * and a downgrade is as good as an upgrade. The contract is this:
 *   - struct heritage and the fixed numbers never change but with HERITAGE_VERSION, whose
 *     predecessors a successor does not understand: then it mounts anew and running guests lose
 *     their tree.
 *   - a column's name stands for its meaning and the type of its elements: who changes these gives
 *     it another name. A longer element with the same beginning (an array that grew) keeps it.
 *   - node ids (tree_table.h, vtree_internal.h) mean the same for ever: the kernel holds them.
 *
 * Generic: knows nothing of what the columns hold. One thread.
 */
#ifndef WATTPORT_FUSEFS_HERITAGE_H
#define WATTPORT_FUSEFS_HERITAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HERITAGE_VERSION    1
#define HERITAGE_COLUMN_MAX 64
#define HERITAGE_NAME_SIZE  24 /* with the NUL */

/* Where keeper and worker hold them; behind any that a service manager passes at start. */
#define HERITAGE_FUSE_FD   100
#define HERITAGE_MEMORY_FD 101

/*
 * A list of `count` elements, each `stride` behind the one before; and in each of them again
 * `inner_count` of `size` bytes, each `inner_stride` behind the one before. The first is at
 * `offset`.
 */
struct heritage_column {
	char name[HERITAGE_NAME_SIZE];
	uint64_t offset;
	uint32_t size;
	uint32_t count; /* 1 at least, like the inner one; then the stride does not matter */
	uint32_t stride;
	uint32_t inner_count;
	uint32_t inner_stride;
	uint32_t reserved; /* 0 */
};

/* The beginning of the memory. */
struct heritage {
	char magic[8];
	uint32_t version;
	uint32_t column_count;
	uint64_t size;	       /* of the whole */
	uint64_t epoch;	       /* goes up when a successor copies: the higher one holds */
	uint64_t reign;	       /* goes up with each keeper: a worker of another must not begin */
	uint64_t mount_device; /* what is mounted; mountpoint.h */
	struct heritage_column columns[HERITAGE_COLUMN_MAX];
};

/* A layout, as the program that runs wants it. */
struct heritage_layout {
	size_t size;
	size_t column_count; /* up to HERITAGE_COLUMN_MAX */
	const struct heritage_column *columns;
};

/* The memory in this process. */
struct heritage_mapping {
	struct heritage *heritage;
	size_t size;
	int fd; /* not the mapping's own: whoever maps keeps it as long */
};

/* New memory of that layout, zero but for its beginning. Untouched pages cost nothing. */
int heritage_create(const struct heritage_layout *layout, int *ret_fd,
		    struct heritage_mapping *ret_mapping);

/*
 * Maps what a descriptor from elsewhere means. -EPROTO: it is no memory of ours, or of a
 * HERITAGE_VERSION that we do not understand. What it says of its size is not to be trusted.
 */
int heritage_map(int fd, struct heritage_mapping *ret_mapping);

/* One that is all zero is allowed. */
void heritage_unmap(struct heritage_mapping *mapping);

/* Whether the memory is laid out like that, in all. */
bool heritage_matches(const struct heritage_mapping *mapping, const struct heritage_layout *layout);

/*
 * Copies what both know, as many elements and bytes of each as both have, and the rest of the
 * beginning; `to` gets the next epoch. It cannot fail: when it is done nobody serves any more. What
 * was never written takes no memory in the copy either, so far as there is memory to find it out.
 * Nobody may change `from` meanwhile, and its description is not trusted: an unprivileged process
 * could write there.
 */
void heritage_copy(const struct heritage_mapping *from, struct heritage_mapping *to);

#define cleanup_heritage __attribute__((cleanup(heritage_unmap)))

#endif
