/*
 * page_host.h: a copy of the ledger as the page for people shows it (common/page_view.h).
 *
 * A view, made from the same copy and summary as the metrics and /status.json. Pure.
 */
#ifndef WATTPORT_HOST_PAGE_HOST_H
#define WATTPORT_HOST_PAGE_HOST_H

#include "common/page_view.h"
#include "host/summary.h"

/*
 * `copy` NULL: there is none, as `reason` says; then the summary is not looked at. The view borrows
 * from both and is released with page_host_release(). 0 or -ENOMEM.
 */
int page_host_view(const struct ledger_copy *copy, const struct summary *summary,
		   const struct diag *reason, struct page_view *ret_view);
void page_host_release(struct page_view *view);

#define cleanup_page_host __attribute__((cleanup(page_host_release)))

#endif
