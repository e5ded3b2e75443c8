#include "host/attach.h"
#include "common/cleanup.h"
#include "common/parse.h"
#include "common/uuid.h"
#include "host/virtiofsd.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Everything about one domain that is needed to decide. */
struct attach_domain {
	virConnectPtr connection; /* the domain's */
	virDomainPtr domain;
	char source[PATH_MAX];
	char *definition; /* XML; NULL: transient */
	char *live;	  /* XML; NULL: does not run */
};

static void attach_domain_finish(const struct attach_domain *domain)
{
	free(domain->definition);
	free(domain->live);
}
#define cleanup_domain __attribute__((cleanup(attach_domain_finish)))

static int attach_error(struct diag *diag, const char *what)
{
	return diag_error(diag, -EIO, "%s: %s", what, virGetLastErrorMessage());
}

int attach_find(virConnectPtr connection, const char *domain, virDomainPtr *ret_domain,
		struct diag *diag)
{
	virDomainPtr found = NULL;
	struct uuid uuid;
	uint32_t id;

	if (uuid_parse(domain, &uuid) == 0)
		found = virDomainLookupByUUID(connection, uuid.bytes);
	if (found == NULL && parse_u32(domain, &id) == 0 && id <= INT_MAX)
		found = virDomainLookupByID(connection, (int)id);
	if (found == NULL)
		found = virDomainLookupByName(connection, domain);
	if (found == NULL)
		return diag_error(diag, -ENOENT,
				  "libvirt knows no domain %s; `virsh list --all` lists them",
				  domain);
	*ret_domain = found;
	return 0;
}

static int attach_load(virDomainPtr domain, const struct attach_request *request,
		       struct attach_domain *loaded, struct diag *diag)
{
	char text[UUID_TEXT_SIZE];
	struct uuid uuid;
	int length;

	loaded->domain = domain;
	loaded->connection = virDomainGetConnect(domain);
	if (virDomainGetUUID(domain, uuid.bytes) < 0)
		return attach_error(diag, "cannot read the domain's uuid");
	uuid_format(&uuid, text);
	length = snprintf(loaded->source, sizeof(loaded->source), "%s/vm/%s", request->runtime_dir,
			  text);
	if (length < 0 || (size_t)length >= sizeof(loaded->source))
		return diag_error(diag, -ENAMETOOLONG, "the runtime directory's path is too long");
	if (virDomainIsPersistent(domain) == 1) {
		loaded->definition =
		    virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE);
		if (loaded->definition == NULL)
			return attach_error(diag, "cannot read the domain's definition");
	}
	if (virDomainIsActive(domain) == 1) {
		loaded->live = virDomainGetXMLDesc(domain, 0);
		if (loaded->live == NULL)
			return attach_error(diag, "cannot read the running domain");
	}
	if (loaded->definition == NULL && loaded->live == NULL)
		return diag_error(diag, -ENOENT, "the domain has just gone");
	return 0;
}

/* Why virtiofs cannot be had here: 0 or the negative errno with the reason. */
static int attach_check_virtiofs(const struct attach_domain *domain, struct diag *diag)
{
	char path[PATH_MAX];

	if (virtiofsd_find(path) < 0)
		return diag_error(diag, -ENOENT,
				  "this host has no virtiofsd; install the package virtiofsd "
				  "(Debian 12: qemu-system-common)");
	return attach_xml_may_share(domain->definition != NULL ? domain->definition : domain->live,
				    diag);
}

/* What is there stays; else virtiofs, since more guests' kernels have it. */
static int attach_choose(const struct attach_domain *domain, const struct attach_request *request,
			 struct attach_report *report, struct diag *diag)
{
	const char *xml = domain->definition != NULL ? domain->definition : domain->live;
	struct attach_state state;
	int status;

	if (!request->choose) {
		report->transport = request->transport;
		return 0;
	}
	status = attach_xml_inspect(xml, domain->source, &state, diag);
	if (status < 0)
		return status;
	if (state.attached && state.ours)
		report->transport = state.transport;
	else if (attach_check_virtiofs(domain, &report->choice) == 0)
		report->transport = ATTACH_VIRTIOFS;
	else
		report->transport = ATTACH_9P;
	return 0;
}

static int attach_define(const struct attach_domain *domain, const char *xml, struct diag *diag)
{
	virDomainPtr defined = virDomainDefineXML(domain->connection, xml);

	if (defined == NULL)
		return attach_error(diag, "libvirt refuses the new definition");
	(void)virDomainFree(defined);
	return 0;
}

static int attach_add_definition(const struct attach_domain *domain, struct attach_report *report,
				 struct diag *diag)
{
	cleanup_free char *xml = NULL;
	int status = attach_xml_add(domain->definition, report->transport, domain->source, &xml,
				    &report->changes, diag);

	if (status < 0)
		return status;
	if (!report->changes.device && !report->changes.memory_shared)
		return 0;
	return attach_define(domain, xml, diag);
}

static int attach_plug_in(const struct attach_domain *domain, struct diag *diag)
{
	cleanup_free char *device = NULL;
	int status = attach_xml_device(NULL, ATTACH_VIRTIOFS, domain->source, &device, diag);

	if (status < 0)
		return status;
	if (virDomainAttachDeviceFlags(domain->domain, device, VIR_DOMAIN_AFFECT_LIVE) < 0)
		return attach_error(diag, "it cannot be plugged in");
	return 0;
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
	if (state.attached && state.ours && state.transport == report->transport)
		report->live = ATTACH_LIVE_HAS;
	else if (state.attached)
		(void)diag_error(&report->reason, -EBUSY, "the running machine has another one");
	else if (report->transport == ATTACH_9P)
		(void)diag_error(&report->reason, -ENOTSUP,
				 "9p cannot be plugged into a running machine");
	else if (!state.memory_shared)
		(void)diag_error(&report->reason, -ENOTSUP,
				 "the memory of the running machine is not shared");
	else if (attach_plug_in(domain, &report->reason) == 0)
		report->live = ATTACH_LIVE_CHANGED;
	return 0;
}

int attach_add(virDomainPtr domain, const struct attach_request *request,
	       struct attach_report *ret_report, struct diag *diag)
{
	cleanup_domain struct attach_domain loaded = {.definition = NULL};
	struct attach_report report = {.persistent = false};
	const char *name = virDomainGetName(domain);
	int status = attach_load(domain, request, &loaded, diag);

	if (status < 0)
		return status;
	(void)snprintf(report.name, sizeof(report.name), "%s", name != NULL ? name : "");
	status = attach_choose(&loaded, request, &report, diag);
	if (status < 0)
		return status;
	report.persistent = loaded.definition != NULL;
	if (report.persistent)
		status = attach_add_definition(&loaded, &report, diag);
	if (status == -EIO && request->choose && report.transport == ATTACH_VIRTIOFS) {
		/* This libvirt does not want virtiofs (in session mode, for instance). */
		report.choice = *diag;
		report.transport = ATTACH_9P;
		status = attach_add_definition(&loaded, &report, diag);
	}
	if (status < 0)
		return status;
	status = attach_add_live(&loaded, &report, diag);
	if (status < 0)
		return status;
	if (!report.persistent && report.live == ATTACH_LIVE_LATER)
		return diag_error(diag, -ENOTSUP,
				  "%s, and the domain is transient: put the device into the XML "
				  "that it is created from",
				  report.reason.text);
	*ret_report = report;
	return 0;
}

static int attach_remove_definition(const struct attach_domain *domain,
				    struct attach_report *report, struct diag *diag)
{
	cleanup_free char *xml = NULL;
	int status =
	    attach_xml_remove(domain->definition, domain->source, &xml, &report->changes, diag);

	if (status < 0 || !report->changes.device)
		return status;
	return attach_define(domain, xml, diag);
}

static int attach_plug_out(const struct attach_domain *domain, struct diag *diag)
{
	cleanup_free char *device = NULL;
	int status =
	    attach_xml_device(domain->live, ATTACH_VIRTIOFS, domain->source, &device, diag);

	if (status < 0)
		return status;
	if (virDomainDetachDeviceFlags(domain->domain, device, VIR_DOMAIN_AFFECT_LIVE) < 0)
		return attach_error(diag, "it cannot be plugged out");
	return 0;
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
	report->live = ATTACH_LIVE_LATER;
	if (state.transport == ATTACH_9P)
		(void)diag_error(&report->reason, -ENOTSUP,
				 "9p cannot be plugged out of a running machine");
	else if (attach_plug_out(domain, &report->reason) == 0)
		report->live = ATTACH_LIVE_CHANGED;
	return 0;
}

int attach_remove(virDomainPtr domain, const struct attach_request *request,
		  struct attach_report *ret_report, struct diag *diag)
{
	cleanup_domain struct attach_domain loaded = {.definition = NULL};
	struct attach_report report = {.persistent = false};
	const char *name = virDomainGetName(domain);
	int status = attach_load(domain, request, &loaded, diag);

	if (status < 0)
		return status;
	(void)snprintf(report.name, sizeof(report.name), "%s", name != NULL ? name : "");
	report.persistent = loaded.definition != NULL;
	if (report.persistent)
		status = attach_remove_definition(&loaded, &report, diag);
	if (status < 0)
		return status;
	status = attach_remove_live(&loaded, &report, diag);
	if (status < 0)
		return status;
	*ret_report = report;
	return 0;
}

static void attach_print_live_added(FILE *stream, const struct attach_report *report)
{
	switch (report->live) {
	case ATTACH_LIVE_OFF:
		(void)fprintf(stream, "It is there when the machine is started.\n");
		return;
	case ATTACH_LIVE_HAS:
		(void)fprintf(stream, "The running machine has it.\n");
		return;
	case ATTACH_LIVE_CHANGED:
		(void)fprintf(stream, "It was plugged into the running machine.\n");
		return;
	case ATTACH_LIVE_LATER:
		(void)fprintf(stream,
			      "The running machine does not have it yet: %s. Shut it down and "
			      "start it again; a reboot from within is not enough.\n",
			      report->reason.text);
		return;
	}
}

void attach_print_added(FILE *stream, const struct attach_report *report)
{
	const char *transport = attach_transport_name(report->transport);

	if (report->choice.text[0] != '\0' && report->transport == ATTACH_9P)
		(void)fprintf(stream, "9p was chosen, since: %s.\n", report->choice.text);
	if (!report->persistent)
		(void)fprintf(stream, "%s is transient: libvirt keeps no definition of it.\n",
			      report->name);
	else if (report->changes.replaced)
		(void)fprintf(stream, "%s now has its energy over %s instead.\n", report->name,
			      transport);
	else if (report->changes.device)
		(void)fprintf(stream, "%s now has its energy over %s.\n", report->name, transport);
	else
		(void)fprintf(stream, "%s had its energy over %s already.\n", report->name,
			      transport);
	if (report->changes.memory_shared)
		(void)fprintf(stream,
			      "Its memory was made shared (memfd), which virtiofs needs.\n");
	attach_print_live_added(stream, report);
	(void)fprintf(stream, "In the guest: `wattport-agent mount`, or mount -t %s %s DIRECTORY\n",
		      report->transport == ATTACH_9P ? "9p -o trans=virtio,version=9p2000.L,ro"
						     : "virtiofs -o ro",
		      ATTACH_TAG);
}

void attach_print_removed(FILE *stream, const struct attach_report *report)
{
	if (report->changes.device)
		(void)fprintf(stream,
			      "%s no longer has its energy from the next start on. If its memory "
			      "was made shared for it, it still is.\n",
			      report->name);
	else
		(void)fprintf(stream, "The definition of %s has no such device.\n", report->name);
	switch (report->live) {
	case ATTACH_LIVE_OFF:
	case ATTACH_LIVE_HAS:
		return;
	case ATTACH_LIVE_CHANGED:
		(void)fprintf(stream, "The running machine was asked to give it back; it does so "
				      "when nothing is mounted from it.\n");
		return;
	case ATTACH_LIVE_LATER:
		(void)fprintf(stream, "The running machine keeps it until it is shut down: %s.\n",
			      report->reason.text);
		return;
	}
}
