// SPDX-License-Identifier: LGPL-2.1-or-later
/* Links to other managers, and single calls to some manager: over links in this process, in virtual time. */
#include "base/clock-virtual.h"
#include "base/error.h"
#include "base/random-system.h"
#include "daemon/oneshot.h"
#include "daemon/peers.h"
#include <string.h>

#define MS (G_GINT64_CONSTANT (1000))
#define SECOND (1000 * MS)

/* ---- managers that answer or do not ---- */

typedef struct {
  SwarmTransport transport;
  SwarmVirtualClock *virtual;
  SwarmClock *clock;
  GPtrArray *far;     /* SwarmLink: the other ends */
  GString *dialled;   /* letters of the addresses that were dialled */
  const char *up;     /* letters of the managers that are up … */
  const char *silent; /* … that do not answer calls … */
  const char *wrong;  /* … with another answer than asked for … */
  const char *follow; /* … that do not lead … */
  const char *other;  /* … and that say to be another node */
  GPtrArray *kept;    /* SwarmCall: what the silent ones were asked */
  GString *called;    /* letter of who was called, "!" for a one-way message */
} World;

static SwarmId
id_of (char letter)
{
  SwarmId id = { { 0 } };
  id.bytes[0] = (guint8) letter;
  return id;
}

static gboolean
among (const char *letters, char letter)
{
  return letters != NULL && strchr (letters, letter) != NULL;
}

static void
far_call (SwarmLink *link, SwarmCall *call, gpointer data)
{
  World *world = data;
  char letter = (char) GPOINTER_TO_INT (link->owner);
  g_string_append_c (world->called, call->one_way ? '!' : letter);
  if (call->one_way)
    swarm_call_return (call, NULL);
  else if (among (world->silent, letter))
    g_ptr_array_add (world->kept, call);
  else if (among (world->follow, letter)) {
    g_autoptr (GError) error = g_error_new (SWARM_ERROR, SWARM_ERROR_NOT_MANAGER, "%c does not lead", letter);
    swarm_call_fail (call, error);
  } else if (among (world->wrong, letter))
    swarm_call_return (call, g_variant_new ("(u)", 1));
  else
    swarm_call_return (call, g_variant_new ("(s)", "yes"));
}

static const SwarmLinkEvents far_events = { NULL, NULL, far_call };

static void
run_event (gpointer data)
{
  swarm_pair_event_run (data);
}

static void
post (SwarmPairEvent *event, SwarmLink *to, gpointer data)
{
  swarm_clock_timer (((World *) data)->clock, 0, SWARM_PRIORITY_NORMAL, run_event, event);
}

static void
freed (SwarmLink *end, gpointer data)
{
}

static const SwarmPairHooks hooks = { post, freed };

static SwarmLink *
dial (SwarmTransport *transport, const char *address, SwarmLinkKind kind, const SwarmLinkEvents *events, gpointer data)
{
  World *world = (World *) transport;
  char letter = address[0];
  SwarmPeer own = { .role = SWARM_PEER_MANAGER, .node = id_of ('x') }, peer = { .role = SWARM_PEER_MANAGER, .node = id_of (letter) };
  SwarmLink *near, *far;
  g_autoptr (GError) refused = g_error_new (SWARM_ERROR, SWARM_ERROR_UNAVAILABLE, "%c is down", letter);
  if (among (world->other, letter))
    peer.node = id_of ('o');
  g_string_append_c (world->dialled, letter);
  swarm_link_pair_hooked (world->clock, &own, &peer, &hooks, world, &near, &far);
  near->kind = far->kind = kind;
  swarm_link_set_events (near, events, data);
  swarm_link_set_events (far, &far_events, world);
  far->owner = GINT_TO_POINTER ((int) letter);
  g_ptr_array_add (world->far, far);
  if (among (world->up, letter)) {
    swarm_link_pair_up (near);
    swarm_link_pair_up (far);
  } else
    swarm_link_pair_down (near, refused);
  return near;
}

static void
setup (World *world, gconstpointer data)
{
  world->virtual = swarm_virtual_clock_new (SECOND);
  world->clock = swarm_virtual_clock_iface (world->virtual);
  world->transport.dial = dial;
  world->far = g_ptr_array_new_with_free_func ((GDestroyNotify) swarm_link_unref);
  world->kept = g_ptr_array_new ();
  world->dialled = g_string_new (NULL);
  world->called = g_string_new (NULL);
}

static void
teardown (World *world, gconstpointer data)
{
  for (guint i = 0; i < world->kept->len; i++)
    swarm_call_return (world->kept->pdata[i], NULL);
  g_ptr_array_unref (world->kept);
  g_ptr_array_unref (world->far);
  swarm_virtual_clock_run (world->virtual, SECOND);
  swarm_virtual_clock_free (world->virtual);
  g_string_free (world->dialled, TRUE);
  g_string_free (world->called, TRUE);
}

static void
run (World *world, gint64 us)
{
  for (gint64 done = 0; done < us; done += MS) {
    swarm_virtual_clock_run (world->virtual, MS);
    while (g_main_context_iteration (NULL, FALSE))
      ;
  }
}

typedef struct {
  guint n;
  char *text;
  GError *error;
} Answer;

static void
answered (GVariant *reply, const GError *error, gpointer data)
{
  Answer *answer = data;
  answer->n++;
  g_clear_error (&answer->error);
  g_clear_pointer (&answer->text, g_free);
  if (error != NULL)
    answer->error = g_error_copy (error);
  else if (reply != NULL)
    g_variant_get (reply, "(s)", &answer->text);
}

static void
answer_clear (Answer *answer)
{
  g_clear_error (&answer->error);
  g_free (answer->text);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Answer, answer_clear)

/* ---- one call to any of several ---- */

static void
ask_any (World *world, const char *letters, Answer *answer)
{
  g_autoptr (GPtrArray) addresses = g_ptr_array_new_with_free_func (g_free);
  for (const char *letter = letters; *letter != '\0'; letter++)
    g_ptr_array_add (addresses, g_strdup_printf ("%c:2377", *letter));
  swarm_oneshot_call_any (&world->transport, addresses, "org.example.I", "Ask", NULL, "(s)", SECOND, answered, answer);
  g_assert_cmpuint (answer->n, ==, 0); /* never from within, but for an empty list */
  run (world, 10 * SECOND);
  g_assert_cmpuint (answer->n, ==, 1);
}

/* Down, silent, not leading: the next one. The first that answers is the last that is asked. */
static void
test_any (World *world, gconstpointer data)
{
  g_auto (Answer) answer = { 0 };
  world->up = "bcde";
  world->silent = "b";
  world->follow = "c";
  ask_any (world, "abcde", &answer);
  g_assert_no_error (answer.error);
  g_assert_cmpstr (answer.text, ==, "yes");
  g_assert_cmpstr (world->dialled->str, ==, "abcd");
  g_assert_cmpstr (world->called->str, ==, "bcd");
}

static void
test_any_none (World *world, gconstpointer data)
{
  g_auto (Answer) answer = { 0 };
  world->up = "b";
  world->follow = "b";
  ask_any (world, "ab", &answer);
  g_assert_error (answer.error, SWARM_ERROR, SWARM_ERROR_NOT_MANAGER);
}

/* Whoever answers nonsense is not a manager of ours to go on from. */
static void
test_any_wrong (World *world, gconstpointer data)
{
  g_auto (Answer) answer = { 0 };
  world->up = "ab";
  world->wrong = "a";
  ask_any (world, "ab", &answer);
  g_assert_error (answer.error, SWARM_ERROR, SWARM_ERROR_FAILED);
  g_assert_cmpstr (world->dialled->str, ==, "a");
}

/* ---- peers ---- */

typedef struct {
  GString *seen; /* "+a", "-a" */
} Seen;

static void
connected (const SwarmId *node, gpointer data)
{
  g_string_append_printf (((Seen *) data)->seen, "+%c", node->bytes[0]);
}

static void
disconnected (const SwarmId *node, gpointer data)
{
  g_string_append_printf (((Seen *) data)->seen, "-%c", node->bytes[0]);
}

static const SwarmPeersEvents peers_events = { connected, disconnected };

static void
set_peers (SwarmPeers *peers, const char *letters)
{
  g_autoptr (GArray) list = g_array_new (FALSE, TRUE, sizeof (SwarmPeerAddress));
  for (const char *letter = letters; *letter != '\0'; letter++) {
    SwarmPeerAddress address = { .node = id_of (*letter) };
    g_snprintf (address.address, sizeof address.address, "%c:2377", *letter);
    g_array_append_val (list, address);
  }
  swarm_peers_set (peers, list);
}

/* Kept up with growing pauses; one that left the list is dialled no more. */
static void
test_peers_kept (World *world, gconstpointer data)
{
  Seen seen = { g_string_new (NULL) };
  SwarmPeers *peers = swarm_peers_new (world->clock, swarm_random_system (), &world->transport, &peers_events, &seen);
  guint early, late;
  world->up = "a";
  set_peers (peers, "ab");
  run (world, SECOND);
  g_assert_nonnull (strstr (seen.seen->str, "+a"));
  early = world->dialled->len;
  g_assert_cmpuint (early, >, 3);
  run (world, 10 * SECOND);
  late = world->dialled->len - early;
  g_assert_cmpuint (late, >=, 5);  /* a second or two apart */
  g_assert_cmpuint (late, <=, 11);
  world->up = "ab";
  run (world, 3 * SECOND);
  g_assert_nonnull (strstr (seen.seen->str, "+b"));
  set_peers (peers, "b");
  g_string_truncate (world->dialled, 0);
  run (world, 5 * SECOND);
  g_assert_cmpstr (world->dialled->str, ==, "");
  swarm_peers_free (peers);
  g_string_free (seen.seen, TRUE);
}

/* Another node at a member's address gets nothing of the log. */
static void
test_peers_impostor (World *world, gconstpointer data)
{
  Seen seen = { g_string_new (NULL) };
  SwarmPeers *peers = swarm_peers_new (world->clock, swarm_random_system (), &world->transport, &peers_events, &seen);
  g_autoptr (GBytes) message = g_bytes_new_static ("m", 1);
  SwarmId a = id_of ('a');
  world->up = world->other = "a";
  set_peers (peers, "a");
  run (world, 200 * MS);
  swarm_peers_send (peers, &a, message);
  run (world, 20 * MS);
  g_assert_null (strchr (seen.seen->str, '+'));
  world->other = NULL;
  run (world, 5 * SECOND);
  g_assert_nonnull (strstr (seen.seen->str, "+a"));
  g_string_truncate (world->called, 0);
  swarm_peers_send (peers, &a, message);
  run (world, 20 * MS);
  g_assert_cmpstr (world->called->str, ==, "!");
  swarm_peers_free (peers);
  g_string_free (seen.seen, TRUE);
}

/* One that is no member any more can be told so for a while, and nothing is asked of it. */
static void
test_peers_leaving (World *world, gconstpointer data)
{
  Seen seen = { g_string_new (NULL) };
  SwarmPeers *peers = swarm_peers_new (world->clock, swarm_random_system (), &world->transport, &peers_events, &seen);
  g_autoptr (GBytes) message = g_bytes_new_static ("m", 1);
  g_auto (Answer) answer = { 0 };
  SwarmId a = id_of ('a');
  world->up = "a";
  set_peers (peers, "a");
  run (world, SECOND);
  set_peers (peers, "");
  g_string_truncate (world->called, 0);
  run (world, 5 * SECOND);
  set_peers (peers, "");
  swarm_peers_send (peers, &a, message);
  swarm_peers_call (peers, &a, "org.example.I", "Ask", g_variant_new ("()"), SECOND, answered, &answer);
  run (world, 20 * MS);
  g_assert_cmpstr (world->called->str, ==, "!");
  g_assert_error (answer.error, SWARM_ERROR, SWARM_ERROR_NO_QUORUM);
  run (world, 6 * SECOND); /* it did not begin anew with the second list */
  swarm_peers_send (peers, &a, message);
  run (world, 20 * MS);
  g_assert_cmpstr (world->called->str, ==, "!");

  set_peers (peers, "a");
  run (world, SECOND);
  set_peers (peers, "");
  run (world, SECOND);
  set_peers (peers, "a"); /* it is back */
  run (world, 20 * SECOND);
  swarm_peers_send (peers, &a, message);
  run (world, 20 * MS);
  g_assert_cmpstr (world->called->str, ==, "!!");
  swarm_peers_free (peers);
  g_string_free (seen.seen, TRUE);
}

static void
ask_peer (SwarmPeers *peers, char letter, Answer *answer)
{
  SwarmId id = id_of (letter);
  swarm_peers_call (peers, &id, "org.example.I", "Ask", g_variant_new ("()"), SECOND, answered, answer);
}

/* What was never sent fails as such: whoever asked may ask elsewhere. */
static void
test_peers_call (World *world, gconstpointer data)
{
  Seen seen = { g_string_new (NULL) };
  SwarmPeers *peers = swarm_peers_new (world->clock, swarm_random_system (), &world->transport, &peers_events, &seen);
  g_auto (Answer) good = { 0 }, again = { 0 }, down = { 0 }, stranger = { 0 }, late = { 0 };
  world->up = "a";
  set_peers (peers, "ab");
  ask_peer (peers, 'a', &good);
  ask_peer (peers, 'b', &down);
  ask_peer (peers, 'z', &stranger);
  run (world, 100 * MS);
  g_assert_cmpstr (good.text, ==, "yes");
  g_assert_error (down.error, SWARM_ERROR, SWARM_ERROR_NO_QUORUM);
  g_assert_error (stranger.error, SWARM_ERROR, SWARM_ERROR_NO_QUORUM);
  guint dialled = world->dialled->len;
  ask_peer (peers, 'a', &again);
  run (world, 10 * MS);
  g_assert_cmpstr (again.text, ==, "yes");
  g_assert_cmpuint (world->dialled->len - dialled, <=, 1); /* the link is kept; only b is tried again */
  world->silent = "a";
  ask_peer (peers, 'a', &late);
  run (world, 5 * MS);
  swarm_peers_free (peers);
  run (world, 2 * SECOND);
  g_assert_cmpuint (late.n, ==, 1); /* exactly once, whatever becomes of the peers */
  g_assert_nonnull (late.error);
  g_string_free (seen.seen, TRUE);
}

int
main (int argc, char **argv)
{
  static const struct {
    const char *name;
    void (*func) (World *world, gconstpointer data);
  } tests[] = {
    { "/oneshot/any", test_any },           { "/oneshot/none", test_any_none },           { "/oneshot/wrong", test_any_wrong },
    { "/peers/kept", test_peers_kept },     { "/peers/impostor", test_peers_impostor },   { "/peers/call", test_peers_call },
    { "/peers/leaving", test_peers_leaving },
  };
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (tests); i++)
    g_test_add (tests[i].name, World, NULL, setup, tests[i].func, teardown);
  return g_test_run ();
}
