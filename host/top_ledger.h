/*
 * top_ledger.h: the ledger as `wattport top` shows it: a row for each virtual machine.
 *
 * A view between summary.h and common/top_frame.h. Pure: one thread.
 */
#ifndef WATTPORT_HOST_TOP_LEDGER_H
#define WATTPORT_HOST_TOP_LEDGER_H

#include "common/top_frame.h"
#include "host/summary.h"

/* Fills a frame that is clear. 0 or -ENOMEM. */
int top_ledger_fill(const struct ledger_copy *copy, const struct summary *summary,
		    struct top_frame *frame);

#endif
