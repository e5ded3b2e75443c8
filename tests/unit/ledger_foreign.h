/*
 * ledger_foreign.h: records as another version of Wattport would have written them.
 *
 * For the tests of what reads them: pieces that are shorter than ours are cut, longer ones end in
 * bytes that nobody knows.
 */
#ifndef WATTPORT_TESTS_UNIT_LEDGER_FOREIGN_H
#define WATTPORT_TESTS_UNIT_LEDGER_FOREIGN_H

#include "common/ledger_layout.h"

/* A version to come: each piece has a word more. */
struct ledger_layout ledger_foreign_next(size_t socket_count);

/* ret_record has room for what ledger_layout_host_size(), or _vm_size(), says. */
void ledger_foreign_host(const struct ledger_layout *layout, const struct ledger_host *host,
			 char *ret_record);
void ledger_foreign_vm(const struct ledger_layout *layout, const struct ledger_vm *vm,
		       char *ret_record);

/* A ledger on disk; the caller frees it. */
char *ledger_foreign_store(uint32_t version, const struct ledger_layout *layout,
			   const struct ledger *ledger, size_t *ret_size);

/* The ledger's map as a file of that directory. */
void ledger_foreign_map(int runtime_fd, uint64_t version, const struct ledger_layout *layout,
			const struct ledger *ledger);

/* What ours becomes when the layout has carried it: what it does not know is 0. */
void ledger_foreign_expect(const struct ledger_layout *layout, const struct ledger_vm *vm,
			   struct ledger_vm *ret_vm);

#endif
