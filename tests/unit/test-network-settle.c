// SPDX-License-Identifier: LGPL-2.1-or-later
/* The overlay plugin says when what was asked for is in the kernel: when swarm-netd has answered the batch that it is in. */
#pragma GCC diagnostic ignored "-Wunused-function" /* the bed has more than is needed here */
#include "overlay-bed.h"

static void
on_settled (const char *mode, const char *resolver, const GError *error, gpointer data)
{
  g_string_append_printf (data, "%s;", error != NULL ? error->message : "ok");
}

static void
settle (Bed *bed, gint64 limit)
{
  g_assert_true (swarm_network_host_settle (bed->host, limit, on_settled, bed->said));
}

static void
one_is_not_ready (Bed *bed, gboolean not_ready)
{
  SwarmPluginNetTask one = tasks[0];
  SwarmPluginPicture change = { .data_port = 4789, .node_id = "n1", .tasks = &one, .n_tasks = 1 };
  if (not_ready)
    one.flags = 0;
  swarm_network_host_picture (bed->host, &change);
}

/* Answered by the batch that has it, not by one before; also when that is lost with its netd; and at once when there is nothing to be done. */
static void
test_settle (Bed *bed, gconstpointer data)
{
  UNTIL (swarm_network_host_supports (bed->host, "overlay"));
  settle (bed, 60 * G_USEC_PER_SEC); /* nothing was asked for yet */
  UNTIL (strcmp (bed->said->str, "ok;") == 0);
  bed->holds = TRUE;
  swarm_network_host_picture (bed->host, &whole);
  settle (bed, 60 * G_USEC_PER_SEC);
  UNTIL (bed->held != NULL);
  one_is_not_ready (bed, TRUE); /* goes with the next batch */
  settle (bed, 60 * G_USEC_PER_SEC);
  one_is_not_ready (bed, FALSE);
  one_is_not_ready (bed, TRUE);
  g_assert_cmpstr (bed->said->str, ==, "ok;");
  let_go (bed);
  UNTIL (strcmp (bed->said->str, "ok;ok;") == 0);
  UNTIL (bed->held != NULL);
  g_assert_cmpuint (draining (bed), ==, 1);
  g_assert_cmpstr (bed->said->str, ==, "ok;ok;");
  bed->holds = FALSE;
  drop_client (bed);
  UNTIL (strcmp (bed->said->str, "ok;ok;ok;") == 0); /* by the whole that it was sent anew */
  g_assert_cmpuint (bed->full, ==, 2);
  settle (bed, 60 * G_USEC_PER_SEC);
  UNTIL (strcmp (bed->said->str, "ok;ok;ok;ok;") == 0);
  g_assert_cmpuint (bed->batches, ==, 3);
}

/* What changes back while a batch is under way needs no other. What takes too long says why. */
static void
test_settle_late (Bed *bed, gconstpointer data)
{
  UNTIL (swarm_network_host_supports (bed->host, "overlay"));
  bed->holds = TRUE;
  swarm_network_host_picture (bed->host, &whole);
  UNTIL (bed->held != NULL);
  one_is_not_ready (bed, TRUE);
  one_is_not_ready (bed, FALSE);
  settle (bed, 60 * G_USEC_PER_SEC);
  settle (bed, G_USEC_PER_SEC / 20);
  UNTIL (strstr (bed->said->str, "settle took too long: swarm-netd has not done it yet;") != NULL);
  g_string_truncate (bed->said, 0);
  let_go (bed);
  UNTIL (strcmp (bed->said->str, "ok;") == 0);
  g_assert_cmpuint (bed->batches, ==, 1);
  bed->holds = FALSE;
  bed->refuse = "no such thing";
  one_is_not_ready (bed, TRUE);
  settle (bed, G_USEC_PER_SEC);
  UNTIL (strstr (bed->said->str, "settle took too long: swarm-netd refuses what is wanted of it: no such thing;") != NULL);
  g_string_truncate (bed->said, 0);
  settle (bed, G_USEC_PER_SEC / 20); /* it is in nobody's way, and not so */
  UNTIL (strstr (bed->said->str, "no such thing;") != NULL);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add ("/network-settle/in-force", Bed, NULL, set_up, test_settle, tear_down);
  g_test_add ("/network-settle/late", Bed, NULL, set_up, test_settle_late, tear_down);
  return g_test_run ();
}
