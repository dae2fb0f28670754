// SPDX-License-Identifier: LGPL-2.1-or-later
/* What is given out to networks, services, nodes and tasks: no address twice, none lost, the same over updates and leader changes, and what happens when
 * there is none left. */
#include "base/error.h"
#include "brain-fixture.h"
#include "manager/allocator/bits.h"
#include "manager/allocator/ledger.h"
#include "manager/allocator/waiters.h"

/* ---- the parts ---- */

static void
test_bits_differ (void)
{
  SwarmBits a, b;
  guint32 at = 0;
  swarm_bits_init (&a, 1 << 24);
  swarm_bits_init (&b, 9000);
  g_assert_false (swarm_bits_differ (&a, &b, &at));
  swarm_bits_set (&a, 4097, TRUE);
  swarm_bits_set (&b, 4097, TRUE);
  swarm_bits_set (&b, 8200, TRUE);
  swarm_bits_set (&b, 8200, FALSE); /* a part without any is as none */
  g_assert_false (swarm_bits_differ (&a, &b, &at));
  swarm_bits_set (&a, 10000000, TRUE);
  g_assert_true (swarm_bits_differ (&a, &b, &at));
  g_assert_cmpuint (at, ==, 10000000);
  swarm_bits_set (&b, 4096, TRUE);
  g_assert_true (swarm_bits_differ (&b, &a, &at));
  g_assert_cmpuint (at, ==, 4096);
  swarm_bits_clear (&a);
  swarm_bits_clear (&b);
}

static void
test_bits (void)
{
  SwarmBits bits;
  guint32 got;
  swarm_bits_init (&bits, 10000);
  g_assert_true (swarm_bits_take (&bits, 100, 9000, &got));
  g_assert_cmpuint (got, ==, 100);
  g_assert_true (swarm_bits_take (&bits, 100, 9000, &got));
  g_assert_cmpuint (got, ==, 101);
  /* What was freed comes back last. */
  g_assert_true (swarm_bits_set (&bits, 100, FALSE));
  g_assert_false (swarm_bits_set (&bits, 100, FALSE));
  g_assert_true (swarm_bits_take (&bits, 100, 103, &got));
  g_assert_cmpuint (got, ==, 102);
  g_assert_true (swarm_bits_take (&bits, 100, 103, &got));
  g_assert_cmpuint (got, ==, 103);
  g_assert_true (swarm_bits_take (&bits, 100, 103, &got));
  g_assert_cmpuint (got, ==, 100);
  g_assert_false (swarm_bits_take (&bits, 100, 103, &got));
  /* Over the borders of words and parts. */
  for (guint32 i = 4000; i < 9999; i++)
    swarm_bits_set (&bits, i, TRUE);
  g_assert_true (swarm_bits_take (&bits, 4000, 20000, &got));
  g_assert_cmpuint (got, ==, 9999);
  g_assert_false (swarm_bits_take (&bits, 4000, 20000, &got));
  g_assert_false (swarm_bits_set (&bits, 10000, TRUE));
  g_assert_cmpuint (bits.n_set, ==, 4 + 6000);
  swarm_bits_clear (&bits);
}

static char *
take_subnet (SwarmLedger *ledger)
{
  SwarmSubnet subnet;
  return swarm_ledger_take_subnet (ledger, &subnet) ? swarm_subnet_to_string (&subnet) : NULL;
}

static gboolean
take_this (SwarmLedger *ledger, const char *text)
{
  SwarmSubnet subnet;
  g_assert_true (swarm_subnet_parse (text, &subnet));
  return swarm_ledger_take_this_subnet (ledger, &subnet);
}

static void
assert_subnet (SwarmLedger *ledger, const char *wanted)
{
  g_autofree char *got = take_subnet (ledger);
  g_assert_cmpstr (got, ==, wanted);
}

/* Subnets of two pools, beside those that users named, whole or in part in a piece of the pool. */
static void
test_pool (void)
{
  g_autoptr (GPtrArray) pool = g_ptr_array_new ();
  SwarmLedger *ledger = swarm_ledger_new ();
  g_ptr_array_add (pool, (gpointer) "10.9.0.0/23");
  g_ptr_array_add (pool, (gpointer) "10.20.0.0/24");
  swarm_ledger_reset (ledger, pool, 24);
  g_assert_true (take_this (ledger, "10.9.0.0/26"));
  g_assert_true (take_this (ledger, "10.9.0.64/26"));
  g_assert_false (take_this (ledger, "10.9.0.0/24"));
  assert_subnet (ledger, "10.9.1.0/24");
  assert_subnet (ledger, "10.20.0.0/24");
  assert_subnet (ledger, NULL);
  /* The transaction fails: all of it is there again. */
  swarm_ledger_settle (ledger, TRUE);
  g_assert_true (take_this (ledger, "10.0.0.0/8"));
  assert_subnet (ledger, NULL);
  swarm_ledger_back_to (ledger, 0);
  assert_subnet (ledger, "10.9.0.0/24"); /* the one after the last, round again */
  assert_subnet (ledger, "10.9.1.0/24");
  g_assert_true (take_this (ledger, "192.168.0.0/16"));
  g_assert_false (take_this (ledger, "192.168.4.0/24"));
  swarm_ledger_free (ledger);
}

static void
test_waiters (void)
{
  SwarmWaiters waiters;
  SwarmWaiter got;
  SwarmId what = { { 1 } }, other = { { 2 } }, a = { { 3 } }, b = { { 4 } }, c = { { 5 } };
  swarm_waiters_init (&waiters);
  g_assert_false (swarm_waiters_take (&waiters, &what, &got));
  swarm_waiters_add (&waiters, &what, SWARM_KIND_TASK, &a);
  swarm_waiters_add (&waiters, &what, SWARM_KIND_SERVICE, &b);
  swarm_waiters_add (&waiters, &what, SWARM_KIND_TASK, &c);
  swarm_waiters_add (&waiters, &what, SWARM_KIND_TASK, &a);
  swarm_waiters_add (&waiters, &other, SWARM_KIND_TASK, &a);
  swarm_waiters_forget (&waiters, &a);
  g_assert_cmpuint (g_hash_table_size (waiters.queues), ==, 1); /* nobody waits for the other any more */
  g_assert_true (swarm_waiters_take (&waiters, &what, &got));
  g_assert_true (got.kind == SWARM_KIND_SERVICE && swarm_id_equal (&got.id, &b));
  g_assert_true (swarm_waiters_take (&waiters, &what, &got));
  g_assert_true (got.kind == SWARM_KIND_TASK && swarm_id_equal (&got.id, &c));
  g_assert_false (swarm_waiters_take (&waiters, &what, &got));
  g_assert_cmpuint (g_hash_table_size (waiters.queues), ==, 0);
  swarm_waiters_clear (&waiters);
}

/* ---- the loop ---- */

typedef struct {
  SwarmId id;
  GError *error;
} Made;

static void
made (const SwarmControlReply *reply, const GError *error, gpointer data)
{
  g_assert_no_error (error);
  ((Made *) data)->id = reply->id;
}

static SwarmId
make_network (Brain *brain, const char *name, const char *subnet)
{
  g_autoptr (SwarmNetworkSpec) spec = swarm_network_spec_new ();
  Made out = { 0 };
  spec->name = g_strdup (name);
  if (subnet != NULL) {
    SwarmIPAMConfig *config = swarm_ipam_config_new ();
    config->subnet = g_strdup (subnet);
    spec->ipam = swarm_ipam_new ();
    spec->ipam->config = swarm_messages_new ();
    g_ptr_array_add (spec->ipam->config, config);
  }
  swarm_control_create_network (swarm_manager_control (brain->manager), spec, NULL, made, &out);
  brain_run (brain, SECOND);
  return out.id;
}

static const SwarmNetwork *
network (Brain *brain, const SwarmId *id)
{
  return swarm_store_get (brain->store, SWARM_KIND_NETWORK, id);
}

static const SwarmService *
service (Brain *brain, const SwarmId *id)
{
  return swarm_store_get (brain->store, SWARM_KIND_SERVICE, id);
}

static const char *
subnet_of (Brain *brain, const SwarmId *id)
{
  return ((SwarmIPAMConfig *) g_ptr_array_index (network (brain, id)->ipam->config, 0))->subnet;
}

static SwarmServiceSpec *
spec_in (const char *name, guint replicas, const char *target)
{
  SwarmServiceSpec *spec = brain_spec (name, replicas);
  SwarmNetworkAttachmentConfig *config = swarm_network_attachment_config_new ();
  config->target = g_strdup (target);
  spec->task->networks = swarm_messages_new ();
  g_ptr_array_add (spec->task->networks, config);
  return spec;
}

static void
publish (SwarmServiceSpec *spec, guint port)
{
  spec_host_port (spec, port);
  ((SwarmPortConfig *) g_ptr_array_index (spec->endpoint->ports, spec->endpoint->ports->len - 1))->publish_mode = SWARM_PUBLISH_INGRESS;
}

static const char *
vip_of (Brain *brain, const SwarmId *id, guint i)
{
  const SwarmEndpoint *endpoint = service (brain, id)->endpoint;
  return endpoint != NULL && endpoint->virtual_ips != NULL && endpoint->virtual_ips->len > i ? ((SwarmVirtualIP *) g_ptr_array_index (endpoint->virtual_ips, i))->addr : NULL;
}

static guint64
port_of (Brain *brain, const SwarmId *id, guint i)
{
  const SwarmEndpoint *endpoint = service (brain, id)->endpoint;
  return endpoint != NULL && endpoint->ports->len > i ? ((SwarmPortConfig *) g_ptr_array_index (endpoint->ports, i))->published_port : 0;
}

static const char *
address_of (const SwarmTask *task)
{
  const SwarmNetworkAttachment *attachment = task->networks != NULL ? g_ptr_array_index (task->networks, 0) : NULL;
  return attachment != NULL && attachment->addresses != NULL ? g_ptr_array_index (attachment->addresses, 0) : NULL;
}

typedef struct {
  GHashTable *seen;
  Brain *brain;
} Unique;

static void
see (Unique *unique, const SwarmId *where, const char *address)
{
  g_assert_nonnull (address);
  g_assert_true (g_hash_table_add (unique->seen, g_strdup_printf ("%s %s", swarm_id_string (where).str, address)));
}

static gboolean
see_task (gpointer object, gpointer data)
{
  const SwarmTask *task = object;
  if (!swarm_task_holds_addresses (task))
    return TRUE;
  for (guint i = 0; task->networks != NULL && i < task->networks->len; i++) {
    const SwarmNetworkAttachment *attachment = g_ptr_array_index (task->networks, i);
    see (data, &attachment->network, g_ptr_array_index (attachment->addresses, 0));
  }
  if (task->gateway_address != NULL)
    see (data, &task->node_id, task->gateway_address);
  return TRUE;
}

static gboolean
see_service (gpointer object, gpointer data)
{
  const SwarmService *self = object;
  for (guint i = 0; self->endpoint != NULL && self->endpoint->virtual_ips != NULL && i < self->endpoint->virtual_ips->len; i++) {
    const SwarmVirtualIP *vip = g_ptr_array_index (self->endpoint->virtual_ips, i);
    see (data, &vip->network, vip->addr);
  }
  return TRUE;
}

/* No address twice, and what the allocator believes is what the store says. */
static void
check_all (Brain *brain)
{
  Unique unique = { g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL), brain };
  g_autofree char *difference = swarm_manager_audit (brain->manager);
  g_assert_cmpstr (difference, ==, NULL);
  swarm_store_foreach (brain->store, SWARM_KIND_TASK, see_task, &unique);
  swarm_store_foreach (brain->store, SWARM_KIND_SERVICE, see_service, &unique);
  g_hash_table_unref (unique.seen);
}

static Brain *
brain_with_nodes (guint n)
{
  Brain *brain = brain_new ();
  for (guint i = 1; i <= n; i++) {
    g_autofree char *name = g_strdup_printf ("n%u", i);
    brain_node (brain, name);
  }
  return brain;
}

static void
test_networks (void)
{
  g_autoptr (Brain) brain = brain_new ();
  SwarmId a = make_network (brain, "a", NULL), b = make_network (brain, "b", "10.0.2.0/24"), c = make_network (brain, "c", NULL);
  g_assert_cmpstr (subnet_of (brain, &a), ==, "10.0.1.0/24");
  g_assert_cmpstr (subnet_of (brain, &b), ==, "10.0.2.0/24");
  g_assert_cmpstr (subnet_of (brain, &c), ==, "10.0.3.0/24");
  g_assert_cmpuint (network (brain, &a)->vni, ==, SWARM_VNI_FIRST + 1);
  g_assert_cmpuint (network (brain, &c)->vni, ==, SWARM_VNI_FIRST + 3);
  check_all (brain);
  brain_restart (brain);
  brain_run (brain, SECOND);
  check_all (brain);
  SwarmId d = make_network (brain, "d", NULL);
  g_assert_cmpstr (subnet_of (brain, &d), ==, "10.0.4.0/24");
  g_assert_cmpuint (network (brain, &d)->vni, ==, SWARM_VNI_FIRST + 4);
  /* Taken back. */
  swarm_control_remove_network (swarm_manager_control (brain->manager), &b, NULL, NULL, NULL);
  brain_run (brain, SECOND);
  g_assert_null (network (brain, &b));
  check_all (brain);
  b = make_network (brain, "b2", "10.0.2.128/25");
  g_assert_cmpstr (subnet_of (brain, &b), ==, "10.0.2.128/25");
  check_all (brain);
}

static void
test_ipv6 (void)
{
  g_autoptr (Brain) brain = brain_with_nodes (1);
  g_autoptr (SwarmNetworkSpec) spec = swarm_network_spec_new ();
  Made out = { 0 };
  spec->name = g_strdup ("six");
  spec->ipv6 = TRUE;
  swarm_control_create_network (swarm_manager_control (brain->manager), spec, NULL, made, &out);
  brain_run (brain, SECOND);
  const SwarmIPAMConfig *config = g_ptr_array_index (network (brain, &out.id)->ipam->config, 1);
  g_assert_true (g_str_has_prefix (config->subnet, "fd") && g_str_has_suffix (config->subnet, "::/64"));
  g_autoptr (SwarmServiceSpec) web = spec_in ("web", 1, "six");
  SwarmId id = brain_create (brain, web);
  brain_run (brain, SECOND);
  const SwarmVirtualIP *vip = g_ptr_array_index (service (brain, &id)->endpoint->virtual_ips, 0);
  g_assert_cmpstr (vip->addr, ==, "10.0.1.2/24");
  g_assert_true (g_str_has_suffix (vip->addr6, "::a00:102/64"));
  const SwarmNetworkAttachment *attachment = g_ptr_array_index (newest_task (brain, &id, 1)->networks, 0);
  g_assert_cmpuint (attachment->addresses->len, ==, 2);
  g_assert_true (g_str_has_suffix (g_ptr_array_index (attachment->addresses, 1), "::a00:103/64"));
  check_all (brain);
}

/* Addresses of a service: from its creation over updates, a new leader, and until its tasks are gone. */
static void
test_service (void)
{
  g_autoptr (Brain) brain = brain_with_nodes (2);
  g_autoptr (GError) error = NULL;
  make_network (brain, "net", NULL);
  SwarmId other = make_network (brain, "other", NULL);
  g_assert_null (tame_node (brain_tame (brain, 0))->network); /* nothing needs it yet */
  g_autoptr (SwarmServiceSpec) spec = spec_in ("web", 3, "net");
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 3);
  g_autofree char *vip = g_strdup (vip_of (brain, &web, 0));
  g_assert_cmpstr (vip, ==, "10.0.1.2/24");
  g_assert_cmpstr (address_of (newest_task (brain, &web, 1)), ==, "10.0.1.3/24");
  const SwarmNode *node = tame_node (brain_tame (brain, 0));
  g_assert_cmpuint (node->network->number, >=, 1);
  g_assert_cmpuint (node->network->number, <=, 3);
  g_assert_true (g_str_has_prefix (node->network->ingress_address, "10.0.0."));
  g_assert_nonnull (newest_task (brain, &web, 1)->gateway_address);
  check_all (brain);
  /* New tasks, new addresses, the same VIP. */
  swarm_string_set (&spec->task->container->image, "nginx:2");
  g_assert_true (brain_update (brain, &web, spec, &error));
  brain_run (brain, 30 * SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 3);
  g_assert_cmpstr (vip_of (brain, &web, 0), ==, vip);
  check_all (brain);
  /* One network more, then only that. */
  SwarmNetworkAttachmentConfig *more = swarm_network_attachment_config_new ();
  more->target = g_strdup ("other");
  g_ptr_array_add (spec->task->networks, more);
  g_assert_true (brain_update (brain, &web, spec, &error));
  brain_run (brain, 30 * SECOND);
  g_assert_cmpstr (vip_of (brain, &web, 0), ==, vip);
  g_assert_cmpstr (vip_of (brain, &web, 1), ==, "10.0.2.2/24");
  g_ptr_array_remove_index (spec->task->networks, 0);
  g_assert_true (brain_update (brain, &web, spec, &error));
  brain_run (brain, 30 * SECOND);
  g_assert_cmpuint (service (brain, &web)->endpoint->virtual_ips->len, ==, 1);
  g_assert_cmpstr (vip_of (brain, &web, 0), ==, "10.0.2.2/24");
  check_all (brain);
  /* A new leader knows the same. */
  brain_restart (brain);
  brain_run (brain, 10 * SECOND);
  g_assert_cmpstr (vip_of (brain, &web, 0), ==, "10.0.2.2/24");
  check_all (brain);
  /* No virtual address any more, then no service. */
  spec->endpoint = swarm_endpoint_spec_new ();
  spec->endpoint->mode = SWARM_ENDPOINT_DNSRR;
  g_assert_true (brain_update (brain, &web, spec, &error));
  brain_run (brain, 30 * SECOND);
  g_assert_cmpuint (service (brain, &web)->endpoint->virtual_ips->len, ==, 0);
  for (guint i = 0; i < brain->nodes->len; i++)
    if (brain_tame (brain, i)->near == NULL)
      tame_connect (brain_tame (brain, i));
  brain_run (brain, 30 * SECOND);
  g_assert_true (brain_remove (brain, &web, &error));
  brain_run (brain, 30 * SECOND);
  check_all (brain);
  swarm_control_remove_network (swarm_manager_control (brain->manager), &other, NULL, NULL, NULL);
  brain_run (brain, SECOND);
  g_assert_null (network (brain, &other));
}

/* Five addresses for six: the last one says so, and gets the first that becomes free. */
static void
test_exhausted (void)
{
  g_autoptr (Brain) brain = brain_with_nodes (1);
  SwarmId small = make_network (brain, "small", "10.1.0.0/29");
  g_autoptr (SwarmServiceSpec) spec = spec_in ("web", 6, "small"), late = spec_in ("late", 1, "small");
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 4);
  g_assert_cmpuint (count_tasks (brain, &web, SWARM_TASK_NEW, SWARM_TASK_RUNNING), ==, 2);
  g_autofree char *text = g_strdup_printf ("no available IPv4 addresses on this network's address pools: small (%s)", swarm_id_string (&small).str);
  guint n_said = 0;
  for (guint slot = 1; slot <= 6; slot++) {
    const SwarmTask *task = newest_task (brain, &web, slot);
    if (task->status->state == SWARM_TASK_NEW) {
      g_assert_cmpstr (task->status->err, ==, text);
      n_said++;
    }
  }
  g_assert_cmpuint (n_said, ==, 2);
  /* Not even a virtual address is left: its task says it, too. */
  SwarmId other = brain_create (brain, late);
  brain_run (brain, SECOND);
  g_assert_null (service (brain, &other)->endpoint);
  g_assert_cmpstr (newest_task (brain, &other, 1)->status->err, ==, text);
  guint64 index = swarm_store_index (brain->store);
  brain_run (brain, 5 * SECOND);
  g_assert_cmpuint (swarm_store_index (brain->store), ==, index); /* it waits in silence */
  check_all (brain);
  /* One task less: who waited longest is served. */
  g_assert_true (brain_scale (brain, &web, 2, NULL));
  brain_run (brain, 10 * SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 2);
  g_assert_cmpuint (count_running (brain, &other), ==, 1);
  g_assert_nonnull (vip_of (brain, &other, 0));
  check_all (brain);
  g_assert_true (brain_scale (brain, &web, 3, NULL));
  brain_run (brain, 10 * SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 2); /* full again: 2 VIPs, 3 tasks */
  g_assert_true (brain_remove (brain, &other, NULL));
  brain_run (brain, 10 * SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 3);
  check_all (brain);
}

static void
test_ports (void)
{
  g_autoptr (Brain) brain = brain_with_nodes (1);
  g_autoptr (SwarmServiceSpec) one = brain_spec ("one", 1), two = brain_spec ("two", 1), three = brain_spec ("three", 1);
  g_autoptr (GError) error = NULL;
  publish (one, 0);
  SwarmId first = brain_create (brain, one);
  publish (two, 0);
  publish (two, 8080);
  SwarmId second = brain_create (brain, two), third;
  brain_run (brain, SECOND);
  g_assert_cmpuint (port_of (brain, &first, 0), ==, 30000);
  g_assert_cmpuint (port_of (brain, &second, 0), ==, 30001);
  g_assert_cmpuint (port_of (brain, &second, 1), ==, 8080);
  g_assert_cmpuint (count_running (brain, &first), ==, 1);
  check_all (brain);
  /* What was given is taken. */
  publish (three, 30001);
  g_assert_false (brain_try_create (brain, three, NULL, &third, &error));
  g_autofree char *text = g_strdup_printf ("port '30001' is already in use by service 'two' (%s) as an ingress port", swarm_id_string (&second).str);
  g_assert_cmpstr (error->message, ==, text);
  /* It stays over updates and a new leader, also beside a new one. */
  publish (one, 0);
  ((SwarmPortConfig *) g_ptr_array_index (one->endpoint->ports, 1))->target_port = 81;
  g_assert_true (brain_update (brain, &first, one, NULL));
  brain_run (brain, 30 * SECOND);
  g_assert_cmpuint (port_of (brain, &first, 0), ==, 30000);
  g_assert_cmpuint (port_of (brain, &first, 1), ==, 30002);
  brain_restart (brain);
  brain_run (brain, SECOND);
  check_all (brain);
  /* Freed, it can be asked for, and is the first to be given. */
  g_assert_true (brain_remove (brain, &second, NULL));
  brain_run (brain, SECOND);
  third = brain_create (brain, three);
  brain_run (brain, SECOND);
  g_assert_cmpuint (port_of (brain, &third, 0), ==, 30001);
  check_all (brain);
  /* Nothing published any more. */
  g_clear_pointer (&one->endpoint, swarm_endpoint_spec_unref);
  g_assert_true (brain_update (brain, &first, one, NULL));
  brain_run (brain, SECOND);
  g_assert_null (service (brain, &first)->endpoint);
  check_all (brain);
}

#define MANY 700 /* more than are woken at once */

/* How many tasks of the service say so. */
static guint
count_saying (Brain *brain, const SwarmId *id, const char *text)
{
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (brain->store, id);
  guint n = 0;
  for (guint i = 0; i < tasks->len; i++) {
    const SwarmTask *task = g_ptr_array_index (tasks, i);
    n += task->status->state == SWARM_TASK_NEW && task->status->err != NULL && strstr (task->status->err, text) != NULL;
  }
  return n;
}

/* Many that wait are woken in parts: each of them, and those that have to wait on say for whom. */
static void
test_many_wait (void)
{
  g_autoptr (Brain) brain = brain_with_nodes (4);
  const char *const names[] = { "one", "two", "three" };
  Made made_of[3];
  memset (made_of, 0, sizeof made_of);
  for (guint i = 0; i < 3; i++) {
    g_autoptr (SwarmServiceSpec) spec = brain_spec (names[i], i == 0 ? 1 : MANY);
    publish (spec, 8080);
    swarm_control_create_service (swarm_manager_control (brain->manager), spec, NULL, made, &made_of[i]);
  }
  brain_run (brain, 10 * SECOND);
  g_assert_cmpuint (count_running (brain, &made_of[0].id), ==, 1);
  g_assert_cmpuint (count_saying (brain, &made_of[1].id, "service 'one'"), ==, MANY);
  g_assert_cmpuint (count_saying (brain, &made_of[2].id, "service 'one'"), ==, MANY);
  g_assert_true (brain_remove (brain, &made_of[0].id, NULL));
  brain_run (brain, 10 * SECOND);
  guint got = service (brain, &made_of[1].id)->endpoint != NULL ? 1 : 2;
  g_autofree char *text = g_strdup_printf ("service '%s'", names[got]);
  g_assert_cmpuint (count_running (brain, &made_of[got].id), ==, MANY);
  g_assert_cmpuint (count_saying (brain, &made_of[3 - got].id, text), ==, MANY);
  g_assert_true (brain_remove (brain, &made_of[got].id, NULL));
  brain_run (brain, 20 * SECOND);
  g_assert_cmpuint (count_running (brain, &made_of[3 - got].id), ==, MANY);
  check_all (brain);
}

/* Two that asked for the same port at once: the second one waits, says so, and gets it when the first goes. */
static void
test_port_race (void)
{
  g_autoptr (Brain) brain = brain_with_nodes (1);
  g_autoptr (SwarmServiceSpec) one = brain_spec ("one", 1), two = brain_spec ("two", 1);
  Made a = { 0 }, b = { 0 };
  publish (one, 8080);
  publish (two, 8080);
  swarm_control_create_service (swarm_manager_control (brain->manager), one, NULL, made, &a);
  swarm_control_create_service (swarm_manager_control (brain->manager), two, NULL, made, &b);
  brain_run (brain, SECOND);
  const SwarmId *winner = service (brain, &a.id)->endpoint != NULL ? &a.id : &b.id, *loser = winner == &a.id ? &b.id : &a.id;
  g_assert_cmpuint (count_running (brain, winner), ==, 1);
  g_assert_cmpuint (count_running (brain, loser), ==, 0);
  g_autofree char *text = g_strdup_printf ("port '8080' is already in use by service '%s' (%s) as an ingress port", service (brain, winner)->spec->name,
                                           swarm_id_string (winner).str);
  g_assert_cmpstr (newest_task (brain, loser, 1)->status->err, ==, text);
  g_assert_true (brain_remove (brain, winner, NULL));
  brain_run (brain, SECOND);
  g_assert_cmpuint (count_running (brain, loser), ==, 1);
  check_all (brain);
}

static void
tried (const SwarmControlReply *reply, const GError *error, gpointer data)
{
  Made *out = data;
  g_assert_true (swarm_id_is_nil (&out->id) && out->error == NULL);
  if (reply != NULL)
    out->id = reply->id;
  else
    out->error = g_error_copy (error);
}

/* A network goes in the very moment in which a service begins to need it: one of them is refused. */
static void
test_network_race (void)
{
  g_autoptr (Brain) brain = brain_with_nodes (1);
  SwarmControl *control = swarm_manager_control (brain->manager);
  g_autoptr (SwarmServiceSpec) web = spec_in ("web", 1, "net"), db = brain_spec ("db", 1), more = spec_in ("db", 1, "net");
  Made first = { 0 }, second = { 0 };
  SwarmId net = make_network (brain, "net", NULL);
  swarm_control_create_service (control, web, NULL, tried, &first);
  swarm_control_remove_network (control, &net, NULL, tried, &second);
  brain_run (brain, SECOND);
  g_assert_no_error (first.error);
  g_assert_error (second.error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION);
  g_assert_nonnull (strstr (second.error->message, "is in use by service"));
  g_assert_cmpuint (count_running (brain, &first.id), ==, 1);
  g_clear_error (&second.error);
  g_assert_true (brain_remove (brain, &first.id, NULL));
  SwarmId id = brain_create (brain, db);
  brain_run (brain, 5 * SECOND);
  first = second = (Made){ 0 };
  guint64 version = service (brain, &id)->object.version;
  swarm_control_remove_network (control, &net, NULL, tried, &first);
  swarm_control_update_service (control, &id, version, more, NULL, tried, &second);
  brain_run (brain, SECOND);
  g_assert_no_error (first.error);
  g_assert_error (second.error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND);
  g_assert_null (network (brain, &net));
  g_clear_error (&second.error);
  /* What is over is in nobody's way. */
  net = make_network (brain, "net", NULL);
  g_assert_true (brain_update (brain, &id, more, NULL));
  brain_run (brain, 5 * SECOND);
  g_assert_cmpuint (count_running (brain, &id), ==, 1);
  g_assert_true (brain_remove (brain, &id, NULL));
  brain_run (brain, 5 * SECOND);
  first = (Made){ 0 };
  swarm_control_remove_network (control, &net, NULL, tried, &first);
  brain_run (brain, SECOND);
  g_assert_no_error (first.error);
  check_all (brain);
}

static gboolean
find_ingress (gpointer object, gpointer data)
{
  const SwarmNetwork *candidate = object;
  if (candidate->spec->ingress)
    *(SwarmId *) data = candidate->object.id;
  return TRUE;
}

/* The same of the routing mesh's network, of which there is one at most. */
static void
test_ingress_race (void)
{
  g_autoptr (Brain) brain = brain_with_nodes (1);
  SwarmControl *control = swarm_manager_control (brain->manager);
  g_autoptr (SwarmServiceSpec) web = brain_spec ("web", 1);
  g_autoptr (SwarmNetworkSpec) one = swarm_network_spec_new (), two = swarm_network_spec_new ();
  Made first = { 0 }, second = { 0 };
  SwarmId ingress = SWARM_ID_NIL;
  swarm_store_foreach (brain->store, SWARM_KIND_NETWORK, find_ingress, &ingress);
  publish (web, 8080);
  swarm_control_remove_network (control, &ingress, NULL, tried, &first);
  swarm_control_create_service (control, web, NULL, tried, &second);
  brain_run (brain, SECOND);
  g_assert_no_error (first.error);
  g_assert_error (second.error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
  g_clear_error (&second.error);
  first = (Made){ 0 };
  one->name = g_strdup ("one");
  two->name = g_strdup ("two");
  one->ingress = two->ingress = TRUE;
  swarm_control_create_network (control, one, NULL, tried, &first);
  swarm_control_create_network (control, two, NULL, tried, &second);
  brain_run (brain, SECOND);
  g_assert_no_error (first.error);
  g_assert_error (second.error, SWARM_ERROR, SWARM_ERROR_ALREADY_EXISTS);
  g_clear_error (&second.error);
  ingress = first.id;
  first = (Made){ 0 };
  swarm_control_create_service (control, web, NULL, tried, &first);
  swarm_control_remove_network (control, &ingress, NULL, tried, &second);
  brain_run (brain, SECOND);
  g_assert_no_error (first.error);
  g_assert_error (second.error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION);
  g_clear_error (&second.error);
  g_assert_cmpuint (count_running (brain, &first.id), ==, 1);
  check_all (brain);
}

/* Numbers and subnets of nodes, and of those that go. */
static void
test_nodes (void)
{
  g_autoptr (Brain) brain = brain_with_nodes (2);
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 2);
  publish (spec, 8080);
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, SECOND);
  Tame *late = brain_node (brain, "n3");
  brain_run (brain, SECOND);
  g_assert_cmpuint (tame_node (late)->network->number, ==, 4); /* the founder has one, too */
  g_autofree char *gateway = g_strdup (tame_node (late)->network->gateway);
  g_assert_true (g_str_has_suffix (gateway, ".1/24"));
  check_all (brain);
  tame_disconnect (late);
  brain_run (brain, 30 * SECOND);
  g_assert_true (brain_remove_node (brain, late, TRUE, NULL));
  brain_run (brain, 10 * SECOND);
  check_all (brain);
  Tame *next = brain_node (brain, "n4");
  brain_run (brain, SECOND);
  g_assert_cmpuint (tame_node (next)->network->number, ==, 4);
  g_assert_cmpstr (tame_node (next)->network->gateway, !=, gateway); /* the subnet comes back last */
  g_assert_cmpuint (count_running (brain, &web), ==, 2);
  check_all (brain);
}

/* A node's subnet is used up: its task waits there, says so, and starts when there is one again. */
static void
test_gateway_exhausted (void)
{
  g_autoptr (Brain) brain = brain_with_nodes (1);
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 254);
  publish (spec, 8080);
  SwarmId web = brain_create (brain, spec);
  brain_run (brain, 10 * SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 253);
  g_assert_cmpuint (count_tasks (brain, &web, SWARM_TASK_ASSIGNED, SWARM_TASK_RUNNING), ==, 1);
  for (guint slot = 1; slot <= 254; slot++) {
    const SwarmTask *task = newest_task (brain, &web, slot);
    if (task->status->state == SWARM_TASK_ASSIGNED)
      g_assert_true (g_str_has_prefix (task->status->err, "node is missing network attachments, ip addresses may be exhausted"));
  }
  check_all (brain);
  Tame *more = brain_node (brain, "n2");
  brain_run (brain, SECOND);
  g_assert_true (brain_availability (brain, brain_tame (brain, 0), "drain", NULL));
  brain_run (brain, 60 * SECOND);
  g_assert_cmpuint (tame_n_tasks (more, SWARM_TASK_RUNNING), ==, 253);
  check_all (brain);
  g_assert_true (brain_scale (brain, &web, 200, NULL));
  brain_run (brain, 30 * SECOND);
  g_assert_cmpuint (count_running (brain, &web), ==, 200);
  check_all (brain);
  /* One that never got there can still go. */
  g_assert_true (brain_remove (brain, &web, NULL));
  brain_run (brain, 60 * SECOND);
  g_assert_cmpuint (count_tasks (brain, &web, SWARM_TASK_ASSIGNED, SWARM_TASK_REMOVE), ==, 0);
}

static gboolean
count_gateway (gpointer object, gpointer data)
{
  const SwarmNode *node = object;
  *(guint *) data += node->network != NULL && node->network->gateway != NULL;
  return TRUE;
}

static guint
n_gateways (Brain *brain)
{
  guint n = 0;
  swarm_store_foreach (brain->store, SWARM_KIND_NODE, count_gateway, &n);
  return n;
}

/* The address pool is used up, and more nodes wait for a subnet than are woken at once: one that goes serves one of them, and then all is quiet, though
 * there is room in the ingress network, which they have addresses in. */
static void
test_pool_exhausted (void)
{
  g_autoptr (Brain) brain = brain_with_nodes (0);
  g_autoptr (SwarmServiceSpec) spec = brain_spec ("web", 1);
  make_network (brain, "big", "10.128.0.0/9");
  make_network (brain, "more", "10.64.0.0/10");
  make_network (brain, "rest", "10.32.0.0/11");
  make_network (brain, "even", "10.16.0.0/12");
  make_network (brain, "last", "10.8.0.0/13");
  make_network (brain, "very", "10.4.0.0/14");
  make_network (brain, "all", "10.2.0.0/15");
  make_network (brain, "most", "10.1.0.0/16");
  make_network (brain, "half", "10.0.128.0/17");
  make_network (brain, "part", "10.0.64.0/18");
  make_network (brain, "bit", "10.0.32.0/19");
  publish (spec, 8080);
  brain_create (brain, spec);
  for (guint i = 0; i < 80; i++) {
    g_autofree char *name = g_strdup_printf ("n%u", i);
    brain_node (brain, name);
  }
  brain_run (brain, 5 * SECOND);
  guint with = n_gateways (brain);
  g_assert_cmpuint (with, ==, 31); /* the ingress network has one of 32 */
  check_all (brain);
  Tame *goes = NULL;
  for (guint i = 0; i < brain->nodes->len && goes == NULL; i++)
    goes = tame_node (brain_tame (brain, i))->network->gateway != NULL ? brain_tame (brain, i) : NULL;
  tame_disconnect (goes);
  brain_run (brain, 30 * SECOND);
  g_assert_true (brain_remove_node (brain, goes, TRUE, NULL));
  brain_run (brain, 5 * SECOND);
  g_assert_cmpuint (n_gateways (brain), ==, with);
  check_all (brain);
}

/* A service without networks and ports is as it ever was. */
static void
test_nothing (void)
{
  SwarmId web;
  g_autoptr (Brain) brain = brain_with_web (2, 3, &web);
  g_assert_cmpuint (count_running (brain, &web), ==, 3);
  g_assert_null (service (brain, &web)->endpoint);
  g_assert_null (newest_task (brain, &web, 1)->networks);
  g_assert_null (newest_task (brain, &web, 1)->gateway_address);
  g_assert_null (tame_node (brain_tame (brain, 0))->network);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/allocator/bits", test_bits);
  g_test_add_func ("/allocator/bits-differ", test_bits_differ);
  g_test_add_func ("/allocator/pool", test_pool);
  g_test_add_func ("/allocator/waiters", test_waiters);
  g_test_add_func ("/allocator/networks", test_networks);
  g_test_add_func ("/allocator/ipv6", test_ipv6);
  g_test_add_func ("/allocator/service", test_service);
  g_test_add_func ("/allocator/exhausted", test_exhausted);
  g_test_add_func ("/allocator/ports", test_ports);
  g_test_add_func ("/allocator/port-race", test_port_race);
  g_test_add_func ("/allocator/many-wait", test_many_wait);
  g_test_add_func ("/allocator/network-race", test_network_race);
  g_test_add_func ("/allocator/ingress-race", test_ingress_race);
  g_test_add_func ("/allocator/nodes", test_nodes);
  g_test_add_func ("/allocator/gateway-exhausted", test_gateway_exhausted);
  g_test_add_func ("/allocator/pool-exhausted", test_pool_exhausted);
  g_test_add_func ("/allocator/nothing", test_nothing);
  return g_test_run ();
}
