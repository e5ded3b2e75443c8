/*
 * Requests as the kernel sends them, well formed or not, in any order: each is answered at most
 * once, in a form that the kernel takes, and in the end each that waits for an answer has it.
 *
 * The input is a list of requests, of which each has four bytes and a body: what (opcode and
 * marks), of which node (one that was answered before, 0: the root) by whom, how long the body is,
 * and what happens beside it. Opcode 0 stands for a message that is all body.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/unit/fake_kernel.h"

#include <errno.h>
#include <stdbool.h>

#define REQUEST_MAX 64
#define ASKED_MAX   (2 * REQUEST_MAX + 1) /* and what finishes them */
#define NODE_MAX    16

struct session {
	struct fake_kernel kernel;
	size_t count, interrupts;
	uint64_t asked[ASKED_MAX];
	uint32_t opcodes[ASKED_MAX];
	bool open[ASKED_MAX]; /* has no answer yet */
	size_t node_count;
	uint64_t nodes[NODE_MAX];
};

static void hear(struct session *session)
{
	const struct fuse_out_header *head;

	while ((head = fake_kernel_hear(&session->kernel)) != NULL) {
		size_t i = 0;

		while (i < session->count && session->asked[i] != head->unique)
			i++;
		FUZZ_CHECK(i < session->count && session->open[i]);
		session->open[i] = false;
		if (session->opcodes[i] == FUSE_LOOKUP && head->error == 0)
			memcpy(&session->nodes[1 + session->node_count++ % (NODE_MAX - 1)],
			       head + 1, sizeof(uint64_t));
	}
}

static void ask(struct session *session, const uint8_t *request, const uint8_t *body, size_t size)
{
	static const struct fake_caller callers[] = {
	    {0, 0}, {0, FAKE_QEMU}, {0, FAKE_HIDDEN}, {1000, 0}};
	struct fake_kernel *kernel = &session->kernel;
	uint64_t node = session->nodes[request[1] % NODE_MAX];
	uint32_t opcode = request[0] & 63;

	kernel->caller = callers[request[1] >> 4 & 3];
	if ((request[0] & 64) != 0 && size >= sizeof(node))
		memcpy(&node, body, sizeof(node));
	/* Kernels answer with that what they were asked, and they are not: libfuse loses it. */
	if (opcode == FUSE_NOTIFY_REPLY)
		return;
	if (opcode == 0) {
		if (size < sizeof(struct fuse_in_header))
			FUZZ_CHECK(size == 0 || fake_kernel_send(kernel, body, size) == -EPROTO);
		return;
	}
	session->interrupts += opcode == FUSE_INTERRUPT;
	session->asked[session->count] = kernel->unique + 2;
	session->opcodes[session->count] = opcode;
	session->open[session->count++] = true;
	(void)fake_kernel_ask(kernel, opcode, node, body, size);
	hear(session);
	if ((request[3] & 1) != 0)
		(void)fake_host_answer(kernel->host, (request[3] & 2) != 0);
	fake_kernel_wait(kernel, (request[3] & 12) * CLOCK_NS_PER_MS);
	hear(session);
}

/* What was interrupted before it came is forgotten, one by one, when others come to an open
 * session. */
static void finish(struct session *session)
{
	const uint8_t opening[4] = {FUSE_INIT, 0, 0, 0};
	const struct fuse_init_in init = {.major = FUSE_KERNEL_VERSION, .minor = 36};
	const uint8_t request[4] = {FUSE_GETATTR, 0, 0, 0};
	const struct fuse_getattr_in body = {0};

	fake_kernel_wait(&session->kernel, CLOCK_NS_PER_SECOND);
	hear(session);
	for (size_t i = 0; i < session->count; i++)
		FUZZ_CHECK(!session->open[i] || session->opcodes[i] == FUSE_FORGET ||
			   session->opcodes[i] == FUSE_BATCH_FORGET ||
			   session->opcodes[i] == FUSE_INTERRUPT);
	ask(session, opening, (const uint8_t *)&init, sizeof(init));
	for (size_t i = 0; i < session->interrupts; i++)
		ask(session, request, (const uint8_t *)&body, sizeof(body));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fake_host host;
	static struct session session;

	if (host.map == NULL)
		fake_host_create(&host);
	session.count = session.node_count = session.interrupts = 0;
	memset(session.nodes, 0, sizeof(session.nodes));
	session.nodes[0] = FUSE_ROOT_ID;
	fake_kernel_open(&session.kernel, &host);
	fake_kernel_start(&session.kernel);
	FUZZ_CHECK(fake_kernel_hear(&session.kernel) != NULL);
	while (size >= 4 && session.count < REQUEST_MAX) {
		size_t length = data[2] < size - 4 ? data[2] : size - 4;

		ask(&session, data, data + 4, length);
		data += 4 + length;
		size -= 4 + length;
	}
	finish(&session);
	fake_kernel_close(&session.kernel);
	return 0;
}
