/* The cpu lines of /proc/stat. */
#include "common/cpu_busy_internal.h"
#include "common/topology.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	const char *cursor = text;
	struct cpu_busy_line line;

	for (const char *before = text; cpu_busy_next_line(&cursor, &line) == 0; before = cursor) {
		FUZZ_CHECK(cursor > before);
		FUZZ_CHECK(cursor[-1] == '\n');
		FUZZ_CHECK(line.cpu < TOPOLOGY_CPU_MAX);
		for (size_t i = 0; i < CPU_BUSY_REST_COUNT; i++)
			FUZZ_CHECK(line.rest_ticks[i] <= line.total_ticks);
	}
	free(text);
	return 0;
}
