/* What a session's file may hold when it is read again. */
#include "guest/session_state.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct session_state state, again;
	struct diag diag = DIAG_INIT;
	char *text = NULL;

	if (session_state_parse((const char *)data, size, &state, &diag) < 0) {
		FUZZ_CHECK(strlen(diag.text) > 0);
		return 0;
	}
	FUZZ_CHECK(state.zone_count <= ZONE_MAX);
	FUZZ_CHECK(session_name_check(state.name, NULL) == 0);
	/* What is read is written as it was. */
	FUZZ_CHECK(session_state_format(&state, &text) == 0);
	FUZZ_CHECK(session_state_parse(text, strlen(text), &again, NULL) == 0);
	FUZZ_CHECK(again.began.ns == state.began.ns && again.zone_count == state.zone_count);
	free(text);
	return 0;
}
