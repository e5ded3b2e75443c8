/* /proc/PID/cmdline of a QEMU. */
#include "common/qemu_cmdline.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qemu_cmdline cmdline;
	struct uuid uuid;

	if (qemu_cmdline_identify((const char *)data, size, &uuid) == 0)
		FUZZ_CHECK(size > 0 && data[size - 1] == '\0');
	if (qemu_cmdline_parse((const char *)data, size, &cmdline) < 0)
		return 0;
	FUZZ_CHECK(cmdline.vcpu_count > 0 && cmdline.vcpu_count <= SAMPLE_VCPU_MAX);
	FUZZ_CHECK(cmdline.vcpus_per_socket > 0);
	FUZZ_CHECK(memchr(cmdline.name, '\0', sizeof(cmdline.name)) != NULL);
	if (qemu_cmdline_derive_uuid(&cmdline, &uuid) == 0)
		FUZZ_CHECK(!uuid_is_nil(&uuid));
	return 0;
}
