/*
 * equivalents.h: energy as things of everyday life: "lights a 9 W LED bulb for 3 h 20 min".
 *
 * A part of the views, the same for all of them. The table is a file that people edit
 * (packaging/equivalents.conf, with the source of each figure); where there is none, a copy of the
 * shipped one holds that is compiled in. One entry a line:
 *
 *     NAME = AMOUNT : SENTENCE
 *
 * AMOUNT says by its unit what is told: a power (9 W) how long that lasts; an energy (10 Wh) how
 * often that fits in; an energy per km or per l how far or how much. SENTENCE has {} in the place
 * of that. A table is immutable once loaded: safe in any thread.
 */
#ifndef WATTPORT_COMMON_EQUIVALENTS_H
#define WATTPORT_COMMON_EQUIVALENTS_H

#include "common/diag.h"

#include <stddef.h>
#include <stdint.h>

#define EQUIVALENTS_PATH	  "/etc/wattport/equivalents.conf"
#define EQUIVALENTS_MAX		  64
#define EQUIVALENTS_FILE_SIZE_MAX 65536
#define EQUIVALENT_NAME_SIZE	  32
#define EQUIVALENT_SENTENCE_SIZE  128
#define EQUIVALENT_TEXT_SIZE	  192 /* a sentence with its figure, with the NUL */

enum equivalent_kind {
	EQUIVALENT_TIME,     /* of a device: amount_uj is what it takes in a second */
	EQUIVALENT_TIMES,    /* amount_uj is what one takes */
	EQUIVALENT_DISTANCE, /* a kilometre */
	EQUIVALENT_VOLUME,   /* a litre */
};

struct equivalent {
	char name[EQUIVALENT_NAME_SIZE];
	enum equivalent_kind kind;
	uint64_t amount_uj; /* above 0 */
	char sentence[EQUIVALENT_SENTENCE_SIZE];
};

struct equivalents;

/*
 * The table in that file; the built-in one where there is no such file. Else -errno with *diag,
 * which names file, line and what is allowed. To be destroyed.
 */
int equivalents_load(const char *path, struct equivalents **ret_table, struct diag *diag);

/* The same of a text that is at hand; `name` stands for it in messages. */
int equivalents_parse(const char *name, const char *text, struct equivalents **ret_table,
		      struct diag *diag);
void equivalents_destroy(struct equivalents *table);

/* In the order of the file; there is always at least one. The entry belongs to the table. */
size_t equivalents_count(const struct equivalents *table);
const struct equivalent *equivalents_get(const struct equivalents *table, size_t index);

/* What that much energy does by one entry: "charges a phone 2.5 times". Returns `text`. */
const char *equivalent_text(const struct equivalent *equivalent, uint64_t energy_uj,
			    char text[static EQUIVALENT_TEXT_SIZE]);

/*
 * The entry whose figure a person can picture: the first whose figure is neither tiny nor huge,
 * else the one that comes nearest to that.
 */
const struct equivalent *equivalents_choose(const struct equivalents *table, uint64_t energy_uj);

static inline void cleanup_equivalents_value(struct equivalents *const *table)
{
	equivalents_destroy(*table);
}
#define cleanup_equivalents __attribute__((cleanup(cleanup_equivalents_value)))

#endif
