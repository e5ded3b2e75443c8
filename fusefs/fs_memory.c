#include "fusefs/fs_memory.h"
#include "common/cleanup.h"
#include "fusefs/fuse_wire.h"
#include "fusefs/heritage.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define MEMORY_COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define MEMORY_SIZE(field) sizeof(((struct fs_memory *)NULL)->field)
/* NOLINTBEGIN(bugprone-macro-parentheses): neither a string that fills an array nor a member may
 * have parentheses. */
/* What each of `number` elements of a list has: `list[0].field`, or `list[0]` as a whole. */
#define MEMORY_EACH(title, list, field, number)                                                    \
	{                                                                                          \
		.name = title, .offset = offsetof(struct fs_memory, field),                        \
		.size = MEMORY_SIZE(field), .count = (number), .stride = MEMORY_SIZE(list[0]),     \
		.inner_count = 1                                                                   \
	}
#define MEMORY_ONE(title, field)                                                                   \
	{                                                                                          \
		.name = title, .offset = offsetof(struct fs_memory, field),                        \
		.size = MEMORY_SIZE(field), .count = 1, .inner_count = 1                           \
	}
#define MEMORY_TREE(title, field) MEMORY_EACH(title, trees.trees, trees.trees[0].field, TREE_MAX)
#define MEMORY_KEY(title, field)  MEMORY_EACH(title, trees.keys, trees.keys[0].field, TREE_MAX)
/* What was told of one kind of zone: of each socket of each tree. */
#define MEMORY_TOLD(title, kind)                                                                   \
	{                                                                                          \
		.name = title,                                                                     \
		.offset = offsetof(struct fs_memory, trees.trees[0].sockets[0][kind]),             \
		.size = MEMORY_SIZE(trees.trees[0].sockets[0][kind]), .count = TREE_MAX,           \
		.stride = MEMORY_SIZE(trees.trees[0]), .inner_count = VTREE_SOCKET_MAX,            \
		.inner_stride = MEMORY_SIZE(trees.trees[0].sockets[0])                             \
	}
/* NOLINTEND(bugprone-macro-parentheses) */

/*
 * What a successor of any version gets (heritage.h). A name stands for a meaning and a type: who
 * changes either takes another name, as when `struct served` gets another member. What is not
 * listed is found anew: hints, sums, and where the ledger has an account.
 */
static const struct heritage_column memory_columns[] = {
    MEMORY_ONE("opened", opened),
    MEMORY_ONE("granted", granted),
    MEMORY_ONE("exact", exact),
    MEMORY_ONE("told_blind", told_blind),
    MEMORY_ONE("told_away", told_away),
    MEMORY_ONE("told_no_resend", told_no_resend),
    MEMORY_ONE("init", init),
    MEMORY_ONE("current", current),
    MEMORY_EACH("parked", parked, parked[0], FS_PARKED_MAX),
    MEMORY_ONE("tree.count", trees.count),
    MEMORY_KEY("tree.uuid", uuid),
    MEMORY_KEY("tree.node_generation", generation),
    MEMORY_KEY("tree.used", used),
    MEMORY_KEY("tree.listed", listed),
    MEMORY_TREE("tree.sockets", shape.socket_count),
    MEMORY_TREE("tree.has_core", shape.core),
    MEMORY_TREE("tree.has_uncore", shape.uncore),
    MEMORY_TREE("tree.has_dram", shape.dram),
    MEMORY_TREE("tree.has_psys", shape.psys),
    MEMORY_TREE("tree.exact", shape.exact),
    MEMORY_TREE("tree.used_ns", used_ns),
    MEMORY_TREE("tree.updated_ns", updated_ns),
    MEMORY_TREE("tree.since_ns", since_ns),
    MEMORY_TREE("tree.generation", generation),
    MEMORY_TOLD("told_by_ms.package", ZONE_PACKAGE),
    MEMORY_TOLD("told_by_ms.core", ZONE_CORE),
    MEMORY_TOLD("told_by_ms.uncore", ZONE_UNCORE),
    MEMORY_TOLD("told_by_ms.dram", ZONE_DRAM),
    MEMORY_TREE("told_by_ms.psys", psys),
    MEMORY_ONE("handle.count", handles.count),
    MEMORY_EACH("handle.node", handles.nodes, handles.nodes[0], HANDLE_MAX),
    MEMORY_EACH("handle.text", handles.handles, handles.handles[0], HANDLE_MAX),
    MEMORY_EACH("handle.page", handles.pages, handles.pages[0], HANDLE_PAGE_MAX),
};

static const struct heritage_layout memory_layout = {
    .size = sizeof(struct fs_memory),
    .column_count = MEMORY_COUNT(memory_columns),
    .columns = memory_columns,
};

static_assert(MEMORY_COUNT(memory_columns) <= HERITAGE_COLUMN_MAX, "all can be described");
/* Whoever has to change one of these gives the columns that hold it another name. */
static_assert(sizeof(struct served) == 16, "rename told_by_ms.*");
static_assert(sizeof(struct handle) == 144, "rename handle.text");
/* Whoever adds to one of these lists it above, or says here why it needs no column. */
static_assert(sizeof(struct vtree_shape) == 12, "list what is new in memory_columns");
static_assert(offsetof(struct tree, sockets) == 64 &&
		  sizeof(struct tree) == 64 + sizeof(((struct tree *)NULL)->sockets) + 16,
	      "list what is new in memory_columns");
static_assert(sizeof(struct tree_key) == 20, "list what is new in memory_columns");
static_assert(ZONE_SOCKET_KIND_COUNT == 4, "list what is new in memory_columns: told_by_ms.*");

int fs_memory_create(struct fs_memory **ret_memory, int *ret_fd, struct diag *diag)
{
	struct heritage_mapping mapping;
	int status = heritage_create(&memory_layout, ret_fd, &mapping);

	if (status < 0)
		return diag_error(diag, status, "cannot get shared memory: %s", strerror(-status));
	*ret_memory = (struct fs_memory *)mapping.heritage;
	return 0;
}

/* Any byte but 0 for true: what is not 1 is no value of the type. */
static void fs_memory_mend_flag(bool *flag)
{
	unsigned char byte;

	memcpy(&byte, flag, sizeof(byte));
	*flag = byte != 0;
}

static void fs_memory_mend_tree(struct tree_key *key, struct vtree_shape *shape)
{
	fs_memory_mend_flag(&key->used);
	fs_memory_mend_flag(&key->listed);
	fs_memory_mend_flag(&shape->core);
	fs_memory_mend_flag(&shape->uncore);
	fs_memory_mend_flag(&shape->dram);
	fs_memory_mend_flag(&shape->psys);
	fs_memory_mend_flag(&shape->exact);
	key->used = key->used && key->generation != 0;
	if (shape->socket_count == 0)
		shape->socket_count = 1;
	if (shape->socket_count > VTREE_SOCKET_MAX)
		shape->socket_count = VTREE_SOCKET_MAX;
}

/* What another version may have left as this one would not, or a stolen worker. */
static void fs_memory_mend(struct fs_memory *memory)
{
	struct tree_table *trees = &memory->trees;

	fs_memory_mend_flag(&memory->opened);
	fs_memory_mend_flag(&memory->exact);
	fs_memory_mend_flag(&memory->told_blind);
	fs_memory_mend_flag(&memory->told_away);
	fs_memory_mend_flag(&memory->told_no_resend);
	if (trees->count > TREE_MAX)
		trees->count = TREE_MAX;
	for (uint32_t slot = 0; slot < trees->count; slot++)
		fs_memory_mend_tree(&trees->keys[slot], &trees->trees[slot].shape);
	/* From there on they have never been used. */
	memset(&trees->keys[trees->count], 0, (TREE_MAX - trees->count) * sizeof(trees->keys[0]));
}

/* The kernel's opening message, without which no worker can begin, in memory of any layout. */
static bool fs_memory_is_opened(const struct heritage_mapping *mapping)
{
	const struct heritage *heritage = mapping->heritage;

	for (uint32_t i = 0; i < heritage->column_count && i < HERITAGE_COLUMN_MAX; i++) {
		struct heritage_column column = heritage->columns[i];

		if (memcmp(column.name, "init", sizeof("init")) == 0 &&
		    column.offset < mapping->size &&
		    mapping->size - column.offset >= WIRE_OPENING_SIZE)
			return wire_is_opening((const char *)heritage + column.offset);
	}
	return false;
}

int fs_memory_inherit(int *fd, bool copy, struct fs_memory **ret_memory,
		      struct heritage_mapping *ret_old, struct diag *diag)
{
	cleanup_heritage struct heritage_mapping old = {.heritage = NULL};
	int status = heritage_map(*fd, &old);

	if (status == 0 && !fs_memory_is_opened(&old))
		status = -EPROTO;
	if (status < 0)
		return diag_error(diag, status,
				  "cannot use the memory of the last wattport-fs: %s; give up all "
				  "open trees with wattport-fs --unmount",
				  strerror(-status));
	*ret_old = (struct heritage_mapping){.heritage = NULL};
	if (!copy && heritage_matches(&old, &memory_layout)) {
		*ret_memory = (struct fs_memory *)old.heritage;
	} else {
		status = fs_memory_create(ret_memory, fd, diag);
		if (status < 0)
			return status;
		*ret_old = old;
	}
	old = (struct heritage_mapping){.heritage = NULL};
	return 0;
}

void fs_memory_adopt(struct fs_memory *memory, struct heritage_mapping *old)
{
	struct heritage_mapping own = {.heritage = &memory->heritage, .size = sizeof(*memory)};

	if (old->heritage != NULL) {
		heritage_copy(old, &own);
		(void)close(old->fd);
	}
	heritage_unmap(old);
	fs_memory_mend(memory);
}

void fs_memory_destroy(struct fs_memory *memory)
{
	struct heritage_mapping mapping = {.size = sizeof(*memory)};

	if (memory == NULL)
		return;
	mapping.heritage = &memory->heritage;
	heritage_unmap(&mapping);
}
