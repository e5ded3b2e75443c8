#include "common/web_yaml.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int web_yaml_refuse_syntax(const yaml_parser_t *parser, const char *path, struct diag *diag)
{
	const char *problem = parser->problem != NULL ? parser->problem : "out of memory";

	/* A byte that is no UTF-8 has no line of its own yet. */
	return diag_error(diag, parser->error == YAML_MEMORY_ERROR ? -ENOMEM : -EINVAL,
			  "%s:%zu: no YAML: %s", path, parser->problem_mark.line + 1, problem);
}

int web_yaml_init(struct web_yaml *yaml, const char *path, const char *text, size_t size,
		  struct diag *diag)
{
	yaml_parser_t parser;
	int status = 0;

	if (!yaml_parser_initialize(&parser))
		return diag_error(diag, -ENOMEM, "out of memory");
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
	if (!yaml_parser_load(&parser, &yaml->document))
		status = web_yaml_refuse_syntax(&parser, path, diag);
	yaml_parser_delete(&parser);
	yaml->path = path;
	yaml->diag = diag;
	return status;
}

void web_yaml_finish(struct web_yaml *yaml)
{
	yaml_document_delete(&yaml->document);
}

const yaml_node_t *web_yaml_root(struct web_yaml *yaml)
{
	return yaml_document_get_root_node(&yaml->document);
}

int web_yaml_line(const yaml_node_t *node)
{
	return (int)node->start_mark.line + 1;
}

int web_yaml_refuse(struct web_yaml *yaml, const yaml_node_t *node, const char *format, ...)
{
	char text[DIAG_SIZE_MAX];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	return diag_error(yaml->diag, -EINVAL, "%s:%d: %s", yaml->path, web_yaml_line(node), text);
}

/* What YAML writes for nothing at all (yaml.org/type/null). */
static bool web_yaml_is_null(const yaml_node_t *node)
{
	static const char *const words[] = {"", "~", "null", "Null", "NULL"};
	const char *value;

	if (node->type != YAML_SCALAR_NODE || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return false;
	value = (const char *)node->data.scalar.value;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(value, words[i]) == 0)
			return true;
	return false;
}

int web_yaml_text(struct web_yaml *yaml, const yaml_node_t *node, const char *name,
		  const char **ret_text)
{
	const char *text;

	if (node->type != YAML_SCALAR_NODE)
		return web_yaml_refuse(yaml, node, "%s takes one value, not several", name);
	text = (const char *)node->data.scalar.value;
	if (strlen(text) != node->data.scalar.length)
		return web_yaml_refuse(yaml, node, "%s has a NUL in it", name);
	*ret_text = web_yaml_is_null(node) ? "" : text;
	return 0;
}

/* Nodes are numbered from 1. */
static const yaml_node_t *web_yaml_node(struct web_yaml *yaml, int index)
{
	return yaml_document_get_node(&yaml->document, index);
}

static bool web_yaml_is_key(const yaml_node_t *node, const char *name)
{
	return strcmp((const char *)node->data.scalar.value, name) == 0;
}

int web_yaml_mapping(struct web_yaml *yaml, const yaml_node_t *node, const char *name,
		     web_yaml_visit *visit, void *context)
{
	int status = 0;

	if (web_yaml_is_null(node))
		return 0;
	if (node->type != YAML_MAPPING_NODE)
		return web_yaml_refuse(yaml, node, "%s takes keys, each with a value", name);
	if (node->data.mapping.pairs.top - node->data.mapping.pairs.start > WEB_YAML_ENTRY_MAX)
		return web_yaml_refuse(yaml, node, "%s has more than %d entries", name,
				       WEB_YAML_ENTRY_MAX);
	for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
	     status == 0 && pair < node->data.mapping.pairs.top; pair++) {
		const yaml_node_t *key = web_yaml_node(yaml, pair->key);
		const char *text = "";

		if (key->type != YAML_SCALAR_NODE)
			return web_yaml_refuse(yaml, key, "a key of %s is no word", name);
		status = web_yaml_text(yaml, key, "a key", &text);
		if (status < 0)
			return status;
		for (const yaml_node_pair_t *earlier = node->data.mapping.pairs.start;
		     earlier < pair; earlier++)
			if (web_yaml_is_key(web_yaml_node(yaml, earlier->key), text))
				return web_yaml_refuse(yaml, key, "%s is there already", text);
		status = visit(yaml, context, text, web_yaml_node(yaml, pair->value));
	}
	return status;
}

int web_yaml_list(struct web_yaml *yaml, const yaml_node_t *node, const char *name,
		  web_yaml_visit *visit, void *context)
{
	int status = 0;

	if (web_yaml_is_null(node))
		return 0;
	if (node->type != YAML_SEQUENCE_NODE)
		return web_yaml_refuse(yaml, node, "%s takes a list: one entry a line, each \"- \"",
				       name);
	for (const yaml_node_item_t *item = node->data.sequence.items.start;
	     status == 0 && item < node->data.sequence.items.top; item++)
		status = visit(yaml, context, name, web_yaml_node(yaml, *item));
	return status;
}
