/*
 * parse.h: text of the outside world into numbers, whole or not at all.
 *
 * A foundation and the only place that turns digits into integers. Every function takes the exact
 * syntax it names, refuses everything else with -EINVAL and values that do not fit with -ERANGE,
 * and writes its output only on success. Pure: safe in any thread.
 */
#ifndef WATTPORT_COMMON_PARSE_H
#define WATTPORT_COMMON_PARSE_H

#include <stdbool.h>
#include <stdint.h>

/* "0" .. "18446744073709551615": digits only, no sign, no space. */
int parse_u64(const char *text, uint64_t *ret_value);
int parse_u32(const char *text, uint32_t *ret_value);

/* The same for a one-line kernel file: one newline may end it. */
int parse_u64_line(const char *text, uint64_t *ret_value);

/* Lower-case hexadecimal without 0x, as powercap numbers its zones. */
int parse_hex_u32(const char *text, uint32_t *ret_value);

/*
 * The next decimal number at *cursor after any spaces or tabs; the cursor moves behind it. -ENODATA
 * at the end of the text or line.
 */
int parse_next_u64(const char **cursor, uint64_t *ret_value);

/* yes|no|true|false|on|off */
int parse_bool(const char *text, bool *ret_value);

/* A number with its unit: "20ms", "1.5s", "5min", "24h", "7d" -> nanoseconds. The unit is required.
 */
int parse_duration_ns(const char *text, uint64_t *ret_duration_ns);

/* "12W", "12.5W", "850mW", "1.2kW" -> microwatts. The unit is required. */
int parse_power_uw(const char *text, uint64_t *ret_power_uw);

/* "10Wh", "0.72kWh", "360kJ", "5J" -> microjoules. The unit is required. */
int parse_energy_uj(const char *text, uint64_t *ret_energy_uj);

#endif
