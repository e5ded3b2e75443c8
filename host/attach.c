#include "host/attach.h"
#include "common/cleanup.h"
#include "host/attach_domain.h"
#include "host/text_diff.h"
#include "host/virtiofsd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void attach_report_finish(const struct attach_report *report)
{
	free(report->difference);
}

/* Why virtiofs cannot be had here: 0 or the negative errno with the reason. */
static int attach_check_virtiofs(const struct attach_domain *domain, struct diag *diag)
{
	char path[PATH_MAX];
	int status = attach_check_transport(&domain->capabilities, ATTACH_VIRTIOFS, diag);

	if (status == 0)
		status = attach_domain_check_virtiofs(domain, diag);
	if (status < 0)
		return status;
	if (!domain->remote && virtiofsd_find(path) < 0)
		return diag_error(diag, -ENOENT,
				  "this host has no virtiofsd; install the package virtiofsd "
				  "(Debian 12: qemu-system-common) or use --transport 9p");
	return attach_xml_may_share(attach_domain_xml(domain), diag);
}

static int attach_check_9p(const struct attach_domain *domain, struct diag *diag)
{
	return attach_check_transport(&domain->capabilities, ATTACH_9P, diag);
}

/* Neither can be had: both reasons are told. */
static int attach_none(const struct attach_report *report, struct diag *diag)
{
	diag_append(diag, "nor virtiofs: %s", report->hindrance.text);
	return -ENOTSUP;
}

/* What is there stays; else virtiofs, since more guests' kernels have it. */
static int attach_choose(const struct attach_domain *domain, const struct attach_request *request,
			 struct attach_report *report, struct diag *diag)
{
	struct attach_state state;
	int status;

	report->choice = ATTACH_CHOICE_ASKED;
	report->transport = request->transport;
	if (!request->choose)
		return report->transport == ATTACH_9P ? attach_check_9p(domain, diag)
						      : attach_check_virtiofs(domain, diag);
	status = attach_xml_inspect(attach_domain_xml(domain), domain->source, &state, diag);
	if (status < 0)
		return status;
	if (state.attached && state.ours) {
		report->choice = ATTACH_CHOICE_KEPT;
		report->transport = state.transport;
		return 0;
	}
	report->choice = ATTACH_CHOICE_FIRST;
	report->transport = ATTACH_VIRTIOFS;
	if (attach_check_virtiofs(domain, &report->hindrance) == 0)
		return 0;
	report->choice = ATTACH_CHOICE_LEFT;
	report->transport = ATTACH_9P;
	return attach_check_9p(domain, diag) < 0 ? attach_none(report, diag) : 0;
}

/* What `diff -u` would say, of the definition that libvirt has now. */
static int attach_show(const char *before, const char *after, struct attach_report *report)
{
	cleanup_free char *text = NULL;
	cleanup_file FILE *stream = NULL;
	char before_name[SAMPLE_NAME_SIZE + 16], after_name[SAMPLE_NAME_SIZE + 16];
	char *difference = NULL;
	size_t size;
	int status;

	stream = open_memstream(&text, &size);
	if (stream == NULL)
		return -ENOMEM;
	(void)snprintf(before_name, sizeof(before_name), "%s (now)", report->name);
	(void)snprintf(after_name, sizeof(after_name), "%s (then)", report->name);
	status = text_diff_print(stream, before_name, before, after_name, after);
	if (status == 0)
		status = cleanup_take_text(&stream, &text, &difference);
	if (status < 0)
		return status;
	free(report->difference);
	report->difference = difference;
	return 0;
}

/* Makes `xml` the definition, or shows what that would change. */
static int attach_define(const struct attach_domain *domain, const char *xml,
			 struct attach_report *report, struct diag *diag)
{
	int status;

	if (strcmp(xml, domain->definition) == 0)
		return 0;
	if (!report->dry_run)
		return attach_domain_define(domain, xml, diag);
	status = attach_show(domain->definition, xml, report);
	return status < 0 ? diag_error(diag, status, "out of memory") : 0;
}

static int attach_add_definition(const struct attach_domain *domain, struct attach_report *report,
				 struct diag *diag)
{
	cleanup_free char *xml = NULL;
	int status = attach_xml_add(domain->definition, report->transport, domain->source, &xml,
				    &report->changes, diag);

	return status < 0 ? status : attach_define(domain, xml, report, diag);
}

static int attach_plug_in(const struct attach_domain *domain, const struct attach_report *report,
			  struct diag *diag)
{
	cleanup_free char *device = NULL;
	int status = attach_check_plug(domain->live, report->transport, diag);

	if (status < 0 || report->dry_run)
		return status;
	status = attach_xml_device(NULL, ATTACH_VIRTIOFS, domain->source, &device, diag);
	return status < 0 ? status : attach_domain_plug_in(domain, device, diag);
}

/* Whatever cannot be done to a running machine is not an error but a reason to wait. */
static int attach_add_live(const struct attach_domain *domain, struct attach_report *report,
			   struct diag *diag)
{
	struct attach_state state;
	int status;

	report->live = ATTACH_LIVE_OFF;
	if (domain->live == NULL)
		return 0;
	status = attach_xml_inspect(domain->live, domain->source, &state, diag);
	if (status < 0)
		return status;
	report->live = ATTACH_LIVE_LATER;
	if (state.attached && (!state.ours || state.transport != report->transport))
		(void)diag_error(&report->reason, -EBUSY, "the running machine has another one");
	else if (state.attached && !state.right)
		(void)diag_error(&report->reason, -EBUSY,
				 "the running machine has it in a way that shows old values or no "
				 "links");
	else if (state.attached)
		report->live = ATTACH_LIVE_HAS;
	else if (attach_plug_in(domain, report, &report->reason) == 0)
		report->live = ATTACH_LIVE_CHANGED;
	return 0;
}

/* A saved state is the machine as it was: it starts with the devices that it had. */
static void attach_look_at_saved(const struct attach_domain *domain, bool wanted,
				 struct attach_report *report)
{
	struct attach_state state;

	if (domain->saved != NULL &&
	    attach_xml_inspect(domain->saved, domain->source, &state, NULL) == 0)
		report->saved = wanted ? !state.attached || state.transport != report->transport
				       : state.attached && state.ours;
}

static int attach_begin(virDomainPtr domain, const struct attach_request *request,
			struct attach_domain *loaded, struct attach_report *report,
			struct diag *diag)
{
	enum attach_secrets secrets =
	    request->dry_run ? ATTACH_SECRETS_HIDDEN : ATTACH_SECRETS_KEPT;
	int status = attach_domain_load(domain, request->runtime_dir, secrets, loaded, diag);

	if (status < 0)
		return status;
	(void)snprintf(report->name, sizeof(report->name), "%s", loaded->name);
	report->dry_run = request->dry_run;
	report->persistent = loaded->definition != NULL;
	return 0;
}

static int attach_add_loaded(const struct attach_domain *domain,
			     const struct attach_request *request, struct attach_report *report,
			     struct diag *diag)
{
	int status = attach_check_machine(attach_domain_xml(domain), diag);

	if (status == 0)
		status = attach_choose(domain, request, report, diag);
	if (status < 0)
		return status;
	if (report->persistent)
		status = attach_add_definition(domain, report, diag);
	if (status < 0)
		return status;
	status = attach_add_live(domain, report, diag);
	if (status < 0)
		return status;
	if (!report->persistent && report->live == ATTACH_LIVE_LATER)
		return diag_error(diag, -ENOTSUP,
				  "%s, and the domain is transient: put the device into the XML "
				  "that it is created from",
				  report->reason.text);
	attach_look_at_saved(domain, true, report);
	report->unserved = !domain->remote && access(domain->source, F_OK) < 0 && errno == ENOENT;
	return 0;
}

int attach_add(virDomainPtr domain, const struct attach_request *request,
	       struct attach_report *ret_report, struct diag *diag)
{
	cleanup_domain struct attach_domain loaded = {.definition = NULL};
	struct attach_report report = {.difference = NULL};
	int status = attach_begin(domain, request, &loaded, &report, diag);

	if (status == 0)
		status = attach_add_loaded(&loaded, request, &report, diag);
	if (status < 0)
		attach_report_finish(&report);
	else
		*ret_report = report;
	return status;
}

static int attach_remove_definition(const struct attach_domain *domain,
				    struct attach_report *report, struct diag *diag)
{
	cleanup_free char *xml = NULL;
	int status =
	    attach_xml_remove(domain->definition, domain->source, &xml, &report->changes, diag);

	return status < 0 ? status : attach_define(domain, xml, report, diag);
}

static int attach_plug_out(const struct attach_domain *domain, const struct attach_report *report,
			   struct diag *diag)
{
	cleanup_free char *device = NULL;
	int status;

	if (report->transport == ATTACH_9P)
		return diag_error(diag, -ENOTSUP, "9p cannot be plugged out of a running machine");
	status = attach_xml_device(domain->live, ATTACH_VIRTIOFS, domain->source, &device, diag);
	if (status < 0 || report->dry_run)
		return status;
	return attach_domain_plug_out(domain, device, diag);
}

static int attach_remove_live(const struct attach_domain *domain, struct attach_report *report,
			      struct diag *diag)
{
	struct attach_state state;
	int status;

	report->live = ATTACH_LIVE_OFF;
	if (domain->live == NULL)
		return 0;
	status = attach_xml_inspect(domain->live, domain->source, &state, diag);
	if (status < 0)
		return status;
	report->live = ATTACH_LIVE_HAS;
	if (!state.attached || !state.ours)
		return 0;
	report->transport = state.transport;
	report->live = attach_plug_out(domain, report, &report->reason) == 0 ? ATTACH_LIVE_CHANGED
									     : ATTACH_LIVE_LATER;
	return 0;
}

int attach_remove(virDomainPtr domain, const struct attach_request *request,
		  struct attach_report *ret_report, struct diag *diag)
{
	cleanup_domain struct attach_domain loaded = {.definition = NULL};
	struct attach_report report = {.difference = NULL};
	int status = attach_begin(domain, request, &loaded, &report, diag);

	if (status == 0 && report.persistent)
		status = attach_remove_definition(&loaded, &report, diag);
	if (status == 0)
		status = attach_remove_live(&loaded, &report, diag);
	if (status < 0) {
		attach_report_finish(&report);
		return status;
	}
	attach_look_at_saved(&loaded, false, &report);
	*ret_report = report;
	return 0;
}
