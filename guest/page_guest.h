/*
 * page_guest.h: a guest's accounts as the page for people shows them (common/page_view.h).
 *
 * A view, made from the same reading and accounts as the metrics. Pure.
 */
#ifndef WATTPORT_GUEST_PAGE_GUEST_H
#define WATTPORT_GUEST_PAGE_GUEST_H

#include "common/page_view.h"
#include "guest/accounts_view.h"

/*
 * `accounts` NULL: nothing is divided, or not yet; then the page shows the zones alone. The view
 * borrows from both and is released with page_guest_release(). 0 or -ENOMEM.
 */
int page_guest_view(const struct meter_reading *reading, const struct accounts_view *accounts,
		    struct page_view *ret_view);
void page_guest_release(struct page_view *view);

#define cleanup_page_guest __attribute__((cleanup(page_guest_release)))

#endif
