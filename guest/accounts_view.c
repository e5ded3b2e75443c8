#include "guest/accounts_view_internal.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const char *const account_kind_names[ACCOUNT_KIND_COUNT] = {
    [ACCOUNT_UNIT] = "unit",   [ACCOUNT_USER] = "user",		  [ACCOUNT_PROCESS] = "process",
    [ACCOUNT_SLICE] = "slice", [ACCOUNT_CONTAINER] = "container", [ACCOUNT_POD] = "pod",
    [ACCOUNT_JOB] = "job",
};

const char *account_kind_name(enum account_kind kind)
{
	assert(kind < ACCOUNT_KIND_COUNT);
	return account_kind_names[kind];
}

int accounts_view_create(const struct accounts_view_shape *shape, struct accounts_view **ret_view)
{
	struct accounts_view_block *block;
	size_t accounts = 0, rows;
	struct account *account;
	struct account_use *use;
	uint64_t *pending;

	for (int kind = 0; kind < ACCOUNT_KIND_COUNT; kind++)
		accounts += shape->counts[kind];
	/* Each account's zones, each rest's, and what is pending of each kind. */
	rows = shape->zone_count * (accounts + ACCOUNT_KIND_COUNT);
	block =
	    calloc(1, sizeof(*block) + shape->zone_count * sizeof(struct accounts_zone) +
			  accounts * sizeof(struct account) + rows * sizeof(struct account_use) +
			  ACCOUNT_KIND_COUNT * shape->zone_count * sizeof(uint64_t));
	if (block == NULL)
		return -ENOMEM;
	atomic_init(&block->references, 1);
	block->view.zone_count = shape->zone_count;
	block->view.zones = (struct accounts_zone *)(block + 1);
	account = (struct account *)(block->view.zones + shape->zone_count);
	use = (struct account_use *)(account + accounts);
	pending = (uint64_t *)(use + rows);
	for (int kind = 0; kind < ACCOUNT_KIND_COUNT; kind++) {
		struct accounts_group *group = &block->view.groups[kind];

		group->count = shape->counts[kind];
		group->accounts = account;
		for (size_t i = 0; i < group->count; i++, use += shape->zone_count)
			account[i].zones = use;
		account += group->count;
		group->rest.zones = use;
		use += shape->zone_count;
		group->pending_zones_uj = pending;
		pending += shape->zone_count;
	}
	*ret_view = &block->view;
	return 0;
}

static struct accounts_view_block *accounts_view_block(const struct accounts_view *view)
{
	const void *start = (const char *)view - offsetof(struct accounts_view_block, view);
	void *block;

	/* Only the count is changed, which is none of the view's. */
	memcpy(&block, &start, sizeof(block));
	return block;
}

const struct accounts_view *accounts_view_acquire(const struct accounts_view *view)
{
	if (view != NULL)
		(void)atomic_fetch_add(&accounts_view_block(view)->references, 1);
	return view;
}

void accounts_view_release(const struct accounts_view *view)
{
	if (view != NULL && atomic_fetch_sub(&accounts_view_block(view)->references, 1) == 1)
		free(accounts_view_block(view));
}

bool accounts_view_has_power(const struct accounts_view *view, const struct accounts_zone *zone)
{
	return view->interval_ns > 0 &&
	       (zone == &view->total || meter_reading_find(&view->reading, zone->id) != NULL);
}
