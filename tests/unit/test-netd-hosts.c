// SPDX-License-Identifier: LGPL-2.1-or-later
/* The data plane in the kernel: three hosts as namespaces on this machine, each with its swarm-netd. */
#include "netd-bed.h"
#include <sys/socket.h>

typedef struct {
  Bed *bed;
  GByteArray *out;
} Fixture;

/* On each host H one task "task-H" at 10.88.16.H1, 10.88.(100+H).H1 towards the gateway, serving on port 80. */
static void
put_tasks (GByteArray *out, guint host)
{
  for (guint i = 1; i <= BED_HOSTS; i++) {
    g_autofree char *address = g_strdup_printf ("10.88.16.%u1", i), *address6 = g_strdup_printf ("fd88:16::%u1", i);
    put_endpoint (out, 4097, i, address, address6);
  }
  g_autofree char *task = g_strdup_printf ("task-%u", host), *address = g_strdup_printf ("10.88.16.%u1", host);
  g_autofree char *address6 = g_strdup_printf ("fd88:16::%u1", host), *gateway = g_strdup_printf ("10.88.%u.%u1", 100 + host, host);
  g_autofree char *gateway6 = g_strdup_printf ("fd88:%u::%u1", 100 + host, host);
  put_sandbox (out, task);
  put_interface (out, task, 4097, 0, address, address6);
  put_interface (out, task, 0, 1, gateway, gateway6);
}

static void
send_ok (Fixture *f, guint host, guint32 flags)
{
  g_autofree char *errors = bed_send (f->bed, host, f->out, flags);
  g_assert_cmpstr (errors, ==, "");
}

static int
task (Fixture *f, guint host)
{
  g_autofree char *name = g_strdup_printf ("task-%u", host);
  return bed_task (f->bed, host, name);
}

static void
set_up (Fixture *f, gconstpointer data)
{
  f->out = g_byte_array_new ();
  if ((f->bed = bed_new ()) == NULL)
    return;
  for (guint host = 1; host <= BED_HOSTS; host++) {
    bed_begin (f->out, host);
    put_tasks (f->out, host);
    send_ok (f, host, SWARM_NETD_FULL);
    g_autofree char *name = g_strdup_printf ("web-%u", host);
    bed_serve (f->bed, task (f, host), name, 80);
  }
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  if (f->bed != NULL)
    bed_free (f->bed);
  g_byte_array_unref (f->out);
}

static void
assert_answer (int netns, const char *address, guint16 port, int type, const char *expected)
{
  g_autofree char *answer = bed_ask (netns, address, port, type);
  if (strcmp (answer, expected) != 0)
    g_error ("%s port %u answers \"%s\", not \"%s\"", address, port, answer, expected);
}

static void
test_overlay (Fixture *f, gconstpointer data)
{
  if (f->bed == NULL)
    return;
  assert_answer (task (f, 1), "10.88.16.21", 80, SOCK_STREAM, "web-2 10.88.16.11");
  assert_answer (task (f, 1), "fd88:16::21", 80, SOCK_STREAM, "web-2 fd88:16::11");
  assert_answer (task (f, 3), "10.88.16.11", 80, SOCK_DGRAM, "web-1 10.88.16.31");
  assert_answer (task (f, 1), "10.88.0.100", 9, SOCK_STREAM, "refused"); /* the way out */
  assert_answer (task (f, 1), "10.88.102.21", 80, SOCK_STREAM, "timeout"); /* but not to other tasks by their gateway addresses */
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, func) g_test_add ("/netd/hosts/" path, Fixture, NULL, set_up, func, tear_down)
  ADD ("overlay", test_overlay);
  return g_test_run ();
}
