/* The file of --web.config.file, as any operator may write it. */
#include "common/web_config.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	struct web_config config;
	struct diag diag = DIAG_INIT;

	if (web_config_parse("directory/web.yml", text, size, &config, &diag) < 0) {
		/* Whatever is refused is refused with its file. */
		FUZZ_CHECK(strncmp(diag.text, "directory/web.yml:", 18) == 0);
	} else {
		FUZZ_CHECK(config.user_count <= WEB_USER_MAX);
		FUZZ_CHECK(config.headers.count <= WEB_HEADER_MAX);
		FUZZ_CHECK(!config.tls.given || config.tls.certificate.line > 0);
		FUZZ_CHECK(config.tls.version_min >= 10 && config.tls.version_max <= 13);
		web_config_finish(&config);
	}
	free(text);
	return 0;
}
