/* A configuration file, by the table of the settings. */
#include "common/settings.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("config", MFD_CLOEXEC);
	struct settings settings;
	struct diag diag = DIAG_INIT;
	char path[32];

	FUZZ_CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (settings_load(path, NULL, &settings, &diag) == 0)
		FUZZ_CHECK(settings.meter_period_ns > 0 &&
			   memchr(settings.vms_uri, '\0', sizeof(settings.vms_uri)) != NULL);
	else
		FUZZ_CHECK(strstr(diag.text, path) != NULL);
	(void)close(fd);
	return 0;
}
