// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/waiting.h"
#include "ctl/format.h"

#define LOOK_S 1

struct _CtlWaiting {
  CtlContext *context;
  char *remote;
  guint timer;
  gboolean asking; /* an answer is still to come, which needs this */
  gboolean over;
  char *told; /* last; NULL: nothing */
};

static void
waiting_free (CtlWaiting *self)
{
  g_free (self->remote);
  g_free (self->told);
  g_free (self);
}

static void
tell (CtlWaiting *self, const char *reason)
{
  if (*reason == '\0' && self->told != NULL)
    return;
  if (g_strcmp0 (self->told, reason) == 0)
    return;
  g_free (self->told);
  self->told = g_strdup (reason);
  if (*reason == '\0')
    g_printerr (_ ("Waiting for %s to let this node in …\n"), self->remote);
  else
    g_printerr (_ ("This node is %s\n"), reason); /* the agent's words: "waiting to be let in: …" */
}

static void
answered (GVariant *reply, GUnixFDList *fds, const GError *error, gpointer data)
{
  CtlWaiting *self = data;
  g_autoptr (GVariant) properties = NULL;
  const char *state = "", *reason = "";

  self->asking = FALSE;
  if (self->over) {
    waiting_free (self);
    return;
  }
  if (reply == NULL || !g_variant_is_of_type (reply, G_VARIANT_TYPE ("(a{sv})")))
    return;
  properties = g_variant_get_child_value (reply, 0);
  g_variant_lookup (properties, "LocalNodeState", "&s", &state);
  g_variant_lookup (properties, "Error", "&s", &reason);
  if (g_str_equal (state, "pending"))
    tell (self, reason);
}

static gboolean
look (gpointer data)
{
  CtlWaiting *self = data;

  if (self->asking || self->context->bus == NULL)
    return G_SOURCE_CONTINUE;
  self->asking = TRUE;
  swarm_bus_call (self->context->bus, CTL_BUS_NAME, CTL_PATH, "org.freedesktop.DBus.Properties", "GetAll",
                  g_variant_new ("(s)", CTL_MANAGER_IFACE), -1, NULL, answered, self);
  return G_SOURCE_CONTINUE;
}

CtlWaiting *
ctl_waiting_start (CtlContext *context, const char *remote)
{
  CtlWaiting *self = g_new0 (CtlWaiting, 1);

  self->context = context;
  self->remote = g_strdup (remote);
  self->timer = g_timeout_add_seconds (LOOK_S, look, self);
  return self;
}

void
ctl_waiting_stop (CtlWaiting *self)
{
  g_source_remove (self->timer);
  self->over = TRUE;
  if (!self->asking)
    waiting_free (self);
}
