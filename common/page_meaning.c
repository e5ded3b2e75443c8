#include "common/page_meaning.h"
#include "common/utf8.h"

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
