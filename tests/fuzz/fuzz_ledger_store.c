/* Saved accounts as they lie on disk, damaged or not; and the same records behind a right head. */
#include "common/ledger_store.h"
#include "tests/fuzz/fuzz.h"

#include <zlib.h>

#define HEAD_SIZE 40

static void decode(const char *data, size_t size)
{
	struct ledger *ledger = NULL;

	FUZZ_CHECK(ledger_create(&ledger) == 0);
	if (ledger_store_decode(data, size, ledger) >= 0)
		FUZZ_CHECK(ledger_host(ledger)->zone_count <= ZONE_MAX);
	ledger_destroy(ledger);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);

	decode(text, size);
	if (size > HEAD_SIZE) {
		uint32_t crc = (uint32_t)crc32_z(0, data + HEAD_SIZE, size - HEAD_SIZE);

		memcpy(text + 12, &crc, sizeof(crc));
		decode(text, size);
	}
	free(text);
	return 0;
}
