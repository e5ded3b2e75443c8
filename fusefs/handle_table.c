#include "fusefs/handle_table.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* From the hint on, once round: -ENFILE. */
static int handle_table_find_free(const struct handle_table *table)
{
	for (uint32_t i = 0; i < HANDLE_MAX; i++) {
		uint32_t handle = (table->hint + i) % HANDLE_MAX;

		if (table->nodes[handle] == 0)
			return (int)handle;
	}
	return -ENFILE;
}

static int handle_table_find_page(const struct handle_table *table)
{
	for (uint32_t i = 0; i < HANDLE_PAGE_MAX; i++) {
		uint32_t page = (table->page_hint + i) % HANDLE_PAGE_MAX;

		if (!table->pages_used[page])
			return (int)page;
	}
	return -ENFILE;
}

static bool handle_table_needs_page(uint64_t node)
{
	return vtree_counter(tree_node_unpack(node).node) == VTREE_COUNTER_ALL;
}

/* A text that is not where it should be is none: another version may have had it elsewhere. Nor is
 * one in a page that is another's. */
static void handle_table_recover_text(struct handle_table *table, uint32_t handle)
{
	struct handle *entry = &table->handles[handle];
	bool needs_page = handle_table_needs_page(table->nodes[handle]);

	if (entry->page > HANDLE_PAGE_MAX || (entry->page != 0) != needs_page ||
	    (entry->page != 0 && table->pages_used[entry->page - 1]) ||
	    entry->length > (needs_page ? VTREE_CONTENT_SIZE : HANDLE_INLINE_SIZE)) {
		entry->page = 0;
		entry->length = 0;
	}
	if (entry->page != 0)
		table->pages_used[entry->page - 1] = true;
}

/* Once it is known which pages are free. */
static void handle_table_recover_page(struct handle_table *table, uint32_t handle,
				      struct tree *tree)
{
	struct handle *entry = &table->handles[handle];
	int page;

	if (entry->page == 0) {
		page = handle_table_find_page(table);
		if (page < 0) {
			table->nodes[handle] = 0;
			tree->handle_count--;
			return;
		}
		entry->page = (uint32_t)page + 1;
		table->pages_used[page] = true;
	}
	tree->page_count++;
}

void handle_table_recover(struct handle_table *table, struct tree_table *trees)
{
	for (uint32_t slot = 0; slot < trees->count; slot++) {
		trees->trees[slot].handle_count = 0;
		trees->trees[slot].page_count = 0;
	}
	memset(table->pages_used, 0, sizeof(table->pages_used));
	if (table->count > HANDLE_MAX)
		table->count = HANDLE_MAX;
	for (uint32_t i = 0; i < table->count; i++) {
		struct tree_node node = tree_node_unpack(table->nodes[i]);

		if (table->nodes[i] == 0)
			continue;
		if (!tree_table_valid(trees, node)) {
			table->nodes[i] = 0;
			continue;
		}
		trees->trees[node.slot].handle_count++;
		handle_table_recover_text(table, i);
	}
	for (uint32_t i = 0; i < table->count; i++)
		if (table->nodes[i] != 0 && handle_table_needs_page(table->nodes[i]))
			handle_table_recover_page(
			    table, i, &trees->trees[tree_node_unpack(table->nodes[i]).slot]);
}

int handle_table_opened(const struct handle_table *table, uint64_t node, uint64_t unique)
{
	for (uint32_t i = 0; i < table->count; i++)
		if (table->nodes[i] == node && table->handles[i].unique == unique)
			return (int)i;
	return -ENOENT;
}

int handle_table_open(struct handle_table *table, struct tree *tree, uint64_t node, uint64_t unique)
{
	bool needs_page = handle_table_needs_page(node);
	int page = -1;
	int handle;

	if (tree->handle_count >= HANDLE_TREE_MAX ||
	    (needs_page && tree->page_count >= HANDLE_PAGE_TREE_MAX))
		return -EMFILE;
	handle = handle_table_find_free(table);
	if (handle < 0)
		return handle;
	if (needs_page) {
		page = handle_table_find_page(table);
		if (page < 0)
			return page;
		table->pages_used[page] = true;
		table->page_hint = (uint32_t)page + 1;
		tree->page_count++;
	}
	table->handles[handle].unique = unique;
	table->handles[handle].page = (uint32_t)(page + 1);
	table->handles[handle].length = 0;
	tree->handle_count++;
	if ((uint32_t)handle >= table->count)
		table->count = (uint32_t)handle + 1;
	/* The node makes the handle: it comes when the rest is there. */
	__atomic_store_n(&table->nodes[handle], node, __ATOMIC_SEQ_CST);
	table->hint = (uint32_t)handle + 1;
	return handle;
}

void handle_table_close(struct handle_table *table, struct tree *tree, uint32_t handle)
{
	uint32_t page = table->handles[handle].page;

	assert(handle < HANDLE_MAX && table->nodes[handle] != 0);
	__atomic_store_n(&table->nodes[handle], 0, __ATOMIC_SEQ_CST);
	tree->handle_count--;
	table->hint = handle;
	if (page == 0)
		return;
	table->pages_used[page - 1] = false;
	table->page_hint = page - 1;
	tree->page_count--;
}

uint64_t handle_table_node(const struct handle_table *table, uint64_t handle)
{
	return handle < table->count ? table->nodes[handle] : 0;
}

void handle_table_freeze(struct handle_table *table, uint32_t handle, uint64_t unique,
			 const char *text, size_t length)
{
	struct handle *entry = &table->handles[handle];

	assert(handle < HANDLE_MAX && table->nodes[handle] != 0);
	assert(length <= (entry->page != 0 ? VTREE_CONTENT_SIZE : HANDLE_INLINE_SIZE));
	/* Killed in between, the handle has no text, and the next read makes one. */
	__atomic_store_n(&entry->length, 0, __ATOMIC_SEQ_CST);
	memcpy(entry->page != 0 ? table->pages[entry->page - 1] : entry->text, text, length);
	entry->read_unique = unique;
	__atomic_store_n(&entry->length, (uint32_t)length, __ATOMIC_SEQ_CST);
}

bool handle_table_frozen_for(const struct handle_table *table, uint32_t handle, uint64_t unique)
{
	const struct handle *entry = &table->handles[handle];

	assert(handle < HANDLE_MAX);
	return entry->length > 0 && entry->read_unique == unique;
}

const char *handle_table_text(const struct handle_table *table, uint32_t handle, size_t *ret_length)
{
	const struct handle *entry = &table->handles[handle];

	assert(handle < HANDLE_MAX);
	*ret_length = entry->length;
	return entry->page != 0 ? table->pages[entry->page - 1] : entry->text;
}
