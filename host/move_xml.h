/*
 * move_xml.h: a record of a machine's account (common/move_record.h) as an element of its domain's
 * <metadata>.
 *
 *     <wattport:account xmlns:wattport='urn:wattport:account:1' version='1' machine='UUID'
 *         ledger='UUID' serial='7' generation='2' written='NANOSECONDS' period='MILLISECONDS'>
 *       <wattport:zone name='package-0' told='UJ' room='UJ' power='UW' full='UW'/>
 *       ...
 *
 * It stands beside what attach remembers there (attach_record.h) and what others do: libvirt tells
 * elements apart by their namespace. Whoever defines domains can write what he likes, so nothing in
 * it is trusted. Pure; safe in any thread.
 */
#ifndef WATTPORT_HOST_MOVE_XML_H
#define WATTPORT_HOST_MOVE_XML_H

#include "common/diag.h"
#include "common/move_record.h"

#include <stddef.h>

#define MOVE_XML_NAMESPACE "urn:wattport:account:1"
#define MOVE_XML_PREFIX	   "wattport"

/* The element without its namespace, which virDomainSetMetadata() gives to all of it; the caller
 * frees it. */
int move_xml_format(const struct move_record *record, char **ret_text);

/*
 * The record in a domain's XML, for the caller to free. -ENOENT: there is none; -EINVAL: one that
 * cannot be believed, with the reason; -EXDEV: one of another machine, from which this one was
 * cloned; -ENOMEM.
 */
int move_xml_read(const char *text, size_t size, const struct uuid *machine,
		  struct move_record **ret_record, struct diag *diag);

#endif
