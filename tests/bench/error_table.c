#include "tests/bench/error_table.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define P95 0.95

struct error_point {
	double error; /* |E - T| / T */
	double weight;
};

struct error_host {
	double idle_w;
	double found_w[TRIAL_OURS_COUNT];
};

struct error_table {
	size_t vm_count, vm_capacity;
	struct trial_vm *vms;
	struct error_point *points; /* room for the work of one row */
	size_t host_count, host_capacity;
	struct error_host *hosts;
};

int error_table_create(struct error_table **ret_table)
{
	*ret_table = calloc(1, sizeof(**ret_table));
	return *ret_table == NULL ? -ENOMEM : 0;
}

void error_table_destroy(struct error_table *table)
{
	if (table == NULL)
		return;
	free(table->vms);
	free(table->points);
	free(table->hosts);
	free(table);
}

static int error_table_reserve(struct error_table *table, size_t vms)
{
	size_t hosts = table->host_count + 1;
	void *grown;

	if (vms < hosts)
		vms = hosts;
	if (vms <= table->vm_capacity && hosts <= table->host_capacity)
		return 0;
	grown = realloc(table->vms, 2 * vms * sizeof(table->vms[0]));
	if (grown == NULL)
		return -ENOMEM;
	table->vms = grown;
	grown = realloc(table->points, 2 * vms * sizeof(table->points[0]));
	if (grown == NULL)
		return -ENOMEM;
	table->points = grown;
	table->vm_capacity = 2 * vms;
	grown = realloc(table->hosts, 2 * hosts * sizeof(table->hosts[0]));
	if (grown == NULL)
		return -ENOMEM;
	table->hosts = grown;
	table->host_capacity = 2 * hosts;
	return 0;
}

int error_table_add(struct error_table *table, const struct trial_result *result)
{
	int status = error_table_reserve(table, table->vm_count + result->vm_count);
	struct error_host *host;

	if (status < 0)
		return status;
	host = &table->hosts[table->host_count++];
	host->idle_w = result->idle_w;
	for (size_t i = 0; i < TRIAL_OURS_COUNT; i++)
		host->found_w[i] = result->idle_found_w[i];
	for (size_t i = 0; i < result->vm_count; i++)
		table->vms[table->vm_count++] = result->vms[i];
	return 0;
}

size_t error_table_hosts(const struct error_table *table)
{
	return table->host_count;
}

size_t error_table_machines(const struct error_table *table)
{
	return table->vm_count;
}

static int error_compare(const void *left, const void *right)
{
	const struct error_point *a = left, *b = right;

	return (a->error > b->error) - (a->error < b->error);
}

static double error_quantile(struct error_point points[], size_t count, double part)
{
	double total = 0, sum = 0;

	for (size_t i = 0; i < count; i++)
		total += points[i].weight;
	qsort(points, count, sizeof(points[0]), error_compare);
	for (size_t i = 0; i < count; i++) {
		sum += points[i].weight;
		if (sum >= part * total)
			return points[i].error;
	}
	return 0;
}

static struct error_row error_table_row(struct error_table *table, size_t model, bool dynamic)
{
	struct error_row row = {.mean = 0};
	double sum = 0, alike = 0;
	size_t count = 0, points = 0;

	for (size_t i = 0; i < table->vm_count; i++) {
		const struct trial_vm *vm = &table->vms[i];
		double truth_j = dynamic ? vm->truth.dynamic_j : vm->truth.total_j;
		double found_j = dynamic ? vm->found[model].dynamic_j : vm->found[model].total_j;
		double error_j = fabs(found_j - truth_j);

		sum += truth_j;
		row.mean += error_j;
		row.bias += found_j - truth_j;
		if (truth_j <= 0)
			continue;
		table->points[points++] =
		    (struct error_point){.error = error_j / truth_j, .weight = truth_j};
		if (truth_j < ERROR_DYNAMIC_MIN * vm->truth.total_j)
			continue;
		alike += error_j / truth_j;
		count++;
	}
	if (sum > 0 && count > 0) {
		row.mean /= sum;
		row.bias /= sum;
		row.machine = alike / (double)count;
		row.p95 = error_quantile(table->points, points, P95);
	}
	return row;
}

struct error_row error_table_total(struct error_table *table, size_t model)
{
	return error_table_row(table, model, false);
}

struct error_row error_table_dynamic(struct error_table *table, size_t model)
{
	return error_table_row(table, model, true);
}

struct error_row error_table_static(struct error_table *table, size_t model)
{
	struct error_row row = {.mean = 0};

	for (size_t i = 0; i < table->host_count; i++) {
		const struct error_host *host = &table->hosts[i];
		double error = (host->found_w[model] - host->idle_w) / host->idle_w;

		row.mean += fabs(error) / (double)table->host_count;
		row.bias += error / (double)table->host_count;
		table->points[i] = (struct error_point){.error = fabs(error), .weight = 1};
	}
	row.p95 = error_quantile(table->points, table->host_count, P95);
	return row;
}
