/* The XML of a libvirt domain: read for the roster, edited by attach. */
#include "host/attach_xml.h"
#include "host/domain_xml.h"
#include "host/move_xml.h"
#include "tests/fuzz/fuzz.h"

/* One detach undoes attach over either transport, whatever was there; a second attach adds nothing.
 */
static void check_attach(const char *text, enum attach_transport transport)
{
	char *bare = NULL, *added = NULL, *again = NULL, *removed = NULL;
	struct attach_changes changes;

	if (attach_xml_add(text, transport, "/a", &added, &changes, NULL) == 0) {
		FUZZ_CHECK(attach_xml_remove(text, "/a", &bare, &changes, NULL) == 0);
		FUZZ_CHECK(attach_xml_add(added, transport, "/a", &again, &changes, NULL) == 0);
		FUZZ_CHECK(!changes.device && strcmp(again, added) == 0);
		FUZZ_CHECK(attach_xml_remove(added, "/a", &removed, &changes, NULL) == 0);
		FUZZ_CHECK(changes.device && strcmp(removed, bare) == 0);
		FUZZ_CHECK(strstr(text, "wattport") != NULL || strcmp(text, bare) == 0);
	}
	free(bare);
	free(added);
	free(again);
	free(removed);
}

/* What is taken for a record could be written again, and means no less than it says. */
static void check_record(const char *data, size_t size, const struct uuid *machine)
{
	struct move_record *record = NULL;
	struct ledger_brought brought;
	char *text = NULL;

	if (move_xml_read(data, size, machine, &record, NULL) < 0)
		return;
	move_record_arrive(record, 1, &brought);
	for (size_t i = 0; i < LEDGER_COUNTER_MAX; i++)
		FUZZ_CHECK(brought.counters[i].floor_uj >= record->counters[i].told_uj);
	FUZZ_CHECK(move_xml_format(record, &text) == 0);
	free(text);
	free(record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	struct vm_roster_vm vm;

	if (domain_xml_parse((const char *)data, size, &vm, NULL) == 0) {
		FUZZ_CHECK(vm.vcpu_count > 0 && vm.vcpu_count <= VM_ROSTER_VCPU_MAX);
		FUZZ_CHECK(vm.name[0] != '\0');
		for (size_t i = 0; i < vm.vcpu_count; i++)
			FUZZ_CHECK(vm.vcpus[i].socket < vm.socket_count);
		free(vm.vcpus);
		check_record((const char *)data, size, &vm.uuid);
	}
	check_attach(text, ATTACH_9P);
	check_attach(text, ATTACH_VIRTIOFS);
	free(text);
	return 0;
}
