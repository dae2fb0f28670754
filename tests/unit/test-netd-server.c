// SPDX-License-Identifier: LGPL-2.1-or-later
/* netd's door, turn by turn of its loop: clients that misbehave, and a system that has nothing left. In a network namespace of its own. */
#include "netd-rows.h"
#include "netd/netns.h"
#include "netd/server.h"
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

typedef struct {
  SwarmNetdServer *server;
  char *dir;
  struct sockaddr_un address;
  char *state;
  GByteArray *out;
} Fixture;

static gboolean possible;

static void
set_up (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  f->out = g_byte_array_new ();
  if (!possible) {
    g_test_skip ("needs root and network namespaces");
    return;
  }
  f->dir = g_dir_make_tmp ("netd-XXXXXX", NULL);
  f->state = g_strdup_printf ("%s/state", f->dir);
  f->address.sun_family = AF_UNIX;
  g_snprintf (f->address.sun_path, sizeof f->address.sun_path, "%s/socket", f->dir);
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  g_assert_cmpint (bind (fd, (struct sockaddr *) &f->address, sizeof f->address), ==, 0);
  g_assert_cmpint (listen (fd, 8), ==, 0);
  f->server = swarm_netd_server_new (fd, f->state, &error);
  g_assert_no_error (error);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  g_byte_array_unref (f->out);
  if (f->server == NULL)
    return;
  swarm_netd_server_free (f->server);
  g_unlink (f->address.sun_path);
  g_unlink (f->state);
  g_rmdir (f->dir);
  g_free (f->state);
  g_free (f->dir);
}

static int
connect_to (Fixture *f)
{
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  g_assert_cmpint (connect (fd, (struct sockaddr *) &f->address, sizeof f->address), ==, 0);
  return fd;
}

static gboolean
on_late (gpointer data)
{
  g_error ("nothing came");
  return G_SOURCE_REMOVE;
}

/* Turns the loop until that much came. FALSE: the other end hung up. */
static gboolean
receive (int fd, void *data, gsize length)
{
  guint late = g_timeout_add_seconds (60, on_late, NULL);
  gsize at = 0;
  ssize_t n = 1;
  while (at < length && n != 0) {
    n = recv (fd, (char *) data + at, length - at, 0);
    if (n < 0)
      g_main_context_iteration (NULL, TRUE);
    at += MAX (n, 0);
  }
  g_source_remove (late);
  return at == length;
}

static SwarmNetdHeader
hear (int fd, guint16 kind)
{
  SwarmNetdHeader header;
  g_assert_true (receive (fd, &header, sizeof header));
  g_assert_cmpuint (header.kind, ==, kind);
  g_autofree guint8 *records = g_malloc (header.length);
  g_assert_true (receive (fd, records, header.length));
  return header;
}

static void
say (int fd, const SwarmNetdHeader *header, gsize with)
{
  g_autofree guint8 *zeros = g_malloc0 (with);
  g_assert_cmpint (send (fd, header, sizeof *header, MSG_NOSIGNAL), ==, sizeof *header);
  g_assert_cmpint (send (fd, zeros, with, MSG_NOSIGNAL), ==, with);
}

static SwarmNetdHeader
header_of (guint64 number, guint32 flags, guint32 length)
{
  return (SwarmNetdHeader){ SWARM_NETD_MAGIC, SWARM_NETD_VERSION, SWARM_NETD_BATCH, number, 0, flags, length };
}

/* Whoever cannot be let in does not keep netd awake; when there are descriptors again he comes in. */
static void
test_no_descriptors (Fixture *f, gconstpointer data)
{
  struct rlimit limit, none;
  guint turns = 0;
  if (f->server == NULL)
    return;
  int client = connect_to (f), next = dup (client);
  close (next);
  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &limit), ==, 0);
  none = limit;
  none.rlim_cur = next;
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &none), ==, 0);
  for (guint i = 0; i < 1000; i++)
    turns += g_main_context_iteration (NULL, FALSE);
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &limit), ==, 0);
  g_assert_cmpuint (turns, >, 0);
  g_assert_cmpuint (turns, <, 100); /* a few tries */
  hear (client, SWARM_NETD_HELLO);
  close (client);
}

/* Who stops in the middle of a batch is cut, who is silent otherwise is not. */
static void
test_half_batch (Fixture *f, gconstpointer data)
{
  SwarmNetdHeader whole = header_of (1, SWARM_NETD_FULL, 64), more = header_of (1, SWARM_NETD_FULL | SWARM_NETD_MORE, 0);
  SwarmNetdHeader last = header_of (1, SWARM_NETD_FULL, 0);
  char byte;
  if (f->server == NULL)
    return;
  swarm_netd_server_patience = 1;
  int silent = connect_to (f), half = connect_to (f), part = connect_to (f);
  hear (silent, SWARM_NETD_HELLO);
  hear (half, SWARM_NETD_HELLO);
  hear (part, SWARM_NETD_HELLO);
  say (half, &whole, 10);
  say (part, &more, 0);
  g_assert_false (receive (half, &byte, 1));
  g_assert_false (receive (part, &byte, 1));
  say (silent, &last, 0);
  g_assert_cmpuint (hear (silent, SWARM_NETD_ACK).flags, ==, 0);
  close (silent);
  close (half);
  close (part);
}

/* A number without any behind it would be the last one that counts. */
static void
test_last_number (Fixture *f, gconstpointer data)
{
  SwarmNetdHeader end = header_of (G_MAXUINT64, SWARM_NETD_FULL, 0), far = header_of (G_MAXUINT32, SWARM_NETD_FULL, 0);
  if (f->server == NULL)
    return;
  int client = connect_to (f);
  hear (client, SWARM_NETD_HELLO);
  say (client, &end, 0);
  g_assert_cmpuint (hear (client, SWARM_NETD_ACK).flags, ==, SWARM_NETD_REFUSED);
  say (client, &far, 0); /* its client may count on from an earlier netd */
  g_assert_cmpuint (hear (client, SWARM_NETD_ACK).flags, ==, 0);
  far.number++;
  say (client, &far, 0);
  g_assert_cmpuint (hear (client, SWARM_NETD_ACK).flags, ==, 0);
  close (client);
}

/* The capabilities that count now; what is taken out comes back with the mask of before. */
static void
set_effective (guint64 mask)
{
  struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
  struct __user_cap_data_struct caps[2];
  g_assert_cmpint (syscall (SYS_capget, &header, caps), ==, 0);
  for (guint i = 0; i < 2; i++)
    caps[i].effective = caps[i].permitted & (guint32) (mask >> (32 * i));
  g_assert_cmpint (syscall (SYS_capset, &header, caps), ==, 0);
}

/* A host that cannot have networks says so and why; one that has some does not go by what it could now. */
static void
test_cannot (Fixture *f, gconstpointer data)
{
  SwarmNetdHeader header = header_of (1, SWARM_NETD_FULL, 0);
  struct {
    SwarmNetdHeader header;
    SwarmNetdRecord record;
    SwarmNetdError error;
  } cannot;
  if (f->server == NULL)
    return;
  int can = connect_to (f);
  g_assert_cmpuint (hear (can, SWARM_NETD_HELLO).length, ==, 0);

  set_effective (~(G_GUINT64_CONSTANT (1) << CAP_SYS_ADMIN));
  int client = connect_to (f);
  g_assert_true (receive (client, &cannot, sizeof cannot));
  set_effective (G_MAXUINT64);
  g_assert_cmpuint (cannot.header.kind, ==, SWARM_NETD_HELLO);
  g_assert_cmpuint (cannot.header.length, ==, sizeof cannot - sizeof cannot.header);
  g_assert_cmpuint (cannot.record.type, ==, SWARM_NETD_TYPE_ERROR);
  g_assert_cmpstr (cannot.error.object, ==, "host");
  g_assert_cmpstr (cannot.error.text, ==, "this host cannot have what networks that span hosts take: make a network namespace: Operation not permitted");
  close (client);

  say (can, &header, 0);
  g_assert_cmpuint (hear (can, SWARM_NETD_ACK).flags, ==, 0);
  set_effective (~(G_GUINT64_CONSTANT (1) << CAP_SYS_ADMIN));
  client = connect_to (f);
  g_assert_cmpuint (hear (client, SWARM_NETD_HELLO).length, ==, 0);
  set_effective (G_MAXUINT64);
  close (client);
  close (can);
}

/* Idle is who has no client and nothing to do. */
static void
test_idle (Fixture *f, gconstpointer data)
{
  if (f->server == NULL)
    return;
  g_assert_true (swarm_netd_server_is_idle (f->server));
  g_assert_true (swarm_netd_server_is_blind (f->server));
  int client = connect_to (f);
  hear (client, SWARM_NETD_HELLO);
  g_assert_false (swarm_netd_server_is_idle (f->server));

  SwarmNetdHeader header = header_of (1, SWARM_NETD_FULL, 0), empty = header_of (2, SWARM_NETD_FULL, 0);
  put_host (f->out, 1);
  put_node (f->out, 1);
  header.length = f->out->len;
  g_assert_cmpint (send (client, &header, sizeof header, MSG_NOSIGNAL), ==, sizeof header);
  g_assert_cmpint (send (client, f->out->data, f->out->len, MSG_NOSIGNAL), ==, f->out->len);
  g_assert_cmpuint (hear (client, SWARM_NETD_ACK).flags, ==, 0);
  close (client);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_false (swarm_netd_server_is_idle (f->server));
  g_assert_false (swarm_netd_server_is_blind (f->server));

  client = connect_to (f);
  hear (client, SWARM_NETD_HELLO);
  say (client, &empty, 0);
  g_assert_cmpuint (hear (client, SWARM_NETD_ACK).flags, ==, 0);
  g_assert_false (swarm_netd_server_is_idle (f->server));
  close (client);
  while (!swarm_netd_server_is_idle (f->server))
    g_main_context_iteration (NULL, TRUE);
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_test_init (&argc, &argv, NULL);
  possible = geteuid () == 0 && unshare (CLONE_NEWNET) == 0 && swarm_netd_netns_init (&error);
#define ADD(path, func) g_test_add ("/netd/server/" path, Fixture, NULL, set_up, func, tear_down)
  ADD ("no-descriptors", test_no_descriptors);
  ADD ("half-batch", test_half_batch);
  ADD ("last-number", test_last_number);
  ADD ("cannot", test_cannot);
  ADD ("idle", test_idle);
  return g_test_run ();
}
