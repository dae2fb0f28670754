// SPDX-License-Identifier: LGPL-2.1-or-later
#include "netd/wireguard-device.h"
#include "base/error.h"
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>

#define LOOK_MS 50
#define START_MS 10000 /* how long wireguard-go may take to come */

typedef enum {
  NONE, /* nobody knows it, or there is no link */
  KERNEL,
  USER
} Engine;

struct _SwarmNetdWireguardDevice {
  char *name;
  SwarmNetdNetlink *home;
  SwarmNetdNetlink *inside;
  int inside_fd;
  SwarmNetdWireguardFunc func;
  gpointer data;
  Engine engine;
  SwarmNetdWireguardConfig *wanted; /* of the sync under way; NULL: none */
  SwarmNetdWireguardConfig *is;
  guint mtu;
  gboolean started; /* wireguard-go was, by this sync */
  gint64 begun;
  guint look_source;
  SwarmNetdWireguardTalk *talk;
};

char *swarm_netd_wireguard_program;

SwarmNetdWireguardDevice *
swarm_netd_wireguard_device_new (const char *name, SwarmNetdNetlink *home, SwarmNetdNetlink *inside, int inside_fd, SwarmNetdWireguardFunc func,
                                 gpointer data)
{
  SwarmNetdWireguardDevice *self = g_new0 (SwarmNetdWireguardDevice, 1);
  self->name = g_strdup (name);
  self->home = home;
  self->inside = inside;
  self->inside_fd = inside_fd;
  self->func = func;
  self->data = data;
  return self;
}

static void
give_up (SwarmNetdWireguardDevice *self)
{
  g_clear_handle_id (&self->look_source, g_source_remove);
  g_clear_pointer (&self->talk, swarm_netd_wireguard_talk_free);
  g_clear_pointer (&self->wanted, swarm_netd_wireguard_config_free);
  g_clear_pointer (&self->is, swarm_netd_wireguard_config_free);
}

void
swarm_netd_wireguard_device_free (SwarmNetdWireguardDevice *self)
{
  give_up (self);
  g_free (self->name);
  g_free (self);
}

gboolean
swarm_netd_wireguard_device_is_busy (SwarmNetdWireguardDevice *self)
{
  return self->wanted != NULL;
}

/* Takes @error. The function may begin the next sync. */
static void
finish (SwarmNetdWireguardDevice *self, GError *error)
{
  g_autoptr (SwarmNetdWireguardConfig) is = g_steal_pointer (&self->is);
  g_autoptr (GError) owned = error;
  give_up (self);
  self->func (error == NULL ? is : NULL, error, self->data);
}

/* ---- what it is told ---- */

static void
on_set (SwarmNetdWireguardConfig *answer, const GError *error, gpointer data)
{
  finish (data, error != NULL ? g_error_copy (error) : NULL);
}

static void wait_for_program (SwarmNetdWireguardDevice *self);

/* A wireguard-go that is not there has left its link behind only if it hangs: then nothing helps but a new one. */
static void
no_answer (SwarmNetdWireguardDevice *self, const GError *error)
{
  if (self->started && g_get_monotonic_time () - self->begun < START_MS * G_TIME_SPAN_MILLISECOND) {
    wait_for_program (self);
    return;
  }
  swarm_netd_link_delete (self->inside, self->name, NULL);
  finish (self, g_error_copy (error));
}

static void
on_get (SwarmNetdWireguardConfig *answer, const GError *error, gpointer data)
{
  SwarmNetdWireguardDevice *self = data;
  g_autoptr (GError) why = error != NULL ? g_error_copy (error) : NULL;
  if (why == NULL)
    self->is = swarm_netd_wireguard_config_copy (answer);
  g_clear_pointer (&self->talk, swarm_netd_wireguard_talk_free);
  if (why != NULL) {
    no_answer (self, why);
    return;
  }
  g_autoptr (SwarmNetdWireguardChange) change = swarm_netd_wireguard_diff (self->is, self->wanted);
  if (change == NULL)
    finish (self, NULL);
  else
    self->talk = swarm_netd_wireguard_talk (self->name, swarm_netd_wireguard_text (change), on_set, self);
}

static void
tell_kernel (SwarmNetdWireguardDevice *self)
{
  GError *error = NULL;
  g_autoptr (SwarmNetdWireguardChange) change = NULL;
  self->is = swarm_netd_wireguard_kernel_get (self->inside_fd, self->name, &error);
  if (self->is != NULL)
    change = swarm_netd_wireguard_diff (self->is, self->wanted);
  if (change != NULL)
    swarm_netd_wireguard_kernel_set (self->inside_fd, self->name, change, &error);
  finish (self, error);
}

/* The link is there. */
static void
tell (SwarmNetdWireguardDevice *self, const SwarmNetdLink *link)
{
  GError *error = NULL;
  self->engine = strcmp (link->kind, "wireguard") == 0 ? KERNEL : USER;
  if (!swarm_netd_link_set (self->inside, link->index, self->mtu, 0, NULL, &error))
    finish (self, error);
  else if (self->engine == KERNEL)
    tell_kernel (self);
  else
    self->talk = swarm_netd_wireguard_talk (self->name, g_string_new (SWARM_NETD_WIREGUARD_GET), on_get, self);
}

/* ---- that it is there ---- */

gboolean
swarm_netd_wireguard_is_possible (void)
{
  g_autofree char *program = g_find_program_in_path (swarm_netd_wireguard_program != NULL ? swarm_netd_wireguard_program : "wireguard-go");
  return program != NULL || swarm_netd_wireguard_kernel_is_there ();
}

static char *
socket_path (SwarmNetdWireguardDevice *self)
{
  return g_strdup_printf ("/run/wireguard/%s.sock", self->name);
}

static gboolean
start_program (SwarmNetdWireguardDevice *self, GError **error)
{
  g_autofree char *unit = g_strdup_printf ("swarm-wireguard@%s.service", self->name), *stale = socket_path (self);
  g_unlink (stale); /* of one that was killed; the unit does it too, where we may not */
  const char *start[] = { "systemctl", "--no-block", "restart", unit, NULL }, *program[] = { swarm_netd_wireguard_program, self->name, NULL };
  self->started = g_spawn_async (NULL, (char **) (swarm_netd_wireguard_program != NULL ? program : start), NULL,
                                 G_SPAWN_SEARCH_PATH | G_SPAWN_STDOUT_TO_DEV_NULL | G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, NULL, error);
  if (!self->started)
    g_prefix_error (error, "the kernel has no WireGuard, and wireguard-go cannot be started: ");
  return self->started;
}

static void look (SwarmNetdWireguardDevice *self);

static gboolean
on_look (gpointer data)
{
  SwarmNetdWireguardDevice *self = data;
  self->look_source = 0;
  look (self);
  return G_SOURCE_REMOVE;
}

static void
wait_for_program (SwarmNetdWireguardDevice *self)
{
  if (g_get_monotonic_time () - self->begun < START_MS * G_TIME_SPAN_MILLISECOND)
    self->look_source = g_timeout_add (LOOK_MS, on_look, self);
  else
    finish (self, g_error_new (SWARM_ERROR, SWARM_ERROR_UNAVAILABLE,
                               "the kernel has no WireGuard, and wireguard-go (%s%s) did not come: is the package wireguard-go installed?",
                               swarm_netd_wireguard_program != NULL ? swarm_netd_wireguard_program : "unit swarm-wireguard@",
                               swarm_netd_wireguard_program != NULL ? "" : self->name));
}

/* It answers: it has found its link, and may lose sight of it. */
static void
on_come (SwarmNetdWireguardConfig *answer, const GError *error, gpointer data)
{
  SwarmNetdWireguardDevice *self = data;
  gboolean come = answer != NULL;
  GError *why = NULL;
  SwarmNetdLink home, inside;
  g_clear_pointer (&self->talk, swarm_netd_wireguard_talk_free);
  if (!come)
    wait_for_program (self);
  else if (!swarm_netd_link_get (self->home, self->name, &home, &why) || !swarm_netd_link_move (self->home, home.index, self->inside_fd, &why) ||
           !swarm_netd_link_get (self->inside, self->name, &inside, &why))
    finish (self, why);
  else
    tell (self, &inside);
}

/* A link of that name in our own namespace is one that wireguard-go has made for us, now or before netd fell. */
static void
take_in (SwarmNetdWireguardDevice *self)
{
  g_autofree char *socket = socket_path (self);
  if (g_file_test (socket, G_FILE_TEST_EXISTS))
    self->talk = swarm_netd_wireguard_talk (self->name, g_string_new (SWARM_NETD_WIREGUARD_GET), on_come, self);
  else
    wait_for_program (self);
}

/* The kernel's: made here, so that its packets to other hosts go by the host's own network, and put inside at once. */
static gboolean
make_kernel_link (SwarmNetdWireguardDevice *self, GError **error)
{
  return swarm_netd_link_make (self->home, self->name, "wireguard", self->inside_fd, error);
}

static void
look (SwarmNetdWireguardDevice *self)
{
  GError *error = NULL;
  SwarmNetdLink inside, home;
  if (!swarm_netd_link_get (self->inside, self->name, &inside, &error) || !swarm_netd_link_get (self->home, self->name, &home, &error)) {
    finish (self, error);
  } else if (inside.index != 0) {
    tell (self, &inside);
  } else if (home.index != 0) {
    take_in (self);
  } else if (self->started) {
    wait_for_program (self);
  } else if (make_kernel_link (self, &error)) {
    look (self);
  } else if (!g_error_matches (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED)) {
    finish (self, error);
  } else {
    g_clear_error (&error);
    if (start_program (self, &error))
      wait_for_program (self);
    else
      finish (self, error);
  }
}

void
swarm_netd_wireguard_device_sync (SwarmNetdWireguardDevice *self, SwarmNetdWireguardConfig *wanted, guint mtu)
{
  give_up (self);
  self->wanted = wanted;
  self->mtu = mtu;
  self->started = FALSE;
  self->begun = g_get_monotonic_time ();
  look (self);
}
