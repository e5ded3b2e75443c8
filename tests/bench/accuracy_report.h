/*
 * accuracy_report.h: tables of errors, for people and for programs.
 */
#ifndef WATTPORT_TESTS_BENCH_ACCURACY_REPORT_H
#define WATTPORT_TESTS_BENCH_ACCURACY_REPORT_H

#include "tests/bench/error_table.h"

/* All that is known of a class, as a table; all errors in percent. */
void accuracy_report_class(struct error_table *table, const char *name);

/* A line of JSON for each model; errors are parts of 1. */
void accuracy_report_json(struct error_table *table, const char *name);

/* The mean errors of all classes in one view; a class that was not measured is NULL. */
void accuracy_report_summary(struct error_table *tables[HOST_CLASS_COUNT]);

#endif
