/*
 * config.h: INI files and --section.key=value arguments, checked key by key against a table.
 *
 * A foundation. A table of `struct config_key` describes what a program takes; values land in the
 * caller's struct at the offsets that the table names. Every key has a default in text form, which
 * goes through the same checks. What is unknown, malformed, out of range or without its unit is
 * refused, with file, line and what is allowed. Files are parsed by libinih. One thread.
 */
#ifndef WATTPORT_COMMON_CONFIG_H
#define WATTPORT_COMMON_CONFIG_H

#include "common/diag.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_TEXT_SIZE    256
#define CONFIG_OVERRIDE_MAX 64

enum config_type {
	CONFIG_CHOICE,	 /* uint32_t: the index of the word in choices[] */
	CONFIG_BOOL,	 /* bool: yes or no */
	CONFIG_COUNT,	 /* uint32_t, from minimum to maximum */
	CONFIG_DURATION, /* uint64_t, nanoseconds: "20ms", "1s", from minimum to maximum */
	CONFIG_POWER,	 /* struct config_power: "auto", or "12.5W" from minimum to maximum */
	CONFIG_TEXT,	 /* char[CONFIG_TEXT_SIZE] */
};

struct config_power {
	bool given; /* false: auto */
	uint64_t power_uw;
};

struct config_key {
	const char *section;
	const char *name;
	enum config_type type;
	size_t offset;
	const char *fallback;	    /* the default */
	const char *const *choices; /* CONFIG_CHOICE: ends in NULL */
	uint64_t minimum;	    /* in the unit of the stored value */
	uint64_t maximum;
	const char *allowed; /* for messages: "a duration from 10ms to 60s" */
	const char *summary; /* for the shipped file and the documentation */
};

/* A row of a table whose values land in `member` of a `struct target`. */
#define CONFIG_KEY(target, member, section_, name_, type_, fallback_, ...)                         \
	{                                                                                          \
		.section = (section_), .name = (name_), .type = (type_),                           \
		.offset = offsetof(struct target, member), .fallback = (fallback_), __VA_ARGS__    \
	}

/* What a CONFIG_POWER key allows: each says how its own may look, "23.5W". */
#define CONFIG_POWER_UW_MAX  UINT64_C(100000000000)
#define CONFIG_POWER_ALLOWED "auto, or a power up to 100kW with its unit: "

/* --section.key=value arguments, kept by pointer into argv. */
struct config_overrides {
	size_t count;
	const char *arguments[CONFIG_OVERRIDE_MAX];
};

/*
 * Takes the arguments of the form --section.key=value (up to a "--") out of argv before argp sees
 * it. -E2BIG past CONFIG_OVERRIDE_MAX.
 */
int config_extract(int *argc, char **argv, struct config_overrides *ret_overrides,
		   struct diag *diag);

/* Puts every default into `target`; a default that its own check refuses is a programmer's error.
 */
void config_defaults(const struct config_key keys[], size_t count, void *target);

/*
 * Reads a file over what `target` holds. A missing file is an error (-ENOENT) only if `required`.
 * On any error `target` may be partly changed: throw it away.
 */
int config_read_file(const struct config_key keys[], size_t count, const char *path, bool required,
		     void *target, struct diag *diag);

/* Applies the overrides; the same errors. */
int config_apply(const struct config_key keys[], size_t count,
		 const struct config_overrides *overrides, void *target, struct diag *diag);

/* What a file or an argument says. */
struct config_entry {
	const char *section;
	const char *name;
	const char *value;
};

/* One value: -ENOENT for an unknown key, -EINVAL, -ERANGE. */
int config_set(const struct config_key keys[], size_t count, const struct config_entry *entry,
	       void *target, struct diag *diag);

#endif
