#include "common/metrics.h"
#include "common/accept.h"
#include "common/cleanup.h"
#include "common/decimal.h"
#include "common/utf8.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define METRICS_SIZE_INITIAL 65536
#define METRICS_NUMBER_SIZE  32 /* 20 digits, an exponent, a NUL */

static_assert(METRICS_SIZE_INITIAL <= METRICS_SIZE_MAX, "the first buffer is within bounds");

struct metrics {
	enum metrics_format format;
	const struct metrics_family *family;
	int error; /* the first one; sticks until metrics_begin() */
	char *text;
	size_t size;
	size_t capacity;
};

enum metrics_format metrics_negotiate(const char *accept)
{
	static const struct accept_media text = {"text", "plain", "0.0.4"};
	static const struct accept_media openmetrics = {"application", "openmetrics-text", "1.0.0"};

	if (accept_media_quality(accept, &openmetrics) > accept_media_quality(accept, &text))
		return METRICS_OPENMETRICS;
	return METRICS_TEXT;
}

const char *metrics_content_type(enum metrics_format format)
{
	switch (format) {
	case METRICS_OPENMETRICS:
		return "application/openmetrics-text; version=1.0.0; charset=utf-8";
	case METRICS_TEXT:
		break;
	}
	return "text/plain; version=0.0.4; charset=utf-8";
}

struct metrics_value metrics_signed(int64_t value)
{
	/* Of the most negative value, too: unsigned negation is defined. */
	return (struct metrics_value){
	    .magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value,
	    .negative = value < 0,
	};
}

int metrics_create(struct metrics **ret_metrics)
{
	struct metrics *metrics = calloc(1, sizeof(*metrics));

	if (metrics == NULL)
		return -ENOMEM;
	*ret_metrics = metrics;
	return 0;
}

void metrics_destroy(struct metrics *metrics)
{
	if (metrics == NULL)
		return;
	free(metrics->text);
	free(metrics);
}

void metrics_begin(struct metrics *metrics, enum metrics_format format)
{
	metrics->format = format;
	metrics->family = NULL;
	metrics->error = 0;
	metrics->size = 0;
}

/* Makes room for `size` bytes more; false, with the error set, when there is none. */
static bool metrics_reserve(struct metrics *metrics, size_t size)
{
	size_t capacity = metrics->capacity > 0 ? metrics->capacity : METRICS_SIZE_INITIAL;
	char *text;

	if (metrics->error < 0)
		return false;
	if (size > METRICS_SIZE_MAX - metrics->size) {
		metrics->error = -EFBIG;
		return false;
	}
	if (metrics->text != NULL && size <= metrics->capacity - metrics->size)
		return true;
	while (size > capacity - metrics->size)
		capacity = capacity > METRICS_SIZE_MAX / 2 ? METRICS_SIZE_MAX : capacity * 2;
	text = realloc(metrics->text, capacity);
	if (text == NULL) {
		metrics->error = -ENOMEM;
		return false;
	}
	metrics->text = text;
	metrics->capacity = capacity;
	return true;
}

static void metrics_put_bytes(struct metrics *metrics, const char *bytes, size_t size)
{
	if (!metrics_reserve(metrics, size))
		return;
	memcpy(metrics->text + metrics->size, bytes, size);
	metrics->size += size;
}

static void metrics_put(struct metrics *metrics, const char *text)
{
	metrics_put_bytes(metrics, text, strlen(text));
}

/*
 * Label values escape backslash, quote and newline in both formats; a help text does not escape
 * quotes in 0.0.4, which ours do not contain.
 */
static void metrics_put_escaped(struct metrics *metrics, const char *text)
{
	while (*text != '\0') {
		size_t length = utf8_length(text);

		if (length == 0)
			metrics_put_bytes(metrics, "?", 1);
		else if (*text == '\n')
			metrics_put_bytes(metrics, "\\n", 2);
		else if (*text == '\\')
			metrics_put_bytes(metrics, "\\\\", 2);
		else if (*text == '"')
			metrics_put_bytes(metrics, "\\\"", 2);
		else
			metrics_put_bytes(metrics, text, length);
		text += length > 0 ? length : 1;
	}
}

static void metrics_put_value(struct metrics *metrics, struct metrics_value value)
{
	char digits[DECIMAL_SIZE];
	size_t length = decimal_format(value.magnitude, value.decimals, digits);

	if (value.negative)
		metrics_put_bytes(metrics, "-", 1);
	metrics_put_bytes(metrics, digits, length);
}

/* The head of a "# KEYWORD name text" line. */
static void metrics_put_comment(struct metrics *metrics, const char *keyword, const char *suffix)
{
	metrics_put(metrics, "# ");
	metrics_put(metrics, keyword);
	metrics_put(metrics, " ");
	metrics_put(metrics, metrics->family->name);
	metrics_put(metrics, suffix);
	metrics_put(metrics, " ");
}

/* What the type adds to the name of a family's samples. */
static const char *metrics_sample_suffix(enum metrics_type type)
{
	switch (type) {
	case METRICS_COUNTER:
		return "_total";
	case METRICS_INFO:
		return "_info";
	case METRICS_BARE_COUNTER:
	case METRICS_GAUGE:
	case METRICS_HISTOGRAM:
		break;
	}
	return "";
}

static const char *metrics_type_name(enum metrics_type type, enum metrics_format format)
{
	switch (type) {
	case METRICS_COUNTER:
		return "counter";
	case METRICS_BARE_COUNTER: /* OpenMetrics has no counter without the suffix */
		return format == METRICS_OPENMETRICS ? "unknown" : "counter";
	case METRICS_GAUGE:
		return "gauge";
	case METRICS_INFO:
		return format == METRICS_OPENMETRICS ? "info" : "gauge"; /* 0.0.4 has no info */
	case METRICS_HISTOGRAM:
		return "histogram";
	}
	return "";
}

void metrics_begin_family(struct metrics *metrics, const struct metrics_family *family)
{
	/* In 0.0.4 the family is named like its samples; in OpenMetrics without their suffix. */
	const char *suffix =
	    metrics->format == METRICS_OPENMETRICS ? "" : metrics_sample_suffix(family->type);

	metrics->family = family;
	metrics_put_comment(metrics, "HELP", suffix);
	metrics_put_escaped(metrics, family->help);
	metrics_put(metrics, "\n");
	metrics_put_comment(metrics, "TYPE", suffix);
	metrics_put(metrics, metrics_type_name(family->type, metrics->format));
	metrics_put(metrics, "\n");
	if (metrics->format != METRICS_OPENMETRICS || family->unit == NULL)
		return;
	metrics_put_comment(metrics, "UNIT", "");
	metrics_put(metrics, family->unit);
	metrics_put(metrics, "\n");
}

static void metrics_put_sample(struct metrics *metrics, const char *suffix,
			       const struct metrics_label labels[], size_t label_count,
			       struct metrics_value value)
{
	assert(metrics->family != NULL);
	metrics_put(metrics, metrics->family->name);
	metrics_put(metrics, suffix);
	for (size_t i = 0; i < label_count; i++) {
		metrics_put(metrics, i == 0 ? "{" : ",");
		metrics_put(metrics, labels[i].name);
		metrics_put(metrics, "=\"");
		metrics_put_escaped(metrics, labels[i].value);
		metrics_put(metrics, "\"");
	}
	metrics_put(metrics, label_count > 0 ? "} " : " ");
	metrics_put_value(metrics, value);
	metrics_put(metrics, "\n");
}

void metrics_add(struct metrics *metrics, const struct metrics_label labels[], size_t label_count,
		 struct metrics_value value)
{
	assert(metrics->family != NULL && metrics->family->type != METRICS_HISTOGRAM);
	metrics_put_sample(metrics, metrics_sample_suffix(metrics->family->type), labels,
			   label_count, value);
}

void metrics_add_single(struct metrics *metrics, const struct metrics_family *family,
			struct metrics_value value)
{
	metrics_begin_family(metrics, family);
	metrics_add(metrics, NULL, 0, value);
}

/*
 * A bucket's bound in seconds, written the same way in both formats, since it is part of the
 * series' name: OpenMetrics 1.0, "canonical numbers", that is "1e-05", "2.5e-05", "0.0001", "1.0".
 */
static void metrics_format_bound(uint64_t bound_us, char ret_text[static METRICS_NUMBER_SIZE])
{
	size_t length;

	if (bound_us > 0 && bound_us < 100) {
		uint64_t scale = bound_us < 10 ? 1 : 10;

		length =
		    (size_t)snprintf(ret_text, METRICS_NUMBER_SIZE, "%" PRIu64, bound_us / scale);
		if (bound_us % scale != 0)
			length += (size_t)snprintf(ret_text + length, METRICS_NUMBER_SIZE - length,
						   ".%" PRIu64, bound_us % scale);
		(void)snprintf(ret_text + length, METRICS_NUMBER_SIZE - length, "e-0%d",
			       scale == 1 ? 6 : 5);
		return;
	}
	length = (size_t)snprintf(ret_text, METRICS_NUMBER_SIZE, "%" PRIu64 ".%06" PRIu64,
				  bound_us / 1000000, bound_us % 1000000);
	while (ret_text[length - 1] == '0' && ret_text[length - 2] != '.')
		ret_text[--length] = '\0';
}

void metrics_add_histogram(struct metrics *metrics, const struct metrics_histogram *histogram)
{
	uint64_t count = 0;

	assert(metrics->family->type == METRICS_HISTOGRAM && histogram->count > 0);
	for (size_t i = 0; i < histogram->count; i++) {
		char bound[METRICS_NUMBER_SIZE] = "+Inf";
		struct metrics_label label = {.name = "le", .value = bound};

		if (i < histogram->count - 1)
			metrics_format_bound(histogram->bounds_us[i], bound);
		count += histogram->counts[i];
		metrics_put_sample(metrics, "_bucket", &label, 1, metrics_integer(count));
	}
	metrics_put_sample(metrics, "_sum", NULL, 0, metrics_nano(histogram->sum_ns));
	metrics_put_sample(metrics, "_count", NULL, 0, metrics_integer(count));
}

int metrics_finish(struct metrics *metrics, const char **ret_text, size_t *ret_size)
{
	if (metrics->format == METRICS_OPENMETRICS)
		metrics_put(metrics, "# EOF\n");
	/* An empty page of 0.0.4 has a buffer, too. */
	if (!metrics_reserve(metrics, 1))
		return metrics->error;
	*ret_text = metrics->text;
	*ret_size = metrics->size;
	return 0;
}
