/*
 * xml_tree.h: small steps through libxml2's trees, and the one safe way into them.
 *
 * A foundation of domain_xml.c (which reads domains) and attach_xml.c (which edits them). No state:
 * safe in any thread.
 */
#ifndef WATTPORT_HOST_XML_TREE_H
#define WATTPORT_HOST_XML_TREE_H

#include "common/diag.h"

#include <libxml/tree.h>
#include <stdbool.h>
#include <stddef.h>

#define XML_TREE_SIZE_MAX (4U << 20)

/*
 * Parses a document whose root must be <`root`>: no network, no DTD, no entities of its own; white
 * space is kept. The caller frees it with xmlFreeDoc(). -EINVAL or -EFBIG with the reason.
 */
int xml_tree_parse(const char *text, size_t size, const char *root, xmlDoc **ret_document,
		   struct diag *diag);

/* The first child element of that name and no namespace; NULL: none, also without a parent. */
xmlNode *xml_tree_child(const xmlNode *parent, const char *name);

/* The next sibling of that name behind `node`, or NULL. */
xmlNode *xml_tree_next(const xmlNode *node, const char *name);

/* Whether the element (NULL: no) has the attribute with exactly that value. */
bool xml_tree_attribute_is(const xmlNode *node, const char *name, const char *value);

/* A copy of an attribute, to be freed with xmlFree(); NULL: none. */
xmlChar *xml_tree_attribute(const xmlNode *node, const char *name);

static inline void cleanup_document_value(xmlDoc *const *document)
{
	xmlFreeDoc(*document);
}
#define cleanup_document __attribute__((cleanup(cleanup_document_value)))

static inline void cleanup_xml_text_value(xmlChar *const *text)
{
	xmlFree(*text);
}
#define cleanup_xml_text __attribute__((cleanup(cleanup_xml_text_value)))

#endif
