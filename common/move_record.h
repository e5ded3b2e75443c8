/*
 * move_record.h: what a machine takes along when it moves to another host.
 *
 * Between the ledger of the host that it leaves and the ledger of the one where it arrives; on the
 * way it is an element of the domain's metadata (host/move_xml.c). Each host books only what it
 * measured itself, so the sum over hosts has nothing twice. What a guest is told is its account
 * here and what it brought: `brought_uj` in the ledger.
 *
 * A record cannot be written while a machine is on its way (libvirt takes the XML when a move
 * begins, and changes nothing of it until the move is over), so a guest has seen more than the
 * record says. Two slopes bound how much more:
 *     - power_uw, what the counter took of late, and a quarter more: it holds from the writing to
 *       the beginning of the move, for a record that the counter outgrows is written anew;
 *     - full_uw, what it takes with all vCPUs busy: for as long as nothing could be written, and
 *       in room_uj for the time that a new record takes.
 * The account goes on from the best estimate; the floor (ledger_floors.h) is raised to what the
 * guest cannot have passed. The difference is owed, as after a power cut, and is paid off by 1/64
 * of what the guest uses.
 *
 * `serial` orders the records of one machine over all hosts, whatever their clocks say: a ledger
 * knows the last one that it wrote or took, and an older one (an old snapshot's) says nothing new.
 * Pure; safe in any thread.
 */
#ifndef WATTPORT_COMMON_MOVE_RECORD_H
#define WATTPORT_COMMON_MOVE_RECORD_H

#include "common/ledger.h"
#include "common/ledger_floors.h"
#include "common/uuid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* So soon after the last one a record may be written anew; twice that is in its room. */
#define MOVE_RECORD_INTERVAL_MS UINT64_C(2000)

/* Two hosts' clocks may differ by so much, and nothing is told too low. */
#define MOVE_RECORD_SKEW_MS UINT64_C(2000)

/* So long after its time a record may be written, where libvirt is slow. */
#define MOVE_RECORD_LATE_MS UINT64_C(60000)

/* No counter is larger (max_energy_range_uj is a bit more), and nothing draws more than that. */
#define MOVE_RECORD_UJ_MAX	  (UINT64_C(1) << 52)
#define MOVE_RECORD_POWER_MAX	  UINT64_C(1000000000000) /* a megawatt, in microwatts */
#define MOVE_RECORD_PERIOD_MS_MAX UINT64_C(86400000)

struct move_counter {
	uint64_t told_uj; /* 0: there is no such counter */
	uint64_t room_uj;
	uint64_t power_uw;
	uint64_t full_uw;
};

struct move_record {
	struct uuid machine;
	struct uuid ledger; /* the one it was written for: ledger_host's id */
	uint64_t serial;
	uint64_t generation;
	uint64_t written_ns; /* struct wall_time */
	uint64_t period_ms;  /* so often it is written while the machine runs */
	struct move_counter counters[LEDGER_COUNTER_MAX];
};

/* Whether its numbers are such that one could have been written so. */
bool move_record_is_sane(const struct move_record *record);

/*
 * What the account in the ledger's state of its last publication has to take along. `before` is its
 * last record, or NULL, written `elapsed_ms` ago. Serial, period and time of writing stay 0.
 */
void move_record_take(const struct ledger_host *host, const struct ledger_vm *vm,
		      const struct move_record *before, uint64_t elapsed_ms,
		      struct move_record *ret_record);

/* The same for a machine that is off, whose guest has seen the last that it will see there. */
void move_record_rest(struct move_record *record);

/* How a record that is so old stands to its account. */
enum move_record_state {
	MOVE_RECORD_IDLE,    /* nothing was used since */
	MOVE_RECORD_HOLDS,   /* a counter moved */
	MOVE_RECORD_OUTGROWN /* one is where the record's slope will not hold it for long */
};
enum move_record_state move_record_state(const struct move_record *record,
					 const struct ledger_host *host, const struct ledger_vm *vm,
					 uint64_t elapsed_ms);

/* Whether a record that is met in a domain says more than the ledger knows. */
bool move_record_is_news(const struct move_record *record, const struct ledger_host *host,
			 const struct ledger_vm *vm);

/* What it means by now for an account; `now_ns` is a struct wall_time. */
void move_record_arrive(const struct move_record *record, uint64_t now_ns,
			struct ledger_brought *ret_brought);

/*
 * For a machine that is on its way still: its old host may be telling more for `elapsed_ms` more.
 */
void move_record_wait(const struct move_record *record, const struct ledger_host *host,
		      const struct ledger_vm *vm, uint64_t elapsed_ms,
		      struct ledger_brought *ret_brought);

#endif
