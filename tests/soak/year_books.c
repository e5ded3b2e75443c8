#include "tests/soak/year_books.h"
#include "tests/soak/year.h"
#include "tests/soak/year_calls.h"
#include "tests/soak/year_host.h"

#include <inttypes.h>
#include <string.h>

#define RETRY_NS	 (2 * YEAR_SECOND)
#define POWER_UW_MAX	 UINT64_C(5000000000)
#define LONG_NS		 (10 * YEAR_SECOND)
#define CHECKPOINT_COUNT 2 /* ledger.state and the one before */

struct books_zone {
	bool primed;
	uint64_t raw_uj;
	uint64_t units; /* with raw_uj, but not wrapped */
	uint64_t resets;
	uint64_t time_ns;
};

/* What stands in the ledger: totals, and up to which reading each is booked. */
struct books_totals {
	uint64_t uj[YEAR_ZONE_COUNT];
	struct books_zone zones[YEAR_ZONE_COUNT];
};

static struct {
	unsigned saved;		      /* of year_disk_saved() */
	bool listed[YEAR_ZONE_COUNT]; /* when wattportd started: others it does not look for */
	struct books_totals now;
	struct books_totals checkpoints[CHECKPOINT_COUNT];
	year_wide measured_uj, cut_uj, untold_uj;
} books;

void year_books_begin(void)
{
	memset(&books, 0, sizeof(books));
}

void year_books_start(bool same_boot)
{
	for (size_t i = 0; i < YEAR_ZONE_COUNT; i++) {
		struct books_zone *zone = &books.now.zones[i];

		books.listed[i] = year_host.zones[i].present;
		if (same_boot)
			continue;
		zone->primed = false;
	}
}

/* A counter that begins anew while the host sleeps has not come far: sleep does not count. */
static uint64_t awake_ns(void)
{
	return year_host.clock.mono.ns - year_host.clock.suspended_ns;
}

/* What two readings tell: the rule of counter.h, in its own words. */
static uint64_t told_uj(const struct books_zone *before, const struct year_zone *zone,
			uint64_t booked_uj)
{
	uint64_t raw_uj = year_zone_raw_uj(zone), range_uj = year_zone_range_uj(zone);
	uint64_t elapsed_ns = awake_ns() - before->time_ns;
	uint64_t whole_uj = (uint64_t)((year_wide)(UINT64_C(1) << 32) * zone->unit_nj / 1000);
	uint64_t wrapped_uj;

	if (raw_uj >= before->raw_uj)
		return raw_uj - before->raw_uj;
	wrapped_uj = whole_uj - before->raw_uj + raw_uj;
	if (wrapped_uj > (uint64_t)((year_wide)elapsed_ns * POWER_UW_MAX / YEAR_SECOND))
		return 0;
	if (wrapped_uj < range_uj / 2)
		return wrapped_uj;
	/* After a long time it depends on what the zone was ever seen to draw. */
	return elapsed_ns >= LONG_NS && booked_uj == wrapped_uj ? wrapped_uj : 0;
}

static uint64_t read_zone(size_t i, uint64_t booked_uj)
{
	struct books_zone *before = &books.now.zones[i];
	const struct year_zone *zone = &year_host.zones[i];
	year_wide true_uj = 0;
	uint64_t uj = 0;

	if (before->primed) {
		uj = told_uj(before, zone, booked_uj);
		if (before->resets == zone->resets)
			true_uj = (year_wide)(zone->units - before->units) * zone->unit_nj / 1000;
		if (true_uj > (year_wide)uj + 2)
			books.untold_uj += true_uj - uj;
	}
	*before = (struct books_zone){
	    .primed = true,
	    .raw_uj = year_zone_raw_uj(zone),
	    .units = zone->units,
	    .resets = zone->resets,
	    .time_ns = awake_ns(),
	};
	books.measured_uj += uj;
	return uj;
}

static const struct ledger_zone *find(const struct ledger_host *host, const char *id)
{
	for (uint32_t i = 0; i < host->zone_count; i++)
		if (strcmp(host->zones[i].zone.id, id) == 0)
			return &host->zones[i];
	return NULL;
}

void year_books_saved(void)
{
	for (; books.saved != year_disk_saved(); books.saved++) {
		books.checkpoints[1] = books.checkpoints[0];
		books.checkpoints[0] = books.now;
	}
}

static void check_zone(const struct ledger_host *host, size_t i, bool sampled)
{
	const struct year_zone *zone = &year_host.zones[i];
	const struct ledger_zone *row = find(host, zone->id);

	if (row == NULL) {
		/* A run that began while the zone was not there. */
		if (books.now.uj[i] > 0)
			year_violation("conservation: the ledger has lost the zone %s", zone->id);
		return;
	}
	if (sampled && row->available != 0) {
		if (!zone->present || zone->error != 0)
			year_violation("zone: %s was read though it cannot be", zone->id);
		books.now.uj[i] += read_zone(i, row->energy_uj - books.now.uj[i]);
	} else if (sampled && year_host.true_ns - zone->fault_ns > RETRY_NS && books.listed[i]) {
		year_violation("zone: %s can be read again, but is not (error %d)", zone->id,
			       row->error);
	}
	if (row->energy_uj != books.now.uj[i])
		year_violation("conservation: %s has %" PRIu64 " uJ in the ledger, and %" PRIu64
			       " uJ were measured",
			       zone->id, row->energy_uj, books.now.uj[i]);
}

void year_books_check(const struct ledger_host *host, bool sampled)
{
	for (size_t i = 0; i < YEAR_ZONE_COUNT; i++)
		check_zone(host, i, sampled);
	year_books_saved();
}

static void cut_to(const struct books_totals *totals)
{
	for (size_t i = 0; i < YEAR_ZONE_COUNT; i++)
		books.cut_uj += books.now.uj[i] - totals->uj[i];
	books.now = *totals;
}

void year_books_cut(bool damaged)
{
	if (damaged)
		books.checkpoints[0] = books.checkpoints[1];
	cut_to(&books.checkpoints[0]);
}

void year_books_cut_in_saving(const struct ledger_host *host)
{
	bool reached = true;

	for (size_t i = 0; i < YEAR_ZONE_COUNT; i++) {
		const struct ledger_zone *row = find(host, year_host.zones[i].id);

		reached = reached && (row == NULL ? 0 : row->energy_uj) == books.now.uj[i];
	}
	if (reached) {
		books.checkpoints[1] = books.checkpoints[0];
		books.checkpoints[0] = books.now;
		return;
	}
	cut_to(&books.checkpoints[0]);
}

struct year_books_sum year_books_sum(void)
{
	return (struct year_books_sum){
	    .measured_j = (uint64_t)(books.measured_uj / 1000000),
	    .cut_j = (uint64_t)(books.cut_uj / 1000000),
	    .untold_j = (uint64_t)(books.untold_uj / 1000000),
	};
}
