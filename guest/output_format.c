#include "guest/output_format.h"
#include "common/clock.h"
#include "common/decimal.h"
#include "common/utf8.h"

#include <string.h>
#include <time.h>

static const struct output_format *const output_formats[] = {&output_csv, &output_json,
							     &output_influx};

const struct output_format *output_format_find(const char *name)
{
	for (size_t i = 0; i < sizeof(output_formats) / sizeof(output_formats[0]); i++)
		if (strcmp(output_formats[i]->name, name) == 0)
			return output_formats[i];
	return NULL;
}

void output_put_decimal(FILE *stream, uint64_t magnitude, unsigned int places)
{
	char text[DECIMAL_SIZE];
	size_t length = decimal_format(magnitude, places, text);

	(void)fwrite(text, 1, length, stream);
}

void output_time_text(uint64_t wall_ns, char ret_text[static OUTPUT_TIME_SIZE])
{
	time_t seconds = (time_t)(wall_ns / CLOCK_NS_PER_SECOND);
	struct tm parts;
	size_t length;

	/* 2^64 ns end in 2554: neither can fail. */
	(void)gmtime_r(&seconds, &parts);
	length = strftime(ret_text, OUTPUT_TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &parts);
	(void)snprintf(ret_text + length, OUTPUT_TIME_SIZE - length, ".%09uZ",
		       (unsigned int)(wall_ns % CLOCK_NS_PER_SECOND));
}

size_t output_next_character(const char **text, char ret_character[static OUTPUT_CHARACTER_SIZE])
{
	unsigned char first = (unsigned char)**text;
	size_t length = utf8_length(*text);

	if (first == '\0')
		return 0;
	/* C0, DEL and C1: U+0080 to U+009F are 0xc2 and 0x80 to 0x9f. */
	if (length == 0 || first < 0x20 || first == 0x7f ||
	    (first == 0xc2 && (unsigned char)(*text)[1] < 0xa0)) {
		ret_character[0] = '?';
		ret_character[1] = '\0';
		*text += length > 0 ? length : 1;
		return 1;
	}
	memcpy(ret_character, *text, length);
	ret_character[length] = '\0';
	*text += length;
	return length;
}
