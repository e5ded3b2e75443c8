/*
 * Prints the table of settings.c, a key per line, tabs between: what documents are held against.
 * With a file name it reads that configuration instead, as the programs would.
 */
#include "common/settings.h"

#include <stdio.h>

static int settings_list_read(const char *path)
{
	struct diag diag = DIAG_INIT;
	struct settings settings;

	if (settings_load(path, NULL, &settings, &diag) == 0)
		return 0;
	printf("%s\n", diag.text);
	return 1;
}

int main(int argc, char **argv)
{
	size_t count;
	const struct config_key *keys = settings_keys(&count);

	if (argc > 1)
		return settings_list_read(argv[1]);
	for (size_t i = 0; i < count; i++)
		printf("%s\t%s\t%s\t%s\t%s\n", keys[i].section, keys[i].name, keys[i].fallback,
		       keys[i].allowed, keys[i].summary);
	return 0;
}
