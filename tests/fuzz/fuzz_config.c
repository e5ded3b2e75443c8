#include "common/cleanup.h"
#include "common/settings.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_fd int fd = memfd_create("wattport.conf", MFD_CLOEXEC);
	struct diag diag = DIAG_INIT;
	struct settings settings;
	char path[64];

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		return 0;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	(void)settings_load(path, NULL, &settings, &diag);
	return 0;
}
