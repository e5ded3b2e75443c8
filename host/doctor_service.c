/*
 * doctor_service.c: libvirt and its machines, and Wattport's own services.
 */
#include "common/cleanup.h"
#include "common/file.h"
#include "common/ledger_map.h"
#include "common/parse.h"
#include "common/sample.h"
#include "fusefs/plain_mount.h"
#include "host/doctor_internal.h"
#include "host/qemu_scan.h"

#include <errno.h>
#include <fcntl.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <limits.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>

/* The ledger is written at least once a second, whatever the period. */
#define DOCTOR_LEDGER_AGE_NS_MAX (10 * CLOCK_NS_PER_SECOND)

#define DOCTOR_HOOK		 "/etc/libvirt/hooks/qemu.d/wattport"

static void cleanup_connection_value(const virConnectPtr *connection)
{
	if (*connection != NULL)
		(void)virConnectClose(*connection);
}
#define cleanup_connection __attribute__((cleanup(cleanup_connection_value)))

static void doctor_ignore_error(void *user, virErrorPtr error)
{
	(void)user;
	(void)error;
}

/* How many machines run by libvirt; negative: it cannot be reached. */
static int doctor_check_libvirt(const char *uri, struct doctor *doctor)
{
	cleanup_connection virConnectPtr connection = NULL;
	int running, off;

	virSetErrorFunc(NULL, doctor_ignore_error);
	connection = virConnectOpenReadOnly(uri);
	if (connection == NULL) {
		doctor_add(doctor, "libvirt", DOCTOR_FAIL,
			   "systemctl enable --now libvirtd, or set vms.provider = procfs",
			   "cannot reach %s: %s", uri, virGetLastErrorMessage());
		return -ECONNREFUSED;
	}
	running = virConnectNumOfDomains(connection);
	off = virConnectNumOfDefinedDomains(connection);
	if (running < 0 || off < 0) {
		doctor_add(doctor, "libvirt", DOCTOR_FAIL, "journalctl -u libvirtd",
			   "%s does not list its domains: %s", uri, virGetLastErrorMessage());
		return -EIO;
	}
	doctor_add(doctor, "libvirt", DOCTOR_OK, NULL, "%s: %d running, %d shut off", uri, running,
		   off);
	return running;
}

/* Whether the threads of one QEMU can be read is the same for all. */
static bool doctor_readable(const struct doctor_context *context,
			    const struct qemu_process *process)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "%d/task/%d/schedstat", (int)process->process.pid,
		       (int)process->process.pid);
	return faccessat(sysroot_proc_fd(context->root), path, R_OK, 0) == 0;
}

static void doctor_check_qemu(const struct doctor_context *context, int running,
			      struct doctor *doctor)
{
	static const char id[] = "qemu";
	struct qemu_scan scan;
	int status;

	qemu_scan_init(&scan);
	status = qemu_scan_run(&scan, sysroot_proc_fd(context->root));
	if (status < 0)
		doctor_add(doctor, id, DOCTOR_FAIL, "mount -t proc proc /proc",
			   "cannot look for QEMU in /proc: %s", strerror(-status));
	else if (scan.count > 0 && !doctor_readable(context, &scan.processes[0]))
		doctor_add(doctor, id, DOCTOR_WARN, "sudo wattport doctor",
			   "%zu QEMU processes, whose threads may not be read", scan.count);
	else if (running > 0 && scan.count < (size_t)running)
		doctor_add(doctor, id, DOCTOR_WARN,
			   "mount /proc without hidepid=, share the pid namespace, or set "
			   "vms.time = libvirt",
			   "%d machines run, but only %zu QEMU processes are to be seen: the times "
			   "of the others come from libvirt, in steps of 10 ms",
			   running, scan.count);
	else
		doctor_add(doctor, id, DOCTOR_OK, NULL, "QEMU processes that can be seen: %zu",
			   scan.count);
	qemu_scan_finish(&scan);
}

void doctor_check_provider(const struct doctor_context *context, struct doctor *doctor)
{
	int running = 0;

	if (context->settings->vms_provider == SETTINGS_PROVIDER_LIBVIRT)
		running = doctor_check_libvirt(context->settings->vms_uri, doctor);
	doctor_check_qemu(context, running, doctor);
}

void doctor_check_daemon(const struct doctor_context *context, struct doctor *doctor)
{
	static const char id[] = "wattportd", remedy[] = "systemctl enable --now wattportd";
	cleanup_fd int runtime_fd = -1;
	cleanup_ledger_reader struct ledger_reader *reader = NULL;
	cleanup_free struct ledger_host *host = malloc(sizeof(*host));
	struct diag diag = DIAG_INIT;
	uint64_t age_ns;

	runtime_fd = open(context->runtime_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (runtime_fd < 0 || host == NULL) {
		doctor_add(doctor, id, DOCTOR_WARN, remedy, "does not run: %s: %s",
			   context->runtime_dir, strerror(errno));
		return;
	}
	if (ledger_reader_open(runtime_fd, &reader, &diag) < 0 ||
	    ledger_reader_host(reader, host) < 0) {
		doctor_add(doctor, id, DOCTOR_WARN, remedy, "%s",
			   diag.text[0] != '\0' ? diag.text : "the ledger cannot be read");
		return;
	}
	age_ns = clock_elapsed_ns((struct mono_time){.ns = host->updated_ns},
				  clock_now_mono(context->clock));
	if (age_ns > DOCTOR_LEDGER_AGE_NS_MAX)
		doctor_add(doctor, id, DOCTOR_WARN, "systemctl restart wattportd",
			   "the last sample is %llu s old",
			   (unsigned long long)(age_ns / CLOCK_NS_PER_SECOND));
	else
		doctor_add(doctor, id, DOCTOR_OK, NULL, "runs; its source is %s%s", host->source,
			   host->estimate != 0 ? ", an estimate" : "");
}

/* Whether the process that keeps plain files up to date is there, as far as we may know: they can
 * be read without it. */
static bool doctor_is_kept(const struct doctor_context *context)
{
	char path[PATH_MAX], text[32], name[32];
	const char *cursor = text;
	uint64_t pid;

	(void)snprintf(path, sizeof(path), "%s/fs.pid", context->runtime_dir);
	if (file_read_line_at(AT_FDCWD, path, text, sizeof(text)) < 0)
		return errno == EACCES;
	if (parse_next_u64(&cursor, &pid) < 0)
		return false;
	(void)snprintf(path, sizeof(path), "%llu/comm", (unsigned long long)pid);
	return file_read_line_at(sysroot_proc_fd(context->root), path, name, sizeof(name)) == 0 &&
	       strcmp(name, "wattport-fs") == 0;
}

/* What plain files cannot do and FUSE can. */
static void doctor_check_plain(const struct doctor_context *context, struct doctor *doctor)
{
	doctor_add(doctor, "tree.access", DOCTOR_WARN,
		   "give each machine its own directory, as wattport attach does",
		   "plain files cannot tell who reads: a machine that is given a directory above "
		   "its own reads all counters");
	if (context->settings->guest_view_mode == SETTINGS_VIEW_EXACT)
		doctor_add(doctor, "tree.exact", DOCTOR_WARN,
			   "wattport attach --transport virtiofs, or guest-view.mode = isolated",
			   "the exact view is for root alone: over 9p only a QEMU that runs as "
			   "root can read it");
	if (context->settings->vms_provider == SETTINGS_PROVIDER_LIBVIRT &&
	    access(DOCTOR_HOOK, X_OK) < 0)
		doctor_add(doctor, "tree.hook", DOCTOR_WARN, "reinstall Wattport, restart libvirtd",
			   "there is no " DOCTOR_HOOK ": a machine that was never defined finds "
			   "no directory when it starts");
}

static bool doctor_is_fuse(const char *path)
{
	struct statfs status;

	errno = 0;
	return statfs(path, &status) == 0 && status.f_type == FUSE_SUPER_MAGIC;
}

void doctor_check_tree(const struct doctor_context *context, struct doctor *doctor)
{
	static const char id[] = "tree", restart[] = "systemctl restart wattport-fs";
	bool plain = context->settings->tree_mode == SETTINGS_TREE_TMPFS;
	char directory[PATH_MAX], path[PATH_MAX + 4];

	/* The kernel's list of mounts knows no links. */
	if (realpath(context->runtime_dir, directory) == NULL)
		(void)snprintf(directory, sizeof(directory), "%s", context->runtime_dir);
	(void)snprintf(path, sizeof(path), "%s/vm", directory);
	if (plain)
		doctor_check_plain(context, doctor);
	if (!plain && doctor_is_fuse(path))
		doctor_add(doctor, id, DOCTOR_OK, NULL, "is mounted at %s", path);
	else if (!plain && errno == ENOTCONN)
		doctor_add(doctor, id, DOCTOR_WARN, restart,
			   "nobody serves the tree at %s any more: its mount is dead", path);
	else if (plain && plain_mount_is(path) && doctor_is_kept(context))
		doctor_add(doctor, id, DOCTOR_OK, NULL, "plain files are at %s", path);
	else if (plain && plain_mount_is(path))
		doctor_add(doctor, id, DOCTOR_WARN, restart,
			   "nobody keeps the files at %s up to date: counters stand still", path);
	else
		doctor_add(doctor, id, DOCTOR_WARN, "systemctl enable --now wattport-fs",
			   "the tree is not mounted at %s", path);
}
