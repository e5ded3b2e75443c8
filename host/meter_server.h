/*
 * meter_server.h: wattportd's end of RUNTIME/meter.sock; common/meter_client.h has the protocol.
 *
 * Beside the flow: it only carries requests to the meter and answers back. Nothing here blocks: a
 * client that does not take its replies is cut off. Everybody may ask for a sample or the status,
 * since a sample is never taken more often than the meter allows; only root may reload or record.
 * One thread.
 */
#ifndef WATTPORT_HOST_METER_SERVER_H
#define WATTPORT_HOST_METER_SERVER_H

#include "common/diag.h"
#include "common/uuid.h"

#include <stdbool.h>
#include <stddef.h>

#define METER_SERVER_CLIENT_MAX 64

struct meter_server_ops {
	/* A sample now, or a very young one. Returns whether the VM is known or starting. */
	bool (*refresh)(void *context, const struct uuid *uuid);

	/* The status as JSON text, to be freed by the caller; NULL when out of memory. */
	char *(*status)(void *context);

	/* 0, or a negative errno with the reason in *diag. */
	int (*reload)(void *context, struct diag *diag);

	/* The head of a trace, to be freed by the caller; NULL when out of memory. */
	char *(*trace_head)(void *context);
};

struct meter_server;

/* Binds the socket in that directory (a stale one is replaced) before any thread is started. */
int meter_server_open(int runtime_fd, const struct meter_server_ops *ops, void *context,
		      struct meter_server **ret_server, struct diag *diag);
void meter_server_close(struct meter_server *server);

/* Readable when there is something for meter_server_handle(); belongs to the server. */
int meter_server_fd(const struct meter_server *server);

/* Serves what is there, without waiting. */
void meter_server_handle(struct meter_server *server);

/* Whether anybody records: then each sample's line is due to meter_server_record(). */
bool meter_server_recording(const struct meter_server *server);
void meter_server_record(struct meter_server *server, const char *line, size_t length);

static inline void cleanup_meter_server_value(struct meter_server *const *server)
{
	meter_server_close(*server);
}
#define cleanup_meter_server __attribute__((cleanup(cleanup_meter_server_value)))

#endif
