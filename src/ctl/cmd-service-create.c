// SPDX-License-Identifier: LGPL-2.1-or-later
/* service create, update, rollback, plan: what carries a whole spec. */
#include "base/error.h"
#include "ctl/client.h"
#include "ctl/files.h"
#include "ctl/network.h"
#include "ctl/plan.h"
#include "ctl/progress.h"
#include "ctl/registry-auth.h"
#include "ctl/service-spec.h"
#include <stdio.h>
#include <string.h>

/* The options a{sv} of CreateService and Update; floating. NULL: the credentials cannot be had. */
static GVariant *
write_options (CtlContext *context, const char *image, GError **error)
{
  GVariantDict dict;
  g_autofree char *request = ctl_request_id ();
  g_autofree char *auth = NULL;

  if (ctl_args_bool (context->args, "with-registry-auth")) {
    auth = ctl_registry_auth (image, error);
    if (auth == NULL)
      return NULL;
  }
  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "RequestId", "s", request);
  if (auth != NULL)
    g_variant_dict_insert (&dict, "RegistryAuth", "s", auth);
  if (ctl_args_bool (context->args, "no-resolve-image"))
    g_variant_dict_insert (&dict, "NoResolveImage", "b", TRUE);
  return g_variant_dict_end (&dict);
}

static gboolean
wait_unless_detached (CtlContext *context, const char *path, const char *reference, CtlProgressFlags flags, GError **error)
{
  if (ctl_args_bool (context->args, "detach"))
    return TRUE;
  fflush (stdout);
  flags |= ctl_args_bool (context->args, "quiet") ? CTL_PROGRESS_QUIET : 0;
  return ctl_progress_wait (context, path, reference, flags, error);
}

/* Warnings when the reply has them: the last out argument, "as". */
static void
print_reply_warnings (GVariant *reply)
{
  gsize n = g_variant_n_children (reply);
  g_autoptr (GVariant) last = n > 0 ? g_variant_get_child_value (reply, n - 1) : NULL;

  if (last != NULL && g_variant_is_of_type (last, G_VARIANT_TYPE_STRING_ARRAY))
    ctl_print_warnings (last);
}

gboolean
ctl_cmd_service_create (CtlContext *context, GError **error)
{
  g_autoptr (SwarmServiceSpec) spec = ctl_service_spec_create (context->args, error);
  g_autoptr (GVariant) options = NULL;
  g_autoptr (GVariant) reply = NULL;
  g_autofree char *path = NULL;
  const char *id;

  if (spec == NULL)
    return FALSE;
  options = write_options (context, spec->task->container->image, error);
  if (options == NULL)
    return FALSE;
  g_variant_ref_sink (options);
  if (ctl_args_bool (context->args, "dry-run"))
    return ctl_plan_service (context, spec, options, error);
  reply = ctl_call_write (context, CTL_PATH, CTL_MANAGER_IFACE, "CreateService",
                          g_variant_new ("(@a{sv}@a{sv})", swarm_message_to_variant (spec, 0), options), TRUE, error);
  if (reply == NULL)
    return FALSE;
  print_reply_warnings (reply);
  g_variant_get_child (reply, 0, "&s", &id);
  printf ("%s\n", id);
  path = g_strdup_printf (CTL_PATH "/service/%s", id);
  return wait_unless_detached (context, path, id, 0, error);
}

/* ---- update and rollback ---- */

/* "Spec" or "PreviousSpec" inside what Inspect says; NULL with an error. */
static SwarmServiceSpec *
spec_of (JsonObject *service, const char *member, GError **error)
{
  JsonNode *node = ctl_json_get (service, member);

  if (node != NULL)
    return swarm_message_from_json (&swarm_service_spec_type, node, 0, error);
  if (g_str_equal (member, "PreviousSpec"))
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION, "service %s does not have a previous spec",
                 ctl_json_string (service, "ID"));
  else
    g_set_error_literal (error, CTL_ERROR, CTL_ERROR_FAILED, _ ("the agent does not show the specification of the service"));
  return NULL;
}

static GVariant *
no_options (void)
{
  return g_variant_new_array (G_VARIANT_TYPE ("{sv}"), NULL, 0);
}

static gboolean
plan_rollback (CtlContext *context, const char *path, GError **error)
{
  g_autoptr (JsonNode) service = ctl_inspect (context, "service", path, error);
  g_autoptr (SwarmServiceSpec) before
      = service != NULL ? spec_of (json_node_get_object (service), "PreviousSpec", error) : NULL;

  return before != NULL && ctl_plan_service (context, before, no_options (), error);
}

static gboolean
roll_back (CtlContext *context, const char *reference, GError **error)
{
  g_autofree char *path = ctl_resolve (context, "service", reference, NULL, error);
  g_autoptr (GVariant) reply = NULL;

  if (path == NULL)
    return FALSE;
  if (ctl_args_bool (context->args, "dry-run"))
    return plan_rollback (context, path, error);
  reply = ctl_call_write (context, path, CTL_SERVICE_IFACE, "Rollback", NULL, FALSE, error);
  if (reply == NULL)
    return FALSE;
  printf ("%s\n", reference);
  return wait_unless_detached (context, path, reference, CTL_PROGRESS_ROLLBACK, error);
}

gboolean
ctl_cmd_service_rollback (CtlContext *context, GError **error)
{
  return roll_back (context, g_ptr_array_index (ctl_args_positional (context->args), 0), error);
}

static gboolean
read_and_update (CtlContext *context, const char *path, gpointer data, GError **error)
{
  g_autoptr (JsonNode) service = ctl_inspect (context, "service", path, error);
  g_autoptr (SwarmServiceSpec) before = service != NULL ? spec_of (json_node_get_object (service), "Spec", error) : NULL;
  g_autoptr (SwarmServiceSpec) after = before != NULL ? ctl_service_spec_update (before, context->args, error) : NULL;
  g_autoptr (GVariant) options = NULL;
  g_autoptr (GVariant) reply = NULL;
  guint64 version;

  if (after == NULL || !ctl_attachments_update (context, after->task, error))
    return FALSE;
  options = write_options (context, after->task->container->image, error);
  if (options == NULL)
    return FALSE;
  g_variant_ref_sink (options);
  if (ctl_args_bool (context->args, "dry-run"))
    return ctl_plan_service (context, after, options, error);
  version = (guint64)ctl_json_int (json_node_get_object (service), "Version.Index");
  reply = ctl_call_write (context, path, CTL_SERVICE_IFACE, "Update",
                          g_variant_new ("(t@a{sv}@a{sv})", version, swarm_message_to_variant (after, 0), options),
                          TRUE, error);
  if (reply == NULL)
    return FALSE;
  print_reply_warnings (reply);
  return TRUE;
}

static gboolean
update (CtlContext *context, const char *reference, GError **error)
{
  g_autofree char *path = ctl_resolve (context, "service", reference, NULL, error);

  if (path == NULL || !ctl_write_fresh (context, path, read_and_update, NULL, error))
    return FALSE;
  if (ctl_args_bool (context->args, "dry-run"))
    return TRUE;
  printf ("%s\n", reference);
  return wait_unless_detached (context, path, reference, 0, error);
}

gboolean
ctl_cmd_service_update (CtlContext *context, GError **error)
{
  static const char *const with_rollback[] = { "rollback", "detach", "quiet", "dry-run", NULL };
  const char *reference = g_ptr_array_index (ctl_args_positional (context->args), 0);

  if (!ctl_args_bool (context->args, "rollback"))
    return update (context, reference, error);
  if (!ctl_args_only (context->args, with_rollback))
    return ctl_invalid (error, "other flags may not be combined with --rollback");
  return roll_back (context, reference, error);
}

/* ---- plan ---- */

/* The spec in a file: alone, or as `service inspect` prints it, in a list of one. NULL: none; borrowed. */
static JsonNode *
find_spec (JsonNode *root)
{
  JsonNode *node = root;

  if (node != NULL && JSON_NODE_HOLDS_ARRAY (node))
    node = json_array_get_length (json_node_get_array (node)) == 1 ? json_array_get_element (json_node_get_array (node), 0) : NULL;
  if (node == NULL || !JSON_NODE_HOLDS_OBJECT (node))
    return NULL;
  return json_object_has_member (json_node_get_object (node), "Spec") ? json_object_get_member (json_node_get_object (node), "Spec")
                                                                        : node;
}

gboolean
ctl_cmd_service_plan (CtlContext *context, GError **error)
{
  const char *file = g_ptr_array_index (ctl_args_positional (context->args), 0);
  g_autofree char *text = ctl_file_read (file, error);
  g_autoptr (GError) reason = NULL;
  g_autoptr (JsonNode) root = text != NULL ? ctl_json_parse (text, &reason) : NULL;
  JsonNode *node = find_spec (root);
  g_autoptr (SwarmServiceSpec) spec = NULL;

  if (text == NULL)
    return FALSE;
  if (node == NULL)
    return ctl_invalid (error, _ ("%s is not the specification of one service as JSON%s%s"), file, reason != NULL ? ": " : "",
                        reason != NULL ? reason->message : "");
  spec = swarm_message_from_json (&swarm_service_spec_type, node, SWARM_FORM_FROM_USER, &reason);
  if (spec == NULL)
    return ctl_invalid (error, "%s: %s", file, reason->message);
  return ctl_plan_service (context, spec, no_options (), error);
}
