#include "guest/share.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "guest/module.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

/* linux/virtio_ids.h */
#define SHARE_VIRTIO_9P	      "0x0009"
#define SHARE_VIRTIO_VIRTIOFS "0x001a"
/* virtio 1.2, 4.1.2: 0x1040 and the id; 9p has a transitional one, too. */
#define SHARE_PCI_VENDOR   "0x1af4"
#define SHARE_PCI_9P	   "0x1049"
#define SHARE_PCI_9P_OLD   "0x1009"
#define SHARE_PCI_VIRTIOFS "0x105a"

/*
 * No cache: a counter is different at each read. The message size is the smallest that QEMU does
 * not warn of; the values are short, and each request's buffer is contiguous kernel memory.
 */
#define SHARE_9P_OPTIONS "trans=virtio,version=9p2000.L,msize=16384,cache=none"

static const struct {
	const char *name;
	const char *filesystem;
	const char *options;
	const char *modules[3];
} share_transports[] = {
    [SHARE_AUTO] = {"auto", NULL, NULL, {NULL}},
    [SHARE_9P] = {"9p", "9p", SHARE_9P_OPTIONS, {"9pnet_virtio", "9p", NULL}},
    [SHARE_VIRTIOFS] = {"virtiofs", "virtiofs", NULL, {"virtiofs", NULL}},
};

int share_transport_parse(const char *name, enum share_transport *ret_transport)
{
	for (size_t i = 0; i < sizeof(share_transports) / sizeof(share_transports[0]); i++) {
		if (strcmp(name, share_transports[i].name) == 0) {
			*ret_transport = (enum share_transport)i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *share_transport_name(enum share_transport transport)
{
	return share_transports[transport].name;
}

static void share_remember(struct share_tags *tags, const char *tag)
{
	if (tags->count < SHARE_TAG_LIST_MAX)
		(void)snprintf(tags->names[tags->count], SHARE_TAG_SIZE, "%.*s", SHARE_TAG_SIZE - 1,
			       tag);
	tags->count++;
}

/* One tag file; older 9p drivers end it in a NUL instead of a newline. -errno as file_read_at(). */
static int share_read_tag(int dir_fd, const char *path, const char *tag, struct share_tags *other,
			  bool *tagged)
{
	char text[PATH_MAX];
	int status = file_read_line_at(dir_fd, path, text, sizeof(text));

	if (status < 0)
		return status;
	if (strcmp(text, tag) == 0)
		*tagged = true;
	else
		share_remember(other, text);
	return 0;
}

static void share_probe_device(int devices_fd, const char *name, const char *tag,
			       struct share_state *state)
{
	char path[NAME_MAX + sizeof("/mount_tag")];
	char type[16];

	(void)snprintf(path, sizeof(path), "%s/device", name);
	if (file_read_line_at(devices_fd, path, type, sizeof(type)) < 0)
		return;
	if (strcmp(type, SHARE_VIRTIO_VIRTIOFS) == 0)
		state->virtiofs_device_count++;
	if (strcmp(type, SHARE_VIRTIO_9P) != 0)
		return;
	state->p9_device_count++;
	(void)snprintf(path, sizeof(path), "%s/mount_tag", name);
	if (share_read_tag(devices_fd, path, tag, &state->other, &state->p9_tagged) == 0)
		state->p9_bound_count++;
}

static void share_probe_virtiofs(int instances_fd, const char *name, const char *tag,
				 struct share_state *state)
{
	char path[NAME_MAX + sizeof("/tag")];

	(void)snprintf(path, sizeof(path), "%s/tag", name);
	if (share_read_tag(instances_fd, path, tag, &state->other, &state->virtiofs_tagged) == 0)
		state->virtiofs_tells_tags = true;
}

/* A device on the bus that no driver has taken shows nothing of what it is but its numbers. */
static void share_probe_pci(int devices_fd, const char *name, const char *tag,
			    struct share_state *state)
{
	char path[NAME_MAX + sizeof("/driver")];
	char vendor[16], device[16];

	(void)tag;
	(void)snprintf(path, sizeof(path), "%s/vendor", name);
	if (file_read_line_at(devices_fd, path, vendor, sizeof(vendor)) < 0 ||
	    strcmp(vendor, SHARE_PCI_VENDOR) != 0)
		return;
	(void)snprintf(path, sizeof(path), "%s/device", name);
	if (file_read_line_at(devices_fd, path, device, sizeof(device)) < 0)
		return;
	if (strcmp(device, SHARE_PCI_9P) != 0 && strcmp(device, SHARE_PCI_9P_OLD) != 0 &&
	    strcmp(device, SHARE_PCI_VIRTIOFS) != 0)
		return;
	(void)snprintf(path, sizeof(path), "%s/driver", name);
	if (faccessat(devices_fd, path, F_OK, 0) < 0)
		(void)snprintf(state->idle_pci, sizeof(state->idle_pci), "%.*s", SHARE_PCI_SIZE - 1,
			       name);
}

/* Calls `visit` for each entry of a directory of sysfs; a directory that is absent has none. */
static void share_walk(const struct sysroot *root, const char *path, const char *tag,
		       struct share_state *state,
		       void (*visit)(int, const char *, const char *, struct share_state *))
{
	int fd = openat(sysroot_sys_fd(root), path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;

	if (directory == NULL) {
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is this function's alone. */
	while ((entry = readdir(directory)) != NULL)
		if (entry->d_name[0] != '.')
			visit(dirfd(directory), entry->d_name, tag, state);
	(void)closedir(directory);
}

static void share_probe_kernel(const struct sysroot *root, struct share_state *state)
{
	int proc_fd = sysroot_proc_fd(root);
	char disabled[8];

	if (file_read_line_at(proc_fd, "sys/kernel/osrelease", state->kernel,
			      sizeof(state->kernel)) < 0)
		(void)snprintf(state->kernel, sizeof(state->kernel), "?");
	state->modules_disabled = file_read_line_at(proc_fd, "sys/kernel/modules_disabled",
						    disabled, sizeof(disabled)) == 0 &&
				  strcmp(disabled, "1") == 0;
}

void share_probe(const struct sysroot *root, const char *tag, struct share_state *ret_state)
{
	struct share_state state = {
	    .has_9p = module_has_filesystem(root, share_transports[SHARE_9P].filesystem),
	    .has_virtiofs =
		module_has_filesystem(root, share_transports[SHARE_VIRTIOFS].filesystem),
	};

	share_probe_kernel(root, &state);
	share_walk(root, "bus/pci/devices", tag, &state, share_probe_pci);
	share_walk(root, "bus/virtio/devices", tag, &state, share_probe_device);
	share_walk(root, "fs/virtiofs", tag, &state, share_probe_virtiofs);
	*ret_state = state;
}

void share_provide(const struct sysroot *root, const char *tag, enum share_transport transport,
		   struct share_state *state)
{
	bool wants_9p, wants_virtiofs;

	if (state->idle_pci[0] != '\0' && module_load(root, "virtio_pci") == 0)
		share_probe(root, tag, state);
	wants_9p = transport == SHARE_9P || state->p9_device_count > 0;
	wants_virtiofs = transport == SHARE_VIRTIOFS || state->virtiofs_device_count > 0;
	if (transport != SHARE_VIRTIOFS && wants_9p) {
		(void)module_provide(root, "9p", share_transports[SHARE_9P].modules);
		/* The file system may be built in and the transport still be a module. */
		if (state->p9_bound_count < state->p9_device_count)
			(void)module_load(root, share_transports[SHARE_9P].modules[0]);
	}
	if (transport != SHARE_9P && wants_virtiofs)
		(void)module_provide(root, "virtiofs", share_transports[SHARE_VIRTIOFS].modules);
	share_probe(root, tag, state);
}

/* "; there are shares tagged 'a', 'b'": for those who mistyped one. */
static void share_list_others(const struct share_tags *tags, char *text, size_t size)
{
	size_t used = 0;

	*text = '\0';
	for (size_t i = 0; i < tags->count && i < SHARE_TAG_LIST_MAX; i++) {
		int length = snprintf(text + used, size - used, "%s'%s'",
				      i == 0 ? " (there are shares tagged " : ", ", tags->names[i]);

		if (length < 0 || (size_t)length >= size - used)
			break;
		used += (size_t)length;
	}
	if (used > 0 && used + 1 < size)
		(void)snprintf(text + used, size - used, ")");
}

/* What there is no module for, and who has one. */
static int share_tell_module(const struct share_state *state, enum share_transport has,
			     enum share_transport other, const char *module, struct diag *diag)
{
	const char *name = share_transport_name(has);

	if (state->modules_disabled)
		return diag_error(diag, -ENOPKG,
				  "the share is %s, and this kernel (%s) loads no more modules "
				  "(kernel.modules_disabled): have %s loaded at boot: "
				  "/etc/modules-load.d",
				  name, state->kernel, module);
	return diag_error(diag, -ENOPKG,
			  "the share is %s, and this kernel (%s) has no module %s: install its "
			  "extra modules where there are such, boot one that has it (Debian: "
			  "linux-image-amd64, not the cloud kernel), or on the host: wattport "
			  "attach DOMAIN --transport %s",
			  name, state->kernel, module, share_transport_name(other));
}

static int share_tell_missing(const struct share_state *state, const char *tag,
			      enum share_transport transport, struct diag *diag)
{
	char others[SHARE_TAG_LIST_MAX * (SHARE_TAG_SIZE + 8) + 64];

	if (state->idle_pci[0] != '\0')
		return diag_error(diag, -ENOPKG,
				  "a share is plugged in (PCI device %s), but no driver has taken "
				  "it: modprobe virtio_pci; a kernel (%s) that has no such module "
				  "cannot use it",
				  state->idle_pci, state->kernel);
	if (transport != SHARE_VIRTIOFS && state->p9_bound_count < state->p9_device_count)
		return share_tell_module(state, SHARE_9P, SHARE_VIRTIOFS, "9pnet_virtio", diag);
	if (transport != SHARE_VIRTIOFS && state->p9_tagged && !state->has_9p)
		return share_tell_module(state, SHARE_9P, SHARE_VIRTIOFS, "9p", diag);
	if (transport != SHARE_9P && state->virtiofs_device_count > 0 && !state->has_virtiofs)
		return share_tell_module(state, SHARE_VIRTIOFS, SHARE_9P, "virtiofs", diag);
	share_list_others(&state->other, others, sizeof(others));
	return diag_error(diag, -ENODEV,
			  "this virtual machine has no %s%sshare tagged '%s'%s; on the host: "
			  "wattport attach DOMAIN",
			  transport == SHARE_AUTO ? "" : share_transport_name(transport),
			  transport == SHARE_AUTO ? "" : " ", tag, others);
}

bool share_is_there(const struct share_state *state, enum share_transport transport)
{
	if (transport == SHARE_9P)
		return state->p9_tagged;
	return state->virtiofs_tells_tags ? state->virtiofs_tagged
					  : state->virtiofs_device_count > 0;
}

int share_choose(const struct share_state *state, const char *tag, enum share_transport transport,
		 struct share_choice *ret_choice, struct diag *diag)
{
	struct share_choice choice = {.count = 0};

	if (transport != SHARE_VIRTIOFS && share_is_there(state, SHARE_9P) && state->has_9p)
		choice.transports[choice.count++] = SHARE_9P;
	if (transport != SHARE_9P && share_is_there(state, SHARE_VIRTIOFS) && state->has_virtiofs)
		choice.transports[choice.count++] = SHARE_VIRTIOFS;
	if (choice.count == 0)
		return share_tell_missing(state, tag, transport, diag);
	*ret_choice = choice;
	return 0;
}

int share_find(const struct sysroot *root, const char *tag, enum share_transport transport,
	       struct share_choice *ret_choice, struct diag *diag)
{
	struct share_state state;

	share_probe(root, tag, &state);
	share_provide(root, tag, transport, &state);
	return share_choose(&state, tag, transport, ret_choice, diag);
}

/* Why mount(2) failed, by what the two file systems mean with their errors. */
static int share_tell_mount(enum share_transport transport, const char *tag, const char *directory,
			    int error, struct diag *diag)
{
	const char *filesystem = share_transports[transport].filesystem;

	switch (error) {
	case EPERM:
	case EACCES:
		return diag_error(diag, -EPERM,
				  "the kernel does not let this process mount a %s file system: "
				  "run it in the virtual machine itself, not in a container; a "
				  "security module tells in the kernel's log",
				  filesystem);
	case EBUSY:
		return diag_error(
		    diag, -EBUSY,
		    "the share '%s' is in use: it is mounted elsewhere (unmount it "
		    "there, or name that directory with --at), or programs still have "
		    "files open of a tree that was taken away (restart them)",
		    tag);
	case ENOENT:
	case EINVAL:
		/* virtiofs says so of a tag that no device has. That of 9p was seen: there it is
		 * what QEMU answers when the directory it shares is none any more. */
		if (transport == SHARE_VIRTIOFS)
			return diag_error(diag, -ENODEV,
					  "this virtual machine has no %s share tagged '%s'; on "
					  "the host: wattport attach DOMAIN",
					  filesystem, tag);
		return diag_error(
		    diag, -ENOTCONN,
		    "the %s share '%s' is there, but the host serves nothing through "
		    "it: on the host: systemctl status wattport-fs; if that was away, "
		    "shut this machine down and start it",
		    filesystem, tag);
	default:
		return diag_error(diag, -error, "cannot mount the %s share '%s' at %s: %s",
				  filesystem, tag, directory, strerror(error));
	}
}

int share_mount(const struct share_choice *choice, const char *tag, const char *directory,
		struct diag *diag)
{
	int status = -ENODEV;

	for (size_t i = 0; i < choice->count; i++) {
		enum share_transport transport = choice->transports[i];

		if (mount(tag, directory, share_transports[transport].filesystem,
			  MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
			  share_transports[transport].options) == 0)
			return 0;
		/* That another transport's device is none of ours says nothing of this one. */
		if (status == -ENODEV)
			status = share_tell_mount(transport, tag, directory, errno, diag);
	}
	return status;
}
