/*
 * decimal.h: numbers with a fixed count of decimals, as text, exact.
 *
 * A foundation of the views: totals are integers in small units and are printed in base units,
 * digit by digit, so that no number passes through a double on its way. Pure: safe in any thread.
 */
#ifndef WATTPORT_COMMON_DECIMAL_H
#define WATTPORT_COMMON_DECIMAL_H

#include <stddef.h>
#include <stdint.h>

#define DECIMAL_SIZE	   32 /* 20 digits, a sign, a point, a NUL */
#define DECIMAL_PLACES_MAX 12

/*
 * `magnitude` with its last `places` digits behind the point: 12500000 and 6 are "12.500000".
 * Returns the length.
 */
size_t decimal_format(uint64_t magnitude, unsigned int places, char ret_text[static DECIMAL_SIZE]);

#endif
