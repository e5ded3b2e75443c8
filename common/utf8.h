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

#define UTF8_CHARACTER_SIZE 5 /* one in UTF-8, with the NUL */

/*
 * The code point at `text` and the bytes that it takes. What is not UTF-8 is U+FFFD and takes one
 * byte; the NUL at the end takes none.
 */
size_t utf8_decode(const char *text, unsigned int *ret_character);

/* The code point as text; what is none (a surrogate, past U+10FFFF) as '?'. */
void utf8_encode(unsigned int character, char ret_text[static UTF8_CHARACTER_SIZE]);

#endif
