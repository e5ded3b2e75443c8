/*
 * Runs a fuzz target over the files of its corpus, for builds without libFuzzer: fuzz_NAME DIR.
 * An empty corpus is a failure: it would prove nothing.
 */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <stdio.h>

static int replay_file(const char *directory, const char *name)
{
	char path[4096];
	long size;
	uint8_t *data;
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "rbe");
	if (file == NULL || fseek(file, 0, SEEK_END) < 0 || (size = ftell(file)) < 0) {
		perror(path);
		exit(EXIT_FAILURE);
	}
	rewind(file);
	data = malloc((size_t)size + 1);
	FUZZ_CHECK(data != NULL);
	FUZZ_CHECK(fread(data, 1, (size_t)size, file) == (size_t)size);
	(void)fclose(file);
	(void)LLVMFuzzerTestOneInput(data, (size_t)size);
	free(data);
	return 1;
}

int main(int argc, char *argv[])
{
	struct dirent **files = NULL;
	int listed, replayed = 0;

	if (argc != 2) {
		(void)fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
		return 2;
	}
	listed = scandir(argv[1], &files, NULL, alphasort);
	for (int i = 0; i < listed; i++) {
		if (files[i]->d_name[0] != '.')
			replayed += replay_file(argv[1], files[i]->d_name);
		free(files[i]);
	}
	free(files);
	(void)printf("%d inputs\n", replayed);
	return replayed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
