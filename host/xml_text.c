#include "host/xml_text.h"
#include "common/cleanup.h"
#include "host/xml_tree.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define XML_SPACE " \t\r\n"

struct xml_text {
	const char *text;
	xmlDoc *tree;
	struct xml_span *spans; /* of all elements, in the order of their start tags */
	size_t count;
};

/*
 * The scan knows only as much of XML as it needs, since the parser has accepted the text before: a
 * `<` begins a tag, a comment, a CDATA section or a processing instruction; a `>` ends a tag unless
 * it is in quotes; there is no document type, so no entity can hide a tag.
 */
struct xml_scan {
	const char *text;
	struct xml_span *spans;
	size_t *open; /* the elements that are not closed yet, by index */
	size_t span_count, open_count;
};

static const char *xml_scan_past(const char *cursor, const char *end)
{
	const char *found = strstr(cursor, end);

	return found != NULL ? found + strlen(end) : NULL;
}

/* Behind the `>` of a tag, or NULL. */
static const char *xml_scan_tag_end(const char *cursor)
{
	for (cursor += strcspn(cursor, "\"'>"); *cursor != '\0' && *cursor != '>';
	     cursor += strcspn(cursor, "\"'>")) {
		cursor = strchr(cursor + 1, *cursor);
		if (cursor == NULL)
			return NULL;
		cursor++;
	}
	return *cursor == '>' ? cursor + 1 : NULL;
}

static const char *xml_scan_start_tag(struct xml_scan *scan, const char *cursor)
{
	const char *end = xml_scan_tag_end(cursor);
	struct xml_span *span = &scan->spans[scan->span_count];

	if (end == NULL)
		return NULL;
	*span = (struct xml_span){.begin = (size_t)(cursor - scan->text), .empty = end[-2] == '/'};
	span->content = span->content_end = span->end = (size_t)(end - scan->text);
	if (!span->empty)
		scan->open[scan->open_count++] = scan->span_count;
	scan->span_count++;
	return end;
}

static const char *xml_scan_end_tag(struct xml_scan *scan, const char *cursor)
{
	const char *end = xml_scan_past(cursor, ">");
	struct xml_span *span;

	if (end == NULL || scan->open_count == 0)
		return NULL;
	span = &scan->spans[scan->open[--scan->open_count]];
	span->content_end = (size_t)(cursor - scan->text);
	span->end = (size_t)(end - scan->text);
	return end;
}

/* What begins with the `<` at `cursor`; returns where it ends, NULL where it makes no sense. */
static const char *xml_scan_markup(struct xml_scan *scan, const char *cursor)
{
	if (strncmp(cursor, "<!--", 4) == 0)
		return xml_scan_past(cursor + 4, "-->");
	if (strncmp(cursor, "<![CDATA[", 9) == 0)
		return xml_scan_past(cursor, "]]>");
	if (cursor[1] == '!')
		return NULL;
	if (cursor[1] == '?')
		return xml_scan_past(cursor, "?>");
	if (cursor[1] == '/')
		return xml_scan_end_tag(scan, cursor);
	return xml_scan_start_tag(scan, cursor);
}

static int xml_text_scan(struct xml_text *document)
{
	struct xml_scan scan = {.text = document->text};
	const char *cursor = document->text;
	cleanup_free size_t *open = NULL;
	size_t count = 1; /* at most; the root is one */

	while ((cursor = strchr(cursor, '<')) != NULL) {
		cursor++;
		count++;
	}
	document->spans = calloc(count, sizeof(*document->spans));
	open = calloc(count, sizeof(*open));
	if (document->spans == NULL || open == NULL)
		return -ENOMEM;
	scan.spans = document->spans;
	scan.open = open;
	for (cursor = strchr(document->text, '<'); cursor != NULL; cursor = strchr(cursor, '<')) {
		cursor = xml_scan_markup(&scan, cursor);
		if (cursor == NULL)
			return -EINVAL;
	}
	document->count = scan.span_count;
	return scan.open_count == 0 ? 0 : -EINVAL;
}

/* Whether a start tag at `text` is the element's; the tree has names without their prefix. */
static bool xml_text_is_tag_of(const char *text, const xmlNode *element)
{
	size_t size = strcspn(text + 1, XML_SPACE "/>");
	size_t name_size = strlen((const char *)element->name);

	return size >= name_size &&
	       strncmp(text + 1 + size - name_size, (const char *)element->name, name_size) == 0;
}

/* The element behind `node` in the order of start tags, or NULL. */
static xmlNode *xml_text_next(xmlNode *node)
{
	if (node->type == XML_ELEMENT_NODE && node->children != NULL)
		return node->children;
	while (node != NULL && node->next == NULL)
		node = node->type == XML_DOCUMENT_NODE ? NULL : node->parent;
	return node != NULL ? node->next : NULL;
}

/* Tree and text must tell the same, element by element; else the text is none to edit. */
static int xml_text_pair(struct xml_text *document)
{
	size_t count = 0;

	for (xmlNode *node = xmlDocGetRootElement(document->tree); node != NULL;
	     node = xml_text_next(node)) {
		if (node->type != XML_ELEMENT_NODE)
			continue;
		if (count == document->count ||
		    !xml_text_is_tag_of(document->text + document->spans[count].begin, node))
			return -EINVAL;
		node->_private = &document->spans[count++];
	}
	return count == document->count ? 0 : -EINVAL;
}

static bool xml_text_is_utf8(const xmlDoc *tree)
{
	return tree->encoding == NULL || strcasecmp((const char *)tree->encoding, "UTF-8") == 0;
}

int xml_text_parse(const char *text, const char *root, struct xml_text **ret_document,
		   struct diag *diag)
{
	cleanup_xml_document struct xml_text *document = calloc(1, sizeof(*document));
	int status;

	if (document == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	document->text = text;
	status = xml_tree_parse(text, strlen(text), root, &document->tree, diag);
	if (status < 0)
		return status;
	if (xmlDocGetRootElement(document->tree)->ns != NULL)
		return diag_error(diag, -EINVAL, "the XML is not a <%s>", root);
	if (!xml_text_is_utf8(document->tree))
		return diag_error(diag, -EINVAL, "the XML is not in UTF-8");
	status = xml_text_scan(document);
	if (status == 0)
		status = xml_text_pair(document);
	if (status < 0)
		return diag_error(diag, status, "the text of the XML is not what it means");
	*ret_document = TAKE_PTR(document);
	return 0;
}

void xml_text_destroy(struct xml_text *document)
{
	if (document == NULL)
		return;
	xmlFreeDoc(document->tree);
	free(document->spans);
	free(document);
}

const char *xml_text_source(const struct xml_text *document)
{
	return document->text;
}

xmlNode *xml_text_root(const struct xml_text *document)
{
	return xmlDocGetRootElement(document->tree);
}

struct xml_span xml_text_span(const xmlNode *element)
{
	const struct xml_span *span = element->_private;

	assert(element->type == XML_ELEMENT_NODE);
	assert(span != NULL);
	return *span;
}

size_t xml_text_space_before(const struct xml_text *document, size_t offset)
{
	while (offset > 0 && strchr(XML_SPACE, document->text[offset - 1]) != NULL)
		offset--;
	return offset;
}

bool xml_text_is_space(const struct xml_text *document, size_t begin, size_t end)
{
	return begin + strspn(document->text + begin, XML_SPACE) >= end;
}
