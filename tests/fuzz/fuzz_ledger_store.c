#include "common/cleanup.h"
#include "common/ledger_store.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_ledger struct ledger *ledger = NULL;

	if (ledger_create(&ledger) == 0)
		(void)ledger_store_decode(data, size, ledger);
	return 0;
}
