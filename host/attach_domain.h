/*
 * attach_domain.h: a libvirt domain, with everything that attach needs to decide, and what it does.
 *
 * The edge of attach.c to libvirt: finds and loads domains, defines, plugs in and out. One thread.
 */
#ifndef WATTPORT_HOST_ATTACH_DOMAIN_H
#define WATTPORT_HOST_ATTACH_DOMAIN_H

#include "common/sample.h"
#include "host/attach_check.h"

#include <libvirt/libvirt.h>
#include <limits.h>

struct attach_domain {
	virConnectPtr connection; /* the domain's */
	virDomainPtr domain;
	char name[SAMPLE_NAME_SIZE];
	char source[PATH_MAX]; /* of its tree */
	char *definition;      /* XML; NULL: transient */
	char *live;	       /* XML; NULL: does not run */
	char *saved;	       /* XML of its saved state; NULL: none */
	bool remote;	       /* of another host, which cannot be looked at */
	struct attach_capabilities capabilities;
};

enum attach_secrets {
	ATTACH_SECRETS_HIDDEN, /* for showing; passwords are left out */
	ATTACH_SECRETS_KEPT,   /* for defining it again */
};

/* By uuid, name or id, as virsh takes it. -ENOENT. The caller frees with virDomainFree(). */
int attach_domain_find(virConnectPtr connection, const char *text, virDomainPtr *ret_domain,
		       struct diag *diag);

/*
 * All that are defined or run, by name; returns their number. The caller gives the list to
 * attach_domain_list_free().
 */
int attach_domain_list(virConnectPtr connection, virDomainPtr **ret_list, struct diag *diag);
void attach_domain_list_free(virDomainPtr *list, int count);

/* -ENOENT: it has just gone; -EIO: what libvirt said. Only attach_domain_finish() after 0. */
int attach_domain_load(virDomainPtr domain, const char *runtime_dir, enum attach_secrets secrets,
		       struct attach_domain *ret_loaded, struct diag *diag);
void attach_domain_finish(const struct attach_domain *domain);

/* The definition, or of a transient domain what runs. */
const char *attach_domain_xml(const struct attach_domain *domain);

/* Whether this libvirt runs virtiofsd for the domain: -ENOTSUP. */
int attach_domain_check_virtiofs(const struct attach_domain *domain, struct diag *diag);

/* What libvirt does not want comes back as -EIO, with its reason. */
int attach_domain_define(const struct attach_domain *domain, const char *xml, struct diag *diag);
int attach_domain_plug_in(const struct attach_domain *domain, const char *device,
			  struct diag *diag);
int attach_domain_plug_out(const struct attach_domain *domain, const char *device,
			   struct diag *diag);

#define cleanup_domain __attribute__((cleanup(attach_domain_finish)))

#endif
