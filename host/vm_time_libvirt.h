/*
 * vm_time_libvirt.h: CPU times as libvirt tells them, for hosts where QEMU's /proc is out of sight.
 *
 * Between virConnectGetAllDomainStats() and the roster. libvirt reads them from /proc/PID/stat, so
 * they move in steps of 10 ms (qemuGetSchedInfo() and qemuDomainHelperGetVcpus() in libvirt's
 * src/qemu/qemu_driver.c). The decoder is pure; any thread.
 */
#ifndef WATTPORT_HOST_VM_TIME_LIBVIRT_H
#define WATTPORT_HOST_VM_TIME_LIBVIRT_H

#include "host/vm_roster.h"

#include <libvirt/libvirt.h>

/* What to ask virConnectGetAllDomainStats() for. */
#define VM_TIME_LIBVIRT_STATS                                                                      \
	(VIR_DOMAIN_STATS_VCPU | VIR_DOMAIN_STATS_CPU_TOTAL | VIR_DOMAIN_STATS_BALLOON)

/*
 * Puts the times (and the balloon's size) of one record into the entry. What the record does not
 * have, since a QEMU did not answer in time, stays as it was.
 */
void vm_time_libvirt_fill(const virTypedParameter params[], int count, struct vm_roster_vm *vm);

#endif
