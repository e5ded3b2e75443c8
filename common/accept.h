/*
 * accept.h: what an HTTP client says it likes to get (RFC 9110, 12.5).
 *
 * A foundation of the views over HTTP: the metrics writer asks it for the format, the server for
 * the compression. The header comes from outside: elements that are not well-formed are skipped,
 * the others still count. Pure: safe in any thread.
 */
#ifndef WATTPORT_COMMON_ACCEPT_H
#define WATTPORT_COMMON_ACCEPT_H

#define ACCEPT_QUALITY_MAX 1000 /* q=1 */

/* A representation that could be sent. */
struct accept_media {
	const char *type;    /* "text" */
	const char *subtype; /* "plain" */
	const char *version; /* of the parameter `version`, which must then match if it is given */
};

/*
 * How much the Accept header likes that representation: thousandths, 0 for not at all. The most
 * specific element that matches decides, of equally specific ones the one that likes it most. No
 * header (NULL) likes everything.
 */
unsigned int accept_media_quality(const char *header, const struct accept_media *media);

/*
 * The same of Accept-Encoding for a content coding ("gzip"); here no header (NULL) means that the
 * coding was not asked for: 0.
 */
unsigned int accept_coding_quality(const char *header, const char *coding);

#endif
