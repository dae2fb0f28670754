// SPDX-License-Identifier: LGPL-2.1-or-later
/* Slots of a service: even, full, and a change touches few of them. */
#include "netd/slots.h"

static SwarmNetdTarget *
some (guint n)
{
  SwarmNetdTarget *targets = g_new0 (SwarmNetdTarget, n);
  for (guint i = 0; i < n; i++) {
    g_autofree char *text = g_strdup_printf ("10.0.%u.%u", i / 200, 1 + i % 200);
    g_assert_true (swarm_netd_address_parse (text, &targets[i].address));
  }
  return targets;
}

static guint
uses (const SwarmNetdSlots *slots, const SwarmNetdTarget *target)
{
  guint n = 0;
  for (guint k = 0; k < slots->count; k++)
    n += swarm_netd_target_equal (&slots->targets[k], target);
  return n;
}

static guint
moved (const SwarmNetdSlots *a, const SwarmNetdSlots *b)
{
  guint n = 0;
  g_assert_cmpuint (a->count, ==, b->count);
  for (guint k = 0; k < a->count; k++)
    n += !swarm_netd_target_equal (&a->targets[k], &b->targets[k]);
  return n;
}

static void
test_even (void)
{
  static const guint sizes[] = { 1, 2, 3, 7, 8, 9, 20, 40, 85, 100, 1024, 1500 };
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    guint n = sizes[i], least = G_MAXUINT, most = 0, used = 0;
    g_autofree SwarmNetdTarget *targets = some (n);
    SwarmNetdSlots *slots = swarm_netd_slots_new (targets, n, FALSE, 1, NULL);
    g_assert_cmpuint (slots->count, ==, swarm_netd_slots_count (n, FALSE));
    for (guint t = 0; t < n; t++) {
      guint u = uses (slots, &targets[t]);
      least = MIN (least, u), most = MAX (most, u), used += u > 0;
    }
    g_assert_cmpuint (most - least, <=, 1);
    g_assert_cmpuint (used, ==, MIN (n, SWARM_NETD_SLOTS_MAX));
    if (n > 8 && n <= 85) /* within 10 percent of each other */
      g_assert_cmpuint (most * 100, <=, least * 110);
    swarm_netd_slots_free (slots);
  }
  SwarmNetdSlots *none = swarm_netd_slots_new (NULL, 0, FALSE, 1, NULL);
  g_assert_cmpuint (none->count, ==, 0);
  swarm_netd_slots_free (none);
}

/* More targets than slots: another host uses others. */
static void
test_more_than_slots (void)
{
  g_autofree SwarmNetdTarget *targets = some (1500);
  SwarmNetdSlots *a = swarm_netd_slots_new (targets, 1500, FALSE, 1, NULL), *b = swarm_netd_slots_new (targets, 1500, FALSE, 2, NULL);
  guint differ = 0;
  for (guint t = 0; t < 1500; t++)
    differ += uses (a, &targets[t]) != uses (b, &targets[t]);
  g_assert_cmpuint (differ, >, 300);
  swarm_netd_slots_free (a);
  swarm_netd_slots_free (b);
}

static void
test_change_is_small (void)
{
  g_autofree SwarmNetdTarget *targets = some (21);
  for (guint affinity = 0; affinity < 2; affinity++) {
    SwarmNetdSlots *before = swarm_netd_slots_new (targets, 21, affinity, 1, NULL);
    SwarmNetdSlots *less = swarm_netd_slots_new (targets, 20, affinity, 1, before);
    SwarmNetdSlots *again = swarm_netd_slots_new (targets, 21, affinity, 1, less);
    g_assert_cmpuint (uses (less, &targets[20]), ==, 0);
    g_assert_cmpuint (moved (before, less), <=, before->count / 10);
    g_assert_cmpuint (moved (less, again), <=, before->count / 10);
    if (affinity)
      g_assert_cmpuint (moved (before, again), ==, 0); /* whoever came and went */
    swarm_netd_slots_free (before);
    swarm_netd_slots_free (less);
    swarm_netd_slots_free (again);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/netd/slots/even", test_even);
  g_test_add_func ("/netd/slots/more-than-slots", test_more_than_slots);
  g_test_add_func ("/netd/slots/change-is-small", test_change_is_small);
  return g_test_run ();
}
