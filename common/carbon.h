/*
 * carbon.h: grams of CO2 equivalent, from how much of it a kilowatt-hour has caused.
 *
 * A part of the views: energy times the carbon intensity of the electricity at that time. Where
 * the intensity comes from is one text, as --carbon takes it:
 *
 *     56 | 56.5g/kWh     fixed
 *     FR                 a country's mean of a past year (carbon_table.h)
 *     file:PATH          read again and again, in any of the formats of carbon_reading.h
 *     command:COMMAND    the same of what a shell command prints
 *
 * No figure is better than a wrong one: where the intensity cannot be read, or is older than
 * age_max_ns, there is none, and the reason is told. One thread at a time.
 *
 * Files are read and commands run by a process of its own (carbon_poller.h), which
 * carbon_create() starts: before threads are made and privileges given up. Afterwards nothing here
 * blocks, or needs more than read(2) on a pipe.
 */
#ifndef WATTPORT_COMMON_CARBON_H
#define WATTPORT_COMMON_CARBON_H

#include "common/clock.h"
#include "common/diag.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CARBON_MG_PER_KWH_MAX                                                                      \
	UINT64_C(5000000) /* no electricity is that bad: lignite has 1,200 g */

#define CARBON_PERIOD_NS     (300 * CLOCK_NS_PER_SECOND)
#define CARBON_AGE_NS_MAX    (7200 * CLOCK_NS_PER_SECOND)
#define CARBON_LIMIT_NS	     (10 * CLOCK_NS_PER_SECOND)

#define CARBON_SOURCE_SIZE   192
#define CARBON_ARGUMENT_SIZE 1024

/* What --carbon takes, for help texts. */
#define CARBON_ALLOWED "grams of CO2e per kWh (56), a country (FR), file:PATH or command:COMMAND"

enum carbon_kind {
	CARBON_FIXED,
	CARBON_COUNTRY,
	CARBON_FILE,
	CARBON_COMMAND,
};

struct carbon_options {
	const char *spec;    /* the text above */
	uint64_t period_ns;  /* between two readings of a file or runs of a command; 0: 5 minutes */
	uint64_t age_max_ns; /* after the time that a figure is of; 0: 2 hours */
	uint64_t limit_ns;   /* for a run of the command, then it is killed; 0: 10 seconds */
};

/* The intensity now. */
struct carbon_figure {
	bool known; /* else `reason` says why not, and there is no intensity */
	uint64_t intensity_mg_per_kwh;
	bool has_time;	       /* it is of one moment, and has an age */
	struct wall_time time; /* that moment */
	uint64_t age_ns;
	char source[CARBON_SOURCE_SIZE]; /* "France, mean of 2023, lifecycle (Ember)": whose */
	struct diag reason;
};

struct carbon;

/* 0 with the kind where carbon_create() would take the text; else -EINVAL with *diag. */
int carbon_check(const char *spec, enum carbon_kind *ret_kind, struct diag *diag);

/* The clock outlives it. -EINVAL with *diag for a bad spec. To be destroyed, also after a fork. */
int carbon_create(const struct carbon_options *options, const struct clock *clock,
		  struct carbon **ret_carbon, struct diag *diag);
void carbon_destroy(struct carbon *carbon);

/* The intensity now, as far as it has come. Never blocks. */
void carbon_now(struct carbon *carbon, struct carbon_figure *ret_figure);

/* Waits for the first answer of a file or command, at most a little longer than limit_ns. */
void carbon_wait(struct carbon *carbon);

/* A descriptor that is readable when carbon_now() has news; -1 where there never are. */
int carbon_fd(const struct carbon *carbon);

/* Grams over time: each part of the energy with the intensity of its time. All zero at first. */
struct carbon_sum {
	uint64_t energy_uj;  /* of which the intensity was known */
	uint64_t unknown_uj; /* of which it was not: no grams are counted for these */
	uint64_t co2e_ug;    /* micrograms of CO2e of energy_uj */
	uint64_t remainder;  /* what is not a whole microgram yet */
};

void carbon_sum_add(struct carbon_sum *sum, const struct carbon_figure *figure, uint64_t energy_uj);

/* Adds what another sum has. */
void carbon_sum_merge(struct carbon_sum *sum, const struct carbon_sum *other);

/* "12.3 mg", "4.56 g", "1.2 kg"; returns `text`. */
#define CARBON_TEXT_SIZE 32
const char *carbon_grams_text(uint64_t co2e_ug, char text[static CARBON_TEXT_SIZE]);

/* "56 g/kWh (France, mean of 2023, lifecycle, Ember)", or "unknown: ..."; returns `text`. */
#define CARBON_FIGURE_TEXT_SIZE (CARBON_SOURCE_SIZE + DIAG_SIZE_MAX + 64)
const char *carbon_figure_text(const struct carbon_figure *figure,
			       char text[static CARBON_FIGURE_TEXT_SIZE]);

static inline void cleanup_carbon_value(struct carbon *const *carbon)
{
	carbon_destroy(*carbon);
}
#define cleanup_carbon __attribute__((cleanup(cleanup_carbon_value)))

#endif
