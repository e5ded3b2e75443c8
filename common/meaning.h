/*
 * meaning.h: what the programs are told of what energy means: grams of CO2e, and everyday terms.
 *
 * Options and configuration come in here, carbon.h and equivalents.h come out: the same for all
 * that show any of it, on the host and in the guest. One thread.
 */
#ifndef WATTPORT_COMMON_MEANING_H
#define WATTPORT_COMMON_MEANING_H

#include "common/carbon.h"
#include "common/diag.h"
#include "common/equivalents.h"

#include <argp.h>

/* In the place of an intensity: there is none. */
#define MEANING_NONE "none"

/* Their texts outlive what is opened. */
struct meaning_options {
	struct carbon_options carbon; /* its spec may be MEANING_NONE; NULL: not chosen */
	const char *equivalents;      /* the file; NULL: not chosen */
};

/* A child parser with such options as its input: --carbon and its like, --equivalents. */
extern const struct argp meaning_argp;

/* What was not chosen is as the configuration says. */
void meaning_default(struct meaning_options *options, const char *carbon, const char *equivalents);

struct meaning {
	struct carbon *carbon;		 /* NULL: grams are not told */
	struct equivalents *equivalents; /* NULL: no equivalents */
};

/*
 * Before threads are made and privileges given up: it may start a process. An intensity that cannot
 * be had is -errno with *diag. Without the table of equivalents all else goes on: 0, and *diag says
 * why, which is empty else. To be closed.
 */
int meaning_open(const struct meaning_options *options, const struct clock *clock,
		 struct meaning *ret_meaning, struct diag *diag);
void meaning_close(struct meaning *meaning);

#define cleanup_meaning __attribute__((cleanup(meaning_close)))

#endif
