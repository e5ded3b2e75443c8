#include "common/cleanup.h"
#include "guest/report_internal.h"

#include <inttypes.h>

/* Lists of phases are for people: what does not fit on a few screens is for JSON and CSV. */
#define REPORT_PHASES_MAX 50

static const char *report_seconds(uint64_t value_ns, char text[static REPORT_MICRO_SIZE])
{
	return report_micro(value_ns / 1000, text);
}

const struct meter_reading *report_exec_origin(const struct exec_result *result)
{
	return result->after.up && !result->before.up ? &result->before : &result->after;
}

/* A terminal must not be driven by what a command line or a label holds. */
static void report_plain(FILE *stream, const char *text)
{
	for (const char *c = text; *c != '\0'; c++)
		(void)fputc((unsigned char)*c < 0x20 || *c == 0x7f ? '?' : *c, stream);
}

static void report_title(FILE *stream, const struct report_exec *report)
{
	if (report->command == NULL) {
		(void)fprintf(stream, "\n Energy of this machine during the session '");
		report_plain(stream, report->session);
	} else {
		(void)fprintf(stream, "\n Energy of this machine while it ran '");
		for (size_t i = 0; report->command[i] != NULL; i++) {
			if (i > 0)
				(void)fputc(' ', stream);
			report_plain(stream, report->command[i]);
		}
	}
	(void)fprintf(stream, "':\n\n");
}

/* A zone's row, or the total's; what is NULL is not known. */
struct report_zone_row {
	const char *name;
	const struct meter_use *use;
	const uint64_t *peak_uw;
	bool shares; /* there is a column for the command's part */
	const struct exec_share_zone *share;
};

static void report_zone_row(FILE *stream, const struct report_zone_row *row)
{
	char energy[REPORT_MICRO_SIZE] = REPORT_UNKNOWN, power[REPORT_MICRO_SIZE] = REPORT_UNKNOWN;
	char peak[REPORT_MICRO_SIZE] = "-", command[REPORT_MICRO_SIZE] = "-";

	if (row->use != NULL) {
		(void)report_micro(row->use->energy_uj, energy);
		(void)report_micro(row->use->power_uw, power);
		if (row->peak_uw != NULL)
			(void)report_micro(*row->peak_uw, peak);
	}
	if (row->share != NULL)
		(void)report_micro(row->share->command_uj, command);
	(void)fprintf(stream, "%-15s %15s %14s %14s", row->name, energy, power, peak);
	(void)fprintf(stream, row->shares ? " %15s\n" : "\n", command);
}

static void report_zones(FILE *stream, const struct exec_result *result)
{
	const struct meter_reading *after = &result->after;
	bool shares = exec_result_known(result) && result->has_shares;
	struct exec_share_zone share;
	struct meter_use use;
	uint64_t peak_uw = 0;

	if (after->zone_count == 0)
		return;
	(void)fprintf(stream, "%-15s %15s %14s %14s%s\n", "ZONE", "ENERGY (J)", "MEAN (W)",
		      "PEAK (W)", shares ? "     COMMAND (J)" : "");
	for (size_t i = 0; i < after->zone_count; i++) {
		const struct report_zone_row row = {
		    .name = after->zones[i].id,
		    .use = exec_result_known(result) && meter_reading_use(&result->before, after,
									  after->zones[i].id, &use)
			       ? &use
			       : NULL,
		    .peak_uw = result->peak != NULL && peak_of_zone(result->peak, i, &peak_uw)
				   ? &peak_uw
				   : NULL,
		    .shares = shares,
		    .share = exec_result_share(result, i, &share) ? &share : NULL,
		};

		report_zone_row(stream, &row);
	}
	const struct report_zone_row total = {
	    .name = "total",
	    .use = exec_result_total(result, &use) ? &use : NULL,
	    .peak_uw =
		result->peak != NULL && peak_of_total(result->peak, &peak_uw) ? &peak_uw : NULL,
	    .shares = shares,
	    .share = exec_result_total_share(result, &share) ? &share : NULL,
	};

	report_zone_row(stream, &total);
	(void)fputc('\n', stream);
}

/* What the command's part is and is not, or why there is none. */
static void report_share(FILE *stream, const struct report_exec *report)
{
	const struct exec_result *result = report->result;
	char command[REPORT_MICRO_SIZE], other[REPORT_MICRO_SIZE], idle[REPORT_MICRO_SIZE];
	struct exec_share_zone share;

	if (report->command == NULL || !exec_result_known(result))
		return;
	if (!exec_result_total_share(result, &share)) {
		(void)fprintf(stream, "command    its part is not known: ");
		report_plain(stream, result->shares_reason.text);
		(void)fputc('\n', stream);
		return;
	}
	(void)fprintf(stream,
		      "command    %s J: what its work has caused; %s J are of other work, and\n"
		      "           %s J of the machine at rest%s\n",
		      report_micro(share.command_uj, command), report_micro(share.other_uj, other),
		      report_micro(share.idle_uj, idle),
		      share.idle_given ? ""
				       : ", an estimate: --idle-power tells better what that is");
}

/* CPU times, and what measuring has cost. */
static void report_times(FILE *stream, const struct report_exec *report)
{
	const struct exec_result *result = report->result;
	char text[REPORT_MICRO_SIZE], busy[REPORT_MICRO_SIZE];
	uint64_t own_ppm;

	if (report->command != NULL || exec_result_known(result))
		(void)fprintf(stream, "elapsed    %s s\n",
			      report_seconds(result->elapsed_ns, text));
	if (report->command == NULL)
		return;
	(void)fprintf(stream, "user       %s s\n", report_seconds(result->user_ns, text));
	(void)fprintf(stream, "sys        %s s\n", report_seconds(result->system_ns, text));
	if (result->has_busy)
		(void)fprintf(stream, "busy       %s s: CPU time of the whole machine meanwhile\n",
			      report_seconds(result->busy_ns, busy));
	if (result->left_running)
		(void)fprintf(stream, "           processes that it started still run; their CPU "
				      "time is not in user and sys\n");
	if (!result->marks_possible)
		(void)fprintf(stream,
			      "           no phases could be marked: the descriptors 3 to 9 "
			      "are all in use\n");
	if (result->peak != NULL && result->elapsed_ns > 0) {
		own_ppm = (uint64_t)((double)result->own_cpu_ns * 1e6 / (double)result->elapsed_ns);
		(void)fprintf(stream,
			      "peak       over %" PRIu64 " ms; readings every %" PRIu64
			      ".%01" PRIu64 " ms cost %" PRIu64 ".%02" PRIu64 " %% of a CPU\n",
			      peak_window_ns(result->peak) / CLOCK_NS_PER_MS,
			      result->period_ns / CLOCK_NS_PER_MS,
			      result->period_ns % CLOCK_NS_PER_MS / 100000, own_ppm / 10000,
			      own_ppm % 10000 / 100);
	}
}

#define REPORT_GRAMS_SIZE (CARBON_TEXT_SIZE + 3)

/* Grams only of energy whose intensity was known; the rest is told beside them. */
static const char *report_grams(const struct carbon_sum *sum, char text[static REPORT_GRAMS_SIZE])
{
	char grams[CARBON_TEXT_SIZE];

	if (sum->energy_uj == 0 && sum->unknown_uj > 0)
		(void)snprintf(text, REPORT_GRAMS_SIZE, "%s", REPORT_UNKNOWN);
	else
		(void)snprintf(text, REPORT_GRAMS_SIZE, "%s%s", sum->unknown_uj > 0 ? ">= " : "",
			       carbon_grams_text(sum->co2e_ug, grams));
	return text;
}

static void report_meaning(FILE *stream, const struct report_exec *report)
{
	const struct exec_result *result = report->result;
	char grams[REPORT_GRAMS_SIZE], figure[CARBON_FIGURE_TEXT_SIZE];
	char unknown[REPORT_MICRO_SIZE], text[EQUIVALENT_TEXT_SIZE];
	struct exec_share_zone share;
	struct meter_use use;

	if (!exec_result_total(result, &use))
		return;
	if (result->has_carbon) {
		(void)fprintf(stream, "CO2e       %s", report_grams(&result->co2e, grams));
		if (result->co2e.energy_uj > 0 && result->co2e.unknown_uj > 0)
			(void)fprintf(stream, " without %s J for which it is not known",
				      report_micro(result->co2e.unknown_uj, unknown));
		(void)fprintf(stream, "; the electricity's is ");
		report_plain(stream, carbon_figure_text(&result->carbon, figure));
		(void)fputc('\n', stream);
		if (exec_result_total_share(result, &share))
			(void)fprintf(stream, "           the command's: %s\n",
				      report_grams(&result->command_co2e, grams));
	}
	if (report->equivalents != NULL)
		(void)fprintf(
		    stream, "as much as %s\n",
		    equivalent_text(equivalents_choose(report->equivalents, use.energy_uj),
				    use.energy_uj, text));
}

/* Those that a list of phases may lack. */
struct report_columns {
	bool shares;
	bool carbon;
};

static void report_phase(FILE *stream, const struct phase *phase, const char *name,
			 struct report_columns columns)
{
	char seconds[REPORT_MICRO_SIZE], energy[REPORT_MICRO_SIZE], power[REPORT_MICRO_SIZE] = "-";
	char command[REPORT_MICRO_SIZE];
	char grams[REPORT_GRAMS_SIZE];

	if (phase->elapsed_ns > 0)
		(void)report_micro(
		    (uint64_t)((double)phase->energy_uj * 1e9 / (double)phase->elapsed_ns), power);
	(void)fprintf(stream, "%12s %14s %13s", report_seconds(phase->elapsed_ns, seconds),
		      report_micro(phase->energy_uj, energy), power);
	if (columns.shares)
		(void)fprintf(stream, " %14s", report_micro(phase->command_uj, command));
	(void)fprintf(stream, " %6" PRIu64 "  ", phase->count);
	if (columns.carbon)
		(void)fprintf(stream, "%10s  ", report_grams(&phase->co2e, grams));
	report_plain(stream, name);
	(void)fputc('\n', stream);
}

static const char *report_label(const struct phase *phase)
{
	return phase->label[0] != '\0' ? phase->label : "(no label)";
}

static void report_phase_header(FILE *stream, const char *title, struct report_columns columns)
{
	(void)fprintf(stream, "\n%12s %14s %13s%s %6s  %s%s\n", "SECONDS", "ENERGY (J)", "MEAN (W)",
		      columns.shares ? "    COMMAND (J)" : "", "COUNT",
		      columns.carbon ? "      CO2e  " : "", title);
}

static void report_phases(FILE *stream, const struct exec_result *result)
{
	const struct phases *phases = result->phases;
	size_t count = phases != NULL ? phases_count(phases) : 0;
	const struct report_columns columns = {.shares = result->has_shares,
					       .carbon = result->has_carbon};

	if (!exec_result_known(result) ||
	    (count < 2 && (count == 0 || phases_get(phases, 0)->label[0] == '\0')))
		return;
	report_phase_header(stream, "PHASE", columns);
	for (size_t i = 0; i < count && i < REPORT_PHASES_MAX; i++)
		report_phase(stream, phases_get(phases, i), report_label(phases_get(phases, i)),
			     columns);
	if (count > REPORT_PHASES_MAX)
		(void)fprintf(stream, "%12s %zu more: --format json or csv has them\n", "...",
			      count - REPORT_PHASES_MAX);
	if (phases_unlisted(phases)->count > 0)
		report_phase(stream, phases_unlisted(phases), "(later phases, together)", columns);
	if (phases_label_count(phases) < count || phases_unlisted(phases)->count > 0) {
		report_phase_header(stream, "LABEL", columns);
		for (size_t i = 0; i < phases_label_count(phases); i++)
			report_phase(stream, phases_label(phases, i),
				     report_label(phases_label(phases, i)), columns);
		if (phases_other_labels(phases)->count > 0)
			report_phase(stream, phases_other_labels(phases),
				     "(other labels, together)", columns);
	}
}

int report_exec_text(FILE *stream, const struct report_exec *report)
{
	const struct exec_result *result = report->result;

	report_title(stream, report);
	report_zones(stream, result);
	if (report->note != NULL && report->note[0] != '\0')
		(void)fprintf(stream, "UNKNOWN    %s\n\n", report->note);
	report_share(stream, report);
	report_times(stream, report);
	report_meaning(stream, report);
	report_phases(stream, result);
	(void)fputc('\n', stream);
	report_origin(stream, report_exec_origin(result), report->at);
	return report_flush(stream);
}
