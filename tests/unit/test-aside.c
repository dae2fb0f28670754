// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/aside.h"

typedef struct {
  gint freed; /* atomic */
  GThread *by;
} Trace;

static void
note_free (gpointer data)
{
  Trace *trace = data;

  trace->by = g_thread_self ();
  g_atomic_int_set (&trace->freed, 1);
}

static void
run (gsize size, gboolean aside)
{
  g_autofree char *memory = g_malloc0 (size);
  Trace trace = { 0 };
  GBytes *bytes = swarm_bytes_free_aside (g_bytes_new_with_free_func (memory, size, note_free, &trace));
  GBytes *other = g_bytes_ref (bytes);
  gsize found;

  g_assert_true (g_bytes_get_data (bytes, &found) == memory);
  g_assert_cmpuint (found, ==, size);
  g_bytes_unref (bytes);
  g_assert_cmpint (g_atomic_int_get (&trace.freed), ==, 0);
  g_bytes_unref (other);
  while (g_atomic_int_get (&trace.freed) == 0)
    g_usleep (100);
  g_assert_true ((trace.by != g_thread_self ()) == aside);
}

static void
test_small (void)
{
  run (1000, FALSE);
}

static void
test_large (void)
{
  run (4 * 1024 * 1024, TRUE);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/aside/small", test_small);
  g_test_add_func ("/aside/large", test_large);
  return g_test_run ();
}
