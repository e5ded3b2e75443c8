#include "common/ledger_layout.h"

#include <assert.h>
#include <string.h>

static_assert(offsetof(struct ledger_host, zones) + ZONE_MAX * sizeof(struct ledger_zone) ==
		  sizeof(struct ledger_host),
	      "the zones stand last");
static_assert(LEDGER_VM_SIZE(LEDGER_SOCKET_MAX) == sizeof(struct ledger_vm),
	      "the sockets stand last");

struct ledger_layout ledger_layout_own(size_t socket_count)
{
	return (struct ledger_layout){
	    .host_size = offsetof(struct ledger_host, zones),
	    .zone_size = sizeof(struct ledger_zone),
	    .zone_count = ZONE_MAX,
	    .vm_size = offsetof(struct ledger_vm, shares),
	    .share_size = sizeof(struct ledger_share),
	    .tail_size =
		offsetof(struct ledger_vm, guest) - offsetof(struct ledger_vm, guest_psys_uj),
	    .socket_size = sizeof(struct ledger_guest_socket),
	    .socket_count = socket_count,
	};
}

struct ledger_layout ledger_layout_five(size_t socket_count)
{
	return (struct ledger_layout){
	    .host_size = 248,
	    .zone_size = 160,
	    .zone_count = 64,
	    .vm_size = 1136,
	    .share_size = 64,
	    .tail_size = 24,
	    .socket_size = 64,
	    .socket_count = socket_count,
	};
}

static bool layout_piece_is_sane(uint64_t size)
{
	return size > 0 && size <= LEDGER_LAYOUT_PIECE_MAX && size % sizeof(uint64_t) == 0;
}

/* Smaller pieces than those of version 5 were never written. */
bool ledger_layout_is_sane(const struct ledger_layout *layout)
{
	const struct ledger_layout least = ledger_layout_five(1);

	return layout_piece_is_sane(layout->host_size) && layout->host_size >= least.host_size &&
	       layout_piece_is_sane(layout->zone_size) && layout->zone_size >= least.zone_size &&
	       layout_piece_is_sane(layout->vm_size) && layout->vm_size >= least.vm_size &&
	       layout_piece_is_sane(layout->share_size) && layout->share_size >= least.share_size &&
	       layout_piece_is_sane(layout->tail_size) && layout->tail_size >= least.tail_size &&
	       layout_piece_is_sane(layout->socket_size) &&
	       layout->socket_size >= least.socket_size && layout->zone_count > 0 &&
	       layout->zone_count <= LEDGER_LAYOUT_COUNT_MAX && layout->socket_count > 0 &&
	       layout->socket_count <= LEDGER_LAYOUT_COUNT_MAX;
}

bool ledger_layout_equal(const struct ledger_layout *layout, const struct ledger_layout *other)
{
	return memcmp(layout, other, sizeof(*layout)) == 0;
}

size_t ledger_layout_host_size(const struct ledger_layout *layout)
{
	return (size_t)(layout->host_size + layout->zone_count * layout->zone_size);
}

size_t ledger_layout_vm_size(const struct ledger_layout *layout)
{
	return (size_t)(layout->vm_size + layout->zone_count * layout->share_size +
			layout->tail_size + layout->socket_count * layout->socket_size);
}

/* What both have of a piece; returns what follows it. */
static const char *layout_take(const char *from, uint64_t from_size, void *to, size_t to_size)
{
	memcpy(to, from, from_size < to_size ? (size_t)from_size : to_size);
	return from + from_size;
}

void ledger_layout_take_host(const struct ledger_layout *layout, const void *record,
			     struct ledger_host *ret_host)
{
	const char *from = record;

	memset(ret_host, 0, sizeof(*ret_host));
	from = layout_take(from, layout->host_size, ret_host, offsetof(struct ledger_host, zones));
	for (size_t i = 0; i < layout->zone_count && i < ZONE_MAX; i++)
		from = layout_take(from, layout->zone_size, &ret_host->zones[i],
				   sizeof(ret_host->zones[i]));
}

void ledger_layout_take_vm(const struct ledger_layout *layout, const void *record,
			   struct ledger_vm *ret_vm)
{
	const struct ledger_layout own = ledger_layout_own(LEDGER_SOCKET_MAX);
	const char *from = record;

	memset(ret_vm, 0, sizeof(*ret_vm));
	from = layout_take(from, layout->vm_size, ret_vm, own.vm_size);
	for (size_t i = 0; i < layout->zone_count && i < ZONE_MAX; i++)
		(void)layout_take(from + i * layout->share_size, layout->share_size,
				  &ret_vm->shares[i], sizeof(ret_vm->shares[i]));
	from += layout->zone_count * layout->share_size;
	from =
	    layout_take(from, layout->tail_size,
			(char *)ret_vm + offsetof(struct ledger_vm, guest_psys_uj), own.tail_size);
	for (size_t i = 0; i < layout->socket_count && i < LEDGER_SOCKET_MAX; i++)
		from = layout_take(from, layout->socket_size, &ret_vm->guest[i],
				   sizeof(ret_vm->guest[i]));
}
