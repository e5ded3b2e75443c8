#include "common/cleanup.h"
#include "guest/cgroup_path.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_free char *path = fuzz_text(data, size);
	struct cgroup_identity identity;

	cgroup_path_identify(path, &identity);
	if (identity.unit[0] == '\0' || identity.slice_count > CGROUP_SLICE_MAX ||
	    (identity.container[0] == '\0') != (identity.engine[0] == '\0') ||
	    (identity.job[0] == '\0') != (identity.scheduler[0] == '\0'))
		abort();
	return 0;
}
