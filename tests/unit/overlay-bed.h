// SPDX-License-Identifier: LGPL-2.1-or-later
/* For tests of the overlay plugin: a swarm-netd that is played here, and a picture. */
#pragma once
#include "base/clock-glib.h"
#include "netd-rows.h"
#include "netd/tables.h"
#include "plugin/network-host.h"
#include <errno.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

extern const SwarmPluginDescriptor swarm_plugin_builtin_network_overlay;

/* ---- swarm-netd ---- */

typedef struct {
  char *dir;
  char *path;
  int listener;
  guint source;
  int client; /* -1: none */
  guint client_source;
  GByteArray *in;
  SwarmNetdBatch *batch;
  SwarmNetdTables *tables;
  guint64 number;
  guint batches, full;
  guint changes; /* rows that the last batch changed, but for those of this host's tasks */
  const char *refuse;  /* the next one, so */
  const char *problem; /* with a task's sandbox: it does not become ready */
  guint problem_vni; /* that of its interface in that network; 0: of itself */
  const char *port_problem; /* "port 80/tcp": with it */
  gboolean late; /* no sandbox is ready at once */
  gboolean silent;
  gboolean holds; /* answers to batches */
  GByteArray *held;
  guint32 hello; /* its flags */
  const char *cannot; /* it says: what keeps it from having networks */
  SwarmNetdWireguard keys[2]; /* that it says */
  guint n_keys;
  SwarmPlugin *plugin;
  SwarmNetworkHost *host;
  GString *said;
  guint states;
} Bed;

static void
send_message (Bed *bed, SwarmNetdKind kind, guint32 flags, GByteArray *records)
{
  SwarmNetdHeader header = { SWARM_NETD_MAGIC, SWARM_NETD_VERSION, kind, bed->number, 0, flags, records->len };
  g_byte_array_prepend (records, (const guint8 *) &header, sizeof header);
  g_assert_cmpint (send (bed->client, records->data, records->len, MSG_NOSIGNAL), ==, records->len);
}

static void
add_ready (const SwarmNetdRow *row, gpointer data)
{
  SwarmNetdReady ready = { .pid = 1, .fd = 7 };
  memcpy (&ready.sandbox, row->data, sizeof ready.sandbox);
  swarm_netd_record_append (data, SWARM_NETD_TYPE_READY, SWARM_NETD_PUT, &ready, sizeof ready);
}

static void
add_error (GByteArray *records, const char *object, const char *text)
{
  SwarmNetdError error = { .record = G_MAXUINT32 };
  g_strlcpy (error.object, object, sizeof error.object);
  g_strlcpy (error.text, text, sizeof error.text);
  swarm_netd_record_append (records, SWARM_NETD_TYPE_ERROR, SWARM_NETD_PUT, &error, sizeof error);
}

static void
add_keys (Bed *bed, GByteArray *records)
{
  for (guint i = 0; i < bed->n_keys; i++)
    swarm_netd_record_append (records, SWARM_NETD_TYPE_WIREGUARD, SWARM_NETD_PUT, &bed->keys[i], sizeof bed->keys[i]);
}

static void
report (Bed *bed)
{
  g_autoptr (GByteArray) records = g_byte_array_new ();
  add_keys (bed, records);
  send_message (bed, SWARM_NETD_REPORT, 0, records);
}

static void
take_batch (Bed *bed)
{
  g_autoptr (SwarmNetdBatch) batch = g_steal_pointer (&bed->batch);
  g_autoptr (GByteArray) records = g_byte_array_new ();
  g_autoptr (GError) error = NULL;
  gint bad;
  gboolean full = swarm_netd_batch_is_full (batch);
  bed->batches++;
  bed->full += full;
  if (bed->refuse != NULL) {
    add_error (records, "batch", g_steal_pointer (&bed->refuse));
    send_message (bed, SWARM_NETD_ACK, SWARM_NETD_REFUSED, records);
    return;
  }
  g_assert_cmpuint (swarm_netd_batch_number (batch), >, bed->number);
  if (!full)
    g_assert_cmpuint (swarm_netd_batch_base (batch), ==, bed->number);
  g_autoptr (GPtrArray) changes = swarm_netd_tables_apply (bed->tables, swarm_netd_batch_edits (batch), full, &bad, &error);
  g_assert_no_error (error);
  bed->number = swarm_netd_batch_number (batch);
  bed->changes = 0;
  for (guint i = 0; i < changes->len; i++) {
    SwarmNetdChange *change = g_ptr_array_index (changes, i);
    guint16 type = (change->after != NULL ? change->after : change->before)->type;
    bed->changes += type != SWARM_NETD_TYPE_SANDBOX && type != SWARM_NETD_TYPE_INTERFACE;
  }
  if (bed->problem != NULL) {
    g_autofree char *object = g_strdup_printf (bed->problem_vni != 0 ? "interface %s %u" : "sandbox %s", bed->problem, bed->problem_vni);
    add_error (records, object, "no namespaces left");
  } else if (!bed->late) {
    if (bed->port_problem != NULL)
      add_error (records, bed->port_problem, "taken");
    swarm_netd_tables_each (bed->tables, SWARM_NETD_TYPE_SANDBOX, NULL, 0, add_ready, records);
  }
  add_keys (bed, records);
  if (bed->holds)
    bed->held = g_steal_pointer (&records);
  else
    send_message (bed, SWARM_NETD_ACK, 0, records);
}

static G_GNUC_UNUSED void
let_go (Bed *bed)
{
  g_autoptr (GByteArray) records = g_steal_pointer (&bed->held);
  send_message (bed, SWARM_NETD_ACK, 0, records);
}

static void
drop_client (Bed *bed)
{
  g_clear_pointer (&bed->held, g_byte_array_unref);
  g_clear_handle_id (&bed->client_source, g_source_remove);
  g_clear_pointer (&bed->batch, swarm_netd_batch_free);
  g_byte_array_set_size (bed->in, 0);
  if (bed->client >= 0)
    close (bed->client);
  bed->client = -1;
}

static gboolean
on_readable (gint fd, GIOCondition condition, gpointer data)
{
  Bed *bed = data;
  guint8 bytes[65536];
  ssize_t n = recv (fd, bytes, sizeof bytes, MSG_DONTWAIT);
  if (n <= 0) {
    bed->client_source = 0;
    drop_client (bed);
    return G_SOURCE_REMOVE;
  }
  g_byte_array_append (bed->in, bytes, n);
  SwarmNetdHeader header;
  while (bed->in->len >= sizeof header) {
    g_autoptr (GError) error = NULL;
    guint32 bad;
    memcpy (&header, bed->in->data, sizeof header);
    g_assert_true (swarm_netd_header_check (&header, &error));
    if (bed->in->len < sizeof header + header.length)
      break;
    if (bed->batch == NULL)
      bed->batch = swarm_netd_batch_new (&header);
    swarm_netd_batch_add (bed->batch, &header, bed->in->data + sizeof header, &bad, &error);
    g_assert_no_error (error);
    g_byte_array_remove_range (bed->in, 0, sizeof header + header.length);
    if (swarm_netd_batch_is_whole (bed->batch))
      take_batch (bed);
  }
  return G_SOURCE_CONTINUE;
}

static gboolean
on_connect (gint fd, GIOCondition condition, gpointer data)
{
  Bed *bed = data;
  g_autoptr (GByteArray) records = g_byte_array_new ();
  drop_client (bed);
  bed->client = accept (fd, NULL, NULL);
  bed->client_source = g_unix_fd_add (bed->client, G_IO_IN, on_readable, bed);
  if (bed->cannot != NULL)
    add_error (records, "host", bed->cannot);
  if (!bed->silent)
    send_message (bed, SWARM_NETD_HELLO, bed->hello, records);
  return G_SOURCE_CONTINUE;
}

/* ---- the bed ---- */

static const char *
config (const char *plugin, const char *key, gpointer data)
{
  return strcmp (key, "Socket") == 0 ? ((Bed *) data)->path : NULL;
}

static void
on_state (SwarmNetworkHost *host, gpointer data)
{
  ((Bed *) data)->states++;
}

static void
start_agent (Bed *bed)
{
  g_autoptr (GError) error = NULL;
  bed->host = swarm_network_host_new (bed->plugin, &(SwarmPluginHostConfig){ .clock = swarm_clock_glib (), .config = config, .data = bed, .descriptors = TRUE }, &error);
  g_assert_no_error (error);
  swarm_network_host_on_state (bed->host, on_state, bed);
}

static void
set_up (Bed *bed, gconstpointer data)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  bed->dir = g_dir_make_tmp ("overlay-XXXXXX", NULL);
  bed->path = g_build_filename (bed->dir, "netd", NULL);
  g_strlcpy (address.sun_path, bed->path, sizeof address.sun_path);
  bed->listener = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_assert_cmpint (bind (bed->listener, (struct sockaddr *) &address, sizeof address), ==, 0);
  listen (bed->listener, 8);
  bed->source = g_unix_fd_add (bed->listener, G_IO_IN, on_connect, bed);
  bed->client = -1;
  bed->in = g_byte_array_new ();
  bed->tables = swarm_netd_tables_new ();
  bed->said = g_string_new (NULL);
  bed->plugin = swarm_plugin_from_descriptor (&swarm_plugin_builtin_network_overlay, SWARM_PLUGIN_NETWORK, NULL);
  start_agent (bed);
}

static void
tear_down (Bed *bed, gconstpointer data)
{
  swarm_network_host_free (bed->host);
  swarm_plugin_unref (bed->plugin);
  drop_client (bed);
  g_source_remove (bed->source);
  close (bed->listener);
  g_unlink (bed->path);
  g_rmdir (bed->dir);
  g_free (bed->path);
  g_free (bed->dir);
  g_byte_array_unref (bed->in);
  swarm_netd_tables_free (bed->tables);
  g_string_free (bed->said, TRUE);
}

#define UNTIL(condition) \
  do { \
    gint64 end = g_get_monotonic_time () + 60 * G_USEC_PER_SEC; \
    guint tick = g_timeout_add (50, on_tick, NULL); \
    while (!(condition)) { \
      g_assert_cmpint (g_get_monotonic_time (), <, end); \
      g_main_context_iteration (NULL, TRUE); \
    } \
    g_source_remove (tick); \
  } while (0)

static gboolean
on_tick (gpointer data)
{
  return G_SOURCE_CONTINUE;
}

static guint
count (Bed *bed, SwarmNetdType type)
{
  return swarm_netd_tables_count (bed->tables, type);
}

/* ---- a picture ---- */

static const char *const web_at[] = { "10.0.1.2/24", NULL };
static const char *const web_aliases[] = { "Shop", "web", NULL };
static const char *const one_at[] = { "10.0.1.3/24", NULL }, *const two_at[] = { "10.0.1.4/24", NULL };
static SwarmPluginAttachment web_nets[] = { { "net", "overlay", web_at, web_aliases, { 0 } } };
static SwarmPluginAttachment one_nets[] = { { "net", "overlay", one_at, NULL, { 0 } } }, two_nets[] = { { "net", "overlay", two_at, NULL, { 0 } } };
static const SwarmPluginMeshPort web_ports[] = { { 0, 80, 8080 } };
static const SwarmPluginNetNode nodes[] = {
  { .id = "n1", .number = 1, .address = "192.0.2.1", .gateway_address = "10.0.7.1/24", .ingress_address = "10.0.0.2/24" },
  { .id = "n2", .number = 2, .address = "192.0.2.2", .gateway_address = "10.0.8.1/24", .ingress_address = "10.0.0.3/24" },
};
static const SwarmPluginNetwork networks[] = {
  { .id = "ingress", .name = "ingress", .driver = "overlay", .vni = 4096, .flags = SWARM_PLUGIN_NETWORK_INGRESS },
  { .id = "net", .name = "net", .driver = "overlay", .vni = 4097 },
};
static const SwarmPluginService services[] = {
  { .id = "web", .name = "Web", .networks = web_nets, .n_networks = 1, .ports = web_ports, .n_ports = 1 },
};
static SwarmPluginNetTask tasks[] = {
  { .id = "one", .name = "Web.1.one", .service_id = "web", .node_id = "n1", .flags = SWARM_PLUGIN_TASK_READY, .networks = one_nets, .n_networks = 1, .gateway_address = "10.0.7.2/24" },
  { .id = "two", .name = "Web.2.two", .service_id = "web", .node_id = "n2", .flags = SWARM_PLUGIN_TASK_READY, .networks = two_nets, .n_networks = 1, .gateway_address = "10.0.8.2/24" },
};
static const SwarmPluginPicture whole = {
  .flags = SWARM_PLUGIN_PICTURE_WHOLE, .data_port = 4789, .node_id = "n1", .nodes = nodes, .n_nodes = 2, .networks = networks, .n_networks = 2,
  .services = services, .n_services = 1, .tasks = tasks, .n_tasks = 2,
};

static void
note_name (const SwarmNetdRow *row, gpointer data)
{
  const SwarmNetdName *name = (const void *) row->data;
  g_string_append_printf (data, "%s %s;", name->name, swarm_netd_address_text (&name->address).str);
}

static void
assert_names (Bed *bed, const char *expected)
{
  g_autoptr (GString) names = g_string_new (NULL);
  swarm_netd_tables_each (bed->tables, SWARM_NETD_TYPE_NAME, NULL, 0, note_name, names);
  g_assert_cmpstr (names->str, ==, expected);
}

static void
note_draining (const SwarmNetdRow *row, gpointer data)
{
  *(guint *) data += ((const SwarmNetdBackend *) row->data)->flags;
}

static guint
draining (Bed *bed)
{
  guint n = 0;
  swarm_netd_tables_each (bed->tables, SWARM_NETD_TYPE_BACKEND, NULL, 0, note_draining, &n);
  return n;
}
