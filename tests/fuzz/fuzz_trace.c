/* A trace: the first line is the head, each other a sample; what was read is written again. */
#include "common/trace.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size), *written = NULL;
	size_t used = strcspn(text, "\n");
	struct trace_head head;
	struct sample sample;

	if (trace_parse_head(text, used, &head, NULL) == 0) {
		FUZZ_CHECK(sample_init(&sample, head.topology->cpu_count) == 0);
		while (used < size) {
			const char *line = text + used + 1;
			size_t length = strcspn(line, "\n");

			used += length + 1;
			if (trace_parse_sample(line, length, &head, &sample, NULL) < 0)
				continue;
			FUZZ_CHECK(trace_format_sample(&head, &sample, &written) == 0);
			free(written);
		}
		sample_finish(&sample);
		trace_head_finish(&head);
	}
	free(text);
	return 0;
}
