#include "common/guest_view.h"
#include "common/clock.h"

/* Microwatts times nanoseconds, in microjoules. */
#define UW_NS_PER_UJ UINT64_C(1000000000)
#define NW_NS_PER_UJ UINT64_C(1000000000000)

__extension__ typedef unsigned __int128 wide;
__extension__ typedef __int128 wide_signed;

static uint64_t guest_view_saturate(wide value)
{
	return value < UINT64_MAX ? (uint64_t)value : UINT64_MAX;
}

void guest_view_learn(struct guest_view_zone *zone, const struct guest_view_interval *interval)
{
	if (zone->seeded)
		return;
	zone->elapsed_ns += interval->elapsed_ns;
	zone->dynamic_uj += interval->dynamic_uj;
	zone->static_uj += interval->static_uj;
	zone->busy_ns += interval->busy_ns;
	/* A host where nothing ran would give no coefficient: a hundredth of a CPU must have. */
	if (zone->elapsed_ns < GUEST_VIEW_SEED_NS || zone->busy_ns < zone->elapsed_ns / 100)
		return;
	zone->dynamic_power_uw =
	    guest_view_saturate((wide)zone->dynamic_uj * UW_NS_PER_UJ / zone->busy_ns);
	if (interval->rent > 0)
		zone->static_power_nw =
		    guest_view_saturate((wide)zone->static_uj * NW_NS_PER_UJ /
					((wide)zone->elapsed_ns * interval->rent));
	zone->seeded = true;
}

/* amount * gain / divisor in whole microjoules; what is left over waits in *remainder. */
static uint64_t guest_view_scale(wide amount, uint64_t gain, uint64_t divisor, uint64_t *remainder)
{
	wide scaled = amount / GUEST_VIEW_GAIN_ONE * gain +
		      amount % GUEST_VIEW_GAIN_ONE * gain / GUEST_VIEW_GAIN_ONE + *remainder;

	*remainder = (uint64_t)(scaled % divisor);
	return guest_view_saturate(scaled / divisor);
}

/* The gain that would show in the next period what is exact now, and what is still owed. */
static uint64_t guest_view_next_gain(const struct guest_view_account *account, uint64_t gain)
{
	wide_signed wanted = (wide_signed)account->exact_uj + account->owed_uj;
	wide_signed low = gain - gain * GUEST_VIEW_STEP_PERCENT / 100;
	wide_signed high = gain + gain * GUEST_VIEW_STEP_PERCENT / 100;
	wide_signed next =
	    account->shown_uj > 0 ? wanted * (wide_signed)gain / account->shown_uj : gain;

	if (next > high)
		next = high;
	if (next < low)
		next = low;
	if (next < (wide_signed)GUEST_VIEW_GAIN_MIN)
		next = GUEST_VIEW_GAIN_MIN;
	if (next > (wide_signed)GUEST_VIEW_GAIN_MAX)
		next = (wide_signed)GUEST_VIEW_GAIN_MAX;
	next = next / GUEST_VIEW_GAIN_STEP * GUEST_VIEW_GAIN_STEP;
	/* Rounding down must not go past the step that is allowed. */
	if (next < low)
		next += GUEST_VIEW_GAIN_STEP;
	return next > high ? gain : (uint64_t)next;
}

static void guest_view_reconcile(struct guest_view_account *account, uint64_t elapsed_ns)
{
	account->elapsed_ns += elapsed_ns;
	if (account->elapsed_ns < GUEST_VIEW_PERIOD_NS)
		return;
	/* Beyond 292,000 terajoules nobody owes more. */
	if (__builtin_add_overflow(account->owed_uj,
				   (int64_t)(account->exact_uj - account->shown_uj),
				   &account->owed_uj))
		account->owed_uj = account->exact_uj > account->shown_uj ? INT64_MAX : INT64_MIN;
	account->gain = guest_view_next_gain(account, account->gain);
	account->elapsed_ns = 0;
	account->exact_uj = 0;
	account->shown_uj = 0;
}

void guest_view_apply(const struct guest_view_zone *zone, struct guest_view_account *account,
		      struct guest_view_interval *interval)
{
	uint64_t exact_uj = interval->dynamic_uj + interval->static_uj;

	if (!zone->seeded)
		return;
	if (account->gain == 0)
		account->gain = GUEST_VIEW_GAIN_ONE;
	interval->dynamic_uj =
	    guest_view_scale((wide)interval->busy_ns * zone->dynamic_power_uw, account->gain,
			     UW_NS_PER_UJ, &account->remainder_dynamic);
	interval->static_uj =
	    guest_view_scale((wide)interval->elapsed_ns * interval->rent * zone->static_power_nw,
			     account->gain, NW_NS_PER_UJ, &account->remainder_static);
	account->exact_uj += exact_uj;
	account->shown_uj += interval->dynamic_uj + interval->static_uj;
	guest_view_reconcile(account, interval->elapsed_ns);
}
