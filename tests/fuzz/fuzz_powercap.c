/* What powercap's files and directories are named and say. */
#include "common/powercap_tree.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	struct powercap_place place;
	struct powercap_label label;
	uint64_t raw_uj;

	if (powercap_parse_place(text, &place) == 0)
		FUZZ_CHECK(place.depth == 1 || place.depth == 2);
	if (powercap_parse_label(text, &label) == 0)
		FUZZ_CHECK(label.has_package == (label.kind == ZONE_PACKAGE));
	if (powercap_parse_energy(text, &raw_uj) == 0)
		FUZZ_CHECK(raw_uj <= POWERCAP_RAW_UJ_MAX);
	free(text);
	return 0;
}
