#include "host/vm_time_libvirt.h"
#include "common/parse.h"

#include <stdio.h>
#include <string.h>

/* "vcpu.N.time": the N; the id of the vCPU, not its place among those that are plugged in. */
static bool vm_time_libvirt_vcpu(const char *field, uint32_t *ret_id)
{
	static const char prefix[] = "vcpu.", suffix[] = ".time";
	char digits[12];
	size_t length;

	if (strncmp(field, prefix, strlen(prefix)) != 0)
		return false;
	field += strlen(prefix);
	length = strspn(field, "0123456789");
	if (length == 0 || length >= sizeof(digits) || strcmp(field + length, suffix) != 0)
		return false;
	memcpy(digits, field, length);
	digits[length] = '\0';
	return parse_u32(digits, ret_id) == 0;
}

static void vm_time_libvirt_set_vcpu(struct vm_roster_vm *vm, uint32_t id, uint64_t time_ns)
{
	for (size_t i = 0; i < vm->vcpu_count; i++)
		if (vm->vcpus[i].id == id)
			vm->vcpus[i].time_ns = time_ns;
}

void vm_time_libvirt_fill(const virTypedParameter params[], int count, struct vm_roster_vm *vm)
{
	for (int i = 0; i < count; i++) {
		uint64_t value = params[i].value.ul;
		uint32_t id;

		if (params[i].type != VIR_TYPED_PARAM_ULLONG)
			continue;
		if (strcmp(params[i].field, "cpu.time") == 0)
			vm->cpu_time_ns = value;
		else if (strcmp(params[i].field, "balloon.current") == 0 &&
			 value <= UINT64_MAX >> 10)
			vm->memory_bytes = value << 10;
		else if (vm_time_libvirt_vcpu(params[i].field, &id))
			vm_time_libvirt_set_vcpu(vm, id, value);
	}
}
