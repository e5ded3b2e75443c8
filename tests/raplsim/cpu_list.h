/* The kernel's CPU lists ("0-3,8"), as in devices/system/cpu/online and in topology files.
 * Pure; any thread. */
#pragma once

#include <stddef.h>

#define CPU_LIST_CPUS_MAX 4096

/* Parses a list, a newline at its end allowed, into ascending CPU numbers. Returns how many,
 * -EINVAL if it is malformed or not ascending, -E2BIG past CPU_LIST_CPUS_MAX. */
int cpu_list_parse(const char *text, unsigned int cpus[CPU_LIST_CPUS_MAX]);

/* Writes the list of count ascending CPUs without a newline. Returns its length, -ENOBUFS if it
 * does not fit. */
int cpu_list_format(const unsigned int *cpus, size_t count, char *text, size_t size);
