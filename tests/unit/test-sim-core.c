// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/error.h"
#include "sim/sim-clock.h"
#include "sim/sim-crypto.h"
#include "sim/sim-disk.h"
#include "sim/sim-net.h"

/* ---- time ---- */

static void
append_letter (gpointer data)
{
  g_string_append_c (data, 'x');
}

static void
test_clock (void)
{
  g_autoptr (SimClock) clock = sim_clock_new (G_USEC_PER_SEC);
  g_autoptr (GString) log = g_string_new (NULL);
  SwarmTimer *late = swarm_clock_timer (sim_clock_iface (clock), 50, SWARM_PRIORITY_NORMAL, append_letter, log);

  swarm_clock_timer (sim_clock_iface (clock), 10, SWARM_PRIORITY_NORMAL, append_letter, log);
  sim_clock_run (clock, 40);
  g_assert_cmpstr (log->str, ==, "x");
  g_assert_cmpint (sim_clock_time (clock), ==, G_USEC_PER_SEC + 40);
  swarm_clock_clear_timer (sim_clock_iface (clock), &late);
  g_assert_false (sim_clock_step (clock));
  g_assert_cmpint (swarm_clock_now (sim_clock_view (clock, 7)), ==, G_USEC_PER_SEC + 47);
}

/* ---- disk ---- */

static void
note_done (const GError *error, gpointer data)
{
  *(int *) data = error == NULL ? 1 : -1;
}

static void
submit_write (SimDisk *disk, const char *name, guint64 offset, const char *text, int *done)
{
  GArray *ops = swarm_disk_ops_new ();
  g_autoptr (GBytes) data = g_bytes_new (text, strlen (text));

  swarm_disk_ops_write (ops, name, offset, data);
  sim_disk_iface (disk)->submit (sim_disk_iface (disk), ops, note_done, done);
}

static void
test_disk (void)
{
  g_autoptr (SimClock) clock = sim_clock_new (1);
  SimRandom random;
  g_autoptr (SimDisk) disk = NULL;
  g_autoptr (GBytes) data = NULL;
  int first = 0, second = 0;

  sim_random_init (&random, 1);
  disk = sim_disk_new (clock, &random, 100, 200);
  submit_write (disk, "a", 0, "hello", &first);
  g_assert_cmpint (first, ==, 0);
  sim_clock_run (clock, 200);
  g_assert_cmpint (first, ==, 1);
  submit_write (disk, "a", 0, "HELLO", &second);
  sim_disk_crash (disk);
  g_assert_cmpint (second, ==, -1);
  g_assert_cmpint (sim_disk_size (disk, "a"), ==, 5);
  sim_disk_fail (disk, "no space");
  submit_write (disk, "b", 0, "x", &second);
  sim_clock_run (clock, 200);
  g_assert_cmpint (second, ==, -1);
  g_assert_cmpint (sim_disk_size (disk, "b"), ==, -1);
  data = sim_disk_iface (disk)->read (sim_disk_iface (disk), "a", NULL);
  g_assert_cmpuint (g_bytes_get_size (data), ==, 5);
}

/* What failed was not written, whenever the process or the power goes: a disk that lost a write takes no other. */
static void
test_disk_failed (gconstpointer power)
{
  for (guint seed = 1; seed <= 64; seed++) {
    g_autoptr (SimClock) clock = sim_clock_new (seed);
    SimRandom random;
    g_autoptr (SimDisk) disk = NULL;
    int done = 0;

    sim_random_init (&random, seed);
    disk = sim_disk_new (clock, &random, 100, 200);
    sim_disk_fail (disk, "no space");
    submit_write (disk, "a", 0, "half of one operation is none", &done);
    submit_write (disk, "b", 0, "never", &done);
    submit_write (disk, "c", 0, "never", &done);
    if (GPOINTER_TO_INT (power))
      sim_disk_crash (disk);
    else
      sim_disk_kill (disk);
    g_assert_cmpint (done, ==, -1);
    g_assert_cmpuint (sim_disk_used (disk), ==, 0);
    g_assert_cmpint (sim_disk_size (disk, "b"), ==, -1);
    g_assert_cmpint (sim_disk_size (disk, "c"), ==, -1);
  }
}

/* Nobody has heard yet that a batch fails: what is submitted behind it fails, too, even when the disk was repaired meanwhile. */
static void
test_disk_repaired_too_soon (void)
{
  g_autoptr (SimClock) clock = sim_clock_new (1);
  SimRandom random;
  g_autoptr (SimDisk) disk = NULL;
  int first = 0, second = 0, third = 0;

  sim_random_init (&random, 1);
  disk = sim_disk_new (clock, &random, 100, 200);
  sim_disk_fail (disk, "no space");
  submit_write (disk, "a", 0, "lost", &first);
  sim_disk_repair (disk);
  submit_write (disk, "b", 0, "behind it", &second);
  sim_clock_run (clock, 1000);
  g_assert_cmpint (first, ==, -1);
  g_assert_cmpint (second, ==, -1);
  g_assert_cmpuint (sim_disk_used (disk), ==, 0);
  submit_write (disk, "c", 0, "of the next process", &third);
  sim_clock_run (clock, 1000);
  g_assert_cmpint (third, ==, 1);
}

/* A killed process grew a file and removed it; its successor removes another one, which syncs that, and begins a file of the same name. */
static void
test_disk_removed (void)
{
  guint seen = 0;

  for (guint seed = 1; seed <= 64; seed++) {
    g_autoptr (SimClock) clock = sim_clock_new (seed);
    SimRandom random;
    g_autoptr (SimDisk) disk = NULL;
    SwarmDisk *iface;
    GArray *ops = swarm_disk_ops_new ();
    int done = 0;

    sim_random_init (&random, seed);
    disk = sim_disk_new (clock, &random, 100, 200);
    iface = sim_disk_iface (disk);
    submit_write (disk, "a", 0, "old", &done);
    submit_write (disk, "b", 0, "old", &done);
    sim_clock_run (clock, 400);
    swarm_disk_ops_truncate (ops, "a", 1000);
    swarm_disk_ops_unlink (ops, "a");
    iface->submit (iface, ops, NULL, NULL);
    sim_disk_kill (disk);
    seen += sim_disk_size (disk, "a") == -1;
    ops = swarm_disk_ops_new ();
    if (sim_disk_size (disk, "a") >= 0)
      swarm_disk_ops_unlink (ops, "a");
    swarm_disk_ops_unlink (ops, "b");
    iface->submit (iface, ops, NULL, NULL);
    submit_write (disk, "a", 0, "new", &done);
    sim_clock_run (clock, 1000);
    sim_disk_crash (disk);
    g_assert_cmpint (sim_disk_size (disk, "b"), ==, -1);
    g_assert_cmpint (sim_disk_size (disk, "a"), ==, 3);
  }
  g_assert_cmpuint (seen, >, 0);
}

/* ---- network ---- */

typedef struct {
  SwarmLink *link;
  int up, down, calls;
  GVariant *reply;
  int failures;
} Side;

static void
side_up (SwarmLink *link, gpointer data)
{
  ((Side *) data)->up++;
}

static void
side_down (SwarmLink *link, const GError *error, gpointer data)
{
  ((Side *) data)->down++;
}

static void
side_call (SwarmLink *link, SwarmCall *call, gpointer data)
{
  ((Side *) data)->calls++;
  swarm_call_return (call, g_variant_new ("(s)", call->member));
}

static const SwarmLinkEvents side_events = { side_up, side_down, side_call };

static void
side_reply (GVariant *reply, const GError *error, gpointer data)
{
  Side *side = data;

  if (error != NULL)
    side->failures++;
  else
    side->reply = g_variant_ref (reply);
}

static void
accept_link (SwarmLink *link, gpointer data)
{
  Side *side = data;

  side->link = link;
  swarm_link_set_events (link, &side_events, side);
}

typedef struct {
  SimClock *clock;
  SimRandom random;
  SimNet *net;
  SimHost *a, *b;
  Side here, there;
} Net;

static void
net_set_up (Net *f, gconstpointer data)
{
  SwarmId a = { { 1 } }, b = { { 2 } }, cluster = { { 3 } };

  f->clock = sim_clock_new (1);
  sim_random_init (&f->random, 7);
  f->net = sim_net_new (f->clock, &f->random, 100, 1000);
  f->a = sim_net_host (f->net, "a:1");
  f->b = sim_net_host (f->net, "b:1");
  sim_host_set_identity (f->a, SWARM_PEER_MANAGER, &a, &cluster);
  sim_host_set_identity (f->b, SWARM_PEER_WORKER, &b, &cluster);
  sim_host_boot (f->a, NULL, NULL);
  sim_host_boot (f->b, accept_link, &f->there);
  f->here.link = sim_host_transport (f->a)->dial (sim_host_transport (f->a), "b:1", SWARM_LINK_CONTROL, &side_events, &f->here);
}

static void
net_tear_down (Net *f, gconstpointer data)
{
  g_clear_pointer (&f->here.link, swarm_link_unref);
  g_clear_pointer (&f->there.link, swarm_link_unref);
  g_clear_pointer (&f->here.reply, g_variant_unref);
  sim_clock_run (f->clock, 10 * G_USEC_PER_SEC);
  sim_net_free (f->net);
  sim_clock_free (f->clock);
}

static void
call (Net *f)
{
  swarm_link_call (f->here.link, "i", "Echo", NULL, 60 * G_USEC_PER_SEC, side_reply, &f->here);
}

static void
test_net_call (Net *f, gconstpointer data)
{
  const char *text;

  sim_clock_run (f->clock, 50);
  g_assert_cmpint (f->here.up, ==, 0);
  sim_clock_run (f->clock, 2000);
  g_assert_cmpint (f->here.up, ==, 1);
  g_assert_cmpint (f->there.up, ==, 1);
  g_assert_cmpint (f->there.link->peer.role, ==, SWARM_PEER_MANAGER);
  g_assert_cmpint (f->here.link->peer.role, ==, SWARM_PEER_WORKER);
  call (f);
  sim_clock_run (f->clock, 2000);
  g_variant_get (f->here.reply, "(&s)", &text);
  g_assert_cmpstr (text, ==, "Echo");
  swarm_link_close (f->here.link, NULL);
  sim_clock_run (f->clock, 2000);
  g_assert_cmpint (f->here.down, ==, 1);
  g_assert_cmpint (f->there.down, ==, 1);
}

static void
test_net_cut (Net *f, gconstpointer data)
{
  sim_clock_run (f->clock, 2000);
  sim_net_cut (f->net, f->a, f->b, FALSE);
  call (f);
  sim_clock_run (f->clock, G_USEC_PER_SEC);
  g_assert_cmpint (f->there.calls, ==, 0);
  sim_net_heal_all (f->net);
  sim_clock_run (f->clock, 2000);
  g_assert_nonnull (f->here.reply);
  sim_net_cut (f->net, f->a, f->b, TRUE);
  call (f);
  sim_clock_run (f->clock, 6 * G_USEC_PER_SEC);
  g_assert_cmpint (f->here.failures, ==, 1);
  g_assert_cmpint (f->here.down, ==, 1);
  g_assert_cmpint (f->there.down, ==, 1);
}

static void
test_net_crash (Net *f, gconstpointer data)
{
  sim_clock_run (f->clock, 2000);
  call (f);
  sim_host_crash (f->b, GPOINTER_TO_INT (data));
  g_clear_pointer (&f->there.link, swarm_link_unref);
  sim_clock_run (f->clock, G_USEC_PER_SEC);
  g_assert_cmpint (f->here.down, ==, !GPOINTER_TO_INT (data));
  sim_clock_run (f->clock, 5 * G_USEC_PER_SEC);
  g_assert_cmpint (f->here.down, ==, 1);
  g_assert_cmpint (f->here.failures, ==, 1);
  g_clear_pointer (&f->here.link, swarm_link_unref);
  f->here.link = sim_host_transport (f->a)->dial (sim_host_transport (f->a), "b:1", SWARM_LINK_CONTROL, &side_events, &f->here);
  sim_clock_run (f->clock, 6 * G_USEC_PER_SEC);
  g_assert_cmpint (f->here.down, ==, 2);
}

static void
test_net_refused (Net *f, gconstpointer data)
{
  sim_host_boot (f->b, NULL, NULL);
  sim_clock_run (f->clock, 3000);
  g_assert_cmpint (f->here.down, ==, 1);
}

static void
test_net_dropped_dial (Net *f, gconstpointer data)
{
  g_clear_pointer (&f->here.link, swarm_link_unref);
}

/* ---- crypto ---- */

static void
test_crypto (void)
{
  SimRandom random;
  SimCrypto crypto;
  g_autoptr (GBytes) key = g_bytes_new_static ("0123456789abcdef0123456789abcdef", 32);
  g_autoptr (GBytes) other = g_bytes_new_static ("1123456789abcdef0123456789abcdef", 32);
  g_autoptr (GBytes) plain = g_bytes_new_static ("some text here", 14);
  g_autoptr (GBytes) sealed = NULL;
  g_autoptr (GBytes) back = NULL;

  sim_random_init (&random, 3);
  sim_crypto_init (&crypto, &random);
  sealed = crypto.iface.seal (&crypto.iface, key, plain, other);
  back = crypto.iface.unseal (&crypto.iface, key, sealed, other, NULL);
  g_assert_true (g_bytes_equal (plain, back));
  g_assert_null (crypto.iface.unseal (&crypto.iface, other, sealed, other, NULL));
  g_assert_null (crypto.iface.unseal (&crypto.iface, key, sealed, NULL, NULL));
  for (gsize i = 0; i < g_bytes_get_size (sealed); i++) {
    g_autofree guint8 *copy = g_memdup2 (g_bytes_get_data (sealed, NULL), g_bytes_get_size (sealed));
    g_autoptr (GBytes) changed = NULL;

    copy[i] ^= 4;
    changed = g_bytes_new (copy, g_bytes_get_size (sealed));
    g_assert_null (crypto.iface.unseal (&crypto.iface, key, changed, other, NULL));
  }
}

#define NET_TEST(path, data, func) g_test_add (path, Net, data, net_set_up, func, net_tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/sim/clock", test_clock);
  g_test_add_func ("/sim/disk", test_disk);
  g_test_add_data_func ("/sim/disk-failed-power-cut", GINT_TO_POINTER (TRUE), test_disk_failed);
  g_test_add_func ("/sim/disk-repaired-too-soon", test_disk_repaired_too_soon);
  g_test_add_func ("/sim/disk-removed", test_disk_removed);
  g_test_add_data_func ("/sim/disk-failed-kill", GINT_TO_POINTER (FALSE), test_disk_failed);
  NET_TEST ("/sim/net/call", NULL, test_net_call);
  NET_TEST ("/sim/net/cut", NULL, test_net_cut);
  NET_TEST ("/sim/net/kill", GINT_TO_POINTER (0), test_net_crash);
  NET_TEST ("/sim/net/power-cut", GINT_TO_POINTER (1), test_net_crash);
  NET_TEST ("/sim/net/refused", NULL, test_net_refused);
  NET_TEST ("/sim/net/dropped-dial", NULL, test_net_dropped_dial);
  g_test_add_func ("/sim/crypto", test_crypto);
  return g_test_run ();
}
