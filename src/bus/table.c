// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/error.h"
#include "bus/private.h"
#include <string.h>

#define MAX_PROPERTIES 64 /* changes are kept as a bit mask */

static const char *const action_names[_SWARM_ACTION_MAX] = {
  [SWARM_ACTION_READ] = "org.swarmagent1.read",
  [SWARM_ACTION_READ_SECRETS] = "org.swarmagent1.read-secrets",
  [SWARM_ACTION_MANAGE_CLUSTER] = "org.swarmagent1.manage-cluster",
  [SWARM_ACTION_MANAGE_NODES] = "org.swarmagent1.manage-nodes",
  [SWARM_ACTION_PROMOTE_NODE] = "org.swarmagent1.promote-node",
  [SWARM_ACTION_DEMOTE_NODE] = "org.swarmagent1.demote-node",
  [SWARM_ACTION_MANAGE_SERVICES] = "org.swarmagent1.manage-services",
  [SWARM_ACTION_ATTACH_NETWORK] = "org.swarmagent1.attach-network",
};

const char *
swarm_action_to_string (SwarmAction action)
{
  return action < _SWARM_ACTION_MAX ? action_names[action] : NULL;
}

/* ---- argument lists: "s:role a{sv}:options" ---- */

gboolean
swarm_bus_arg_next (const char **cursor, SwarmBusArg *ret)
{
  const char *at = *cursor != NULL ? *cursor + strspn (*cursor, " ") : "";
  gsize length = strcspn (at, " ");
  const char *colon = memchr (at, ':', length);

  if (length == 0)
    return FALSE;
  ret->signature = at;
  ret->signature_len = colon != NULL ? (gsize) (colon - at) : length;
  ret->name = colon != NULL ? colon + 1 : "";
  ret->name_len = colon != NULL ? length - ret->signature_len - 1 : 0;
  *cursor = at + length;
  return TRUE;
}

char *
swarm_bus_args_signature (const char *args)
{
  GString *out = g_string_new ("(");
  SwarmBusArg arg;

  while (swarm_bus_arg_next (&args, &arg))
    g_string_append_len (out, arg.signature, (gssize) arg.signature_len);
  return g_string_free (g_string_append_c (out, ')'), FALSE);
}

gboolean
swarm_bus_args_match (const char *args, const char *signature)
{
  SwarmBusArg arg;

  while (swarm_bus_arg_next (&args, &arg)) {
    if (strncmp (signature, arg.signature, arg.signature_len) != 0)
      return FALSE;
    signature += arg.signature_len;
  }
  return *signature == '\0';
}

gboolean
swarm_bus_args_have_fds (const char *args)
{
  SwarmBusArg arg;

  while (swarm_bus_arg_next (&args, &arg))
    if (memchr (arg.signature, 'h', arg.signature_len) != NULL)
      return TRUE;
  return FALSE;
}

/* ---- look-ups ---- */

const SwarmBusInterface *
swarm_bus_find_interface (const SwarmBusKind *kind, const char *iface)
{
  for (guint i = 0; kind->interfaces[i] != NULL; i++)
    if (strcmp (kind->interfaces[i]->name, iface) == 0)
      return kind->interfaces[i];
  return NULL;
}

static const SwarmBusMethod *
interface_method (const SwarmBusInterface *iface, const char *member)
{
  for (const SwarmBusMethod *row = iface->methods; row != NULL && row->name != NULL; row++)
    if (strcmp (row->name, member) == 0)
      return row;
  return NULL;
}

const SwarmBusMethod *
swarm_bus_find_method (const SwarmBusKind *kind, const char *iface, const char *member)
{
  for (guint i = 0; kind->interfaces[i] != NULL; i++) {
    const SwarmBusMethod *row;

    if (iface != NULL && strcmp (kind->interfaces[i]->name, iface) != 0)
      continue;
    row = interface_method (kind->interfaces[i], member);
    if (row != NULL)
      return row;
  }
  return NULL;
}

const SwarmBusInterface *
swarm_bus_method_interface (const SwarmBusKind *kind, const SwarmBusMethod *method)
{
  for (guint i = 0; kind->interfaces[i] != NULL; i++)
    if (interface_method (kind->interfaces[i], method->name) == method)
      return kind->interfaces[i];
  return NULL;
}

const SwarmBusKind *
swarm_bus_find_kind (const SwarmBusKind *const *kinds, const char *path, const char **ret_tail)
{
  for (guint i = 0; kinds[i] != NULL; i++) {
    const char *own = kinds[i]->path;
    gsize length = strlen (own);

    if (own[length - 1] == '/' && length > 1) {
      if (strncmp (path, own, length) != 0 || path[length] == '\0' || strchr (path + length, '/') != NULL)
        continue;
      *ret_tail = path + length;
      return kinds[i];
    }
    if (strcmp (path, own) == 0) {
      *ret_tail = "";
      return kinds[i];
    }
  }
  return NULL;
}

/* An interface of nothing but wire-only methods does not exist on the bus. */
gboolean
swarm_bus_interface_on_bus (const SwarmBusInterface *iface)
{
  const SwarmBusMethod *row = iface->methods;

  while (row != NULL && row->name != NULL && row->action == SWARM_ACTION_WIRE_ONLY)
    row++;
  return (row != NULL && row->name != NULL) || iface->methods == NULL || iface->properties != NULL || iface->signals != NULL;
}

gboolean
swarm_bus_kind_on_bus (const SwarmBusKind *kind)
{
  for (guint i = 0; kind->interfaces[i] != NULL; i++)
    if (swarm_bus_interface_on_bus (kind->interfaces[i]))
      return TRUE;
  return FALSE;
}

/* ---- the check at start ---- */

static gboolean
bad (GError **error, const char *iface, const char *row, const char *what)
{
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED, "interface table %s%s%s: %s", iface != NULL ? iface : "(no name)",
               row != NULL ? "." : "", row != NULL ? row : "", what);
  return FALSE;
}

static const char *
args_problem (const char *args, gboolean fds_allowed)
{
  GString *whole = g_string_new (NULL);
  SwarmBusArg arg;
  const char *problem = NULL;

  while (problem == NULL && swarm_bus_arg_next (&args, &arg)) {
    g_autofree char *signature = g_strndup (arg.signature, arg.signature_len);
    g_autofree char *name = g_strndup (arg.name, arg.name_len);

    if (!dbus_signature_validate_single (signature, NULL))
      problem = "an argument has no valid signature";
    else if (!g_regex_match_simple ("^[a-z][a-z0-9_]*$", name, 0, 0))
      problem = "an argument has no name in lower case";
    else if (!fds_allowed && strchr (signature, 'h') != NULL)
      problem = "a descriptor ('h') needs a bus-only row (SWARM_ROLES_BUS_ONLY)";
    g_string_append (whole, signature);
  }
  if (problem == NULL && !dbus_signature_validate (whole->str, NULL))
    problem = "the arguments together have no valid signature";
  g_string_free (whole, TRUE);
  return problem;
}

static const char *
method_problem (const SwarmBusMethod *row)
{
  gboolean bus_only = row->roles == SWARM_ROLES_BUS_ONLY;
  const char *problem;

  if (!dbus_validate_member (row->name, NULL))
    return "not a valid method name";
  if (row->handler == NULL)
    return "no handler";
  if (row->action == SWARM_ACTION_NONE || row->action >= _SWARM_ACTION_MAX)
    return "no polkit action";
  if (row->roles == 0)
    return "no peer roles (write SWARM_ROLES_BUS_ONLY for none)";
  if (!bus_only && (row->roles & SWARM_ROLES_BUS_ONLY))
    return "bus-only and peer roles at once";
  if (bus_only && row->action == SWARM_ACTION_WIRE_ONLY)
    return "neither on the bus nor over the wire";
  if (row->action == SWARM_ACTION_PUBLIC && (row->flags & SWARM_METHOD_WRITE))
    return "a public method may not write";
  if ((row->flags & SWARM_METHOD_WRITE) && (row->flags & SWARM_METHOD_LOCAL))
    return "local and a write to the store at once";
  if (row->doc == NULL || *row->doc == '\0')
    return "no documentation";
  problem = args_problem (row->in, bus_only);
  return problem != NULL ? problem : args_problem (row->out, bus_only);
}

static gboolean
check_methods (const SwarmBusInterface *iface, GError **error)
{
  for (const SwarmBusMethod *row = iface->methods; row != NULL && row->name != NULL; row++) {
    const char *problem = method_problem (row);

    if (problem != NULL)
      return bad (error, iface->name, row->name, problem);
    if (interface_method (iface, row->name) != row)
      return bad (error, iface->name, row->name, "there twice");
  }
  return TRUE;
}

static gboolean
check_properties (const SwarmBusInterface *iface, GError **error)
{
  guint n = 0;

  for (const SwarmBusProperty *row = iface->properties; row != NULL && row->name != NULL; row++, n++) {
    if (!dbus_validate_member (row->name, NULL))
      return bad (error, iface->name, row->name, "not a valid property name");
    if (row->signature == NULL || !dbus_signature_validate_single (row->signature, NULL) || strchr (row->signature, 'h') != NULL)
      return bad (error, iface->name, row->name, "not one complete type without descriptors");
    if (row->get == NULL)
      return bad (error, iface->name, row->name, "no function that gets it");
    if (row->doc == NULL || *row->doc == '\0')
      return bad (error, iface->name, row->name, "no documentation");
    for (const SwarmBusProperty *other = iface->properties; other != row; other++)
      if (strcmp (other->name, row->name) == 0)
        return bad (error, iface->name, row->name, "there twice");
  }
  return n <= MAX_PROPERTIES || bad (error, iface->name, NULL, "more than 64 properties");
}

static gboolean
check_signals (const SwarmBusInterface *iface, GError **error)
{
  for (const SwarmBusSignal *row = iface->signals; row != NULL && row->name != NULL; row++) {
    const char *problem = args_problem (row->args, FALSE);

    if (!dbus_validate_member (row->name, NULL))
      return bad (error, iface->name, row->name, "not a valid signal name");
    if (problem != NULL)
      return bad (error, iface->name, row->name, problem);
    if (row->doc == NULL || *row->doc == '\0')
      return bad (error, iface->name, row->name, "no documentation");
  }
  return TRUE;
}

static gboolean
check_interface (const SwarmBusInterface *iface, GError **error)
{
  if (iface->name == NULL || !dbus_validate_interface (iface->name, NULL))
    return bad (error, iface->name, NULL, "not a valid interface name");
  if (iface->doc == NULL || *iface->doc == '\0')
    return bad (error, iface->name, NULL, "no documentation");
  return check_methods (iface, error) && check_properties (iface, error) && check_signals (iface, error);
}

static gboolean
check_kind_path (const SwarmBusKind *kind, GError **error)
{
  g_autofree char *path = g_strdup (kind->path != NULL ? kind->path : "");
  gsize length = strlen (path);

  if (length > 1 && path[length - 1] == '/')
    path[length - 1] = '\0';
  if (!dbus_validate_path (path, NULL))
    return bad (error, path, NULL, "not a valid path of a kind of object");
  if (kind->interfaces == NULL || kind->interfaces[0] == NULL || kind->find == NULL)
    return bad (error, path, NULL, "a kind of object without interfaces or without a find function");
  return TRUE;
}

gboolean
swarm_bus_tables_check (const SwarmBusKind *const *kinds, GError **error)
{
  for (guint i = 0; kinds[i] != NULL; i++) {
    const SwarmBusKind *kind = kinds[i];

    if (!check_kind_path (kind, error))
      return FALSE;
    for (guint j = 0; j < i; j++)
      if (strcmp (kinds[j]->path, kind->path) == 0)
        return bad (error, kind->path, NULL, "two kinds of object have this path");
    for (guint j = 0; kind->interfaces[j] != NULL; j++) {
      if (!check_interface (kind->interfaces[j], error))
        return FALSE;
      if (swarm_bus_find_interface (kind, kind->interfaces[j]->name) != kind->interfaces[j])
        return bad (error, kind->interfaces[j]->name, NULL, "twice on one kind of object");
    }
  }
  return TRUE;
}
