// SPDX-License-Identifier: LGPL-2.1-or-later
/* service create, service update: the writes that carry a whole spec. */
#include "base/error.h"
#include "ctl/client.h"
#include "ctl/progress.h"
#include "ctl/registry-auth.h"
#include "ctl/service-spec.h"
#include <stdio.h>

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
wait_unless_detached (CtlContext *context, const char *path, const char *reference, GError **error)
{
  if (ctl_args_bool (context->args, "detach"))
    return TRUE;
  fflush (stdout);
  return ctl_progress_wait (context, path, reference, ctl_args_bool (context->args, "quiet"), error);
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
  reply = ctl_call_write (context, CTL_PATH, CTL_MANAGER_IFACE, "CreateService",
                          g_variant_new ("(@a{sv}@a{sv})", swarm_message_to_variant (spec, 0), options), TRUE, error);
  if (reply == NULL)
    return FALSE;
  print_reply_warnings (reply);
  g_variant_get_child (reply, 0, "&s", &id);
  printf ("%s\n", id);
  path = g_strdup_printf (CTL_PATH "/service/%s", id);
  return wait_unless_detached (context, path, id, error);
}

/* The spec inside what Inspect says. */
static SwarmServiceSpec *
current_spec (JsonObject *service, GError **error)
{
  JsonNode *node = ctl_json_get (service, "Spec");

  if (node == NULL) {
    g_set_error_literal (error, CTL_ERROR, CTL_ERROR_FAILED,
                         _ ("the agent does not show the specification of the service"));
    return NULL;
  }
  return swarm_message_from_json (&swarm_service_spec_type, node, 0, error);
}

gboolean
ctl_cmd_service_update (CtlContext *context, GError **error)
{
  const char *reference = g_ptr_array_index (ctl_args_positional (context->args), 0);
  g_autofree char *path = ctl_resolve (context, "service", reference, NULL, error);
  g_autoptr (JsonNode) service = path != NULL ? ctl_inspect (context, "service", path, error) : NULL;
  g_autoptr (SwarmServiceSpec) before = service != NULL ? current_spec (json_node_get_object (service), error) : NULL;
  g_autoptr (SwarmServiceSpec) after = before != NULL ? ctl_service_spec_update (before, context->args, error) : NULL;
  g_autoptr (GVariant) options = NULL;
  g_autoptr (GVariant) reply = NULL;
  guint64 version;

  if (after == NULL)
    return FALSE;
  options = write_options (context, after->task->container->image, error);
  if (options == NULL)
    return FALSE;
  g_variant_ref_sink (options);
  version = (guint64)ctl_json_int (json_node_get_object (service), "Version.Index");
  reply = ctl_call_write (context, path, CTL_SERVICE_IFACE, "Update",
                          g_variant_new ("(t@a{sv}@a{sv})", version, swarm_message_to_variant (after, 0), options),
                          TRUE, error);
  if (reply == NULL)
    return FALSE;
  print_reply_warnings (reply);
  printf ("%s\n", reference);
  return wait_unless_detached (context, path, reference, error);
}
