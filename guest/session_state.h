/*
 * session_state.h: what `session start` leaves to `session stop`, as text.
 *
 * The counters as they read at the start, with their ranges, and the boot in which that was: the
 * difference is made at the stop. JSON with a version and a checksum; what does not read is never
 * guessed at. Pure.
 */
#ifndef WATTPORT_GUEST_SESSION_STATE_H
#define WATTPORT_GUEST_SESSION_STATE_H

#include "common/clock.h"
#include "common/diag.h"
#include "common/uuid.h"
#include "common/zone.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SESSION_NAME_SIZE     65 /* with the NUL */
#define SESSION_BOOT_SIZE     64
#define SESSION_TEXT_SIZE_MAX 32768

struct session_zone {
	char id[ZONE_ID_SIZE];
	uint64_t raw_uj;
	uint64_t range_uj;
};

struct session_state {
	char name[SESSION_NAME_SIZE];
	uint32_t user; /* who has started it */
	struct wall_time began;
	struct mono_time time; /* of the reading, since the machine's start */
	char boot[SESSION_BOOT_SIZE];
	bool from_tree;		   /* the host's, else the machine's own powercap */
	char uuid[UUID_TEXT_SIZE]; /* of this machine; empty: not told */
	size_t zone_count;
	struct session_zone zones[ZONE_MAX];
};

/* 1 to 64 of letters, digits, '.', '_', '-' and '@', the first no point. -EINVAL with *diag. */
int session_name_check(const char *name, struct diag *diag);

/* The text, to be freed. -ENOMEM. */
int session_state_format(const struct session_state *state, char **ret_text);

/* -EBADMSG with *diag for what is no such text, or none of this version, or damaged. */
int session_state_parse(const char *text, size_t length, struct session_state *ret_state,
			struct diag *diag);

#endif
