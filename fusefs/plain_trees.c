#include "fusefs/plain_trees.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "fusefs/fs_memory.h"
#include "fusefs/plain.h"
#include "fusefs/plain_tree.h"
#include "fusefs/reading.h"
#include "fusefs/refresh.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

struct plain_slot {
	struct plain_tree *tree; /* NULL: not taken over yet, or it cannot be made */
	int error;		 /* that was told last */
	bool announced;		 /* it may be there without an account */
	bool active;		 /* it is in the list of those */
	uint64_t orphan_ns;	 /* when it was first without an account; 0: it has one */
	uint64_t read_ns;	 /* struct mono_time when somebody was last seen reading it */
};

struct plain_trees {
	struct plain_trees_context context;
	struct fs_memory *memory;
	struct reading *reading;
	bool told_watches;
	uint32_t asked; /* place in the list of active trees */
	uint32_t active_count;
	uint32_t active[TREE_MAX];
	struct plain_slot slots[TREE_MAX];
};

/* --- one tree --- */

static void plain_trees_tell(struct plain_trees *trees, uint32_t slot, int error)
{
	char name[UUID_TEXT_SIZE];

	if (trees->slots[slot].error == error)
		return;
	trees->slots[slot].error = error;
	uuid_format(&trees->memory->trees.keys[slot].uuid, name);
	if (error == 0)
		log_info("the tree of %s is kept up to date again", name);
	else if (error == -ENOSPC)
		log_warning("the tree of %s cannot be made: its file system is full", name);
	else if (error == -EMFILE)
		log_warning("the tree of %s stands still: no descriptor left; raise LimitNOFILE=",
			    name);
	else
		log_warning("the tree of %s cannot be kept up to date: %s", name, strerror(-error));
}

static void plain_trees_close(struct plain_trees *trees, uint32_t slot)
{
	struct plain_slot *place = &trees->slots[slot];

	if (place->tree == NULL)
		return;
	plain_activity_forget(trees->context.activity, slot);
	plain_tree_close(place->tree);
	place->tree = NULL;
}

/* Asks to be told of the next read of each file that is rewritten, unless that is so already. */
static void plain_trees_watch(struct plain_trees *trees, uint32_t slot)
{
	struct plain_tree *tree = trees->slots[slot].tree;

	for (uint32_t i = 0; tree != NULL && i < tree->file_count; i++) {
		struct plain_file *file = &tree->files[i];
		int status;

		if (file->fd < 0 || file->watched)
			continue;
		status =
		    plain_activity_listen(trees->context.activity, file->fd,
					  (struct plain_activity_key){.tree = slot, .file = i});
		file->watched = status == 0;
		if (status < 0 && !trees->told_watches) {
			log_warning("cannot see who reads: %s; trees are rewritten once a period; "
				    "raise fs.inotify.max_user_watches",
				    strerror(-status));
			trees->told_watches = true;
		}
	}
}

/* Rewrites the files of one tree that were read since then; makes what is missing. */
static int plain_trees_update(struct plain_trees *trees, uint32_t slot, struct mono_time now,
			      uint64_t since_ns)
{
	struct plain_slot *place = &trees->slots[slot];
	struct vtree_values values;
	int status = 0;

	/* Only an account knows what the tree consists of; what is there must not shrink without.
	 */
	if (place->tree == NULL && !place->announced && !reading_has(trees->reading, slot, now))
		return 0;
	reading_values(trees->reading, slot, now, true, &values);
	if (place->tree != NULL && !plain_tree_has(place->tree, &values.shape))
		plain_trees_close(trees, slot);
	if (place->tree == NULL)
		status = plain_tree_open(trees->context.root_fd, &values, now, &place->tree);
	if (status == 0)
		status = plain_tree_update(place->tree, &values, now, since_ns);
	plain_trees_tell(trees, slot, status);
	plain_trees_watch(trees, slot);
	return status;
}

static void plain_trees_remove(struct plain_trees *trees, uint32_t slot, const struct uuid *uuid)
{
	char name[UUID_TEXT_SIZE];
	int status;

	uuid_format(uuid, name);
	plain_trees_close(trees, slot);
	trees->slots[slot] = (struct plain_slot){.active = trees->slots[slot].active};
	status = plain_tree_remove(trees->context.root_fd, name);
	if (status < 0)
		log_warning("cannot remove the tree of %s: %s", name, strerror(-status));
	else
		log_info("removed the tree of %s: nobody knows that machine any more", name);
}

/* --- all trees --- */

/* Those that are there from before. */
static int plain_trees_adopt(struct plain_trees *trees, struct mono_time now)
{
	int fd = openat(trees->context.root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (directory == NULL) {
		if (fd >= 0)
			(void)close(fd);
		return -errno;
	}
	while ((entry = readdir(directory)) != NULL) { // NOLINT(concurrency-mt-unsafe)
		struct uuid uuid;

		/* If there are too many, those that have an account find their place later. */
		if (uuid_parse(entry->d_name, &uuid) == 0)
			(void)tree_table_admit(&trees->memory->trees, &uuid, now);
	}
	(void)closedir(directory);
	return plain_tree_remove(trees->context.root_fd, PLAIN_TREE_STAGING);
}

int plain_trees_create(const struct plain_trees_context *context, struct mono_time now,
		       struct plain_trees **ret_trees, struct diag *diag)
{
	struct plain_trees *trees = calloc(1, sizeof(*trees));
	int status, fd;

	if (trees == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	trees->context = *context;
	status = fs_memory_create(&trees->memory, &fd, diag);
	if (status == 0) {
		/* Nobody takes this memory over. */
		(void)close(fd);
		status = reading_create(context->runtime_fd, trees->memory, &context->zones,
					context->period_ns, context->clock, &trees->reading);
	}
	if (status == 0)
		status = plain_trees_adopt(trees, now);
	if (status < 0) {
		plain_trees_destroy(trees);
		return diag_error(diag, status, "cannot take over the trees: %s",
				  strerror(-status));
	}
	*ret_trees = trees;
	return 0;
}

void plain_trees_destroy(struct plain_trees *trees)
{
	if (trees == NULL)
		return;
	for (uint32_t slot = 0; slot < TREE_MAX; slot++)
		plain_tree_close(trees->slots[slot].tree);
	reading_destroy(trees->reading);
	fs_memory_destroy(trees->memory);
	free(trees);
}

/* Whether the slot's tree is to go: it was given to another machine, or has been alone for long. */
static bool plain_trees_is_over(struct plain_trees *trees, uint32_t slot, bool ledger,
				struct mono_time now)
{
	const struct tree_key *key = &trees->memory->trees.keys[slot];
	struct plain_slot *place = &trees->slots[slot];

	if (!key->used || key->listed || !ledger) {
		place->orphan_ns = 0;
		return false;
	}
	if (place->orphan_ns == 0)
		place->orphan_ns = now.ns;
	return clock_elapsed_ns((struct mono_time){place->orphan_ns}, now) >= PLAIN_ORPHAN_NS;
}

void plain_trees_refresh(struct plain_trees *trees, struct mono_time now)
{
	struct tree_table *table = &trees->memory->trees;
	bool ledger = reading_list(trees->reading, now) == 0;

	for (uint32_t slot = 0; slot < table->count; slot++) {
		struct plain_slot *place = &trees->slots[slot];
		struct uuid uuid = table->keys[slot].uuid;

		if (place->tree != NULL && !uuid_equal(&place->tree->uuid, &uuid))
			plain_trees_remove(trees, slot, &place->tree->uuid);
		if (!table->keys[slot].used)
			continue;
		if (!plain_trees_is_over(trees, slot, ledger, now)) {
			(void)plain_trees_update(trees, slot, now, 0);
			continue;
		}
		plain_trees_remove(trees, slot, &uuid);
		tree_table_release(table, slot);
	}
}

int plain_trees_make(struct plain_trees *trees, const struct uuid *uuid, uint32_t socket_count,
		     struct mono_time now, struct diag *diag)
{
	struct tree_table *table = &trees->memory->trees;
	int slot = tree_table_admit(table, uuid, now);
	int status;

	if (slot < 0)
		return diag_error(diag, slot, "there are %d trees, and no more can be", TREE_MAX);
	/* An account knows better, and may have come in the meantime. */
	if (!table->keys[slot].listed && trees->slots[slot].tree == NULL)
		table->trees[slot].shape.socket_count = socket_count;
	trees->slots[slot].announced = true;
	trees->slots[slot].orphan_ns = 0;
	status = plain_trees_update(trees, (uint32_t)slot, now, 0);
	if (status < 0)
		return diag_error(diag, status, "the tree cannot be made: %s", strerror(-status));
	return 0;
}

/* --- those that are read --- */

void plain_trees_note(struct plain_trees *trees, struct plain_activity_key key,
		      struct mono_time now)
{
	struct plain_slot *place = &trees->slots[key.tree];
	struct plain_tree *tree = place->tree;

	if (tree == NULL || key.file >= tree->file_count)
		return;
	tree->files[key.file].watched = false;
	/* Several names of one file say the same at any time. */
	for (size_t i = 0; i < tree->file_count; i++)
		if (tree->files[i].node.id == tree->files[key.file].node.id)
			tree->files[i].read_ns = now.ns;
	place->read_ns = now.ns;
	if (!place->active)
		trees->active[trees->active_count++] = key.tree;
	place->active = true;
}

bool plain_trees_are_active(const struct plain_trees *trees)
{
	return trees->active_count > 0;
}

static bool plain_trees_is_hot(const struct plain_trees *trees, uint32_t slot, struct mono_time now)
{
	struct mono_time read = {trees->slots[slot].read_ns};

	return clock_elapsed_ns(read, now) < PLAIN_HOT_NS;
}

bool plain_trees_are_hot(const struct plain_trees *trees, struct mono_time now)
{
	for (uint32_t i = 0; i < trees->active_count; i++)
		if (plain_trees_is_hot(trees, trees->active[i], now))
			return true;
	return false;
}

void plain_trees_step(struct plain_trees *trees, bool all, struct mono_time now)
{
	uint64_t since_ns = now.ns > PLAIN_ACTIVE_NS ? now.ns - PLAIN_ACTIVE_NS : 1;

	for (uint32_t i = 0; i < trees->active_count; i++)
		if (all || plain_trees_is_hot(trees, trees->active[i], now))
			(void)plain_trees_update(trees, trees->active[i], now, since_ns);
}

void plain_trees_ask(struct plain_trees *trees, struct refresh *refresh, struct mono_time now)
{
	for (uint32_t i = 0; i < trees->active_count; i++) {
		uint32_t slot;

		trees->asked = (trees->asked + 1) % trees->active_count;
		slot = trees->active[trees->asked];
		if (reading_is_stale(trees->reading, slot, now) &&
		    refresh_ask(refresh, slot, &trees->memory->trees.keys[slot].uuid, now))
			return;
	}
}

void plain_trees_listen(struct plain_trees *trees, struct mono_time now)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < trees->active_count; i++) {
		uint32_t slot = trees->active[i];
		struct plain_slot *place = &trees->slots[slot];
		struct mono_time read = {place->read_ns};

		plain_trees_watch(trees, slot);
		place->active =
		    place->tree != NULL && clock_elapsed_ns(read, now) < PLAIN_ACTIVE_NS;
		if (place->active)
			trees->active[kept++] = slot;
	}
	trees->active_count = kept;
}
