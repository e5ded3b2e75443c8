#include "fusefs/tree_table.h"
#include "tests/fuzz/fuzz.h"

/* What a guest can hand in: a name in a directory, and (through a file handle) any node id. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vtree_values values = {.source = "replay"};
	struct {
		uint64_t id;
		uint8_t sockets, flags;
	} head = {0};
	char name[256] = "", text[VTREE_CONTENT_SIZE];
	struct vtree_attributes attributes;
	struct vtree_entry entry;
	struct tree_node node;

	memcpy(&head, data, size < sizeof(head) ? size : sizeof(head));
	if (size > sizeof(head))
		memcpy(name, data + sizeof(head),
		       size - sizeof(head) < 255 ? size - sizeof(head) : 255);
	values.shape = (struct vtree_shape){1 + head.sockets % VTREE_SOCKET_MAX,
					    head.flags & 1,
					    head.flags & 2,
					    head.flags & 4,
					    head.flags & 8,
					    head.flags & 16};
	node = tree_node_unpack(head.id);
	(void)vtree_attributes(&values.shape, node.node, &attributes);
	(void)vtree_link(&values.shape, node.node, text);
	(void)vtree_content(&values, node.node, text);
	for (size_t i = 0; vtree_list(&values.shape, node.node, i, &entry) == 0; i++)
		(void)vtree_lookup(&values.shape, entry.node, name, &node.node);
	(void)vtree_lookup(&values.shape, node.node, name, &node.node);
	return 0;
}
