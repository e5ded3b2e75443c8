/*
 * ledger_store.h: the ledger on disk, STATE/ledger.state, so that accounts outlive a reboot.
 *
 * Written by wattportd alone: at every checkpoint and at its end. The file says its version and how
 * large its pieces are (ledger_layout.h: those of other versions are read as far as they go),
 * carries a CRC-32 over everything behind its head, and is replaced atomically (file_replace_at()).
 * A file that does not prove right is renamed to ledger.state.bad-N and told, never guessed at; the
 * one before it (ledger.state.old) is used instead: then what was told after it is not known, and
 * counters may go back.
 */
#ifndef WATTPORT_COMMON_LEDGER_STORE_H
#define WATTPORT_COMMON_LEDGER_STORE_H

#include "common/diag.h"
#include "common/ledger.h"
#include "common/ledger_floors.h"

#define LEDGER_STORE_NAME "ledger.state"

/*
 * A checkpoint, with the ceilings of `floors` in the place of the ledger's floors; or, where that
 * is NULL, the orderly end of a run, after which nothing is published.
 */
int ledger_store_save(int state_fd, const struct ledger *ledger, const struct ledger_floors *floors,
		      struct diag *diag);

/*
 * Fills an empty ledger. Returns how many accounts; 0 without a file. When something was set aside,
 * *diag says what and the function still succeeds with what could be used. ledger_host's `orderly`
 * tells how the run had ended.
 */
int ledger_store_load(int state_fd, struct ledger *ledger, struct diag *diag);

/* The decoder alone, for tests and the fuzzer: how many accounts, or -EBADMSG (then the ledger may
 * be half filled), -ENOMEM. */
int ledger_store_decode(const void *data, size_t size, struct ledger *ledger);

#endif
