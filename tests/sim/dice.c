#include "tests/sim/dice.h"

#include <assert.h>
#include <math.h>

static uint64_t dice_rotate(uint64_t value, unsigned int bits)
{
	return (value << bits) | (value >> (64 - bits));
}

static uint64_t dice_mix(uint64_t *counter)
{
	uint64_t value = *counter += UINT64_C(0x9e3779b97f4a7c15);

	value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
	return value ^ (value >> 31);
}

void dice_init(struct dice *dice, uint64_t seed, uint64_t stream)
{
	uint64_t counter = seed;
	uint64_t start = dice_mix(&counter) ^ (stream * UINT64_C(0xd1342543de82ef95) + 1);

	for (size_t i = 0; i < 4; i++)
		dice->state[i] = dice_mix(&start);
}

uint64_t dice_bits(struct dice *dice)
{
	uint64_t *state = dice->state;
	uint64_t result = dice_rotate(state[1] * 5, 7) * 9;
	uint64_t shifted = state[1] << 17;

	state[2] ^= state[0];
	state[3] ^= state[1];
	state[1] ^= state[2];
	state[0] ^= state[3];
	state[2] ^= shifted;
	state[3] = dice_rotate(state[3], 45);
	return result;
}

double dice_unit(struct dice *dice)
{
	return (double)(dice_bits(dice) >> 11) * 0x1p-53;
}

double dice_range(struct dice *dice, double low, double high)
{
	return low + (high - low) * dice_unit(dice);
}

double dice_scale(struct dice *dice, double low, double high)
{
	assert(low > 0);
	return low * pow(high / low, dice_unit(dice));
}

double dice_normal(struct dice *dice)
{
	uint64_t bits = dice_bits(dice);
	double sum = 0;

	for (unsigned int i = 0; i < 4; i++)
		sum += (double)((bits >> (16 * i)) & 0xffff) + 0.5;
	/* Each of the four has mean 1/2 and variance 1/12. */
	return (sum / 0x1p16 - 2.0) * sqrt(3.0);
}

double dice_exponential(struct dice *dice, double mean)
{
	return -mean * log(1.0 - dice_unit(dice));
}

size_t dice_below(struct dice *dice, size_t limit)
{
	assert(limit > 0);
	return (size_t)(dice_bits(dice) % limit);
}

bool dice_chance(struct dice *dice, double probability)
{
	return dice_unit(dice) < probability;
}
