/*
 * accounts_view_internal.h: a view as who makes it sees it.
 */
#ifndef WATTPORT_GUEST_ACCOUNTS_VIEW_INTERNAL_H
#define WATTPORT_GUEST_ACCOUNTS_VIEW_INTERNAL_H

#include "guest/accounts_view.h"

#include <errno.h>
#include <stdatomic.h>

/* The view and all that belongs to it lie in one block of memory. */
struct accounts_view_block {
	atomic_uint references;
	struct accounts_view view;
};

struct accounts_view_shape {
	size_t zone_count;
	size_t counts[ACCOUNT_KIND_COUNT];
};

/* All zero, with room for that many of each; one reference is the caller's. 0 or -ENOMEM. */
int accounts_view_create(const struct accounts_view_shape *shape, struct accounts_view **ret_view);

#endif
