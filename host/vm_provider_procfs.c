/*
 * vm_provider_procfs.c: the machines of a host without libvirt, by its QEMU processes.
 *
 * /proc cannot be watched, so it is read once a second, and at once when somebody asks for a
 * machine that is not known. A machine is known while it has a process.
 */
#include "common/cleanup.h"
#include "common/log.h"
#include "host/qemu_scan.h"
#include "host/vm_provider_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define PROCFS_PERIOD_MS 1000

struct procfs {
	struct qemu_scan scan;
	struct vm_roster *roster; /* as last published */
	size_t told_unbelieved;	  /* so many processes */
};

static int procfs_open(struct vm_provider *provider, void **ret_private, struct diag *diag)
{
	struct procfs *procfs = calloc(1, sizeof(*procfs));

	if (procfs == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	qemu_scan_init(&procfs->scan);
	procfs->scan.users = vm_provider_context(provider)->users;
	*ret_private = procfs;
	return 0;
}

static void procfs_close(struct procfs *procfs)
{
	qemu_scan_finish(&procfs->scan);
	vm_roster_destroy(procfs->roster);
	free(procfs);
}

/*
 * A process with neither uuid, VMID nor name is a machine all the same: its identity is that of the
 * process, so it is a new machine after every start.
 */
static void procfs_identify(const struct qemu_process *process, struct vm_roster_vm *vm)
{
	struct qemu_cmdline cmdline = process->cmdline;

	if (cmdline.name[0] == '\0' && cmdline.has_vmid)
		(void)snprintf(cmdline.name, sizeof(cmdline.name), "%" PRIu32, cmdline.vmid);
	else if (cmdline.name[0] == '\0')
		(void)snprintf(cmdline.name, sizeof(cmdline.name), "qemu-%" PRId32 "-%" PRIu64,
			       process->process.pid, process->process.start_ticks);
	if (cmdline.has_uuid)
		vm->uuid = cmdline.uuid;
	else
		(void)qemu_cmdline_derive_uuid(&cmdline, &vm->uuid);
	vm_roster_set_name(vm, cmdline.name);
}

static int procfs_add(struct vm_roster *roster, const struct qemu_process *process)
{
	const struct qemu_cmdline *cmdline = &process->cmdline;
	cleanup_free struct vm_roster_vcpu *vcpus = NULL;
	struct vm_roster_vm vm = {
	    .running = true,
	    .process = process->process,
	    .socket_count = 1,
	    .vcpus_per_socket = cmdline->vcpus_per_socket,
	    .memory_bytes = cmdline->memory_bytes,
	    .vcpu_count = cmdline->vcpu_count,
	};

	vcpus = calloc(cmdline->vcpu_count, sizeof(*vcpus));
	if (vcpus == NULL)
		return -ENOMEM;
	for (uint32_t id = 0; id < cmdline->vcpu_count; id++)
		vcpus[id] =
		    (struct vm_roster_vcpu){.id = id, .socket = id / cmdline->vcpus_per_socket};
	vm.socket_count = (cmdline->vcpu_count - 1) / cmdline->vcpus_per_socket + 1;
	vm.vcpus = vcpus;
	procfs_identify(process, &vm);
	/* Of two with one uuid the eldest has it: the scan is in the order of their start. */
	if (vm_roster_find(roster, &vm.uuid) != NULL)
		return 0;
	return vm_roster_put(roster, &vm);
}

/* The same processes are the same machines: a command line does not change. */
static bool procfs_changed(const struct vm_roster *before, const struct vm_roster *after)
{
	if (before == NULL || before->count != after->count)
		return true;
	for (size_t i = 0; i < after->count; i++) {
		const struct vm_roster_vm *a = before->vms[i], *b = after->vms[i];

		if (!uuid_equal(&a->uuid, &b->uuid) || a->process.pid != b->process.pid ||
		    a->process.start_ticks != b->process.start_ticks)
			return true;
	}
	return false;
}

/* Once for each that comes; whoever runs machines under a user of his own learns what to do. */
static void procfs_tell_unbelieved(struct procfs *procfs)
{
	if (procfs->scan.unbelieved > procfs->told_unbelieved)
		log_warning("%zu processes are called QEMU, but machines do not run under their "
			    "users: they are not counted (vms.users)",
			    procfs->scan.unbelieved);
	procfs->told_unbelieved = procfs->scan.unbelieved;
}

static int procfs_scan(struct vm_provider *provider, struct procfs *procfs)
{
	cleanup_vm_roster struct vm_roster *roster = NULL;
	int proc_fd = sysroot_proc_fd(vm_provider_context(provider)->root);
	int status = qemu_scan_run(&procfs->scan, proc_fd);

	if (status < 0)
		return status;
	procfs_tell_unbelieved(procfs);
	status = vm_roster_create(&roster);
	if (status < 0)
		return status;
	for (size_t i = 0; i < procfs->scan.count; i++) {
		if (!procfs->scan.processes[i].believed)
			continue;
		status = procfs_add(roster, &procfs->scan.processes[i]);
		if (status == -ENOMEM)
			return status;
	}
	if (!procfs_changed(procfs->roster, roster))
		return 0;
	status = vm_provider_publish(provider, roster);
	if (status < 0)
		return status;
	vm_roster_destroy(procfs->roster);
	procfs->roster = TAKE_PTR(roster);
	return 0;
}

static void procfs_answer(struct vm_provider *provider, const struct procfs *procfs)
{
	struct uuid uuid;

	while (vm_provider_next_query(provider, &uuid))
		vm_provider_answer(provider, &uuid,
				   procfs->roster != NULL &&
				       vm_roster_find(procfs->roster, &uuid) != NULL);
}

static void procfs_run(struct vm_provider *provider, void *private)
{
	struct procfs *procfs = private;
	struct pollfd wake = {.fd = vm_provider_wake_fd(provider), .events = POLLIN};

	for (;;) {
		struct diag diag = DIAG_INIT;
		int status;

		/* In this order: a wake-up that is taken away here has its reason seen below. */
		vm_provider_woken(provider);
		if (vm_provider_stopping(provider))
			break;
		status = procfs_scan(provider, procfs);
		if (status < 0)
			(void)diag_error(&diag, status, "cannot look for QEMU in /proc: %s",
					 strerror(-status));
		vm_provider_set_state(provider, status < 0 ? VM_PROVIDER_AWAY : VM_PROVIDER_OK,
				      &diag);
		procfs_answer(provider, procfs);
		(void)poll(&wake, 1, PROCFS_PERIOD_MS);
	}
	procfs_close(procfs);
}

const struct vm_provider_ops vm_provider_procfs = {
    .name = "procfs",
    .open = procfs_open,
    .run = procfs_run,
};
