/* The page for people: what the readings say, without scripts. */
#include "guest/exporter.h"
#include "guest/report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const char exporter_page_head[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
    "<meta name=\"viewport\" content=\"width=device-width\">"
    "<meta http-equiv=\"refresh\" content=\"5\"><title>Wattport: this machine</title>\n"
    "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:44em;margin:2em auto;padding:0 1em;"
    "color-scheme:light dark}table{border-collapse:collapse;width:100%}"
    "th,td{text-align:right;padding:.3em .6em;border-bottom:1px solid #8885;"
    "font-variant-numeric:tabular-nums}th:first-child,td:first-child{text-align:left}"
    ".down,.estimate{border-left:.4em solid #c60;padding:.3em .8em;background:#c601}</style>"
    "</head>\n<body><h1>Energy of this machine</h1>\n";

/* Zone names and texts come from the host: HTML must not run away with them. */
static void exporter_page_text(FILE *stream, const char *text)
{
	for (; *text != '\0'; text++) {
		switch (*text) {
		case '&':
			(void)fputs("&amp;", stream);
			break;
		case '<':
			(void)fputs("&lt;", stream);
			break;
		case '>':
			(void)fputs("&gt;", stream);
			break;
		case '"':
			(void)fputs("&quot;", stream);
			break;
		default:
			(void)fputc(*text, stream);
		}
	}
}

static void exporter_page_zone(FILE *stream, const struct meter_zone *zone, bool up)
{
	char text[REPORT_MICRO_SIZE];

	(void)fputs("<tr><td>", stream);
	exporter_page_text(stream, zone->id);
	(void)fprintf(stream, "</td><td>%s</td>",
		      zone->has_power && up ? report_micro(zone->power_uw, text) : "unknown");
	(void)fprintf(stream, "<td>%s</td></tr>\n",
		      zone->available ? report_micro(zone->energy_uj, text) : "unknown");
}

static void exporter_page_origin(FILE *stream, const struct meter_reading *reading)
{
	if (!reading->up) {
		(void)fputs("<p class=\"down\">Not up: ", stream);
		exporter_page_text(stream, reading->reason.text);
		(void)fputs("</p>\n", stream);
	}
	if (reading->has_info && reading->info.estimate)
		(void)fputs(
		    "<p class=\"estimate\">These figures are an estimate: the host computes "
		    "them from a model, it does not measure them.</p>\n",
		    stream);
	if (reading->has_info) {
		(void)fputs("<p>From the host (", stream);
		exporter_page_text(stream, reading->info.source);
		(void)fprintf(stream, ", %s view), %" PRIu64 " ms old.</p>\n",
			      reading->info.exact ? "exact" : "isolated", reading->info.age_ms);
	} else if (reading->up) {
		(void)fputs("<p>From this machine's own powercap.</p>\n", stream);
	}
}

static void exporter_page(FILE *stream, const struct meter_reading *reading)
{
	(void)fputs(exporter_page_head, stream);
	exporter_page_origin(stream, reading);
	if (reading->zone_count > 0)
		(void)fputs("<table><tr><th>Zone</th><th>Power (W)</th><th>Energy (J)</th></tr>\n",
			    stream);
	for (size_t i = 0; i < reading->zone_count; i++)
		exporter_page_zone(stream, &reading->zones[i], reading->up);
	if (reading->zone_count > 0)
		(void)fputs("</table>\n", stream);
	(void)fputs("<p><a href=\"/metrics\">Metrics</a> for Prometheus. Wattport " WATTPORT_VERSION
		    ".</p></body></html>\n",
		    stream);
}

int exporter_write_page(const struct meter_reading *reading, char **ret_text, size_t *ret_size)
{
	char *text = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&text, &size);
	bool failed;

	if (stream == NULL)
		return -ENOMEM;
	exporter_page(stream, reading);
	failed = ferror(stream) != 0;
	if (fclose(stream) != 0 || failed) {
		free(text);
		return -ENOMEM;
	}
	*ret_text = text;
	*ret_size = size;
	return 0;
}
