/*
 * year_host.h: a simulated host: RAPL zones, CPUs and the processes of machines, as files.
 *
 * What wattportd sees of it are files below a directory; their true values are here. The files are
 * brought up to date by year_host_show(). The only readers are in the same process, one thread.
 */
#ifndef WATTPORT_TESTS_SOAK_YEAR_HOST_H
#define WATTPORT_TESTS_SOAK_YEAR_HOST_H

#include "common/clock.h"
#include "common/uuid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define YEAR_ZONE_COUNT 4
#define YEAR_CPU_COUNT	4
#define YEAR_VM_MAX	8
#define YEAR_VCPU_MAX	4
#define YEAR_THREAD_MAX (YEAR_VCPU_MAX + 1) /* the last is QEMU's own */

struct year_zone {
	const char *id; /* in the ledger */
	const char *name;
	const char *place;
	uint64_t unit_nj;
	uint64_t idle_mw, busy_mw;
	uint64_t units;	   /* since the last reset, not wrapped */
	uint64_t rest_pj;  /* of a unit */
	uint64_t resets;   /* the counter began anew, where nobody could see it */
	bool present;	   /* listed by the kernel */
	int error;	   /* that reading gives, or 0 */
	uint64_t fault_ns; /* of running time: when it was last not to be read */
	int fd;
};

struct year_thread {
	int32_t tid;
	uint32_t cpu;
	bool cpu_shown;
	uint64_t time_ns; /* of this thread */
	int fd, stat_fd;
};

struct year_vm {
	bool known;
	bool seen; /* it has an account, as far as was looked */
	bool running;
	struct uuid uuid;
	char name[32];
	uint64_t start_ticks;
	uint32_t sockets;
	uint64_t memory_bytes;
	uint64_t load_ppm; /* of a vCPU */
	size_t vcpu_count;
	struct year_thread threads[YEAR_THREAD_MAX];
	uint64_t spent_ns; /* by all its threads in all its lives, while its uuid is known */
};

struct year_host {
	struct manual_clock clock;
	uint64_t true_ns;    /* goes on over suspend and reboots */
	uint64_t running_ns; /* of this boot, without suspend */
	uint32_t boot;
	uint64_t next_vm;
	int32_t next_pid;
	bool offline[YEAR_CPU_COUNT];
	uint64_t idle_ticks[YEAR_CPU_COUNT], busy_ticks[YEAR_CPU_COUNT];
	bool roster_changed;
	struct year_zone zones[YEAR_ZONE_COUNT];
	struct year_vm vms[YEAR_VM_MAX];
};

/* Where the host of this run is, for the wrapped calls. */
extern struct year_host year_host;

/* The directory, for --sysroot. */
const char *year_host_path(void);

void year_host_begin(void);
void year_host_end(void);

/* Time goes by: energy and CPU time are spent. Files show it after year_host_show(). */
void year_host_pass(uint64_t elapsed_ns);
void year_host_suspend(uint64_t elapsed_ns, bool counters_reset);
void year_host_show(void);

/* Another boot: counters, clock and processes begin anew; the machines are known, but off. */
void year_host_reboot(void);

uint64_t year_zone_raw_uj(const struct year_zone *zone);
uint64_t year_zone_range_uj(const struct year_zone *zone);
void year_zone_remove(struct year_zone *zone);
void year_zone_add(struct year_zone *zone);
void year_zone_reset(struct year_zone *zone);

void year_vm_arrive(struct year_vm *vm);
void year_vm_start(struct year_vm *vm, bool same_pid);
void year_vm_stop(struct year_vm *vm);
void year_vm_depart(struct year_vm *vm);
void year_vm_plug(struct year_vm *vm);
void year_vm_unplug(struct year_vm *vm);

/* Whether the CPU is shown, in topology and in /proc/stat. */
void year_host_plug_cpu(size_t cpu, bool online);

#endif
