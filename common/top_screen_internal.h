/*
 * top_screen_internal.h: the parts of the screen as they see each other.
 *
 * top_screen.c divides the lines among head, rows, balance and keys; each part draws into its own.
 */
#ifndef WATTPORT_COMMON_TOP_SCREEN_INTERNAL_H
#define WATTPORT_COMMON_TOP_SCREEN_INTERNAL_H

#include "common/top_balance.h"
#include "common/top_screen.h"

#define TOP_UNKNOWN "-"

/* Lines of the canvas that belong to a part. */
struct top_lines {
	size_t first, count;
};

/* Who shows which measure in bar and share: the one that rows are sorted by, power else. */
bool top_scene_by_energy(const struct top_scene *scene);

/* Amounts as texts; TOP_UNKNOWN where there is no number. */
void top_power_text(struct top_amount amount, char *ret_text, size_t size);
void top_energy_text(const struct top_view *view, uint64_t energy_uj, char *ret_text, size_t size);

/* The lines above the rows: as many as it has to tell and the height allows. */
size_t top_head_count(const struct top_scene *scene, const struct top_canvas *canvas);
void top_head_draw(const struct top_scene *scene, struct top_canvas *canvas,
		   struct top_lines lines);

/* Power over the last minutes, as columns of one line; returns the most that it shows, or 0. */
uint64_t top_spark_draw(const struct top_scene *scene, struct top_canvas *canvas,
			struct top_place place);

/* Titles, rows, and what they add up to. The first of `lines` is the titles'. */
void top_table_draw(const struct top_scene *scene, struct top_canvas *canvas,
		    struct top_lines lines, const struct top_balance *balance,
		    struct top_lines sums);

/* All that is known of the chosen row. */
size_t top_facts_count(const struct top_scene *scene);
void top_facts_draw(const struct top_scene *scene, struct top_canvas *canvas,
		    struct top_lines lines);

/* What the keys do: one line, or a page. */
void top_keys_draw(const struct top_scene *scene, struct top_canvas *canvas, size_t line);
void top_help_draw(const struct top_scene *scene, struct top_canvas *canvas,
		   struct top_lines lines);

#endif
