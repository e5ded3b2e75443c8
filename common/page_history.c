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
	uint64_t account_uj[PAGE_SERIES_MAX]; /* PAGE_UNKNOWN: was not there, or not followed */
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

struct page_history {
	uint64_t time_ns; /* of the last view that was taken in */
	struct page_series series[PAGE_SERIES_MAX];
	struct page_ring rings[PAGE_RANGE_COUNT];
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
	free(history);
}

static const struct page_point *ring_at(const struct page_ring *ring, size_t index)
{
	assert(index < ring->count);
	return &ring->points[(ring->first + index) % RING_CAPACITY];
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
static size_t history_find(const struct page_history *history, const struct page_account *account)
{
	char name[PAGE_NAME_SIZE];

	utf8_copy(name, sizeof(name), account->name);
	for (size_t i = 0; i < PAGE_SERIES_MAX; i++) {
		const struct page_series *series = &history->series[i];

		if (series->used && strcmp(series->id, account->id) == 0 &&
		    (account->id[0] != '\0' || strcmp(series->name, name) == 0))
			return i;
	}
	return SERIES_NONE;
}

/* A series that nobody has, or the one of least weight. */
static size_t history_least(const struct page_history *history)
{
	size_t least = 0;

	for (size_t i = 0; i < PAGE_SERIES_MAX; i++) {
		if (!history->series[i].used)
			return i;
		if (history->series[i].weight_uw < history->series[least].weight_uw)
			least = i;
	}
	return least;
}

/* The series is the account's from now on, and what the one before it used is the rest's. */
static void history_give(struct page_history *history, size_t index,
			 const struct page_account *account)
{
	struct page_series *series = &history->series[index];

	*series = (struct page_series){.used = true};
	(void)snprintf(series->id, sizeof(series->id), "%s", account->id);
	utf8_copy(series->name, sizeof(series->name), account->name);
	for (size_t ring = 0; ring < PAGE_RANGE_COUNT; ring++)
		for (size_t i = 0; i < RING_CAPACITY; i++)
			history->rings[ring].points[i].account_uj[index] = PAGE_UNKNOWN;
}

/* Gives a series to those that draw much and have none: one a view may drive out another. */
static void history_admit(struct page_history *history, const struct page_group *group)
{
	const struct page_account *best = NULL;

	for (size_t i = 0; i < group->count; i++) {
		const struct page_account *account = &group->accounts[i];
		size_t free_one = history_least(history);

		if (account->power_uw == PAGE_UNKNOWN || account->power_uw == 0 ||
		    history_find(history, account) != SERIES_NONE)
			continue;
		if (!history->series[free_one].used)
			history_give(history, free_one, account);
		else if (best == NULL || account->power_uw > best->power_uw)
			best = account;
	}
	if (best != NULL) {
		size_t least = history_least(history);

		if ((double)best->power_uw > 2 * history->series[least].weight_uw)
			history_give(history, least, best);
	}
}

static void history_weigh(struct page_series *series, uint64_t power_uw, uint64_t elapsed_ns)
{
	double part =
	    elapsed_ns < SERIES_MEMORY_NS ? (double)elapsed_ns / (double)SERIES_MEMORY_NS : 1.0;

	series->weight_uw += ((double)power_uw - series->weight_uw) * part;
}

static void history_fill(struct page_history *history, const struct page_group *group,
			 uint64_t elapsed_ns, struct page_point *point)
{
	bool seen[PAGE_SERIES_MAX] = {false};

	for (size_t i = 0; i < PAGE_SERIES_MAX; i++)
		point->account_uj[i] = PAGE_UNKNOWN;
	for (size_t i = 0; i < group->count; i++) {
		const struct page_account *account = &group->accounts[i];
		size_t index = history_find(history, account);

		if (index == SERIES_NONE)
			continue;
		seen[index] = true;
		point->account_uj[index] = account->energy_uj;
		/* A machine may be given another name. */
		utf8_copy(history->series[index].name, PAGE_NAME_SIZE, account->name);
		history_weigh(&history->series[index],
			      account->power_uw != PAGE_UNKNOWN ? account->power_uw : 0,
			      elapsed_ns);
	}
	for (size_t i = 0; i < PAGE_SERIES_MAX; i++)
		if (history->series[i].used && !seen[i])
			history_weigh(&history->series[i], 0, elapsed_ns);
}

static void history_push(struct page_history *history, const struct page_point *point)
{
	for (size_t i = 0; i < PAGE_RANGE_COUNT; i++) {
		struct page_ring *ring = &history->rings[i];
		const struct page_point *last = ring_last(ring);

		/* A gap begins at once, and once. */
		if (point->gap ? last != NULL && !last->gap
			       : last == NULL || last->gap ||
				     point->time_ns >= last->time_ns + ring->distance_ns)
			ring_push(ring, point);
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
		if (view->group_count > 0) {
			history_admit(history, &view->groups[0]);
			history_fill(history, &view->groups[0], view->time.ns - history->time_ns,
				     &point);
		}
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

static uint64_t point_column(const struct page_point *point, size_t column)
{
	switch (column) {
	case COLUMN_TOTAL:
		return point->energy_uj;
	case COLUMN_IDLE:
		return point->idle_uj;
	case COLUMN_OTHER:
		return point->other_uj;
	default:
		return point->account_uj[column];
	}
}

/* Of the points from `first` on, each against the one before it. */
static json_t *ring_column(const struct page_ring *ring, size_t first, size_t column)
{
	json_t *powers = json_array();

	for (size_t i = first; i < ring->count; i++) {
		const struct page_point *earlier = i > 0 ? ring_at(ring, i - 1) : NULL;
		const struct page_point *later = ring_at(ring, i);
		json_t *power = NULL;

		if (earlier == NULL || earlier->gap || later->gap ||
		    later->energy_uj < earlier->energy_uj)
			power = json_null();
		else
			power =
			    power_json(point_column(earlier, column), point_column(later, column),
				       (later->time_ns - earlier->time_ns) / CLOCK_NS_PER_MS);
		(void)json_array_append_new(powers, power);
	}
	return powers;
}

static bool ring_has(const struct page_ring *ring, size_t first, size_t column)
{
	for (size_t i = first; i < ring->count; i++)
		if (!ring_at(ring, i)->gap && ring_at(ring, i)->account_uj[column] != PAGE_UNKNOWN)
			return true;
	return false;
}

/* Where the last point's counter stood, from which a page goes on; null: not known then. */
static json_t *ring_last_counter(const struct page_ring *ring, size_t column)
{
	const struct page_point *last = ring_last(ring);
	uint64_t energy_uj = last == NULL || last->gap ? PAGE_UNKNOWN : point_column(last, column);

	return energy_uj > INT64_MAX ? json_null() : json_integer((json_int_t)energy_uj);
}

static json_t *ring_accounts(const struct page_history *history, const struct page_ring *ring,
			     size_t first)
{
	json_t *accounts = json_array();

	for (size_t i = 0; i < PAGE_SERIES_MAX; i++) {
		const struct page_series *series = &history->series[i];

		if (series->used && ring_has(ring, first, i))
			(void)json_array_append_new(
			    accounts,
			    json_pack("{s:s, s:s, s:o, s:o}", "id",
				      series->id[0] != '\0' ? series->id : series->name, "name",
				      series->name, "energy_uj", ring_last_counter(ring, i),
				      "power_uw", ring_column(ring, first, i)));
	}
	return accounts;
}

static json_t *ring_times(const struct page_ring *ring, size_t first, const struct clock *clock)
{
	const struct mono_time now = clock_now_mono(clock);
	uint64_t wall_ns = clock_now_wall(clock).ns;
	json_t *times = json_array();

	for (size_t i = first; i < ring->count; i++) {
		uint64_t past_ns =
		    clock_elapsed_ns((struct mono_time){ring_at(ring, i)->time_ns}, now);
		uint64_t time_ns = past_ns < wall_ns ? wall_ns - past_ns : 0;

		(void)json_array_append_new(times,
					    json_integer((json_int_t)(time_ns / CLOCK_NS_PER_MS)));
	}
	return times;
}

char *page_history_json(const struct page_history *history, const struct clock *clock,
			enum page_range range)
{
	const struct page_ring *ring = &history->rings[range];
	json_t *document;
	size_t first = 0;
	char *text;

	while (first < ring->count &&
	       ring_at(ring, first)->time_ns + ring->range_ns < ring_last(ring)->time_ns)
		first++;
	/* A member that memory was short for is NULL, which json_pack() refuses. */
	document = json_pack(
	    "{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "range_ms",
	    (json_int_t)(ring->range_ns / CLOCK_NS_PER_MS), "t_ms", ring_times(ring, first, clock),
	    "energy_uj", ring_last_counter(ring, COLUMN_TOTAL), "idle_uj",
	    ring_last_counter(ring, COLUMN_IDLE), "other_uj", ring_last_counter(ring, COLUMN_OTHER),
	    "total_uw", ring_column(ring, first, COLUMN_TOTAL), "idle_uw",
	    ring_column(ring, first, COLUMN_IDLE), "other_uw",
	    ring_column(ring, first, COLUMN_OTHER), "accounts",
	    ring_accounts(history, ring, first));
	text = document != NULL ? json_dumps(document, JSON_COMPACT) : NULL;
	json_decref(document);
	return text;
}
