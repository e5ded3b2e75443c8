/*
 * doctor.h: what this host can do for Wattport, and the command that mends what it cannot.
 *
 * Behind `wattport doctor`. Looks only, changes nothing; the daemon need not run. The checks are in
 * doctor_host.c (the machine) and doctor_service.c (libvirt and Wattport itself). One thread.
 */
#ifndef WATTPORT_HOST_DOCTOR_H
#define WATTPORT_HOST_DOCTOR_H

#include "common/clock.h"
#include "common/settings.h"
#include "common/sysroot.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define DOCTOR_CHECK_MAX   48
#define DOCTOR_ID_SIZE	   32
#define DOCTOR_TEXT_SIZE   512
#define DOCTOR_REMEDY_SIZE 256

enum doctor_result {
	DOCTOR_OK,
	DOCTOR_WARN, /* works, but less well, or not yet */
	DOCTOR_FAIL, /* as it is, Wattport cannot work here */
};

struct doctor_check {
	char id[DOCTOR_ID_SIZE]; /* "source.powercap": for programs, stays the same */
	enum doctor_result result;
	char text[DOCTOR_TEXT_SIZE];
	char remedy[DOCTOR_REMEDY_SIZE]; /* empty: nothing to mend */
};

struct doctor {
	size_t count;
	struct doctor_check checks[DOCTOR_CHECK_MAX];
};

struct doctor_context {
	const struct sysroot *root;
	const struct clock *clock;
	const struct settings *settings;
	const char *runtime_dir;
};

/* Runs all checks, in the order in which they are shown. */
void doctor_run(const struct doctor_context *context, struct doctor *ret_doctor);

/* Whether nothing has failed. */
bool doctor_works(const struct doctor *doctor);

/* "ok", "warn", "fail": literals. */
const char *doctor_result_name(enum doctor_result result);

void doctor_print(FILE *stream, const struct doctor *doctor);

/* JSON text, to be freed by the caller; NULL: out of memory. */
char *doctor_json(const struct doctor *doctor);

/* Adds a finding; past the maximum it is dropped. `remedy` NULL: none. */
void doctor_add(struct doctor *doctor, const char *id, enum doctor_result result,
		const char *remedy, const char *format, ...) __attribute__((format(printf, 5, 6)));

#endif
