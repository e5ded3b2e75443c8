#include "common/cleanup.h"
#include "fusefs/access.h"
#include "tests/fuzz/fuzz.h"

/* The kernel's text, but a process may choose its own name in it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_free char *text = fuzz_text(data, size);

	FUZZ_CHECK(access_parse_process(text) >= 0);
	return 0;
}
