/*
 * utf8.h: where one character ends in text that may not be UTF-8.
 *
 * A foundation. Names of VMs come from outside and go into metrics, JSON and terminals, all of
 * which want UTF-8. Pure: safe in any thread.
 */
#ifndef WATTPORT_COMMON_UTF8_H
#define WATTPORT_COMMON_UTF8_H

#include <stddef.h>

/*
 * The length in bytes of the well-formed character at `text` (Unicode 15, table 3-7: no overlong
 * forms, no surrogates, nothing past U+10FFFF), or 0. Never reads behind the NUL that ends `text`,
 * which itself has length 1.
 */
size_t utf8_length(const char *text);

/*
 * Copies what fits into `size` bytes, cut at a whole character, ended with a NUL; bytes that are
 * not UTF-8 become '?'.
 */
void utf8_copy(char *ret_text, size_t size, const char *text);

#endif
