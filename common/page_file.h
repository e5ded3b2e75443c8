/*
 * page_file.h: the files of page/ as bytes, made by the build (cmake/embed.cmake).
 *
 * Constant: safe in any thread.
 */
#ifndef WATTPORT_COMMON_PAGE_FILE_H
#define WATTPORT_COMMON_PAGE_FILE_H

#include <stddef.h>

/* Not ended by a NUL. */
extern const char page_file_html[], page_file_css[], page_file_icon[];
extern const char page_file_main[], page_file_text[], page_file_chart[], page_file_table[];
extern const size_t page_file_html_size, page_file_css_size, page_file_icon_size;
extern const size_t page_file_main_size, page_file_text_size, page_file_chart_size,
    page_file_table_size;

#endif
