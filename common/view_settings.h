/*
 * view_settings.h: what the configurations of host and guest say in the same words: what the page
 * for people shows, what energy means, and who may ask.
 *
 * Each of both has them as the last rows of its table and in its struct as the member `view`.
 */
#ifndef WATTPORT_COMMON_VIEW_SETTINGS_H
#define WATTPORT_COMMON_VIEW_SETTINGS_H

#include "common/carbon.h"
#include "common/config.h"
#include "common/equivalents.h"

struct view_settings {
	char charts[CONFIG_TEXT_SIZE];
	char carbon[CONFIG_TEXT_SIZE]; /* or "none" */
	char equivalents[CONFIG_TEXT_SIZE];
	char web_config[CONFIG_TEXT_SIZE]; /* or "none" */
};

/*
 * The rows, in a table of `struct target`; `program` is who answers, for a person. The last one has
 * the name that Prometheus' own exporters give it, so that --web.config.file= is theirs.
 */
#define VIEW_SETTINGS_KEYS(target, program)                                                        \
	CONFIG_KEY(target, view.charts, "http", "charts", CONFIG_TEXT, "auto",                     \
		   .allowed = "auto, none, or a file",                                             \
		   .summary =                                                                      \
		       "the library dygraphs, with which the page for people draws its charts: "   \
		       "auto takes Debian's libjs-dygraphs where it is installed, none shows "     \
		       "tables alone"),                                                            \
	    CONFIG_KEY(target, view.carbon, "meaning", "carbon", CONFIG_TEXT, "none",              \
		       .allowed = "none, or " CARBON_ALLOWED,                                      \
		       .summary = "how much CO2e a kilowatt-hour causes, for grams on the page "   \
				  "for people, in top and in /metrics"),                           \
	    CONFIG_KEY(target, view.equivalents, "meaning", "equivalents", CONFIG_TEXT,            \
		       EQUIVALENTS_PATH, .allowed = "a file",                                      \
		       .summary = "what energy is compared with on the page for people and in "    \
				  "top; without that file the table that is built in"),            \
	    CONFIG_KEY(target, view.web_config, "web", "config.file", CONFIG_TEXT, "none",         \
		       .allowed = "none, or a file",                                               \
		       .summary = "TLS and passwords of " program                                  \
				  ": the file that Prometheus' exporters take with "               \
				  "--web.config.file; without one, plain HTTP for everybody")

#endif
