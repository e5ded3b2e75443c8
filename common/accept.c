#include "common/accept.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

/* A stretch of the header: nothing is copied. */
struct accept_text {
	const char *start;
	size_t length;
};

/* One element of the list: what it names and its parameters of interest. */
struct accept_element {
	struct accept_text type;
	struct accept_text subtype; /* empty in lists without a slash */
	struct accept_text version; /* start is NULL: not given */
	unsigned int quality;
};

static bool accept_is(struct accept_text text, const char *word)
{
	return text.length == strlen(word) && strncasecmp(text.start, word, text.length) == 0;
}

static const char *accept_skip_space(const char *c)
{
	while (*c == ' ' || *c == '\t')
		c++;
	return c;
}

/* RFC 9110, 5.6.2: token characters. */
static bool accept_is_token(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool accept_token(const char **cursor, struct accept_text *ret_text)
{
	struct accept_text text = {.start = *cursor, .length = 0};

	while (accept_is_token(text.start[text.length]))
		text.length++;
	*cursor = text.start + text.length;
	*ret_text = text;
	return text.length > 0;
}

/* A parameter's value: a token, or a quoted string (kept as it stands between its quotes). */
static bool accept_value(const char **cursor, struct accept_text *ret_text)
{
	const char *c = *cursor;

	if (*c != '"')
		return accept_token(cursor, ret_text);
	for (c++; *c != '"'; c++) {
		if (*c == '\\' && c[1] != '\0')
			c++;
		if (*c == '\0')
			return false;
	}
	*ret_text = (struct accept_text){.start = *cursor + 1, .length = (size_t)(c - *cursor) - 1};
	*cursor = c + 1;
	return true;
}

/* RFC 9110, 12.4.2: 0 or 1 with up to three decimals, of 1 only zeros. */
static bool accept_quality(struct accept_text text, unsigned int *ret_quality)
{
	unsigned int quality, scale = 100;

	if (text.length == 0 || text.length > 5 || (text.start[0] != '0' && text.start[0] != '1'))
		return false;
	quality = text.start[0] == '1' ? ACCEPT_QUALITY_MAX : 0;
	if (text.length > 1 && text.start[1] != '.')
		return false;
	for (size_t i = 2; i < text.length; i++, scale /= 10) {
		if (text.start[i] < '0' || text.start[i] > '9')
			return false;
		quality += (unsigned int)(text.start[i] - '0') * scale;
	}
	if (quality > ACCEPT_QUALITY_MAX)
		return false;
	*ret_quality = quality;
	return true;
}

/* ";name=value" of an element; the cursor stands behind the semicolon. */
static bool accept_parameter(const char **cursor, struct accept_element *element)
{
	struct accept_text name, value;

	*cursor = accept_skip_space(*cursor);
	if (**cursor == ';' || **cursor == ',' || **cursor == '\0')
		return true; /* an empty one is allowed (RFC 9110, 5.6.6) */
	if (!accept_token(cursor, &name) || **cursor != '=')
		return false;
	(*cursor)++;
	if (!accept_value(cursor, &value))
		return false;
	if (accept_is(name, "q"))
		return accept_quality(value, &element->quality);
	if (accept_is(name, "version"))
		element->version = value;
	return true;
}

static bool accept_element(const char **cursor, struct accept_element *ret_element)
{
	struct accept_element element = {.version = {.start = NULL, .length = 0},
					 .subtype = {.start = "", .length = 0},
					 .quality = ACCEPT_QUALITY_MAX};

	if (!accept_token(cursor, &element.type))
		return false;
	if (**cursor == '/') {
		(*cursor)++;
		if (!accept_token(cursor, &element.subtype))
			return false;
	}
	for (;;) {
		*cursor = accept_skip_space(*cursor);
		if (**cursor != ';')
			break;
		(*cursor)++;
		if (!accept_parameter(cursor, &element))
			return false;
	}
	if (**cursor != ',' && **cursor != '\0')
		return false;
	*ret_element = element;
	return true;
}

/* To the next comma that is not within a quoted string. */
static const char *accept_skip_element(const char *c)
{
	bool quoted = false;

	for (; *c != '\0' && (quoted || *c != ','); c++) {
		if (quoted && *c == '\\' && c[1] != '\0')
			c++;
		else if (*c == '"')
			quoted = !quoted;
	}
	return c;
}

/* Takes the next well-formed element; false at the end of the header. */
static bool accept_next(const char **cursor, struct accept_element *ret_element)
{
	for (;;) {
		const char *start;
		bool valid;

		while (**cursor == ',' || **cursor == ' ' || **cursor == '\t')
			(*cursor)++;
		if (**cursor == '\0')
			return false;
		start = *cursor;
		valid = accept_element(cursor, ret_element);
		if (valid)
			return true;
		*cursor = accept_skip_element(start);
	}
}

/* How closely the element names the representation: 0 for not at all, 4 for to the version. */
static unsigned int accept_specificity(const struct accept_element *element,
				       const struct accept_media *media)
{
	if (element->version.start != NULL &&
	    (media->version == NULL || !accept_is(element->version, media->version)))
		return 0;
	if (accept_is(element->type, "*"))
		return accept_is(element->subtype, "*") ? 1 : 0;
	if (!accept_is(element->type, media->type))
		return 0;
	if (accept_is(element->subtype, "*"))
		return 2;
	if (!accept_is(element->subtype, media->subtype))
		return 0;
	return element->version.start == NULL ? 3 : 4;
}

unsigned int accept_media_quality(const char *header, const struct accept_media *media)
{
	struct accept_element element;
	unsigned int best = 0, quality = 0;

	if (header == NULL)
		return ACCEPT_QUALITY_MAX;
	while (accept_next(&header, &element)) {
		unsigned int specificity = accept_specificity(&element, media);

		if (specificity == 0 || specificity < best)
			continue;
		if (specificity > best || element.quality > quality)
			quality = element.quality;
		best = specificity;
	}
	return quality;
}

unsigned int accept_coding_quality(const char *header, const char *coding)
{
	struct accept_element element;
	unsigned int quality = 0;

	if (header == NULL)
		return 0;
	while (accept_next(&header, &element)) {
		if (accept_is(element.type, coding))
			return element.quality;
		if (accept_is(element.type, "*"))
			quality = element.quality;
	}
	return quality;
}
