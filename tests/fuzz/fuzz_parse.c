/* Numbers, durations and powers; what is refused leaves its output alone. */
#include "common/parse.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int (*const parsers[])(const char *, uint64_t *) = {
	    parse_u64, parse_u64_line, parse_duration_ns, parse_power_uw};
	char *text = fuzz_text(data, size);
	const char *cursor = text;
	uint64_t value;
	uint32_t narrow;
	bool flag;

	for (size_t i = 0; i < sizeof(parsers) / sizeof(parsers[0]); i++) {
		value = 4711;
		FUZZ_CHECK(parsers[i](text, &value) == 0 || value == 4711);
	}
	(void)parse_u32(text, &narrow);
	(void)parse_hex_u32(text, &narrow);
	(void)parse_bool(text, &flag);
	while (parse_next_u64(&cursor, &value) == 0)
		FUZZ_CHECK(cursor > text && cursor <= text + strlen(text));
	free(text);
	return 0;
}
