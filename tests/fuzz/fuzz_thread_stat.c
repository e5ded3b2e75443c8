/* The stat, schedstat and comm of a thread, and a kernel's release. */
#include "common/thread_stat.h"
#include "host/kernel_release.h"
#include "host/thread_time.h"
#include "host/vhost_scan.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	struct kernel_release release;
	struct thread_stat stat;
	uint64_t time_ns;
	uint32_t vcpu;
	int32_t pid;

	if (thread_stat_parse(text, &stat) == 0)
		FUZZ_CHECK(stat.cpu != UINT32_MAX && strchr(text, ')') != NULL);
	(void)thread_schedstat_parse(text, &time_ns);
	if (thread_role_of(text, &vcpu) == THREAD_VCPU)
		FUZZ_CHECK(strncmp(text, "CPU ", 4) == 0);
	(void)kernel_release_parse(text, &release);
	if (vhost_scan_owner(text, &pid) == 0)
		FUZZ_CHECK(pid > 0);
	free(text);
	return 0;
}
