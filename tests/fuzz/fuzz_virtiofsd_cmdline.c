/* /proc/PID/cmdline of a virtiofsd. */
#include "fusefs/virtiofsd_cmdline.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[UUID_TEXT_SIZE];
	struct uuid uuid;

	if (virtiofsd_cmdline_identify((const char *)data, size, &uuid) < 0)
		return 0;
	uuid_format(&uuid, text);
	FUZZ_CHECK(memmem(data, size, text, strlen(text)) != NULL);
	return 0;
}
