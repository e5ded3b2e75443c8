#include "host/attach_record.h"
#include "common/cleanup.h"
#include "common/parse.h"
#include "host/xml_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ATTACH_RECORD_NAMESPACE "urn:wattport:attach:1"
#define ATTACH_RECORD_NAME	"attach"

const char *attach_parent_name(enum attach_parent parent)
{
	static const char *const names[ATTACH_PARENT_COUNT] = {
	    [ATTACH_PARENT_METADATA] = "metadata",
	    [ATTACH_PARENT_MEMORY] = "memoryBacking",
	    [ATTACH_PARENT_DEVICES] = "devices",
	};

	return names[parent];
}

bool attach_record_is(const xmlNode *node)
{
	return node->type == XML_ELEMENT_NODE && node->ns != NULL &&
	       strcmp((const char *)node->ns->href, ATTACH_RECORD_NAMESPACE) == 0 &&
	       strcmp((const char *)node->name, ATTACH_RECORD_NAME) == 0;
}

/* Whether the attribute, a list of words, has the word. */
static bool attach_record_has(const xmlNode *element, const char *attribute, const char *word)
{
	cleanup_xml_text xmlChar *text = xml_tree_attribute(element, attribute);
	const char *cursor = (const char *)text;

	while (cursor != NULL && *cursor != '\0') {
		size_t size = strcspn(cursor, " ");

		if (size == strlen(word) && strncmp(cursor, word, size) == 0)
			return true;
		cursor += size;
		cursor += strspn(cursor, " ");
	}
	return false;
}

/* Whether the attribute is a number. */
static bool attach_record_number(const xmlNode *element, const char *attribute, uint32_t *ret_value)
{
	cleanup_xml_text xmlChar *text = xml_tree_attribute(element, attribute);

	return text != NULL && parse_u32((const char *)text, ret_value) == 0;
}

void attach_record_read(const xmlNode *metadata, struct attach_record *ret_record)
{
	const xmlNode *element = metadata != NULL ? metadata->children : NULL;
	struct attach_record record = {.users = 0};

	while (element != NULL && !attach_record_is(element))
		element = element->next;
	record.source = attach_record_has(element, "memory", "source");
	record.access = attach_record_has(element, "memory", "access");
	record.has_ports = attach_record_number(element, "ports", &record.ports);
	(void)attach_record_number(element, "users", &record.users);
	for (enum attach_parent i = 0; i < ATTACH_PARENT_COUNT; i++) {
		if (attach_record_has(element, "made", attach_parent_name(i)))
			record.parents[i] = XML_EDIT_TAKE;
		else if (attach_record_has(element, "opened", attach_parent_name(i)))
			record.parents[i] = XML_EDIT_CLOSE;
	}
	*ret_record = record;
}

bool attach_record_is_needed(const struct attach_record *record)
{
	return record->source || record->access || record->has_ports ||
	       record->parents[ATTACH_PARENT_DEVICES] != XML_EDIT_KEEP;
}

static void attach_record_write_parents(FILE *stream, const struct attach_record *record,
					const char *attribute, enum xml_edit_parent which)
{
	const char *separator = "";

	for (enum attach_parent i = 0; i < ATTACH_PARENT_COUNT; i++) {
		if (record->parents[i] != which)
			continue;
		if (separator[0] == '\0')
			(void)fprintf(stream, " %s='", attribute);
		(void)fprintf(stream, "%s%s", separator, attach_parent_name(i));
		separator = " ";
	}
	if (separator[0] != '\0')
		(void)fputc('\'', stream);
}

int attach_record_format(const struct attach_record *record, char **ret_element)
{
	cleanup_free char *text = NULL;
	cleanup_file FILE *stream = NULL;
	size_t size;

	stream = open_memstream(&text, &size);
	if (stream == NULL)
		return -ENOMEM;
	(void)fputs("<wattport:" ATTACH_RECORD_NAME " xmlns:wattport='" ATTACH_RECORD_NAMESPACE "'",
		    stream);
	if (record->source || record->access)
		(void)fprintf(stream, " memory='%s%s%s'", record->source ? "source" : "",
			      record->source && record->access ? " " : "",
			      record->access ? "access" : "");
	if (record->users > 0)
		(void)fprintf(stream, " users='%u'", record->users);
	if (record->has_ports)
		(void)fprintf(stream, " ports='%u'", record->ports);
	attach_record_write_parents(stream, record, "made", XML_EDIT_TAKE);
	attach_record_write_parents(stream, record, "opened", XML_EDIT_CLOSE);
	(void)fputs("/>", stream);
	return cleanup_take_text(&stream, &text, ret_element);
}
