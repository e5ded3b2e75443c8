#include "host/attach_report.h"

#include <stdarg.h>

/* Sentences, one after the other or one below the other. */
struct attach_page {
	FILE *stream;
	enum attach_report_form form;
	bool begun;
};

__attribute__((format(printf, 2, 3))) static void attach_say(struct attach_page *page,
							     const char *format, ...)
{
	va_list arguments;

	if (page->begun)
		(void)fputc(page->form == ATTACH_REPORT_LINE ? ' ' : '\n', page->stream);
	page->begun = true;
	va_start(arguments, format);
	(void)vfprintf(page->stream, format, arguments);
	va_end(arguments);
}

static void attach_end_page(const struct attach_page *page)
{
	(void)fputc('\n', page->stream);
}

static struct attach_page attach_begin_page(FILE *stream, const struct attach_report *report,
					    enum attach_report_form form)
{
	if (report->difference != NULL)
		(void)fputs(report->difference, stream);
	return (struct attach_page){.stream = stream, .form = form};
}

static void attach_say_what(struct attach_page *page, const struct attach_report *report)
{
	const char *transport = attach_transport_name(report->transport);
	const char *has = report->dry_run ? "would have" : "now has";

	if (!report->persistent)
		attach_say(page, "%s is transient: libvirt keeps no definition of it.",
			   report->name);
	else if (report->changes.replaced)
		attach_say(page, "%s %s its energy over %s instead.", report->name, has, transport);
	else if (report->changes.device)
		attach_say(page, "%s %s its energy over %s.", report->name, has, transport);
	else
		attach_say(page, "%s had its energy over %s already.", report->name, transport);
}

static void attach_say_why(struct attach_page *page, const struct attach_report *report)
{
	switch (report->choice) {
	case ATTACH_CHOICE_ASKED:
	case ATTACH_CHOICE_KEPT:
		return;
	case ATTACH_CHOICE_FIRST:
		attach_say(page, "virtiofs was chosen: more guests' kernels have it than 9p.");
		return;
	case ATTACH_CHOICE_LEFT:
		attach_say(page, "9p was chosen, since: %s.", report->hindrance.text);
		return;
	}
}

static void attach_say_memory(struct attach_page *page, const struct attach_report *report)
{
	if (report->changes.memory_shared)
		attach_say(page, "Its memory %s made shared, which virtiofs needs.",
			   report->dry_run ? "would be" : "was");
	if (report->changes.memory_unshared)
		attach_say(page, "Its memory %s shared, which it was for this alone.",
			   report->dry_run ? "would no longer be" : "is no longer");
	if (report->changes.memory_stays != NULL)
		attach_say(page, "Its memory stays shared: %s.", report->changes.memory_stays);
}

static void attach_say_live_added(struct attach_page *page, const struct attach_report *report)
{
	switch (report->live) {
	case ATTACH_LIVE_OFF:
		attach_say(page, "It %s there when the machine is started.",
			   report->dry_run ? "would be" : "is");
		return;
	case ATTACH_LIVE_HAS:
		attach_say(page, "The running machine has it.");
		return;
	case ATTACH_LIVE_CHANGED:
		attach_say(page, "It %s plugged into the running machine.",
			   report->dry_run ? "would be" : "was");
		return;
	case ATTACH_LIVE_LATER:
		attach_say(page,
			   "The running machine %s not have it yet: %s. Shut it down and start it "
			   "again; a reboot from within is not enough.",
			   report->dry_run ? "would" : "does", report->reason.text);
		return;
	}
}

static void attach_say_live_removed(struct attach_page *page, const struct attach_report *report)
{
	switch (report->live) {
	case ATTACH_LIVE_OFF:
	case ATTACH_LIVE_HAS:
		return;
	case ATTACH_LIVE_CHANGED:
		attach_say(page,
			   "The running machine %s asked to give it back; a mount of it that is "
			   "left in the guest only gives errors then.",
			   report->dry_run ? "would be" : "was");
		return;
	case ATTACH_LIVE_LATER:
		attach_say(page, "The running machine keeps it until it is shut down: %s.",
			   report->reason.text);
		return;
	}
}

static void attach_say_saved(struct attach_page *page, const struct attach_report *report)
{
	if (report->saved)
		attach_say(page,
			   "Its saved state is from before: start it and shut it down, or discard "
			   "the state (`virsh managedsave-remove %s`, as if the power was cut).",
			   report->name);
}

void attach_report_added(FILE *stream, const struct attach_report *report,
			 enum attach_report_form form)
{
	struct attach_page page = attach_begin_page(stream, report, form);

	attach_say_what(&page, report);
	attach_say_why(&page, report);
	attach_say_memory(&page, report);
	attach_say_live_added(&page, report);
	attach_say_saved(&page, report);
	if (report->unserved)
		attach_say(&page, "Its tree is not there at the moment, and without it the machine "
				  "does not start: `systemctl enable --now wattport-fs`.");
	attach_end_page(&page);
}

void attach_report_removed(FILE *stream, const struct attach_report *report,
			   enum attach_report_form form)
{
	struct attach_page page = attach_begin_page(stream, report, form);

	if (!report->persistent)
		attach_say(&page, "%s is transient: libvirt keeps no definition of it.",
			   report->name);
	else if (report->changes.device)
		attach_say(&page, "%s %s its energy from its next start on.", report->name,
			   report->dry_run ? "would no longer have" : "no longer has");
	else
		attach_say(&page, "The definition of %s has no such device.", report->name);
	attach_say_memory(&page, report);
	attach_say_live_removed(&page, report);
	attach_say_saved(&page, report);
	attach_end_page(&page);
}

void attach_report_remarks(FILE *stream, enum attach_transport transport)
{
	const char *type =
	    transport == ATTACH_9P ? "9p -o trans=virtio,version=9p2000.L,ro" : "virtiofs -o ro";

	(void)fprintf(stream, "In the guest: `wattport-agent mount`, or mount -t %s %s DIRECTORY\n",
		      type, ATTACH_TAG);
	if (transport == ATTACH_9P)
		(void)fputs("While the guest has it mounted, 9p blocks live migration and saving: "
			    "unmount it there first.\n",
			    stream);
	else
		(void)fputs("While it is attached, virtiofs may block live migration and saving: "
			    "detach, migrate, attach there.\n",
			    stream);
}
