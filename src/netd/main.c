// SPDX-License-Identifier: LGPL-2.1-or-later
/* swarm-netd: the data plane of one host.
 *
 * server.c takes batches from the agent (swarm-netd-batch.h); batch.c and row.c read and check them, tables.c makes them count whole or not at all,
 * state-file.c keeps them for a restart. plane.c carries out what changed, and compares everything after a start, after a failure and
 * when others changed what is ours. Its parts: network.c (bridges, VXLAN, who is where), sandbox.c (task namespaces and their links), vip.c (services'
 * virtual addresses, in each task's namespace), mesh.c, listening.c and host.c (published ports, the ways between hosts), guard.c (what may
 * pass our bridges), evict.c and conntrack.c (ending connections), responder.c, forward.c, names.c and dns.c
 * (names). crypt.c makes encrypted networks' way between hosts (wireguard*.c). monitor.c hears of foreign changes. They speak to the kernel by
 * netlink*.c (libmnl) and nft.c (libnftables); slots.c and slot-text.c turn backends into map elements.
 *
 * Lasting state is in the kernel, which goes on without netd; task namespaces are held by descriptors that systemd keeps over a restart. */
#include "base/log.h"
#include "netd/crypt.h"
#include "netd/monitor.h"
#include "netd/netns.h"
#include "netd/server.h"
#include "netd/wireguard-device.h"
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <gio/gio.h>
#include <malloc.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define IDLE_LOOK_SECONDS 10
#define CANNOT_START_SECONDS 5

static char *socket_path, *state_path;
static const GOptionEntry options[] = {
  { "socket", 0, 0, G_OPTION_ARG_FILENAME, &socket_path, "where to listen, when systemd hands over no socket", "PATH" },
  { "state", 0, 0, G_OPTION_ARG_FILENAME, &state_path, "where to keep the accepted batches", "PATH" },
  { "wireguard-go", 0, 0, G_OPTION_ARG_FILENAME, &swarm_netd_wireguard_program, "start this where the kernel has no WireGuard, not the unit", "PROGRAM" },
  { "rotation", 0, 0, G_OPTION_ARG_INT, &swarm_netd_crypt_rotation, "how long a WireGuard key serves (12 hours)", "SECONDS" },
  { NULL },
};

static int
listen_at (const char *path, GError **error)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd >= 0 && strlen (path) < sizeof address.sun_path) {
    strcpy (address.sun_path, path);
    unlink (path);
    mode_t mask = umask (0177);
    int bound = bind (fd, (struct sockaddr *) &address, sizeof address);
    umask (mask);
    if (bound == 0 && listen (fd, 8) == 0)
      return fd;
  }
  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno), "%s: %s", path, g_strerror (errno));
  return -1;
}

typedef struct {
  char *name;
  int fd;
} HandedCrypt;

typedef struct {
  int socket; /* -1: none was handed over */
  GHashTable *boxes; /* sandbox → Kept */
  GArray *crypt; /* HandedCrypt */
} Handed;

/* What an earlier netd held for a sandbox; -1: nothing. */
typedef struct {
  int netns;
  int names[2];
} Kept;

static void
keep (GHashTable *boxes, const char *name, int fd)
{
  const char *sandbox = strchr (name, '-') + 1;
  Kept *kept = g_hash_table_lookup (boxes, sandbox);
  if (kept == NULL) {
    kept = g_new0 (Kept, 1);
    *kept = (Kept){ -1, { -1, -1 } };
    g_hash_table_insert (boxes, g_strdup (sandbox), kept);
  }
  int *place = g_str_has_prefix (name, "netns-") ? &kept->netns : &kept->names[sd_is_socket (fd, AF_INET, SOCK_DGRAM, -1) > 0 ? 0 : 1];
  if (*place >= 0)
    close (*place);
  *place = fd;
}

/* What systemd hands over: our socket, and what an earlier netd put into its descriptor store. */
static void
take_handed (Handed *handed)
{
  g_auto (GStrv) names = NULL;
  int n = sd_listen_fds_with_names (TRUE, &names);
  handed->socket = -1;
  handed->crypt = g_array_new (FALSE, FALSE, sizeof (HandedCrypt));
  handed->boxes = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  for (int i = 0; i < n; i++) {
    int fd = swarm_netd_fd_away (SD_LISTEN_FDS_START + i);
    fcntl (fd, F_SETFD, FD_CLOEXEC);
    if (g_str_has_prefix (names[i], "crypt-")) {
      g_array_append_val (handed->crypt, ((HandedCrypt){ g_strdup (names[i]), fd }));
      continue;
    }
    if (g_str_has_prefix (names[i], "netns-") || g_str_has_prefix (names[i], "names-"))
      keep (handed->boxes, names[i], fd);
    else if (handed->socket < 0 && sd_is_socket_unix (fd, SOCK_STREAM, 1, NULL, 0) > 0)
      handed->socket = fd;
    else
      close (fd);
  }
}

static void
adopt_all (SwarmNetdPlane *plane, GHashTable *boxes)
{
  GHashTableIter iter;
  gpointer name;
  Kept *kept;
  g_hash_table_iter_init (&iter, boxes);
  while (g_hash_table_iter_next (&iter, &name, (gpointer *) &kept)) {
    if (kept->netns >= 0)
      swarm_netd_plane_adopt (plane, name, kept->netns);
    swarm_netd_plane_adopt_names (plane, name, kept->names);
  }
}

static void
adopt_crypt (SwarmNetdPlane *plane, GArray *handed)
{
  for (guint i = 0; i < handed->len; i++) {
    HandedCrypt *one = &g_array_index (handed, HandedCrypt, i);
    swarm_netd_plane_adopt_crypt (plane, one->name, one->fd);
    g_free (one->name);
  }
}

static gboolean
on_signal (gpointer data)
{
  g_main_loop_quit (data);
  return G_SOURCE_REMOVE;
}

static void
on_foreign_change (guint what, gpointer data)
{
  swarm_notice ("Others changed our %s: mended", what & SWARM_NETD_RESYNC_MESH ? "nftables" : "links or routes");
  swarm_netd_server_resync (data, what);
}

static void
on_box_change (const char *sandbox, gpointer data)
{
  swarm_notice ("The links of sandbox %s were changed: mended", sandbox);
  swarm_netd_server_mend (data, sandbox);
}

static void
on_own_change (guint what, gpointer data)
{
  swarm_netd_server_resync (data, what);
}

static gboolean
on_watchdog (gpointer data)
{
  g_autofree char *status = swarm_netd_server_status (data);
  sd_notifyf (0, "WATCHDOG=1\nSTATUS=%s", status);
  return G_SOURCE_CONTINUE;
}

typedef struct {
  GMainLoop *loop;
  SwarmNetdServer *server;
  gboolean keeps; /* what was handed over, and nobody has said yet whether it is wanted */
  gboolean idle;  /* at the last look */
} Idle;

/* A host that left its cluster needs no data plane; its socket starts it again. */
static gboolean
on_idle_look (gpointer data)
{
  Idle *self = data;
  gboolean was = self->idle;
  self->idle = swarm_netd_server_is_idle (self->server) && !(self->keeps && swarm_netd_server_is_blind (self->server));
  if (was && self->idle) {
    swarm_info ("Nobody asks for anything: exiting; the socket starts it again");
    g_main_loop_quit (self->loop);
  }
  return G_SOURCE_CONTINUE;
}

static gboolean
run (GError **error)
{
  Handed handed;
  guint64 watchdog = 0;
  if (!swarm_netd_netns_init (error))
    return FALSE;
  take_handed (&handed);
  g_autoptr (GHashTable) boxes = handed.boxes;
  g_autoptr (GArray) crypt = handed.crypt;
  int fd = handed.socket >= 0 ? handed.socket : listen_at (socket_path != NULL ? socket_path : SWARM_NETD_SOCKET, error);
  if (fd < 0)
    return FALSE;
  g_autoptr (SwarmNetdServer) server = swarm_netd_server_new (fd, state_path != NULL ? state_path : "/run/swarm-netd/state", error);
  if (server == NULL)
    return FALSE;
  Idle idle = { .server = server, .keeps = g_hash_table_size (boxes) > 0 || crypt->len > 0 };
  adopt_all (swarm_netd_server_plane (server), boxes);
  adopt_crypt (swarm_netd_server_plane (server), crypt);
  swarm_netd_plane_on_change (swarm_netd_server_plane (server), on_own_change, server);
  g_autoptr (SwarmNetdMonitor) monitor = swarm_netd_monitor_new (swarm_netd_server_plane (server), on_foreign_change, on_box_change, server, error);
  if (monitor == NULL)
    return FALSE;
  swarm_netd_server_resync (server, SWARM_NETD_RESYNC_ALL);

  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  idle.loop = loop;
  if (handed.socket >= 0)
    g_timeout_add_seconds (IDLE_LOOK_SECONDS, on_idle_look, &idle);
  g_unix_signal_add (SIGTERM, on_signal, loop);
  g_unix_signal_add (SIGINT, on_signal, loop);
  sd_watchdog_enabled (FALSE, &watchdog);
  g_timeout_add (watchdog > 0 ? MAX (watchdog / 2000, 100) : 10000, on_watchdog, server);
  g_autofree char *status = swarm_netd_server_status (server);
  sd_notifyf (0, "READY=1\nSTATUS=%s", status);
  g_main_loop_run (loop);
  sd_notify (0, "STOPPING=1");
  return TRUE;
}

int
main (int argc, char **argv)
{
  g_autoptr (GOptionContext) context = g_option_context_new ("- the data plane of a swarm host");
  g_autoptr (GError) error = NULL;
  mallopt (M_ARENA_MAX, 1);
  mallopt (M_TRIM_THRESHOLD, 128 * 1024);
  g_option_context_add_main_entries (context, options, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error)) {
    g_printerr ("swarm-netd: %s\n", error->message);
    return 2;
  }
  if (swarm_netd_crypt_rotation < 1 || swarm_netd_crypt_rotation > G_MAXINT) {
    g_printerr ("swarm-netd: --rotation is a number of seconds from 1 on\n");
    return 2;
  }
  if (run (&error))
    return 0;
  swarm_log (LOG_CRIT, NULL, NULL, "Cannot start: %s", error->message);
  sleep (CANNOT_START_SECONDS); /* systemd tries again at once, as it should after a fall */
  return 1;
}
