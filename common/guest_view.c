#include "common/guest_view.h"
#include "common/clock.h"

/* Microwatts times nanoseconds, in microjoules. */
#define UW_NS_PER_UJ UINT64_C(1000000000)
#define NW_NS_PER_UJ UINT64_C(1000000000000)

/* A guest whose CPUs were busy for less than a hundredth of its seed says nothing of its work. */
#define SEED_BUSY_LEAST 100

__extension__ typedef unsigned __int128 wide;
__extension__ typedef __int128 wide_signed;

static uint64_t guest_view_saturate(wide value)
{
	return value < UINT64_MAX ? (uint64_t)value : UINT64_MAX;
}

/* amount * gain / divisor in whole microjoules; what is left over waits in *remainder. */
static uint64_t guest_view_scale(wide amount, uint64_t gain, uint64_t divisor, uint64_t *remainder)
{
	wide scaled = amount / GUEST_VIEW_GAIN_ONE * gain +
		      amount % GUEST_VIEW_GAIN_ONE * gain / GUEST_VIEW_GAIN_ONE + *remainder;

	*remainder = (uint64_t)(scaled % divisor);
	return guest_view_saturate(scaled / divisor);
}

/* What the period should have shown: what is exact, and some of what is owed. */
static uint64_t guest_view_wanted(const struct guest_view_lane *lane)
{
	wide_signed payment_max = (wide_signed)lane->exact_uj * GUEST_VIEW_PAYMENT_PERCENT / 100;
	wide_signed payment = lane->owed_uj;

	if (payment > payment_max)
		payment = payment_max;
	if (payment < -payment_max)
		payment = -payment_max;
	return guest_view_saturate((wide)((wide_signed)lane->exact_uj + payment));
}

/* The gain that would show in the next period what is wanted, as near as it may come. */
static uint64_t guest_view_next_gain(uint64_t gain, uint64_t wanted_uj, uint64_t shown_uj)
{
	wide low = gain - gain * GUEST_VIEW_STEP_PERCENT / 100;
	wide high = gain + gain * GUEST_VIEW_STEP_PERCENT / 100;
	wide next = (wide)wanted_uj * gain / shown_uj;

	if (next > high)
		next = high;
	if (next < low)
		next = low;
	if (next < GUEST_VIEW_GAIN_MIN)
		next = GUEST_VIEW_GAIN_MIN;
	if (next > GUEST_VIEW_GAIN_MAX)
		next = GUEST_VIEW_GAIN_MAX;
	next = next / GUEST_VIEW_GAIN_STEP * GUEST_VIEW_GAIN_STEP;
	/* Rounding down must not go past the step that is allowed. */
	if (next < low)
		next += GUEST_VIEW_GAIN_STEP;
	return next > high ? gain : (uint64_t)next;
}

/* Ends a period. */
static void guest_view_reconcile(struct guest_view_lane *lane)
{
	/* Beyond 9 terajoules nobody owes more. */
	if (__builtin_add_overflow(lane->owed_uj, (int64_t)(lane->exact_uj - lane->shown_uj),
				   &lane->owed_uj))
		lane->owed_uj = lane->exact_uj > lane->shown_uj ? INT64_MAX : INT64_MIN;
	/* A period in which the guest did nothing says nothing about its rate. */
	if (lane->shown_uj > 0 && lane->exact_uj > 0)
		lane->gain =
		    guest_view_next_gain(lane->gain, guest_view_wanted(lane), lane->shown_uj);
	lane->exact_uj = 0;
	lane->shown_uj = 0;
}

/* One lane's interval; returns what is shown. */
static uint64_t guest_view_show(struct guest_view_lane *lane, wide amount, uint64_t divisor,
				uint64_t exact_uj)
{
	uint64_t shown_uj = guest_view_scale(amount, lane->gain, divisor, &lane->remainder);

	lane->exact_uj += exact_uj;
	lane->shown_uj += shown_uj;
	return shown_uj;
}

static void guest_view_start(struct guest_view_account *account, uint64_t thread_power_uw,
			     uint64_t rent_power_nw)
{
	account->dynamic.rate = thread_power_uw;
	account->dynamic.gain = GUEST_VIEW_GAIN_ONE;
	account->fixed.rate = rent_power_nw;
	account->fixed.gain = GUEST_VIEW_GAIN_ONE;
}

void guest_view_resume(struct guest_view_account *account, uint64_t thread_power_uw,
		       uint64_t rent_power_nw)
{
	if (thread_power_uw == 0 && rent_power_nw == 0)
		return;
	guest_view_start(account, thread_power_uw, rent_power_nw);
	account->phase = GUEST_VIEW_OWN;
}

uint64_t guest_view_rate(const struct guest_view_lane *lane)
{
	return guest_view_saturate((wide)lane->rate * lane->gain / GUEST_VIEW_GAIN_ONE);
}

/* What the amount has cost, or `otherwise` where it is too little to tell. */
static uint64_t guest_view_seed_rate(uint64_t exact_uj, uint64_t scale, uint64_t amount,
				     uint64_t least, uint64_t otherwise)
{
	if (amount == 0 || amount < least)
		return otherwise;
	return guest_view_saturate((wide)exact_uj * scale / amount);
}

/* Takes an exact interval; once there were enough of them the rates are its own. */
static void guest_view_observe(const struct guest_view_rates *rates,
			       struct guest_view_account *account,
			       const struct guest_view_interval *interval, uint64_t enough_ns)
{
	struct guest_view_seed *seed = &account->seed;

	seed->elapsed_ns += interval->elapsed_ns;
	seed->busy_ns += interval->busy_ns;
	seed->rent_ns =
	    guest_view_saturate((wide)interval->rent * interval->elapsed_ns + seed->rent_ns);
	seed->dynamic_uj += interval->dynamic_uj;
	seed->static_uj += interval->static_uj;
	if (seed->elapsed_ns < enough_ns || !rates->known)
		return;
	guest_view_start(account,
			 guest_view_seed_rate(seed->dynamic_uj, UW_NS_PER_UJ, seed->busy_ns,
					      seed->elapsed_ns / SEED_BUSY_LEAST,
					      rates->thread_power_uw),
			 guest_view_seed_rate(seed->static_uj, NW_NS_PER_UJ, seed->rent_ns, 1,
					      rates->rent_power_nw));
	account->phase = GUEST_VIEW_OWN;
}

void guest_view_apply(const struct guest_view_rates *rates, struct guest_view_account *account,
		      struct guest_view_interval *interval)
{
	struct guest_view_lane *dynamic = &account->dynamic, *fixed = &account->fixed;
	const struct guest_view_interval exact = *interval;

	if (account->phase == GUEST_VIEW_NEW) {
		guest_view_start(account, rates->thread_power_uw, rates->rent_power_nw);
		account->phase = rates->learned ? GUEST_VIEW_LENT : GUEST_VIEW_EXACT;
	}
	if (account->phase == GUEST_VIEW_EXACT) {
		guest_view_observe(rates, account, &exact, GUEST_VIEW_SEED_NS);
		return;
	}
	interval->dynamic_uj = guest_view_show(dynamic, (wide)interval->busy_ns * dynamic->rate,
					       UW_NS_PER_UJ, interval->dynamic_uj);
	interval->static_uj =
	    guest_view_show(fixed, (wide)interval->elapsed_ns * interval->rent * fixed->rate,
			    NW_NS_PER_UJ, interval->static_uj);
	account->elapsed_ns += interval->elapsed_ns;
	if (account->phase == GUEST_VIEW_LENT)
		guest_view_observe(rates, account, &exact, GUEST_VIEW_LENT_NS);
	if (account->elapsed_ns < GUEST_VIEW_PERIOD_NS)
		return;
	account->elapsed_ns = 0;
	guest_view_reconcile(dynamic);
	guest_view_reconcile(fixed);
}
