/* /proc/meminfo and /proc/cpuinfo. */
#include "common/cpu_model.h"
#include "common/memory.h"
#include "common/power_table.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	struct power_figures figures;
	struct cpu_model model;
	struct memory memory;

	if (memory_parse(text, &memory) == 0)
		FUZZ_CHECK(memory.used_bytes <= memory.total_bytes && memory.total_bytes > 0);
	cpu_model_parse(text, &model);
	FUZZ_CHECK(strlen(model.name) < CPU_MODEL_SIZE);
	FUZZ_CHECK(strlen(model.vendor) < CPU_MODEL_SIZE);
	figures = power_table_lookup(&model, size, 0);
	FUZZ_CHECK(figures.idle_uw > 0 && figures.idle_uw < figures.busy_uw);
	free(text);
	return 0;
}
