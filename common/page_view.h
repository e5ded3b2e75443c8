/*
 * page_view.h: what the page for people shows at one instant, of a hypervisor or of a guest.
 *
 * Between the figures of either side (host/page_host.h, guest/page_guest.h) and the page, so that
 * there is one page and one JSON. A view borrows its texts: it is made, written and forgotten
 * while the copy of the ledger or the accounts that it was made of are held. Pure data.
 */
#ifndef WATTPORT_COMMON_PAGE_VIEW_H
#define WATTPORT_COMMON_PAGE_VIEW_H

#include "common/clock.h"
#include "common/diag.h"
#include "common/zone.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_UNKNOWN	 UINT64_MAX /* in the place of any number that there is not; JSON: null */
#define PAGE_ACCOUNT_MAX 500 /* of a group, those that draw most; the others are in its rest */
#define PAGE_GROUP_MAX	 8
#define PAGE_ID_SIZE	 40 /* a uuid */

struct page_zone {
	const char *id;
	bool counted;	   /* part of the total */
	const char *error; /* why it cannot be read, or NULL */
	uint64_t power_uw;
	uint64_t energy_uj;
	uint64_t idle_uj;  /* of it: drawn at rest, nobody's */
	uint64_t other_uj; /* of it: of no account */
};

struct page_account {
	char id[PAGE_ID_SIZE]; /* tells accounts of one name apart; empty: the name does */
	const char *name;      /* from outside: may say anything in UTF-8 */
	const char *detail;    /* likewise, or NULL */
	const char *state;     /* a literal, or NULL: it lives */
	uint64_t power_uw;
	uint64_t energy_uj;
	uint64_t idle_uj;     /* of it: its share of static power */
	uint64_t overhead_uj; /* of it: of the emulator's other threads */
	uint64_t cpu_ns;
	uint64_t members; /* vCPUs of a machine, processes of a service */
};

/* Accounts of one kind. The first group of a view is the one that the charts show at first. */
struct page_group {
	const char *kind;	/* "vm", "unit", "process", ...: literals */
	const char *of_members; /* what `members` counts: "vCPUs", "processes" */
	size_t count;
	struct page_account *accounts; /* the view's maker frees them */
	bool has_rest;
	struct page_account rest;
};

struct page_view {
	const char *machine; /* "host" or "guest" */
	bool up;	     /* the figures are of now; else `reason` says why not */
	bool opened;	     /* there are figures at all, maybe old ones */
	struct diag reason;
	struct mono_time time; /* when the figures were taken */
	uint64_t age_ns;       /* how old they were by then; or PAGE_UNKNOWN */
	const char *source;    /* or NULL */
	const char *sight;     /* what guests see: "isolated", "exact"; or NULL: measured here */
	bool estimate_known;
	bool estimate;
	bool learning;	   /* calibration is not done with it yet */
	uint64_t since_ns; /* how long energy has been counted here; or PAGE_UNKNOWN */
	struct page_zone total;
	size_t zone_count;
	struct page_zone zones[ZONE_MAX];
	size_t group_count;
	struct page_group groups[PAGE_GROUP_MAX];
};

#endif
