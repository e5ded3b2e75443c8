#include "common/cleanup.h"
#include "common/utf8.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_free char *text = fuzz_text(data, size);
	char copy[16];
	size_t length;

	utf8_copy(copy, sizeof(copy), text);
	for (const char *cursor = copy; *cursor != '\0'; cursor += length) {
		length = utf8_length(cursor);
		if (length == 0)
			abort();
	}
	return 0;
}
