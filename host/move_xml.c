#include "host/move_xml.h"
#include "common/cleanup.h"
#include "common/parse.h"
#include "host/xml_tree.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOVE_XML_NAME	 "account"
#define MOVE_XML_VERSION "1"

/* Where a counter's numbers stand. */
static const struct {
	const char *name;
	size_t offset;
} move_xml_numbers[] = {
    {"told", offsetof(struct move_counter, told_uj)},
    {"room", offsetof(struct move_counter, room_uj)},
    {"power", offsetof(struct move_counter, power_uw)},
    {"full", offsetof(struct move_counter, full_uw)},
};
#define MOVE_XML_NUMBER_COUNT (sizeof(move_xml_numbers) / sizeof(move_xml_numbers[0]))

int move_xml_format(const struct move_record *record, char **ret_text)
{
	char machine[UUID_TEXT_SIZE], ledger[UUID_TEXT_SIZE], name[ZONE_ID_SIZE];
	cleanup_free char *text = NULL;
	cleanup_file FILE *stream = NULL;
	size_t size;

	assert(move_record_is_sane(record));
	stream = open_memstream(&text, &size);
	if (stream == NULL)
		return -ENOMEM;
	uuid_format(&record->machine, machine);
	uuid_format(&record->ledger, ledger);
	(void)fprintf(stream,
		      "<" MOVE_XML_NAME " version='" MOVE_XML_VERSION "' machine='%s' ledger='%s' "
		      "serial='%" PRIu64 "' generation='%" PRIu64 "' written='%" PRIu64
		      "' period='%" PRIu64 "'>",
		      machine, ledger, record->serial, record->generation, record->written_ns,
		      record->period_ms);
	for (size_t i = 0; i < LEDGER_COUNTER_MAX; i++) {
		const struct move_counter *counter = &record->counters[i];

		if (counter->told_uj == 0)
			continue;
		ledger_counter_name(i, name);
		(void)fprintf(stream,
			      "<zone name='%s' told='%" PRIu64 "' room='%" PRIu64
			      "' power='%" PRIu64 "' full='%" PRIu64 "'/>",
			      name, counter->told_uj, counter->room_uj, counter->power_uw,
			      counter->full_uw);
	}
	(void)fputs("</" MOVE_XML_NAME ">", stream);
	return cleanup_take_text(&stream, &text, ret_text);
}

/* A whole number is required there. */
static int move_xml_number(const xmlNode *element, const char *name, uint64_t *ret_value)
{
	cleanup_xml_text xmlChar *text = xml_tree_attribute(element, name);

	return text != NULL ? parse_u64((const char *)text, ret_value) : -EINVAL;
}

static int move_xml_uuid(const xmlNode *element, const char *name, struct uuid *ret_uuid)
{
	cleanup_xml_text xmlChar *text = xml_tree_attribute(element, name);

	return text != NULL ? uuid_parse((const char *)text, ret_uuid) : -EINVAL;
}

/* Which counter it is: its name, taken apart. */
static int move_xml_counter(const xmlNode *zone, size_t *ret_counter)
{
	cleanup_xml_text xmlChar *text = xml_tree_attribute(zone, "name");
	const char *cursor = (const char *)text;
	char name[ZONE_ID_SIZE];
	enum zone_kind kind;
	uint32_t socket;
	size_t length;

	if (text == NULL || strlen(cursor) >= sizeof(name))
		return -EINVAL;
	length = strcspn(cursor, "-");
	memcpy(name, cursor, length);
	name[length] = '\0';
	if (zone_kind_parse(name, &kind) < 0)
		return -EINVAL;
	if (kind == ZONE_PSYS) {
		*ret_counter = LEDGER_COUNTER_PSYS;
		return cursor[length] == '\0' ? 0 : -EINVAL;
	}
	if (cursor[length] != '-' || parse_u32(cursor + length + 1, &socket) < 0 ||
	    socket >= LEDGER_SOCKET_MAX)
		return -EINVAL;
	*ret_counter = LEDGER_COUNTER_COUNT((size_t)socket) + (size_t)kind;
	return 0;
}

/* Each zone once: what is said twice was not written by us. */
static int move_xml_read_zone(const xmlNode *zone, struct move_record *record)
{
	struct move_counter counter = {.told_uj = 0};
	size_t index;

	if (move_xml_counter(zone, &index) < 0 || record->counters[index].told_uj != 0)
		return -EINVAL;
	for (size_t i = 0; i < MOVE_XML_NUMBER_COUNT; i++) {
		uint64_t value;

		if (move_xml_number(zone, move_xml_numbers[i].name, &value) < 0)
			return -EINVAL;
		memcpy((char *)&counter + move_xml_numbers[i].offset, &value, sizeof(value));
	}
	if (counter.told_uj == 0)
		return -EINVAL;
	record->counters[index] = counter;
	return 0;
}

/* From that node on, the first of our namespace with that name. */
static const xmlNode *move_xml_next(const xmlNode *node, const char *name)
{
	while (node != NULL && !(node->type == XML_ELEMENT_NODE && node->ns != NULL &&
				 strcmp((const char *)node->ns->href, MOVE_XML_NAMESPACE) == 0 &&
				 strcmp((const char *)node->name, name) == 0))
		node = node->next;
	return node;
}

static int move_xml_read_record(const xmlNode *element, struct move_record *record)
{
	if (!xml_tree_attribute_is(element, "version", MOVE_XML_VERSION) ||
	    move_xml_uuid(element, "machine", &record->machine) < 0 ||
	    move_xml_uuid(element, "ledger", &record->ledger) < 0 ||
	    move_xml_number(element, "serial", &record->serial) < 0 ||
	    move_xml_number(element, "generation", &record->generation) < 0 ||
	    move_xml_number(element, "written", &record->written_ns) < 0 ||
	    move_xml_number(element, "period", &record->period_ms) < 0)
		return -EINVAL;
	for (const xmlNode *zone = move_xml_next(element->children, "zone"); zone != NULL;
	     zone = move_xml_next(zone->next, "zone"))
		if (move_xml_read_zone(zone, record) < 0)
			return -EINVAL;
	return move_record_is_sane(record) ? 0 : -EINVAL;
}

int move_xml_read(const char *text, size_t size, const struct uuid *machine,
		  struct move_record **ret_record, struct diag *diag)
{
	cleanup_document xmlDoc *document = NULL;
	cleanup_free struct move_record *record = NULL;
	const xmlNode *metadata, *element;
	int status;

	/* Most domains have none, and a document is parsed but once for the roster. */
	if (memmem(text, size, MOVE_XML_NAMESPACE, strlen(MOVE_XML_NAMESPACE)) == NULL)
		return -ENOENT;
	status = xml_tree_parse(text, size, "domain", &document, diag);
	if (status < 0)
		return status;
	metadata = xml_tree_child(xmlDocGetRootElement(document), "metadata");
	element = metadata != NULL ? move_xml_next(metadata->children, MOVE_XML_NAME) : NULL;
	if (element == NULL)
		return -ENOENT;
	record = calloc(1, sizeof(*record));
	if (record == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	if (move_xml_read_record(element, record) < 0)
		return diag_error(diag, -EINVAL,
				  "the record of its energy in its <metadata> cannot be believed: "
				  "it is of another version, or was not written by wattportd");
	if (!uuid_equal(&record->machine, machine))
		return diag_error(
		    diag, -EXDEV,
		    "the record of its energy in its <metadata> is another machine's, "
		    "of which it is a copy");
	*ret_record = TAKE_PTR(record);
	return 0;
}
