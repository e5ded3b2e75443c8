/* Whole-string number parsing for options, commands and kernel files. Pure; any thread. */
#pragma once

#include <stdint.h>

/* A plain decimal number. -EINVAL for anything else, the empty string and signs included,
 * -ERANGE if it does not fit. */
int parse_u64(const char *text, uint64_t *ret_value);

/* A decimal fraction as an integer of 10^-decimals: "61.035" with 6 decimals is 61035000.
 * -EINVAL if the fraction has more digits than that: no digit is dropped in silence. */
int parse_fixed(const char *text, unsigned int decimals, uint64_t *ret_value);
