#include "common/carbon.h"
#include "common/carbon_poller.h"
#include "common/carbon_table.h"
#include "common/cleanup.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>

__extension__ typedef unsigned __int128 wide;

/* Milligrams per kWh times microjoules are, divided by this, micrograms: 3.6e12 uJ / 1000. */
#define CARBON_UNITS_PER_UG UINT64_C(3600000000)

struct carbon {
	const struct clock *clock;
	enum carbon_kind kind;
	uint64_t age_ns_max;
	uint64_t limit_ns;
	struct carbon_figure fixed; /* CARBON_FIXED and CARBON_COUNTRY */
	int fd;			    /* of the poller; -1 where there is none, or it has ended */
	bool answered;		    /* at least once */
	bool has_reading;
	struct carbon_reading reading; /* the last good one */
	struct diag reason; /* of the last failure behind it; empty where there is none */
	char argument[CARBON_ARGUMENT_SIZE]; /* the file's path; see carbon_start() */
};

struct carbon_spec {
	enum carbon_kind kind;
	uint64_t intensity_mg_per_kwh;
	const struct carbon_country *country;
	const char *argument; /* in the text */
};

/* "56", "56.5", "56g/kWh". */
static int carbon_parse_fixed(const char *text, struct carbon_spec *spec, struct diag *diag)
{
	char number[32];
	struct carbon_reading reading;
	size_t length = strspn(text, "0123456789.");

	if (length == 0 || length >= sizeof(number) ||
	    (text[length] != '\0' && strcmp(text + length, "g/kWh") != 0))
		return -EINVAL;
	memcpy(number, text, length);
	number[length] = '\0';
	if (carbon_reading_parse(number, length, (struct wall_time){0}, &reading, diag) < 0)
		return -EINVAL;
	spec->kind = CARBON_FIXED;
	spec->intensity_mg_per_kwh = reading.intensity_mg_per_kwh;
	return 0;
}

static int carbon_parse_argument(const char *argument, enum carbon_kind kind,
				 struct carbon_spec *spec, struct diag *diag)
{
	size_t length = strlen(argument);

	if (length == 0 || length >= CARBON_ARGUMENT_SIZE)
		return diag_error(diag, -EINVAL, "a path or command has 1 to %d bytes",
				  CARBON_ARGUMENT_SIZE - 1);
	spec->kind = kind;
	spec->argument = argument;
	return 0;
}

static int carbon_parse(const char *text, struct carbon_spec *spec, struct diag *diag)
{
	struct diag number_diag = DIAG_INIT;

	if (strncmp(text, "file:", 5) == 0)
		return carbon_parse_argument(text + 5, CARBON_FILE, spec, diag);
	if (strncmp(text, "command:", 8) == 0)
		return carbon_parse_argument(text + 8, CARBON_COMMAND, spec, diag);
	if (carbon_parse_fixed(text, spec, &number_diag) == 0)
		return 0;
	if (number_diag.text[0] != '\0')
		return diag_error(diag, -EINVAL, "%s: %s", text, number_diag.text);
	spec->country = carbon_table_find(text);
	spec->kind = CARBON_COUNTRY;
	if (spec->country == NULL)
		return diag_error(diag, -EINVAL, "'%.64s' is not known; it takes %s", text,
				  CARBON_ALLOWED);
	return 0;
}

int carbon_check(const char *spec, enum carbon_kind *ret_kind, struct diag *diag)
{
	struct carbon_spec parsed = {.kind = CARBON_FIXED};
	int status = carbon_parse(spec, &parsed, diag);

	if (status == 0)
		*ret_kind = parsed.kind;
	return status;
}

/* A figure that stands from the beginning and never ages. */
static void carbon_fix(struct carbon *carbon, const struct carbon_spec *spec)
{
	struct carbon_figure *figure = &carbon->fixed;

	figure->known = true;
	if (spec->country == NULL) {
		figure->intensity_mg_per_kwh = spec->intensity_mg_per_kwh;
		(void)snprintf(figure->source, sizeof(figure->source), "as given");
		return;
	}
	figure->intensity_mg_per_kwh = (uint64_t)spec->country->intensity_g_per_kwh * 1000;
	(void)snprintf(figure->source, sizeof(figure->source), "%s, mean of %" PRIu32 ", %s",
		       spec->country->name, spec->country->year, CARBON_TABLE_BASIS);
}

static int carbon_start(struct carbon *carbon, const struct carbon_spec *spec, uint64_t period_ns,
			struct diag *diag)
{
	const struct carbon_poller_options options = {
	    .kind = spec->kind,
	    .argument = spec->argument,
	    .period_ns = period_ns != 0 ? period_ns : CARBON_PERIOD_NS,
	    .limit_ns = carbon->limit_ns,
	};

	/* A command may hold a key, and what is told of the source is on a page for everybody. */
	if (spec->kind == CARBON_FILE)
		(void)snprintf(carbon->argument, sizeof(carbon->argument), "%s", spec->argument);
	(void)diag_error(&carbon->reason, -EAGAIN, "no answer yet");
	return carbon_poller_start(&options, carbon->clock, &carbon->fd, diag);
}

int carbon_create(const struct carbon_options *options, const struct clock *clock,
		  struct carbon **ret_carbon, struct diag *diag)
{
	cleanup_carbon struct carbon *carbon = calloc(1, sizeof(*carbon));
	struct carbon_spec spec = {.kind = CARBON_FIXED};
	int status;

	if (carbon == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	carbon->fd = -1;
	carbon->clock = clock;
	carbon->age_ns_max = options->age_max_ns != 0 ? options->age_max_ns : CARBON_AGE_NS_MAX;
	carbon->limit_ns = options->limit_ns != 0 ? options->limit_ns : CARBON_LIMIT_NS;
	status = carbon_parse(options->spec, &spec, diag);
	if (status < 0)
		return status;
	carbon->kind = spec.kind;
	if (spec.argument == NULL)
		carbon_fix(carbon, &spec);
	else
		status = carbon_start(carbon, &spec, options->period_ns, diag);
	if (status < 0)
		return status;
	*ret_carbon = TAKE_PTR(carbon);
	return 0;
}

void carbon_destroy(struct carbon *carbon)
{
	if (carbon == NULL)
		return;
	if (carbon->fd >= 0)
		(void)close(carbon->fd);
	free(carbon);
}

/* Takes in all answers that are there; each is whole (carbon_poller.h). */
static void carbon_take(struct carbon *carbon)
{
	struct carbon_answer answer;

	while (carbon->fd >= 0) {
		ssize_t got = read(carbon->fd, &answer, sizeof(answer));

		if (got < 0)
			return;
		carbon->answered = true;
		if (got != (ssize_t)sizeof(answer)) {
			(void)diag_error(&carbon->reason, -EPIPE,
					 "the process that asks for it has ended");
			(void)close(TAKE_FD(carbon->fd));
			return;
		}
		if (answer.status < 0) {
			carbon->reason = answer.reason;
			continue;
		}
		carbon->reason.text[0] = '\0';
		carbon->reading = answer.reading;
		carbon->has_reading = true;
	}
}

static void carbon_show(const struct carbon *carbon, struct carbon_figure *figure)
{
	const struct carbon_reading *reading = &carbon->reading;
	const char *way = carbon->kind == CARBON_FILE ? "file " : "command";

	if (!carbon->has_reading) {
		figure->reason = carbon->reason;
		diag_prefix(&figure->reason, "%s%.256s", way, carbon->argument);
		return;
	}
	figure->has_time = true;
	figure->time = reading->time;
	figure->age_ns = clock_now_wall(carbon->clock).ns;
	figure->age_ns -= figure->age_ns < reading->time.ns ? figure->age_ns : reading->time.ns;
	(void)snprintf(figure->source, sizeof(figure->source), "%s, %s%.64s", reading->source, way,
		       carbon->argument);
	if (figure->age_ns > carbon->age_ns_max) {
		(void)diag_error(&figure->reason, -ESTALE,
				 "the last figure is %" PRIu64 " min old, and %" PRIu64
				 " min are the most (%s)%s%s",
				 figure->age_ns / CLOCK_NS_PER_SECOND / 60,
				 carbon->age_ns_max / CLOCK_NS_PER_SECOND / 60, figure->source,
				 carbon->reason.text[0] != '\0' ? ": " : "", carbon->reason.text);
		return;
	}
	figure->known = true;
	figure->intensity_mg_per_kwh = reading->intensity_mg_per_kwh;
}

void carbon_now(struct carbon *carbon, struct carbon_figure *ret_figure)
{
	*ret_figure = (struct carbon_figure){.known = false};
	switch (carbon->kind) {
	case CARBON_FIXED:
	case CARBON_COUNTRY:
		*ret_figure = carbon->fixed;
		return;
	case CARBON_FILE:
	case CARBON_COMMAND:
		carbon_take(carbon);
		carbon_show(carbon, ret_figure);
		return;
	}
}

void carbon_wait(struct carbon *carbon)
{
	struct pollfd poll_fd = {.fd = carbon->fd, .events = POLLIN};

	carbon_take(carbon);
	if (carbon->fd >= 0 && !carbon->answered)
		(void)poll(&poll_fd, 1, (int)(carbon->limit_ns / CLOCK_NS_PER_MS) + 1000);
}

int carbon_fd(const struct carbon *carbon)
{
	return carbon->fd;
}

static void carbon_add(uint64_t *sum, uint64_t part)
{
	if (__builtin_add_overflow(*sum, part, sum))
		*sum = UINT64_MAX;
}

void carbon_sum_add(struct carbon_sum *sum, const struct carbon_figure *figure, uint64_t energy_uj)
{
	wide units;

	if (!figure->known) {
		carbon_add(&sum->unknown_uj, energy_uj);
		return;
	}
	assert(figure->intensity_mg_per_kwh <= CARBON_MG_PER_KWH_MAX);
	assert(sum->remainder < CARBON_UNITS_PER_UG);
	carbon_add(&sum->energy_uj, energy_uj);
	units = (wide)figure->intensity_mg_per_kwh * energy_uj + sum->remainder;
	sum->remainder = (uint64_t)(units % CARBON_UNITS_PER_UG);
	carbon_add(&sum->co2e_ug, (uint64_t)(units / CARBON_UNITS_PER_UG));
}

void carbon_sum_merge(struct carbon_sum *sum, const struct carbon_sum *other)
{
	uint64_t remainder = sum->remainder + other->remainder;

	carbon_add(&sum->energy_uj, other->energy_uj);
	carbon_add(&sum->unknown_uj, other->unknown_uj);
	carbon_add(&sum->co2e_ug, other->co2e_ug);
	carbon_add(&sum->co2e_ug, remainder / CARBON_UNITS_PER_UG);
	sum->remainder = remainder % CARBON_UNITS_PER_UG;
}

const char *carbon_grams_text(uint64_t co2e_ug, char text[static CARBON_TEXT_SIZE])
{
	static const struct {
		const char *name;
		uint64_t ug;
	} units[] = {{"t", UINT64_C(1000000000000)},
		     {"kg", UINT64_C(1000000000)},
		     {"g", UINT64_C(1000000)},
		     {"mg", UINT64_C(1000)}};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		double value = (double)co2e_ug / (double)units[i].ug;

		if (co2e_ug < units[i].ug)
			continue;
		(void)snprintf(text, CARBON_TEXT_SIZE, "%.*f %s",
			       value < 9.995 ? 2 : (value < 99.95 ? 1 : 0), value, units[i].name);
		return text;
	}
	(void)snprintf(text, CARBON_TEXT_SIZE, "%" PRIu64 " ug", co2e_ug);
	return text;
}

const char *carbon_figure_text(const struct carbon_figure *figure,
			       char text[static CARBON_FIGURE_TEXT_SIZE])
{
	uint64_t mg = figure->intensity_mg_per_kwh;
	char age[48] = "";

	if (!figure->known) {
		(void)snprintf(text, CARBON_FIGURE_TEXT_SIZE, "unknown: %s", figure->reason.text);
		return text;
	}
	if (figure->has_time)
		(void)snprintf(age, sizeof(age), ", %" PRIu64 " min old",
			       figure->age_ns / CLOCK_NS_PER_SECOND / 60);
	if (mg % 1000 == 0)
		(void)snprintf(text, CARBON_FIGURE_TEXT_SIZE, "%" PRIu64 " g/kWh (%s%s)", mg / 1000,
			       figure->source, age);
	else
		(void)snprintf(text, CARBON_FIGURE_TEXT_SIZE,
			       "%" PRIu64 ".%03" PRIu64 " g/kWh (%s%s)", mg / 1000, mg % 1000,
			       figure->source, age);
	return text;
}
