/*
 * share.h: the host's share in this VM: found by its tag and mounted.
 *
 * The guest's end of the transport, before the powercap source can read anything. share_probe()
 * reads what the kernel tells, share_choose() decides (pure), share_mount() acts. One thread.
 *
 * 9p devices show their tag in sysfs once the driver is bound; virtiofs devices do so in
 * /sys/fs/virtiofs since Linux 6.9 only, before that the mount itself is the question.
 */
#ifndef WATTPORT_GUEST_SHARE_H
#define WATTPORT_GUEST_SHARE_H

#include "common/diag.h"
#include "common/sysroot.h"

#include <stdbool.h>
#include <stddef.h>

#define SHARE_TAG_DEFAULT  "wattport"
#define SHARE_TAG_SIZE	   37 /* virtio 1.2, 5.11.4: 36 bytes for virtiofs; with the NUL */
#define SHARE_TAG_LIST_MAX 8  /* foreign tags remembered for the message */
#define SHARE_PCI_SIZE	   32 /* of a PCI address, with the NUL */
#define SHARE_KERNEL_SIZE  65 /* __NEW_UTS_LEN, and the NUL */

enum share_transport {
	SHARE_AUTO,
	SHARE_9P,
	SHARE_VIRTIOFS,
};

struct share_tags {
	size_t count; /* may exceed SHARE_TAG_LIST_MAX: the rest is not kept */
	char names[SHARE_TAG_LIST_MAX][SHARE_TAG_SIZE];
};

struct share_state {
	size_t p9_device_count; /* virtio devices of type 9 */
	size_t p9_bound_count;	/* of these, with a driver that tells the tag */
	bool p9_tagged;		/* one has our tag */
	size_t virtiofs_device_count;
	bool virtiofs_tells_tags;
	bool virtiofs_tagged;
	bool has_9p; /* the kernel knows the file system */
	bool has_virtiofs;
	struct share_tags other;
	char idle_pci[SHARE_PCI_SIZE];	/* such a device that no driver has taken, or empty */
	char kernel[SHARE_KERNEL_SIZE]; /* its release, "?" where it is not told */
	bool modules_disabled;		/* for good: kernel.modules_disabled */
};

/* The transports worth a mount(2), best first. */
struct share_choice {
	size_t count;
	enum share_transport transports[2];
};

/* "auto", "9p" or "virtiofs"; -EINVAL otherwise. */
int share_transport_parse(const char *name, enum share_transport *ret_transport);
const char *share_transport_name(enum share_transport transport);

/* Reads sysfs and /proc/filesystems. What is not there is not an error. */
void share_probe(const struct sysroot *root, const char *tag, struct share_state *ret_state);

/* Loads the modules that the devices at hand ask for, then probes again where that changed things.
 */
void share_provide(const struct sysroot *root, const char *tag, enum share_transport transport,
		   struct share_state *state);

/*
 * -ENODEV: nothing here has that tag; -ENOPKG: there is a device but the kernel lacks its file
 * system. *diag then says what to do, and where.
 */
int share_choose(const struct share_state *state, const char *tag, enum share_transport transport,
		 struct share_choice *ret_choice, struct diag *diag);

/* All three in a row: what there is, what can be loaded for it, and what is worth a try. */
int share_find(const struct sysroot *root, const char *tag, enum share_transport transport,
	       struct share_choice *ret_choice, struct diag *diag);

/* Whether there is a device of that transport with the tag that was asked for, as far as is told.
 */
bool share_is_there(const struct share_state *state, enum share_transport transport);

/*
 * Mounts the first of them that can be, read-only, without devices, programs or set-user-ids, at
 * the directory. -ENODEV when no device has that tag, -ENOTCONN when the host serves nothing
 * through it, -EBUSY when it is in use, -EPERM when this process may not, else as mount(2).
 */
int share_mount(const struct share_choice *choice, const char *tag, const char *directory,
		struct diag *diag);

#endif
