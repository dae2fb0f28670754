// SPDX-License-Identifier: LGPL-2.1-or-later
#include "daemon/oneshot.h"
#include "base/error.h"

typedef struct {
  SwarmLink *link;
  char *iface;
  char *member;
  GVariant *args;
  char *answer;
  gint64 timeout_us;
  SwarmReplyFunc func;
  gpointer data;
  GVariant *reply;
  GError *error;
} Oneshot;

static gboolean
oneshot_finish (gpointer data)
{
  Oneshot *self = data;
  swarm_link_set_events (self->link, NULL, NULL);
  swarm_link_close (self->link, NULL);
  swarm_link_unref (self->link);
  self->func (self->reply, self->error, self->data);
  g_clear_pointer (&self->reply, g_variant_unref);
  g_clear_error (&self->error);
  g_variant_unref (self->args);
  g_free (self->answer);
  g_free (self->iface);
  g_free (self->member);
  g_free (self);
  return G_SOURCE_REMOVE;
}

static void
oneshot_reply (GVariant *reply, const GError *error, gpointer data)
{
  Oneshot *self = data;
  if (error != NULL)
    self->error = g_error_copy (error);
  else if (g_variant_is_of_type (reply, G_VARIANT_TYPE (self->answer)))
    self->reply = g_variant_ref (reply);
  else
    self->error = g_error_new (SWARM_ERROR, SWARM_ERROR_FAILED, "it answers %s with %s, not %s", self->member,
                               g_variant_get_type_string (reply), self->answer);
  /* From idle: the link must not be freed inside its own callback. */
  g_idle_add_full (G_PRIORITY_DEFAULT, oneshot_finish, self, NULL);
  swarm_link_set_events (self->link, NULL, NULL);
}

static void
oneshot_up (SwarmLink *link, gpointer data)
{
  Oneshot *self = data;
  swarm_link_call (link, self->iface, self->member, self->args, self->timeout_us, oneshot_reply, self);
}

static void
oneshot_down (SwarmLink *link, const GError *error, gpointer data)
{
  Oneshot *self = data;
  if (self->reply != NULL || self->error != NULL)
    return;
  g_autoptr (GError) local = error != NULL ? g_error_copy (error)
                                           : g_error_new_literal (SWARM_ERROR, SWARM_ERROR_UNAVAILABLE, "connection closed");
  oneshot_reply (NULL, local, self);
}

static const SwarmLinkEvents oneshot_events = { oneshot_up, oneshot_down, NULL };

static Oneshot *
oneshot_new (const char *iface, const char *member, GVariant *args, const char *answer, gint64 timeout_us, SwarmReplyFunc func, gpointer data)
{
  Oneshot *self = g_new0 (Oneshot, 1);
  self->iface = g_strdup (iface);
  self->member = g_strdup (member);
  self->args = g_variant_ref_sink (args != NULL ? args : g_variant_new ("()"));
  self->answer = g_strdup (answer);
  self->timeout_us = timeout_us;
  self->func = func;
  self->data = data;
  return self;
}

void
swarm_oneshot_call_unverified (SwarmRpc *rpc, const char *address, const char *iface, const char *member, GVariant *args, const char *answer,
                               gint64 timeout_us, SwarmReplyFunc func, gpointer data)
{
  Oneshot *self = oneshot_new (iface, member, args, answer, timeout_us, func, data);
  self->link = swarm_rpc_dial_unverified (rpc, address, &oneshot_events, self);
}

/* ---- any of several ---- */

typedef struct {
  SwarmTransport *transport;
  GPtrArray *addresses;
  guint next;
  GError *denied; /* the first that refused us; says more than that others did not answer */
  char *iface;
  char *member;
  GVariant *args;
  char *answer;
  gint64 timeout_us;
  SwarmReplyFunc func;
  gpointer data;
} AnyCall;

static void any_next (AnyCall *self, const GError *last);

static void
any_finish (AnyCall *self, GVariant *reply, const GError *error)
{
  self->func (reply, reply == NULL && self->denied != NULL ? self->denied : error, self->data);
  g_clear_error (&self->denied);
  g_ptr_array_unref (self->addresses);
  g_variant_unref (self->args);
  g_free (self->answer);
  g_free (self->iface);
  g_free (self->member);
  g_free (self);
}

static void
any_reply (GVariant *reply, const GError *error, gpointer data)
{
  AnyCall *self = data;
  gboolean denied = g_error_matches (error, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED);
  if (denied && self->denied == NULL)
    self->denied = g_error_copy (error);
  if (error != NULL
      && (denied || g_error_matches (error, SWARM_ERROR, SWARM_ERROR_UNAVAILABLE) || g_error_matches (error, SWARM_ERROR, SWARM_ERROR_TIMED_OUT)
          || g_error_matches (error, SWARM_ERROR, SWARM_ERROR_NOT_MANAGER) || g_error_matches (error, SWARM_ERROR, SWARM_ERROR_NO_QUORUM)))
    any_next (self, error);
  else
    any_finish (self, reply, error);
}

static void
any_next (AnyCall *self, const GError *last)
{
  if (self->next == self->addresses->len) {
    any_finish (self, NULL, last);
    return;
  }
  Oneshot *oneshot = oneshot_new (self->iface, self->member, self->args, self->answer, self->timeout_us, any_reply, self);
  const char *address = self->addresses->pdata[self->next++];
  oneshot->link = self->transport->dial (self->transport, address, SWARM_LINK_CONTROL, &oneshot_events, oneshot);
}

void
swarm_oneshot_call_any (SwarmTransport *transport, GPtrArray *addresses, const char *iface, const char *member, GVariant *args, const char *answer,
                        gint64 timeout_us, SwarmReplyFunc func, gpointer data)
{
  AnyCall *self = g_new0 (AnyCall, 1);
  self->transport = transport;
  self->addresses = g_ptr_array_new_with_free_func (g_free);
  for (guint i = 0; i < addresses->len; i++)
    g_ptr_array_add (self->addresses, g_strdup (addresses->pdata[i]));
  self->iface = g_strdup (iface);
  self->member = g_strdup (member);
  self->args = g_variant_ref_sink (args != NULL ? args : g_variant_new ("()"));
  self->answer = g_strdup (answer);
  self->timeout_us = timeout_us;
  self->func = func;
  self->data = data;
  g_autoptr (GError) none = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_UNAVAILABLE, "no manager is known");
  any_next (self, none);
}
