/*
 * doctor_internal.h: the checks, each of which adds one finding or more. For doctor.c and tests.
 */
#ifndef WATTPORT_HOST_DOCTOR_INTERNAL_H
#define WATTPORT_HOST_DOCTOR_INTERNAL_H

#include "host/doctor.h"

/* doctor_host.c */
void doctor_check_user(const struct doctor_context *context, struct doctor *doctor);
void doctor_check_sources(const struct doctor_context *context, struct doctor *doctor);
void doctor_check_filtering(const struct doctor_context *context, struct doctor *doctor);
void doctor_check_schedstat(const struct doctor_context *context, struct doctor *doctor);
void doctor_check_events(const struct doctor_context *context, struct doctor *doctor);
void doctor_check_fuse(const struct doctor_context *context, struct doctor *doctor);
void doctor_check_kernel(const struct doctor_context *context, struct doctor *doctor);
void doctor_check_virtiofsd(const struct doctor_context *context, struct doctor *doctor);

/* doctor_service.c */
void doctor_check_provider(const struct doctor_context *context, struct doctor *doctor);
void doctor_check_daemon(const struct doctor_context *context, struct doctor *doctor);
void doctor_check_tree(const struct doctor_context *context, struct doctor *doctor);

#endif
