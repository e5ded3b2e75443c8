/*
 * outputs.h: all outputs of the agent: what is due when, and what they tell of themselves.
 *
 * Last stage in the guest beside exporter.h. The main thread asks when the next output is due,
 * takes a view then and hands it over; everything else is done by the outputs' own threads
 * (output.h).
 */
#ifndef WATTPORT_GUEST_OUTPUTS_H
#define WATTPORT_GUEST_OUTPUTS_H

#include "common/clock.h"
#include "guest/accounts_view.h"
#include "guest/output.h"

#include <stddef.h>
#include <stdint.h>

#define OUTPUTS_MAX	  8
#define OUTPUTS_HOST_SIZE 256
/* When the agent ends: all have so long to deliver the last rows, and have ended after so long.
 * libcurl looks once a second whether it is to stop. */
#define OUTPUTS_DRAIN_NS     UINT64_C(1500000000)
#define OUTPUTS_END_NS	     UINT64_C(3000000000)
#define OUTPUTS_PERIOD_NS_NO UINT64_MAX

struct outputs_options {
	size_t count;
	const char *specs[OUTPUTS_MAX];
	uint64_t period_ns;
	size_t buffer_size;
	uint32_t timeout_ms;
	const char *host;	      /* NULL: this machine's name */
	const char *credentials_file; /* NULL: none */
	const char *ca_file;	      /* NULL: the system's; outlives the outputs */
};

struct outputs;

/* Opens all of them, as root where that is needed. -errno with *diag. */
int outputs_create(const struct outputs_options *options, struct outputs **ret_outputs,
		   struct diag *diag);

/* Their threads. */
int outputs_start(struct outputs *outputs, struct diag *diag);

/* Delivers what waits, as far as that is done in OUTPUTS_DRAIN_NS, and ends all in OUTPUTS_END_NS.
 */
void outputs_destroy(struct outputs *outputs, const struct clock *clock);

size_t outputs_count(const struct outputs *outputs);

/* What they call this machine. */
const char *outputs_host(const struct outputs *outputs);

/* Whether others than its owner may read the file of credentials. */
bool outputs_exposed(const struct outputs *outputs);

/* How long from now until one is due: OUTPUTS_PERIOD_NS_NO without any. */
uint64_t outputs_due_ns(const struct outputs *outputs, struct mono_time now);

/* Hands the view to those that are due. */
void outputs_tick(struct outputs *outputs, struct mono_time now, const struct accounts_view *view);

void outputs_reopen(struct outputs *outputs);

/* wattport_output_*; any thread. */
struct metrics;
void outputs_write_metrics(struct outputs *outputs, struct metrics *metrics);

#endif
