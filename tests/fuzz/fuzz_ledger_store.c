/* Saved accounts as they lie on disk, damaged or not; and the same records behind a right head. */
#include "common/ledger_store.h"
#include "tests/fuzz/fuzz.h"

#include <zlib.h>

/* As in ledger_store.c. */
struct head {
	char magic[8];
	uint32_t version, crc;
	uint64_t host_size, vm_size, vm_count;
};

static void decode(const void *data, size_t size)
{
	struct ledger *ledger = NULL;

	FUZZ_CHECK(ledger_create(&ledger) == 0);
	if (ledger_store_decode(data, size, ledger) >= 0)
		FUZZ_CHECK(ledger_host(ledger)->zone_count <= ZONE_MAX);
	ledger_destroy(ledger);
}

/* The head of whole records of this version, so that seeds of any other still lead somewhere. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct head head = {"WWPSTORE",
			    LEDGER_VERSION,
			    0,
			    sizeof(struct ledger_host),
			    sizeof(struct ledger_vm),
			    size / sizeof(struct ledger_vm)};
	size_t whole = sizeof(head) + head.host_size + head.vm_count * head.vm_size;
	char *text = calloc(1, whole);

	decode(data, size);
	FUZZ_CHECK(text != NULL);
	if (size > sizeof(head))
		memcpy(text + sizeof(head), data + sizeof(head),
		       (size < whole ? size : whole) - sizeof(head));
	head.crc = (uint32_t)crc32_z(0, (unsigned char *)text + sizeof(head), whole - sizeof(head));
	memcpy(text, &head, sizeof(head));
	decode(text, whole);
	free(text);
	return 0;
}
