/*
 * doctor_host.c: what the machine and its kernel give.
 */
#include "common/cleanup.h"
#include "common/energy_source.h"
#include "common/file.h"
#include "common/topology.h"
#include "host/doctor_internal.h"
#include "host/kernel_release.h"
#include "host/thread_events.h"
#include "host/thread_time.h"
#include "host/virtiofsd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define DOCTOR_CPUINFO_SIZE_MAX (4U << 20)
#define DOCTOR_LINE_SIZE	128

/* MSR_PKG_CTLS: bit 0 turns energy filtering on (Intel's guidance on RAPL, INTEL-SA-00389). */
#define DOCTOR_MSR_ENERGY_FILTER 0xbc

void doctor_check_user(const struct doctor_context *context, struct doctor *doctor)
{
	(void)context;
	if (geteuid() == 0)
		doctor_add(doctor, "user", DOCTOR_OK, NULL, "run by root");
	else
		doctor_add(doctor, "user", DOCTOR_WARN, "sudo wattport doctor",
			   "not run by root: what only root may read is shown as missing");
}

/* "4 zones: package-0, dram-0, ..." */
static void doctor_list_zones(const struct energy_source *source, char *text, size_t size)
{
	(void)snprintf(text, size, "%zu zone%s", source->zone_count,
		       source->zone_count == 1 ? "" : "s");
	for (size_t i = 0; i < source->zone_count; i++) {
		size_t used = strlen(text);

		(void)snprintf(text + used, size - used, "%s%s", i > 0 ? ", " : ": ",
			       source->zones[i].id);
	}
}

/* 1: it works and measures, 0: it works and estimates, or the negative errno. */
static int doctor_check_source(const struct energy_source_ops *ops,
			       const struct energy_source_context *source_context,
			       enum doctor_result missing, struct doctor *doctor)
{
	cleanup_energy_source struct energy_source *source = NULL;
	char id[DOCTOR_ID_SIZE], zones[DOCTOR_TEXT_SIZE];
	struct diag diag = DIAG_INIT;
	int status = energy_source_open(ops->name, source_context, &source, &diag);

	(void)snprintf(id, sizeof(id), "source.%s", ops->name);
	if (status < 0) {
		doctor_add(doctor, id, missing, status == -EACCES ? "sudo wattport doctor" : NULL,
			   "%s", diag.text);
		return status;
	}
	doctor_list_zones(source, zones, sizeof(zones));
	doctor_add(doctor, id, DOCTOR_OK, NULL, "%s%s", zones,
		   ops->estimate ? "; computed from CPU use, an estimate" : "");
	return ops->estimate ? 0 : 1;
}

void doctor_check_sources(const struct doctor_context *context, struct doctor *doctor)
{
	const struct settings *settings = context->settings;
	cleanup_topology struct topology *topology = NULL;
	struct diag diag = DIAG_INIT;
	struct energy_source_context source_context = {
	    .root = context->root,
	    .clock = context->clock,
	    .model_tdp_w = settings->meter_model_tdp_w,
	};
	bool choose = strcmp(settings->meter_source, "auto") == 0;
	int best = -ENODEV;

	if (topology_read(context->root, &topology, &diag) < 0) {
		doctor_add(doctor, "source", DOCTOR_FAIL, "mount -t sysfs sysfs /sys", "%s",
			   diag.text);
		return;
	}
	source_context.topology = topology;
	for (size_t i = 0; energy_source_list(i) != NULL; i++) {
		const struct energy_source_ops *ops = energy_source_list(i);
		bool chosen = strcmp(ops->name, settings->meter_source) == 0;
		int status;

		if (!chosen && (!choose || !ops->automatic))
			continue;
		status = doctor_check_source(ops, &source_context,
					     chosen ? DOCTOR_FAIL : DOCTOR_WARN, doctor);
		if (status > best)
			best = status;
	}
	if (choose && best < 0)
		doctor_add(doctor, "source", DOCTOR_FAIL, "modprobe intel_rapl_common",
			   "no energy source works here");
	else if (best == 0)
		doctor_add(doctor, "source", DOCTOR_WARN,
			   "modprobe intel_rapl_msr && systemctl restart wattportd",
			   "no energy is measured: all figures will be estimates");
}

/* Whether /proc/cpuinfo has the flag; false if it cannot be read. */
static bool doctor_has_flag(const struct sysroot *root, const char *flag)
{
	cleanup_free char *text = malloc(DOCTOR_CPUINFO_SIZE_MAX);
	size_t length, flag_length = strlen(flag);
	const char *line, *found;

	if (text == NULL || file_read_at(sysroot_proc_fd(root), "cpuinfo", text,
					 DOCTOR_CPUINFO_SIZE_MAX, &length) < 0)
		return false;
	line = strstr(text, "\nflags");
	if (line == NULL)
		return false;
	for (found = strstr(line, flag); found != NULL; found = strstr(found + 1, flag))
		if (found[-1] == ' ' && strchr(" \n", found[flag_length]) != NULL &&
		    memchr(line + 1, '\n', (size_t)(found - line - 1)) == NULL)
			return true;
	return false;
}

/* The filter's state: 1, 0, or the negative errno. Only of this machine, not of another sysroot. */
static int doctor_read_filter(const struct sysroot *root)
{
	cleanup_fd int fd = -1;
	uint64_t value;

	if (strcmp(sysroot_path(root), "/") != 0)
		return -ENOENT;
	fd = open("/dev/cpu/0/msr", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (pread(fd, &value, sizeof(value), DOCTOR_MSR_ENERGY_FILTER) != (ssize_t)sizeof(value))
		return -EIO;
	return (value & 1) != 0 ? 1 : 0;
}

void doctor_check_filtering(const struct doctor_context *context, struct doctor *doctor)
{
	static const char id[] = "rapl.filter";
	bool guarded = doctor_has_flag(context->root, "sgx") ||
		       doctor_has_flag(context->root, "tdx_host_platform");
	int filter;

	if (!guarded)
		return;
	filter = doctor_read_filter(context->root);
	if (filter == 0)
		doctor_add(doctor, id, DOCTOR_OK, NULL, "RAPL is not filtered");
	else if (filter > 0)
		doctor_add(
		    doctor, id, DOCTOR_WARN,
		    "turn SGX and TDX off in the firmware, if nobody needs them",
		    "RAPL is filtered, since this machine has SGX or TDX: short intervals are "
		    "off by up to 50 %%, long ones are right");
	else
		doctor_add(doctor, id, DOCTOR_WARN, "modprobe msr && wattport doctor",
			   "this machine has SGX or TDX: RAPL may be filtered, with up to 50 %% "
			   "noise on short intervals");
}

void doctor_check_schedstat(const struct doctor_context *context, struct doctor *doctor)
{
	static const char id[] = "schedstat";
	static const char remedy[] = "boot with `delayacct`, or a kernel with CONFIG_SCHEDSTATS";
	char line[DOCTOR_LINE_SIZE];
	uint64_t time_ns;

	if (context->settings->vms_time == SETTINGS_TIME_LIBVIRT)
		doctor_add(doctor, id, DOCTOR_WARN, "set vms.time = schedstat",
			   "CPU times are taken from libvirt, in steps of 10 ms");
	else if (file_read_line_at(sysroot_proc_fd(context->root), "self/schedstat", line,
				   sizeof(line)) < 0 ||
		 thread_schedstat_parse(line, &time_ns) < 0)
		doctor_add(doctor, id, DOCTOR_WARN, remedy,
			   "the kernel has no schedstat: CPU times move in steps of 10 ms");
	else if (time_ns == 0)
		doctor_add(doctor, id, DOCTOR_WARN, remedy,
			   "the kernel keeps no schedstat: CPU times move in steps of 10 ms");
	else
		doctor_add(doctor, id, DOCTOR_OK, NULL, "CPU times are known to the nanosecond");
}

void doctor_check_events(const struct doctor_context *context, struct doctor *doctor)
{
	static const char id[] = "events";
	struct thread_events events;
	int status;

	if (context->settings->attribution_events == SETTINGS_EVENTS_NONE) {
		doctor_add(doctor, id, DOCTOR_OK, NULL, "are not counted: attribution.events");
		return;
	}
	status = thread_events_open(&events, &thread_events_hardware, 0);
	thread_events_close(&events);
	if (status == 0)
		doctor_add(doctor, id, DOCTOR_OK, NULL,
			   "cycles, instructions and cache misses of vCPUs can be counted");
	else
		doctor_add(doctor, id, DOCTOR_WARN, thread_events_remedy(status),
			   "%s: vCPUs are told apart by CPU time alone",
			   thread_events_reason(status));
}

void doctor_check_fuse(const struct doctor_context *context, struct doctor *doctor)
{
	cleanup_fd int fd = -1;

	if (context->settings->tree_mode != SETTINGS_TREE_FUSE)
		return;
	fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		doctor_add(doctor, "fuse", DOCTOR_OK, NULL, "/dev/fuse can be opened");
	else
		doctor_add(doctor, "fuse", errno == EACCES ? DOCTOR_WARN : DOCTOR_FAIL,
			   errno == EACCES ? "sudo wattport doctor"
					   : "modprobe fuse, or set tree.mode = tmpfs",
			   "/dev/fuse cannot be opened: %s", strerror(errno));
}

void doctor_check_kernel(const struct doctor_context *context, struct doctor *doctor)
{
	static const char id[] = "kernel";
	struct kernel_release release;

	if (context->settings->tree_mode != SETTINGS_TREE_FUSE)
		return;
	if (kernel_release_read(sysroot_proc_fd(context->root), &release) < 0)
		doctor_add(doctor, id, DOCTOR_WARN, NULL, "the kernel's release is not known");
	else if (kernel_release_before(&release, 6, 9))
		doctor_add(doctor, id, DOCTOR_WARN, "run Linux 6.9 or later",
			   "Linux %u.%u: reads under way fail when wattport-fs's worker is "
			   "restarted; later kernels send them again",
			   release.major, release.minor);
	else
		doctor_add(doctor, id, DOCTOR_OK, NULL,
			   "Linux %u.%u sends FUSE requests again after a restart", release.major,
			   release.minor);
}

void doctor_check_virtiofsd(const struct doctor_context *context, struct doctor *doctor)
{
	char path[PATH_MAX];

	(void)context;
	if (virtiofsd_find(path) == 0)
		doctor_add(doctor, "virtiofsd", DOCTOR_OK, NULL, "%s", path);
	else
		doctor_add(doctor, "virtiofsd", DOCTOR_WARN,
			   "apt install virtiofsd (Debian 12: qemu-system-common)",
			   "there is no virtiofsd: guests can be attached over 9p only, which "
			   "cloud kernels and RHEL's lack");
}
