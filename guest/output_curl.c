#include "guest/output_curl.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

/* Debian's with GnuTLS, which is in the process already; everybody else's. */
static const char *const output_curl_names[] = {"libcurl-gnutls.so.4", "libcurl.so.4"};

static void *output_curl_open(void)
{
	void *library = NULL;

	for (size_t i = 0;
	     library == NULL && i < sizeof(output_curl_names) / sizeof(output_curl_names[0]); i++)
		library = dlopen(output_curl_names[i], RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	return library;
}

int output_curl_load(struct output_curl *ret_curl, struct diag *diag)
{
	static const struct {
		const char *name;
		size_t offset;
	} symbols[] = {
	    {"curl_global_init", offsetof(struct output_curl, global_init)},
	    {"curl_easy_init", offsetof(struct output_curl, init)},
	    {"curl_easy_cleanup", offsetof(struct output_curl, cleanup)},
	    {"curl_easy_setopt", offsetof(struct output_curl, setopt)},
	    {"curl_easy_perform", offsetof(struct output_curl, perform)},
	    {"curl_easy_getinfo", offsetof(struct output_curl, getinfo)},
	    {"curl_easy_strerror", offsetof(struct output_curl, strerror)},
	    {"curl_slist_append", offsetof(struct output_curl, slist_append)},
	    {"curl_slist_free_all", offsetof(struct output_curl, slist_free_all)},
	};
	struct output_curl curl;
	void *library = output_curl_open();

	if (library == NULL)
		return diag_error(
		    diag, -ENOENT,
		    "outputs over HTTP need libcurl, which is not here: install it "
		    "(Debian and Ubuntu: libcurl3-gnutls, Fedora: libcurl), or write to "
		    "a file, a pipe or UDP");
	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
		void *symbol = dlsym(library, symbols[i].name);

		if (symbol == NULL)
			return diag_error(diag, -ENOENT, "this libcurl has no %s", symbols[i].name);
		/* POSIX has functions and objects of one size; C has no cast between them. */
		memcpy((char *)&curl + symbols[i].offset, &symbol, sizeof(symbol));
	}
	if (curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return diag_error(diag, -EIO, "libcurl cannot be initialised");
	*ret_curl = curl;
	return 0;
}
