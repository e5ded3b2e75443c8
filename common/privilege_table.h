/*
 * privilege_table.h: what each process may ask of the kernel, as packaging/seccomp says it.
 *
 * A foundation: made of those files when Wattport is compiled (cmake/seccomp.cmake), handed to
 * privilege_filter() by the process that the table is named after.
 */
#ifndef WATTPORT_COMMON_PRIVILEGE_TABLE_H
#define WATTPORT_COMMON_PRIVILEGE_TABLE_H

#include <stddef.h>
#include <stdint.h>

#define PRIVILEGE_CONDITION_MAX 3
#define PRIVILEGE_INT		0xffffffff /* the mask of an argument that is an int */

/* Holds if the argument, of which only the bits of the mask are looked at, has the value. */
struct privilege_condition {
	unsigned argument;
	uint64_t mask;
	uint64_t value;
};

struct privilege_call {
	int number; /* SCMP_SYS() */
	int deny;   /* 0: allowed where all conditions hold; else the errno it fails with */
	unsigned condition_count;
	struct privilege_condition conditions[PRIVILEGE_CONDITION_MAX];
};

struct privilege_table {
	const char *name;
	const struct privilege_table *used; /* whose calls belong to it, too; NULL: none */
	size_t count;
	const struct privilege_call *calls;
};

extern const struct privilege_table privilege_table_base;
extern const struct privilege_table privilege_table_wattportd;
extern const struct privilege_table privilege_table_wattportd_remote;
extern const struct privilege_table privilege_table_wattport_fs_keeper;
extern const struct privilege_table privilege_table_wattport_fs_worker;
extern const struct privilege_table privilege_table_wattport_fs_plain;
extern const struct privilege_table privilege_table_wattport_exporter;
extern const struct privilege_table privilege_table_wattport_agent;
extern const struct privilege_table privilege_table_wattport_agent_outputs;

#endif
