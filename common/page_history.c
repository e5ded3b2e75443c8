#include "common/page_history.h"
#include "common/cleanup.h"
#include "common/utf8.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>

/* Points that may come a little early: a sample is taken when it is due, or when somebody asks. */
#define RING_CAPACITY	 400
#define SERIES_NONE	 SIZE_MAX
#define SERIES_MEMORY_NS (300 * CLOCK_NS_PER_SECOND) /* over which a series is found important */

struct page_point {
	uint64_t time_ns; /* struct mono_time: who sets the clock on the wall moves nothing */
	bool gap;	  /* nothing was known then: the rest says nothing */
	uint64_t energy_uj;
	uint64_t idle_uj;
	uint64_t other_uj;
};

struct page_ring {
	uint64_t distance_ns; /* of two points, at least */
	uint64_t range_ns;    /* of what is told of it */
	size_t first, count;
	struct page_point points[RING_CAPACITY];
};

struct page_series {
	bool used;
	char id[PAGE_ID_SIZE];
	char name[PAGE_NAME_SIZE];
	double weight_uw; /* its power, forgotten slowly */
};

/* The accounts of one kind; PAGE_UNKNOWN: was not there, or not followed. */
struct page_track {
	const char *kind;
	struct page_series series[PAGE_SERIES_MAX];
	uint64_t now_uj[PAGE_SERIES_MAX];
	uint64_t account_uj[PAGE_RANGE_COUNT][RING_CAPACITY][PAGE_SERIES_MAX]; /* as the rings */
};

struct page_history {
	uint64_t time_ns; /* of the last view that was taken in */
	struct page_ring rings[PAGE_RANGE_COUNT];
	size_t track_count;
	const struct page_track *first; /* of that view's first group; or NULL */
	struct page_track *tracks[PAGE_GROUP_MAX];
};

int page_history_create(struct page_history **ret_history)
{
	struct page_history *history = calloc(1, sizeof(*history));

	if (history == NULL)
		return -ENOMEM;
	history->rings[PAGE_RANGE_MINUTES].distance_ns = 800 * CLOCK_NS_PER_MS;
	history->rings[PAGE_RANGE_MINUTES].range_ns = 300 * CLOCK_NS_PER_SECOND;
	history->rings[PAGE_RANGE_HOUR].distance_ns = 9500 * CLOCK_NS_PER_MS;
	history->rings[PAGE_RANGE_HOUR].range_ns = 3600 * CLOCK_NS_PER_SECOND;
	*ret_history = history;
	return 0;
}

void page_history_destroy(struct page_history *history)
{
	if (history == NULL)
		return;
	for (size_t i = 0; i < history->track_count; i++)
		free(history->tracks[i]);
	free(history);
}

static struct page_track *history_find_track(const struct page_history *history, const char *kind)
{
	for (size_t i = 0; i < history->track_count; i++)
		if (strcmp(history->tracks[i]->kind, kind) == 0)
			return history->tracks[i];
	return NULL;
}

/* NULL: no memory, or more kinds than there are. */
static struct page_track *history_track(struct page_history *history, const char *kind)
{
	struct page_track *track = history_find_track(history, kind);

	if (track != NULL || history->track_count == PAGE_GROUP_MAX)
		return track;
	track = malloc(sizeof(*track));
	if (track == NULL)
		return NULL;
	track->kind = kind;
	memset(track->series, 0, sizeof(track->series));
	memset(track->account_uj, 0xff, sizeof(track->account_uj));
	static_assert(PAGE_UNKNOWN == UINT64_MAX, "all of its bytes are 0xff");
	history->tracks[history->track_count++] = track;
	return track;
}

static size_t ring_slot(const struct page_ring *ring, size_t index)
{
	assert(index < ring->count);
	return (ring->first + index) % RING_CAPACITY;
}

static const struct page_point *ring_at(const struct page_ring *ring, size_t index)
{
	return &ring->points[ring_slot(ring, index)];
}

/* The newest, or NULL. */
static const struct page_point *ring_last(const struct page_ring *ring)
{
	return ring->count > 0 ? ring_at(ring, ring->count - 1) : NULL;
}

static void ring_push(struct page_ring *ring, const struct page_point *point)
{
	ring->points[(ring->first + ring->count) % RING_CAPACITY] = *point;
	if (ring->count < RING_CAPACITY)
		ring->count++;
	else
		ring->first = (ring->first + 1) % RING_CAPACITY;
}

/* By its id, or by its name where it has none. */
static size_t track_find(const struct page_track *track, const struct page_account *account)
{
	char name[PAGE_NAME_SIZE];

	utf8_copy(name, sizeof(name), account->name);
	for (size_t i = 0; i < PAGE_SERIES_MAX; i++) {
		const struct page_series *series = &track->series[i];

		if (series->used && strcmp(series->id, account->id) == 0 &&
		    (account->id[0] != '\0' || strcmp(series->name, name) == 0))
			return i;
	}
	return SERIES_NONE;
}

/* A series that nobody has, or the one of least weight. */
static size_t track_least(const struct page_track *track)
{
	size_t least = 0;

	for (size_t i = 0; i < PAGE_SERIES_MAX; i++) {
		if (!track->series[i].used)
			return i;
		if (track->series[i].weight_uw < track->series[least].weight_uw)
			least = i;
	}
	return least;
}

/* The series is the account's from now on, and what the one before it used is the rest's. */
static void track_give(struct page_track *track, size_t index, const struct page_account *account)
{
	struct page_series *series = &track->series[index];

	*series = (struct page_series){.used = true};
	(void)snprintf(series->id, sizeof(series->id), "%s", account->id);
	utf8_copy(series->name, sizeof(series->name), account->name);
	for (size_t range = 0; range < PAGE_RANGE_COUNT; range++)
		for (size_t i = 0; i < RING_CAPACITY; i++)
			track->account_uj[range][i][index] = PAGE_UNKNOWN;
}

/* Gives a series to those that draw much and have none: one a view may drive out another. */
static void track_admit(struct page_track *track, const struct page_group *group)
{
	const struct page_account *best = NULL;

	for (size_t i = 0; i < group->count; i++) {
		const struct page_account *account = &group->accounts[i];
		size_t free_one = track_least(track);

		if (account->power_uw == PAGE_UNKNOWN || account->power_uw == 0 ||
		    track_find(track, account) != SERIES_NONE)
			continue;
		if (!track->series[free_one].used)
			track_give(track, free_one, account);
		else if (best == NULL || account->power_uw > best->power_uw)
			best = account;
	}
	if (best != NULL) {
		size_t least = track_least(track);

		if ((double)best->power_uw > 2 * track->series[least].weight_uw)
			track_give(track, least, best);
	}
}

static void series_weigh(struct page_series *series, uint64_t power_uw, uint64_t elapsed_ns)
{
	double part =
	    elapsed_ns < SERIES_MEMORY_NS ? (double)elapsed_ns / (double)SERIES_MEMORY_NS : 1.0;

	series->weight_uw += ((double)power_uw - series->weight_uw) * part;
}

static void track_fill(struct page_track *track, const struct page_group *group,
		       uint64_t elapsed_ns)
{
	bool seen[PAGE_SERIES_MAX] = {false};

	for (size_t i = 0; i < group->count; i++) {
		const struct page_account *account = &group->accounts[i];
		size_t index = track_find(track, account);

		if (index == SERIES_NONE)
			continue;
		seen[index] = true;
		track->now_uj[index] = account->energy_uj;
		/* A machine may be given another name. */
		utf8_copy(track->series[index].name, PAGE_NAME_SIZE, account->name);
		series_weigh(&track->series[index],
			     account->power_uw != PAGE_UNKNOWN ? account->power_uw : 0, elapsed_ns);
	}
	for (size_t i = 0; i < PAGE_SERIES_MAX; i++)
		if (track->series[i].used && !seen[i])
			series_weigh(&track->series[i], 0, elapsed_ns);
}

/* What each kind's accounts have used by now. A kind that is not there has none that is known. */
static void history_fill(struct page_history *history, const struct page_view *view)
{
	static const struct page_group none = {.count = 0};
	uint64_t elapsed_ns = view->time.ns - history->time_ns;

	for (size_t i = 0; i < view->group_count; i++) {
		struct page_track *track = history_track(history, view->groups[i].kind);

		if (track != NULL)
			track_admit(track, &view->groups[i]);
		if (i == 0)
			history->first = track;
	}
	for (size_t i = 0; i < history->track_count; i++) {
		struct page_track *track = history->tracks[i];
		const struct page_group *group = &none;

		for (size_t k = 0; k < view->group_count; k++)
			if (strcmp(view->groups[k].kind, track->kind) == 0)
				group = &view->groups[k];
		memset(track->now_uj, 0xff, sizeof(track->now_uj));
		track_fill(track, group, elapsed_ns);
	}
}

static void history_push(struct page_history *history, const struct page_point *point)
{
	for (size_t i = 0; i < PAGE_RANGE_COUNT; i++) {
		struct page_ring *ring = &history->rings[i];
		const struct page_point *last = ring_last(ring);

		/* A gap begins at once, and once. */
		if (point->gap ? last == NULL || last->gap
			       : last != NULL && !last->gap &&
				     point->time_ns < last->time_ns + ring->distance_ns)
			continue;
		ring_push(ring, point);
		for (size_t k = 0; k < history->track_count; k++)
			memcpy(history->tracks[k]->account_uj[i][ring_slot(ring, ring->count - 1)],
			       history->tracks[k]->now_uj, sizeof(history->tracks[k]->now_uj));
	}
}

void page_history_add(struct page_history *history, const struct page_view *view,
		      const struct clock *clock)
{
	struct page_point point = {.time_ns = clock_now_mono(clock).ns, .gap = !view->up};

	if (view->up) {
		if (view->time.ns <= history->time_ns)
			return; /* the same sample as before, or one that another thread overtook */
		point.time_ns = view->time.ns;
		point.energy_uj = view->total.energy_uj;
		point.idle_uj = view->total.idle_uj;
		point.other_uj = view->total.other_uj;
		history_fill(history, view);
		history->time_ns = view->time.ns;
	}
	history_push(history, &point);
}

/* What drew the difference of two counters' readings; null where one of them is not known. */
static json_t *power_json(uint64_t earlier_uj, uint64_t later_uj, uint64_t elapsed_ms)
{
	if (earlier_uj == PAGE_UNKNOWN || later_uj == PAGE_UNKNOWN || later_uj < earlier_uj ||
	    elapsed_ms == 0 || later_uj - earlier_uj > INT64_MAX / 1000)
		return json_null();
	return json_integer((json_int_t)((later_uj - earlier_uj) * 1000 / elapsed_ms));
}

enum column {
	COLUMN_TOTAL = PAGE_SERIES_MAX,
	COLUMN_IDLE,
	COLUMN_OTHER,
};

/* What is told: the points of a range from `begin` on, and the accounts of one kind. */
struct page_part {
	const struct page_ring *ring;
	enum page_range range;
	size_t begin;
	const struct page_track *track; /* or NULL */
};

static uint64_t part_counter(const struct page_part *part, size_t index, size_t column)
{
	const struct page_point *point = ring_at(part->ring, index);

	switch (column) {
	case COLUMN_TOTAL:
		return point->energy_uj;
	case COLUMN_IDLE:
		return point->idle_uj;
	case COLUMN_OTHER:
		return point->other_uj;
	default:
		return part->track->account_uj[part->range][ring_slot(part->ring, index)][column];
	}
}

/* Each point against the one before it. */
static json_t *part_column(const struct page_part *part, size_t column)
{
	json_t *powers = json_array();

	for (size_t i = part->begin; i < part->ring->count; i++) {
		const struct page_point *earlier = i > 0 ? ring_at(part->ring, i - 1) : NULL;
		const struct page_point *later = ring_at(part->ring, i);
		json_t *power = NULL;

		if (earlier == NULL || earlier->gap || later->gap ||
		    later->energy_uj < earlier->energy_uj)
			power = json_null();
		else
			power = power_json(part_counter(part, i - 1, column),
					   part_counter(part, i, column),
					   (later->time_ns - earlier->time_ns) / CLOCK_NS_PER_MS);
		(void)json_array_append_new(powers, power);
	}
	return powers;
}

/* Where the last point's counter stood, from which a page goes on; null: not known then. */
static json_t *part_last(const struct page_part *part, size_t column)
{
	const struct page_point *last = ring_last(part->ring);
	uint64_t energy_uj = last == NULL || last->gap
				 ? PAGE_UNKNOWN
				 : part_counter(part, part->ring->count - 1, column);

	return energy_uj > INT64_MAX ? json_null() : json_integer((json_int_t)energy_uj);
}

static bool part_has(const struct page_part *part, size_t column)
{
	for (size_t i = part->begin; i < part->ring->count; i++)
		if (!ring_at(part->ring, i)->gap && part_counter(part, i, column) != PAGE_UNKNOWN)
			return true;
	return false;
}

static json_t *part_accounts(const struct page_part *part)
{
	json_t *accounts = json_array();

	for (size_t i = 0; part->track != NULL && i < PAGE_SERIES_MAX; i++) {
		const struct page_series *series = &part->track->series[i];

		if (series->used && part_has(part, i))
			(void)json_array_append_new(
			    accounts,
			    json_pack("{s:s, s:s, s:o, s:o}", "id",
				      series->id[0] != '\0' ? series->id : series->name, "name",
				      series->name, "energy_uj", part_last(part, i), "power_uw",
				      part_column(part, i)));
	}
	return accounts;
}

static json_t *part_times(const struct page_part *part, const struct clock *clock)
{
	const struct mono_time now = clock_now_mono(clock);
	uint64_t wall_ns = clock_now_wall(clock).ns;
	json_t *times = json_array();

	for (size_t i = part->begin; i < part->ring->count; i++) {
		uint64_t past_ns =
		    clock_elapsed_ns((struct mono_time){ring_at(part->ring, i)->time_ns}, now);
		uint64_t time_ns = past_ns < wall_ns ? wall_ns - past_ns : 0;

		(void)json_array_append_new(times,
					    json_integer((json_int_t)(time_ns / CLOCK_NS_PER_MS)));
	}
	return times;
}

char *page_history_json(const struct page_history *history, const struct clock *clock,
			enum page_range range, const char *kind)
{
	const struct page_ring *ring = &history->rings[range];
	const struct page_point *last = ring_last(ring);
	struct page_part part = {.ring = ring,
				 .range = range,
				 .track = kind != NULL ? history_find_track(history, kind)
						       : history->first};
	json_t *document;
	char *text;

	while (last != NULL && part.begin < ring->count &&
	       ring_at(ring, part.begin)->time_ns + ring->range_ns < last->time_ns)
		part.begin++;
	if (kind == NULL && part.track != NULL)
		kind = part.track->kind;
	/* A member that memory was short for is NULL, which json_pack() refuses. */
	document = json_pack(
	    "{s:I, s:s?, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "range_ms",
	    (json_int_t)(ring->range_ns / CLOCK_NS_PER_MS), "kind", kind, "t_ms",
	    part_times(&part, clock), "energy_uj", part_last(&part, COLUMN_TOTAL), "idle_uj",
	    part_last(&part, COLUMN_IDLE), "other_uj", part_last(&part, COLUMN_OTHER), "total_uw",
	    part_column(&part, COLUMN_TOTAL), "idle_uw", part_column(&part, COLUMN_IDLE),
	    "other_uw", part_column(&part, COLUMN_OTHER), "accounts", part_accounts(&part));
	text = document != NULL ? json_dumps(document, JSON_COMPACT) : NULL;
	json_decref(document);
	return text;
}
