/*
 * top_terminal.h: a person's terminal: a canvas painted on it, and keys and signals from it.
 *
 * The edge of `top` to curses, which sends what differs from the last painting. While it is open,
 * signals come as events, so that the terminal is given back before the process ends or stops; a
 * guard gives it back where no event comes any more. One a process, one thread.
 */
#ifndef WATTPORT_COMMON_TOP_TERMINAL_H
#define WATTPORT_COMMON_TOP_TERMINAL_H

#include "common/diag.h"
#include "common/top_canvas.h"

#include <stdint.h>

struct top_terminal;

enum top_event_kind {
	TOP_EVENT_NONE, /* the time has passed */
	TOP_EVENT_KEY,
	TOP_EVENT_RESIZE, /* or whatever else wants all to be painted again */
	TOP_EVENT_END,	  /* a signal ends us, or the terminal is gone */
};

struct top_event {
	enum top_event_kind kind;
	unsigned int key; /* as top_view_key() wants it */
	int signal;	  /* of TOP_EVENT_END; 0: the terminal is gone */
};

/* Takes the terminal over. -ENOTTY: there is none that this could be painted on. */
int top_terminal_open(struct top_terminal **ret_terminal, struct diag *diag);

/* Gives it back as it was. */
void top_terminal_close(struct top_terminal *terminal);

void top_terminal_size(const struct top_terminal *terminal, size_t *ret_width, size_t *ret_height);
void top_terminal_paint(struct top_terminal *terminal, const struct top_canvas *canvas);

/* Waits for what comes first: a key, a signal, or that the time has passed. */
void top_terminal_wait(struct top_terminal *terminal, uint64_t timeout_ns,
		       struct top_event *ret_event);

static inline void cleanup_top_terminal_value(struct top_terminal *const *terminal)
{
	top_terminal_close(*terminal);
}
#define cleanup_top_terminal __attribute__((cleanup(cleanup_top_terminal_value)))

#endif
