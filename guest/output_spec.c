#include "guest/output_spec.h"
#include "common/parse.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define OUTPUT_FORMAT_SIZE 16

size_t output_spec_base_length(const struct output_spec *spec)
{
	return (size_t)(strrchr(spec->target, '/') - spec->target);
}

const char *output_spec_database(const struct output_spec *spec)
{
	return strrchr(spec->target, '/') + 1;
}

/* Before all else, for other messages repeat the text, and end up in logs: this one must not. */
static int output_spec_check_secrets(const char *text, struct diag *diag)
{
	const char *server = strstr(text, "://");

	if (server != NULL && strchr(server, '@') != NULL)
		return diag_error(diag, -EINVAL,
				  "a password does not belong where everybody can read it; put it "
				  "into the file that output.credentials names");
	if (server != NULL && strchr(server, '?') != NULL)
		return diag_error(diag, -EINVAL,
				  "a URL here has letters, digits and -._~:/[]%% only; the query "
				  "is wattport-agent's to add");
	return 0;
}

/* http://HOST[:PORT][/PREFIX]/DATABASE, of characters that need no escape in a URL. */
static int output_spec_check_url(const struct output_spec *spec, struct diag *diag)
{
	const char *host = strstr(spec->target, "://") + 3;
	const char *path = strchr(host, '/');

	if (path == NULL || path == host || output_spec_database(spec)[0] == '\0')
		return diag_error(
		    diag, -EINVAL,
		    "%s: a database is missing: write http://HOST:PORT/DATABASE, as in "
		    "influx:http://127.0.0.1:8086/telegraf",
		    spec->text);
	if (strspn(host,
		   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~:/[]%") !=
	    strlen(host))
		return diag_error(diag, -EINVAL,
				  "%s: a URL here has letters, digits and -._~:/[]%% only; the "
				  "query is wattport-agent's to add",
				  spec->text);
	return 0;
}

static int output_spec_check_udp(struct output_spec *spec, struct diag *diag)
{
	const char *colon = strrchr(spec->target, ':');
	uint32_t port;

	if (colon == NULL || colon == spec->target || parse_u32(colon + 1, &port) < 0 ||
	    port == 0 || port > UINT16_MAX)
		return diag_error(diag, -EINVAL,
				  "%s: write udp://HOST:PORT, as in "
				  "influx:udp://127.0.0.1:8089",
				  spec->text);
	return 0;
}

static int output_spec_set_sink(struct output_spec *spec, struct diag *diag)
{
	bool influx = strcmp(spec->format->name, "influx") == 0;

	if (strcmp(spec->target, "-") == 0) {
		spec->kind = OUTPUT_STDOUT;
		return 0;
	}
	if (spec->target[0] == '/') {
		spec->kind = OUTPUT_FILE;
		return 0;
	}
	if (strncmp(spec->target, "udp://", 6) == 0) {
		spec->kind = OUTPUT_UDP;
		spec->target += 6;
		if (spec->format->header != NULL)
			return diag_error(
			    diag, -EINVAL,
			    "%s: %s goes to a file, a pipe or stdout: packets have no "
			    "place for its header",
			    spec->text, spec->format->name);
		return output_spec_check_udp(spec, diag);
	}
	if (strncmp(spec->target, "http://", 7) == 0 || strncmp(spec->target, "https://", 8) == 0) {
		spec->kind = OUTPUT_HTTP;
		if (!influx)
			return diag_error(diag, -EINVAL,
					  "%s: only influx goes over HTTP, to InfluxDB's /write",
					  spec->text);
		return output_spec_check_url(spec, diag);
	}
	return diag_error(diag, -EINVAL,
			  "%s: where to? - (stdout), an absolute path, udp://HOST:PORT, or "
			  "http://HOST:PORT/DATABASE",
			  spec->text);
}

/* FORMAT[@PERIOD] */
static int output_spec_set_format(struct output_spec *spec, const char *text, size_t length,
				  struct diag *diag)
{
	char format[OUTPUT_FORMAT_SIZE], *at;

	if (length < sizeof(format)) {
		memcpy(format, text, length);
		format[length] = '\0';
		at = strchr(format, '@');
		if (at != NULL) {
			*at++ = '\0';
			if (parse_duration_ns(at, &spec->period_ns) < 0 ||
			    spec->period_ns < OUTPUT_PERIOD_NS_MIN ||
			    spec->period_ns > OUTPUT_PERIOD_NS_MAX)
				return diag_error(diag, -EINVAL,
						  "%s: the period behind the @ is a duration from "
						  "100ms to 24h",
						  spec->text);
		}
		spec->format = output_format_find(format);
	}
	if (spec->format == NULL)
		return diag_error(diag, -EINVAL,
				  "%s: the format is csv, json or influx: write FORMAT:SINK, as in "
				  "json:- or influx@10s:http://127.0.0.1:8086/telegraf",
				  spec->text);
	return 0;
}

int output_spec_parse(const char *text, struct output_spec *ret_spec, struct diag *diag)
{
	size_t length = strlen(text);
	const char *colon;
	int status;

	*ret_spec = (struct output_spec){.format = NULL};
	if (length >= sizeof(ret_spec->text))
		return diag_error(diag, -EINVAL, "an output has at most %d characters",
				  OUTPUT_SPEC_SIZE - 1);
	status = output_spec_check_secrets(text, diag);
	if (status < 0)
		return status;
	memcpy(ret_spec->text, text, length + 1);
	colon = strchr(ret_spec->text, ':');
	length = colon != NULL ? (size_t)(colon - ret_spec->text) : OUTPUT_FORMAT_SIZE;
	status = output_spec_set_format(ret_spec, ret_spec->text, length, diag);
	if (status < 0)
		return status;
	/* No format is as long as what has none. */
	assert(colon != NULL);
	ret_spec->target = colon + 1;
	return output_spec_set_sink(ret_spec, diag);
}
