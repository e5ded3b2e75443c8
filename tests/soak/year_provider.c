/*
 * The provider of machines, in the place of host/vm_provider.c: it tells what the simulated host
 * has at once and without a thread, so that a run can be repeated; or is away, or hangs.
 */
#include "tests/soak/year_provider.h"
#include "tests/soak/year.h"
#include "tests/soak/year_host.h"

#include "host/vm_provider.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct vm_provider {
	struct vm_roster *taken;
	int fd;
	bool started;
};

static bool away;

void year_provider_set_away(bool is_away)
{
	away = is_away;
}

bool year_provider_is_away(void)
{
	return away;
}

int vm_provider_open(const char *name, const struct vm_provider_context *context,
		     struct vm_provider **ret_provider, struct diag *diag)
{
	struct vm_provider *provider = calloc(1, sizeof(*provider));

	(void)name;
	(void)context;
	(void)diag;
	if (provider == NULL)
		return -ENOMEM;
	provider->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	*ret_provider = provider;
	return 0;
}

void vm_provider_close(struct vm_provider *provider)
{
	if (provider == NULL)
		return;
	vm_roster_destroy(provider->taken);
	(void)close(provider->fd);
	free(provider);
}

int vm_provider_fd(const struct vm_provider *provider)
{
	return provider->fd;
}

bool vm_provider_waiting(struct vm_provider *provider)
{
	return !away && (!provider->started || year_host.roster_changed);
}

static void fill(struct vm_roster *roster, const struct year_vm *vm)
{
	struct vm_roster_vcpu vcpus[YEAR_VCPU_MAX] = {{.id = 0}};
	struct vm_roster_vm entry = {
	    .uuid = vm->uuid,
	    .running = vm->running,
	    .persistent = true,
	    .socket_count = vm->sockets,
	    .vcpus_per_socket = YEAR_VCPU_MAX / vm->sockets,
	    .memory_bytes = vm->memory_bytes,
	    .vcpu_count = vm->vcpu_count,
	    .vcpus = vcpus,
	};

	if (vm->running)
		entry.process = (struct vm_roster_process){.pid = vm->threads[YEAR_VCPU_MAX].tid,
							   .start_ticks = vm->start_ticks};
	for (size_t i = 0; i < vm->vcpu_count; i++)
		vcpus[i] = (struct vm_roster_vcpu){
		    .id = (uint32_t)i, .socket = (uint32_t)(i * vm->sockets / vm->vcpu_count)};
	vm_roster_set_name(&entry, vm->name);
	if (vm_roster_put(roster, &entry) < 0)
		year_give_up("no memory for a roster");
}

int vm_provider_take(struct vm_provider *provider, const struct vm_roster **ret_roster)
{
	if (!vm_provider_waiting(provider)) {
		*ret_roster = provider->taken;
		return 0;
	}
	vm_roster_destroy(provider->taken);
	if (vm_roster_create(&provider->taken) < 0)
		year_give_up("no memory for a roster");
	for (size_t i = 0; i < YEAR_VM_MAX; i++)
		if (year_host.vms[i].known)
			fill(provider->taken, &year_host.vms[i]);
	provider->started = true;
	year_host.roster_changed = false;
	*ret_roster = provider->taken;
	return 1;
}

const struct vm_roster *vm_provider_roster(const struct vm_provider *provider)
{
	return provider->taken;
}

int vm_provider_lookup(struct vm_provider *provider, const struct uuid *uuid, uint64_t wait_ns)
{
	(void)provider;
	(void)wait_ns;
	if (away)
		return -EINPROGRESS;
	for (size_t i = 0; i < YEAR_VM_MAX; i++)
		if (year_host.vms[i].known && uuid_equal(&year_host.vms[i].uuid, uuid))
			return 1;
	return 0;
}

void vm_provider_status(struct vm_provider *provider, struct vm_provider_status *ret_status)
{
	(void)provider;
	*ret_status = (struct vm_provider_status){
	    .state = away ? VM_PROVIDER_AWAY : VM_PROVIDER_OK,
	};
}

const char *vm_provider_state_name(enum vm_provider_state state)
{
	return state == VM_PROVIDER_OK ? "ok" : "away";
}
