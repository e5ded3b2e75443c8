/*
 * UDP: packets of whole lines that no network has to cut. What the kernel took is gone for us,
 * whether it arrived or not; a host that answers that nobody listens there (ICMP, udp(7):
 * ECONNREFUSED) is an outage, and the batch is sent again from its start: for InfluxDB the same
 * line twice is one.
 */
#include "common/cleanup.h"
#include "guest/output_sink.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define OUTPUT_UDP_BATCH  ((size_t)64 << 10)
#define OUTPUT_UDP_PACKET 1400 /* with its headers, less than the 1500 bytes of Ethernet */

struct output_udp {
	struct output_sink sink;
	int fd; /* -1: to be connected */
	char host[OUTPUT_SPEC_SIZE];
	const char *port;
};

static int output_udp_open(const struct output_sink_options *options, struct output_sink **ret_sink,
			   struct diag *diag)
{
	struct output_udp *udp = calloc(1, sizeof(*udp));
	const char *target = options->spec->target, *colon = strrchr(target, ':');
	size_t length = (size_t)(colon - target);

	if (udp == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	udp->sink = (struct output_sink){.ops = &output_sink_udp, .options = *options};
	udp->fd = -1;
	udp->port = colon + 1;
	/* [::1] */
	if (length > 2 && target[0] == '[' && target[length - 1] == ']') {
		target++;
		length -= 2;
	}
	memcpy(udp->host, target, length);
	*ret_sink = &udp->sink;
	return 0;
}

static void output_udp_shut(struct output_udp *udp)
{
	if (udp->fd >= 0)
		(void)close(udp->fd);
	udp->fd = -1;
}

static void output_udp_close(struct output_sink *sink)
{
	struct output_udp *udp = (struct output_udp *)sink;

	output_udp_shut(udp);
	free(udp);
}

static int output_udp_connect(struct output_udp *udp, struct diag *diag)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM};
	struct addrinfo *addresses;
	int error = getaddrinfo(udp->host, udp->port, &hints, &addresses);

	if (error != 0)
		return diag_error(diag, -EHOSTUNREACH, "cannot find %s: %s", udp->host,
				  gai_strerror(error));
	error = EHOSTUNREACH;
	for (struct addrinfo *address = addresses; address != NULL && udp->fd < 0;
	     address = address->ai_next) {
		udp->fd = socket(address->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (udp->fd >= 0 && connect(udp->fd, address->ai_addr, address->ai_addrlen) == 0)
			break;
		error = errno;
		output_udp_shut(udp);
	}
	freeaddrinfo(addresses);
	if (udp->fd < 0)
		return diag_error(diag, -error, "cannot reach %s: %s", udp->host, strerror(error));
	return 0;
}

/* As many whole lines as fit, at least one. */
static size_t output_udp_packet(const char *text, size_t size)
{
	const char *end;

	if (size <= OUTPUT_UDP_PACKET)
		return size;
	end = memrchr(text, '\n', OUTPUT_UDP_PACKET);
	if (end == NULL)
		end = memchr(text, '\n', size);
	return end != NULL ? (size_t)(end - text) + 1 : size;
}

static enum output_outcome output_udp_fail(struct output_udp *udp, int error, size_t *progress,
					   struct diag *diag)
{
	*progress = 0;
	output_udp_shut(udp);
	(void)diag_error(diag, -error, "cannot send to %s: %s", udp->sink.options.spec->target,
			 error == ECONNREFUSED ? "nobody listens there" : strerror(error));
	return OUTPUT_LATER;
}

static enum output_outcome output_udp_send(struct output_sink *sink,
					   const struct output_batch *batch, size_t *progress,
					   struct diag *diag)
{
	struct output_udp *udp = (struct output_udp *)sink;
	int error = 0;
	socklen_t length = sizeof(error);

	if (udp->fd < 0 && output_udp_connect(udp, diag) < 0)
		return OUTPUT_LATER;
	while (*progress < batch->size) {
		const char *text = batch->text + *progress;
		size_t size = output_udp_packet(text, batch->size - *progress);

		if (send(udp->fd, text, size, MSG_NOSIGNAL) < 0) {
			if (errno == EINTR)
				continue;
			return output_udp_fail(udp, errno, progress, diag);
		}
		*progress += size;
	}
	/* On this machine the answer to the last packet is here already. */
	if (getsockopt(udp->fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error != 0)
		return output_udp_fail(udp, error, progress, diag);
	return OUTPUT_SENT;
}

const struct output_sink_ops output_sink_udp = {
    .batch_size_max = OUTPUT_UDP_BATCH,
    .open = output_udp_open,
    .close = output_udp_close,
    .send = output_udp_send,
};
