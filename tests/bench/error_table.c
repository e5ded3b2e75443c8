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

struct error_idle {
	double true_w; /* 0: there is none of it */
	double found_w[TRIAL_OURS_COUNT];
};

struct error_host {
	struct error_idle packages;
	struct error_idle psys;
};

enum error_part {
	ERROR_TOTAL,
	ERROR_DYNAMIC,
	ERROR_PSYS_TOTAL,
	ERROR_PSYS_DYNAMIC,
};

/* One machine, in one part. */
struct error_pair {
	double truth_j;
	double found_j;
	double total_j; /* the truth of all parts */
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
	host->packages.true_w = result->idle_w;
	host->psys.true_w = result->psys_idle_w;
	for (size_t i = 0; i < TRIAL_OURS_COUNT; i++) {
		host->packages.found_w[i] = result->idle_found_w[i];
		host->psys.found_w[i] = result->psys_idle_found_w[i];
	}
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

static struct error_pair error_pair(const struct trial_vm *vm, size_t model, enum error_part part)
{
	struct error_pair pair = {.truth_j = 0};

	switch (part) {
	case ERROR_TOTAL:
		pair = (struct error_pair){vm->truth.total_j, vm->found[model].total_j,
					   vm->truth.total_j};
		break;
	case ERROR_DYNAMIC:
		pair = (struct error_pair){vm->truth.dynamic_j, vm->found[model].dynamic_j,
					   vm->truth.total_j};
		break;
	case ERROR_PSYS_TOTAL:
		pair = (struct error_pair){vm->psys_truth.total_j, vm->psys_found[model].total_j,
					   vm->psys_truth.total_j};
		break;
	case ERROR_PSYS_DYNAMIC:
		pair = (struct error_pair){vm->psys_truth.dynamic_j,
					   vm->psys_found[model].dynamic_j, vm->psys_truth.total_j};
		break;
	}
	return pair;
}

static struct error_row error_table_row(struct error_table *table, size_t model,
					enum error_part part)
{
	struct error_row row = {.mean = 0};
	double sum = 0, alike = 0;
	size_t count = 0, points = 0;

	for (size_t i = 0; i < table->vm_count; i++) {
		const struct trial_vm *vm = &table->vms[i];
		struct error_pair pair = error_pair(vm, model, part);
		double error_j = fabs(pair.found_j - pair.truth_j);

		if ((part == ERROR_PSYS_TOTAL || part == ERROR_PSYS_DYNAMIC) && !vm->has_psys)
			continue;
		sum += pair.truth_j;
		row.mean += error_j;
		row.bias += pair.found_j - pair.truth_j;
		if (pair.truth_j <= 0)
			continue;
		table->points[points++] =
		    (struct error_point){.error = error_j / pair.truth_j, .weight = pair.truth_j};
		if (pair.truth_j < ERROR_DYNAMIC_MIN * pair.total_j)
			continue;
		alike += error_j / pair.truth_j;
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
	return error_table_row(table, model, ERROR_TOTAL);
}

struct error_row error_table_dynamic(struct error_table *table, size_t model)
{
	return error_table_row(table, model, ERROR_DYNAMIC);
}

struct error_row error_table_psys_total(struct error_table *table, size_t model)
{
	return error_table_row(table, model, ERROR_PSYS_TOTAL);
}

struct error_row error_table_psys_dynamic(struct error_table *table, size_t model)
{
	return error_table_row(table, model, ERROR_PSYS_DYNAMIC);
}

static struct error_row error_table_idle(struct error_table *table, size_t model, bool psys)
{
	struct error_row row = {.mean = 0};
	size_t count = 0;

	for (size_t i = 0; i < table->host_count; i++) {
		const struct error_idle *idle =
		    psys ? &table->hosts[i].psys : &table->hosts[i].packages;
		double error = (idle->found_w[model] - idle->true_w) / idle->true_w;

		if (idle->true_w <= 0)
			continue;
		row.mean += fabs(error);
		row.bias += error;
		table->points[count++] = (struct error_point){.error = fabs(error), .weight = 1};
	}
	if (count == 0)
		return row;
	row.mean /= (double)count;
	row.bias /= (double)count;
	row.p95 = error_quantile(table->points, count, P95);
	return row;
}

struct error_row error_table_static(struct error_table *table, size_t model)
{
	return error_table_idle(table, model, false);
}

struct error_row error_table_psys_static(struct error_table *table, size_t model)
{
	return error_table_idle(table, model, true);
}

size_t error_table_psys_hosts(const struct error_table *table)
{
	size_t count = 0;

	for (size_t i = 0; i < table->host_count; i++)
		if (table->hosts[i].psys.true_w > 0)
			count++;
	return count;
}
