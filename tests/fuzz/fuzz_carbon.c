/* A carbon intensity, in whatever a file or a command of the user's brings. */
#include "common/carbon.h"
#include "common/carbon_reading.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct wall_time now = {UINT64_C(1717157400) * CLOCK_NS_PER_SECOND};
	char *text = fuzz_text(data, size);
	struct carbon_reading reading;
	struct diag diag = DIAG_INIT;

	if (carbon_reading_parse(text, size, now, &reading, &diag) < 0) {
		FUZZ_CHECK(strlen(diag.text) > 0);
	} else {
		FUZZ_CHECK(reading.intensity_mg_per_kwh <= CARBON_MG_PER_KWH_MAX);
		FUZZ_CHECK(reading.time.ns <= now.ns + CARBON_READING_AHEAD_NS);
		for (const char *c = reading.source; *c != '\0'; c++)
			FUZZ_CHECK(*c >= ' ' && *c <= '~');
	}
	free(text);
	return 0;
}
