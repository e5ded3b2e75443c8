/*
 * vm_provider_internal.h: what the providers' own threads call. For vm_provider_NAME.c and tests.
 */
#ifndef WATTPORT_HOST_VM_PROVIDER_INTERNAL_H
#define WATTPORT_HOST_VM_PROVIDER_INTERNAL_H

#include "host/vm_provider.h"

extern const struct vm_provider_ops vm_provider_libvirt;
extern const struct vm_provider_ops vm_provider_procfs;

/* Fixed while the provider is open. */
const struct vm_provider_context *vm_provider_context(const struct vm_provider *provider);

/* Becomes readable when there is a query or the provider stops; vm_provider_woken() resets it. */
int vm_provider_wake_fd(const struct vm_provider *provider);
void vm_provider_woken(struct vm_provider *provider);

bool vm_provider_stopping(struct vm_provider *provider);

/* Hands a copy of the roster over to the owner. -ENOMEM. */
int vm_provider_publish(struct vm_provider *provider, const struct vm_roster *roster);

/* Says how it goes; `diag` with VM_PROVIDER_AWAY, else NULL. */
void vm_provider_set_state(struct vm_provider *provider, enum vm_provider_state state,
			   const struct diag *diag);

/* Counts a connection that was made. */
void vm_provider_connected(struct vm_provider *provider);

/* Around a call that may hang: the status tells it when it does. */
void vm_provider_call_begin(struct vm_provider *provider, const char *what);
void vm_provider_call_end(struct vm_provider *provider);

/* The next question that waits; false: none. Answer it with vm_provider_answer(). */
bool vm_provider_next_query(struct vm_provider *provider, struct uuid *ret_uuid);
void vm_provider_answer(struct vm_provider *provider, const struct uuid *uuid, bool known);

#endif
