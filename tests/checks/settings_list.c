/*
 * Prints the table of settings.c, or of agent_settings.c with the argument "agent", a key per line,
 * tabs between: what documents are held against. With a file name behind it reads that
 * configuration instead, as the programs would.
 */
#include "common/settings.h"
#include "guest/agent_settings.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int settings_list_read(bool agent, const char *path)
{
	static struct agent_settings agent_settings;
	struct diag diag = DIAG_INIT;
	struct settings settings;
	int status = agent ? agent_settings_load(path, NULL, &agent_settings, &diag)
			   : settings_load(path, NULL, &settings, &diag);

	if (status == 0)
		return 0;
	printf("%s\n", diag.text);
	return 1;
}

int main(int argc, char **argv)
{
	bool agent = argc > 1 && strcmp(argv[1], "agent") == 0;
	size_t count;
	const struct config_key *keys = agent ? agent_settings_keys(&count) : settings_keys(&count);

	if (argc > 2)
		return settings_list_read(agent, argv[2]);
	for (size_t i = 0; i < count; i++)
		printf("%s\t%s\t%s\t%s\t%s\n", keys[i].section, keys[i].name, keys[i].fallback,
		       keys[i].allowed, keys[i].summary);
	return 0;
}
