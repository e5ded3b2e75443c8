/* What /proc says of a process: the kernel's text, but a process may choose its own name in it. */
#include "common/cleanup.h"
#include "fusefs/process_text.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_free char *text = fuzz_text(data, size);
	char machine[PROCESS_MACHINE_SIZE];
	struct process_status status;

	if (process_status_parse(text, &status) == 0)
		FUZZ_CHECK(status.process > 0 && status.user != (uid_t)-1);
	if (process_machine_parse(text, machine))
		FUZZ_CHECK(machine[0] != '\0' && strstr(text, machine) != NULL);
	return 0;
}
