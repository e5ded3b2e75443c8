/*
 * error_table.h: the errors of all models over many hosts of a class.
 *
 * With T the true energy of a machine in what counts, E what a model gave it:
 *
 *   mean    sum |E - T| / sum T            over all machines of the class: weighted by energy
 *   machine mean of |E - T| / T            each machine alike, however small
 *   p95     95 % of all energy belongs to machines whose |E - T| / T is at most this
 *   bias    sum (E - T) / sum T
 *
 * once for a machine's total, once for its dynamic part, and both again for psys, over the machines
 * of those hosts that have it (trial.h tells what is true of it); machines that used less than
 * ERROR_DYNAMIC_MIN of their total dynamically are left out of the latter's `machine`. The static
 * power's error is |found - true| / true of a host's packages, or of psys.
 */
#ifndef WATTPORT_TESTS_BENCH_ERROR_TABLE_H
#define WATTPORT_TESTS_BENCH_ERROR_TABLE_H

#include "tests/bench/trial.h"

#include <stdio.h>

#define ERROR_DYNAMIC_MIN 0.02

struct error_row {
	double mean, machine, p95, bias; /* of 1 */
};

struct error_table;

int error_table_create(struct error_table **ret_table);
void error_table_destroy(struct error_table *table);

/* 0 or -ENOMEM. */
int error_table_add(struct error_table *table, const struct trial_result *result);

size_t error_table_hosts(const struct error_table *table);
size_t error_table_machines(const struct error_table *table);
struct error_row error_table_total(struct error_table *table, size_t model);
struct error_row error_table_dynamic(struct error_table *table, size_t model);

/* Of one of our models; only mean, p95 and bias. */
struct error_row error_table_static(struct error_table *table, size_t model);

/* The same of psys: hosts that have it, and one of our models. */
size_t error_table_psys_hosts(const struct error_table *table);
struct error_row error_table_psys_total(struct error_table *table, size_t model);
struct error_row error_table_psys_dynamic(struct error_table *table, size_t model);
struct error_row error_table_psys_static(struct error_table *table, size_t model);

#endif
