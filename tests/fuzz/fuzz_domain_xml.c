/* The XML of a libvirt domain: read for the roster, edited by attach. */
#include "host/attach_xml.h"
#include "host/domain_xml.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size), *added = NULL, *removed = NULL;
	struct attach_changes changes;
	struct vm_roster_vm vm;

	if (domain_xml_parse((const char *)data, size, &vm, NULL) == 0) {
		FUZZ_CHECK(vm.vcpu_count > 0 && vm.vcpu_count <= VM_ROSTER_VCPU_MAX);
		FUZZ_CHECK(vm.name[0] != '\0');
		for (size_t i = 0; i < vm.vcpu_count; i++)
			FUZZ_CHECK(vm.vcpus[i].socket < vm.socket_count);
		free(vm.vcpus);
	}
	/* What was put in is found again and can be taken out. */
	if (attach_xml_add(text, ATTACH_9P, "/a", &added, &changes, NULL) == 0) {
		FUZZ_CHECK(attach_xml_remove(added, "/a", &removed, &changes, NULL) == 0);
		FUZZ_CHECK(changes.device);
	}
	free(text);
	free(added);
	free(removed);
	return 0;
}
