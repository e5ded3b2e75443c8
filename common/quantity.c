#include "common/quantity.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

__extension__ typedef unsigned __int128 wide;

struct quantity_prefix {
	const char *name;
	uint64_t scale; /* in millionths */
};

static void quantity_scaled(uint64_t micro, const char *unit, char ret_text[static QUANTITY_SIZE])
{
	static const struct quantity_prefix prefixes[] = {
	    {"m", UINT64_C(1000)},
	    {"", UINT64_C(1000000)},
	    {"k", UINT64_C(1000000000)},
	    {"M", UINT64_C(1000000000000)},
	    {"G", UINT64_C(1000000000000000)},
	    {"T", UINT64_C(1000000000000000000)},
	};
	static const uint64_t powers[] = {1, 10, 100};

	if (micro == 0) {
		(void)snprintf(ret_text, QUANTITY_SIZE, "0 %s", unit);
		return;
	}
	/* The first prefix and the most decimals with which it has at most three digits. */
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		for (int decimals = 2; decimals >= 0; decimals--) {
			const uint64_t step = prefixes[i].scale / powers[decimals];
			const uint64_t rounded = micro / step + (micro % step >= step / 2 ? 1 : 0);

			if (rounded >= 1000)
				continue;
			(void)snprintf(ret_text, QUANTITY_SIZE, "%" PRIu64 "%s%.*" PRIu64 " %s%s",
				       rounded / powers[decimals], decimals > 0 ? "." : "",
				       decimals, rounded % powers[decimals], prefixes[i].name,
				       unit);
			return;
		}
	}
}

void quantity_energy(uint64_t energy_uj, char ret_text[static QUANTITY_SIZE])
{
	quantity_scaled(energy_uj, "J", ret_text);
}

void quantity_power(uint64_t power_uw, char ret_text[static QUANTITY_SIZE])
{
	quantity_scaled(power_uw, "W", ret_text);
}

void quantity_watt_hours(uint64_t energy_uj, char ret_text[static QUANTITY_SIZE])
{
	quantity_scaled(energy_uj / 3600, "Wh", ret_text);
}

void quantity_share(uint64_t part, uint64_t whole, char ret_text[static QUANTITY_SIZE])
{
	const wide permille = whole == 0 ? 0 : ((wide)part * 1000 + whole / 2) / whole;

	(void)snprintf(ret_text, QUANTITY_SIZE, "%" PRIu64 ".%u %%", (uint64_t)(permille / 10),
		       (unsigned int)(permille % 10));
}

void quantity_time(uint64_t duration_ns, char ret_text[static QUANTITY_SIZE])
{
	const uint64_t seconds = duration_ns / 1000000000;
	const uint64_t minutes = seconds / 60;
	const uint64_t hours = minutes / 60;

	if (hours >= 10000)
		(void)snprintf(ret_text, QUANTITY_SIZE, "%" PRIu64 " d", hours / 24);
	else if (hours > 0)
		(void)snprintf(ret_text, QUANTITY_SIZE, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64,
			       hours, minutes % 60, seconds % 60);
	else
		(void)snprintf(ret_text, QUANTITY_SIZE, "%" PRIu64 ":%02" PRIu64 ".%" PRIu64,
			       minutes, seconds % 60, duration_ns / 100000000 % 10);
}

void quantity_duration(uint64_t duration_ns, char ret_text[static QUANTITY_SIZE])
{
	const uint64_t tenths = duration_ns / 100000000;
	const uint64_t seconds = tenths / 10;
	const uint64_t minutes = seconds / 60;
	const uint64_t hours = minutes / 60;
	const uint64_t days = hours / 24;

	if (days > 0)
		(void)snprintf(ret_text, QUANTITY_SIZE, "%" PRIu64 " d %02" PRIu64 " h", days,
			       hours % 24);
	else if (hours > 0)
		(void)snprintf(ret_text, QUANTITY_SIZE, "%" PRIu64 " h %02" PRIu64 " min", hours,
			       minutes % 60);
	else if (minutes > 0)
		(void)snprintf(ret_text, QUANTITY_SIZE, "%" PRIu64 " min %02" PRIu64 " s", minutes,
			       seconds % 60);
	else
		(void)snprintf(ret_text, QUANTITY_SIZE, "%" PRIu64 ".%" PRIu64 " s", seconds,
			       tenths % 10);
}

void quantity_bytes(uint64_t bytes, char ret_text[static QUANTITY_SIZE])
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB"};
	const size_t count = sizeof(units) / sizeof(units[0]);
	size_t i = 0;

	if (bytes < 1024) {
		(void)snprintf(ret_text, QUANTITY_SIZE, "%" PRIu64 " B", bytes);
		return;
	}
	for (; bytes >= UINT64_C(1024) * 1024 && i < count - 1; i++)
		bytes /= 1024;
	(void)snprintf(ret_text, QUANTITY_SIZE, "%" PRIu64 ".%" PRIu64 " %s", bytes / 1024,
		       bytes % 1024 * 10 / 1024, units[i]);
}
