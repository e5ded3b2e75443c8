/* Saved accounts as they lie on disk, damaged or not; and the same records behind a right head. */
#include "common/ledger_layout.h"
#include "common/ledger_store.h"
#include "tests/fuzz/fuzz.h"

#include <zlib.h>

/* As in ledger_store.c. */
struct head {
	char magic[8];
	uint32_t version, crc;
	uint64_t vm_count;
	struct ledger_layout layout;
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
	struct head head = {"WWPSTORE", LEDGER_VERSION, 0, size / sizeof(struct ledger_vm),
			    ledger_layout_own(LEDGER_SOCKET_MAX)};
	size_t whole =
	    sizeof(head) + sizeof(struct ledger_host) + head.vm_count * sizeof(struct ledger_vm);
	char *text = calloc(1, whole);

	decode(data, size);
	FUZZ_CHECK(text != NULL);
	if (size > sizeof(head))
		memcpy(text + sizeof(head), data + sizeof(head),
		       (size < whole ? size : whole) - sizeof(head));
	memcpy(text, &head, sizeof(head));
	head.crc = (uint32_t)crc32_z(crc32_z(0, (unsigned char *)&head.version, 4),
				     (unsigned char *)text + 16, whole - 16);
	memcpy(text, &head, sizeof(head));
	decode(text, whole);
	free(text);
	return 0;
}
