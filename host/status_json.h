/*
 * status_json.h: the ledger as JSON: of /status.json, `wattport status --json`, `wattport vm
 * --json`.
 *
 * A view, made from the same copy and summary as the table of `wattport status`. Numbers are whole
 * microjoules, microwatts and nanoseconds, as in the ledger.
 */
#ifndef WATTPORT_HOST_STATUS_JSON_H
#define WATTPORT_HOST_STATUS_JSON_H

#include "common/ledger_map.h"
#include "host/summary.h"

#include <stddef.h>

/* The whole ledger. Text that the caller frees, ended with a newline; NULL: out of memory. */
char *status_json(const struct ledger_copy *copy, const struct summary *summary);

/* One machine of it. */
char *status_json_vm(const struct ledger_copy *copy, const struct summary_vm *vm);

/* The machines alone: {"vms": [...]}. */
char *status_json_vms(const struct ledger_copy *copy, const struct summary *summary);

/* What stands there instead when there is no ledger: why. */
char *status_json_failure(const char *reason);

#endif
