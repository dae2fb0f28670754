// SPDX-License-Identifier: LGPL-2.1-or-later
/* The overlay plugin with a swarm-netd that is played here: its batches must fit together, and changes must lead where the whole leads. */
#include "overlay-bed.h"

/* What a picture becomes. A task that is not ready, or on a node that is down, is in no name and drains; and what changes is a delta. */
static void
test_picture (Bed *bed, gconstpointer data)
{
  UNTIL (swarm_network_host_supports (bed->host, "overlay"));
  g_assert_cmpuint (bed->batches, ==, 0);
  swarm_network_host_picture (bed->host, &whole);
  UNTIL (bed->batches == 1);
  g_assert_cmpuint (count (bed, SWARM_NETD_TYPE_NODE), ==, 2);
  g_assert_cmpuint (count (bed, SWARM_NETD_TYPE_ENDPOINT), ==, 1); /* of the other host */
  g_assert_cmpuint (count (bed, SWARM_NETD_TYPE_BACKEND), ==, 2);
  g_assert_cmpuint (count (bed, SWARM_NETD_TYPE_PORT_BACKEND), ==, 2);
  g_assert_cmpuint (count (bed, SWARM_NETD_TYPE_SANDBOX), ==, 1); /* it ran before this agent did */
  g_assert_cmpuint (count (bed, SWARM_NETD_TYPE_INTERFACE), ==, 2);
  assert_names (bed, "shop 10.0.1.2;web 10.0.1.2;tasks.web 10.0.1.3;web.1.one 10.0.1.3;tasks.web 10.0.1.4;web.2.two 10.0.1.4;");
  g_assert_cmpuint (draining (bed), ==, 0);

  SwarmPluginNetTask two = tasks[1];
  two.flags = 0;
  swarm_network_host_picture (bed->host, &(SwarmPluginPicture){ .node_id = "n1", .data_port = 4789, .tasks = &two, .n_tasks = 1 });
  UNTIL (bed->batches == 2);
  g_assert_cmpuint (bed->full, ==, 1);
  assert_names (bed, "shop 10.0.1.2;web 10.0.1.2;tasks.web 10.0.1.3;web.1.one 10.0.1.3;");
  g_assert_cmpuint (draining (bed), ==, 1);
  swarm_network_host_picture (bed->host, &(SwarmPluginPicture){ .node_id = "n1", .data_port = 4789, .tasks = &tasks[1], .n_tasks = 1 });
  UNTIL (bed->batches == 3);
  SwarmPluginNetNode down = nodes[1];
  down.flags = SWARM_PLUGIN_NODE_DOWN;
  swarm_network_host_picture (bed->host, &(SwarmPluginPicture){ .node_id = "n1", .data_port = 4789, .nodes = &down, .n_nodes = 1 });
  UNTIL (bed->batches == 4);
  g_assert_cmpuint (draining (bed), ==, 1);
  assert_names (bed, "shop 10.0.1.2;web 10.0.1.2;tasks.web 10.0.1.3;web.1.one 10.0.1.3;");

  swarm_network_host_picture (bed->host, &(SwarmPluginPicture){ .flags = SWARM_PLUGIN_PICTURE_WHOLE }); /* it left the cluster */
  UNTIL (bed->batches == 5);
  for (guint type = 1; type < SWARM_NETD_N_TYPES; type++)
    g_assert_cmpuint (count (bed, type), ==, 0);
}

/* Gateways and the routing mesh have IPv6 where the host has it, by addresses that follow from those of IPv4. */
static void
test_ipv6 (Bed *bed, gconstpointer data)
{
  guint32 number = 2;
  struct {
    guint16 port;
    guint8 protocol, reserved[5];
    guint8 backend[16];
    guint16 target;
    guint8 reserved2[6];
  } key = { .port = 8080, .protocol = 6, .backend = { 0xfd, 0x53, 0x57, 0x41, 0x52, 0x4d, 0, 1, [12] = 10, 0, 8, 2 }, .target = 80 };
  static const guint8 gateway[16] = { 0xfd, 0x53, 0x57, 0x41, 0x52, 0x4d, 0, 1, [12] = 10, 0, 8, 1 };
  static const guint8 ingress[16] = { 0xfd, 0x53, 0x57, 0x41, 0x52, 0x4d, 0, 0, [12] = 10, 0, 0, 3 };
  bed->hello = SWARM_NETD_IPV6;
  UNTIL (swarm_network_host_supports (bed->host, "overlay"));
  swarm_network_host_picture (bed->host, &whole);
  UNTIL (bed->batches == 1);
  const SwarmNetdNode *node = (const void *) swarm_netd_tables_find (bed->tables, SWARM_NETD_TYPE_NODE, &number)->data;
  g_assert_cmpmem (node->gateway6.bytes, 16, gateway, 16);
  g_assert_cmpmem (node->ingress6.bytes, 16, ingress, 16);
  g_assert_cmpuint (node->gateway6_prefix, ==, 120);
  g_assert_cmpuint (node->ingress6_prefix, ==, 120);
  g_assert_cmpuint (count (bed, SWARM_NETD_TYPE_PORT_BACKEND), ==, 4);
  g_assert_nonnull (swarm_netd_tables_find (bed->tables, SWARM_NETD_TYPE_PORT_BACKEND, &key));

  bed->hello = 0; /* it was turned off, and swarm-netd started again */
  drop_client (bed);
  UNTIL (bed->batches == 2);
  node = (const void *) swarm_netd_tables_find (bed->tables, SWARM_NETD_TYPE_NODE, &number)->data;
  g_assert_cmpuint (node->gateway6_prefix + node->ingress6_prefix, ==, 0);
  g_assert_cmpuint (count (bed, SWARM_NETD_TYPE_PORT_BACKEND), ==, 2);
}

/* A host that cannot have networks says why and is asked for nothing; when it can it has them. */
static void
test_cannot (Bed *bed, gconstpointer data)
{
  const char *reason = "VXLAN: Operation not supported";
  bed->cannot = reason;
  UNTIL (g_strcmp0 (swarm_network_host_reason (bed->host), reason) == 0);
  guint states = bed->states;
  swarm_network_host_picture (bed->host, &whole);
  drop_client (bed);
  UNTIL (bed->client >= 0);
  for (guint i = 0; i < 100; i++)
    g_main_context_iteration (NULL, FALSE);
  g_assert_false (swarm_network_host_supports (bed->host, "overlay"));
  g_assert_cmpuint (bed->batches, ==, 0);
  g_assert_cmpuint (bed->states, ==, states); /* it is no news */

  bed->cannot = NULL;
  drop_client (bed);
  UNTIL (swarm_network_host_supports (bed->host, "overlay"));
  g_assert_null (swarm_network_host_reason (bed->host));
  UNTIL (bed->batches == 1);
}

/* ---- tasks ---- */

static void
on_attached (const char *mode, const char *resolver, const GError *error, gpointer data)
{
  g_string_append_printf (((Bed *) data)->said, "%s %s;", error != NULL ? error->message : mode != NULL ? mode : "-", resolver != NULL ? resolver : "-");
}

static SwarmTask *
make_task (const SwarmId *network)
{
  SwarmTask *task = swarm_task_new ();
  SwarmNetworkAttachment *at = swarm_network_attachment_new ();
  task->object.id.bytes[0] = 7;
  at->network = *network;
  at->driver = g_strdup ("overlay");
  at->addresses = g_ptr_array_new_with_free_func (g_free);
  g_ptr_array_add (at->addresses, g_strdup ("10.0.1.9/24"));
  task->networks = swarm_messages_new ();
  g_ptr_array_add (task->networks, at);
  task->gateway_address = g_strdup ("10.0.7.9/24");
  task->spec = swarm_task_spec_new ();
  task->spec->container = swarm_container_spec_new ();
  task->spec->container->dns = swarm_dns_config_new ();
  task->spec->container->dns->nameservers = g_ptr_array_new_with_free_func (g_free);
  g_ptr_array_add (task->spec->container->dns->nameservers, g_strdup ("10.9.9.1"));
  g_ptr_array_add (task->spec->container->dns->nameservers, g_strdup ("fd00::53"));
  return task;
}

static void
assert_said (Bed *bed, const char *expected)
{
  UNTIL (bed->said->len > 0);
  g_assert_cmpstr (bed->said->str, ==, expected);
  g_string_set_size (bed->said, 0);
}

/* A task waits until its networks are known and its namespace is ready, and is told what stands against it. */
static void
test_attach (Bed *bed, gconstpointer data)
{
  SwarmId network = { { 9 } };
  SwarmIdString id = swarm_id_string (&network);
  g_autoptr (SwarmTask) task = make_task (&network);
  g_autoptr (SwarmTask) plain = swarm_task_new ();
  SwarmIdString task_id = swarm_id_string (&task->object.id);
  SwarmPluginNetwork row = { .id = id.str, .name = "back", .driver = "overlay", .vni = 4099 };
  g_autofree char *refused = g_strdup_printf ("sandbox %s: no namespaces left -;", task_id.str);

  swarm_network_host_attach (bed->host, plain, &SWARM_ID_NIL, "n1", 60 * G_USEC_PER_SEC, on_attached, bed);
  assert_said (bed, "bridge -;");
  guint64 call = swarm_network_host_attach (bed->host, task, &SWARM_ID_NIL, "n1", 60 * G_USEC_PER_SEC, on_attached, bed);
  UNTIL (swarm_network_host_supports (bed->host, "overlay"));
  swarm_network_host_cancel (bed->host, call);
  assert_said (bed, "no manager has told of the networks yet -;");

  swarm_network_host_picture (bed->host, &whole);
  UNTIL (bed->batches == 1);
  swarm_network_host_attach (bed->host, task, &SWARM_ID_NIL, "n1", 60 * G_USEC_PER_SEC, on_attached, bed);
  swarm_network_host_picture (bed->host, &(SwarmPluginPicture){ .node_id = "n1", .data_port = 4789, .networks = &row, .n_networks = 1 });
  assert_said (bed, "ns:/proc/1/fd/7 127.0.0.11;");
  g_assert_cmpuint (count (bed, SWARM_NETD_TYPE_SANDBOX), ==, 2);
  g_assert_cmpuint (count (bed, SWARM_NETD_TYPE_RESOLVER), ==, 2);
  swarm_network_host_detach (bed->host, &task->object.id, 60 * G_USEC_PER_SEC, on_attached, bed);
  UNTIL (count (bed, SWARM_NETD_TYPE_SANDBOX) == 1 && bed->said->len > 0);
  g_string_set_size (bed->said, 0);

  bed->problem = task_id.str;
  swarm_network_host_attach (bed->host, task, &SWARM_ID_NIL, "n1", 60 * G_USEC_PER_SEC, on_attached, bed);
  assert_said (bed, refused);
  g_assert_nonnull (swarm_network_host_problems (bed->host)[0]);
  bed->problem = NULL;
  swarm_network_host_detach (bed->host, &task->object.id, 60 * G_USEC_PER_SEC, on_attached, bed);
  UNTIL (count (bed, SWARM_NETD_TYPE_SANDBOX) == 1 && bed->said->len > 0);
  g_string_set_size (bed->said, 0);
  bed->problem = task_id.str;
  bed->problem_vni = 4099;
  swarm_network_host_attach (bed->host, task, &SWARM_ID_NIL, "n1", 60 * G_USEC_PER_SEC, on_attached, bed);
  assert_said (bed, "network back: no namespaces left -;");
  bed->problem = NULL; /* told on when the task has gone, until one is not refused */
  swarm_network_host_detach (bed->host, &task->object.id, 60 * G_USEC_PER_SEC, on_attached, bed);
  UNTIL (count (bed, SWARM_NETD_TYPE_SANDBOX) == 1 && bed->said->len > 0);
  g_string_set_size (bed->said, 0);
  report (bed);
  UNTIL (bed->states > 0);
  g_assert_cmpstr (swarm_network_host_problems (bed->host)[0], ==, "network back: no namespaces left");
  g_assert_cmpuint (g_strv_length ((char **) swarm_network_host_problems (bed->host)), ==, 1);
  swarm_network_host_attach (bed->host, task, &SWARM_ID_NIL, "n1", 60 * G_USEC_PER_SEC, on_attached, bed);
  assert_said (bed, "ns:/proc/1/fd/7 127.0.0.11;");
  UNTIL (swarm_network_host_problems (bed->host)[0] == NULL);
}

static void
add_host_port (SwarmTask *task, guint published)
{
  SwarmPortConfig *port = swarm_port_config_new ();
  port->target_port = 80;
  port->published_port = published;
  port->publish_mode = SWARM_PUBLISH_HOST;
  task->endpoint = swarm_endpoint_spec_new ();
  task->endpoint->ports = swarm_messages_new ();
  g_ptr_array_add (task->endpoint->ports, port);
}

/* A port that a task was to have of this host alone, or one of sctp that it cannot serve, is told as its error; others of the mesh it has by other hosts. */
static void
test_ports (Bed *bed, gconstpointer data)
{
  SwarmId network = { { 9 } };
  SwarmIdString id = swarm_id_string (&network);
  g_autoptr (SwarmTask) task = make_task (&network);
  SwarmIdString task_id = swarm_id_string (&task->object.id);
  SwarmPluginNetwork row = { .id = id.str, .name = "back", .driver = "overlay", .vni = 4099 };
  SwarmPluginMeshPort ports[] = { { 0, 80, 8080 }, { 2, 81, 8081 } };
  SwarmPluginService service = { .id = "back-end", .name = "back-end", .ports = ports, .n_ports = 2 };
  SwarmPluginNetTask place = { .id = task_id.str, .service_id = "back-end", .node_id = "n1" };
  SwarmPluginPicture change = { .node_id = "n1", .data_port = 4789, .networks = &row, .n_networks = 1, .services = &service, .n_services = 1,
                                .tasks = &place, .n_tasks = 1 };
  static const struct {
    const char *port, *said;
  } cases[] = { { "port 8080/tcp", "ns:/proc/1/fd/7 127.0.0.11;" },
                { "port 8081/sctp", "port 8081/sctp: taken -;" },
                { "port 9090/tcp", "port 9090/tcp: taken -;" },
                { NULL, "ns:/proc/1/fd/7 127.0.0.11;" } };
  add_host_port (task, 9090);
  UNTIL (swarm_network_host_supports (bed->host, "overlay"));
  swarm_network_host_picture (bed->host, &whole);
  swarm_network_host_picture (bed->host, &change);
  UNTIL (count (bed, SWARM_NETD_TYPE_NETWORK) == 3);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    bed->port_problem = cases[i].port;
    swarm_network_host_attach (bed->host, task, &SWARM_ID_NIL, "n1", 60 * G_USEC_PER_SEC, on_attached, bed);
    assert_said (bed, cases[i].said);
    bed->port_problem = NULL;
    swarm_network_host_detach (bed->host, &task->object.id, 60 * G_USEC_PER_SEC, on_attached, bed);
    UNTIL (count (bed, SWARM_NETD_TYPE_SANDBOX) == 1 && bed->said->len > 0);
    g_string_set_size (bed->said, 0);
    if (i == 1)
      report (bed); /* all is well */
  }
}

/* ---- containers that are no tasks ---- */

#define CONTAINER "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* In network @vni, as the container's attachment number @slot. */
static SwarmTask *
make_attachment (Bed *bed, guint slot, guint32 vni)
{
  SwarmId network = { { (guint8) vni } };
  SwarmIdString id = swarm_id_string (&network);
  g_autofree char *address = g_strdup_printf ("10.0.%u.9/24", slot);
  SwarmPluginNetwork row = { .id = id.str, .name = "back", .driver = "overlay", .vni = vni };
  SwarmTask *task = make_task (&network);
  SwarmNetworkAttachment *attachment = task->networks->pdata[0];
  swarm_network_host_picture (bed->host, &(SwarmPluginPicture){ .node_id = "n1", .data_port = 4789, .networks = &row, .n_networks = 1 });
  task->object.id.bytes[15] = (guint8) slot;
  task->slot = slot;
  g_clear_pointer (&task->gateway_address, g_free);
  g_ptr_array_set_size (attachment->addresses, 0);
  g_ptr_array_add (attachment->addresses, g_strdup (address));
  task->attachment = swarm_container_attachment_new ();
  task->attachment->container_id = g_strdup (CONTAINER);
  task->attachment->name = g_strdup ("probe");
  return task;
}

static SwarmNetdId
sandbox_id (void)
{
  SwarmNetdId id = { { 0 } };
  memcpy (id.text, CONTAINER, 24);
  return id;
}

static void
note_interface (const SwarmNetdRow *row, gpointer data)
{
  const SwarmNetdInterface *interface = (const void *) row->data;
  g_string_append_printf (data, "%.4s %u eth%u;", interface->sandbox.text, interface->vni, interface->index);
}

static void
assert_interfaces (Bed *bed, const char *expected)
{
  SwarmNetdId id = sandbox_id ();
  g_autoptr (GString) interfaces = g_string_new (NULL);
  swarm_netd_tables_each (bed->tables, SWARM_NETD_TYPE_INTERFACE, &id, sizeof id, note_interface, interfaces);
  g_assert_cmpstr (interfaces->str, ==, expected);
}

static void
on_gone (const SwarmId *task, gint64 exited_at, gpointer data)
{
  g_assert_cmpint (exited_at, >, 0);
  *(guint *) data |= 1u << task->bytes[15];
}

static pid_t
child_new (void)
{
  pid_t pid = fork ();
  if (pid == 0) {
    pause ();
    _exit (0);
  }
  g_assert_cmpint (pid, >, 0);
  return pid;
}

/* All networks of a container are in its one namespace, beside what it has there; when it ends each of them is told. */
static void
test_container (Bed *bed, gconstpointer data)
{
  static const char *const probe_at[] = { "10.0.1.9/24", NULL }, *const probe_aliases[] = { "0123456789AB", NULL };
  static const SwarmPluginAttachment probe_nets[] = { { "net", "overlay", probe_at, probe_aliases, { 0 } } };
  static const SwarmPluginNetTask probe
    = { .id = "probe", .name = "Probe", .node_id = "n1", .flags = SWARM_PLUGIN_TASK_READY, .networks = probe_nets, .n_networks = 1 };
  pid_t pid = child_new ();
  guint gone = 0;
  SwarmPluginPicture with_probe = whole;
  SwarmNetdId id = sandbox_id ();

  with_probe.services = NULL;
  with_probe.n_services = 0;
  with_probe.tasks = &probe;
  with_probe.n_tasks = 1;
  swarm_network_host_picture (bed->host, &with_probe); /* which process it is the picture does not tell: it has no place here by that */
  UNTIL (bed->batches == 1);
  g_assert_cmpuint (count (bed, SWARM_NETD_TYPE_SANDBOX), ==, 0);
  assert_names (bed, "0123456789ab 10.0.1.9;probe 10.0.1.9;");

  g_autoptr (SwarmTask) one = make_attachment (bed, 1, 5001), two = make_attachment (bed, 2, 5002);
  swarm_network_host_set_exit_func (bed->host, on_gone, &gone);
  swarm_network_host_attach_container (bed->host, one, (guint32) pid, 77, &SWARM_ID_NIL, "n1", 60 * G_USEC_PER_SEC, on_attached, bed);
  assert_said (bed, "- -;");
  const SwarmNetdSandbox *sandbox = (const void *) swarm_netd_tables_find (bed->tables, SWARM_NETD_TYPE_SANDBOX, &id)->data;
  g_assert_cmpuint (sandbox->flags, ==, SWARM_NETD_SANDBOX_ATTACH);
  g_assert_cmpuint (sandbox->pid, ==, pid);
  g_assert_cmpuint (sandbox->started, ==, 77);
  assert_interfaces (bed, "0123 5001 eth101;");
  swarm_network_host_attach_container (bed->host, two, (guint32) pid, 77, &SWARM_ID_NIL, "n1", 60 * G_USEC_PER_SEC, on_attached, bed);
  assert_said (bed, "- -;");
  g_assert_cmpuint (count (bed, SWARM_NETD_TYPE_SANDBOX), ==, 1);
  assert_interfaces (bed, "0123 5001 eth101;0123 5002 eth102;");
  swarm_network_host_detach (bed->host, &one->object.id, 60 * G_USEC_PER_SEC, on_attached, bed);
  assert_said (bed, "- -;");
  UNTIL (count (bed, SWARM_NETD_TYPE_INTERFACE) == 1);
  assert_interfaces (bed, "0123 5002 eth102;");
  g_assert_cmpuint (count (bed, SWARM_NETD_TYPE_SANDBOX), ==, 1);
  swarm_network_host_attach_container (bed->host, one, (guint32) pid, 77, &SWARM_ID_NIL, "n1", 60 * G_USEC_PER_SEC, on_attached, bed);
  assert_said (bed, "- -;");

  /* A row that swarm-netd would refuse never gets there; nor do two processes of one container. */
  g_autoptr (SwarmTask) three = make_attachment (bed, 3, 5003), bad = make_attachment (bed, 200, 5004);
  swarm_network_host_attach_container (bed->host, three, (guint32) getpid (), 78, &SWARM_ID_NIL, "n1", 60 * G_USEC_PER_SEC, on_attached, bed);
  assert_said (bed, "the container was restarted, and its former networks are being taken off; try again -;");
  swarm_network_host_attach_container (bed->host, three, (guint32) pid, 0, &SWARM_ID_NIL, "n1", 60 * G_USEC_PER_SEC, on_attached, bed);
  assert_said (bed, "not a container that can be attached -;");
  swarm_network_host_attach_container (bed->host, bad, (guint32) pid, 77, &SWARM_ID_NIL, "n1", 60 * G_USEC_PER_SEC, on_attached, bed);
  assert_said (bed, "not a container that can be attached -;");

  g_assert_cmpuint (gone, ==, 0);
  kill (pid, SIGKILL);
  UNTIL (gone == (1 << 1 | 1 << 2));
  swarm_network_host_detach (bed->host, &one->object.id, 60 * G_USEC_PER_SEC, on_attached, bed);
  swarm_network_host_detach (bed->host, &two->object.id, 60 * G_USEC_PER_SEC, on_attached, bed);
  assert_said (bed, "- -;- -;");
  UNTIL (count (bed, SWARM_NETD_TYPE_SANDBOX) == 0);
  waitpid (pid, NULL, 0);
  swarm_network_host_attach_container (bed->host, one, (guint32) pid, 77, &SWARM_ID_NIL, "n1", 60 * G_USEC_PER_SEC, on_attached, bed);
  assert_said (bed, "container probe is not running -;");
}

/* ---- encrypted networks ---- */

static const SwarmPluginNetwork secret_networks[] = {
  { .id = "ingress", .name = "ingress", .driver = "overlay", .vni = 4096, .flags = SWARM_PLUGIN_NETWORK_INGRESS },
  { .id = "net", .name = "net", .driver = "overlay", .vni = 4097, .flags = SWARM_PLUGIN_NETWORK_ENCRYPTED },
};
static const SwarmPluginNetworkKey own_keys[] = { { .slot = 0, .flags = 1, .key = { 1 } } };
static const SwarmPluginNetworkKey their_keys[] = { { .slot = 0, .key = { 2 } }, { .slot = 1, .flags = 1, .key = { 3 } } };

static void
give_nodes (Bed *bed, guint n_keys, guint32 flags)
{
  SwarmPluginNetNode with_keys[2] = { nodes[0], nodes[1] };
  SwarmPluginPicture picture = whole;
  with_keys[0].keys = own_keys;
  with_keys[0].n_keys = 1;
  with_keys[1].keys = their_keys + 2 - n_keys;
  with_keys[1].n_keys = n_keys;
  picture.nodes = with_keys;
  picture.networks = secret_networks;
  picture.flags = flags;
  swarm_network_host_picture (bed->host, &picture);
}

static guint32
flags_of_network (Bed *bed, guint32 vni)
{
  const SwarmNetdRow *row = swarm_netd_tables_find (bed->tables, SWARM_NETD_TYPE_NETWORK, &vni);
  return row != NULL ? ((const SwarmNetdNetwork *) row->data)->flags : G_MAXUINT32;
}

static void
note_key (const SwarmNetdRow *row, gpointer data)
{
  const SwarmNetdWireguard *key = (const void *) row->data;
  g_string_append_printf (data, "%u.%u=%u%s;", key->node, key->slot, key->key[0], key->flags & SWARM_NETD_WIREGUARD_NEWEST ? "!" : "");
}

static void
assert_keys (Bed *bed, const char *expected)
{
  g_autoptr (GString) keys = g_string_new (NULL);
  swarm_netd_tables_each (bed->tables, SWARM_NETD_TYPE_WIREGUARD, NULL, 0, note_key, keys);
  g_assert_cmpstr (keys->str, ==, expected);
}

/* Where there is no WireGuard the network is not there at all, and says why; nothing of it goes in clear. */
static void
test_no_wireguard (Bed *bed, gconstpointer data)
{
  UNTIL (swarm_network_host_supports (bed->host, "overlay"));
  g_assert_false (swarm_network_host_supports (bed->host, "overlay-encrypted"));
  give_nodes (bed, 2, SWARM_PLUGIN_PICTURE_WHOLE);
  UNTIL (bed->batches == 1);
  g_assert_cmpuint (flags_of_network (bed, 4097), ==, G_MAXUINT32);
  g_assert_cmpuint (count (bed, SWARM_NETD_TYPE_NETWORK), ==, 1);
  g_assert_cmpuint (count (bed, SWARM_NETD_TYPE_ENDPOINT) + count (bed, SWARM_NETD_TYPE_SANDBOX) + count (bed, SWARM_NETD_TYPE_SERVICE), ==, 0);
  g_assert_cmpstr (swarm_network_host_problems (bed->host)[0], ==,
                   "network net: it is encrypted, and this host has no WireGuard: neither the kernel's nor wireguard-go");
  bed->hello = SWARM_NETD_ENCRYPTS; /* it is installed, and swarm-netd started again */
  drop_client (bed);
  UNTIL (bed->batches == 2);
  g_assert_true (swarm_network_host_supports (bed->host, "overlay-encrypted"));
  g_assert_cmpuint (flags_of_network (bed, 4097), ==, SWARM_NETD_NETWORK_ENCRYPTED);
  g_assert_cmpuint (count (bed, SWARM_NETD_TYPE_ENDPOINT), ==, 1);
  g_assert_null (swarm_network_host_problems (bed->host)[0]);
}

static void
test_encrypted (Bed *bed, gconstpointer data)
{
  bed->hello = SWARM_NETD_ENCRYPTS;
  UNTIL (swarm_network_host_supports (bed->host, "overlay-encrypted"));
  bed->keys[0] = (SwarmNetdWireguard){ .node = 1, .slot = 1, .key = { 9 }, .flags = SWARM_NETD_WIREGUARD_NEWEST };
  bed->n_keys = 1;
  give_nodes (bed, 1, SWARM_PLUGIN_PICTURE_WHOLE);
  UNTIL (bed->batches == 1 && swarm_network_host_keys (bed->host) != NULL);
  const SwarmNetdRow *host = swarm_netd_tables_find (bed->tables, SWARM_NETD_TYPE_HOST, "");
  g_assert_cmpuint (((const SwarmNetdHost *) host->data)->wireguard_port, ==, SWARM_NETD_WIREGUARD_PORT);
  g_assert_cmpuint (flags_of_network (bed, 4097), ==, SWARM_NETD_NETWORK_ENCRYPTED);
  g_assert_cmpuint (flags_of_network (bed, 4096), ==, SWARM_NETD_NETWORK_INGRESS);
  assert_keys (bed, "2.1=3!;"); /* its own it knows itself */
  const SwarmNetworkKey *own = g_ptr_array_index (swarm_network_host_keys (bed->host), 0);
  g_assert_cmpuint (own->slot, ==, 1);
  g_assert_true (own->newest);
  /* The others' change, by changes. */
  give_nodes (bed, 2, 0);
  UNTIL (bed->batches == 2);
  assert_keys (bed, "2.0=2;2.1=3!;");
  give_nodes (bed, 0, 0);
  UNTIL (bed->batches == 3);
  assert_keys (bed, "");
  /* Its own: what is no news is not said; a batch that is refused says nothing of them. */
  guint states = bed->states;
  report (bed);
  bed->refuse = "not now";
  give_nodes (bed, 1, 0);
  UNTIL (bed->batches == 4);
  bed->keys[1] = (SwarmNetdWireguard){ .node = 1, .slot = 0, .key = { 10 } };
  bed->n_keys = 2;
  report (bed);
  UNTIL (swarm_network_host_keys (bed->host)->len == 2);
  g_assert_cmpuint (bed->states, ==, states + 1);
  bed->n_keys = 0;
  report (bed);
  UNTIL (swarm_network_host_keys (bed->host) == NULL);
  g_assert_cmpuint (bed->states, ==, states + 2);
}

/* A namespace that is ready only later is not waited for until something else is wanted. */
static void
test_ready_later (Bed *bed, gconstpointer data)
{
  SwarmId network = { { 9 } };
  SwarmIdString id = swarm_id_string (&network);
  g_autoptr (SwarmTask) task = make_task (&network);
  g_autoptr (GByteArray) records = g_byte_array_new ();
  SwarmPluginNetwork row = { .id = id.str, .name = "back", .driver = "overlay", .vni = 4099 };
  swarm_network_host_picture (bed->host, &whole);
  swarm_network_host_picture (bed->host, &(SwarmPluginPicture){ .node_id = "n1", .data_port = 4789, .networks = &row, .n_networks = 1 });
  bed->late = TRUE;
  swarm_network_host_attach (bed->host, task, &SWARM_ID_NIL, "n1", 60 * G_USEC_PER_SEC, on_attached, bed);
  UNTIL (count (bed, SWARM_NETD_TYPE_SANDBOX) == 2);
  g_assert_cmpstr (bed->said->str, ==, "");
  swarm_netd_tables_each (bed->tables, SWARM_NETD_TYPE_SANDBOX, NULL, 0, add_ready, records);
  send_message (bed, SWARM_NETD_REPORT, 0, records);
  assert_said (bed, "ns:/proc/1/fd/7 127.0.0.11;");
}

/* ---- changes and the whole ---- */

#define N_NODES 4
#define N_NETWORKS 3
#define N_SERVICES 4
#define N_TASKS 16

typedef struct {
  gboolean there;
  guint version;
} Story;

typedef struct {
  Story nodes[N_NODES], networks[N_NETWORKS], services[N_SERVICES], tasks[N_TASKS];
  GPtrArray *keep;
  GArray *node_list, *network_list, *service_list, *task_list;
  GPtrArray *gone[4];
  guint mark;
} World;

/* A node whose number says which telling was the last. */
static void
tell_mark (World *world)
{
  SwarmPluginNetNode node = { .id = "mark", .number = 100 + world->mark, .address = "192.0.2.99" };
  g_array_append_val (world->node_list, node);
}

G_GNUC_PRINTF (2, 3)
static const char *
text (World *world, const char *format, ...)
{
  va_list args;
  va_start (args, format);
  char *made = g_strdup_vprintf (format, args);
  va_end (args);
  g_ptr_array_add (world->keep, made);
  return made;
}

static const char *const *
list_of (World *world, const char *one)
{
  const char **list = g_new0 (const char *, 2);
  list[0] = one;
  g_ptr_array_add (world->keep, list);
  return list;
}

/* In two of the networks. */
static SwarmPluginAttachment *
nets_of (World *world, guint index, guint host, gboolean addresses)
{
  SwarmPluginAttachment *nets = g_new0 (SwarmPluginAttachment, 2);
  g_ptr_array_add (world->keep, nets);
  for (guint i = 0; i < 2; i++) {
    guint network = (index + i) % N_NETWORKS;
    nets[i].network_id = text (world, "net%u", network);
    nets[i].addresses = addresses ? list_of (world, text (world, "10.0.%u.%u/24", network, host)) : NULL;
    nets[i].aliases = list_of (world, text (world, "alias%u", index % 2));
  }
  return nets;
}

static void
tell (World *world, guint kind, guint i, const Story *story)
{
  const char *id = kind == 0 ? text (world, "n%u", i) : kind == 1 ? text (world, "net%u", i) : kind == 2 ? text (world, "s%u", i) : text (world, "t%u", i);
  guint version = story->version;
  if (!story->there) {
    g_ptr_array_add (world->gone[kind], (gpointer) id);
  } else if (kind == 0) {
    SwarmPluginNetworkKey *keys = g_new0 (SwarmPluginNetworkKey, 2);
    g_ptr_array_add (world->keep, keys);
    keys[0] = (SwarmPluginNetworkKey){ .slot = version % 2, .flags = version % 5 == 0, .key = { 1 + i, version % 4 } };
    keys[1] = (SwarmPluginNetworkKey){ .slot = !(version % 2), .flags = version % 5 != 0, .key = { 1 + i, 100 } };
    SwarmPluginNetNode node = { .id = id, .number = i + 1 + 10 * (version % 2), .flags = version % 3 == 2 ? SWARM_PLUGIN_NODE_DOWN : 0,
                                .address = text (world, "192.0.2.%u", i + 1), .gateway_address = text (world, "10.1.%u.1/24", i),
                                .keys = keys, .n_keys = version % 3 };
    g_array_append_val (world->node_list, node);
  } else if (kind == 1) {
    SwarmPluginNetwork network = { .id = id, .driver = "overlay", .vni = 4096 + i + 10 * (version % 2), .flags = version % 5 == 4 ? SWARM_PLUGIN_NETWORK_ENCRYPTED : 0 };
    g_array_append_val (world->network_list, network);
  } else if (kind == 2) {
    SwarmPluginMeshPort *port = g_new0 (SwarmPluginMeshPort, 1);
    g_ptr_array_add (world->keep, port);
    *port = (SwarmPluginMeshPort){ 0, 80, 8000 + i + 100 * (version % 3) };
    SwarmPluginService service = { .id = id, .name = text (world, "service%u", i), .flags = version % 4 == 3, .networks = nets_of (world, i, 2 + i, version % 3 != 0),
                                   .n_networks = 1 + version % 2, .ports = port, .n_ports = i % 2 };
    g_array_append_val (world->service_list, service);
  } else {
    SwarmPluginNetTask task = { .id = id, .name = text (world, "task%u", i), .service_id = text (world, "s%u", i % N_SERVICES),
                                .node_id = text (world, "n%u", (i + version / 4) % N_NODES), .flags = version % 4 != 0, .networks = nets_of (world, i % N_SERVICES, 20 + i, TRUE),
                                .n_networks = 2, .gateway_address = text (world, "10.1.9.%u/24", 20 + i) };
    g_array_append_val (world->task_list, task);
  }
}

static void
begin_telling (World *world)
{
  world->keep = g_ptr_array_new_with_free_func (g_free);
  world->node_list = g_array_new (FALSE, FALSE, sizeof (SwarmPluginNetNode));
  world->network_list = g_array_new (FALSE, FALSE, sizeof (SwarmPluginNetwork));
  world->service_list = g_array_new (FALSE, FALSE, sizeof (SwarmPluginService));
  world->task_list = g_array_new (FALSE, FALSE, sizeof (SwarmPluginNetTask));
  for (guint i = 0; i < 4; i++)
    world->gone[i] = g_ptr_array_new ();
}

static void
give (World *world, Bed *bed, guint32 flags)
{
  for (guint i = 0; i < 4; i++)
    g_ptr_array_add (world->gone[i], NULL);
  SwarmPluginPicture picture = {
    .flags = flags, .data_port = 4789, .node_id = "n0", .nodes = (void *) world->node_list->data, .n_nodes = world->node_list->len,
    .networks = (void *) world->network_list->data, .n_networks = world->network_list->len, .services = (void *) world->service_list->data,
    .n_services = world->service_list->len, .tasks = (void *) world->task_list->data, .n_tasks = world->task_list->len,
    .removed_nodes = (void *) world->gone[0]->pdata, .removed_networks = (void *) world->gone[1]->pdata,
    .removed_services = (void *) world->gone[2]->pdata, .removed_tasks = (void *) world->gone[3]->pdata,
  };
  swarm_network_host_picture (bed->host, &picture);
  g_ptr_array_unref (world->keep);
  g_array_unref (world->node_list);
  g_array_unref (world->network_list);
  g_array_unref (world->service_list);
  g_array_unref (world->task_list);
  for (guint i = 0; i < 4; i++)
    g_ptr_array_unref (world->gone[i]);
}

static Story *
story_of (World *world, guint kind, guint *i, guint chance)
{
  Story *const lists[] = { world->nodes, world->networks, world->services, world->tasks };
  static const guint lengths[] = { N_NODES, N_NETWORKS, N_SERVICES, N_TASKS };
  *i = chance % lengths[kind];
  return &lists[kind][*i];
}

static void
change_some (World *world, GRand *rand, Bed *bed)
{
  begin_telling (world);
  g_autoptr (GHashTable) told = g_hash_table_new (NULL, NULL);
  for (guint n = g_rand_int_range (rand, 1, 5); n > 0; n--) {
    guint i, kind = g_rand_int_range (rand, 0, 4);
    Story *story = story_of (world, kind, &i, g_rand_int (rand));
    if (!g_hash_table_add (told, story))
      continue;
    story->there = g_rand_int_range (rand, 0, 4) > 0;
    story->version = g_rand_int_range (rand, 0, 60);
    tell (world, kind, i, story);
  }
  give (world, bed, 0);
}

static void
give_whole (World *world, Bed *bed)
{
  begin_telling (world);
  tell_mark (world);
  for (guint kind = 0; kind < 4; kind++) {
    guint i, length = (const guint[]){ N_NODES, N_NETWORKS, N_SERVICES, N_TASKS }[kind];
    for (guint k = 0; k < length; k++) {
      const Story *story = story_of (world, kind, &i, k);
      if (story->there)
        tell (world, kind, i, story);
    }
  }
  give (world, bed, SWARM_PLUGIN_PICTURE_WHOLE);
}

/* Whatever came before: an agent that starts and is told the whole wants just what the one before wanted by changes. */
static void
test_changes (Bed *bed, gconstpointer data)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (20261122);
  World world = { 0 };
  guint rows = 0, keys = 0;
  for (guint round = 0; round < 200; round++) {
    if (round % 100 == 50) { /* swarm-netd starts again, and has WireGuard now, or no more */
      bed->hello ^= SWARM_NETD_ENCRYPTS | SWARM_NETD_IPV6;
      drop_client (bed);
      UNTIL (swarm_network_host_supports (bed->host, "overlay-encrypted") == (bed->hello != 0));
    }
    if (round == 0)
      give_whole (&world, bed);
    for (guint i = 0; i < 12; i++)
      change_some (&world, rand, bed);
    world.nodes[0].there = TRUE; /* without its own place a host wants nothing */
    begin_telling (&world);
    tell (&world, 0, 0, &world.nodes[0]);
    world.mark++;
    tell_mark (&world);
    give (&world, bed, 0);
    guint32 number = 100 + world.mark;
    UNTIL (swarm_netd_tables_find (bed->tables, SWARM_NETD_TYPE_NODE, &number) != NULL);
    guint before = bed->batches;
    swarm_network_host_free (bed->host);
    start_agent (bed);
    give_whole (&world, bed);
    UNTIL (bed->batches > before);
    if (bed->changes != 0)
      g_error ("round %u: a new agent changes %u rows", round, bed->changes);
    for (guint type = 1; type < SWARM_NETD_N_TYPES; type++)
      rows += count (bed, type);
    keys += count (bed, SWARM_NETD_TYPE_WIREGUARD);
  }
  g_assert_cmpuint (rows, >, 2000);
  g_assert_cmpuint (keys, >, 200);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, func) g_test_add ("/network-overlay/" path, Bed, NULL, set_up, func, tear_down)
  ADD ("picture", test_picture);
  ADD ("ipv6", test_ipv6);
  ADD ("cannot", test_cannot);
  ADD ("attach", test_attach);
  ADD ("ports", test_ports);
  ADD ("container", test_container);
  ADD ("no-wireguard", test_no_wireguard);
  ADD ("encrypted", test_encrypted);
  ADD ("ready-later", test_ready_later);
  ADD ("changes", test_changes);
  return g_test_run ();
}
