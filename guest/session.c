#include "guest/session.h"
#include "common/cleanup.h"
#include "common/counter.h"
#include "common/cpu_model.h"
#include "common/file.h"
#include "common/power_table.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/file.h>

#define SESSION_SUFFIX ".session"

int session_read_boot(const struct sysroot *root, char boot[static SESSION_BOOT_SIZE],
		      struct diag *diag)
{
	int status = file_read_line_at(sysroot_proc_fd(root), "sys/kernel/random/boot_id", boot,
				       SESSION_BOOT_SIZE);

	if (status < 0)
		return diag_error(diag, status,
				  "cannot tell this start of the machine from another one: "
				  "boot_id cannot be read: %s",
				  strerror(-status));
	return 0;
}

int session_begin(const char *name, const struct meter_reading *reading, struct wall_time now,
		  const char *boot, struct session_state *ret_state, struct diag *diag)
{
	struct session_state state = {.began = now,
				      .time = reading->time,
				      .user = (uint32_t)getuid(),
				      .from_tree = reading->from_tree};
	int status = session_name_check(name, diag);

	if (status < 0)
		return status;
	if (!reading->up)
		return diag_error(diag, -ENODATA, "%s", reading->reason.text);
	(void)snprintf(state.name, sizeof(state.name), "%s", name);
	(void)snprintf(state.boot, sizeof(state.boot), "%s", boot);
	if (reading->has_info)
		(void)snprintf(state.uuid, sizeof(state.uuid), "%s", reading->info.uuid);
	for (size_t i = 0; i < reading->zone_count; i++) {
		const struct meter_zone *zone = &reading->zones[i];
		struct session_zone *kept = &state.zones[state.zone_count];

		if (!zone->available)
			continue;
		memcpy(kept->id, zone->id, sizeof(kept->id));
		kept->raw_uj = zone->energy_uj;
		kept->range_uj = zone->range_uj;
		state.zone_count++;
	}
	*ret_state = state;
	return 0;
}

/* What is told of a package says nothing of the whole machine. */
static uint64_t session_zone_power(const char *id, struct session_limit limit)
{
	return strcmp(id, zone_kind_name(ZONE_PSYS)) == 0 ? 0 : limit.power_uw_max;
}

/* One zone since the start; false, with the reason, where that cannot be known. */
static bool session_zone_energy(const struct session_state *state, size_t index,
				const struct meter_reading *now, struct session_limit limit,
				uint64_t *ret_energy_uj, struct diag *note)
{
	const struct session_zone *from = &state->zones[index];
	const struct meter_zone *to = meter_reading_find(now, from->id);
	struct counter counter = {.primed = true,
				  .raw_uj = from->raw_uj,
				  .time_ns = state->time.ns,
				  .power_uw_max = session_zone_power(from->id, limit)};
	uint64_t elapsed_ns = clock_elapsed_ns(state->time, now->time);
	enum counter_event event;

	if (to == NULL) {
		diag_append(note, "%s cannot be read any more", from->id);
		return false;
	}
	if (to->range_uj != from->range_uj) {
		diag_append(note, "%s has another range than at the start", from->id);
		return false;
	}
	event = counter_advance(&counter, to->energy_uj, to->range_uj, now->time.ns, ret_energy_uj);
	if (event != COUNTER_ADVANCED && event != COUNTER_WRAPPED) {
		diag_append(note, "%s went back, and not because it wrapped", from->id);
		return false;
	}
	if (counter_may_be_more(&counter, *ret_energy_uj, to->range_uj, elapsed_ns)) {
		diag_append(note,
			    "%s may have wrapped more than once in %" PRIu64
			    " s: measure with exec, or in a virtual machine, whose counters do not "
			    "wrap; or say with --max-watts what it draws at most",
			    from->id, elapsed_ns / CLOCK_NS_PER_SECOND);
		return false;
	}
	return true;
}

/* Why nothing at all can be told; 0 where something can. */
static int session_comparable(const struct session_state *state, const struct meter_reading *now,
			      const char *boot, struct diag *diag)
{
	if (strcmp(state->boot, boot) != 0)
		return diag_error(diag, -ESTALE,
				  "the machine was started anew since: its counters began anew");
	if (!now->up)
		return diag_error(diag, -ENODATA, "%s", now->reason.text);
	if (state->from_tree != now->from_tree)
		return diag_error(diag, -ESTALE,
				  "the session began with %s, and now there is %s: these are other "
				  "counters",
				  state->from_tree ? "the host's tree" : "a powercap of its own",
				  now->from_tree ? "the host's tree" : "a powercap of its own");
	if (now->has_info && strcmp(state->uuid, now->info.uuid) != 0)
		return diag_error(diag, -ESTALE, "the tree is now that of another machine");
	return 0;
}

int session_is_lost(const struct session_state *state, const struct meter_reading *now,
		    const char *boot)
{
	int status = session_comparable(state, now, boot, NULL);

	return status == -ESTALE ? status : 0;
}

struct session_limit session_guess_limit(const struct sysroot *root)
{
	struct session_limit limit = {.power_uw_max = 0};
	struct power_figures figures;
	struct cpu_model model;

	/* The number of cores decides nothing where the processor is in the table. */
	(void)cpu_model_read(root, &model);
	figures = power_table_lookup(&model, 1, 0);
	if (figures.tdp_known)
		limit.power_uw_max = 2 * (uint64_t)figures.tdp_w * 1000000;
	return limit;
}

void session_conclude(const struct session_state *state, const struct meter_reading *now,
		      const char *boot, struct session_limit limit, struct exec_result *ret_result,
		      struct diag *ret_note)
{
	struct exec_result *result = ret_result;
	struct diag reason = DIAG_INIT;

	*result = (struct exec_result){.began = state->began, .before = *now, .after = *now};
	ret_note->text[0] = '\0';
	result->before.time = state->time;
	result->before.up = true;
	result->before.zone_count = result->after.zone_count = state->zone_count;
	result->after.up = session_comparable(state, now, boot, &reason) == 0;
	if (!result->after.up)
		result->after.reason = reason;
	else
		result->elapsed_ns = clock_elapsed_ns(state->time, now->time);
	for (size_t i = 0; i < state->zone_count; i++) {
		struct meter_zone zone = {.available = true};
		uint64_t energy_uj = 0;

		memcpy(zone.id, state->zones[i].id, sizeof(zone.id));
		result->before.zones[i] = zone;
		zone.available = result->after.up &&
				 session_zone_energy(state, i, now, limit, &energy_uj, ret_note);
		zone.energy_uj = zone.available ? energy_uj : 0;
		result->after.zones[i] = zone;
	}
}

static int session_file_name(const char *name, char *file, size_t size, struct diag *diag)
{
	int status = session_name_check(name, diag);

	if (status == 0)
		(void)snprintf(file, size, "%s" SESSION_SUFFIX, name);
	return status;
}

/* The directory's lock: of two that start the same one, the second sees the first. */
int session_save(int dir_fd, const struct session_state *state, struct diag *diag)
{
	char file[SESSION_NAME_SIZE + sizeof(SESSION_SUFFIX)];
	cleanup_fd int lock_fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_free char *text = NULL;
	int status = session_file_name(state->name, file, sizeof(file), diag);

	if (status < 0)
		return status;
	if (lock_fd < 0 || flock(lock_fd, LOCK_EX) < 0)
		return diag_error(diag, -errno, "cannot lock the directory of sessions: %s",
				  strerror(errno));
	if (faccessat(dir_fd, file, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return diag_error(diag, -EEXIST,
				  "a session %s is there already; end it first: wattport-agent "
				  "session stop %s",
				  state->name, state->name);
	status = session_state_format(state, &text);
	if (status == 0)
		status = file_replace_at(dir_fd, file, text, strlen(text), 0600);
	if (status < 0)
		return diag_error(diag, status, "cannot write the session %s: %s", state->name,
				  strerror(-status));
	return 0;
}

int session_load(int dir_fd, const char *name, struct session_state *ret_state, struct diag *diag)
{
	char file[SESSION_NAME_SIZE + sizeof(SESSION_SUFFIX)];
	cleanup_free char *text = malloc(SESSION_TEXT_SIZE_MAX);
	size_t length = 0;
	int status = session_file_name(name, file, sizeof(file), diag);

	if (status < 0)
		return status;
	if (text == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	status = file_read_at(dir_fd, file, text, SESSION_TEXT_SIZE_MAX, &length);
	if (status == -ENOENT)
		return diag_error(diag, status,
				  "there is no session %s; those that there are: wattport-agent "
				  "session list",
				  name);
	if (status < 0)
		return diag_error(diag, status, "cannot read the session %s: %s", name,
				  strerror(-status));
	status = session_state_parse(text, length, ret_state, diag);
	if (status == 0 && strcmp(ret_state->name, name) != 0)
		status =
		    diag_error(diag, -EBADMSG, "it is that of the session %s", ret_state->name);
	if (status < 0)
		diag_prefix(diag, "the file %s is left as it is", file);
	return status;
}

int session_remove(int dir_fd, const char *name)
{
	char file[SESSION_NAME_SIZE + sizeof(SESSION_SUFFIX)];
	int status = session_file_name(name, file, sizeof(file), NULL);

	if (status < 0)
		return status;
	return unlinkat(dir_fd, file, 0) < 0 ? -errno : 0;
}

static void session_close_directory(DIR *const *directory)
{
	if (*directory != NULL)
		(void)closedir(*directory);
}

int session_list(int dir_fd, void (*each)(const char *name, void *context), void *context)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory __attribute__((cleanup(session_close_directory))) =
	    fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (directory == NULL)
		return -errno;
	while ((entry = readdir(directory)) != NULL) {
		size_t length = strlen(entry->d_name);
		size_t suffix = sizeof(SESSION_SUFFIX) - 1;
		char name[SESSION_NAME_SIZE];

		if (length <= suffix || length - suffix >= sizeof(name) ||
		    strcmp(entry->d_name + length - suffix, SESSION_SUFFIX) != 0)
			continue;
		memcpy(name, entry->d_name, length - suffix);
		name[length - suffix] = '\0';
		if (session_name_check(name, NULL) == 0)
			each(name, context);
	}
	return 0;
}
