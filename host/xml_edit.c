#include "host/xml_edit.h"
#include "common/cleanup.h"
#include "common/utf8.h"
#include "host/xml_tree.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The text from `begin` to `end` becomes `text`. */
struct xml_splice {
	size_t begin, end;
	char *text;
};

struct xml_edit {
	const struct xml_text *document;
	struct xml_splice splices[XML_EDIT_MAX];
	size_t count;
};

int xml_edit_create(const struct xml_text *document, struct xml_edit **ret_edit)
{
	struct xml_edit *edit = calloc(1, sizeof(*edit));

	if (edit == NULL)
		return -ENOMEM;
	edit->document = document;
	*ret_edit = edit;
	return 0;
}

void xml_edit_destroy(struct xml_edit *edit)
{
	if (edit == NULL)
		return;
	for (size_t i = 0; i < edit->count; i++)
		free(edit->splices[i].text);
	free(edit);
}

/* Takes `text` over. Kept in the order of the text; those at one place in the order they came. */
static int xml_edit_add(struct xml_edit *edit, size_t begin, size_t end, char *text)
{
	size_t i = edit->count;

	if (edit->count == XML_EDIT_MAX) {
		free(text);
		return -E2BIG;
	}
	for (; i > 0 && edit->splices[i - 1].begin > begin; i--)
		edit->splices[i] = edit->splices[i - 1];
	edit->splices[i] = (struct xml_splice){.begin = begin, .end = end, .text = text};
	edit->count++;
	return 0;
}

int xml_edit_apply(const struct xml_edit *edit, char **ret_text)
{
	const char *source = xml_text_source(edit->document);
	cleanup_free char *text = NULL;
	cleanup_file FILE *stream = NULL;
	size_t size, done = 0;

	stream = open_memstream(&text, &size);
	if (stream == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < edit->count; i++) {
		const struct xml_splice *splice = &edit->splices[i];

		assert(splice->begin >= done);
		(void)fwrite(source + done, 1, splice->begin - done, stream);
		(void)fputs(splice->text, stream);
		done = splice->end;
	}
	(void)fputs(source + done, stream);
	return cleanup_take_text(&stream, &text, ret_text);
}

/* A part of the document's text, or a literal. */
struct xml_part {
	const char *text;
	size_t size;
};

/* How lines are begun in a parent; an empty `line`: all stands on one. */
struct xml_style {
	struct xml_part line; /* the newline and the indentation */
	struct xml_part step; /* one step more */
	unsigned int steps;   /* from `line` to the parent's children */
};

/* The end of line and the indentation before an element; empty where it does not begin its line. */
static struct xml_part xml_edit_line(const struct xml_text *document, const xmlNode *element)
{
	const char *text = xml_text_source(document);
	size_t end = xml_text_span(element).begin;
	size_t space = xml_text_space_before(document, end);
	size_t begin = end;

	while (begin > space && text[begin - 1] != '\n')
		begin--;
	if (begin == space)
		return (struct xml_part){.text = text + end, .size = 0};
	begin--;
	if (begin > space && text[begin - 1] == '\r')
		begin--;
	return (struct xml_part){.text = text + begin, .size = end - begin};
}

static struct xml_part xml_edit_indentation(struct xml_part line)
{
	size_t newline = strspn(line.text, "\r\n");

	return (struct xml_part){.text = line.text + newline, .size = line.size - newline};
}

/* What a child's indentation has more than its parent's. */
static struct xml_part xml_edit_step(struct xml_part parent, struct xml_part child)
{
	struct xml_part outer = xml_edit_indentation(parent), inner = xml_edit_indentation(child);

	if (inner.size <= outer.size || strncmp(inner.text, outer.text, outer.size) != 0)
		return (struct xml_part){.text = "  ", .size = 2};
	return (struct xml_part){.text = inner.text + outer.size, .size = inner.size - outer.size};
}

static const xmlNode *xml_edit_first_element(const xmlNode *parent)
{
	const xmlNode *node = parent->children;

	while (node != NULL && node->type != XML_ELEMENT_NODE)
		node = node->next;
	return node;
}

static const xmlNode *xml_edit_last_element(const xmlNode *parent)
{
	const xmlNode *node = parent->last;

	while (node != NULL && node->type != XML_ELEMENT_NODE)
		node = node->prev;
	return node;
}

static struct xml_style xml_edit_style(const struct xml_text *document, const xmlNode *parent,
				       const xmlNode *anchor)
{
	struct xml_part outer = xml_edit_line(document, parent);
	struct xml_style style = {.line = outer, .steps = 1};
	const xmlNode *child = anchor != NULL ? anchor : xml_edit_first_element(parent);

	if (child != NULL) {
		style.line = xml_edit_line(document, child);
		style.step = xml_edit_step(outer, style.line);
		style.steps = 0;
	} else if (parent->parent->type == XML_ELEMENT_NODE) {
		style.step = xml_edit_step(xml_edit_line(document, parent->parent), outer);
	} else {
		style.step = (struct xml_part){.text = "  ", .size = 2};
	}
	return style;
}

static void xml_edit_write_part(FILE *stream, struct xml_part part)
{
	(void)fwrite(part.text, 1, part.size, stream);
}

static void xml_edit_begin_line(FILE *stream, const struct xml_style *style, size_t steps)
{
	if (style->line.size == 0)
		return;
	xml_edit_write_part(stream, style->line);
	for (size_t i = 0; i < steps; i++)
		xml_edit_write_part(stream, style->step);
}

static void xml_edit_write_fragment(FILE *stream, const struct xml_style *style,
				    const char *fragment)
{
	while (*fragment != '\0') {
		size_t tabs = strspn(fragment, "\t");
		size_t size = strcspn(fragment + tabs, "\n");

		xml_edit_begin_line(stream, style, style->steps + tabs);
		(void)fwrite(fragment + tabs, 1, size, stream);
		fragment += tabs + size;
		fragment += *fragment == '\n';
	}
}

/* The last child of the last name that has any, or NULL. */
static const xmlNode *xml_edit_anchor(const xmlNode *parent, const char *const *before)
{
	const xmlNode *anchor = NULL;

	if (before == NULL)
		return xml_edit_last_element(parent);
	for (; *before != NULL; before++) {
		const xmlNode *node = xml_tree_child(parent, *before);

		for (; node != NULL; node = xml_tree_next(node, *before))
			anchor = node;
	}
	return anchor;
}

int xml_edit_put(struct xml_edit *edit, const xmlNode *parent, const char *const *before,
		 const char *fragment)
{
	const xmlNode *anchor = xml_edit_anchor(parent, before);
	struct xml_style style = xml_edit_style(edit->document, parent, anchor);
	struct xml_span span = xml_text_span(parent);
	size_t at = anchor != NULL ? xml_text_span(anchor).end : span.content;
	cleanup_file FILE *stream = NULL;
	cleanup_free char *text = NULL;
	char *whole;
	size_t size;

	stream = open_memstream(&text, &size);
	if (stream == NULL)
		return -ENOMEM;
	if (span.empty)
		(void)fputc('>', stream);
	xml_edit_write_fragment(stream, &style, fragment);
	if (span.empty) {
		xml_edit_begin_line(stream, &style, 0);
		(void)fprintf(stream, "</%s>", (const char *)parent->name);
	}
	if (cleanup_take_text(&stream, &text, &whole) < 0)
		return -ENOMEM;
	/* An empty element is opened at its "/>". */
	return xml_edit_add(edit, span.empty ? at - 2 : at, at, whole);
}

int xml_edit_wrap(const char *name, const char *fragment, char **ret_fragment)
{
	cleanup_free char *text = NULL;
	cleanup_file FILE *stream = NULL;
	size_t size;

	stream = open_memstream(&text, &size);
	if (stream == NULL)
		return -ENOMEM;
	(void)fprintf(stream, "<%s>\n", name);
	while (*fragment != '\0') {
		size_t line = strcspn(fragment, "\n");

		(void)fprintf(stream, "\t%.*s\n", (int)line, fragment);
		fragment += line;
		fragment += *fragment == '\n';
	}
	(void)fprintf(stream, "</%s>", name);
	return cleanup_take_text(&stream, &text, ret_fragment);
}

static int xml_edit_replace(struct xml_edit *edit, size_t begin, size_t end, const char *text)
{
	char *copy = strdup(text);

	return copy != NULL ? xml_edit_add(edit, begin, end, copy) : -ENOMEM;
}

static int xml_edit_take_one(struct xml_edit *edit, const xmlNode *element)
{
	struct xml_span span = xml_text_span(element);

	return xml_edit_replace(edit, xml_text_space_before(edit->document, span.begin), span.end,
				"");
}

static bool xml_edit_leaves_nothing(const struct xml_edit *edit, const xmlNode *parent,
				    const xmlNode *const *children, size_t count)
{
	struct xml_span span = xml_text_span(parent);
	size_t from = span.content;

	for (size_t i = 0; i < count; i++) {
		struct xml_span child = xml_text_span(children[i]);

		if (!xml_text_is_space(edit->document, from, child.begin))
			return false;
		from = child.end;
	}
	return xml_text_is_space(edit->document, from, span.content_end);
}

int xml_edit_take(struct xml_edit *edit, const xmlNode *parent, const xmlNode *const *children,
		  size_t count, enum xml_edit_parent rest)
{
	struct xml_span span = xml_text_span(parent);

	if (rest != XML_EDIT_KEEP && !span.empty &&
	    xml_edit_leaves_nothing(edit, parent, children, count))
		return rest == XML_EDIT_TAKE
			   ? xml_edit_take_one(edit, parent)
			   : xml_edit_replace(edit, span.content - 1, span.end, "/>");
	for (size_t i = 0; i < count; i++) {
		int status = xml_edit_take_one(edit, children[i]);

		if (status < 0)
			return status;
	}
	return 0;
}

int xml_edit_quote(FILE *stream, const char *text)
{
	while (*text != '\0') {
		size_t length = utf8_length(text);
		unsigned char first = (unsigned char)*text;

		if (length == 0 || (first < ' ' && strchr("\t\r\n", first) == NULL))
			return -EINVAL;
		if (strchr("&<>'\"\t\r\n", first) != NULL)
			(void)fprintf(stream, "&#%u;", first);
		else
			(void)fwrite(text, 1, length, stream);
		text += length;
	}
	return 0;
}
