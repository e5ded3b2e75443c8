/* Scripted faults: what a file answers instead of its content. Set by commands, asked by the mount
 * at each open and each read from the start of a file. Pure; one thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAULTS_DELAY_MS_MAX 60000
#define FAULTS_FOREVER	    UINT64_MAX

enum fault_kind {
	FAULT_NONE,
	FAULT_EIO,
	FAULT_ENODATA,
	FAULT_EACCES,	/* Refused at open, and on a kept descriptor at read. */
	FAULT_GARBAGE,	/* A line that is not a number. */
	FAULT_EMPTY,	/* No byte at all. */
	FAULT_MISSING,	/* No such name; ENODEV on a kept descriptor. */
	FAULT_FREEZE,	/* The last value again and again. */
	FAULT_BACKWARD, /* A joule less at every read. */
	FAULT_SLOW,	/* The right answer, late. */
};

struct fault {
	enum fault_kind kind;
	uint64_t delay_ms;
	uint64_t reads_left; /* Heals after so many; FAULTS_FOREVER. */
};

struct faults;

/* Reads "eio", ..., "slow:20". -EINVAL if there is no such fault. */
int fault_parse(const char *text, struct fault *ret_fault);

/* One fault at most for each of node_count files. 0 or -ENOMEM. */
int faults_create(size_t node_count, struct faults **ret_faults);
void faults_destroy(struct faults *faults);

void faults_set(struct faults *faults, size_t node, struct fault fault);
void faults_clear(struct faults *faults);

/* Whether the name is missing. Looking it up counts as one of the fault's reads, listing it in its
 * directory does not. */
bool faults_hides(const struct faults *faults, size_t node);
bool faults_lookup_fails(struct faults *faults, size_t node);

/* 0, or -EACCES, which counts as one of the fault's reads. */
int faults_open(struct faults *faults, size_t node);

/* A read from the start: text is a string with the true content and becomes what is served.
 * Returns the length, or the -errno to answer. ret_delay_ms says how late the answer is. */
int faults_read(struct faults *faults, size_t node, char *text, size_t size,
		uint64_t *ret_delay_ms);
