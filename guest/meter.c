#include "guest/meter.h"
#include "common/cleanup.h"
#include "common/counter.h"
#include "common/energy_source.h"
#include "guest/mount.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

__extension__ typedef unsigned __int128 wide;

/* A zone as long as the agent runs, through all reopenings of the source. */
struct meter_track {
	char id[ZONE_ID_SIZE];
	char place[ENERGY_SOURCE_PLACE_SIZE];
	struct zone zone; /* as of the last reading */
	struct counter counter;
	uint64_t total_uj;
	bool joined;	    /* when others had been read already, */
	uint64_t joined_uj; /* and what it had then */
	bool read_now;	    /* its last reading was good */
};

/* Totals at one instant; tracks that are newer are not in it. */
struct meter_mark {
	struct mono_time time;
	size_t count;
	bool read[ZONE_MAX];
	uint64_t total_uj[ZONE_MAX];
};

struct meter {
	const struct sysroot *root;
	const struct clock *clock;
	struct meter_options options;
	struct sysroot *tree_root; /* when the tree is read where it is mounted, not over /sys */
	struct energy_source *source;
	bool from_tree;
	bool denied; /* in the last reading: zones are there, and not for this process */
	struct sample sample;
	bool begun; /* the first zones were read, or tried */
	size_t track_count;
	struct meter_track tracks[ZONE_MAX];
	struct meter_mark base; /* at least METER_POWER_PERIOD_NS_MIN old; count 0: none */
	struct meter_mark next; /* takes its place when it is as old */
	uint64_t moved_uj;	/* all totals together when one of them was last seen to move */
	struct mono_time moved; /* and when that was */
};

static const char *const meter_source_names[] = {
    [METER_AUTO] = "auto", [METER_TREE] = "tree", [METER_POWERCAP] = "powercap"};

int meter_source_parse(const char *name, enum meter_source *ret_source)
{
	for (size_t i = 0; i < sizeof(meter_source_names) / sizeof(meter_source_names[0]); i++) {
		if (strcmp(name, meter_source_names[i]) == 0) {
			*ret_source = (enum meter_source)i;
			return 0;
		}
	}
	return -EINVAL;
}

int meter_create(const struct sysroot *root, const struct clock *clock,
		 const struct meter_options *options, struct meter **ret_meter)
{
	cleanup_meter struct meter *meter = calloc(1, sizeof(*meter));
	int status;

	if (meter == NULL)
		return -ENOMEM;
	meter->root = root;
	meter->clock = clock;
	meter->options = *options;
	status = sample_init(&meter->sample, 0);
	if (status < 0)
		return status;
	*ret_meter = TAKE_PTR(meter);
	return 0;
}

static void meter_close(struct meter *meter)
{
	energy_source_close(meter->source);
	meter->source = NULL;
	sysroot_close(meter->tree_root);
	meter->tree_root = NULL;
}

void meter_destroy(struct meter *meter)
{
	if (meter == NULL)
		return;
	meter_close(meter);
	sample_finish(&meter->sample);
	free(meter);
}

static int meter_open_on(struct meter *meter, const struct sysroot *root, bool from_tree,
			 struct diag *diag)
{
	struct energy_source_context context = {.root = root, .clock = meter->clock, .parts = true};
	int status = energy_source_open("powercap", &context, &meter->source, diag);

	if (status == 0)
		meter->from_tree = from_tree;
	if (status == -EACCES)
		meter->denied = true;
	return status;
}

/* The tree: over /sys, where all clients read it, or else straight from where it is mounted. */
static int meter_open_tree(struct meter *meter, struct diag *diag)
{
	const char *at = meter->options.at;
	cleanup_sysroot struct sysroot *tree_root = NULL;
	int status;

	if (mount_is_laid(meter->root, at))
		return meter_open_on(meter, meter->root, true, diag);
	status = sysroot_open_tree(meter->root, at, &tree_root, diag);
	if (status < 0)
		return diag_error(diag, status,
				  "there is no tree at %s: run wattport-agent mount (as root)", at);
	status = meter_open_on(meter, tree_root, true, diag);
	if (status == -EACCES) {
		diag_prefix(diag, "the tree at %s", at);
		return status;
	}
	if (status < 0)
		return diag_error(diag, status,
				  "the tree at %s cannot be read: run wattport-agent mount (as "
				  "root); it tells what is missing",
				  at);
	meter->tree_root = TAKE_PTR(tree_root);
	return 0;
}

static int meter_open(struct meter *meter, struct diag *diag)
{
	struct diag tree_diag = DIAG_INIT;
	int status;

	if (meter->options.source == METER_POWERCAP)
		return meter_open_on(meter, meter->root, false, diag);
	status = mount_explain(meter->root, meter->options.at, &tree_diag);
	if (status == 0)
		status = meter_open_tree(meter, &tree_diag);
	if (status == 0)
		return 0;
	/* A tree that is laid lies over all else that could be read. */
	if (meter->options.source == METER_TREE || mount_is_laid(meter->root, meter->options.at))
		return diag_error(diag, status, "%s", tree_diag.text);
	status = meter_open_on(meter, meter->root, false, diag);
	/* What is there and denied is told by itself: it is not missing. */
	if (status == -EACCES)
		return status;
	if (status < 0 && meter->denied)
		return diag_error(diag, -EACCES, "%s", tree_diag.text);
	if (status < 0)
		return diag_error(diag, status,
				  "neither a host's tree nor a RAPL of its own is here: %s",
				  tree_diag.text);
	return status;
}

/* NULL when there are more zones than ZONE_MAX over the agent's life. */
static struct meter_track *meter_track(struct meter *meter, const char *id)
{
	struct meter_track *track;

	for (size_t i = 0; i < meter->track_count; i++)
		if (strcmp(meter->tracks[i].id, id) == 0)
			return &meter->tracks[i];
	if (meter->track_count == ZONE_MAX)
		return NULL;
	track = &meter->tracks[meter->track_count++];
	*track = (struct meter_track){.joined = meter->begun};
	memcpy(track->id, id, strnlen(id, sizeof(track->id) - 1));
	return track;
}

static void meter_book(struct meter_track *track, const struct zone *zone,
		       const struct sample_zone *read, struct mono_time now)
{
	enum counter_event event;
	uint64_t energy_uj;

	if (read->error < 0)
		return;
	event = counter_advance(&track->counter, read->raw_uj, zone->range_uj, now.ns, &energy_uj);
	if (event == COUNTER_INVALID)
		return;
	if (event == COUNTER_FIRST) {
		track->total_uj = read->raw_uj;
		track->joined_uj = track->joined ? read->raw_uj : 0;
	}
	/* 2^64 uJ are 584,000 years at 1 W: what overflows was not energy, and is not booked. */
	else if (__builtin_add_overflow(track->total_uj, energy_uj, &energy_uj))
		return;
	else
		track->total_uj = energy_uj;
	track->read_now = true;
}

/* Opens what is not open and reads all zones, as far as this process may. Returns how many could be
 * read, or -errno. */
static int meter_sample(struct meter *meter, struct meter_reading *reading)
{
	int count = 0, status = 0;
	struct mono_time begun;

	for (size_t i = 0; i < meter->track_count; i++)
		meter->tracks[i].read_now = false;
	meter->denied = false;
	if (meter->source == NULL)
		status = meter_open(meter, &reading->reason);
	reading->time = clock_now_mono(meter->clock);
	if (status < 0)
		return status;
	reading->opened = true;
	reading->from_tree = meter->from_tree;
	sample_clear(&meter->sample);
	begun = clock_now_mono(meter->clock);
	status = energy_source_read(meter->source, &meter->sample);
	reading->time = clock_now_mono(meter->clock);
	reading->read_ns = clock_elapsed_ns(begun, reading->time);
	for (size_t i = 0; status == 0 && i < meter->sample.zone_count; i++) {
		const struct zone *zone = &meter->source->zones[i];
		struct meter_track *track = meter_track(meter, zone->id);

		if (meter->sample.zones[i].error == -EACCES)
			meter->denied = true;
		if (track == NULL)
			continue;
		memcpy(track->place, meter->source->places[i], sizeof(track->place));
		track->zone = *zone;
		meter_book(track, zone, &meter->sample.zones[i], reading->time);
		if (track->read_now)
			count++;
	}
	meter->begun = meter->track_count > 0;
	if (count > 0)
		return count;
	/* Unmounted, or mounted anew: the next reading looks where the tree is then. */
	meter_close(meter);
	if (reading->from_tree &&
	    mount_explain(meter->root, meter->options.at, &reading->reason) < 0)
		return -EIO;
	return diag_error(&reading->reason, -EIO, "no zone can be read%s",
			  reading->from_tree
			      ? ": the host's side is away, or the tree was unmounted; on the "
				"host: systemctl status wattportd wattport-fs"
			      : "; energy_uj is root's since Linux 5.10: run it with sudo");
}

static void meter_mark(const struct meter *meter, struct mono_time now, struct meter_mark *mark)
{
	mark->time = now;
	mark->count = meter->track_count;
	for (size_t i = 0; i < meter->track_count; i++) {
		mark->read[i] = meter->tracks[i].read_now;
		mark->total_uj[i] = meter->tracks[i].total_uj;
	}
}

/* Moves the marks on, so that `base` is the youngest known that is old enough for a mean. */
static void meter_advance_marks(struct meter *meter, struct mono_time now)
{
	if (meter->next.count > 0 &&
	    clock_elapsed_ns(meter->next.time, now) < METER_POWER_PERIOD_NS_MIN)
		return;
	if (meter->next.count > 0)
		meter->base = meter->next;
	meter_mark(meter, now, &meter->next);
}

/* Microjoules over nanoseconds in microwatts; 0 only for a counter that stood still. */
static uint64_t meter_power_uw(uint64_t energy_uj, uint64_t elapsed_ns)
{
	return (uint64_t)((wide)energy_uj * CLOCK_NS_PER_SECOND / elapsed_ns);
}

static void meter_show(const struct meter *meter, struct mono_time now,
		       struct meter_reading *reading)
{
	uint64_t elapsed_ns = clock_elapsed_ns(meter->base.time, now);

	reading->denied = meter->denied;
	reading->zone_count = meter->track_count;
	for (size_t i = 0; i < meter->track_count; i++) {
		const struct meter_track *track = &meter->tracks[i];
		struct meter_zone *zone = &reading->zones[i];

		*zone = (struct meter_zone){
		    .joined = track->joined,
		    .joined_uj = track->joined_uj,
		    .available = track->read_now,
		    .energy_uj = track->total_uj,
		    .range_uj = track->zone.range_uj,
		    .kind = track->zone.kind,
		    .package = track->zone.package,
		    .die = track->zone.die,
		};
		memcpy(zone->id, track->id, sizeof(zone->id));
		memcpy(zone->place, track->place, sizeof(zone->place));
		if (!track->read_now || !reading->up || i >= meter->base.count ||
		    !meter->base.read[i] || elapsed_ns == 0)
			continue;
		zone->has_power = true;
		zone->power_uw =
		    meter_power_uw(track->total_uj - meter->base.total_uj[i], elapsed_ns);
	}
}

/*
 * Counters of a tree never rest, whatever the machine does (common/served.h). Where they are plain
 * files that nobody writes any more, they do, and the age that is told rests with them.
 */
static bool meter_stands_still(struct meter *meter, struct mono_time now)
{
	uint64_t total_uj = 0;

	for (size_t i = 0; i < meter->track_count; i++)
		total_uj += meter->tracks[i].total_uj;
	if (total_uj != meter->moved_uj) {
		meter->moved_uj = total_uj;
		meter->moved = now;
	}
	return clock_elapsed_ns(meter->moved, now) > METER_AGE_MS_MAX * CLOCK_NS_PER_MS;
}

/* What the host says of its figures; a tree that does not say how old they are is not believed. */
static int meter_read_info(struct meter *meter, struct meter_reading *reading)
{
	cleanup_fd int tree_fd = -1;
	bool still;
	int status;

	if (!meter->from_tree)
		return 0;
	still = meter_stands_still(meter, reading->time);
	tree_fd = open(meter->options.at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	status = tree_fd < 0 ? -errno : tree_info_read(tree_fd, &reading->info);
	if (status < 0)
		return diag_error(&reading->reason, status,
				  "the tree at %s does not tell how old its data is: %s",
				  meter->options.at, strerror(-status));
	reading->has_info = true;
	if (reading->info.age_ms > METER_AGE_MS_MAX)
		return diag_error(&reading->reason, -ESTALE,
				  "the host measures no more: its data is %" PRIu64
				  " s old; on the host: systemctl status wattportd",
				  reading->info.age_ms / 1000);
	if (still)
		return diag_error(&reading->reason, -ESTALE,
				  "the host's counters stand still; on the host: systemctl status "
				  "wattport-fs");
	return 0;
}

void meter_read(struct meter *meter, struct meter_reading *ret_reading)
{
	int status, told;

	*ret_reading = (struct meter_reading){.up = false};
	status = meter_sample(meter, ret_reading);
	told = status > 0 ? meter_read_info(meter, ret_reading) : status;
	ret_reading->up = told == 0;
	/* It was taken away. What we keep open would go on, and hold the device for ever: over 9p
	 * it could not be mounted anew. */
	if (status > 0 && told == -ENOENT)
		meter_close(meter);
	if (status > 0)
		meter_advance_marks(meter, ret_reading->time);
	meter_show(meter, ret_reading->time, ret_reading);
}

void meter_read_zones(struct meter *meter, struct meter_reading *ret_reading)
{
	*ret_reading = (struct meter_reading){.up = false};
	ret_reading->up = meter_sample(meter, ret_reading) > 0;
	meter_show(meter, ret_reading->time, ret_reading);
}

bool meter_zone_adds_up(const char *id)
{
	static const enum zone_kind kinds[] = {ZONE_PACKAGE, ZONE_DRAM};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const char *name = zone_kind_name(kinds[i]);
		size_t length = strlen(name);

		if (strncmp(id, name, length) == 0 && (id[length] == '-' || id[length] == '\0'))
			return true;
	}
	return false;
}

bool meter_reading_estimate(const struct meter_reading *reading, bool *ret_estimate)
{
	if (!reading->has_info && (!reading->opened || reading->from_tree))
		return false;
	*ret_estimate = reading->has_info && reading->info.estimate;
	return true;
}

const struct meter_zone *meter_reading_find(const struct meter_reading *reading, const char *id)
{
	for (size_t i = 0; i < reading->zone_count; i++)
		if (reading->zones[i].available && strcmp(reading->zones[i].id, id) == 0)
			return &reading->zones[i];
	return NULL;
}

bool meter_reading_use(const struct meter_reading *earlier, const struct meter_reading *later,
		       const char *id, struct meter_use *ret_use)
{
	const struct meter_zone *from = meter_reading_find(earlier, id);
	const struct meter_zone *to = meter_reading_find(later, id);
	uint64_t elapsed_ns = clock_elapsed_ns(earlier->time, later->time);

	if (from == NULL || to == NULL || elapsed_ns == 0)
		return false;
	assert(to->energy_uj >= from->energy_uj);
	*ret_use = (struct meter_use){
	    .energy_uj = to->energy_uj - from->energy_uj,
	    .power_uw = meter_power_uw(to->energy_uj - from->energy_uj, elapsed_ns),
	};
	return true;
}
