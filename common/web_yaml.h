/*
 * web_yaml.h: YAML as web_config.c needs it: one document of mappings, lists and words.
 *
 * Parsed by libyaml, which builds the document without recursion and makes of an alias the node
 * itself, so that neither depth nor aliases of aliases cost anything here. Every refusal begins
 * with "FILE:LINE". No state.
 */
#ifndef WATTPORT_COMMON_WEB_YAML_H
#define WATTPORT_COMMON_WEB_YAML_H

#include "common/diag.h"

#include <stddef.h>
#include <yaml.h>

#define WEB_YAML_ENTRY_MAX 1024 /* of one mapping or list */

struct web_yaml {
	const char *path; /* for messages */
	yaml_document_t document;
	struct diag *diag;
};

/* The first document; to be finished where this returns 0. */
int web_yaml_init(struct web_yaml *yaml, const char *path, const char *text, size_t size,
		  struct diag *diag);
void web_yaml_finish(struct web_yaml *yaml);

/* The document's node, or NULL where it is empty. */
const yaml_node_t *web_yaml_root(struct web_yaml *yaml);

/* Where a node stands, for people: the first line is 1. */
int web_yaml_line(const yaml_node_t *node);

/* Returns -EINVAL, with "FILE:LINE: TEXT" in the diag. */
int web_yaml_refuse(struct web_yaml *yaml, const yaml_node_t *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A word; nothing, null and ~ are empty. It lives as long as the document. `name` is its key. */
int web_yaml_text(struct web_yaml *yaml, const yaml_node_t *node, const char *name,
		  const char **ret_text);

/* One entry of a mapping (its key) or of a list (`name` is the list's): 0 or -EINVAL. */
typedef int web_yaml_visit(struct web_yaml *yaml, void *context, const char *name,
			   const yaml_node_t *value);

/* Every entry in turn, no key twice. Nothing and null are empty. */
int web_yaml_mapping(struct web_yaml *yaml, const yaml_node_t *node, const char *name,
		     web_yaml_visit *visit, void *context);
int web_yaml_list(struct web_yaml *yaml, const yaml_node_t *node, const char *name,
		  web_yaml_visit *visit, void *context);

#endif
