/*
 * exporter_page.h: the page for people at /, whole: exporter_page.html as bytes.
 *
 * A view. The build makes exporter_page.c of it (cmake/embed.cmake). The page asks /status.json for
 * its figures and nobody else for anything. Constant: safe in any thread.
 */
#ifndef WATTPORT_HOST_EXPORTER_PAGE_H
#define WATTPORT_HOST_EXPORTER_PAGE_H

#include <stddef.h>

extern const char exporter_page[]; /* not ended by a NUL */
extern const size_t exporter_page_size;

#endif
