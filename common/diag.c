#include "common/diag.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int diag_error(struct diag *diag, int error, const char *format, ...)
{
	va_list arguments;

	assert(error < 0);
	if (diag == NULL)
		return error;
	va_start(arguments, format);
	(void)vsnprintf(diag->text, sizeof(diag->text), format, arguments);
	va_end(arguments);
	return error;
}

void diag_prefix(struct diag *diag, const char *format, ...)
{
	char context[DIAG_SIZE_MAX / 2];
	char text[DIAG_SIZE_MAX];
	va_list arguments;
	size_t length;

	if (diag == NULL)
		return;
	va_start(arguments, format);
	(void)vsnprintf(context, sizeof(context), format, arguments);
	va_end(arguments);
	memcpy(text, diag->text, sizeof(text));
	length = (size_t)snprintf(diag->text, sizeof(diag->text), "%s: ", context);
	(void)snprintf(diag->text + length, sizeof(diag->text) - length, "%s", text);
}

void diag_append(struct diag *diag, const char *format, ...)
{
	va_list arguments;
	size_t used;

	if (diag == NULL)
		return;
	used = strlen(diag->text);
	if (used > 0)
		used += (size_t)snprintf(diag->text + used, sizeof(diag->text) - used, "; ");
	if (used >= sizeof(diag->text))
		return;
	va_start(arguments, format);
	(void)vsnprintf(diag->text + used, sizeof(diag->text) - used, format, arguments);
	va_end(arguments);
}
