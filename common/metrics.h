/*
 * metrics.h: writes metrics for Prometheus, in its text format 0.0.4 and in OpenMetrics 1.0.
 *
 * The common part of the views over HTTP: a view tells families and samples once, the writer knows
 * how the two formats differ. Totals are printed from integers, digit by digit: no number passes
 * through a double on its way. Errors stick: the calls in between return nothing and
 * metrics_finish() tells. One thread a writer; metrics_negotiate() is pure.
 */
#ifndef WATTPORT_COMMON_METRICS_H
#define WATTPORT_COMMON_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define METRICS_SIZE_MAX ((size_t)256 << 20) /* of one page: 4096 VMs with 64 zones fit */

enum metrics_format {
	METRICS_TEXT,	     /* text/plain; version=0.0.4 */
	METRICS_OPENMETRICS, /* application/openmetrics-text; version=1.0.0 */
};

/* What the client of that Accept header likes better; text where it likes both or neither. */
enum metrics_format metrics_negotiate(const char *accept);

/* The value of the Content-Type header: a literal. */
const char *metrics_content_type(enum metrics_format format);

enum metrics_type {
	METRICS_COUNTER,
	METRICS_BARE_COUNTER, /* whose name is another program's and lacks the suffix _total */
	METRICS_GAUGE,
	METRICS_INFO,
	METRICS_HISTOGRAM,
};

/* Literals, which must outlive the writer's use of the family. */
struct metrics_family {
	const char *name; /* without the suffix that its type adds: _total, _info */
	enum metrics_type type;
	const char *unit; /* the name's last word, "joules"; NULL: none */
	const char *help; /* one sentence */
};

struct metrics_label {
	const char *name;  /* [a-z_]+ */
	const char *value; /* any bytes: escaped, and what is not UTF-8 becomes '?' */
};

/* A number with a fixed count of decimals, exact. */
struct metrics_value {
	uint64_t magnitude;
	unsigned int decimals; /* 0 .. 12: how many of the digits stand behind the point */
	bool negative;
};

static inline struct metrics_value metrics_integer(uint64_t value)
{
	return (struct metrics_value){.magnitude = value};
}

/* Joules of microjoules, watts of microwatts. */
static inline struct metrics_value metrics_micro(uint64_t value)
{
	return (struct metrics_value){.magnitude = value, .decimals = 6};
}

/* Seconds of nanoseconds. */
static inline struct metrics_value metrics_nano(uint64_t value)
{
	return (struct metrics_value){.magnitude = value, .decimals = 9};
}

struct metrics_value metrics_signed(int64_t value);

/* Cumulated by the writer: counts[i] are those between bounds_us[i - 1] and bounds_us[i]. */
struct metrics_histogram {
	const uint64_t *bounds_us; /* count - 1 of them: the last bucket has no bound */
	const uint64_t *counts;
	size_t count;
	uint64_t sum_ns;
};

struct metrics;

/* Owns a buffer that grows to what the largest page needed and is kept. 0 or -ENOMEM. */
int metrics_create(struct metrics **ret_metrics);
void metrics_destroy(struct metrics *metrics);

/* Forgets the former page. */
void metrics_begin(struct metrics *metrics, enum metrics_format format);

/* All samples up to the next family belong to this one; each family once a page. */
void metrics_begin_family(struct metrics *metrics, const struct metrics_family *family);

/* A sample of a counter, gauge or info (whose value is 1). */
void metrics_add(struct metrics *metrics, const struct metrics_label labels[], size_t label_count,
		 struct metrics_value value);

/* A family that has one sample, without labels. */
void metrics_add_single(struct metrics *metrics, const struct metrics_family *family,
			struct metrics_value value);

void metrics_add_histogram(struct metrics *metrics, const struct metrics_histogram *histogram);

/*
 * Ends the page. The text belongs to the writer and lives until metrics_begin(). -ENOMEM, or -EFBIG
 * past METRICS_SIZE_MAX.
 */
int metrics_finish(struct metrics *metrics, const char **ret_text, size_t *ret_size);

static inline void cleanup_metrics_value(struct metrics *const *metrics)
{
	metrics_destroy(*metrics);
}
#define cleanup_metrics __attribute__((cleanup(cleanup_metrics_value)))

#endif
