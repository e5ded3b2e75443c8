/*
 * xml_text.h: an XML document as a tree and as the text that it came from, side by side.
 *
 * A foundation of xml_edit.c: libxml2 says what a document means but not where in the text it
 * stands (lines alone, and no column), and printing its tree again would change quotes, white space
 * and entities that are not ours. So the text is scanned for its tags a second time, and each
 * element of the tree is paired with the place where it was found. Safe in any thread.
 */
#ifndef WATTPORT_HOST_XML_TEXT_H
#define WATTPORT_HOST_XML_TEXT_H

#include "common/diag.h"

#include <libxml/tree.h>
#include <stdbool.h>
#include <stddef.h>

/* Offsets in the text. */
struct xml_span {
	size_t begin;	    /* the `<` of the start tag */
	size_t content;	    /* behind the start tag */
	size_t content_end; /* the `<` of the end tag */
	size_t end;	    /* behind the end tag */
	bool empty;	    /* <element/>: content, content_end and end are one */
};

struct xml_text;

/*
 * `text` must live as long as *ret_document, which the caller gives to xml_text_destroy(). The root
 * is <`root`>, of no namespace. -EINVAL and -EFBIG as xml_tree_parse(); -EINVAL, too, for a
 * document that is in no encoding that its bytes show.
 */
int xml_text_parse(const char *text, const char *root, struct xml_text **ret_document,
		   struct diag *diag);
void xml_text_destroy(struct xml_text *document);

const char *xml_text_source(const struct xml_text *document);
xmlNode *xml_text_root(const struct xml_text *document);

/* Where the element stands. */
struct xml_span xml_text_span(const xmlNode *element);

/* Where the white space before `offset` begins; `offset` itself where there is none. */
size_t xml_text_space_before(const struct xml_text *document, size_t offset);

/* Whether there is nothing but white space between the offsets. */
bool xml_text_is_space(const struct xml_text *document, size_t begin, size_t end);

static inline void cleanup_xml_document_value(struct xml_text *const *document)
{
	xml_text_destroy(*document);
}
#define cleanup_xml_document __attribute__((cleanup(cleanup_xml_document_value)))

#endif
