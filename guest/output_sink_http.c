/*
 * InfluxDB's /write over HTTP(S): 1.x, and what goes on to understand it (2.x, VictoriaMetrics).
 * The protocol and TLS are libcurl's; what an answer means for the batch is decided here.
 */
#include "common/cleanup.h"
#include "guest/output_credentials.h"
#include "guest/output_curl.h"
#include "guest/output_sink.h"
#include "guest/output_sink_http_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OUTPUT_HTTP_BATCH  ((size_t)256 << 10)
#define OUTPUT_ANSWER_SIZE 256

struct output_http {
	struct output_sink sink;
	struct output_curl curl;
	CURL *handle;
	struct curl_slist *headers;
	char url[OUTPUT_SPEC_SIZE + 64];
	char error[CURL_ERROR_SIZE];
	char answer[OUTPUT_ANSWER_SIZE]; /* its beginning: what a server says is wrong */
	size_t answer_length;
};

enum output_outcome output_http_judge(long code, const char *answer, const struct output_spec *spec,
				      struct diag *diag)
{
	if (code >= 200 && code < 300)
		return OUTPUT_SENT;
	switch (code) {
	case 400:
	case 413:
	case 422:
		(void)diag_error(diag, -EBADMSG, "the server refuses what it was sent (%ld): %s",
				 code, answer);
		return OUTPUT_REFUSED;
	case 401:
	case 403:
		(void)diag_error(diag, -EACCES,
				 "the server wants to know who writes (%ld): %s; name its user or "
				 "token in the file of output.credentials and restart the agent",
				 code, answer);
		return OUTPUT_LATER;
	case 404:
		(void)diag_error(diag, -ENOENT,
				 "the server has no such database or path (404): %s; make it: "
				 "CREATE DATABASE \"%s\"",
				 answer, output_spec_database(spec));
		return OUTPUT_LATER;
	default:
		if (code >= 300 && code < 400)
			(void)diag_error(
			    diag, -EREMCHG,
			    "the server sends us elsewhere (%ld), which is not followed: "
			    "write its new address",
			    code);
		else
			(void)diag_error(diag, -EIO, "the server answers %ld: %s", code, answer);
		return OUTPUT_LATER;
	}
}

static size_t output_http_take_answer(char *data, size_t size, size_t count, void *context)
{
	struct output_http *http = context;
	size_t room = sizeof(http->answer) - 1 - http->answer_length;
	size_t length = size * count < room ? size * count : room;

	memcpy(http->answer + http->answer_length, data, length);
	http->answer_length += length;
	http->answer[http->answer_length] = '\0';
	return size * count;
}

/* libcurl asks about once a second, and whenever something moves: another value than 0 ends it. */
static int output_http_asks(void *context, curl_off_t to_get, curl_off_t got, curl_off_t to_put,
			    curl_off_t put)
{
	const struct output_http *http = context;

	(void)to_get;
	(void)got;
	(void)to_put;
	(void)put;
	return atomic_load(http->sink.options.stop) ? 1 : 0;
}

static int output_http_add_header(struct output_http *http, const char *text)
{
	struct curl_slist *list = http->curl.slist_append(http->headers, text);

	if (list == NULL)
		return -ENOMEM;
	http->headers = list;
	return 0;
}

static int output_http_set_credential(struct output_http *http)
{
	const struct output_sink_options *options = &http->sink.options;
	const struct output_credential *credential =
	    output_credentials_find(options->credentials, options->spec->target);
	char header[OUTPUT_SECRET_SIZE + 32];
	int status;

	if (credential == NULL)
		return 0;
	if (credential->kind == OUTPUT_BASIC) {
		(void)http->curl.setopt(http->handle, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
		return http->curl.setopt(http->handle, CURLOPT_USERNAME, credential->user) ==
				   CURLE_OK &&
			       http->curl.setopt(http->handle, CURLOPT_PASSWORD,
						 credential->secret) == CURLE_OK
			   ? 0
			   : -ENOMEM;
	}
	(void)snprintf(header, sizeof(header), "Authorization: %s %s",
		       credential->kind == OUTPUT_TOKEN ? "Token" : "Bearer", credential->secret);
	status = output_http_add_header(http, header);
	explicit_bzero(header, sizeof(header));
	return status;
}

static int output_http_prepare(struct output_http *http)
{
	const struct output_sink_options *options = &http->sink.options;
	__typeof__(http->curl.setopt) set = http->curl.setopt;
	CURL *handle = http->handle;
	int status = output_http_add_header(http, "Content-Type: text/plain; charset=utf-8");

	/* No question whether the body may come: it comes. */
	if (status == 0)
		status = output_http_add_header(http, "Expect:");
	if (status == 0)
		status = output_http_set_credential(http);
	if (status < 0)
		return status;
	(void)snprintf(http->url, sizeof(http->url), "%.*s/write?db=%s&precision=ns",
		       (int)output_spec_base_length(options->spec), options->spec->target,
		       output_spec_database(options->spec));
	if (set(handle, CURLOPT_URL, http->url) != CURLE_OK ||
	    set(handle, CURLOPT_USERAGENT, "wattport-agent/" WATTPORT_VERSION) != CURLE_OK ||
	    (options->ca_file != NULL && set(handle, CURLOPT_CAINFO, options->ca_file) != CURLE_OK))
		return -ENOMEM;
	/* Else the directory that libcurl was built with is believed as well: Debian's is set. */
	if (options->ca_file != NULL)
		(void)set(handle, CURLOPT_CAPATH, (char *)NULL);
	(void)set(handle, CURLOPT_HTTPHEADER, http->headers);
	/* No signals: this is one thread of several. */
	(void)set(handle, CURLOPT_NOSIGNAL, 1L);
	(void)set(handle, CURLOPT_TIMEOUT_MS, (long)options->timeout_ms);
	(void)set(handle, CURLOPT_CONNECTTIMEOUT_MS, (long)options->timeout_ms);
	(void)set(handle, CURLOPT_ERRORBUFFER, http->error);
	(void)set(handle, CURLOPT_WRITEFUNCTION, output_http_take_answer);
	(void)set(handle, CURLOPT_WRITEDATA, http);
	(void)set(handle, CURLOPT_NOPROGRESS, 0L);
	(void)set(handle, CURLOPT_XFERINFOFUNCTION, output_http_asks);
	(void)set(handle, CURLOPT_XFERINFODATA, http);
	return 0;
}

static void output_http_close(struct output_sink *sink)
{
	struct output_http *http = (struct output_http *)sink;

	if (http->handle != NULL)
		http->curl.cleanup(http->handle);
	if (http->headers != NULL)
		http->curl.slist_free_all(http->headers);
	free(http);
}

static int output_http_open(const struct output_sink_options *options,
			    struct output_sink **ret_sink, struct diag *diag)
{
	struct output_http *http = calloc(1, sizeof(*http));
	int status;

	if (http == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	http->sink = (struct output_sink){.ops = &output_sink_http, .options = *options};
	status = output_curl_load(&http->curl, diag);
	if (status == 0) {
		http->handle = http->curl.init();
		status = http->handle != NULL ? output_http_prepare(http) : -ENOMEM;
		if (status < 0)
			(void)diag_error(diag, status, "out of memory");
	}
	if (status < 0) {
		output_http_close(&http->sink);
		return status;
	}
	*ret_sink = &http->sink;
	return 0;
}

/* What libcurl says, which with GnuTLS is the same of an unknown authority and of a wrong date. */
static void output_http_tell(const struct output_http *http, CURLcode result, struct diag *diag)
{
	const char *said = http->error[0] != '\0' ? http->error : http->curl.strerror(result);

	(void)diag_error(diag, -EIO, "%s", said);
	if (result == CURLE_PEER_FAILED_VERIFICATION)
		diag_append(diag,
			    "nothing was sent: the server's certificate has to be of an authority "
			    "in output.ca-file (without that: of the system's), of the name that "
			    "the output has, and of this date");
	if (result == CURLE_SSL_CACERT_BADFILE)
		diag_append(diag, "output.ca-file has to be readable by user %u, in PEM",
			    geteuid());
}

static enum output_outcome output_http_send(struct output_sink *sink,
					    const struct output_batch *batch, size_t *progress,
					    struct diag *diag)
{
	struct output_http *http = (struct output_http *)sink;
	enum output_outcome outcome;
	long code = 0;
	CURLcode result;

	http->answer_length = 0;
	http->answer[0] = http->error[0] = '\0';
	(void)http->curl.setopt(http->handle, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)batch->size);
	(void)http->curl.setopt(http->handle, CURLOPT_POSTFIELDS, batch->text);
	result = http->curl.perform(http->handle);
	if (result != CURLE_OK) {
		output_http_tell(http, result, diag);
		return OUTPUT_LATER;
	}
	(void)http->curl.getinfo(http->handle, CURLINFO_RESPONSE_CODE, &code);
	/* A line of a log, not a page. */
	http->answer[strcspn(http->answer, "\r\n")] = '\0';
	outcome = output_http_judge(code, http->answer, sink->options.spec, diag);
	if (outcome == OUTPUT_SENT)
		*progress = batch->size;
	return outcome;
}

const struct output_sink_ops output_sink_http = {
    .batch_size_max = OUTPUT_HTTP_BATCH,
    .open = output_http_open,
    .close = output_http_close,
    .send = output_http_send,
};
