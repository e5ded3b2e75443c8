#include "common/cleanup.h"
#include "guest/process_exits.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct process_exit exit;

	if (process_exits_parse(data, size, &exit) == 0 && exit.pid <= 0)
		abort();
	return 0;
}
