// SPDX-License-Identifier: LGPL-2.1-or-later
/* What the data plane is told: reading, refusing in words, all or nothing, and finding it again after a start. */
#include "netd-rows.h"
#include "base/error.h"
#include "netd/state-file.h"
#include "netd/tables.h"
#include <glib/gstdio.h>
#include <unistd.h>

typedef struct {
  SwarmNetdTables *tables;
  GByteArray *out;
  guint64 number;
} Fixture;

static void
set_up (Fixture *f, gconstpointer data)
{
  f->tables = swarm_netd_tables_new ();
  f->out = g_byte_array_new ();
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  swarm_netd_tables_free (f->tables);
  g_byte_array_unref (f->out);
}

/* Everything once: two hosts, one network, one task with a service and a port. */
static void
put_all (GByteArray *out)
{
  put_host (out, 1);
  put_node (out, 1);
  put_node (out, 2);
  put_network (out, 4097, 0);
  put_network (out, 4096, SWARM_NETD_NETWORK_INGRESS);
  put_endpoint (out, 4097, 2, "10.88.16.21", "fd88:16::21");
  put_sandbox (out, "task-1");
  put_interface (out, "task-1", 4097, 0, "10.88.16.11", "fd88:16::11");
  put_interface (out, "task-1", 0, 1, "10.88.101.11", NULL);
  edit_service (out, FALSE, 4097, "10.88.16.2", 0);
  edit_backend (out, FALSE, 4097, "10.88.16.2", "10.88.16.21", 0);
  edit_port (out, FALSE, 6, 8080, 0);
  edit_port_backend (out, FALSE, 6, 8080, "10.88.101.11", 80, 0);
  edit_name (out, FALSE, 4097, "my-web", "10.88.16.2");
  edit_name (out, FALSE, 4097, "tasks.my-web", "10.88.16.21");
}

static SwarmNetdBatch *
read_batch (Fixture *f, guint32 flags, GError **error)
{
  guint64 base = f->number++;
  SwarmNetdHeader header = header_for (f->out, f->number, flags & SWARM_NETD_FULL ? 0 : base, flags);
  g_autoptr (SwarmNetdBatch) batch = swarm_netd_batch_new (&header);
  guint32 bad_record;
  g_assert_true (swarm_netd_header_check (&header, NULL));
  if (!swarm_netd_batch_add (batch, &header, f->out->data, &bad_record, error))
    return NULL;
  g_assert_true (swarm_netd_batch_is_whole (batch));
  return g_steal_pointer (&batch);
}

/* Reads and applies what is in @out and empties it; how many rows changed, or -1. */
static int
apply (Fixture *f, guint32 flags, GError **error)
{
  gint bad_edit;
  g_autoptr (SwarmNetdBatch) batch = read_batch (f, flags, error);
  g_byte_array_set_size (f->out, 0);
  if (batch == NULL)
    return -1;
  g_autoptr (GPtrArray) changes = swarm_netd_tables_apply (f->tables, swarm_netd_batch_edits (batch), flags != 0, &bad_edit, error);
  return changes != NULL ? (int) changes->len : -1;
}

static void
assert_refused (Fixture *f, guint32 flags, const char *words)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) before = swarm_netd_tables_all (f->tables);
  g_assert_cmpint (apply (f, flags, &error), ==, -1);
  if (strstr (error->message, words) == NULL)
    g_error ("refused with \"%s\", not \"%s\"", error->message, words);
  g_autoptr (GPtrArray) after = swarm_netd_tables_all (f->tables);
  g_assert_cmpuint (after->len, ==, before->len);
  for (guint i = 0; i < after->len; i++)
    g_assert_true (((SwarmNetdChange *) after->pdata[i])->after == ((SwarmNetdChange *) before->pdata[i])->after);
}

static void
test_full_then_delta (Fixture *f, gconstpointer data)
{
  put_all (f->out);
  g_assert_cmpint (apply (f, SWARM_NETD_FULL, NULL), ==, 15);
  put_all (f->out);
  g_assert_cmpint (apply (f, SWARM_NETD_FULL, NULL), ==, 0); /* the same again touches nothing */

  edit_backend (f->out, FALSE, 4097, "10.88.16.2", "10.88.16.11", 0);
  edit_backend (f->out, FALSE, 4097, "10.88.16.2", "10.88.16.21", SWARM_NETD_BACKEND_DRAINING);
  edit_name (f->out, TRUE, 4097, "tasks.my-web", "10.88.16.21");
  edit_name (f->out, TRUE, 4097, "no-such", "10.88.16.21");
  g_assert_cmpint (apply (f, 0, NULL), ==, 3);
  g_assert_cmpuint (swarm_netd_tables_count (f->tables, SWARM_NETD_TYPE_NAME), ==, 1);
  g_assert_cmpuint (swarm_netd_tables_count (f->tables, SWARM_NETD_TYPE_BACKEND), ==, 2);
  SwarmNetdService key = { .vni = 4097, .address = addr ("10.88.16.2") };
  g_assert_nonnull (swarm_netd_tables_find (f->tables, SWARM_NETD_TYPE_SERVICE, &key));

  g_assert_cmpint (apply (f, SWARM_NETD_FULL, NULL), ==, 15); /* an empty state takes everything away */
}

static void
put_key (GByteArray *out, guint32 node, guint32 slot, guint8 key, guint32 flags)
{
  row (out, SWARM_NETD_TYPE_WIREGUARD, FALSE, &(SwarmNetdWireguard){ .node = node, .slot = slot, .key = { key }, .flags = flags }, sizeof (SwarmNetdWireguard));
}

/* A host's two keys are two rows; it cannot go before them. */
static void
test_keys (Fixture *f, gconstpointer data)
{
  put_all (f->out);
  put_network (f->out, 4098, SWARM_NETD_NETWORK_ENCRYPTED);
  put_key (f->out, 2, 0, 7, 0);
  put_key (f->out, 2, 1, 8, SWARM_NETD_WIREGUARD_NEWEST);
  g_assert_cmpint (apply (f, SWARM_NETD_FULL, NULL), >, 0);
  g_assert_cmpuint (swarm_netd_tables_count (f->tables, SWARM_NETD_TYPE_WIREGUARD), ==, 2);
  put_key (f->out, 2, 0, 9, 0);
  g_assert_cmpint (apply (f, 0, NULL), ==, 1); /* another key in its place */
  g_assert_cmpuint (swarm_netd_tables_count (f->tables, SWARM_NETD_TYPE_WIREGUARD), ==, 2);
  row (f->out, SWARM_NETD_TYPE_ENDPOINT, TRUE, &(SwarmNetdEndpoint){ .vni = 4097, .mac = { 0x02, 0x42, 10, 88, 16, 21 } }, sizeof (SwarmNetdEndpoint));
  row (f->out, SWARM_NETD_TYPE_NODE, TRUE, &(SwarmNetdNode){ .node = 2 }, sizeof (SwarmNetdNode));
  assert_refused (f, 0, "cannot go while there is WireGuard key 2 0");
}

static void
test_refused (Fixture *f, gconstpointer data)
{
  put_sandbox (f->out, "task-1");
  assert_refused (f, SWARM_NETD_FULL, "host row");
  put_all (f->out);
  g_assert_cmpint (apply (f, SWARM_NETD_FULL, NULL), >, 0);

  put_network (f->out, 5000, SWARM_NETD_NETWORK_ENCRYPTED | SWARM_NETD_NETWORK_INGRESS);
  assert_refused (f, 0, "an encrypted ingress network is not there yet");
  put_network (f->out, 5000, 1 << 7);
  assert_refused (f, 0, "flags 0x80 are not known");
  put_network (f->out, 5000, SWARM_NETD_NETWORK_INGRESS);
  assert_refused (f, 0, "ingress network");
  put_key (f->out, 1, 0, 0, 0);
  assert_refused (f, 0, "WireGuard key row: the key is zero");
  put_key (f->out, 1, 2, 1, 0);
  assert_refused (f, 0, "slot 2 is not 0 or 1");
  put_key (f->out, 1, 1, 1, 2);
  assert_refused (f, 0, "flags 0x2 are not known");
  put_key (f->out, 3, 1, 1, 0);
  assert_refused (f, 0, "WireGuard key 3 1 belongs to one that is not there, a node");
  row (f->out, SWARM_NETD_TYPE_HOST, FALSE, &(SwarmNetdHost){ 1, 4789, 4788 }, sizeof (SwarmNetdHost));
  assert_refused (f, 0, "WireGuard port 4788 and the next one must be free");
  row (f->out, SWARM_NETD_TYPE_HOST, FALSE, &(SwarmNetdHost){ 1, 4789, 65535 }, sizeof (SwarmNetdHost));
  assert_refused (f, 0, "WireGuard port 65535");
  row (f->out, SWARM_NETD_TYPE_WIREGUARD + 1, FALSE, &(SwarmNetdWireguard){ .node = 1 }, sizeof (SwarmNetdWireguard));
  assert_refused (f, 0, "rows of type 14 are not known");
  put_endpoint (f->out, 4098, 2, "10.88.17.5", NULL);
  assert_refused (f, 0, "a network");
  put_endpoint (f->out, 4097, 3, "10.88.16.5", NULL);
  assert_refused (f, 0, "a node");
  edit_service (f->out, TRUE, 4097, "10.88.16.2", 0);
  assert_refused (f, 0, "cannot go while there is backend 4097 10.88.16.2 10.88.16.21");
  put_interface (f->out, "task-1", 4096, 1, "10.88.32.9", NULL);
  assert_refused (f, 0, "index");
  edit_name (f->out, FALSE, 4097, "My-Web", "10.88.16.2");
  assert_refused (f, 0, "[a-z0-9_.-]");
  edit_name (f->out, FALSE, 4097, "a..b", "10.88.16.2");
  assert_refused (f, 0, "empty part");
  edit_backend (f->out, FALSE, 4097, "10.88.16.2", "fd88:16::21", 0);
  assert_refused (f, 0, "families");
  edit_backend (f->out, FALSE, 4097, "10.88.16.2", "127.0.0.1", 0);
  assert_refused (f, 0, "not one that a host or task can have");
  edit_port (f->out, FALSE, 6, 9, 0);
  edit_port (f->out, TRUE, 6, 9, 0);
  assert_refused (f, 0, "twice");
  edit_port (f->out, FALSE, 1, 9, 0);
  assert_refused (f, 0, "protocol 1");
  edit_port (f->out, TRUE, 6, 9, 0);
  assert_refused (f, SWARM_NETD_FULL, "only puts");
}

static void
test_broken_records (Fixture *f, gconstpointer data)
{
  edit_port (f->out, FALSE, 6, 9, 0);
  g_byte_array_set_size (f->out, f->out->len - 3);
  assert_refused (f, 0, "length is wrong");
  edit_port (f->out, FALSE, 6, 9, 0);
  g_byte_array_set_size (f->out, 5);
  assert_refused (f, 0, "within its header");
  edit_port (f->out, FALSE, 6, 9, 0);
  f->out->data[f->out->len - 1] = 1;
  assert_refused (f, 0, "not zero");
}

static void
test_parts (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  guint32 bad_record;
  put_all (f->out);
  SwarmNetdHeader header = header_for (f->out, 7, 0, SWARM_NETD_FULL | SWARM_NETD_MORE);
  g_autoptr (SwarmNetdBatch) batch = swarm_netd_batch_new (&header);
  g_assert_true (swarm_netd_batch_add (batch, &header, f->out->data, &bad_record, NULL));
  g_assert_false (swarm_netd_batch_is_whole (batch));
  header.number = 8;
  g_assert_false (swarm_netd_batch_add (batch, &header, f->out->data, &bad_record, &error));
  g_assert_nonnull (strstr (error->message, "another batch"));
  header = (SwarmNetdHeader){ SWARM_NETD_MAGIC, SWARM_NETD_VERSION, SWARM_NETD_BATCH, 7, 0, SWARM_NETD_FULL, 0 };
  g_assert_true (swarm_netd_batch_add (batch, &header, NULL, &bad_record, NULL));
  g_assert_true (swarm_netd_batch_is_whole (batch));
  header.length = SWARM_NETD_PART_MAX + 8;
  g_assert_false (swarm_netd_header_check (&header, NULL));
}

/* What was accepted is there after a start; of what was written by half, nothing. */
static void
test_state_file (Fixture *f, gconstpointer data)
{
  g_autofree char *dir = g_dir_make_tmp ("netd-XXXXXX", NULL), *path = g_build_filename (dir, "state", NULL), *bytes = NULL;
  g_autoptr (SwarmNetdStateFile) file = swarm_netd_state_file_new (path);
  gsize length;
  gint bad_edit;
  for (guint i = 0; i < 3; i++) {
    if (i == 0)
      put_all (f->out);
    else
      edit_port (f->out, FALSE, 17, 5000 + i, 0);
    g_autoptr (SwarmNetdBatch) batch = read_batch (f, i == 0 ? SWARM_NETD_FULL : 0, NULL);
    g_byte_array_set_size (f->out, 0);
    g_autoptr (GPtrArray) changes = swarm_netd_tables_apply (f->tables, swarm_netd_batch_edits (batch), i == 0, &bad_edit, NULL);
    g_assert_nonnull (changes);
    g_assert_true (swarm_netd_state_file_add (file, batch, f->tables, NULL));
  }
  g_assert_true (g_file_get_contents (path, &bytes, &length, NULL));
  for (gsize cut = length; cut > length - 80; cut--) {
    g_assert_cmpint (truncate (path, cut), ==, 0);
    g_autoptr (SwarmNetdTables) again = swarm_netd_tables_new ();
    g_autoptr (SwarmNetdStateFile) reader = swarm_netd_state_file_new (path);
    guint64 number = swarm_netd_state_file_load (reader, again);
    g_assert_cmpuint (number, ==, cut == length ? 3 : cut >= length - 56 ? 2 : 1);
    g_assert_cmpuint (swarm_netd_tables_count (again, SWARM_NETD_TYPE_PORT), ==, number);
    g_assert_cmpuint (swarm_netd_tables_count (again, SWARM_NETD_TYPE_NAME), ==, 2);
  }
  g_unlink (path);
  g_rmdir (dir);
}

static void
apply_and_keep (Fixture *f, SwarmNetdStateFile *file, guint32 flags, gboolean kept)
{
  gint bad_edit;
  g_autoptr (SwarmNetdBatch) batch = read_batch (f, flags, NULL);
  g_byte_array_set_size (f->out, 0);
  g_autoptr (GPtrArray) changes = swarm_netd_tables_apply (f->tables, swarm_netd_batch_edits (batch), flags & SWARM_NETD_FULL, &bad_edit, NULL);
  g_assert_nonnull (changes);
  g_assert_true (swarm_netd_state_file_add (file, batch, f->tables, NULL) == kept);
}

/* A state that could not be written is written with the next batch, whole. */
static void
test_state_file_fails (Fixture *f, gconstpointer data)
{
  g_autofree char *dir = g_dir_make_tmp ("netd-XXXXXX", NULL), *path = g_build_filename (dir, "state", NULL), *in_the_way = g_build_filename (path, "x", NULL);
  g_autoptr (SwarmNetdStateFile) file = swarm_netd_state_file_new (path), reader = swarm_netd_state_file_new (path);
  g_autoptr (SwarmNetdTables) again = swarm_netd_tables_new ();
  g_assert_cmpint (g_mkdir_with_parents (in_the_way, 0700), ==, 0);
  put_all (f->out);
  apply_and_keep (f, file, SWARM_NETD_FULL, FALSE);
  g_rmdir (in_the_way);
  g_rmdir (path);
  edit_port (f->out, FALSE, 17, 5000, 0);
  apply_and_keep (f, file, 0, TRUE);
  edit_port (f->out, FALSE, 17, 5001, 0);
  apply_and_keep (f, file, 0, TRUE);
  g_assert_cmpuint (swarm_netd_state_file_load (reader, again), ==, 3);
  g_assert_cmpuint (swarm_netd_tables_count (again, SWARM_NETD_TYPE_PORT), ==, 3);
  g_assert_cmpuint (swarm_netd_tables_count (again, SWARM_NETD_TYPE_NAME), ==, 2);
  g_unlink (path);
  g_assert_cmpint (g_rmdir (dir), ==, 0); /* nothing else is left there */
}

/* Deltas do not lead to more than one full batch holds, for a start could not read it again. */
static void
test_most_rows (Fixture *f, gconstpointer data)
{
  g_autofree char *long_name = g_strnfill (240, 'a');
  const guint a_batch = 16384, row_size = 8 + 24 + 256;
  guint batches = 0;
  gint bad_edit;
  g_autoptr (GError) error = NULL;
  put_host (f->out, 1);
  put_node (f->out, 1);
  put_network (f->out, 4097, 0);
  while (error == NULL) {
    for (guint i = 0; i < a_batch; i++) {
      g_autofree char *name = g_strdup_printf ("%s%08u", long_name, batches * a_batch + i);
      edit_name (f->out, FALSE, 4097, name, "10.88.16.2");
    }
    g_autoptr (SwarmNetdBatch) batch = swarm_netd_batch_new (&(SwarmNetdHeader){ .number = 1 + batches });
    guint32 bad_record;
    SwarmNetdHeader header = { .number = 1 + batches, .length = f->out->len };
    g_assert_true (swarm_netd_batch_add (batch, &header, f->out->data, &bad_record, NULL));
    g_byte_array_set_size (f->out, 0);
    g_autoptr (GPtrArray) changes = swarm_netd_tables_apply (f->tables, swarm_netd_batch_edits (batch), FALSE, &bad_edit, &error);
    g_assert_true ((changes == NULL) == (error != NULL));
    batches += changes != NULL;
    g_assert_cmpuint (batches, <, 100);
  }
  g_assert_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT);
  g_assert_cmpuint (batches, ==, SWARM_NETD_BATCH_MAX / (a_batch * row_size));
  g_assert_cmpuint (swarm_netd_tables_count (f->tables, SWARM_NETD_TYPE_NAME), ==, batches * a_batch);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, func) g_test_add ("/netd/batch/" path, Fixture, NULL, set_up, func, tear_down)
  ADD ("full-then-delta", test_full_then_delta);
  ADD ("refused", test_refused);
  ADD ("keys", test_keys);
  ADD ("broken-records", test_broken_records);
  ADD ("parts", test_parts);
  ADD ("state-file", test_state_file);
  ADD ("state-file-fails", test_state_file_fails);
  ADD ("most-rows", test_most_rows);
  return g_test_run ();
}
