/*
 * agent.h: the commands of wattport-agent and the options that they share.
 *
 * agent_main.c reads the shared options and hands over to one command; each parses the rest of its
 * arguments by itself. Each command returns the process's exit status: 0; 1 failed, with what to
 * do on stderr; 2 usage (which argp itself ends with).
 */
#ifndef WATTPORT_GUEST_AGENT_H
#define WATTPORT_GUEST_AGENT_H

#include "common/clock.h"
#include "common/meaning.h"
#include "common/sysroot.h"
#include "guest/accounts.h"
#include "guest/meter.h"

#include <argp.h>

#define AGENT_EXIT_FAILED 1
#define AGENT_EXIT_USAGE  2

struct agent {
	const char *sysroot;
	const char *at; /* where the tree is, or is to be, mounted */
	enum meter_source source;
	bool at_given;	   /* as an option, which comes before the configuration */
	bool source_given; /* the same */
	const struct clock *clock;
};

/* A child parser with a struct agent as its input: --sysroot and --at; the second adds --source. */
extern const struct argp agent_place_argp;
extern const struct argp agent_argp;

/* What energy means: a child parser with a struct agent_meaning as its input. */
struct agent_meaning {
	struct meaning_options options;
	const char *config; /* of which what they leave open is taken; NULL: the service's */
};

extern const struct argp agent_meaning_argp;

/*
 * What holds for the service. Where its own file is wrong says so and goes on without it: a typo
 * there must not cost a measurement. One that was named must be right: else -errno.
 */
struct agent_settings;
int agent_read_settings(const struct agent_meaning *meaning, struct agent_settings *ret_settings);

/*
 * Options before settings, which outlive it; to be closed. Says why where something cannot be had:
 * without an intensity -errno is returned; without a table there are no equivalents.
 */
int agent_open_meaning(const struct agent *agent, const struct agent_meaning *meaning,
		       const struct agent_settings *settings, struct meaning *ret_meaning);

/* Prints "wattport-agent: TEXT" and returns AGENT_EXIT_FAILED. */
int agent_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Opens the root and a meter on it. On failure says why and returns -errno. */
int agent_open_meter(const struct agent *agent, struct sysroot **ret_root,
		     struct meter **ret_meter);

/* argv[0] is the command's name. */
int agent_mount(struct agent *agent, int argc, char **argv);
int agent_status(struct agent *agent, int argc, char **argv);
int agent_exec(struct agent *agent, int argc, char **argv);
int agent_session(struct agent *agent, int argc, char **argv);
int agent_top(struct agent *agent, int argc, char **argv);

/* The service: what the program does without a command. */
int agent_serve(const struct agent *agent, const struct agent_settings *settings);

#endif
