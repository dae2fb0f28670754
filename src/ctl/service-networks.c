// SPDX-License-Identifier: LGPL-2.1-or-later
/* The networks of a service: --network, --network-add, --network-rm, --endpoint-mode. */
#include "base/error.h"
#include "ctl/network.h"
#include "ctl/service-fields.h"
#include "ctl/values.h"
#include <string.h>

static gboolean
attachment_field (SwarmNetworkAttachmentConfig *config, const char *field, GError **error)
{
  g_auto (GStrv) parts = g_strsplit (field, "=", 2);
  g_autofree char *key = g_ascii_strdown (parts[0] != NULL ? parts[0] : "", -1);

  if (parts[0] == NULL || parts[1] == NULL || *parts[1] == 0)
    return ctl_invalid (error, "invalid field %s: it is \"name=NETWORK\" or \"alias=NAME\"", field);
  if (g_str_equal (key, "name"))
    swarm_string_set (&config->target, parts[1]);
  else if (g_str_equal (key, "alias"))
    ctl_fields_append (&config->aliases, parts[1]);
  else if (g_str_equal (key, "driver-opt"))
    return ctl_invalid (error, _ ("network option '%s' is not supported yet"), key);
  else
    return ctl_invalid (error, "invalid field key %s", key);
  return TRUE;
}

SwarmNetworkAttachmentConfig *
ctl_attachment_parse (const char *text, GError **error)
{
  g_autoptr (SwarmNetworkAttachmentConfig) config = swarm_network_attachment_config_new ();
  g_auto (GStrv) fields = NULL;

  if (strchr (text, '=') == NULL) {
    config->target = g_strdup (text);
  } else {
    fields = ctl_value_csv (text, error);
    if (fields == NULL)
      return NULL;
    for (guint i = 0; fields[i] != NULL; i++)
      if (!attachment_field (config, fields[i], error))
        return NULL;
  }
  if (config->target != NULL && *config->target != 0)
    return g_steal_pointer (&config);
  ctl_invalid (error, "network name/id is not specified");
  return NULL;
}

gboolean
ctl_check_attachment (const char *text, GError **error)
{
  g_autoptr (SwarmNetworkAttachmentConfig) config = ctl_attachment_parse (text, error);

  return config != NULL;
}

gboolean
ctl_check_endpoint_mode (const char *text, GError **error)
{
  SwarmEndpointMode mode;

  return swarm_endpoint_mode_from_string (text, &mode) || ctl_invalid (error, "invalid endpoint mode %s: only vip and dnsrr are supported", text);
}

gboolean
ctl_check_affinity (const char *text, GError **error)
{
  SwarmAffinity affinity;

  return swarm_affinity_from_string (text, &affinity) || ctl_invalid (error, "invalid session affinity %s: only none and client are supported", text);
}

/* ---- update ---- */

static gboolean
is_attached (GPtrArray *networks, const char *id, guint *ret)
{
  for (guint i = 0; networks != NULL && i < networks->len; i++)
    if (g_strcmp0 (((SwarmNetworkAttachmentConfig *)networks->pdata[i])->target, id) == 0) {
      *ret = i;
      return TRUE;
    }
  return FALSE;
}

static gboolean
remove_one (CtlContext *context, SwarmTaskSpec *task, const char *reference, GError **error)
{
  char *id = NULL;
  g_autofree char *path = ctl_resolve (context, "network", reference, &id, error);
  g_autofree char *owned = id;
  guint at;

  if (path == NULL)
    return FALSE;
  if (is_attached (task->networks, id, &at))
    g_ptr_array_remove_index (task->networks, at);
  return TRUE;
}

static gboolean
add_one (CtlContext *context, SwarmTaskSpec *task, const char *text, GError **error)
{
  g_autoptr (SwarmNetworkAttachmentConfig) config = ctl_attachment_parse (text, error);
  char *id = NULL;
  g_autofree char *path = config != NULL ? ctl_resolve (context, "network", config->target, &id, error) : NULL;
  g_autofree char *owned = id;
  guint at;

  if (path == NULL)
    return FALSE;
  if (is_attached (task->networks, id, &at))
    return ctl_invalid (error, "service is already attached to network %s", config->target);
  swarm_string_set (&config->target, id);
  ctl_fields_append_message (&task->networks, g_steal_pointer (&config));
  return TRUE;
}

gboolean
ctl_attachments_update (CtlContext *context, SwarmTaskSpec *task, GError **error)
{
  GPtrArray *remove = ctl_args_list (context->args, "network-rm");
  GPtrArray *add = ctl_args_list (context->args, "network-add");

  for (guint i = 0; i < remove->len; i++)
    if (!remove_one (context, task, remove->pdata[i], error))
      return FALSE;
  for (guint i = 0; i < add->len; i++)
    if (!add_one (context, task, add->pdata[i], error))
      return FALSE;
  return TRUE;
}
