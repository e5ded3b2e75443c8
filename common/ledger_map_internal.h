/*
 * ledger_map_internal.h: the layout of the ledger's file, which writer and readers share.
 *
 * For ledger_map.c, ledger_map_view.c, ledger_reader.c and their tests. All in 64-bit words:
 *
 *     head   magic and version, sizes, publication sequence, number of slots, layout
 *     host   sequence, copy 0, copy 1
 *     vm[0]  sequence, copy 0, copy 1
 *     ...
 *
 * A record's valid copy is copy[sequence & 1]. The writer fills the other one and then counts the
 * sequence up. So a writer that is killed at any instruction leaves every record whole, and a
 * reader has to try again only when a whole publication overtook it. The publication sequence is
 * odd while one is under way: a reader that wants all records of one instant compares it before and
 * after.
 */
#ifndef WATTPORT_COMMON_LEDGER_MAP_INTERNAL_H
#define WATTPORT_COMMON_LEDGER_MAP_INTERNAL_H

#include "common/ledger.h"
#include "common/ledger_layout.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* "WPLEDGER", with the version of the records in the word after it. */
#define MAP_MAGIC UINT64_C(0x52454744454c5057)

static_assert(sizeof(struct ledger_host) % sizeof(uint64_t) == 0, "records travel as words");
static_assert(sizeof(struct ledger_vm) % sizeof(uint64_t) == 0, "records travel as words");
static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "words are shared between processes");

#define MAP_HOST_WORDS (sizeof(struct ledger_host) / sizeof(uint64_t))
#define MAP_VM_WORDS   (sizeof(struct ledger_vm) / sizeof(uint64_t))

typedef _Atomic uint64_t map_word;

struct map_host {
	map_word sequence;
	map_word copy[2][MAP_HOST_WORDS];
};

struct map_vm {
	map_word sequence;
	map_word copy[2][MAP_VM_WORDS];
};

struct map_image {
	uint64_t magic;
	uint64_t version;
	uint64_t host_size;
	uint64_t vm_size;
	map_word publication;
	map_word slot_count;
	struct ledger_layout layout; /* since version 6 */
	struct map_host host;
	struct map_vm vms[LEDGER_VM_MAX];
};

static_assert(offsetof(struct map_image, layout) == 6 * sizeof(uint64_t),
	      "what is before the layout stands where version 5 has it");

static inline bool map_head_is_ours(const struct map_image *image)
{
	const struct ledger_layout own = ledger_layout_own(LEDGER_SOCKET_MAX);

	return image->magic == MAP_MAGIC && image->version == LEDGER_VERSION &&
	       image->host_size == sizeof(struct ledger_host) &&
	       image->vm_size == sizeof(struct ledger_vm) &&
	       ledger_layout_equal(&image->layout, &own);
}

/*
 * A mapped ledger of any version whose layout is known. Members of records that version 5 has
 * already stand where they stood: the layout only grows behind them.
 */
struct map_view {
	const struct map_image *image; /* of which only the head up to slot_count is sure */
	size_t size;		       /* mapped */
	struct ledger_layout layout;
	bool own; /* of our layout: records need not be taken over */
	size_t host_words;
	size_t vm_words;
	const map_word *host; /* the sequence; the two copies follow */
	const map_word *vms;
	size_t slots_max; /* the file has room for so many */
	void *scratch;	  /* a record of that layout */
};

/* Maps the file read-only. -EPROTO: it is no ledger, or of a version nobody can read; -ENOMEM. */
int map_view_open(int fd, struct map_view *ret_view);
void map_view_close(struct map_view *view);

/* The sequence of an account's record, behind which are its copies. */
static inline const map_word *map_view_vm(const struct map_view *view, size_t slot)
{
	return view->vms + slot * (1 + 2 * view->vm_words);
}

/* How many slots have been shown; -EAGAIN: more than there can be, it is no ledger any more. */
int map_view_slots(const struct map_view *view);

/* The record's copies of that sequence as one of ours, whether it is torn or not. */
void map_view_load_host(const struct map_view *view, uint64_t sequence,
			struct ledger_host *ret_host);
void map_view_load_vm(const struct map_view *view, size_t slot, uint64_t sequence,
		      struct ledger_vm *ret_vm);

/* The valid copy of a record that nobody writes at the moment. */
static inline void map_load(const map_word *words, size_t count, void *ret_record)
{
	uint64_t word;

	for (size_t i = 0; i < count; i++) {
		word = atomic_load_explicit(&words[i], memory_order_relaxed);
		memcpy((char *)ret_record + i * sizeof(word), &word, sizeof(word));
	}
}

/*
 * A writer that died between two records left some of them one sample ahead of the others. What was
 * measured but not yet booked goes to the host; what was booked but not yet measured was measured.
 */
static inline void map_reconcile(struct ledger_host *host, uint32_t zone, int64_t error_uj)
{
	if (error_uj > 0)
		host->zones[zone].other_uj += (uint64_t)error_uj;
	else
		host->zones[zone].energy_uj += (uint64_t)-error_uj;
}

#endif
