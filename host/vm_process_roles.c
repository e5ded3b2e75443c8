#include "common/cleanup.h"
#include "common/file.h"
#include "host/vm_process_internal.h"

#include <stdio.h>

#define VM_PROCESS_COMM_SIZE 64

void vm_process_roles_identify(const struct vm_process *process, struct vm_thread *thread)
{
	char path[THREAD_TIME_PATH_SIZE], file[THREAD_TIME_PATH_SIZE + 8];
	char comm[VM_PROCESS_COMM_SIZE];

	vm_process_thread_path(process, thread, path);
	(void)snprintf(file, sizeof(file), "%s/comm", path);
	if (file_read_line_at(process->context->proc_fd, file, comm, sizeof(comm)) < 0)
		return;
	thread->role = thread_role_of(comm, &thread->vcpu);
	if (thread->role == THREAD_VCPU && thread->vcpu >= SAMPLE_VCPU_MAX)
		thread->role = THREAD_OTHER;
}

/* How many vCPUs have a thread; all of them with one thread for all. */
static size_t vm_process_vcpu_threads(const struct vm_process *process, size_t vcpu_count)
{
	size_t found = 0;

	for (size_t i = 0; i < process->count; i++) {
		if (process->threads[i].role == THREAD_ALL_VCPUS)
			return vcpu_count;
		if (process->threads[i].role == THREAD_VCPU)
			found++;
	}
	return found;
}

/*
 * A QEMU without `-name ...,debug-threads=on` leaves its threads nameless. It starts the RCU thread
 * first, from a constructor, and the vCPUs next, before the workers that it needs now and then; so
 * go by the order of the ids. Where that errs, time is shown as a vCPU's that was overhead: the
 * machine's sum is right in any case.
 */
static void vm_process_guess(struct vm_process *process, size_t vcpu_count)
{
	size_t others = process->count > 0 ? process->count - 1 : 0;
	size_t skip = others > vcpu_count ? 1 : 0;
	uint32_t vcpu = 0;

	for (size_t i = 0; i < process->count && vcpu < vcpu_count; i++) {
		struct vm_thread *thread = &process->threads[i];

		if (thread->tid == process->identity.pid || thread->kernel_thread)
			continue;
		if (skip > 0) {
			skip--;
			continue;
		}
		thread->role = THREAD_VCPU;
		thread->vcpu = vcpu++;
	}
	process->guessed = vcpu > 0;
}

/* Threads name themselves only after they have started, so look again while vCPUs are missing. */
void vm_process_roles_resolve(struct vm_process *process, struct mono_time now, size_t vcpu_count)
{
	if (process->guessed)
		for (size_t i = 0; i < process->count; i++)
			process->threads[i].role = THREAD_OTHER;
	process->guessed = false;
	if (vm_process_vcpu_threads(process, vcpu_count) < vcpu_count)
		for (size_t i = 0; i < process->count; i++)
			if (process->threads[i].role == THREAD_OTHER &&
			    !process->threads[i].kernel_thread)
				vm_process_roles_identify(process, &process->threads[i]);
	if (vm_process_vcpu_threads(process, vcpu_count) == 0 &&
	    clock_elapsed_ns(process->opened, now) >= VM_PROCESS_NAMING_NS)
		vm_process_guess(process, vcpu_count);
	process->incomplete =
	    !process->guessed && vm_process_vcpu_threads(process, vcpu_count) < vcpu_count;
}
