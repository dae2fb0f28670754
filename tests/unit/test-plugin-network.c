// SPDX-License-Identifier: LGPL-2.1-or-later
/* The network plugin ABI with a minimal plugin that uses all of it: network "wire", which every node has whose socket answers. */
#include "plugin/network-host.h"
#include "plugin/picture-view.h"
#include "sim/sim-clock.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct SwarmPluginInstance {
  SwarmPluginHost *host;
  uint64_t watch;
  SwarmPluginCall *waiting; /* an attach before the first picture */
  size_t n_nodes;
  SwarmPluginNetworkKey keys[3]; /* to be said */
  size_t n_keys;
  char what_came[16];
};

static SwarmPluginInstance wire;
static int wire_fd;

static void
wire_say (SwarmPluginInstance *self, const char *reason)
{
  static const char *const drivers[] = { "wire", NULL };
  SwarmPluginProblem problems[] = { { "port 8080/tcp", "taken" }, { "network here", "overlaps" } };
  SwarmPluginNetworkState state = { .drivers = reason == NULL ? drivers : NULL, .reason = reason, .problems = problems, .n_problems = reason == NULL ? 2 : 0,
                                    .keys = self->keys, .n_keys = self->n_keys };

  self->host->network_state (self->host, &state);
}

static void
wire_came (int fd, uint32_t ready, void *data)
{
  SwarmPluginInstance *self = data;
  ssize_t n = read (fd, self->what_came, sizeof self->what_came - 1);

  g_assert_true (ready & SWARM_PLUGIN_READABLE);
  if (n > 0) {
    self->what_came[n] = '\0';
    wire_say (self, NULL);
    return;
  }
  self->host->fd_unwatch (self->host, self->watch);
  self->watch = 0;
  wire_say (self, "the wire is cut");
}

static SwarmPluginInstance *
wire_init (SwarmPluginHost *host, char *error, size_t error_length)
{
  memset (&wire, 0, sizeof wire);
  wire.host = host;
  if (host->fd_watch == NULL) {
    snprintf (error, error_length, "no descriptors here");
    return NULL;
  }
  wire.watch = host->fd_watch (host, wire_fd, SWARM_PLUGIN_READABLE, wire_came, &wire);
  return &wire;
}

static void
wire_fini (SwarmPluginInstance *self)
{
  if (self->watch != 0)
    self->host->fd_unwatch (self->host, self->watch);
}

static void
wire_answer (SwarmPluginInstance *self, SwarmPluginCode code)
{
  SwarmPluginResult result = { .code = code, .error = code != SWARM_PLUGIN_OK ? "given up" : NULL, .network_mode = "ns:/the/wire", .resolver = "127.0.0.11" };

  self->host->finish (self->waiting, &result);
  self->waiting = NULL;
}

static void
wire_attach (SwarmPluginInstance *self, const SwarmPluginTask *task, SwarmPluginCall *call)
{
  g_assert_cmpuint (task->n_networks, ==, 0);
  self->waiting = call;
  if (self->n_nodes > 0)
    wire_answer (self, SWARM_PLUGIN_OK);
}

static void
wire_detach (SwarmPluginInstance *self, const char *task_id, SwarmPluginCall *call)
{
  self->host->finish (call, &(SwarmPluginResult){ .code = SWARM_PLUGIN_OK });
}

static void
wire_picture (SwarmPluginInstance *self, const SwarmPluginPicture *picture)
{
  self->n_nodes = picture->n_nodes;
  if (self->waiting != NULL)
    wire_answer (self, SWARM_PLUGIN_OK);
}

static void
wire_cancel (SwarmPluginInstance *self, SwarmPluginCall *call)
{
  g_assert_true (call == self->waiting);
  wire_answer (self, SWARM_PLUGIN_CANCELLED);
}

static const SwarmNetworkOps wire_ops = {
  .init = wire_init, .fini = wire_fini, .attach = wire_attach, .detach = wire_detach, .picture = wire_picture, .cancel = wire_cancel,
};
#define SWARM_PLUGIN_BUILTIN
#undef SWARM_PLUGIN_SYMBOL_OF
#define SWARM_PLUGIN_SYMBOL_OF(ident) swarm_plugin_builtin_##ident
SWARM_PLUGIN_DEFINE (NETWORK, network_wire, "network-wire", "the least that a network needs", "1", wire_ops);

extern const SwarmPluginDescriptor swarm_plugin_builtin_network_host;

typedef struct {
  SimClock *clock;
  int end; /* ours of the wire */
  SwarmPlugin *plugin;
  SwarmNetworkHost *host;
  SwarmTask *task;
  guint states;
  GString *said;
} Bed;

static void
on_attached (const char *mode, const char *resolver, const GError *error, gpointer data)
{
  g_string_append_printf (((Bed *) data)->said, "%s %s;", error != NULL ? error->message : mode, error == NULL && resolver != NULL ? resolver : "-");
}

static void
on_state (SwarmNetworkHost *host, gpointer data)
{
  ((Bed *) data)->states++;
}

static void
set_up (Bed *bed, gconstpointer data)
{
  int ends[2];
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (pipe2 (ends, O_CLOEXEC | O_NONBLOCK), ==, 0);
  wire_fd = ends[0];
  bed->end = ends[1];
  bed->clock = sim_clock_new (1000000);
  bed->said = g_string_new (NULL);
  bed->task = swarm_task_new ();
  bed->plugin = swarm_plugin_from_descriptor (&swarm_plugin_builtin_network_wire, SWARM_PLUGIN_NETWORK, &error);
  g_assert_no_error (error);
  bed->host = swarm_network_host_new (bed->plugin, &(SwarmPluginHostConfig){ .clock = sim_clock_iface (bed->clock), .descriptors = TRUE }, &error);
  g_assert_no_error (error);
  swarm_network_host_on_state (bed->host, on_state, bed);
}

static void
tear_down (Bed *bed, gconstpointer data)
{
  g_clear_pointer (&bed->host, swarm_network_host_free);
  swarm_plugin_unref (bed->plugin);
  swarm_message_unref (bed->task);
  g_string_free (bed->said, TRUE);
  sim_clock_free (bed->clock);
  close (wire_fd);
  if (bed->end >= 0)
    close (bed->end);
}

/* What is possible is said, changes and is heard of; a descriptor leads there. */
static void
test_state (Bed *bed, gconstpointer data)
{
  g_assert_false (swarm_network_host_supports (bed->host, "wire"));
  g_assert_cmpint (write (bed->end, "hello", 5), ==, 5);
  while (bed->states == 0)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpstr (wire.what_came, ==, "hello");
  g_assert_true (swarm_network_host_supports (bed->host, "wire"));
  g_assert_false (swarm_network_host_supports (bed->host, "overlay"));
  g_assert_null (swarm_network_host_reason (bed->host));
  g_assert_cmpstr (swarm_network_host_problems (bed->host)[0], ==, "network here: overlaps"); /* always in one order */
  g_assert_cmpstr (swarm_network_host_problems (bed->host)[1], ==, "port 8080/tcp: taken");
  g_assert_null (swarm_network_host_problems (bed->host)[2]);
  close (bed->end);
  bed->end = -1;
  while (bed->states == 1)
    g_main_context_iteration (NULL, TRUE);
  g_assert_false (swarm_network_host_supports (bed->host, "wire"));
  g_assert_cmpstr (swarm_network_host_reason (bed->host), ==, "the wire is cut");
  g_assert_null (swarm_network_host_problems (bed->host)[0]);
}

/* An attach waits for what the plugin needs: here, a picture. */
static void
test_attach (Bed *bed, gconstpointer data)
{
  SwarmPluginNetNode node = { .id = "n1", .number = 1, .address = "192.0.2.1" };

  swarm_network_host_attach (bed->host, bed->task, &SWARM_ID_NIL, "n1", 60 * G_USEC_PER_SEC, on_attached, bed);
  sim_clock_run (bed->clock, 1000);
  g_assert_cmpstr (bed->said->str, ==, "");
  g_assert_true (swarm_network_host_picture (bed->host, &(SwarmPluginPicture){ .flags = SWARM_PLUGIN_PICTURE_WHOLE, .nodes = &node, .n_nodes = 1 }));
  g_assert_cmpstr (bed->said->str, ==, ""); /* in a turn of its own */
  sim_clock_run (bed->clock, 1000);
  g_assert_cmpstr (bed->said->str, ==, "ns:/the/wire 127.0.0.11;");
}

static void
test_cancel (Bed *bed, gconstpointer data)
{
  guint64 call = swarm_network_host_attach (bed->host, bed->task, &SWARM_ID_NIL, "n1", 60 * G_USEC_PER_SEC, on_attached, bed);

  swarm_network_host_cancel (bed->host, call);
  sim_clock_run (bed->clock, 1000);
  g_assert_cmpstr (bed->said->str, ==, "given up -;");
  swarm_network_host_attach (bed->host, bed->task, &SWARM_ID_NIL, "n1", 2 * G_USEC_PER_SEC, on_attached, bed);
  sim_clock_run (bed->clock, 3 * G_USEC_PER_SEC);
  g_assert_cmpstr (bed->said->str, ==, "given up -;network-wire: attach took too long: given up -;");
}

static guint8
first_byte (GPtrArray *keys, guint i)
{
  return *(const guint8 *) g_bytes_get_data (((SwarmNetworkKey *) g_ptr_array_index (keys, i))->key, NULL);
}

/* Its public keys are said upward, at most two and only good ones. */
static void
test_keys (Bed *bed, gconstpointer data)
{
  g_assert_null (swarm_network_host_keys (bed->host));
  wire.keys[0] = (SwarmPluginNetworkKey){ .slot = 1, .flags = 0, .key = { 11 } };
  wire.keys[1] = (SwarmPluginNetworkKey){ .slot = 0, .flags = 1, .key = { 12 } };
  wire.n_keys = 2;
  wire_say (&wire, NULL);
  GPtrArray *keys = swarm_network_host_keys (bed->host);
  g_assert_cmpuint (keys->len, ==, 2);
  g_assert_cmpuint (first_byte (keys, 0), ==, 11);
  g_assert_cmpuint (first_byte (keys, 1), ==, 12);
  g_assert_cmpuint (((SwarmNetworkKey *) keys->pdata[0])->slot, ==, 1);
  g_assert_false (((SwarmNetworkKey *) keys->pdata[0])->newest);
  g_assert_true (((SwarmNetworkKey *) keys->pdata[1])->newest);
  wire.n_keys = 3;
  wire.keys[2] = (SwarmPluginNetworkKey){ .slot = 0, .key = { 13 } };
  wire_say (&wire, NULL);
  g_assert_null (swarm_network_host_keys (bed->host));
  wire.n_keys = 1;
  wire_say (&wire, NULL);
  g_assert_cmpuint (swarm_network_host_keys (bed->host)->len, ==, 1);
  wire.keys[0].slot = 7;
  wire_say (&wire, NULL);
  g_assert_null (swarm_network_host_keys (bed->host));
  wire.keys[0] = (SwarmPluginNetworkKey){ .slot = 0 };
  wire_say (&wire, NULL);
  g_assert_null (swarm_network_host_keys (bed->host));
  wire.n_keys = 0;
  wire_say (&wire, NULL);
  g_assert_null (swarm_network_host_keys (bed->host));
}

/* Those of other hosts come with the picture. */
static void
test_picture_keys (Bed *bed, gconstpointer data)
{
  guint8 bytes[SWARM_NETWORK_KEY_SIZE] = { 21 };
  g_autoptr (SwarmPictureNode) row = swarm_picture_node_new ();
  g_autoptr (GPtrArray) rows = g_ptr_array_new (), none = g_ptr_array_new ();
  g_autoptr (GArray) gone = swarm_ids_new ();
  SwarmPictureChange change = { .whole = TRUE };
  SwarmId self = { { 1 } };
  row->id.bytes[0] = 2;
  row->number = 2;
  row->keys = swarm_messages_new ();
  for (guint i = 0; i < 3; i++) { /* the second is none, the third too many */
    SwarmNetworkKey *key = swarm_network_key_new ();
    key->slot = i;
    key->newest = i == 0;
    key->key = g_bytes_new (bytes, i == 1 ? 3 : sizeof bytes);
    g_ptr_array_add (row->keys, key);
  }
  g_ptr_array_add (rows, row);
  for (guint kind = 0; kind < _SWARM_KIND_MAX; kind++) {
    change.rows[kind] = kind == SWARM_KIND_NODE ? rows : none;
    change.removed[kind] = gone;
  }
  SwarmPictureView *view = swarm_picture_view_new (&change, &self);
  g_assert_cmpuint (view->picture.n_nodes, ==, 1);
  g_assert_cmpuint (view->picture.nodes[0].n_keys, ==, 1);
  g_assert_cmpuint (view->picture.nodes[0].keys[0].key[0], ==, 21);
  g_assert_cmpuint (view->picture.nodes[0].keys[0].flags, ==, 1);
  swarm_picture_view_free (view);
}

/* Where there is no loop for descriptors a plugin that needs them says so; one that needs no picture is given none. */
static void
test_without (Bed *bed, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  SwarmPluginHostConfig config = { .clock = sim_clock_iface (bed->clock) };
  g_autoptr (SwarmPlugin) plain = swarm_plugin_from_descriptor (&swarm_plugin_builtin_network_host, SWARM_PLUGIN_NETWORK, NULL);
  g_autoptr (SwarmNetworkHost) none = NULL, host = NULL;

  g_clear_pointer (&bed->host, swarm_network_host_free);
  none = swarm_network_host_new (bed->plugin, &config, &error);
  g_assert_null (none);
  g_assert_nonnull (strstr (error->message, "no descriptors here"));
  host = swarm_network_host_new (plain, &config, NULL);
  g_assert_false (swarm_network_host_picture (host, &(SwarmPluginPicture){ .flags = SWARM_PLUGIN_PICTURE_WHOLE }));
  g_assert_false (swarm_network_host_supports (host, "overlay"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, func) g_test_add ("/plugin/network/" path, Bed, NULL, set_up, func, tear_down)
  ADD ("state", test_state);
  ADD ("attach", test_attach);
  ADD ("cancel", test_cancel);
  ADD ("keys", test_keys);
  ADD ("picture-keys", test_picture_keys);
  ADD ("without", test_without);
  return g_test_run ();
}
