/*
 * compat.h: the same numbers by other tools' names, for dashboards and rules that know those.
 *
 * Beside the agent's own metrics on /metrics, when asked for with --compat. Names, labels, units
 * and types are those of one version of each tool, which its file names; docs/compat-metrics.md
 * lists them, and a test holds it against these tables. Pure: safe in any thread.
 */
#ifndef WATTPORT_GUEST_COMPAT_H
#define WATTPORT_GUEST_COMPAT_H

#include "common/diag.h"
#include "common/metrics.h"
#include "guest/accounts_view.h"

#include <stddef.h>
#include <stdint.h>

struct compat_machine {
	const struct accounts_view *view;
	const char *host;     /* this machine's name */
	const char *sys_path; /* of its /sys */
};

struct compat_metric {
	struct metrics_family family;
	const char *labels; /* for the document: "zone, path"; or "" */
	const char *same;   /* what of ours is the same number */
};

struct compat_tool {
	const char *name; /* "scaphandre" */
	const char *version;
	const char *origin; /* where its names are written: repository and file */
	const struct compat_metric *list;
	size_t count;
	void (*write)(struct metrics *metrics, const struct compat_machine *machine);
};

extern const struct compat_tool compat_scaphandre;
extern const struct compat_tool compat_node;
extern const struct compat_tool compat_kepler;

/* Entry `index`, or NULL behind the last. */
const struct compat_tool *compat_list(size_t index);

/* "none", or names with spaces between them, as bits 1 << index; -EINVAL. */
int compat_parse(const char *text, uint32_t *ret_tools, struct diag *diag);

/* Writes nothing where the figures are not measured now. */
void compat_write_metrics(struct metrics *metrics, uint32_t tools,
			  const struct compat_machine *machine);

/* The kind of a zone, and its package: of "dram-1" and "package-1-die-0" it is 1, of "psys" 0. */
enum zone_kind compat_zone_kind(const char *id);
uint32_t compat_zone_package(const char *id);

/* "/sys/class/powercap/intel-rapl:0:1" */
#define COMPAT_PATH_SIZE 512
void compat_zone_path(const struct compat_machine *machine, const struct meter_zone *zone,
		      char ret_path[static COMPAT_PATH_SIZE]);

#endif
