/*
 * top_accounts.h: a view of the accounts as `wattport-agent top` shows it: a page for each kind.
 *
 * A view, between accounts_view.h and common/top_frame.h. Pure: one thread.
 */
#ifndef WATTPORT_GUEST_TOP_ACCOUNTS_H
#define WATTPORT_GUEST_TOP_ACCOUNTS_H

#include "common/top_frame.h"
#include "guest/accounts_view.h"

/* Fills a frame that is clear. 0 or -ENOMEM. */
int top_accounts_fill(const struct accounts_view *view, struct top_frame *frame);

#endif
