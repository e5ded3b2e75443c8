/*
 * status_text.h: the ledger as tables for a person: `wattport status` and `wattport vm`.
 *
 * A view, made from the same copy and summary as the JSON. What is not known now is "-", never 0.
 */
#ifndef WATTPORT_HOST_STATUS_TEXT_H
#define WATTPORT_HOST_STATUS_TEXT_H

#include "common/ledger_map.h"
#include "host/summary.h"

#include <stdio.h>

/* Source, host zones, machines by power. 0, -ENOMEM, or the error of writing. */
int status_text_print(const struct ledger_copy *copy, const struct summary *summary, FILE *stream);

/* The machines with their uuids and shapes. */
int status_text_print_vms(const struct ledger_copy *copy, const struct summary *summary,
			  FILE *stream);

/* All of one machine. */
int status_text_print_vm(const struct ledger_copy *copy, const struct summary *summary,
			 const struct summary_vm *vm, FILE *stream);

#endif
