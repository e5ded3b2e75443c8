#include "common/top_history.h"

#include <assert.h>

/* How what no row had divides, by what was booked between two samples. */
static void top_history_split(struct top_history *history, const struct top_frame *frame)
{
	uint64_t idle_uj, both_uj;

	if (frame->idle_uj < history->last_idle_uj || frame->other_uj < history->last_other_uj) {
		history->has_split = false;
		return;
	}
	idle_uj = frame->idle_uj - history->last_idle_uj;
	both_uj = idle_uj + frame->other_uj - history->last_other_uj;
	history->has_split = both_uj > 0;
	history->idle_of_both = (struct top_ratio){idle_uj, both_uj};
}

void top_history_add(struct top_history *history, const struct top_frame *frame)
{
	if (!frame->fresh)
		history->has_split = false;
	if (!frame->sampled || (history->frames > 0 && frame->time.ns <= history->last.ns))
		return;
	if (history->frames == 0) {
		history->begin = frame->time;
		history->energy_uj = frame->measured.energy_uj;
	} else {
		top_history_split(history, frame);
	}
	history->frames++;
	history->last = frame->time;
	history->last_idle_uj = frame->idle_uj;
	history->last_other_uj = frame->other_uj;
	if (!frame->fresh || !frame->measured.has_power)
		return;
	history->samples[history->count++ % TOP_HISTORY_MAX] =
	    (struct top_history_sample){frame->time, frame->measured.power_uw};
}

/* Where samples are farther apart than spans, the one before says what there is until the next. */
static uint64_t top_history_held(const struct top_history_sample *before, struct mono_time end)
{
	return clock_elapsed_ns(before->time, end) <= TOP_AGE_NS_MAX ? before->power_uw
								     : TOP_HISTORY_NONE;
}

void top_history_spans(const struct top_history *history, struct mono_time now,
		       uint64_t ret_power_uw[], size_t count)
{
	const size_t kept = history->count < TOP_HISTORY_MAX ? history->count : TOP_HISTORY_MAX;
	size_t next = history->count;

	/* Backwards in both: the span that ends now comes first, and so do its samples. */
	for (size_t span = 0; span < count; span++) {
		const struct mono_time end = {now.ns - span * TOP_HISTORY_STEP_NS};
		uint64_t most_uw = 0;
		bool any = false;

		ret_power_uw[count - 1 - span] = TOP_HISTORY_NONE;
		if (end.ns > now.ns)
			continue; /* before the clock began */
		for (; next > history->count - kept; next--) {
			const struct top_history_sample *sample =
			    &history->samples[(next - 1) % TOP_HISTORY_MAX];

			if (sample->time.ns + TOP_HISTORY_STEP_NS <= end.ns)
				break;
			most_uw = sample->power_uw > most_uw ? sample->power_uw : most_uw;
			any = true;
		}
		if (any)
			ret_power_uw[count - 1 - span] = most_uw;
		else if (next > history->count - kept)
			ret_power_uw[count - 1 - span] =
			    top_history_held(&history->samples[(next - 1) % TOP_HISTORY_MAX], end);
	}
}
