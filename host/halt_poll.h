/*
 * halt_poll.h: how long a machine's vCPUs have waited for work without sleeping.
 *
 * Beside the CPU times: KVM lets a vCPU that halts spin for a moment before it gives its CPU away,
 * and that spinning is CPU time of the vCPU's thread, also of a guest that is idle. KVM counts it
 * for each machine, summed over its vCPUs, in debugfs: kvm/PID-FD/halt_poll_success_ns (work came)
 * and halt_poll_fail_ns (none did), since Linux 5.8; what lies in vcpuN there has no such file.
 * Only root may look, and debugfs may be locked down or not mounted: then nothing is known.
 *
 * An open file of these holds the machine's KVM object, so none is kept: each reading opens both,
 * and no more often than HALT_POLL_PERIOD_NS. One thread at a time.
 */
#ifndef WATTPORT_HOST_HALT_POLL_H
#define WATTPORT_HOST_HALT_POLL_H

#include "common/clock.h"

#include <stdbool.h>
#include <stdint.h>

#define HALT_POLL_PERIOD_NS CLOCK_NS_PER_SECOND

/* After a look that found nothing. */
#define HALT_POLL_RETRY_NS (10 * CLOCK_NS_PER_SECOND)

/* Of one machine, over all processes that it had. All zero: nothing known. */
struct halt_poll {
	bool known;
	uint64_t total_ns; /* only grows */
	int32_t pid;	   /* whose directory it is; 0: none */
	int32_t vm_fd;
	uint64_t last_ns;
	struct mono_time read;
};

/*
 * Reads the counters of that process, below the /sys that sys_fd is, if they are due. What a
 * process has counted before it was seen first counts, too, as its CPU time does.
 */
void halt_poll_read(struct halt_poll *poll, int sys_fd, int32_t pid, struct mono_time now);

#endif
