/*
 * ledger_view.h: copies of the ledger for the views of the host.
 *
 * Between common/ledger_map.h and what shows the ledger to people and Prometheus (exporter, command
 * line). It finds the ledger by the runtime directory's path, again and again, so that a view may
 * start before wattportd and outlives its replacement and that of the directory. One thread.
 */
#ifndef WATTPORT_HOST_LEDGER_VIEW_H
#define WATTPORT_HOST_LEDGER_VIEW_H

#include "common/diag.h"
#include "common/ledger_map.h"

struct ledger_view;

/* Looks at nothing yet. 0 or -ENOMEM. */
int ledger_view_create(const char *runtime_dir, struct ledger_view **ret_view);
void ledger_view_destroy(struct ledger_view *view);

/*
 * A consistent copy of the present ledger, whose texts are UTF-8 and end in a NUL; freed with
 * ledger_copy_free(). -ENOENT: wattportd has never run here; -EPROTO: it has another version;
 * -EAGAIN: it died while it wrote. *diag says what to do.
 */
int ledger_view_copy(struct ledger_view *view, struct ledger_copy *ret_copy, struct diag *diag);

static inline void cleanup_ledger_view_value(struct ledger_view *const *view)
{
	ledger_view_destroy(*view);
}
#define cleanup_ledger_view __attribute__((cleanup(cleanup_ledger_view_value)))

static inline void cleanup_ledger_copy_value(struct ledger_copy *copy)
{
	ledger_copy_free(copy);
}
/* For a copy that starts as {.vms = NULL}. */
#define cleanup_ledger_copy __attribute__((cleanup(cleanup_ledger_copy_value)))

#endif
