/*
 * top_frame.h: what `top` shows, at one instant: machines on a host, services in a guest.
 *
 * First stage of `top`: who has the figures fills it (host/top_ledger.c, guest/top_accounts.c), the
 * rest of common/top_* only reads it. In energy, for each page that is TOP_WHOLE,
 *
 *     measured = sum over its rows + its rest + its pending + other + idle
 *
 * What is not known has no number: has_power is false, the frame is not fresh. Plain memory: one
 * thread.
 */
#ifndef WATTPORT_COMMON_TOP_FRAME_H
#define WATTPORT_COMMON_TOP_FRAME_H

#include "common/clock.h"
#include "common/diag.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOP_NAME_SIZE  256
#define TOP_TEXT_SIZE  96
#define TOP_FACT_MAX   10
#define TOP_PAGE_MAX   8
#define TOP_AGE_NS_MAX (10 * CLOCK_NS_PER_SECOND) /* older figures say nothing about now */

struct top_amount {
	uint64_t energy_uj;
	uint64_t power_uw;
	bool has_power; /* else it is not known at the moment */
};

/* Something else that is known of a row, for who asks. */
struct top_fact {
	const char *name; /* a literal */
	char value[TOP_TEXT_SIZE];
};

/* One account: a machine, a service, a process. */
struct top_row {
	uint64_t identity;	    /* the same for the same account in the next frame */
	char name[TOP_NAME_SIZE];   /* from outside, as it is: drawing makes it harmless */
	char detail[TOP_TEXT_SIZE]; /* likewise; a word or two */
	struct top_amount amount;
	uint64_t cpu_ns;
	bool faint; /* it cannot use anything now: a machine that is off */
	size_t fact_count;
	struct top_fact facts[TOP_FACT_MAX];
};

enum top_page_kind {
	TOP_WHOLE,  /* what is measured is in a row, the rest, other or idle */
	TOP_PART,   /* likewise, but some is in none of them */
	TOP_NESTED, /* rows lie within each other: there is no sum */
};

/* The accounts of a kind. Its texts are literals, but for one that counts. */
struct top_page {
	const char *title;	       /* "services" */
	const char *column;	       /* "SERVICE" */
	const char *detail;	       /* "SLICE" */
	char rest_name[TOP_TEXT_SIZE]; /* what the rest is called: "departed" */
	enum top_page_kind kind;
	size_t row_count;
	struct top_row *rows;
	size_t row_capacity;
	struct top_amount rest; /* accounts that have no row */
	uint64_t pending_uj;	/* what is measured, but not yet in any account of this kind */
};

struct top_frame {
	char place[TOP_NAME_SIZE];    /* whose figures: the machine's name */
	char source[TOP_TEXT_SIZE];   /* "powercap, isolated view" */
	bool estimate;		      /* they are computed, not measured */
	bool learning;		      /* how they divide is still being learned */
	bool sampled;		      /* there are figures; else only the notice says anything */
	bool fresh;		      /* and they are of now */
	uint64_t age_ns;	      /* of the figures */
	struct mono_time time;	      /* of the sample; tells one from the next */
	uint64_t since_ns;	      /* how long energy has been counted; 0: nobody knows */
	char likeness[TOP_NAME_SIZE]; /* what all of the energy does: "charges a phone 2 times" */
	char grams[TOP_TEXT_SIZE]; /* CO2e since `top` began: "12 g CO2e"; these two may be empty */
	struct diag notice;	   /* what a person has to know; or empty */
	struct top_amount measured;
	uint64_t other_uj; /* of it: work that is in no account */
	uint64_t idle_uj;  /* of it: power at rest that nobody's work causes */
	size_t page_count;
	struct top_page pages[TOP_PAGE_MAX];
};

/* Empties a frame, zero or filled, for the next filling; the memory of its rows is kept. */
void top_frame_clear(struct top_frame *frame);

/* Frees what it holds; it is zero then. */
void top_frame_finish(struct top_frame *frame);

/* One more page; `texts` gives its texts and its kind. Asserts that there is room. */
struct top_page *top_frame_add_page(struct top_frame *frame, const struct top_page *texts);

/* One more row, zero, which lives until the next one is added. NULL: out of memory. */
struct top_row *top_page_add_row(struct top_page *page);

/* One more fact; what is past TOP_FACT_MAX is left out. */
void top_row_add_fact(struct top_row *row, const char *name, const char *value);

/* An identity out of bytes that are the account's own. */
uint64_t top_identity(const void *bytes, size_t size);

#define cleanup_top_frame __attribute__((cleanup(top_frame_finish)))

#endif
