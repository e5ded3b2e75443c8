/*
 * ledger_map.h: the ledger as other processes see it: the file RUNTIME/ledger.
 *
 * wattportd publishes (one writer, ledger_map_*); wattport-fs, the exporter and the command line
 * map the file read-only (ledger_reader_*). Each record has a sequence lock of its own and the
 * whole map one more, so a reader may take one VM or a consistent copy of everything; it never
 * blocks the writer, and a writer that dies in mid-record only makes readers fail with -EAGAIN
 * until the next one repairs it. The file survives its writer: a restarted wattportd goes on in the
 * same file, so mappings stay valid; one of another version replaces it at its first publication,
 * which readers notice. Those of another version go on with the old file, whose counters go on by
 * themselves (served.h), until they are upgraded, too.
 *
 * Records travel as relaxed atomic 64-bit words between two sequence numbers (H.-J. Boehm, "Can
 * seqlocks get along with programming language memory models?", MSPC 2012).
 */
#ifndef WATTPORT_COMMON_LEDGER_MAP_H
#define WATTPORT_COMMON_LEDGER_MAP_H

#include "common/diag.h"
#include "common/ledger.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define LEDGER_MAP_NAME "ledger"

struct ledger_map;

/*
 * Opens or makes `LEDGER_MAP_NAME` in the directory for writing, readable by all. A valid map that
 * a former writer left is kept; its accounts can be taken over with ledger_map_recover(). -EBUSY
 * when another process is writing it (it holds a lock).
 */
int ledger_map_open(int runtime_fd, struct ledger_map **ret_map, struct diag *diag);
void ledger_map_close(struct ledger_map *map);

/*
 * Copies the accounts of the former writer into an empty ledger. Returns how many, 0 when there was
 * none; -ENOMEM. A writer that died in the middle of a publication left each record whole, some one
 * sample older than others: the sums are mended so that conservation holds.
 */
int ledger_map_recover(struct ledger_map *map, struct ledger *ledger);

/*
 * Makes the ledger's present state visible. 0, or -ENOSPC when the file system has no room for a
 * new record: then that VM is not shown, all others are.
 */
int ledger_map_publish(struct ledger_map *map, const struct ledger *ledger);

struct ledger_reader;

/* -ENOENT: no ledger, wattportd has never run; -EPROTO: a version that nobody can read. `diag` says
 * what to do. */
int ledger_reader_open(int runtime_fd, struct ledger_reader **ret_reader, struct diag *diag);
void ledger_reader_close(struct ledger_reader *reader);

/*
 * Maps the file anew if it was replaced. Cheap when called once a second; not needed while the
 * records are fresh. 0 or the errors of ledger_reader_open(), after which the old mapping stays.
 */
int ledger_reader_follow(struct ledger_reader *reader, struct diag *diag);

/*
 * The VM's record into *ret_vm. *slot is where to look first and is set to where it was found:
 * keep it between calls, start with 0. -ENOENT: no such account. -EAGAIN: overtaken again and
 * again, or not a ledger.
 */
int ledger_reader_vm(struct ledger_reader *reader, const struct uuid *uuid, size_t *slot,
		     struct ledger_vm *ret_vm);

/* When the VM's record was last updated (struct mono_time), without copying it; errors as above. */
int ledger_reader_vm_updated(struct ledger_reader *reader, const struct uuid *uuid, size_t *slot,
			     uint64_t *ret_updated_ns);

/* The process of a running machine, as the last sample knew it. */
struct ledger_process {
	struct uuid uuid;
	int32_t pid;
	uint64_t updated_ns; /* struct mono_time of that sample */
};

/*
 * The processes of all running machines one by one, without copying their records: *slot is 0 at
 * first and goes on with each. False: there are no more.
 */
bool ledger_reader_next_process(const struct ledger_reader *reader, size_t *slot,
				struct ledger_process *ret_process);

/* The host's record alone. -EAGAIN as above. */
int ledger_reader_host(struct ledger_reader *reader, struct ledger_host *ret_host);

/* A consistent copy of everything, sorted by slot. The caller frees with ledger_copy_free(). */
struct ledger_copy {
	struct ledger_host host;
	size_t vm_count;
	struct ledger_vm *vms;
};
int ledger_reader_copy(struct ledger_reader *reader, struct ledger_copy *ret_copy);
void ledger_copy_free(struct ledger_copy *copy);

/* The copy of a ledger in this process, for views that take copies; freed the same way. */
int ledger_copy_of(const struct ledger *ledger, struct ledger_copy *ret_copy);

static inline void cleanup_ledger_map_value(struct ledger_map *const *map)
{
	ledger_map_close(*map);
}
#define cleanup_ledger_map __attribute__((cleanup(cleanup_ledger_map_value)))

static inline void cleanup_ledger_reader_value(struct ledger_reader *const *reader)
{
	ledger_reader_close(*reader);
}
#define cleanup_ledger_reader __attribute__((cleanup(cleanup_ledger_reader_value)))

#endif
