#include "common/top_meaning.h"

#include <stdio.h>

static void top_meaning_count(struct top_meaning *meaning, const struct top_frame *frame)
{
	const uint64_t energy_uj = frame->measured.energy_uj;
	struct carbon_figure figure;

	/* A ledger that was made anew counts from its beginning. */
	if (meaning->begun && energy_uj > meaning->energy_uj) {
		carbon_now(meaning->carbon, &figure);
		carbon_sum_add(&meaning->sum, &figure, energy_uj - meaning->energy_uj);
	}
	meaning->begun = true;
	meaning->energy_uj = energy_uj;
}

/* No grams of energy whose intensity was not known, and a word that some is missing. */
static void top_meaning_add_grams(const struct carbon_sum *sum, struct top_frame *frame)
{
	char grams[CARBON_TEXT_SIZE];

	if (sum->energy_uj == 0 && sum->unknown_uj > 0)
		(void)snprintf(frame->grams, sizeof(frame->grams), "CO2e unknown");
	else
		(void)snprintf(frame->grams, sizeof(frame->grams), "%s%s CO2e",
			       sum->unknown_uj > 0 ? "more than " : "",
			       carbon_grams_text(sum->co2e_ug, grams));
}

void top_meaning_tell(struct top_meaning *meaning, struct top_frame *frame)
{
	const struct equivalent *equivalent;
	char text[EQUIVALENT_TEXT_SIZE];

	if (!frame->sampled)
		return;
	if (meaning->carbon != NULL) {
		top_meaning_count(meaning, frame);
		top_meaning_add_grams(&meaning->sum, frame);
	}
	if (meaning->equivalents == NULL || frame->measured.energy_uj == 0)
		return;
	equivalent = equivalents_choose(meaning->equivalents, frame->measured.energy_uj);
	(void)snprintf(frame->likeness, sizeof(frame->likeness), "%s",
		       equivalent_text(equivalent, frame->measured.energy_uj, text));
}
