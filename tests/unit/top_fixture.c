#include "tests/unit/top_fixture.h"
#include "tests/unit/check.h"

#include <stdio.h>

#define FIXTURE_OTHER_UW UINT64_C(4321000)
#define FIXTURE_IDLE_UW	 UINT64_C(15700000)
#define FIXTURE_REST_UJ	 UINT64_C(1234000000)

static const struct fixture_row {
	const char *name, *detail;
	uint64_t power_uw;
	uint64_t cpu_ns;
} fixture_rows[] = {
    {"nginx.service", "system.slice", 12345000, UINT64_C(187200000000)},
    {"postgresql@15-main.service", "system.slice", 31200000, UINT64_C(43387000000000)},
    {"cron.service", "system.slice", 2100, 12000000},
    {"J\xc3\xbcrgen-\xe6\x97\xa5\xe6\x9c\xac.service", "user.slice", 950000, 61000000000},
    {"evil\x1b[2J\x1b]0;x\x07\xe2\x80\xaetxt\xe2\x80\xac.service", "system.slice", 3000000,
     1000000000},
    {"\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d.service", "system.slice", 2000000, 2000000000},
    {"a-name-that-is-much-longer-than-any-column-can-be.service", "machine.slice", 1500000,
     UINT64_C(36000000000000000)},
    {"docker-4f0c.scope", "docker.slice", 8000000, 7000000000},
    {"session-3.scope", "user.slice", 700000, 3000000000},
    {"ssh.service", "system.slice", 60000, 900000000},
    {"dbus.service", "system.slice", 30000, 800000000},
    {"getty@tty1.service", "system.slice", 0, 100000000},
};

static void fixture_add_units(struct top_frame *frame, uint64_t seconds)
{
	static const struct top_page units = {"units", "UNIT", "SLICE", "ended",       TOP_WHOLE,
					      0,       NULL,   0,	{0, 0, false}, 0};
	struct top_page *page = top_frame_add_page(frame, &units);

	page->rest = (struct top_amount){FIXTURE_REST_UJ, 0, true};
	frame->measured.energy_uj += FIXTURE_REST_UJ;
	for (size_t i = 0; i < CHECK_COUNT(fixture_rows); i++) {
		const struct fixture_row *from = &fixture_rows[i];
		struct top_row *row = top_page_add_row(page);

		CHECK_POINTER(row);
		row->identity = top_identity(from->name, strlen(from->name));
		(void)snprintf(row->name, sizeof(row->name), "%s", from->name);
		(void)snprintf(row->detail, sizeof(row->detail), "%s", from->detail);
		row->amount =
		    (struct top_amount){from->power_uw * (100 + seconds), from->power_uw, true};
		row->cpu_ns = from->cpu_ns;
		row->faint = from->power_uw == 0;
		top_row_add_fact(row, "processes", "3");
		top_row_add_fact(row, "package-0", "1.23 kJ");
		frame->measured.energy_uj += row->amount.energy_uj;
		frame->measured.power_uw += from->power_uw;
	}
}

/* Two users have half of it each; nobody else has anything. */
static void fixture_add_users(struct top_frame *frame)
{
	static const struct top_page users = {"users", "USER", "", "ended",	  TOP_PART,
					      0,       NULL,   0,  {0, 0, false}, 0};
	struct top_page *page = top_frame_add_page(frame, &users);

	for (size_t i = 0; i < 2; i++) {
		struct top_row *row = top_page_add_row(page);

		CHECK_POINTER(row);
		row->identity = i;
		(void)snprintf(row->name, sizeof(row->name), "%s", i == 0 ? "root" : "www-data");
		row->amount = (struct top_amount){frame->measured.energy_uj / 4,
						  frame->measured.power_uw / 4, true};
	}
}

void top_fixture_fill(struct top_frame *frame, uint64_t seconds)
{
	top_frame_clear(frame);
	(void)snprintf(frame->place, sizeof(frame->place), "kvm1.example.org");
	(void)snprintf(frame->source, sizeof(frame->source), "powercap, isolated view");
	(void)snprintf(frame->grams, sizeof(frame->grams), "3.4 g CO2e");
	(void)snprintf(frame->likeness, sizeof(frame->likeness), "charges a phone 2 times");
	frame->sampled = frame->fresh = true;
	frame->age_ns = 400 * CLOCK_NS_PER_MS;
	frame->time.ns = TOP_FIXTURE_TIME_NS + seconds * CLOCK_NS_PER_SECOND;
	frame->since_ns = (100 + seconds) * CLOCK_NS_PER_SECOND;
	frame->measured = (struct top_amount){.has_power = true};
	fixture_add_units(frame, seconds);
	frame->other_uj = FIXTURE_OTHER_UW * (100 + seconds);
	frame->idle_uj = FIXTURE_IDLE_UW * (100 + seconds);
	frame->measured.energy_uj += frame->other_uj + frame->idle_uj;
	frame->measured.power_uw += FIXTURE_OTHER_UW + FIXTURE_IDLE_UW;
	fixture_add_users(frame);
}

void top_fixture_remember(struct top_history *history, uint64_t seconds)
{
	cleanup_top_frame struct top_frame frame = {.page_count = 0};

	for (uint64_t second = seconds - 90; second <= seconds; second++) {
		if (second > seconds - 60 && second < seconds - 30)
			continue;
		top_fixture_fill(&frame, second);
		/* A calm hill. */
		frame.measured.power_uw += (second % 30) * (30 - second % 30) * 200000;
		top_history_add(history, &frame);
	}
}
