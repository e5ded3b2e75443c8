/*
 * ledger.h: the accounts: who has used how much of which zone, in whole microjoules.
 *
 * Fourth stage of the flow. On the host an account is a virtual machine, in a guest a service or
 * process. The engine books into it, nobody else; every total only grows, and for each zone
 *
 *     energy_uj = sum over accounts of (active_uj + idle_uj + overhead_uj)
 *		   + other_uj + idle_uj + away_uj
 *
 * holds exactly between two bookings. What the accounts of machines that are gone for good held
 * moves into one account with the nil uuid, named "(departed)", so that the sum survives them.
 *
 * Records are flat and of fixed size (no pointers), because ledger_map.c shows them to other
 * processes and ledger_store.c keeps them on disk. The ledger itself is private to one thread.
 */
#ifndef WATTPORT_COMMON_LEDGER_H
#define WATTPORT_COMMON_LEDGER_H

#include "common/sample.h"
#include "common/uuid.h"
#include "common/zone.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEDGER_VM_MAX	      SAMPLE_VM_MAX
#define LEDGER_SOCKET_MAX     64 /* virtual sockets of one VM that get a zone of their own */
#define LEDGER_SOURCE_SIZE    16
#define LEDGER_DURATION_COUNT 16
#define LEDGER_DEPARTED_NAME  "(departed)"

/*
 * Bumped with every change of the records below. These only grow, each at the end of its piece, as
 * ledger_layout.h tells: then map and store of another version are read, too, as far as they go.
 */
#define LEDGER_VERSION 6

enum ledger_part {
	LEDGER_ACTIVE,	 /* by the CPU time of vCPUs (DRAM: by memory held) */
	LEDGER_IDLE,	 /* the share of static power */
	LEDGER_OVERHEAD, /* by the CPU time of emulator, I/O and vhost threads */
	LEDGER_PART_COUNT,
};

enum ledger_vm_state {
	LEDGER_VM_RUNNING = 1, /* has a process; also while paused */
	LEDGER_VM_OFF,	       /* known, without a process */
	LEDGER_VM_GONE,	       /* no longer known; kept for a while so that its counters go on if it
				  returns */
};

/* One account's part of one host zone. */
struct ledger_share {
	uint64_t part_uj[LEDGER_PART_COUNT];
	uint64_t halt_poll_uj;	/* of LEDGER_ACTIVE: of the time in halt_poll_ns */
	uint64_t guest_view_uj; /* what the guest was told: equal to the parts' sum in exact view */
	/* Its rates in isolated view, so that they go on after a restart; 0: none yet. */
	uint64_t guest_thread_power_uw;
	uint64_t guest_rent_power_nw;
	uint64_t power_uw; /* of the parts, over about the last second */
};

/* What the guest's tree shows of one virtual socket. */
struct ledger_guest_socket {
	uint64_t zone_uj[ZONE_SOCKET_KIND_COUNT];    /* by enum zone_kind */
	uint64_t floor_uj[ZONE_SOCKET_KIND_COUNT];   /* likewise: ledger_floors.h */
	uint64_t brought_uj[ZONE_SOCKET_KIND_COUNT]; /* likewise: told on other hosts before,
							move_record.h */
};

/* All counters of an account in a row: psys, then those of its sockets, by enum zone_kind. */
#define LEDGER_COUNTER_PSYS	      0
#define LEDGER_COUNTER_COUNT(sockets) (1 + (sockets)*ZONE_SOCKET_KIND_COUNT)
#define LEDGER_COUNTER_MAX	      LEDGER_COUNTER_COUNT(LEDGER_SOCKET_MAX)

/* What the threads of its process had used at the last sample, for engine_return.h. */
struct ledger_process_time {
	uint64_t run; /* with the pid it tells which process: struct sample_process; 0: unknown */
	uint64_t vcpu_ns;
	uint64_t overhead_ns;
};

struct ledger_vm {
	struct uuid uuid;
	char name[SAMPLE_NAME_SIZE];
	uint32_t state;		/* enum ledger_vm_state */
	uint16_t precision;	/* enum sample_precision */
	uint16_t short_threads; /* of the last sample, as in struct sample_vm */
	int32_t pid;
	uint32_t generation; /* how often the machine was started or came here, on any host */
	uint32_t socket_count;
	uint32_t vcpu_count;
	uint64_t memory_bytes;
	uint64_t vcpu_ns; /* CPU time booked since the account was opened */
	uint64_t overhead_ns;
	uint64_t halt_poll_ns;	 /* of vcpu_ns: spent waiting for work without sleeping */
	uint64_t has_halt_poll;	 /* 1: that is known */
	uint64_t guest_power_uw; /* what its guest counters tell, over about a second */
	uint64_t guest_load_ppm; /* of what its vCPUs could have run in that time */
	uint64_t updated_ns;	 /* struct mono_time of the last sample it was in */
	uint64_t seen_wall_ns;	 /* struct wall_time when it was last known */
	struct ledger_process_time process;
	/* New members of the head come here, those of the tail behind floor_ms. */
	struct ledger_share shares[ZONE_MAX]; /* by the index of the host zone */
	uint64_t guest_psys_uj;
	uint64_t guest_psys_floor_uj;
	uint64_t floor_ms; /* the time of all its floors, as in struct served */
	uint64_t guest_psys_brought_uj;
	uint64_t move_serial; /* of the last record that was written or taken: move_record.h */
	/* Last, so that what few machines have need not be copied for all: LEDGER_VM_SIZE(). */
	struct ledger_guest_socket guest[LEDGER_SOCKET_MAX];
};

/* The bytes of a struct ledger_vm up to and with that many sockets. */
#define LEDGER_VM_SIZE(socket_count)                                                               \
	(offsetof(struct ledger_vm, guest) + (socket_count) * sizeof(struct ledger_guest_socket))

/* Why a zone's reading was not booked. */
enum ledger_zone_fault {
	LEDGER_FAULT_UNREADABLE,
	LEDGER_FAULT_BACKWARD,
	LEDGER_FAULT_INVALID,
	LEDGER_FAULT_COUNT,
};

/* The raw reading up to which energy_uj is booked, with it in one record: so it is booked once. */
struct ledger_reading {
	uint64_t raw_uj;
	uint64_t range_uj;     /* 0: there is none */
	uint64_t time_ns;      /* struct mono_time */
	uint64_t suspended_ns; /* of it since boot */
};

struct ledger_zone {
	struct zone zone;
	uint32_t available; /* 1: the last sample had it */
	int32_t error;	    /* else the negative errno */
	uint64_t energy_uj; /* measured */
	uint64_t idle_uj;   /* of it: static power that nobody has rented */
	uint64_t other_uj;  /* of it: host processes, and what cannot be told apart */
	uint64_t power_uw;
	uint64_t idle_power_uw;		/* the static power that attribution reckons with */
	uint64_t thread_power_uw;	/* what a busy thread draws beyond it, in the mean */
	uint64_t calibration_error_ppm; /* how far off it is, of the power: calibration.h */
	uint64_t calibration_learning;	/* 1: still learning */
	uint64_t calibration_known; /* 1: in this or an earlier run it was done with that once */
	uint64_t faults[LEDGER_FAULT_COUNT];
	uint64_t away_uj;     /* of energy_uj: of machines that nobody knew any more at a return */
	uint64_t peak_uw;     /* the most that power_uw ever was */
	uint64_t rest_ns;     /* idle time of its CPUs since boot, at the last sample, ... */
	uint64_t rest_cpus;   /* ... and of how many: those that were online */
	uint64_t returned_uj; /* booked at the last return, for all of the time away */
	uint64_t returned_unsure; /* 1: its counter may have wrapped more often meanwhile */
	struct ledger_reading reading;
};

/* Durations of a sample: count[i] of those up to ledger_duration_bounds_us[i]; the last has no
 * bound. */
struct ledger_durations {
	uint64_t count[LEDGER_DURATION_COUNT];
	uint64_t sum_ns;
};
extern const uint64_t ledger_duration_bounds_us[LEDGER_DURATION_COUNT - 1];

/* Of how many vCPUs' threads cycles, instructions and cache misses are counted. */
struct ledger_events {
	uint32_t wanted;  /* 1: attribution.events = auto */
	int32_t error;	  /* why threads were refused: the negative errno of the last one, or 0 */
	uint32_t counted; /* threads */
	uint32_t refused; /* threads that have run and cannot be counted */
};

/* When the floors were advanced last, by every clock there is: ledger_floors.h. */
struct ledger_instant {
	struct uuid boot; /* of the host, as the kernel names it; nil: not known */
	uint64_t time_ms; /* whole milliseconds of struct mono_time */
	uint64_t wall_ns; /* struct wall_time */
};

/* The last time that wattportd found readings of the run before and booked what came since. */
struct ledger_return {
	uint64_t count;	  /* of returns, ever */
	uint64_t time_ns; /* struct mono_time of the last */
	uint64_t away_ns; /* since the last sample of the run before */
	uint64_t missing; /* machines that had ended meanwhile, or were started anew */
};

struct ledger_host {
	char source[LEDGER_SOURCE_SIZE];
	uint32_t estimate;	   /* 1: the source computes instead of measuring */
	uint32_t guest_view_exact; /* 1: guest-view = exact */
	uint32_t cpu_count;
	uint32_t zone_count;
	uint64_t updated_ns; /* struct mono_time of the last sample */
	uint64_t sample_count;
	uint64_t vm_missed; /* VMs that found no room, counted once a sample */
	uint64_t orderly;   /* on disk, 1: saved at the end of a run, not at a checkpoint */
	struct ledger_events events;
	struct ledger_instant told;
	struct ledger_durations durations;
	struct ledger_return returned;
	struct uuid id; /* made up once: tells the ledgers of two hosts apart */
	struct ledger_zone zones[ZONE_MAX];
};

struct ledger;

int ledger_create(struct ledger **ret_ledger);
void ledger_destroy(struct ledger *ledger);

/* The host's record; belongs to the ledger, lives as long. */
struct ledger_host *ledger_host(struct ledger *ledger);
const struct ledger_host *ledger_host_const(const struct ledger *ledger);

/*
 * Makes the zones of the source known: a zone is found again by its id, new ones are appended,
 * those that are no longer listed stay with their totals, unavailable. ret_index[i] is the ledger's
 * index of zones[i]. -ENOSPC past ZONE_MAX.
 */
int ledger_set_zones(struct ledger *ledger, const struct zone zones[], size_t count,
		     uint32_t ret_index[]);

/* One past the highest slot in use: slots below it may be free. A slot never changes its account.
 */
size_t ledger_slot_count(const struct ledger *ledger);

/* The account in a slot, or NULL if free or out of range. */
struct ledger_vm *ledger_vm(struct ledger *ledger, size_t slot);
const struct ledger_vm *ledger_vm_const(const struct ledger *ledger, size_t slot);

/* The slot of that account, or -ENOENT. */
int ledger_find(const struct ledger *ledger, const struct uuid *uuid);

/*
 * The slot of that account, which is opened (all zero, LEDGER_VM_OFF, 1 socket) if it is new. When
 * the table is full, the longest gone account departs; if none is gone: -ENOSPC.
 */
int ledger_admit(struct ledger *ledger, const struct uuid *uuid);

/* Books `energy_uj` of the zone to a part of an account. Asserts that the total cannot overflow. */
void ledger_book(struct ledger *ledger, size_t slot, uint32_t zone, enum ledger_part part,
		 uint64_t energy_uj);

/* Closes an account: its shares move to the departed one, its slot is free. */
int ledger_depart(struct ledger *ledger, size_t slot);

/* Readings and process times of another boot say nothing: no energy is taken from them. */
void ledger_forget_readings(struct ledger *ledger);

/* Whether there are any, so that what came since can be booked. */
bool ledger_has_readings(const struct ledger *ledger);

/* Measured energy of the zone minus all that was booked of it: 0, or a bug. */
int64_t ledger_conservation_error_uj(const struct ledger *ledger, uint32_t zone);

/* The same for a copy that a reader holds. */
int64_t ledger_copy_conservation_error_uj(const struct ledger_host *host,
					  const struct ledger_vm vms[], size_t vm_count,
					  uint32_t zone);

/* What a counter of an account is made of, and its floor. */
enum zone_kind ledger_counter_kind(size_t counter);
void ledger_counter_name(size_t counter, char ret_name[static ZONE_ID_SIZE]); /* "package-0" */
uint64_t ledger_counter_zone_uj(const struct ledger_vm *vm, size_t counter);
uint64_t ledger_counter_brought_uj(const struct ledger_vm *vm, size_t counter);
uint64_t ledger_counter_floor_uj(const struct ledger_vm *vm, size_t counter);

/* Active, idle and overhead together. */
uint64_t ledger_share_total_uj(const struct ledger_share *share);

static inline void cleanup_ledger_value(struct ledger *const *ledger)
{
	ledger_destroy(*ledger);
}
#define cleanup_ledger __attribute__((cleanup(cleanup_ledger_value)))

#endif
