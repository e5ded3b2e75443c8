/*
 * fate.h: one host with its accounts, and all that may befall those who write and serve them.
 *
 * The real ledger_life and reading modules on files of their own, under clocks that move when told
 * to. The same seed gives the same fate. A boot's clock begins anew, a wall clock may leap; what
 * counts for readers is `true_ns`, which does neither.
 */
#ifndef WATTPORT_TESTS_PROPERTY_FATE_H
#define WATTPORT_TESTS_PROPERTY_FATE_H

#include "common/clock.h"
#include "common/ledger_life.h"
#include "common/vtree.h"
#include "fusefs/reading.h"

#include <stdbool.h>
#include <stdint.h>

#define FATE_VM_MAX	   3
#define FATE_SERVER_COUNT  2
#define FATE_CHECKPOINT_MS UINT64_C(5000)
#define FATE_POWER_UW_MAX  UINT64_C(50000000) /* of one counter */

struct fate_server {
	struct fs_memory *memory;
	struct reading *reading;
};

struct fate {
	uint64_t random;
	struct manual_clock clock;
	struct uuid boot;
	uint64_t true_ns;
	uint64_t sampled_ns;   /* the true time of the last sample, ... */
	uint64_t published_ns; /* ... the last one that was published */
	size_t vm_count;       /* that are in an account */
	char path[2][64];
	int runtime_fd;
	int state_fd;
	struct ledger_life *life; /* NULL: no wattportd */
	struct fate_server servers[FATE_SERVER_COUNT];
	bool fails;	  /* its source does now and then */
	uint64_t wall_ns; /* at the last publication */
	uint64_t away_ms; /* what was added at the last boot */
};

void fate_begin(struct fate *fate, uint64_t seed);
void fate_end(struct fate *fate);

uint64_t fate_below(struct fate *fate, uint64_t limit);
bool fate_chance(struct fate *fate, uint64_t one_in);
void fate_pass(struct fate *fate, uint64_t elapsed_ns);

/* wattportd: starts and publishes; takes a sample, publishes, saves if that is due; and ends. */
void fate_start_writer(struct fate *fate);
void fate_sample(struct fate *fate);
void fate_kill_writer(struct fate *fate);
void fate_stop_writer(struct fate *fate);

/* A server without its worker's state, or without any memory. */
void fate_restart_server(struct fate *fate, size_t server, bool with_memory);

/* What a server tells of a machine. */
void fate_read(struct fate *fate, size_t server, size_t vm, struct vtree_values *ret_values);

/* The account of a machine as it was published last. */
void fate_account(struct fate *fate, size_t vm, struct ledger_vm *ret_vm);

/* The host goes down as it stands and comes up again: whoever stops in order was stopped before. */
void fate_reboot(struct fate *fate);

/* The map is gone from /run, and wattportd starts from disk. */
void fate_lose_map(struct fate *fate);

#endif
