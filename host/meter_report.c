#include "common/cleanup.h"
#include "common/log.h"
#include "common/trace.h"
#include "host/meter_internal.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define RETURN_LINE_SIZE 512

/* The zones one by one, as many as a line holds. */
static void meter_list_return(const struct ledger_host *host, char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (uint32_t i = 0; i < host->zone_count && used < size; i++) {
		const struct ledger_zone *zone = &host->zones[i];
		int length;

		if (zone->returned_uj == 0)
			continue;
		length = snprintf(text + used, size - used, "%s%s %s%.1f J", used > 0 ? ", " : "",
				  zone->zone.id, zone->returned_unsure != 0 ? "at least " : "",
				  (double)zone->returned_uj / 1e6);
		used += length > 0 ? (size_t)length : 0;
	}
}

void meter_tell_return(const struct meter *meter)
{
	const struct ledger_host *host = ledger_host_const(meter->ledger);
	const struct ledger_return *returned = &host->returned;
	char zones[RETURN_LINE_SIZE];

	if (returned->time_ns != meter->sample.time.ns)
		return;
	meter_list_return(host, zones, sizeof(zones));
	log_info("booked what came in the %.1f s since the last sample: %s",
		 (double)returned->away_ns / (double)CLOCK_NS_PER_SECOND,
		 zones[0] != '\0' ? zones : "nothing");
	if (returned->missing > 0)
		log_warning("%llu machines ended meanwhile, or were started anew: nobody knows "
			    "what they have used; it is in wattport_host_away_joules_total",
			    (unsigned long long)returned->missing);
	for (uint32_t i = 0; i < host->zone_count; i++)
		if (host->zones[i].returned_unsure != 0)
			log_warning("the counter of %s may have wrapped more often in that time "
				    "than can be seen: the least was booked",
				    host->zones[i].zone.id);
}

static json_t *meter_status_machines(struct meter *meter)
{
	const struct vm_threads_report *report = sampler_host_report(meter->sampler);

	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "followed",
			 (json_int_t)report->followed, "failed", (json_int_t)report->failed,
			 "unkept", (json_int_t)report->unkept, "short",
			 (json_int_t)report->short_machines, "jiffies", (json_int_t)report->jiffies,
			 "unseen", (json_int_t)report->unseen, "missed", (json_int_t)report->missed,
			 "counted", (json_int_t)report->counted, "refused",
			 (json_int_t)report->refused, "uncounted",
			 report->uncounted < 0 ? thread_events_reason(report->uncounted) : "");
}

/* What the source had to say at the start, and what has come since. */
static struct diag meter_notes(const struct meter *meter)
{
	struct diag notes = meter->source->notes;

	if (meter->late.text[0] != '\0')
		diag_append(&notes, "%s: not there when wattportd started, so not measured",
			    meter->late.text);
	return notes;
}

char *meter_status(struct meter *meter)
{
	const struct ledger_host *host = ledger_host_const(meter->ledger);
	const struct diag notes = meter_notes(meter);
	struct vm_provider_status provider;
	json_t *object;
	char *text;

	vm_provider_status(meter->provider, &provider);
	object = json_pack(
	    "{s:s, s:s, s:b, s:s, s:I, s:I, s:{s:s, s:s}, s:o}", "version", WATTPORT_VERSION,
	    "source", host->source, "estimate", (int)host->estimate, "notes", notes.text, "samples",
	    (json_int_t)host->sample_count, "sample_ns", (json_int_t)meter->duration_ns, "provider",
	    "state", vm_provider_state_name(provider.state), "reason", provider.diag.text,
	    "machines", meter_status_machines(meter));
	if (object == NULL)
		return NULL;
	text = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	return text;
}

static struct trace_head meter_head(const struct meter *meter)
{
	struct trace_head head = {
	    .clock_tick_ns = TRACE_TICK_NS,
	    .topology = meter->topology,
	    .zone_count = meter->source->zone_count,
	};

	memcpy(head.zones, meter->source->zones, sizeof(head.zones));
	return head;
}

char *meter_trace_line(struct meter *meter)
{
	struct trace_head head = meter_head(meter);
	char *line;

	return trace_format_sample(&head, &meter->sample, &line) < 0 ? NULL : line;
}

char *meter_trace_begin(struct meter *meter)
{
	struct trace_head head = meter_head(meter);
	cleanup_free char *line = NULL, *sample = NULL;
	char *text = NULL;

	if (trace_format_head(&head, &line) < 0)
		return NULL;
	if (meter->sampled.ns == 0)
		return TAKE_PTR(line);
	sample = meter_trace_line(meter);
	if (sample == NULL || asprintf(&text, "%s%s", line, sample) < 0)
		return NULL;
	return text;
}
