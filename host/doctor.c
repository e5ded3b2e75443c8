#include "host/doctor.h"
#include "common/utf8.h"
#include "host/doctor_internal.h"

#include <jansson.h>
#include <stdarg.h>

void doctor_add(struct doctor *doctor, const char *id, enum doctor_result result,
		const char *remedy, const char *format, ...)
{
	struct doctor_check *check = &doctor->checks[doctor->count];
	char text[DOCTOR_TEXT_SIZE];
	va_list arguments;

	if (doctor->count == DOCTOR_CHECK_MAX)
		return;
	check->result = result;
	(void)snprintf(check->id, sizeof(check->id), "%s", id);
	(void)snprintf(check->remedy, sizeof(check->remedy), "%s", remedy != NULL ? remedy : "");
	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	/* What came from outside need not be UTF-8, and what was cut no longer is. */
	utf8_copy(check->text, sizeof(check->text), text);
	doctor->count++;
}

void doctor_run(const struct doctor_context *context, struct doctor *ret_doctor)
{
	static void (*const checks[])(const struct doctor_context *, struct doctor *) = {
	    doctor_check_user,	   doctor_check_sources,   doctor_check_filtering,
	    doctor_check_provider, doctor_check_schedstat, doctor_check_events,
	    doctor_check_fuse,	   doctor_check_kernel,	   doctor_check_virtiofsd,
	    doctor_check_daemon,   doctor_check_tree,
	};

	ret_doctor->count = 0;
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		checks[i](context, ret_doctor);
}

bool doctor_works(const struct doctor *doctor)
{
	for (size_t i = 0; i < doctor->count; i++)
		if (doctor->checks[i].result == DOCTOR_FAIL)
			return false;
	return true;
}

const char *doctor_result_name(enum doctor_result result)
{
	switch (result) {
	case DOCTOR_OK:
		return "ok";
	case DOCTOR_WARN:
		return "warn";
	case DOCTOR_FAIL:
		return "fail";
	}
	return "unknown";
}

void doctor_print(FILE *stream, const struct doctor *doctor)
{
	for (size_t i = 0; i < doctor->count; i++) {
		const struct doctor_check *check = &doctor->checks[i];

		(void)fprintf(stream, "%-5s %-18s %s\n", doctor_result_name(check->result),
			      check->id, check->text);
		if (check->remedy[0] != '\0')
			(void)fprintf(stream, "%-5s %-18s -> %s\n", "", "", check->remedy);
	}
	(void)fprintf(stream, "%s\n",
		      doctor_works(doctor) ? "Wattport can work on this host."
					   : "Wattport cannot work on this host as it is.");
}

char *doctor_json(const struct doctor *doctor)
{
	json_t *checks = json_array();
	char *text = NULL;
	json_t *root;

	for (size_t i = 0; i < doctor->count; i++) {
		const struct doctor_check *check = &doctor->checks[i];

		(void)json_array_append_new(
		    checks, json_pack("{s:s, s:s, s:s, s:s}", "id", check->id, "result",
				      doctor_result_name(check->result), "text", check->text,
				      "remedy", check->remedy));
	}
	root = json_pack("{s:b, s:o}", "works", doctor_works(doctor), "checks", checks);
	if (root != NULL)
		text = json_dumps(root, JSON_INDENT(2));
	json_decref(root);
	return text;
}
