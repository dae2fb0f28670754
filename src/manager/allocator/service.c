// SPDX-License-Identifier: LGPL-2.1-or-later
/* Services: virtual addresses and published ports. */
#include "base/error.h"
#include "manager/allocator/private.h"

#define FIRST_DYNAMIC 30000
#define LAST_DYNAMIC 32767

/* One endpoint in the making. */
typedef struct {
  SwarmAllocator *allocator;
  const SwarmService *service;
  SwarmEndpoint *endpoint;
  const SwarmPortConfig *port; /* whose holder is looked for */
  char *why;        /* it cannot be made whole */
  SwarmId wait_for; /* then: nil is for ports */
} Making;

/* ---- ports ---- */

static SwarmLedgerNumber
ledger_of (const SwarmPortConfig *port)
{
  return SWARM_LEDGER_TCP + (SwarmLedgerNumber) port->protocol;
}

static gboolean
is_ingress (const SwarmPortConfig *port)
{
  return port->publish_mode == SWARM_PUBLISH_INGRESS;
}

static gboolean
has_number (GPtrArray *ports, const SwarmPortConfig *like, guint64 number)
{
  for (guint i = 0; ports != NULL && i < ports->len; i++) {
    const SwarmPortConfig *port = g_ptr_array_index (ports, i);
    if (is_ingress (port) && port->protocol == like->protocol && port->published_port == number)
      return TRUE;
  }
  return FALSE;
}

static GPtrArray *
old_ports (const Making *making)
{
  return making->service->endpoint != NULL ? making->service->endpoint->ports : NULL;
}

static gboolean
find_holder (gpointer object, gpointer data)
{
  const SwarmService *service = object;
  Making *making = data;
  const SwarmPortConfig *port = making->port;
  gboolean has = service->endpoint != NULL && has_number (service->endpoint->ports, port, port->published_port);
  gboolean asks = service->spec->endpoint != NULL && has_number (service->spec->endpoint->ports, port, port->published_port);
  if (service == making->service || (!has && !asks)) /* one that asks may have it since just now */
    return TRUE;
  making->why = g_strdup_printf ("port '%" G_GUINT64_FORMAT "' is already in use by service '%s' (%s) as an ingress port", port->published_port,
                                 service->spec->name, swarm_id_string (&service->object.id).str);
  return FALSE;
}

/* The number that the port asks for. */
static void
take_fixed (Making *making, SwarmPortConfig *port)
{
  guint32 number = (guint32) port->published_port, got;
  if (has_number (old_ports (making), port, number)
      || swarm_ledger_take_number (making->allocator->ledger, ledger_of (port), number, number, &got))
    return;
  making->port = port;
  swarm_store_foreach (making->allocator->leader->store, SWARM_KIND_SERVICE, find_holder, making);
  if (making->why == NULL)
    making->why = g_strdup_printf ("port '%u' is already in use", number);
}

/* A number of ours: the one that it has already, or the next free one. */
static void
take_dynamic (Making *making, SwarmPortConfig *port)
{
  GPtrArray *old = old_ports (making);
  guint32 number;
  for (guint i = 0; old != NULL && i < old->len; i++) {
    const SwarmPortConfig *before = g_ptr_array_index (old, i);
    if (is_ingress (before) && before->protocol == port->protocol && before->target_port == port->target_port
        && before->published_port >= FIRST_DYNAMIC && !has_number (making->endpoint->ports, port, before->published_port)) {
      port->published_port = before->published_port;
      return;
    }
  }
  if (swarm_ledger_take_number (making->allocator->ledger, ledger_of (port), FIRST_DYNAMIC, LAST_DYNAMIC, &number))
    port->published_port = number;
  else
    making->why = g_strdup_printf ("no %s port from %d to %d is left to publish", swarm_protocol_to_string (port->protocol), FIRST_DYNAMIC,
                                   LAST_DYNAMIC);
}

static void
make_ports (Making *making)
{
  const SwarmEndpointSpec *spec = making->service->spec->endpoint;
  guint n = spec != NULL && spec->ports != NULL ? spec->ports->len : 0;
  making->endpoint->ports = swarm_messages_new ();
  for (guint i = 0; i < n; i++)
    g_ptr_array_add (making->endpoint->ports, swarm_port_config_copy (g_ptr_array_index (spec->ports, i)));
  GPtrArray *ports = making->endpoint->ports;
  for (guint i = 0; i < n && making->why == NULL; i++) {
    SwarmPortConfig *port = g_ptr_array_index (ports, i);
    if (is_ingress (port) && port->published_port != 0)
      take_fixed (making, port);
  }
  for (guint i = 0; i < n && making->why == NULL; i++) {
    SwarmPortConfig *port = g_ptr_array_index (ports, i);
    if (is_ingress (port) && port->published_port == 0)
      take_dynamic (making, port);
  }
  if (making->why == NULL && swarm_endpoint_spec_has_ingress (spec) && swarm_id_is_nil (&making->allocator->ingress))
    making->why = g_strdup ("service needs ingress network, but no ingress network is present");
}

/* ---- virtual addresses ---- */

static const SwarmVirtualIP *
old_address (const Making *making, const SwarmId *network)
{
  const SwarmEndpoint *old = making->service->endpoint;
  for (guint i = 0; old != NULL && old->virtual_ips != NULL && i < old->virtual_ips->len; i++) {
    const SwarmVirtualIP *address = g_ptr_array_index (old->virtual_ips, i);
    if (swarm_id_equal (&address->network, network))
      return address;
  }
  return NULL;
}

static void
make_address (Making *making, const SwarmNetwork *network)
{
  const SwarmVirtualIP *old = old_address (making, &network->object.id);
  GPtrArray *list = making->endpoint->virtual_ips;
  if (old != NULL) {
    g_ptr_array_add (list, swarm_virtual_ip_ref (old));
    return;
  }
  g_autoptr (SwarmVirtualIP) address = swarm_virtual_ip_new ();
  address->network = network->object.id;
  if (swarm_ledger_take_address (making->allocator->ledger, &network->object.id, &address->addr, &address->addr6)) {
    g_ptr_array_add (list, g_steal_pointer (&address));
    return;
  }
  making->wait_for = network->object.id;
  making->why = g_strdup_printf ("no available IPv4 addresses on this network's address pools: %s (%s)", network->spec->name,
                                 swarm_id_string (&network->object.id).str);
}

static void
make_addresses (Making *making)
{
  const GPtrArray *networks = making->service->spec->task->networks;
  const SwarmEndpointSpec *spec = making->service->spec->endpoint;
  gboolean wants = spec == NULL || spec->mode == SWARM_ENDPOINT_VIP;
  making->endpoint->virtual_ips = swarm_messages_new ();
  for (guint i = 0; networks != NULL && i < networks->len && making->why == NULL; i++) {
    const SwarmNetworkAttachmentConfig *config = g_ptr_array_index (networks, i);
    const SwarmNetwork *network = swarm_allocator_network (making->allocator, config->target);
    if (network == NULL) {
      making->why = g_strdup_printf ("network %s not found", config->target);
    } else if (!swarm_network_is_allocated (network)) {
      making->wait_for = network->object.id;
      making->why = g_strdup (network->text != NULL ? network->text : "its network is not ready yet");
    } else if (wants && swarm_network_is_overlay (network)) {
      make_address (making, network);
    }
  }
}

/* ---- the service ---- */

static void
unready_set (SwarmAllocator *self, const SwarmId *service, const char *why)
{
  Unready *row = g_hash_table_lookup (self->unready, service);
  if (row == NULL || g_strcmp0 (row->why, why) == 0)
    return;
  g_free (row->why);
  row->why = g_strdup (why);
  swarm_allocator_wake (self, service); /* so that its tasks say it */
}

static void
ready (SwarmAllocator *self, const SwarmId *service)
{
  if (g_hash_table_remove (self->unready, service))
    swarm_allocator_wake (self, service);
}

static void
write_endpoint (const SwarmService *service, SwarmEndpoint *endpoint, SwarmTx *tx)
{
  g_autoptr (SwarmService) copy = swarm_service_copy (service);
  swarm_message_set_pointer (&copy->endpoint, endpoint);
  swarm_tx_update (tx, copy);
}

static SwarmEndpoint *
make_endpoint (Making *making)
{
  g_autoptr (SwarmEndpoint) endpoint = swarm_endpoint_new ();
  making->endpoint = endpoint;
  if (making->service->spec->endpoint != NULL)
    endpoint->spec = swarm_endpoint_spec_ref (making->service->spec->endpoint);
  make_ports (making);
  if (making->why == NULL)
    make_addresses (making);
  return making->why == NULL ? g_steal_pointer (&endpoint) : NULL;
}

void
swarm_allocator_do_service (SwarmAllocator *self, const SwarmId *id, SwarmTx *tx)
{
  const SwarmService *service = swarm_store_get (self->leader->store, SWARM_KIND_SERVICE, id);
  guint mark = swarm_ledger_mark (self->ledger);
  if (service == NULL) {
    ready (self, id);
    return;
  }
  if (!swarm_service_spec_is_networked (service->spec)) {
    if (service->endpoint != NULL)
      write_endpoint (service, NULL, tx);
    ready (self, id);
    return;
  }
  Making making = { .allocator = self, .service = service };
  g_autoptr (SwarmEndpoint) endpoint = make_endpoint (&making);
  g_autofree char *why = making.why;
  if (endpoint == NULL) {
    swarm_ledger_back_to (self->ledger, mark);
    swarm_waiters_add (&self->waiters, &making.wait_for, SWARM_KIND_SERVICE, id);
    unready_set (self, id, why);
  } else if (service->endpoint != NULL && swarm_message_equal (service->endpoint, endpoint)) {
    ready (self, id);
  } else {
    write_endpoint (service, endpoint, tx); /* the event that it brings makes it ready */
  }
}
