#include "tests/bench/accuracy_report.h"

#define PERCENT 100.0

static void report_row(const struct error_row *row, bool machine)
{
	(void)printf(" %.1f |", PERCENT * row->mean);
	if (machine)
		(void)printf(" %.1f |", PERCENT * row->machine);
	(void)printf(" %.1f | %+.1f |", PERCENT * row->p95, PERCENT * row->bias);
}

/* By itself, as it counts everything again; others do not divide it. */
static void report_psys(struct error_table *table)
{
	if (error_table_psys_hosts(table) == 0)
		return;
	(void)printf(
	    "\n| %% of psys, %zu hosts | total: mean | machine | p95 | bias | dynamic: mean | "
	    "machine | p95 | bias | static power: mean | p95 | bias |\n"
	    "|---|---|---|---|---|---|---|---|---|---|---|---|\n",
	    error_table_psys_hosts(table));
	for (size_t model = 0; model < TRIAL_OURS_COUNT; model++) {
		struct error_row total = error_table_psys_total(table, model);
		struct error_row dynamic = error_table_psys_dynamic(table, model);
		struct error_row still = error_table_psys_static(table, model);

		(void)printf("| %s |", trial_model_name(model));
		report_row(&total, true);
		report_row(&dynamic, true);
		report_row(&still, false);
		(void)printf("\n");
	}
}

void accuracy_report_class(struct error_table *table, const char *name)
{
	(void)printf("\n### %s: %zu hosts, %zu machines\n\n", name, error_table_hosts(table),
		     error_table_machines(table));
	(void)printf("| %% | total: mean | machine | p95 | bias | dynamic: mean | machine | p95 | "
		     "bias | static power: mean | p95 | bias |\n"
		     "|---|---|---|---|---|---|---|---|---|---|---|---|\n");
	for (size_t model = 0; model < TRIAL_MODEL_COUNT; model++) {
		struct error_row total = error_table_total(table, model);
		struct error_row dynamic = error_table_dynamic(table, model);

		(void)printf("| %s |", trial_model_name(model));
		report_row(&total, true);
		/* A model that knows no dynamic part gives none at all. */
		if (dynamic.bias > -1)
			report_row(&dynamic, true);
		else
			(void)printf("  |  |  |  |");
		if (model < TRIAL_OURS_COUNT) {
			struct error_row still = error_table_static(table, model);

			report_row(&still, false);
		} else {
			(void)printf("  |  |  |");
		}
		(void)printf("\n");
	}
	report_psys(table);
	(void)fflush(stdout);
}

static void report_json_row(const char *name, const struct error_row *row)
{
	(void)printf(",\"%s\":{\"mean\":%.5f,\"machine\":%.5f,\"p95\":%.5f,\"bias\":%.5f}", name,
		     row->mean, row->machine, row->p95, row->bias);
}

static void report_json_psys(struct error_table *table, size_t model)
{
	struct error_row total = error_table_psys_total(table, model);
	struct error_row dynamic = error_table_psys_dynamic(table, model);
	struct error_row still = error_table_psys_static(table, model);

	if (error_table_psys_hosts(table) == 0)
		return;
	(void)printf(",\"psys_hosts\":%zu", error_table_psys_hosts(table));
	report_json_row("psys_total", &total);
	report_json_row("psys_dynamic", &dynamic);
	report_json_row("psys_static", &still);
}

void accuracy_report_json(struct error_table *table, const char *name)
{
	for (size_t model = 0; model < TRIAL_MODEL_COUNT; model++) {
		struct error_row total = error_table_total(table, model);
		struct error_row dynamic = error_table_dynamic(table, model);

		(void)printf("{\"class\":\"%s\",\"hosts\":%zu,\"machines\":%zu,\"model\":\"%s\"",
			     name, error_table_hosts(table), error_table_machines(table),
			     trial_model_name(model));
		report_json_row("total", &total);
		if (dynamic.bias > -1)
			report_json_row("dynamic", &dynamic);
		if (model < TRIAL_OURS_COUNT) {
			struct error_row still = error_table_static(table, model);

			report_json_row("static", &still);
			report_json_psys(table, model);
		}
		(void)printf("}\n");
	}
	(void)fflush(stdout);
}

/* The mean of one kind of error: a row for each model, a column for each class. */
struct report_view {
	const char *heading;
	size_t models;
	struct error_row (*column)(struct error_table *table, size_t model);
	bool psys; /* of the hosts that have it */
};

static void report_cell(const struct report_view *view, struct error_table *table, size_t model)
{
	struct error_row row = view->column(table, model);

	if (row.bias > -1 && (!view->psys || error_table_psys_hosts(table) > 0))
		(void)printf(" %.1f |", PERCENT * row.mean);
	else
		(void)printf("  |");
}

static void report_means(struct error_table *const tables[HOST_CLASS_COUNT],
			 const struct report_view *view)
{
	(void)printf("\n### %s, mean error\n\n| %% |", view->heading);
	for (size_t i = 0; i < HOST_CLASS_COUNT; i++)
		if (tables[i] != NULL)
			(void)printf(" %s |", host_class_names[i]);
	(void)printf("\n|---|");
	for (size_t i = 0; i < HOST_CLASS_COUNT; i++)
		if (tables[i] != NULL)
			(void)printf("---|");
	(void)printf("\n");
	for (size_t model = 0; model < view->models; model++) {
		(void)printf("| %s |", trial_model_name(model));
		for (size_t i = 0; i < HOST_CLASS_COUNT; i++)
			if (tables[i] != NULL)
				report_cell(view, tables[i], model);
		(void)printf("\n");
	}
}

void accuracy_report_summary(struct error_table *const tables[HOST_CLASS_COUNT])
{
	static const struct report_view views[] = {
	    {"Total", TRIAL_MODEL_COUNT, error_table_total, false},
	    {"Dynamic part", TRIAL_MODEL_COUNT, error_table_dynamic, false},
	    {"Static power", TRIAL_OURS_COUNT, error_table_static, false},
	    {"psys, total", TRIAL_OURS_COUNT, error_table_psys_total, true},
	    {"psys, dynamic part", TRIAL_OURS_COUNT, error_table_psys_dynamic, true},
	    {"psys, static power", TRIAL_OURS_COUNT, error_table_psys_static, true},
	};

	for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++)
		report_means(tables, &views[i]);
}
