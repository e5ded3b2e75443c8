/* move_xml.h and move_writer.h: a record into a domain's metadata and out of it, also of libvirt's
 * test driver; what cannot be believed. */
#include "common/clock.h"
#include "host/move_writer.h"
#include "host/move_xml.h"
#include "tests/unit/check.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>

#define URI	   "test:///default"
#define DOMAIN_MAX 65536
#define TRIES	   5000

static const struct uuid machine = {.bytes = {1, 2, 3}};

/* While it is set, libvirt looks no domain up, and does not say that there is none. */
static atomic_bool refusing;
static atomic_uint looked_up;

virDomainPtr __real_virDomainLookupByUUID(virConnectPtr connection, const unsigned char *uuid);
virDomainPtr __wrap_virDomainLookupByUUID(virConnectPtr connection, const unsigned char *uuid);

virDomainPtr __wrap_virDomainLookupByUUID(virConnectPtr connection, const unsigned char *uuid)
{
	atomic_fetch_add(&looked_up, 1);
	if (!atomic_load(&refusing))
		return __real_virDomainLookupByUUID(connection, uuid);
	virResetLastError();
	return NULL;
}

static void fill(struct move_record *record)
{
	*record = (struct move_record){.machine = machine,
				       .ledger = {.bytes = {7}},
				       .serial = 9,
				       .generation = 3,
				       .written_ns = UINT64_C(1700000000000000000),
				       .period_ms = 60000};
	for (size_t i = 0; i < LEDGER_COUNTER_MAX; i++)
		record->counters[i] = (struct move_counter){1000 + i, 20, 30, 40};
}

/* As libvirt puts the element in: the root gets the namespace. */
static void wrap(const char *element, char *ret_domain)
{
	int length = snprintf(ret_domain, DOMAIN_MAX,
			      "<domain><metadata><other/><account "
			      "xmlns='" MOVE_XML_NAMESPACE "'%.*s</account>"
			      "</metadata></domain>",
			      (int)(strlen(element) - strlen("<account") - strlen("</account>")),
			      element + strlen("<account"));

	assert_in_range(length, 1, DOMAIN_MAX - 1);
}

static int read_record(const char *domain, struct move_record **ret_record)
{
	struct diag diag = DIAG_INIT;
	int status = move_xml_read(domain, strlen(domain), &machine, ret_record, &diag);

	if (status < 0 && status != -ENOENT)
		assert_true(diag.text[0] != '\0');
	return status;
}

static void test_comes_back_as_it_was(void **state)
{
	static char domain[DOMAIN_MAX];
	struct move_record record, *again = NULL;
	char *text = NULL;

	(void)state;
	fill(&record);
	record.counters[5].told_uj = 0;
	assert_int_equal(move_xml_format(&record, &text), 0);
	wrap(text, domain);
	free(text);
	assert_int_equal(read_record(domain, &again), 0);
	CHECK_POINTER(again);
	record.counters[5] = (struct move_counter){0, 0, 0, 0};
	assert_memory_equal(again, &record, sizeof(record));
	free(again);
}

static void test_most_domains_have_none(void **state)
{
	struct move_record *record = NULL;

	(void)state;
	assert_int_equal(read_record("<domain><name>a</name></domain>", &record), -ENOENT);
	assert_int_equal(
	    read_record("<domain><name>" MOVE_XML_NAMESPACE "</name></domain>", &record), -ENOENT);
	assert_int_equal(read_record("<domain><metadata><account xmlns='urn:other'/>"
				     "<a xmlns='" MOVE_XML_NAMESPACE "'/></metadata></domain>",
				     &record),
			 -ENOENT);
}

static void test_a_clone_is_told_apart(void **state)
{
	static char domain[DOMAIN_MAX];
	struct move_record record, *again = NULL;
	char *text = NULL;

	(void)state;
	fill(&record);
	record.machine.bytes[15] = 1;
	assert_int_equal(move_xml_format(&record, &text), 0);
	wrap(text, domain);
	free(text);
	assert_int_equal(read_record(domain, &again), -EXDEV);
}

#define HEAD                                                                                       \
	"<domain><metadata><account xmlns='" MOVE_XML_NAMESPACE "' version='1' "                   \
	"machine='01020300-0000-0000-0000-000000000000' "                                          \
	"ledger='07000000-0000-0000-0000-000000000000' "
#define NUMBERS "serial='1' generation='1' written='1' period='1'"
#define TAIL	"</account></metadata></domain>"
#define GOOD	"told='1' room='1' power='1' full='1'"

static void test_refuses_what_it_would_not_write(void **state)
{
	static const char *const bad[] = {
	    "<domain><metadata><account xmlns='" MOVE_XML_NAMESPACE "'/></metadata></domain>",
	    HEAD "serial='1' generation='1' written='1'>" TAIL,
	    HEAD "serial='-1' generation='1' written='1' period='1'>" TAIL,
	    HEAD "serial='4503599627370497' generation='1' written='1' period='1'>" TAIL,
	    HEAD "serial='1' generation='4294967295' written='1' period='1'>" TAIL,
	    HEAD "serial='1' generation='1' written='99999999999999999999' period='1'>" TAIL,
	    HEAD "serial='1' generation='1' written='1' period='86400001'>" TAIL,
	    HEAD NUMBERS "><zone name='package-64' " GOOD "/>" TAIL,
	    HEAD NUMBERS "><zone name='package--1' " GOOD "/>" TAIL,
	    HEAD NUMBERS "><zone name='package' " GOOD "/>" TAIL,
	    HEAD NUMBERS "><zone name='psys-0' " GOOD "/>" TAIL,
	    HEAD NUMBERS "><zone name='a-very-long-name-of-a-zone-0' " GOOD "/>" TAIL,
	    HEAD NUMBERS "><zone " GOOD "/>" TAIL,
	    HEAD NUMBERS "><zone name='dram-0' told='1' room='1' power='1'/>" TAIL,
	    HEAD NUMBERS "><zone name='dram-0' told='0' room='1' power='1' full='1'/>" TAIL,
	    HEAD NUMBERS "><zone name='dram-0' told='4503599627370497' room='1' power='1' "
			 "full='1'/>" TAIL,
	    HEAD NUMBERS "><zone name='dram-0' told='1' room='1' power='1000000000001' "
			 "full='1'/>" TAIL,
	    HEAD NUMBERS "><zone name='dram-0' " GOOD "/>"
			 "<zone name='dram-0' " GOOD "/>" TAIL,
	};
	struct move_record *record = NULL;

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(bad); i++)
		if (read_record(bad[i], &record) != -EINVAL)
			fail_msg("%zu was believed: %s", i, bad[i]);
	assert_int_equal(read_record(HEAD NUMBERS "><zone name='dram-0' " GOOD "/>" TAIL, &record),
			 0);
	CHECK_POINTER(record);
	assert_int_equal(record->counters[1 + ZONE_DRAM].told_uj, 1);
	free(record);
}

static void test_writes_beside_what_others_wrote(void **state)
{
	static const char other[] = "<note>kept</note>";
	struct move_writer *writer = NULL;
	struct move_record record, *found = NULL;
	struct diag diag = DIAG_INIT;
	virConnectPtr connection = virConnectOpen(URI);
	virDomainPtr domain = virDomainLookupByName(connection, "test");
	char *text = NULL;

	(void)state;
	CHECK_POINTER(domain);
	fill(&record);
	assert_int_equal(virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, other, "other",
					      "urn:other", VIR_DOMAIN_AFFECT_LIVE),
			 0);
	assert_int_equal(virDomainGetUUID(domain, record.machine.bytes), 0);
	assert_int_equal(move_writer_create(URI, &writer), 0);
	assert_int_equal(move_xml_format(&record, &text), 0);
	assert_int_equal(move_writer_put(writer, &record.machine, false, text), 0);
	for (unsigned i = 0; i < TRIES && found == NULL; i++) {
		char *xml = virDomainGetXMLDesc(domain, 0);

		CHECK_POINTER(xml);
		(void)move_xml_read(xml, strlen(xml), &record.machine, &found, NULL);
		free(xml);
		(void)poll(NULL, 0, found == NULL ? 1 : 0);
	}
	CHECK_POINTER(found);
	assert_memory_equal(found, &record, sizeof(record));
	free(found);
	text = virDomainGetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, "urn:other",
				    VIR_DOMAIN_AFFECT_LIVE);
	check_contains(text, "kept");
	free(text);
	assert_int_equal(move_writer_status(writer, &diag), 0);
	move_writer_destroy(writer);
	(void)virDomainFree(domain);
	(void)virConnectClose(connection);
}

static void test_tells_who_cannot_be_reached(void **state)
{
	struct move_writer *writer = NULL;
	struct diag diag = DIAG_INIT;

	(void)state;
	assert_int_equal(move_writer_create("test:///no/such/file", &writer), 0);
	for (size_t i = 0; i < MOVE_WRITER_LETTER_MAX; i++) {
		struct uuid uuid = {.bytes = {(uint8_t)(i >> 8), (uint8_t)i}};

		(void)move_writer_put(writer, &uuid, false, strdup("<account/>"));
	}
	for (unsigned i = 0; i < TRIES && move_writer_status(writer, &diag) == 0; i++)
		(void)poll(NULL, 0, 1);
	assert_int_equal(move_writer_status(writer, &diag), -ECONNREFUSED);
	check_contains(diag.text, "vms.metadata");
	move_writer_destroy(writer);
}

/* As where libvirt's access control forbids it, over a connection that lives. */
static void test_does_not_storm_who_refuses(void **state)
{
	struct mono_time begun = clock_now_mono(clock_real());
	struct move_writer *writer = NULL;
	struct diag diag = DIAG_INIT;
	uint64_t passed_ns;
	unsigned count;

	(void)state;
	atomic_store(&refusing, true);
	atomic_store(&looked_up, 0);
	assert_int_equal(move_writer_create(URI, &writer), 0);
	assert_int_equal(move_writer_put(writer, &machine, false, strdup("<account/>")), 0);
	for (unsigned i = 0; i < TRIES && move_writer_status(writer, &diag) == 0; i++)
		(void)poll(NULL, 0, 1);
	assert_int_equal(move_writer_status(writer, &diag), -ECONNRESET);
	(void)poll(NULL, 0, 50);
	count = atomic_load(&looked_up);
	passed_ns = clock_elapsed_ns(begun, clock_now_mono(clock_real()));
	move_writer_destroy(writer);
	atomic_store(&refusing, false);
	assert_in_range(count, 1, 1 + passed_ns / MOVE_WRITER_RETRY_NS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_comes_back_as_it_was),
	    cmocka_unit_test(test_most_domains_have_none),
	    cmocka_unit_test(test_a_clone_is_told_apart),
	    cmocka_unit_test(test_refuses_what_it_would_not_write),
	    cmocka_unit_test(test_writes_beside_what_others_wrote),
	    cmocka_unit_test(test_tells_who_cannot_be_reached),
	    cmocka_unit_test(test_does_not_storm_who_refuses),
	};

	(void)virEventRegisterDefaultImpl();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
