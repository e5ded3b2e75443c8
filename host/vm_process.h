/*
 * vm_process.h: the threads of one QEMU process and the CPU time that they spend.
 *
 * Between /proc and vm_threads.c, which keeps one of these for each running machine. A reading
 * costs one pread(2) a thread and one fstatat(2) a process. The task directory is listed again only
 * when something has changed in it: the kernel counts the threads in the directory's st_nlink
 * (proc_task_getattr() in fs/proc/base.c), and a thread that was replaced by another at the same
 * count is noticed by the ESRCH of its old descriptor. One thread at a time.
 */
#ifndef WATTPORT_HOST_VM_PROCESS_H
#define WATTPORT_HOST_VM_PROCESS_H

#include "common/clock.h"
#include "common/sample.h"
#include "host/vm_cpu_time.h"
#include "host/vm_events.h"
#include "host/vm_roster.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VM_PROCESS_THREAD_MAX 16384

/* Between two listings of a process whose threads come and go, and while vCPUs are missing. */
#define VM_PROCESS_SCAN_NS CLOCK_NS_PER_SECOND

/* So long QEMU may take to name its threads before they are told apart by their order. */
#define VM_PROCESS_NAMING_NS (2 * CLOCK_NS_PER_SECOND)

/* What all processes share; outlives them. */
struct vm_process_context {
	int proc_fd;
	bool want_cpu;	  /* tell where the vCPUs ran: pointless on a single package */
	size_t fd_budget; /* descriptors that may still be kept; counted down and up */
	struct vm_events events;
};

struct vm_process;

/*
 * Starts to follow a process. -ESRCH: there is none, or the pid belongs to another one by now;
 * -EACCES: it may not be seen; -ENOMEM.
 */
int vm_process_open(struct vm_process_context *context, const struct vm_roster_process *identity,
		    struct vm_process **ret_process);
void vm_process_close(struct vm_process *process);

/*
 * Adds what the threads have spent since the last call (at the first: since their start) to
 * `time`, which has room for `vcpu_count` vCPUs. -ESRCH: the process has ended. Other errors mean
 * that something could not be read or listed this time; what could is booked.
 */
int vm_process_read(struct vm_process *process, struct mono_time now, size_t vcpu_count,
		    struct vm_cpu_time *time);

/* False once it has ended; a process of the same id that began later is another one. */
bool vm_process_exists(const struct vm_process *process);

/* Takes in a thread outside of the process: a vhost worker of kernels before 6.4. */
int vm_process_add_kernel_thread(struct vm_process *process, int32_t tid);

/* Which process it is, and what its threads that live now have used since their start. */
void vm_process_tell(const struct vm_process *process, struct sample_process *ret_process);

/* SAMPLE_JIFFIES where the kernel keeps no schedstat. */
enum sample_precision vm_process_precision(const struct vm_process *process);

/* Threads whose files are opened for each reading, since descriptors ran short. */
size_t vm_process_unkept(const struct vm_process *process);

/* Those, and threads whose events are not counted for that reason. */
size_t vm_process_short(const struct vm_process *process);

const struct vm_roster_process *vm_process_identity(const struct vm_process *process);

#endif
