/*
 * vm_process_internal.h: what a process and its threads are made of, for vm_process.c, which
 * follows them, and vm_process_roles.c, which tells what each thread is for.
 */
#ifndef WATTPORT_HOST_VM_PROCESS_INTERNAL_H
#define WATTPORT_HOST_VM_PROCESS_INTERNAL_H

#include "host/thread_time.h"
#include "host/vm_process.h"

#include <sys/types.h>

struct vm_thread {
	int32_t tid;
	enum thread_role role;
	uint32_t vcpu;	    /* with THREAD_VCPU */
	bool kernel_thread; /* not in the task directory */
	bool listed;	    /* found by the listing that is going on */
	bool ended;
	bool kept; /* its descriptors are in the budget */
	uint64_t time_ns;
	struct thread_time files;
	struct thread_events events;
};

struct vm_process {
	struct vm_process_context *context;
	struct vm_roster_process identity;
	enum thread_time_kind kind;
	bool kind_known;
	bool scan_wanted;
	bool guessed; /* roles go by the order of the threads: they have no names */
	bool incomplete;
	struct mono_time opened;
	struct mono_time scanned;
	nlink_t links;
	size_t count;
	size_t capacity;
	struct vm_thread *threads; /* in the order of their ids */
};

/* A kernel thread's directory stands in /proc itself. */
void vm_process_thread_path(const struct vm_process *process, const struct vm_thread *thread,
			    char path[static THREAD_TIME_PATH_SIZE]);

/* By its name; a thread that cannot be read, or whose name says nothing, keeps its role. */
void vm_process_roles_identify(const struct vm_process *process, struct vm_thread *thread);

/* Threads name themselves only after they have started, so look again while vCPUs are missing. */
void vm_process_roles_resolve(struct vm_process *process, struct mono_time now, size_t vcpu_count);

#endif
