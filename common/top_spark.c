#include "common/features.h"
#include "common/top_screen_internal.h"

#define TOP_SPARK_STEPS 8

/* From nothing at all to the most there was, so that heights compare as the powers do. */
static const char *top_spark_glyph(bool unicode, uint64_t power_uw, uint64_t most_uw)
{
	static const char *const blocks[TOP_SPARK_STEPS] = {
	    "\xe2\x96\x81", "\xe2\x96\x82", "\xe2\x96\x83", "\xe2\x96\x84",
	    "\xe2\x96\x85", "\xe2\x96\x86", "\xe2\x96\x87", "\xe2\x96\x88"};
	static const char *const letters[TOP_SPARK_STEPS] = {"_", ".", ":", "-",
							     "=", "+", "*", "#"};
	size_t step = 0;

	if (most_uw > 0)
		step = (size_t)features_scale(power_uw, TOP_SPARK_STEPS, most_uw);
	if (step >= TOP_SPARK_STEPS)
		step = TOP_SPARK_STEPS - 1;
	return unicode ? blocks[step] : letters[step];
}

uint64_t top_spark_draw(const struct top_scene *scene, struct top_canvas *canvas,
			struct top_place place)
{
	uint64_t powers_uw[TOP_HISTORY_MAX], most_uw = 0;
	size_t count = place.width;

	if (count > TOP_HISTORY_MAX)
		count = TOP_HISTORY_MAX;
	top_history_spans(scene->history, scene->now, powers_uw, count);
	for (size_t i = 0; i < count; i++)
		if (powers_uw[i] != TOP_HISTORY_NONE && powers_uw[i] > most_uw)
			most_uw = powers_uw[i];
	for (size_t i = 0; i < count; i++) {
		const struct top_place at = {place.line, place.column + i, 1};

		if (powers_uw[i] != TOP_HISTORY_NONE)
			(void)top_canvas_put(
			    canvas, at, TOP_ACCENT,
			    top_spark_glyph(canvas->unicode, powers_uw[i], most_uw));
	}
	return most_uw;
}
