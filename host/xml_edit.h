/*
 * xml_edit.h: elements put into the text of an XML document and taken out, all else left as it is.
 *
 * A foundation of attach_xml.c. Changes are collected against the text as it was and made at once;
 * white space, quotes, comments and entities outside of them stay byte for byte. What was put in
 * and is taken out again leaves the text as it was before. Safe in any thread.
 */
#ifndef WATTPORT_HOST_XML_EDIT_H
#define WATTPORT_HOST_XML_EDIT_H

#include "host/xml_text.h"

#define XML_EDIT_MAX 64 /* changes in one document; -E2BIG behind that */

struct xml_edit;

/* `document` must live as long. The caller gives it to xml_edit_destroy(). -ENOMEM. */
int xml_edit_create(const struct xml_text *document, struct xml_edit **ret_edit);
void xml_edit_destroy(struct xml_edit *edit);

/*
 * Puts `fragment` into `parent`: behind the last child of the last of the `before` names that it
 * has (a list that ends with NULL), else as the first; with no list behind the last child. In the
 * fragment a newline with tabs stands for a line with that many more steps of indentation; both are
 * made as the neighbours have them, or left out where these stand on one line.
 */
int xml_edit_put(struct xml_edit *edit, const xmlNode *parent, const char *const *before,
		 const char *fragment);

/* A fragment in an element of its own, as a fragment; the caller frees it. -ENOMEM. */
int xml_edit_wrap(const char *name, const char *fragment, char **ret_fragment);

/* What happens to a parent in which nothing but white space is left. */
enum xml_edit_parent {
	XML_EDIT_KEEP,
	XML_EDIT_CLOSE, /* it becomes <parent/> */
	XML_EDIT_TAKE,	/* it goes as well */
};

/* Takes children of `parent` out, in their order, each with the white space before it. */
int xml_edit_take(struct xml_edit *edit, const xmlNode *parent, const xmlNode *const *children,
		  size_t count, enum xml_edit_parent rest);

/* The changed text, which the caller frees. */
int xml_edit_apply(const struct xml_edit *edit, char **ret_text);

/* Writes `text` as it must stand between single quotes. -EINVAL: XML cannot carry it. */
int xml_edit_quote(FILE *stream, const char *text);

static inline void cleanup_xml_edit_value(struct xml_edit *const *edit)
{
	xml_edit_destroy(*edit);
}
#define cleanup_xml_edit __attribute__((cleanup(cleanup_xml_edit_value)))

#endif
