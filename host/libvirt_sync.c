#include "host/libvirt_sync.h"
#include "common/cleanup.h"
#include "host/domain_xml.h"
#include "host/move_xml.h"
#include "host/vm_time_libvirt.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>

#define LIBVIRT_NO_ID UINT32_MAX /* virDomainGetID() of a domain that is shut off: (unsigned)-1 */

/* So often a running machine's process is looked for, before it is taken to be out of sight. */
#define LIBVIRT_SYNC_LOOKS 4

struct libvirt_domains {
	int count;
	virDomainPtr *domains;
};

static void cleanup_domains_value(const struct libvirt_domains *list)
{
	for (int i = 0; i < list->count; i++)
		(void)virDomainFree(list->domains[i]);
	free(list->domains);
}
#define cleanup_domains __attribute__((cleanup(cleanup_domains_value)))

int libvirt_sync_init(struct libvirt_sync *sync, int proc_fd, bool told_times)
{
	*sync = (struct libvirt_sync){.proc_fd = proc_fd, .told_times = told_times};
	qemu_scan_init(&sync->scan);
	return vm_roster_create(&sync->roster);
}

void libvirt_sync_finish(struct libvirt_sync *sync)
{
	qemu_scan_finish(&sync->scan);
	vm_roster_destroy(sync->roster);
	sync->roster = NULL;
}

static int libvirt_sync_error(struct diag *diag, const char *what)
{
	return diag_error(diag, -EIO, "libvirt: %s: %s", what, virGetLastErrorMessage());
}

/* What libvirt has told of the same run so far goes on in the new entry. */
static void libvirt_sync_keep_times(const struct vm_roster_vm *before, struct vm_roster_vm *vm)
{
	vm->cpu_time_ns = before->cpu_time_ns;
	for (size_t i = 0; i < vm->vcpu_count; i++)
		for (size_t k = 0; k < before->vcpu_count; k++)
			if (before->vcpus[k].id == vm->vcpus[i].id)
				vm->vcpus[i].time_ns = before->vcpus[k].time_ns;
}

/*
 * The process of a running machine, and whose times count. Where the process cannot be seen the
 * domain's id, which libvirt never uses twice, stands for the run. A run whose times libvirt has
 * begun to tell stays with them: its threads' times would count everything once more. So that is
 * not decided in haste: the processes may have been listed before this one began, and libvirt calls
 * a domain running while QEMU is yet to be executed. Until it is found the machine does not run.
 */
static int libvirt_sync_process(struct libvirt_sync *sync, unsigned int id, struct vm_roster_vm *vm)
{
	const struct vm_roster_vm *before = vm_roster_find(sync->roster, &vm->uuid);
	bool unseen_before =
	    before != NULL && before->process.pid == 0 && before->process.start_ticks == id;
	bool told_unseen = unseen_before && before->has_times;
	const struct qemu_process *process = NULL;
	int status;

	vm->process = (struct vm_roster_process){.pid = 0, .start_ticks = id};
	if (!told_unseen)
		process = qemu_scan_find(&sync->scan, &vm->uuid, (int)id);
	if (!told_unseen && process == NULL) {
		status = libvirt_sync_processes(sync);
		if (status < 0)
			return status;
		process = qemu_scan_find(&sync->scan, &vm->uuid, (int)id);
	}
	if (process != NULL)
		vm->process = process->process;
	else if (!told_unseen)
		vm->missed = unseen_before ? before->missed + 1 : 1;
	vm->running =
	    process != NULL || told_unseen || sync->told_times || vm->missed == LIBVIRT_SYNC_LOOKS;
	sync->unsettled = sync->unsettled || !vm->running;
	vm->has_times = vm->running && (sync->told_times || process == NULL);
	if (vm->has_times && before != NULL && before->has_times &&
	    before->process.pid == vm->process.pid &&
	    before->process.start_ticks == vm->process.start_ticks)
		libvirt_sync_keep_times(before, vm);
	return 0;
}

/* What the machine brought, and whether it still runs on the host from which it comes. */
static int libvirt_sync_record(virDomainPtr domain, const char *xml, struct vm_roster_vm *vm)
{
	int state, reason;
	int status = move_xml_read(xml, strlen(xml), &vm->uuid, &vm->record, NULL);

	if (status == -EINVAL || status == -EXDEV)
		vm->record_error = status;
	if (status < 0)
		return status == -ENOMEM ? status : 0;
	vm->coming = vm->running && virDomainGetState(domain, &state, &reason, 0) == 0 &&
		     state == VIR_DOMAIN_PAUSED && reason == VIR_DOMAIN_PAUSED_MIGRATION;
	return 0;
}

/* Reads one domain into a roster. -ENOENT: it has just gone. */
static int libvirt_sync_domain(struct libvirt_sync *sync, virDomainPtr domain,
			       struct vm_roster *roster, struct diag *diag)
{
	cleanup_free char *xml = virDomainGetXMLDesc(domain, 0);
	unsigned int id = virDomainGetID(domain);
	struct vm_roster_vm vm;
	int status;

	if (xml == NULL && virGetLastErrorCode() == VIR_ERR_NO_DOMAIN)
		return -ENOENT;
	if (xml == NULL)
		return libvirt_sync_error(diag, "cannot read a domain");
	status = domain_xml_parse(xml, strlen(xml), &vm, diag);
	if (status < 0)
		return status;
	vm.running = id != LIBVIRT_NO_ID;
	vm.persistent = virDomainIsPersistent(domain) == 1;
	if (vm.running)
		status = libvirt_sync_process(sync, id, &vm);
	if (status == 0)
		status = libvirt_sync_record(domain, xml, &vm);
	if (status == 0)
		status = vm_roster_put(roster, &vm);
	free(vm.vcpus);
	free(vm.record);
	if (status < 0)
		return diag_error(diag, status, "cannot keep another machine: %s",
				  strerror(-status));
	return 0;
}

int libvirt_sync_processes(struct libvirt_sync *sync)
{
	return qemu_scan_run(&sync->scan, sync->proc_fd);
}

/* The domain as it was known before, for a roster that is being made anew. */
static int libvirt_sync_carry_over(const struct libvirt_sync *sync, virDomainPtr domain,
				   struct vm_roster *roster)
{
	const struct vm_roster_vm *before;
	struct uuid uuid;

	if (virDomainGetUUID(domain, uuid.bytes) < 0)
		return -ENOENT;
	before = vm_roster_find(sync->roster, &uuid);
	return before != NULL ? vm_roster_put(roster, before) : -ENOENT;
}

int libvirt_sync_all(struct libvirt_sync *sync, virConnectPtr connection, struct diag *diag)
{
	cleanup_domains struct libvirt_domains list = {.count = 0};
	cleanup_vm_roster struct vm_roster *roster = NULL;
	int count = virConnectListAllDomains(connection, &list.domains, 0);
	int status;

	if (count < 0)
		return libvirt_sync_error(diag, "cannot list the domains");
	list.count = count;
	sync->unsettled = false;
	status = vm_roster_create(&roster);
	if (status < 0)
		return diag_error(diag, status, "out of memory");
	status = libvirt_sync_processes(sync);
	if (status < 0)
		return diag_error(diag, status, "cannot look for QEMU in /proc: %s",
				  strerror(-status));
	for (int i = 0; i < list.count; i++) {
		status = libvirt_sync_domain(sync, list.domains[i], roster, diag);
		if (status == -EIO && virConnectIsAlive(connection) != 1)
			return status;
		if (status < 0 && status != -ENOENT)
			(void)libvirt_sync_carry_over(sync, list.domains[i], roster);
	}
	vm_roster_destroy(sync->roster);
	sync->roster = TAKE_PTR(roster);
	return 0;
}

int libvirt_sync_one(struct libvirt_sync *sync, virConnectPtr connection, const struct uuid *uuid,
		     struct diag *diag)
{
	virDomainPtr domain = virDomainLookupByUUID(connection, uuid->bytes);
	int status;

	if (domain == NULL && virGetLastErrorCode() != VIR_ERR_NO_DOMAIN)
		return libvirt_sync_error(diag, "cannot look a domain up");
	if (domain == NULL) {
		(void)vm_roster_remove(sync->roster, uuid);
		return 0;
	}
	status = libvirt_sync_domain(sync, domain, sync->roster, diag);
	(void)virDomainFree(domain);
	if (status == -ENOENT)
		(void)vm_roster_remove(sync->roster, uuid);
	if (status < 0 && status != -ENOENT)
		return status;
	return status == 0 ? 1 : 0;
}

bool libvirt_sync_wants_times(const struct libvirt_sync *sync)
{
	for (size_t i = 0; i < sync->roster->count; i++)
		if (sync->roster->vms[i]->has_times)
			return true;
	return false;
}

int libvirt_sync_times(struct libvirt_sync *sync, virConnectPtr connection, struct diag *diag)
{
	virDomainStatsRecordPtr *records = NULL;
	int count = virConnectGetAllDomainStats(connection, VM_TIME_LIBVIRT_STATS, &records,
						VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE |
						    VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT);

	if (count < 0 && virGetLastErrorCode() == VIR_ERR_NO_SUPPORT)
		return diag_error(diag, -EOPNOTSUPP, "this libvirt driver tells no CPU times");
	if (count < 0)
		return libvirt_sync_error(diag, "cannot read CPU times");
	for (int i = 0; i < count; i++) {
		struct vm_roster_vm *vm = NULL;
		struct uuid uuid;

		if (virDomainGetUUID(records[i]->dom, uuid.bytes) == 0)
			vm = vm_roster_find(sync->roster, &uuid);
		if (vm != NULL && vm->has_times)
			vm_time_libvirt_fill(records[i]->params, records[i]->nparams, vm);
	}
	virDomainStatsRecordListFree(records);
	return 0;
}
