/*
 * qemu_cmdline.h: which machine a QEMU process is, by its command line.
 *
 * For wattportd, which looks for machines without libvirt and for the processes of libvirt's
 * domains, and for wattport-fs, which has to know whose QEMU reads a tree. A pure parser of
 * /proc/PID/cmdline: arguments, each ended by a NUL. Whoever starts a process writes this text, so
 * nothing of it is trusted. Safe in any thread.
 */
#ifndef WATTPORT_COMMON_QEMU_CMDLINE_H
#define WATTPORT_COMMON_QEMU_CMDLINE_H

#include "common/sample.h"
#include "common/uuid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* libvirt's command lines are some 10 KiB; one with hundreds of disks passes 100 KiB. */
#define QEMU_CMDLINE_SIZE_MAX (1U << 20)

struct qemu_cmdline {
	bool has_uuid; /* -uuid, else -smbios type=1,uuid=... (Proxmox) */
	struct uuid uuid;
	char name[SAMPLE_NAME_SIZE]; /* -name; empty without */
	bool has_vmid;		     /* -id, which only Proxmox's QEMU has */
	uint32_t vmid;
	bool has_libvirt_id; /* by the directory .../domain-ID-NAME/ that libvirt hands it */
	uint32_t libvirt_id;
	bool probe; /* -machine none: libvirt asking for capabilities, not a machine */
	uint32_t vcpu_count;
	uint32_t vcpus_per_socket;
	uint64_t memory_bytes;
};

/*
 * Unknown options are passed over; of one that is given twice the last counts, as in QEMU. -EINVAL
 * when the text is empty or does not end in a NUL, or a known option makes no sense.
 *
 * The sockets follow machine_parse_smp_config() in QEMU's hw/core/machine-smp.c: what -smp leaves
 * out goes into cores, for machine types before 6.2 into sockets.
 */
int qemu_cmdline_parse(const char *text, size_t size, struct qemu_cmdline *ret_cmdline);

/*
 * The identity of a machine whose command line has no uuid: of its VMID if it has one, else of its
 * name, so it is the same after every start. An RFC 9562 version 8 uuid of two 64-bit FNV-1a hashes
 * over "wattport:vmid:NUMBER" or "wattport:name:NAME" (the second with its letters behind one '+').
 * -ENODATA without both.
 */
int qemu_cmdline_derive_uuid(const struct qemu_cmdline *cmdline, struct uuid *ret_uuid);

/*
 * That identity alone, or what qemu_cmdline_derive_uuid() makes of it, also where options that say
 * nothing of it make no sense here. -ENODATA: it has none, or is no machine (`probe`).
 */
int qemu_cmdline_identify(const char *text, size_t size, struct uuid *ret_uuid);

/* Whether a process of that name (/proc/PID/comm, at most 15 characters) may be a QEMU. */
bool qemu_cmdline_is_qemu(const char *comm);

#endif
