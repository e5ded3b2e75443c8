#include "tests/bench/accuracy_report.h"

#define PERCENT 100.0

static void report_row(const struct error_row *row, bool machine)
{
	(void)printf(" %.1f |", PERCENT * row->mean);
	if (machine)
		(void)printf(" %.1f |", PERCENT * row->machine);
	(void)printf(" %.1f | %+.1f |", PERCENT * row->p95, PERCENT * row->bias);
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
	(void)fflush(stdout);
}

static void report_json_row(const char *name, const struct error_row *row)
{
	(void)printf(",\"%s\":{\"mean\":%.5f,\"machine\":%.5f,\"p95\":%.5f,\"bias\":%.5f}", name,
		     row->mean, row->machine, row->p95, row->bias);
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
		}
		(void)printf("}\n");
	}
	(void)fflush(stdout);
}

static void report_heading(struct error_table *tables[HOST_CLASS_COUNT], const char *what)
{
	(void)printf("\n### %s, mean error\n\n| %% |", what);
	for (size_t i = 0; i < HOST_CLASS_COUNT; i++)
		if (tables[i] != NULL)
			(void)printf(" %s |", host_class_names[i]);
	(void)printf("\n|---|");
	for (size_t i = 0; i < HOST_CLASS_COUNT; i++)
		if (tables[i] != NULL)
			(void)printf("---|");
	(void)printf("\n");
}

static void report_means(struct error_table *tables[HOST_CLASS_COUNT], size_t models,
			 struct error_row (*column)(struct error_table *table, size_t model))
{
	for (size_t model = 0; model < models; model++) {
		(void)printf("| %s |", trial_model_name(model));
		for (size_t i = 0; i < HOST_CLASS_COUNT; i++) {
			struct error_row row;

			if (tables[i] == NULL)
				continue;
			row = column(tables[i], model);
			if (row.bias > -1)
				(void)printf(" %.1f |", PERCENT * row.mean);
			else
				(void)printf("  |");
		}
		(void)printf("\n");
	}
}

void accuracy_report_summary(struct error_table *tables[HOST_CLASS_COUNT])
{
	report_heading(tables, "Total");
	report_means(tables, TRIAL_MODEL_COUNT, error_table_total);
	report_heading(tables, "Dynamic part");
	report_means(tables, TRIAL_MODEL_COUNT, error_table_dynamic);
	report_heading(tables, "Static power");
	report_means(tables, TRIAL_OURS_COUNT, error_table_static);
}
