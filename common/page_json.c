#include "common/page_json.h"
#include "common/page_meaning.h"
#include "common/utf8.h"

#include <jansson.h>

/* JSON's integers are signed here: what is past 2^63 is not told. */
static json_t *page_number(uint64_t value)
{
	return value > INT64_MAX ? json_null() : json_integer((json_int_t)value);
}

#define TEXT_SIZE 1024

/* NULL: null. Bytes that are not UTF-8 become '?', as in the history. */
static json_t *page_text(const char *text)
{
	char copy[TEXT_SIZE];

	if (text == NULL)
		return json_null();
	utf8_copy(copy, sizeof(copy), text);
	return json_string(copy);
}

static json_t *page_json_zone(const struct page_zone *zone)
{
	return json_pack("{s:o, s:b, s:o, s:o, s:o, s:o, s:o}", "id", page_text(zone->id),
			 "counted", zone->counted, "error", page_text(zone->error), "power_uw",
			 page_number(zone->power_uw), "energy_uj", page_number(zone->energy_uj),
			 "idle_uj", page_number(zone->idle_uj), "other_uj",
			 page_number(zone->other_uj));
}

static json_t *page_json_account(const struct page_account *account)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id",
			 page_text(account->id[0] != '\0' ? account->id : account->name), "name",
			 page_text(account->name), "detail", page_text(account->detail), "state",
			 page_text(account->state), "power_uw", page_number(account->power_uw),
			 "energy_uj", page_number(account->energy_uj), "idle_uj",
			 page_number(account->idle_uj), "overhead_uj",
			 page_number(account->overhead_uj), "cpu_ns", page_number(account->cpu_ns),
			 "members", page_number(account->members));
}

/* Jansson refuses NULL in all that follows, and json_pack() then says NULL itself. */
static json_t *page_json_group(const struct page_group *group)
{
	json_t *accounts = json_array();

	for (size_t i = 0; i < group->count; i++) {
		if (json_array_append_new(accounts, page_json_account(&group->accounts[i])) < 0) {
			json_decref(accounts);
			return NULL;
		}
	}
	return json_pack("{s:s, s:s, s:o, s:o}", "kind", group->kind, "of_members",
			 group->of_members, "accounts", accounts, "rest",
			 group->has_rest ? page_json_account(&group->rest) : json_null());
}

static json_t *page_json_groups(const struct page_view *view)
{
	json_t *groups = json_array();

	for (size_t i = 0; i < view->group_count; i++) {
		if (json_array_append_new(groups, page_json_group(&view->groups[i])) < 0) {
			json_decref(groups);
			return NULL;
		}
	}
	return groups;
}

static json_t *page_json_zones(const struct page_view *view)
{
	json_t *zones = json_array();

	for (size_t i = 0; i < view->zone_count; i++) {
		if (json_array_append_new(zones, page_json_zone(&view->zones[i])) < 0) {
			json_decref(zones);
			return NULL;
		}
	}
	return zones;
}

/* It has grown since they were taken. */
static uint64_t page_json_age_ns(const struct page_view *view, struct mono_time now)
{
	return view->age_ns == PAGE_UNKNOWN ? PAGE_UNKNOWN
					    : view->age_ns + clock_elapsed_ns(view->time, now);
}

static json_t *page_json_state(const struct page_view *view, uint64_t age_ns)
{
	return json_pack(
	    "{s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:b, s:o}", "up", view->up, "opened", view->opened,
	    "reason", view->up ? json_null() : page_text(view->reason.text), "age_ns",
	    page_number(age_ns), "source", page_text(view->source), "sight", page_text(view->sight),
	    "estimate", view->estimate_known ? json_boolean(view->estimate) : json_null(),
	    "learning", view->learning, "since_ns", page_number(view->since_ns));
}

/*
 * What is of now was taken when it was read here, as in the history: what it grew by between two
 * answers is of the time between these. What is not is as old as it says.
 */
static uint64_t page_json_wall_ms(const struct page_view *view, uint64_t age_ns,
				  const struct clock *clock)
{
	uint64_t wall_ns = clock_now_wall(clock).ns;
	uint64_t past_ns = view->up ? clock_elapsed_ns(view->time, clock_now_mono(clock)) : age_ns;

	if (past_ns != PAGE_UNKNOWN && past_ns < wall_ns)
		wall_ns -= past_ns;
	return wall_ns / CLOCK_NS_PER_MS;
}

char *page_json(const struct page_view *view, const struct clock *clock,
		struct page_meaning *meaning)
{
	uint64_t age_ns = page_json_age_ns(view, clock_now_mono(clock));
	json_t *document;
	char *text;

	document =
	    json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "version", WATTPORT_VERSION, "machine",
		      view->machine, "t_ms", page_number(page_json_wall_ms(view, age_ns, clock)),
		      "state", page_json_state(view, age_ns), "total", page_json_zone(&view->total),
		      "zones", page_json_zones(view), "groups", page_json_groups(view));
	if (document != NULL && meaning != NULL &&
	    json_object_set_new(document, "meaning", page_meaning_json(meaning, view)) < 0) {
		json_decref(document);
		return NULL;
	}
	text = document != NULL ? json_dumps(document, JSON_COMPACT) : NULL;
	json_decref(document);
	return text;
}
