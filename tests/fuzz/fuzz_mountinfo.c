/* The kernel's list of mounts: names in it are whatever somebody mounted. */
#include "common/mountinfo.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mountinfo mountinfo = {.text = NULL};
	const struct mountinfo_entry *on;

	if (mountinfo_parse(fuzz_text(data, size), &mountinfo) < 0)
		return 0;
	FUZZ_CHECK(mountinfo.count <= MOUNTINFO_ENTRY_MAX);
	on = mountinfo_on(&mountinfo, "/sys/class/powercap");
	if (on != NULL)
		FUZZ_CHECK(strcmp(on->point, "/sys/class/powercap") == 0);
	for (size_t i = 0; i < mountinfo.count && i < 16; i++)
		if (mountinfo.entries[i].point[0] == '/')
			(void)mountinfo_at(&mountinfo, mountinfo.entries[i].point);
	mountinfo_finish(&mountinfo);
	return 0;
}
