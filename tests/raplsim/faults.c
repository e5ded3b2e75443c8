#include "tests/raplsim/faults.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/raplsim/parse.h"

#define GARBAGE	    "4\xff?x\n"
#define STEP_UJ	    1000000U
#define NUMBER_SIZE 24

struct faults {
	size_t count;
	struct fault_state {
		struct fault fault;
		char last[NUMBER_SIZE]; /* What was served last, if it is as short as a number. */
	} nodes[];
};

int fault_parse(const char *text, struct fault *ret_fault)
{
	static const struct {
		const char *name;
		enum fault_kind kind;
	} kinds[] = {
	    {"eio", FAULT_EIO},		{"enodata", FAULT_ENODATA},   {"eacces", FAULT_EACCES},
	    {"garbage", FAULT_GARBAGE}, {"empty", FAULT_EMPTY},	      {"missing", FAULT_MISSING},
	    {"freeze", FAULT_FREEZE},	{"backward", FAULT_BACKWARD},
	};
	struct fault fault = {.kind = FAULT_SLOW, .reads_left = FAULTS_FOREVER};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(text, kinds[i].name) == 0) {
			fault.kind = kinds[i].kind;
			*ret_fault = fault;
			return 0;
		}
	}
	if (strncmp(text, "slow:", 5) != 0 || parse_u64(text + 5, &fault.delay_ms) < 0 ||
	    fault.delay_ms > FAULTS_DELAY_MS_MAX)
		return -EINVAL;
	*ret_fault = fault;
	return 0;
}

int faults_create(size_t node_count, struct faults **ret_faults)
{
	struct faults *faults;

	faults = calloc(1, sizeof(*faults) + node_count * sizeof(faults->nodes[0]));
	if (!faults)
		return -ENOMEM;
	faults->count = node_count;
	*ret_faults = faults;
	return 0;
}

void faults_destroy(struct faults *faults)
{
	free(faults);
}

void faults_set(struct faults *faults, size_t node, struct fault fault)
{
	assert(node < faults->count);
	faults->nodes[node].fault = fault;
}

void faults_clear(struct faults *faults)
{
	for (size_t i = 0; i < faults->count; i++)
		faults->nodes[i].fault = (struct fault){.kind = FAULT_NONE};
}

static enum fault_kind kind_of(const struct faults *faults, size_t node)
{
	assert(node < faults->count);
	return faults->nodes[node].fault.kind;
}

static void count_read(struct fault *fault)
{
	if (fault->kind != FAULT_NONE && fault->reads_left != FAULTS_FOREVER &&
	    --fault->reads_left == 0)
		fault->kind = FAULT_NONE;
}

bool faults_hides(const struct faults *faults, size_t node)
{
	return kind_of(faults, node) == FAULT_MISSING;
}

bool faults_lookup_fails(struct faults *faults, size_t node)
{
	if (!faults_hides(faults, node))
		return false;
	count_read(&faults->nodes[node].fault);
	return true;
}

int faults_open(struct faults *faults, size_t node)
{
	if (kind_of(faults, node) != FAULT_EACCES)
		return 0;
	count_read(&faults->nodes[node].fault);
	return -EACCES;
}

/* The file's last value, less a joule; zero is as far back as a counter goes. */
static void step_back(const char *last, char *text, size_t size)
{
	char digits[NUMBER_SIZE];
	uint64_t value;

	(void)snprintf(digits, sizeof(digits), "%s", last);
	digits[strcspn(digits, "\n")] = '\0';
	if (parse_u64(digits, &value) < 0)
		return;
	(void)snprintf(text, size, "%" PRIu64 "\n", value > STEP_UJ ? value - STEP_UJ : 0);
}

int faults_read(struct faults *faults, size_t node, char *text, size_t size, uint64_t *ret_delay_ms)
{
	struct fault_state *state;
	struct fault fault;

	assert(node < faults->count);
	state = &faults->nodes[node];
	fault = state->fault;
	*ret_delay_ms = 0;
	count_read(&state->fault);
	switch (fault.kind) {
	case FAULT_NONE:
		break;
	case FAULT_EIO:
		return -EIO;
	case FAULT_ENODATA:
		return -ENODATA;
	case FAULT_EACCES:
		return -EACCES;
	case FAULT_MISSING:
		return -ENODEV;
	case FAULT_GARBAGE:
		(void)snprintf(text, size, "%s", GARBAGE);
		return (int)strlen(text);
	case FAULT_EMPTY:
		text[0] = '\0';
		return 0;
	case FAULT_FREEZE:
		if (state->last[0] != '\0')
			(void)snprintf(text, size, "%s", state->last);
		break;
	case FAULT_BACKWARD:
		step_back(state->last[0] != '\0' ? state->last : text, text, size);
		break;
	case FAULT_SLOW:
		*ret_delay_ms = fault.delay_ms;
		break;
	}
	if (strlen(text) < sizeof(state->last))
		memcpy(state->last, text, strlen(text) + 1);
	return (int)strlen(text);
}
