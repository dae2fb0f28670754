// SPDX-License-Identifier: LGPL-2.1-or-later
/* All links of this agent: the listener, the dialler, the bounds over all of them. */
#include "config.h"
#include "rpc/private.h"
#include "base/error.h"
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define ACCEPTS_PER_TURN 16
/* After the process ran out of descriptors, so long nothing is accepted. */
#define ACCEPT_PAUSE_US G_USEC_PER_SEC

typedef struct {
  SwarmRpc *rpc;
  int fd;
  SwarmFdWatch *watch;
  SwarmTimer *pause;
} Listener;

static void
set_default (guint *value, guint fallback)
{
  if (*value == 0)
    *value = fallback;
}

static void
set_default_time (gint64 *value, gint64 seconds)
{
  if (*value == 0)
    *value = seconds * G_USEC_PER_SEC;
}

static void
fill_limits (SwarmRpcLimits *limits)
{
  set_default_time (&limits->connect_timeout_us, 5);
  set_default_time (&limits->handshake_timeout_us, 5);
  set_default_time (&limits->stall_timeout_us, 30);
  set_default_time (&limits->joining_timeout_us, 60);
  set_default (&limits->links, 10000);
  set_default (&limits->anonymous, 256);
  set_default (&limits->anonymous_per_address, 32);
  set_default (&limits->links_per_node, 16);
  set_default (&limits->calls, 256);
  set_default (&limits->calls_per_node, 512);
  set_default (&limits->streams, 64);
  if (limits->bytes_per_node == 0)
    limits->bytes_per_node = 8 * 1024 * 1024;
  if (limits->queue_bytes == 0)
    limits->queue_bytes = 4 * 1024 * 1024;
}

/* ---- who may ---- */

void
swarm_rpc_refused (SwarmRpc *self, const char *address, const GError *error)
{
  const char *colon = strrchr (address, ':'); /* each connection has another port */
  g_autofree char *host = g_strndup (address, colon != NULL ? (gsize) (colon - address) : strlen (address));
  guint suppressed;

  self->n_refused++;
  if (self->settings.refused != NULL && swarm_log_limit_take (&self->told, host, swarm_clock_boottime (self->settings.clock), &suppressed))
    self->settings.refused (address, error, suppressed, self->settings.data);
}

void
swarm_rpc_call_refused (SwarmRpcLink *link, const char *member, const GError *error)
{
  SwarmRpc *self = link->rpc;
  guint suppressed;

  if (self == NULL || self->settings.call_refused == NULL)
    return;
  if (swarm_log_limit_take (&self->told, swarm_id_string (&link->base.peer.node).str, swarm_clock_boottime (self->settings.clock), &suppressed))
    self->settings.call_refused (&link->base.peer, member, error, suppressed, self->settings.data);
}

static void
quota_join (SwarmRpc *self, SwarmRpcLink *link)
{
  SwarmRpcQuota *quota = g_hash_table_lookup (self->quotas, &link->base.peer.node);

  if (quota == NULL) {
    quota = g_new0 (SwarmRpcQuota, 1);
    quota->node = link->base.peer.node;
    g_hash_table_insert (self->quotas, &quota->node, quota);
  }
  quota->ref_count++;
  link->quota = quota;
}

void
swarm_rpc_quota_leave (SwarmRpcLink *link)
{
  SwarmRpcQuota *quota = g_steal_pointer (&link->quota);

  if (quota == NULL || --quota->ref_count > 0)
    return;
  g_hash_table_remove (link->quotas, &quota->node);
  g_free (quota);
}

gboolean
swarm_rpc_identified (SwarmRpc *self, SwarmRpcLink *link, GError **error)
{
  GHashTableIter iter;
  gpointer key;
  guint n = 0;

  if (swarm_rpc_is_guest (link))
    return TRUE;
  g_hash_table_remove (self->anonymous, link);
  g_hash_table_iter_init (&iter, self->links);
  while (g_hash_table_iter_next (&iter, &key, NULL)) {
    SwarmRpcLink *other = key;
    n += other->accepted && other->was_up && swarm_id_equal (&other->base.peer.node, &link->base.peer.node);
  }
  if (n < self->settings.limits.links_per_node) {
    quota_join (self, link);
    return TRUE;
  }
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED, "node %s has %u connections already",
               swarm_id_string (&link->base.peer.node).str, n);
  return FALSE;
}

void
swarm_rpc_forget (SwarmRpc *self, SwarmRpcLink *link)
{
  if (!g_hash_table_remove (self->links, link))
    return;
  g_hash_table_remove (self->anonymous, link);
  self->n_accepted -= link->accepted;
}

gboolean
swarm_rpc_check_peer (SwarmRpcLink *link, GError **error)
{
  const SwarmRpcSettings *settings = &link->rpc->settings;

  return settings->check_peer == NULL
         || settings->check_peer (&link->base.peer, link->base.kind, link->accepted, settings->data, error);
}

/* ---- accepting ---- */

/* "10.0.0.1" of "10.0.0.1:2377". */
static gsize
host_length (const char *address)
{
  const char *colon = strrchr (address, ':');

  return colon != NULL ? (gsize) (colon - address) : strlen (address);
}

static guint
count_anonymous_of (SwarmRpc *self, const char *address)
{
  gsize len = host_length (address);
  GHashTableIter iter;
  gpointer key;
  guint n = 0;

  g_hash_table_iter_init (&iter, self->anonymous);
  while (g_hash_table_iter_next (&iter, &key, NULL)) {
    const char *other = ((SwarmRpcLink *) key)->name;
    n += host_length (other) == len && memcmp (other, address, len) == 0;
  }
  return n;
}

static gboolean
check_accept (SwarmRpc *self, const char *address, GError **error)
{
  const SwarmRpcLimits *limits = &self->settings.limits;

  if (self->tls == NULL || self->tls->server == NULL)
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_UNAVAILABLE, "this node has no certificate yet");
  else if (self->n_accepted >= limits->links)
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED, "too many connections (%u)", self->n_accepted);
  else if (g_hash_table_size (self->anonymous) >= limits->anonymous)
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED,
                 "too many connections that have shown no certificate (%u)", g_hash_table_size (self->anonymous));
  else if (count_anonymous_of (self, address) >= limits->anonymous_per_address)
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED,
                 "too many connections from one address that have shown no certificate (%u)",
                 limits->anonymous_per_address);
  else
    return TRUE;
  return FALSE;
}

static void
accepted (SwarmRpc *self, int fd, const char *address)
{
  g_autoptr (GError) error = NULL;
  SwarmRpcLink *link;

  if (!check_accept (self, address, &error)) {
    close (fd);
    swarm_rpc_refused (self, address, error);
    return;
  }
  link = swarm_rpc_link_accept (self, self->tls, fd, address);
  self->n_accepted++;
  g_hash_table_add (self->anonymous, link);
}

static void
listener_resume (gpointer data)
{
  Listener *listener = data;

  listener->pause = NULL;
  swarm_fd_watch_want (listener->watch, G_IO_IN);
}

static void
listener_ready (GIOCondition ready, gpointer data)
{
  Listener *listener = data;

  for (guint i = 0; i < ACCEPTS_PER_TURN; i++) {
    struct sockaddr_storage addr;
    socklen_t len = sizeof addr;
    char address[64];
    int fd = accept4 (listener->fd, (struct sockaddr *) &addr, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM)
        return; /* nobody there any more; level triggered, so nothing is missed */
      swarm_fd_watch_want (listener->watch, 0);
      listener->pause = swarm_clock_timer (listener->rpc->settings.clock, ACCEPT_PAUSE_US, SWARM_PRIORITY_NORMAL,
                                           listener_resume, listener);
      return;
    }
    swarm_socket_peer_name ((struct sockaddr *) &addr, address, sizeof address);
    accepted (listener->rpc, fd, address);
  }
}

static void
listener_free (gpointer data)
{
  Listener *listener = data;

  swarm_clock_clear_timer (listener->rpc->settings.clock, &listener->pause);
  swarm_fd_watch_free (listener->watch);
  close (listener->fd);
  g_free (listener);
}

gboolean
swarm_rpc_listen (SwarmRpc *self, const char *address, char **ret_address, GError **error)
{
  int fd = swarm_socket_listen (address, error);
  struct sockaddr_storage addr;
  socklen_t len = sizeof addr;
  char name[64];
  Listener *listener;

  if (fd < 0)
    return FALSE;
  listener = g_new0 (Listener, 1);
  listener->rpc = self;
  listener->fd = fd;
  listener->watch = swarm_fd_watch_new (fd, G_IO_IN, G_PRIORITY_DEFAULT, listener_ready, listener);
  g_ptr_array_add (self->listeners, listener);
  if (ret_address != NULL && getsockname (fd, (struct sockaddr *) &addr, &len) == 0) {
    swarm_socket_peer_name ((struct sockaddr *) &addr, name, sizeof name);
    *ret_address = g_strdup (name);
  }
  return TRUE;
}

void
swarm_rpc_unlisten (SwarmRpc *self)
{
  g_ptr_array_set_size (self->listeners, 0);
}

/* ---- dialling ---- */

static SwarmLink *
transport_dial (SwarmTransport *transport, const char *address, SwarmLinkKind kind, const SwarmLinkEvents *events,
                gpointer data)
{
  SwarmRpc *self = (SwarmRpc *) transport;
  SwarmRpcLink *link
    = swarm_rpc_link_dial (self, self->tls != NULL ? self->tls : self->unverified, address, kind, events, data);
  g_autoptr (GError) error = NULL;

  if (self->tls == NULL) {
    error = g_error_new (SWARM_ERROR, SWARM_ERROR_UNAVAILABLE,
                         "cannot connect to %s: this node knows no root certificate yet", address);
    swarm_rpc_link_fail (link, error, FALSE);
  }
  return &link->base;
}

SwarmTransport *
swarm_rpc_transport (SwarmRpc *self)
{
  return &self->transport;
}

SwarmLink *
swarm_rpc_dial_unverified (SwarmRpc *self, const char *address, const SwarmLinkEvents *events, gpointer data)
{
  return &swarm_rpc_link_dial (self, self->unverified, address, SWARM_LINK_CONTROL, events, data)->base;
}

/* ---- life ---- */

SwarmRpc *
swarm_rpc_new (const SwarmRpcSettings *settings)
{
  SwarmRpc *self = g_new0 (SwarmRpc, 1);

  /* OpenSSL writes with write(2): a peer that went away must be an error, not a signal. */
  signal (SIGPIPE, SIG_IGN);
  self->transport.dial = transport_dial;
  self->settings = *settings;
  fill_limits (&self->settings.limits);
  self->version = g_strdup (settings->version != NULL ? settings->version : "");
  self->pool = swarm_conn_pool_new (settings->clock);
  self->unverified = swarm_tls_new (NULL, settings->identify, NULL);
  self->listeners = g_ptr_array_new_with_free_func (listener_free);
  self->links = g_hash_table_new (NULL, NULL);
  self->anonymous = g_hash_table_new (NULL, NULL);
  self->quotas = g_hash_table_new (swarm_id_hash, swarm_id_equal);
  return self;
}

/* Those that match, each with a reference: closing changes the set. */
static GPtrArray *
list_links (SwarmRpc *self, const SwarmId *node)
{
  GPtrArray *list = g_ptr_array_new_with_free_func ((GDestroyNotify) swarm_link_unref);
  GHashTableIter iter;
  gpointer key;

  g_hash_table_iter_init (&iter, self->links);
  while (g_hash_table_iter_next (&iter, &key, NULL)) {
    SwarmLink *link = key;
    if (node == NULL || (link->peer.role != SWARM_PEER_NONE && swarm_id_equal (&link->peer.node, node)))
      g_ptr_array_add (list, swarm_link_ref (link));
  }
  return list;
}

void
swarm_rpc_close_node (SwarmRpc *self, const SwarmId *node, const GError *reason)
{
  g_autoptr (GPtrArray) list = list_links (self, node);

  for (guint i = 0; i < list->len; i++)
    swarm_rpc_link_fail (g_ptr_array_index (list, i), reason, TRUE);
}

void
swarm_rpc_close_older (SwarmRpc *self, const SwarmId *node, const char *serial, const GError *reason)
{
  g_autoptr (GPtrArray) list = list_links (self, node);

  for (guint i = 0; i < list->len; i++) {
    SwarmRpcLink *link = g_ptr_array_index (list, i);
    if (link->base.is_up && g_ascii_strcasecmp (link->base.peer.serial, serial) != 0)
      swarm_rpc_link_fail (link, reason, TRUE);
  }
}

void
swarm_rpc_close_all (SwarmRpc *self, const GError *reason)
{
  swarm_rpc_close_node (self, NULL, reason);
}

void
swarm_rpc_free (SwarmRpc *self)
{
  if (self == NULL)
    return;
  swarm_rpc_unlisten (self);
  self->settings.refused = NULL;
  swarm_rpc_close_all (self, NULL);
  g_ptr_array_unref (self->listeners);
  g_hash_table_unref (self->links);
  g_hash_table_unref (self->anonymous);
  g_hash_table_unref (self->quotas);
  swarm_tls_unref (self->tls);
  swarm_tls_unref (self->unverified);
  swarm_conn_pool_unref (self->pool);
  swarm_log_limit_clear (&self->told);
  g_free (self->version);
  g_free (self);
}

gboolean
swarm_rpc_set_credentials (SwarmRpc *self, const SwarmRpcCredentials *credentials, GError **error)
{
  SwarmTls *tls = swarm_tls_new (credentials, self->settings.identify, error);

  if (tls == NULL)
    return FALSE;
  swarm_tls_unref (self->tls);
  self->tls = tls;
  g_autoptr (GPtrArray) list = list_links (self, NULL);
  for (guint i = 0; i < list->len; i++)
    swarm_rpc_link_prove (g_ptr_array_index (list, i));
  return TRUE;
}

void
swarm_rpc_forget_credentials (SwarmRpc *self)
{
  g_clear_pointer (&self->tls, swarm_tls_unref);
}

void
swarm_rpc_get_stats (SwarmRpc *self, SwarmRpcStats *ret)
{
  *ret = (SwarmRpcStats){ .accepted = self->n_accepted,
                          .anonymous = g_hash_table_size (self->anonymous),
                          .dialled = g_hash_table_size (self->links) - self->n_accepted,
                          .refused = self->n_refused };
}
