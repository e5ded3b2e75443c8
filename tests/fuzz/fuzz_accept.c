/* Accept and Accept-Encoding, as any HTTP client may send them. */
#include "common/accept.h"
#include "common/metrics.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct accept_media media = {"text", "plain", "0.0.4"};
	char *text = fuzz_text(data, size);

	FUZZ_CHECK(accept_media_quality(text, &media) <= ACCEPT_QUALITY_MAX);
	FUZZ_CHECK(accept_coding_quality(text, "gzip") <= ACCEPT_QUALITY_MAX);
	FUZZ_CHECK(metrics_negotiate(text) <= METRICS_OPENMETRICS);
	free(text);
	return 0;
}
