/* CPU lists and topology ids of sysfs. */
#include "common/topology.h"
#include "common/topology_internal.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	const char *cursor = text;
	struct topology_range range;
	uint32_t id;

	for (const char *before = text; topology_list_next(&cursor, &range) == 0; before = cursor) {
		FUZZ_CHECK(cursor > before);
		FUZZ_CHECK(range.first <= range.last);
		FUZZ_CHECK(range.last < TOPOLOGY_CPU_MAX);
	}
	(void)topology_parse_id(text, 0, &id);
	free(text);
	return 0;
}
