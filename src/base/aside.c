// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/aside.h"

#define SMALL (1024 * 1024) /* not worth a thread: a tenth of a millisecond */

static gpointer
free_thread (gpointer data)
{
  g_bytes_unref (data);
  return NULL;
}

static void
free_aside (gpointer data)
{
  GThread *thread = g_thread_try_new ("swarm-free", free_thread, data, NULL);

  if (thread != NULL)
    g_thread_unref (thread);
  else
    g_bytes_unref (data);
}

GBytes *
swarm_bytes_free_aside (GBytes *bytes)
{
  gsize size;
  gconstpointer data = g_bytes_get_data (bytes, &size);

  return size >= SMALL ? g_bytes_new_with_free_func (data, size, free_aside, bytes) : bytes;
}
