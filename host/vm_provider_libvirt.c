/*
 * vm_provider_libvirt.c: the machines that libvirt knows, kept current by its events.
 *
 * Everything happens in the provider's thread, which runs libvirt's event loop. Event callbacks
 * only note what has changed; the domains are read when the callbacks are through. Calls made in
 * this thread keep the keepalive going by themselves (virNetClientIOEventLoop() in libvirt's
 * src/rpc/virnetclient.c), so a libvirtd that hangs ends the connection, after some
 * LIBVIRT_KEEPALIVE_S * (LIBVIRT_KEEPALIVE_COUNT + 1) seconds.
 *
 * libvirt's event loop is one for the whole process and must be run for as long as there are
 * connections (virEventRegisterImpl()), so there can be one such provider at a time.
 */
#include "common/cleanup.h"
#include "host/libvirt_sync.h"
#include "host/vm_provider_internal.h"

#include <errno.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <pthread.h>
#include <string.h>

#define LIBVIRT_KEEPALIVE_S	5
#define LIBVIRT_KEEPALIVE_COUNT 3
#define LIBVIRT_TICK_MS		1000 /* for times that libvirt tells */
#define LIBVIRT_RESYNC_TICKS	60   /* what has no event (vCPUs plugged in) is seen by then */
#define LIBVIRT_BACKOFF_MIN_MS	125
#define LIBVIRT_BACKOFF_MAX_MS	2000
#define LIBVIRT_DIRTY_MAX	64

static const int libvirt_events[] = {
    VIR_DOMAIN_EVENT_ID_LIFECYCLE,    VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE,
    VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED,
    VIR_DOMAIN_EVENT_ID_TUNABLE,
};
#define LIBVIRT_EVENT_COUNT (sizeof(libvirt_events) / sizeof(libvirt_events[0]))

struct libvirt {
	struct vm_provider *provider;
	char *uri;
	struct libvirt_sync sync;
	int wake_watch;
	int timer;
	bool timer_fired;
	unsigned int ticks;
	int backoff_ms;
	/* One connection: */
	virConnectPtr connection;
	bool closed;
	bool sync_wanted;
	int callbacks[LIBVIRT_EVENT_COUNT];
	size_t dirty_count;
	struct uuid dirty[LIBVIRT_DIRTY_MAX];
};

static pthread_once_t libvirt_once = PTHREAD_ONCE_INIT;

/* libvirt would print every error on stderr; here they are returned. */
static void libvirt_ignore_error(void *user, virErrorPtr error)
{
	(void)user;
	(void)error;
}

static void libvirt_initialize(void)
{
	virSetErrorFunc(NULL, libvirt_ignore_error);
	(void)virInitialize();
	(void)virEventRegisterDefaultImpl();
}

static void libvirt_woken(int watch, int fd, int events, void *user)
{
	struct libvirt *libvirt = user;

	(void)watch;
	(void)fd;
	(void)events;
	vm_provider_woken(libvirt->provider);
}

static void libvirt_timer(int timer, void *user)
{
	struct libvirt *libvirt = user;

	(void)timer;
	libvirt->timer_fired = true;
}

static void libvirt_closed(virConnectPtr connection, int reason, void *user)
{
	struct libvirt *libvirt = user;

	(void)connection;
	(void)reason;
	libvirt->closed = true;
}

/* Notes a domain to be read again; when there are too many, all are. */
static void libvirt_mark(struct libvirt *libvirt, virDomainPtr domain)
{
	struct uuid uuid;

	if (virDomainGetUUID(domain, uuid.bytes) < 0) {
		libvirt->sync_wanted = true;
		return;
	}
	for (size_t i = 0; i < libvirt->dirty_count; i++)
		if (uuid_equal(&libvirt->dirty[i], &uuid))
			return;
	if (libvirt->dirty_count == LIBVIRT_DIRTY_MAX)
		libvirt->sync_wanted = true;
	else
		libvirt->dirty[libvirt->dirty_count++] = uuid;
}

static int libvirt_lifecycle(virConnectPtr connection, virDomainPtr domain, int event, int detail,
			     void *user)
{
	(void)connection;
	(void)event;
	(void)detail;
	libvirt_mark(user, domain);
	return 0;
}

static void libvirt_balloon(virConnectPtr connection, virDomainPtr domain,
			    unsigned long long actual, void *user)
{
	(void)connection;
	(void)actual;
	libvirt_mark(user, domain);
}

static void libvirt_device(virConnectPtr connection, virDomainPtr domain, const char *alias,
			   void *user)
{
	(void)connection;
	(void)alias;
	libvirt_mark(user, domain);
}

static void libvirt_tunable(virConnectPtr connection, virDomainPtr domain,
			    virTypedParameterPtr params, int count, void *user)
{
	(void)connection;
	(void)params;
	(void)count;
	libvirt_mark(user, domain);
}

/* libvirt takes callbacks of all kinds as one type and calls each by its own. */
static virConnectDomainEventGenericCallback libvirt_callback(int event)
{
	void (*callback)(void) = (void (*)(void))libvirt_device;

	if (event == VIR_DOMAIN_EVENT_ID_LIFECYCLE)
		callback = (void (*)(void))libvirt_lifecycle;
	else if (event == VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE)
		callback = (void (*)(void))libvirt_balloon;
	else if (event == VIR_DOMAIN_EVENT_ID_TUNABLE)
		callback = (void (*)(void))libvirt_tunable;
	return (virConnectDomainEventGenericCallback)callback;
}

/*
 * Not the keepalive nor any single event is needed for it to work: drivers without some of them
 * (test:///) are brought up to date by the resync.
 */
static void libvirt_subscribe(struct libvirt *libvirt)
{
	(void)virConnectRegisterCloseCallback(libvirt->connection, libvirt_closed, libvirt, NULL);
	(void)virConnectSetKeepAlive(libvirt->connection, LIBVIRT_KEEPALIVE_S,
				     LIBVIRT_KEEPALIVE_COUNT);
	for (size_t i = 0; i < LIBVIRT_EVENT_COUNT; i++)
		libvirt->callbacks[i] = virConnectDomainEventRegisterAny(
		    libvirt->connection, NULL, libvirt_events[i],
		    libvirt_callback(libvirt_events[i]), libvirt, NULL);
}

static void libvirt_disconnect(struct libvirt *libvirt)
{
	if (libvirt->connection == NULL)
		return;
	for (size_t i = 0; i < LIBVIRT_EVENT_COUNT; i++)
		if (libvirt->callbacks[i] >= 0)
			(void)virConnectDomainEventDeregisterAny(libvirt->connection,
								 libvirt->callbacks[i]);
	(void)virConnectUnregisterCloseCallback(libvirt->connection, libvirt_closed);
	(void)virConnectClose(libvirt->connection);
	libvirt->connection = NULL;
}

/* Events are asked for before the domains are listed, so nothing falls in between. */
static int libvirt_connect(struct libvirt *libvirt, struct diag *diag)
{
	vm_provider_call_begin(libvirt->provider, "connecting to libvirt");
	libvirt->connection = virConnectOpenReadOnly(libvirt->uri);
	vm_provider_call_end(libvirt->provider);
	if (libvirt->connection == NULL)
		return diag_error(diag, -ECONNREFUSED,
				  "cannot reach libvirt at %s: %s; start libvirtd (or virtqemud), "
				  "or set vms.uri, or vms.provider = procfs",
				  libvirt->uri, virGetLastErrorMessage());
	libvirt->closed = false;
	libvirt->sync_wanted = true;
	libvirt->dirty_count = 0;
	libvirt_subscribe(libvirt);
	vm_provider_connected(libvirt->provider);
	return 0;
}

/* Reads again what was marked. */
static int libvirt_refresh(struct libvirt *libvirt, struct diag *diag)
{
	int status = 0;

	if (libvirt->sync_wanted)
		status = libvirt_sync_all(&libvirt->sync, libvirt->connection, diag);
	else if (libvirt->dirty_count > 0)
		status = libvirt_sync_processes(&libvirt->sync);
	for (size_t i = 0; status >= 0 && !libvirt->sync_wanted && i < libvirt->dirty_count; i++)
		status =
		    libvirt_sync_one(&libvirt->sync, libvirt->connection, &libvirt->dirty[i], diag);
	libvirt->dirty_count = 0;
	/* What went wrong with one domain is tried again with all, at the next tick. */
	libvirt->sync_wanted = status < 0;
	return status < 0 ? status : 0;
}

static int libvirt_update(struct libvirt *libvirt, struct diag *diag)
{
	bool changed = libvirt->sync_wanted || libvirt->dirty_count > 0;
	bool tick = libvirt->timer_fired;
	int status = 0;

	libvirt->timer_fired = false;
	if (tick && (++libvirt->ticks % LIBVIRT_RESYNC_TICKS == 0 || libvirt->sync.unsettled))
		libvirt->sync_wanted = changed = true;
	if (changed) {
		vm_provider_call_begin(libvirt->provider, "reading domains from libvirt");
		status = libvirt_refresh(libvirt, diag);
		vm_provider_call_end(libvirt->provider);
	}
	if (status < 0)
		return status;
	if ((changed || tick) && libvirt_sync_wants_times(&libvirt->sync)) {
		vm_provider_call_begin(libvirt->provider, "reading CPU times from libvirt");
		status = libvirt_sync_times(&libvirt->sync, libvirt->connection, diag);
		vm_provider_call_end(libvirt->provider);
		changed = changed || status == 0;
	}
	if (changed && vm_provider_publish(libvirt->provider, libvirt->sync.roster) < 0)
		return diag_error(diag, -ENOMEM, "out of memory");
	return status == -EOPNOTSUPP ? 0 : status;
}

/* A machine that is starting is held locked by libvirt, so its process is looked for first. */
static void libvirt_answer(struct libvirt *libvirt)
{
	struct uuid uuid;

	while (vm_provider_next_query(libvirt->provider, &uuid)) {
		bool known =
		    vm_roster_find(libvirt->sync.roster, &uuid) != NULL ||
		    qemu_scan_mentions(&libvirt->sync.scan, libvirt->sync.proc_fd, &uuid) == 1;
		virDomainPtr domain;

		if (known || libvirt->connection == NULL) {
			vm_provider_answer(libvirt->provider, &uuid, known);
			continue;
		}
		vm_provider_call_begin(libvirt->provider, "looking a domain up in libvirt");
		domain = virDomainLookupByUUID(libvirt->connection, uuid.bytes);
		vm_provider_call_end(libvirt->provider);
		vm_provider_answer(libvirt->provider, &uuid, domain != NULL);
		if (domain == NULL)
			continue;
		libvirt_mark(libvirt, domain);
		(void)virDomainFree(domain);
	}
}

static void libvirt_away(struct libvirt *libvirt, const struct diag *diag)
{
	vm_provider_set_state(libvirt->provider, VM_PROVIDER_AWAY, diag);
}

/* Waits for the timer with the loop running; questions are answered as far as that goes. */
static void libvirt_back_off(struct libvirt *libvirt)
{
	libvirt->timer_fired = false;
	virEventUpdateTimeout(libvirt->timer, libvirt->backoff_ms);
	while (!libvirt->timer_fired && !vm_provider_stopping(libvirt->provider)) {
		(void)virEventRunDefaultImpl();
		libvirt_answer(libvirt);
	}
	libvirt->backoff_ms *= 2;
	if (libvirt->backoff_ms > LIBVIRT_BACKOFF_MAX_MS)
		libvirt->backoff_ms = LIBVIRT_BACKOFF_MAX_MS;
}

/* From one connection to its end. */
static void libvirt_serve(struct libvirt *libvirt)
{
	struct diag diag = DIAG_INIT;

	virEventUpdateTimeout(libvirt->timer, LIBVIRT_TICK_MS);
	while (!vm_provider_stopping(libvirt->provider) && !libvirt->closed) {
		if (libvirt_update(libvirt, &diag) == 0) {
			vm_provider_set_state(libvirt->provider, VM_PROVIDER_OK, NULL);
			libvirt->backoff_ms = LIBVIRT_BACKOFF_MIN_MS;
		} else {
			libvirt_away(libvirt, &diag);
			if (virConnectIsAlive(libvirt->connection) != 1)
				return;
		}
		libvirt_answer(libvirt);
		/* What an answer marked is not left until the next event. */
		if (libvirt->dirty_count == 0)
			(void)virEventRunDefaultImpl();
	}
	if (!libvirt->closed)
		return;
	(void)diag_error(&diag, -ECONNRESET,
			 "libvirt at %s has closed the connection; the machines known so far go on",
			 libvirt->uri);
	libvirt_away(libvirt, &diag);
}

static void libvirt_free(struct libvirt *libvirt)
{
	libvirt_sync_finish(&libvirt->sync);
	free(libvirt->uri);
	free(libvirt);
}

static int libvirt_open(struct vm_provider *provider, void **ret_private, struct diag *diag)
{
	const struct vm_provider_context *context = vm_provider_context(provider);
	struct libvirt *libvirt = calloc(1, sizeof(*libvirt));
	int status;

	if (libvirt == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	libvirt->provider = provider;
	libvirt->backoff_ms = LIBVIRT_BACKOFF_MIN_MS;
	libvirt->uri = strdup(context->uri != NULL ? context->uri : VM_PROVIDER_URI);
	status =
	    libvirt_sync_init(&libvirt->sync, sysroot_proc_fd(context->root), context->told_times);
	libvirt->sync.scan.users = context->users;
	if (libvirt->uri == NULL || status < 0) {
		libvirt_free(libvirt);
		return diag_error(diag, -ENOMEM, "out of memory");
	}
	*ret_private = libvirt;
	return 0;
}

static void libvirt_run(struct vm_provider *provider, void *private)
{
	struct libvirt *libvirt = private;

	(void)pthread_once(&libvirt_once, libvirt_initialize);
	libvirt->wake_watch = virEventAddHandle(
	    vm_provider_wake_fd(provider), VIR_EVENT_HANDLE_READABLE, libvirt_woken, libvirt, NULL);
	libvirt->timer = virEventAddTimeout(-1, libvirt_timer, libvirt, NULL);
	while (!vm_provider_stopping(provider)) {
		struct diag diag = DIAG_INIT;

		if (libvirt_connect(libvirt, &diag) == 0)
			libvirt_serve(libvirt);
		else
			libvirt_away(libvirt, &diag);
		libvirt_disconnect(libvirt);
		if (!vm_provider_stopping(provider))
			libvirt_back_off(libvirt);
	}
	(void)virEventRemoveTimeout(libvirt->timer);
	(void)virEventRemoveHandle(libvirt->wake_watch);
	libvirt_free(libvirt);
}

const struct vm_provider_ops vm_provider_libvirt = {
    .name = "libvirt",
    .open = libvirt_open,
    .run = libvirt_run,
};
