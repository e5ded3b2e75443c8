/*
 * ledger_layout.h: how the ledger's records lie in a file, also in one of another version.
 *
 * For the map in /run and the store on disk: on a host that is upgraded while it runs, or taken
 * back to the version before, wattportd goes on with what the other one left, and servers of one
 * version read the map of the other. Records are made of pieces:
 *
 *     host: its head, its zones        account: its head, its shares, its tail, its sockets
 *
 * A piece only ever grows at its end, and no member changes its meaning. So of each piece the bytes
 * that both versions have are taken, and what a reader knows beyond them is 0: not known yet. Every
 * file says how large its pieces are. Pure; any thread.
 */
#ifndef WATTPORT_COMMON_LEDGER_LAYOUT_H
#define WATTPORT_COMMON_LEDGER_LAYOUT_H

#include "common/ledger.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* No piece is that long, nor are there that many zones or sockets. */
#define LEDGER_LAYOUT_PIECE_MAX 65536
#define LEDGER_LAYOUT_COUNT_MAX 1024

/* The first version whose files carry a layout; that of the one before is known. */
#define LEDGER_LAYOUT_VERSION_MIN 6

/* Bytes, all in words of 64 bits. */
struct ledger_layout {
	uint64_t host_size; /* struct ledger_host before its zones */
	uint64_t zone_size;
	uint64_t zone_count;
	uint64_t vm_size; /* struct ledger_vm before its shares */
	uint64_t share_size;
	uint64_t tail_size; /* between shares and sockets */
	uint64_t socket_size;
	uint64_t socket_count; /* in each record */
};

/* Of LEDGER_VERSION, with that many sockets. */
struct ledger_layout ledger_layout_own(size_t socket_count);

/* Of version 5. */
struct ledger_layout ledger_layout_five(size_t socket_count);

/* Whether the pieces can be what they say. */
bool ledger_layout_is_sane(const struct ledger_layout *layout);

bool ledger_layout_equal(const struct ledger_layout *layout, const struct ledger_layout *other);

/* The bytes of the host's record, and of an account's. */
size_t ledger_layout_host_size(const struct ledger_layout *layout);
size_t ledger_layout_vm_size(const struct ledger_layout *layout);

/* A record of that layout as one of ours. */
void ledger_layout_take_host(const struct ledger_layout *layout, const void *record,
			     struct ledger_host *ret_host);
void ledger_layout_take_vm(const struct ledger_layout *layout, const void *record,
			   struct ledger_vm *ret_vm);

#endif
