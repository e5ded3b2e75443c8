/* The table of equivalents, as any operator may edit it. */
#include "common/equivalents.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_equivalents struct equivalents *table = NULL;
	char *text = fuzz_text(data, size), shown[EQUIVALENT_TEXT_SIZE];
	struct diag diag = DIAG_INIT;

	if (equivalents_parse("file", text, &table, &diag) < 0) {
		FUZZ_CHECK(strncmp(diag.text, "file:", 5) == 0);
	} else {
		FUZZ_CHECK(equivalents_count(table) <= EQUIVALENTS_MAX);
		for (uint64_t energy_uj = 1; energy_uj < UINT64_MAX / 1000; energy_uj *= 1000) {
			(void)equivalents_choose(table, energy_uj);
			for (size_t i = 0; i < equivalents_count(table); i++)
				FUZZ_CHECK(strlen(equivalent_text(equivalents_get(table, i),
								  energy_uj, shown)) > 0);
		}
	}
	free(text);
	return 0;
}
