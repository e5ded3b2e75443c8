/*
 * The source that measures: the kernel's powercap class (powercap_tree.c knows its layout).
 *
 * Every zone's energy_uj is opened once and read with one pread a sample. A zone that goes (its
 * package was taken offline: then kernfs answers ENODEV) is looked for again by what it is, not by
 * where it stood, because its index may have changed. A zone that was not there at first is told
 * (energy_source.late) and left alone: accounts have the zones of their run.
 */
#include "common/cleanup.h"
#include "common/cpu_model.h"
#include "common/energy_source_internal.h"
#include "common/file.h"
#include "common/powercap_tree.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define POWERCAP_RETRY_NS CLOCK_NS_PER_SECOND	     /* between two looks for one that is gone */
#define POWERCAP_LATE_NS  (60 * CLOCK_NS_PER_SECOND) /* and for such as nobody waits for */

struct powercap_source {
	struct energy_source base; /* first: the cast in powercap_of() relies on it */
	const struct sysroot *root;
	const struct clock *clock;
	bool parts;
	struct mono_time look_time;
	int fds[ZONE_MAX];    /* of energy_uj, or -1 */
	bool mmio[ZONE_MAX];  /* of the control type intel-rapl-mmio */
	int errors[ZONE_MAX]; /* why it is -1 */
	struct powercap_tree tree;
};

static struct powercap_source *powercap_of(struct energy_source *source)
{
	static_assert(offsetof(struct powercap_source, base) == 0, "base comes first");
	return (struct powercap_source *)source;
}

static void powercap_close(struct energy_source *base)
{
	struct powercap_source *source = powercap_of(base);

	for (size_t i = 0; i < ZONE_MAX; i++)
		if (source->fds[i] >= 0)
			(void)close(source->fds[i]);
	free(source);
}

static void powercap_open_zone(struct powercap_source *source, size_t index, const char *path)
{
	char file[POWERCAP_PATH_SIZE + 16];
	int fd;

	(void)snprintf(file, sizeof(file), "%s/energy_uj", path);
	fd = openat(sysroot_sys_fd(source->root), file, O_RDONLY | O_CLOEXEC);
	source->errors[index] = fd < 0 ? -errno : 0;
	source->fds[index] = fd;
}

/* Says which zones have been disabled: their limits are off, their counters run on most machines.
 */
static void powercap_note_disabled(struct powercap_source *source)
{
	for (size_t i = 0; i < source->base.zone_count; i++) {
		char file[POWERCAP_PATH_SIZE + 16], text[POWERCAP_LINE_SIZE];

		(void)snprintf(file, sizeof(file), "%s/enabled", source->tree.paths[i]);
		if (file_read_line_at(sysroot_sys_fd(source->root), file, text, sizeof(text)) ==
			0 &&
		    strcmp(text, "0") == 0)
			diag_append(&source->base.notes, "%s has enabled = 0",
				    source->base.zones[i].id);
	}
}

/* The last part of each path: the kernel has it in class/powercap, too. */
static void powercap_name_places(struct powercap_source *source)
{
	for (size_t i = 0; i < source->base.zone_count; i++) {
		const char *slash = strrchr(source->tree.paths[i], '/');

		(void)snprintf(source->base.places[i], sizeof(source->base.places[i]), "%s",
			       slash != NULL ? slash + 1 : "");
	}
}

static int powercap_open_zones(struct powercap_source *source, struct diag *diag)
{
	size_t readable = 0;
	int error = 0;

	for (size_t i = 0; i < source->base.zone_count; i++) {
		powercap_open_zone(source, i, source->tree.paths[i]);
		readable += source->fds[i] >= 0;
		if (source->errors[i] < 0)
			error = source->errors[i];
	}
	if (readable > 0)
		return 0;
	if (error == -EACCES || error == -EPERM)
		return diag_error(diag, -EACCES,
				  "%zu zones, but none may be read: energy_uj is for root alone "
				  "(CVE-2020-8694); run as root or with CAP_DAC_READ_SEARCH",
				  source->base.zone_count);
	return diag_error(diag, error, "%zu zones, but none can be opened: %s",
			  source->base.zone_count, strerror(-error));
}

static int powercap_open(const struct energy_source_context *context,
			 struct energy_source **ret_source, struct diag *diag)
{
	static const char remedy[] =
	    "load the module intel_rapl_msr (for AMD too), or, in a virtual machine, mount the "
	    "tree that its host offers";
	struct powercap_source *source = calloc(1, sizeof(*source));
	struct cpu_model model;
	int status;

	assert(context->root != NULL);
	assert(context->clock != NULL);
	if (source == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	source->base.ops = &energy_source_powercap;
	source->root = context->root;
	source->clock = context->clock;
	for (size_t i = 0; i < ZONE_MAX; i++)
		source->fds[i] = -1;
	/* An AMD's `core` zone is one core's, and it has no uncore: parts of nothing. */
	(void)cpu_model_read(context->root, &model);
	source->parts = context->parts && !cpu_model_is_amd(&model);
	status = powercap_tree_scan(sysroot_sys_fd(context->root), source->parts, &source->tree,
				    &source->base.notes);
	if (status == -ENOENT)
		status = diag_error(diag, -ENODEV, "no powercap class under %s; %s",
				    sysroot_path(context->root), remedy);
	else if (status < 0)
		(void)diag_error(diag, status, "cannot list the powercap class: %s",
				 strerror(-status));
	else if (source->tree.zone_count == 0)
		status = diag_error(diag, -ENODEV, "the powercap class under %s has no zone; %s",
				    sysroot_path(context->root), remedy);
	if (status < 0)
		goto fail;
	source->base.zone_count = source->tree.zone_count;
	memcpy(source->base.zones, source->tree.zones, sizeof(source->base.zones));
	memcpy(source->mmio, source->tree.mmio, sizeof(source->mmio));
	powercap_name_places(source);
	status = powercap_open_zones(source, diag);
	if (status < 0)
		goto fail;
	powercap_note_disabled(source);
	source->look_time = clock_now_mono(context->clock);
	*ret_source = &source->base;
	return 0;
fail:
	powercap_close(&source->base);
	return status;
}

static int powercap_read_zone(int fd, uint64_t *ret_raw_uj)
{
	char text[POWERCAP_LINE_SIZE];
	size_t length;
	/* To see the end of the file, too, would read the MSR a second time. */
	int status = file_pread_line(fd, text, sizeof(text), &length);

	if (status < 0)
		return status;
	/* A line that fills the buffer may go on: half a number is none. */
	if (length == sizeof(text) - 1)
		return -ERANGE;
	if (strlen(text) != length)
		return -EINVAL;
	return powercap_parse_energy(text, ret_raw_uj);
}

/* The zones of the tree that were not there when the source was opened. */
static void powercap_note_late(struct powercap_source *source)
{
	source->base.late = (struct diag)DIAG_INIT;
	for (size_t i = 0; i < source->tree.zone_count; i++)
		if (zone_find(source->base.zones, source->base.zone_count,
			      source->tree.zones[i].id) < 0)
			diag_append(&source->base.late, "%s", source->tree.zones[i].id);
}

/* Lists the class when it is time: for the zones that are `missing`, and for new ones. */
static void powercap_look(struct powercap_source *source, bool missing)
{
	struct mono_time now = clock_now_mono(source->clock);
	int status;

	if (clock_elapsed_ns(source->look_time, now) <
	    (missing ? POWERCAP_RETRY_NS : POWERCAP_LATE_NS))
		return;
	source->look_time = now;
	status =
	    powercap_tree_scan(sysroot_sys_fd(source->root), source->parts, &source->tree, NULL);
	if (status == 0)
		powercap_note_late(source);
	for (size_t i = 0; i < source->base.zone_count; i++) {
		int found;

		if (source->fds[i] >= 0)
			continue;
		found = status < 0 ? status
				   : zone_find(source->tree.zones, source->tree.zone_count,
					       source->base.zones[i].id);
		/* A zone's repetition is another counter: to go on with it might book a leap. */
		if (found >= 0 && source->tree.mmio[found] != source->mmio[i])
			found = -ENOENT;
		if (found >= 0)
			powercap_open_zone(source, i, source->tree.paths[found]);
		else
			source->errors[i] = found;
	}
}

/*
 * Whether a descriptor that gave this error is better opened again: the zone may be gone (ENODEV)
 * or the file system below it was restarted (ENOTCONN, ESTALE, also EIO). What cannot be parsed
 * was read well, and ENODATA is the driver's own word.
 */
static bool powercap_is_lost(int error)
{
	return error < 0 && error != -ENODATA && error != -EINVAL && error != -ERANGE;
}

static int powercap_read(struct energy_source *base, struct sample *sample)
{
	struct powercap_source *source = powercap_of(base);
	bool missing = false;

	for (size_t i = 0; i < base->zone_count; i++)
		missing = missing || source->fds[i] < 0;
	powercap_look(source, missing);
	for (size_t i = 0; i < base->zone_count; i++) {
		struct sample_zone zone = {.error = source->errors[i]};

		if (source->fds[i] >= 0)
			zone.error = powercap_read_zone(source->fds[i], &zone.raw_uj);
		if (source->fds[i] >= 0 && powercap_is_lost(zone.error)) {
			(void)close(TAKE_FD(source->fds[i]));
			source->errors[i] = zone.error;
		}
		sample->zones[i] = zone;
	}
	return 0;
}

const struct energy_source_ops energy_source_powercap = {
    .name = "powercap",
    .estimate = false,
    .automatic = true,
    .lasting = true,
    .open = powercap_open,
    .close = powercap_close,
    .read = powercap_read,
};
