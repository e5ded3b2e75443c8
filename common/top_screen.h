/*
 * top_screen.h: the screen of `top`: a frame, its history and a person's choices, drawn.
 *
 * Fourth stage of `top`. It fits any size: what matters least is left out first. Pure: the same
 * scene gives the same canvas; one thread.
 */
#ifndef WATTPORT_COMMON_TOP_SCREEN_H
#define WATTPORT_COMMON_TOP_SCREEN_H

#include "common/top_canvas.h"
#include "common/top_history.h"
#include "common/top_view.h"

struct top_scene {
	const char *program; /* "wattport top" */
	const struct top_frame *frame;
	const struct top_history *history;
	struct top_view *view; /* is arranged for the size of the canvas */
	struct mono_time now;  /* where the picture of the last minutes ends */
	bool interactive;      /* keys are told; else it is one picture, for --once */
	bool whole;	       /* of top_screen_full_height(): nothing has to be left out */
};

/* Draws it on a canvas that is blank. 0 or -ENOMEM. */
int top_screen_draw(const struct top_scene *scene, struct top_canvas *canvas);

/* The height at which, in that width, every row has its line. 0 or -ENOMEM. */
int top_screen_full_height(const struct top_scene *scene, size_t width, size_t *ret_height);

#endif
