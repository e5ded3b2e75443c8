#include "tests/soak/year_books.h"
#include "tests/soak/year.h"
#include "tests/soak/year_calls.h"
#include "tests/soak/year_host.h"

#include <inttypes.h>
#include <string.h>

#define RETRY_NS	 (2 * YEAR_SECOND)
#define POWER_UW_MAX	 UINT64_C(5000000000)
#define CHECKPOINT_COUNT 2 /* ledger.state and the one before */

struct books_zone {
	bool primed;
	uint64_t raw_uj;
	uint64_t units; /* with raw_uj, but not wrapped */
	uint64_t resets;
	uint64_t time_ns;
};

struct books_totals {
	uint64_t uj[YEAR_ZONE_COUNT];
};

static struct {
	bool away_booked;
	unsigned saved; /* of year_disk_saved() */
	struct books_zone zones[YEAR_ZONE_COUNT];
	struct books_totals now;
	struct books_totals checkpoints[CHECKPOINT_COUNT];
	year_wide measured_uj, away_uj, cut_uj, untold_uj;
} books;

void year_books_begin(bool away_booked)
{
	memset(&books, 0, sizeof(books));
	books.away_booked = away_booked;
}

void year_books_start(bool same_boot)
{
	for (size_t i = 0; i < YEAR_ZONE_COUNT; i++) {
		struct books_zone *zone = &books.zones[i];

		if (books.away_booked && same_boot)
			continue;
		if (zone->primed && zone->resets == year_host.zones[i].resets)
			books.away_uj += (year_wide)(year_host.zones[i].units - zone->units) *
					 year_host.zones[i].unit_nj / 1000;
		zone->primed = false;
	}
}

/* What two readings tell: the rule of counter.h, in its own words. */
static uint64_t told_uj(const struct books_zone *before, const struct year_zone *zone)
{
	uint64_t raw_uj = year_zone_raw_uj(zone), range_uj = year_zone_range_uj(zone);
	uint64_t elapsed_ns = year_host.clock.mono.ns - before->time_ns;
	uint64_t whole_uj = (uint64_t)((year_wide)(UINT64_C(1) << 32) * zone->unit_nj / 1000);
	uint64_t wrapped_uj;

	if (raw_uj >= before->raw_uj)
		return raw_uj - before->raw_uj;
	wrapped_uj = whole_uj - before->raw_uj + raw_uj;
	if (wrapped_uj >= range_uj / 2 ||
	    wrapped_uj > (uint64_t)((year_wide)elapsed_ns * POWER_UW_MAX / YEAR_SECOND))
		return 0;
	return wrapped_uj;
}

static uint64_t read_zone(size_t i)
{
	struct books_zone *before = &books.zones[i];
	const struct year_zone *zone = &year_host.zones[i];
	year_wide true_uj = 0;
	uint64_t uj = 0;

	if (before->primed) {
		uj = told_uj(before, zone);
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
	    .time_ns = year_host.clock.mono.ns,
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
	if (year_disk_failed())
		/* What there was has both names now. */
		books.checkpoints[1] = books.checkpoints[0];
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
		books.now.uj[i] += read_zone(i);
	} else if (sampled && year_host.true_ns - zone->fault_ns > RETRY_NS &&
		   books.zones[i].primed) {
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
	    .away_j = (uint64_t)(books.away_uj / 1000000),
	    .cut_j = (uint64_t)(books.cut_uj / 1000000),
	    .untold_j = (uint64_t)(books.untold_uj / 1000000),
	};
}
