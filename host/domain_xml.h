/*
 * domain_xml.h: what the roster needs to know of a libvirt domain, out of its XML.
 *
 * Between libvirt and the roster. A pure parser on libxml2, without network, entities or DTDs. The
 * document comes from libvirt, but what is in it (name, metadata) was written by whoever defines
 * domains, so nothing of it is trusted. Safe in any thread.
 */
#ifndef WATTPORT_HOST_DOMAIN_XML_H
#define WATTPORT_HOST_DOMAIN_XML_H

#include "common/diag.h"
#include "host/vm_roster.h"

#include <stddef.h>

/*
 * Fills uuid, name, memory, vCPUs and sockets of an empty entry; running, persistent and process
 * are the caller's to fill. The caller frees vm->vcpus. -EINVAL with the reason when it is no
 * domain, -EFBIG past the size limit, -ENOSPC past VM_ROSTER_VCPU_MAX, -ENOMEM.
 *
 * Sockets are those that the guest sees. libvirt always gives QEMU a topology: without <topology>
 * it says `-smp N,sockets=N,cores=1,threads=1` with N = the largest number of vCPUs
 * (qemuBuildSmpCommandLine() in libvirt's src/qemu/qemu_command.c). vCPUs fill thread, core, die
 * and socket in this order, so the socket of vCPU id is id / (dies * clusters * cores * threads). A
 * socket whose vCPUs are all unplugged is not there for the guest.
 */
int domain_xml_parse(const char *text, size_t size, struct vm_roster_vm *ret_vm, struct diag *diag);

#endif
