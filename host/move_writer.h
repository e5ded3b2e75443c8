/*
 * move_writer.h: puts texts into domains' metadata, in a thread and with a connection of its own.
 *
 * Behind moves.c, which says what and when. Whoever hangs (libvirtd, a QEMU, a migration that lets
 * nothing be changed), nobody waits for it: the newest text of each machine stays and is tried
 * again, older ones are dropped. A domain that is in the middle of something is not touched:
 * libvirt would wait for it for half a minute. All but the thread itself is called by the owner.
 */
#ifndef WATTPORT_HOST_MOVE_WRITER_H
#define WATTPORT_HOST_MOVE_WRITER_H

#include "common/clock.h"
#include "common/diag.h"
#include "common/uuid.h"

#include <stdbool.h>
#include <stdint.h>

/* Between two tries for one machine, and between two connections. */
#define MOVE_WRITER_RETRY_NS CLOCK_NS_PER_SECOND

/* Letters that wait: one a machine. */
#define MOVE_WRITER_LETTER_MAX 4096

struct move_writer;

/* The uri is the caller's and outlives it. Nobody is reached yet. -errno of the thread, -ENOMEM. */
int move_writer_create(const char *uri, struct move_writer **ret_writer);

/* Waits a second for a thread that hangs in a call, then leaves it behind with its memory. */
void move_writer_destroy(struct move_writer *writer);

/*
 * Takes the text over, also on failure. `kept`: into what is kept of a domain that is off; else
 * into the one that runs. A text that waits for that machine is replaced. -ENOSPC, -ENOMEM.
 */
int move_writer_put(struct move_writer *writer, const struct uuid *machine, bool kept, char *text);

/* How the last try went, except for what was only busy: 0, or the error with its sentence. */
int move_writer_status(struct move_writer *writer, struct diag *diag);

static inline void cleanup_move_writer_value(struct move_writer *const *writer)
{
	move_writer_destroy(*writer);
}
#define cleanup_move_writer __attribute__((cleanup(cleanup_move_writer_value)))

#endif
