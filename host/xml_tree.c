#include "host/xml_tree.h"
#include "common/cleanup.h"

#include <errno.h>
#include <libxml/parser.h>
#include <string.h>

/* No network, no DTD, no entity substitution; errors come back as a status, not on stderr. */
#define XML_TREE_OPTIONS (XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING)

int xml_tree_parse(const char *text, size_t size, const char *root, xmlDoc **ret_document,
		   struct diag *diag)
{
	cleanup_document xmlDoc *document = NULL;
	const xmlNode *node;

	if (size > XML_TREE_SIZE_MAX)
		return diag_error(diag, -EFBIG, "the XML is larger than %u bytes",
				  XML_TREE_SIZE_MAX);
	document = xmlReadMemory(text, (int)size, NULL, NULL, XML_TREE_OPTIONS);
	if (document == NULL)
		return diag_error(diag, -EINVAL, "the XML is not well-formed");
	/* libvirt writes no DTD; reading one's entities back could grow without bounds. */
	if (xmlGetIntSubset(document) != NULL)
		return diag_error(diag, -EINVAL, "the XML has a document type");
	node = xmlDocGetRootElement(document);
	if (node == NULL || strcmp((const char *)node->name, root) != 0)
		return diag_error(diag, -EINVAL, "the XML is not a <%s>", root);
	*ret_document = TAKE_PTR(document);
	return 0;
}

static xmlNode *xml_tree_first(xmlNode *node, const char *name)
{
	for (; node != NULL; node = node->next)
		if (node->type == XML_ELEMENT_NODE && node->ns == NULL &&
		    strcmp((const char *)node->name, name) == 0)
			return node;
	return NULL;
}

xmlNode *xml_tree_child(const xmlNode *parent, const char *name)
{
	return parent != NULL ? xml_tree_first(parent->children, name) : NULL;
}

xmlNode *xml_tree_next(const xmlNode *node, const char *name)
{
	return xml_tree_first(node->next, name);
}

xmlChar *xml_tree_attribute(const xmlNode *node, const char *name)
{
	return node != NULL ? xmlGetNoNsProp(node, (const xmlChar *)name) : NULL;
}

bool xml_tree_attribute_is(const xmlNode *node, const char *name, const char *value)
{
	cleanup_xml_text xmlChar *text = xml_tree_attribute(node, name);

	return text != NULL && strcmp((const char *)text, value) == 0;
}
