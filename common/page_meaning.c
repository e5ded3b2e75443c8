#include "common/page_meaning.h"
#include "common/utf8.h"

#include <assert.h>

void page_meaning_add(struct page_meaning *meaning, const struct page_view *view)
{
	struct carbon_figure figure;

	if (meaning->carbon == NULL || view->total.energy_uj == PAGE_UNKNOWN)
		return;
	if (meaning->begun && view->total.energy_uj > meaning->energy_uj) {
		carbon_now(meaning->carbon, &figure);
		carbon_sum_add(&meaning->sum, &figure, view->total.energy_uj - meaning->energy_uj);
	}
	meaning->begun = true;
	meaning->energy_uj = view->total.energy_uj;
}

static const struct metrics_family page_intensity = {
    "wattport_carbon_intensity_grams_per_joule", METRICS_GAUGE, NULL,
    "CO2e that the electricity causes now; times 3.6e6: grams per kilowatt-hour. Absent while it "
    "is "
    "not known."};
static const struct metrics_family page_intensity_age = {
    "wattport_carbon_intensity_age_seconds", METRICS_GAUGE, "seconds",
    "How old that figure is; absent of one that is of no moment, such as a mean of a year."};
static const struct metrics_family page_grams = {
    "wattport_carbon_grams", METRICS_COUNTER, "grams",
    "CO2e of this machine's energy since the exporter started, each second with its intensity."};
static const struct metrics_family page_uncounted = {
    "wattport_carbon_uncounted_joules", METRICS_COUNTER, "joules",
    "Energy since then for which the intensity was not known: its grams are not counted."};

/* A gram per joule has 3.6e9 milligrams per kilowatt-hour. With 12 decimals eight digits remain of
 * the usual ones. */
#define PAGE_INTENSITY_DECIMALS	  12
#define PAGE_INTENSITY_MULTIPLIER UINT64_C(2500)
#define PAGE_INTENSITY_DIVISOR	  UINT64_C(9)

static_assert(CARBON_MG_PER_KWH_MAX < UINT64_MAX / PAGE_INTENSITY_MULTIPLIER, "no overflow");

void page_meaning_write(struct page_meaning *meaning, struct metrics *metrics)
{
	struct carbon_figure figure;
	struct metrics_label source = {"source", figure.source};

	if (meaning->carbon == NULL)
		return;
	carbon_now(meaning->carbon, &figure);
	metrics_begin_family(metrics, &page_intensity);
	if (figure.known)
		metrics_add(metrics, &source, 1,
			    (struct metrics_value){.magnitude = (figure.intensity_mg_per_kwh *
								     PAGE_INTENSITY_MULTIPLIER +
								 PAGE_INTENSITY_DIVISOR / 2) /
								PAGE_INTENSITY_DIVISOR,
						   .decimals = PAGE_INTENSITY_DECIMALS});
	metrics_begin_family(metrics, &page_intensity_age);
	if (figure.known && figure.has_time)
		metrics_add(metrics, &source, 1, metrics_nano(figure.age_ns));
	metrics_add_single(metrics, &page_grams, metrics_micro(meaning->sum.co2e_ug));
	metrics_add_single(metrics, &page_uncounted, metrics_micro(meaning->sum.unknown_uj));
}

static json_t *page_meaning_carbon(struct page_meaning *meaning, const struct page_view *view)
{
	char text[CARBON_FIGURE_TEXT_SIZE], note[CARBON_FIGURE_TEXT_SIZE];
	struct carbon_figure figure;
	json_t *rate = NULL;

	if (meaning->carbon == NULL)
		return json_null();
	carbon_now(meaning->carbon, &figure);
	/* It has a path in it, which may be any bytes, cut anywhere; Jansson takes UTF-8 alone. */
	utf8_copy(note, sizeof(note), carbon_figure_text(&figure, text));
	/* uW x mg/kWh = 1e-9 mg/h: in ug/h. */
	if (figure.known && view->total.power_uw < INT64_MAX / CARBON_MG_PER_KWH_MAX)
		rate = json_integer(
		    (json_int_t)(view->total.power_uw * figure.intensity_mg_per_kwh / 1000000));
	return json_pack("{s:o, s:I, s:I, s:s}", "ug_per_hour", rate != NULL ? rate : json_null(),
			 "counted_ug", (json_int_t)meaning->sum.co2e_ug, "uncounted_uj",
			 (json_int_t)meaning->sum.unknown_uj, "note", note);
}

/* First the one that a person can picture best, then others in the order of their table. */
static json_t *page_meaning_equivalents(const struct page_meaning *meaning, uint64_t energy_uj)
{
	const struct equivalents *table = meaning->equivalents;
	const struct equivalent *best;
	char text[EQUIVALENT_TEXT_SIZE];
	json_t *texts = json_array();

	if (table == NULL || energy_uj == PAGE_UNKNOWN || energy_uj == 0)
		return texts;
	best = equivalents_choose(table, energy_uj);
	(void)json_array_append_new(texts, json_string(equivalent_text(best, energy_uj, text)));
	for (size_t i = 0;
	     i < equivalents_count(table) && json_array_size(texts) < PAGE_EQUIVALENTS_MAX; i++) {
		const struct equivalent *other = equivalents_get(table, i);

		if (other != best)
			(void)json_array_append_new(
			    texts, json_string(equivalent_text(other, energy_uj, text)));
	}
	return texts;
}

json_t *page_meaning_json(struct page_meaning *meaning, const struct page_view *view)
{
	return json_pack("{s:o, s:o}", "carbon", page_meaning_carbon(meaning, view), "equivalents",
			 page_meaning_equivalents(meaning, view->total.energy_uj));
}
