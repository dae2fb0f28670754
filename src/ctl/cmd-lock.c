// SPDX-License-Identifier: LGPL-2.1-or-later
/* unlock, unlock-key. */
#include "ctl/client.h"
#include "ctl/secret.h"
#include <stdio.h>
#include <string.h>

gboolean
ctl_cmd_unlock (CtlContext *context, GError **error)
{
  g_autoptr (JsonNode) info = ctl_call_json (context, CTL_PATH, CTL_MANAGER_IFACE, "Info", NULL, error);
  g_autoptr (GVariant) reply = NULL;
  const char *state;
  char *key;

  if (info == NULL)
    return FALSE;
  state = ctl_json_string (json_node_get_object (info), "LocalNodeState");
  if (g_str_equal (state, "inactive") || !g_str_equal (state, "locked")) {
    g_set_error_literal (error, CTL_ERROR, CTL_ERROR_FAILED,
                         g_str_equal (state, "inactive") ? _ ("error: this node is not part of a swarm") : _ ("error: swarm is not locked"));
    return FALSE;
  }
  key = ctl_secret_read (NULL, _ ("Please enter unlock key: "), error);
  if (key != NULL)
    reply = ctl_call_write (context, CTL_PATH, CTL_MANAGER_IFACE, "Unlock", g_variant_new ("(s)", key), FALSE, error);
  else
    g_prefix_error (error, "%s", _ ("no unlock key: type it on a terminal, or give it on standard input: "));
  ctl_secret_free (key);
  return reply != NULL;
}

gboolean
ctl_cmd_unlock_key (CtlContext *context, GError **error)
{
  gboolean quiet = ctl_args_bool (context->args, "quiet");
  char *key = NULL;

  if (ctl_args_bool (context->args, "rotate")) {
    g_autoptr (GVariant) reply
        = ctl_call_write (context, CTL_CLUSTER_PATH, CTL_CLUSTER_IFACE, "RotateUnlockKey", NULL, FALSE, error);

    if (reply == NULL)
      return FALSE;
    g_variant_get (reply, "(s)", &key);
    if (!quiet)
      printf (_ ("Successfully rotated manager unlock key.\n\n"));
  } else {
    key = ctl_get_unlock_key (context, error);
  }
  if (key != NULL && *key == 0) {
    g_clear_pointer (&key, g_free);
    g_set_error_literal (error, CTL_ERROR, CTL_ERROR_FAILED, _ ("no unlock key is set"));
  }
  if (key == NULL)
    return FALSE;
  if (quiet)
    printf ("%s\n", key);
  else
    ctl_print_unlock_command (key);
  ctl_secret_free (key);
  return TRUE;
}
