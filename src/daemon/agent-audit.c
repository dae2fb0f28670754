// SPDX-License-Identifier: LGPL-2.1-or-later
/* The audit trail in the journal: who did what to which object, how it ended, and who was turned away. Arguments and answers stay out of it,
 * for they may be secret; the fields are described in base/log-catalog.c. */
#include "api/private.h"
#include "base/error.h"
#include "base/log-ids.h"
#include "base/log.h"
#include "daemon/agent-private.h"
#include <string.h>

typedef struct {
  const char *method; /* "org.swarmagent1.Manager.Leave" */
  const char *object;
  const char *details;
  const char *action; /* NULL: a call between nodes */
  const char *error;  /* D-Bus error name */
  const char *peer;
  char uid[16]; /* empty: no user's call */
  char node[SWARM_ID_STRING_LEN + 1]; /* the calling node */
  char via[SWARM_ID_STRING_LEN + 1];  /* the manager that relays a user's call */
  char result_id[SWARM_ID_STRING_LEN + 1];
  char suppressed[16];
  char *who; /* in words */
} Trail;

/* Done is done; what is worth an own MESSAGE_ID has a row. */
static const char *
id_of_done (const SwarmBusMethod *method, const char *iface)
{
  static const struct {
    const char *iface, *member, *id;
  } rows[] = {
    { "org.swarmagent1.CA", "Issue", swarm_log_id_node_admitted },
    { "org.swarmagent1.CA", "Renew", swarm_log_id_certificate_renewed },
    { "org.swarmagent1.Consensus", "Join", swarm_log_id_manager_added },
    { "org.swarmagent1.Node", "Promote", swarm_log_id_node_promoted },
    { "org.swarmagent1.Node", "Demote", swarm_log_id_node_demoted },
  };
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    if (g_str_equal (rows[i].iface, iface) && g_str_equal (rows[i].member, method->name))
      return rows[i].id;
  /* What needs more than `.read` and writes nothing here tells something secret. */
  gboolean secret = (method->flags & (SWARM_METHOD_WRITE | SWARM_METHOD_LOCAL)) == 0 && method->action != SWARM_ACTION_WIRE_ONLY;
  return secret ? swarm_log_id_secret_read : swarm_log_id_operation_done;
}

static const char *
message_id (SwarmInvocation *invocation, SwarmAuditResult result)
{
  const SwarmBusMethod *method = swarm_invocation_method (invocation);
  if (result == SWARM_AUDIT_DONE)
    return id_of_done (method, swarm_invocation_interface (invocation));
  if (method->action == SWARM_ACTION_WIRE_ONLY && g_str_equal (method->name, "Issue"))
    return swarm_log_id_join_refused;
  return result == SWARM_AUDIT_REFUSED ? swarm_log_id_operation_refused : swarm_log_id_operation_failed;
}

/* The id of what was made is the row's out argument of that name. */
static void
find_result_id (const SwarmBusMethod *method, GVariant *value, char *ret)
{
  g_auto (GStrv) out = method->out != NULL ? g_strsplit (method->out, " ", -1) : NULL;
  for (guint i = 0; value != NULL && out != NULL && out[i] != NULL && i < g_variant_n_children (value); i++) {
    g_autoptr (GVariant) child = g_variant_get_child_value (value, i);
    SwarmId id;
    if (g_str_equal (out[i], "s:id")) {
      g_strlcpy (ret, g_variant_get_string (child, NULL), SWARM_ID_STRING_LEN + 1);
    } else if (g_str_equal (out[i], "ay:node_id") && g_variant_get_size (child) == sizeof id.bytes) {
      memcpy (id.bytes, g_variant_get_data (child), sizeof id.bytes);
      g_strlcpy (ret, swarm_id_string (&id).str, SWARM_ID_STRING_LEN + 1);
    }
  }
}

static void
find_caller (SwarmInvocation *invocation, Trail *trail)
{
  const SwarmCaller *caller = swarm_invocation_caller (invocation);
  gboolean relayed = swarm_invocation_is_relayed (invocation);
  SwarmIdString node = swarm_id_string (&caller->peer.node);
  if (caller->on_bus)
    g_snprintf (trail->uid, sizeof trail->uid, "%u", caller->uid);
  if (relayed)
    g_strlcpy (trail->via, node.str, sizeof trail->via);
  else if (!caller->on_bus && caller->peer.role != SWARM_PEER_NONE)
    g_strlcpy (trail->node, node.str, sizeof trail->node);
  if (relayed || !caller->on_bus)
    trail->peer = caller->peer.address;
  if (relayed)
    trail->who = g_strdup_printf ("uid %s on node %s", trail->uid, trail->via);
  else if (caller->on_bus)
    trail->who = g_strdup_printf ("uid %s", trail->uid);
  else if (trail->node[0] != '\0')
    trail->who = g_strdup_printf ("node %s at %s", trail->node, trail->peer);
  else
    trail->who = g_strdup_printf ("a host without certificate at %s", trail->peer);
}

/* One that has no name yet is told by its address, without the port. */
static char *
limit_key (const Trail *trail)
{
  const char *colon = trail->peer != NULL ? strrchr (trail->peer, ':') : NULL;
  if (trail->uid[0] != '\0' || trail->node[0] != '\0' || colon == NULL)
    return g_strconcat (trail->node, trail->via, "/", trail->uid, NULL);
  return g_strndup (trail->peer, colon - trail->peer);
}

/* Strangers' and users' failures are bounded; what was done is always told. */
static gboolean
may_tell (SwarmAgent *self, SwarmAuditResult result, Trail *trail)
{
  g_autofree char *key = limit_key (trail);
  guint suppressed = 0;
  if (result == SWARM_AUDIT_DONE)
    return TRUE;
  if (!swarm_log_limit_take (&self->audit_limit, key, swarm_clock_boottime (self->clock), &suppressed))
    return FALSE;
  if (suppressed > 0)
    g_snprintf (trail->suppressed, sizeof trail->suppressed, "%u", suppressed);
  return TRUE;
}

static const char *
or_null (const char *text)
{
  return text != NULL && *text != '\0' ? text : NULL;
}

static void
write_trail (SwarmInvocation *invocation, SwarmAuditResult result, const Trail *trail, const char *text)
{
  static const char *const words[] = { "done", "failed", "refused" };
  const char *about = *trail->details != '\0' ? trail->details : trail->object;
  g_autofree char *more = trail->suppressed[0] != '\0' ? g_strdup_printf (" (%s more not shown)", trail->suppressed) : g_strdup ("");
  swarm_log (result == SWARM_AUDIT_DONE ? LOG_NOTICE : LOG_WARNING, message_id (invocation, result),
             SWARM_LOG_FIELDS ({ "SWARM_RESULT", words[result] }, { "SWARM_UID", or_null (trail->uid) }, { "SWARM_ACTION", trail->action },
                               { "SWARM_METHOD", trail->method }, { "SWARM_OBJECT", trail->object }, { "SWARM_DETAILS", or_null (trail->details) },
                               { "SWARM_RESULT_ID", or_null (trail->result_id) }, { "SWARM_ERROR", trail->error },
                               { "SWARM_REQUEST_ID", or_null (swarm_invocation_caller (invocation)->request_id) },
                               { "SWARM_NODE_ID", or_null (trail->node) }, { "SWARM_VIA", or_null (trail->via) },
                               { "SWARM_PEER", or_null (trail->peer) }, { "SWARM_SUPPRESSED", or_null (trail->suppressed) }),
             "%s on %s by %s: %s%s%s%s", swarm_invocation_method (invocation)->name, about, trail->who, words[result],
             text != NULL ? ": " : "", text != NULL ? text : "", more);
}

void
swarm_agent_audit (SwarmInvocation *invocation, SwarmAuditResult result, GVariant *value, const GError *error, gpointer data)
{
  SwarmApi *api = data;
  const SwarmBusMethod *method = swarm_invocation_method (invocation);
  g_autofree char *name = g_strdup_printf ("%s.%s", swarm_invocation_interface (invocation), method->name);
  Trail trail = { .method = name,
                  .object = swarm_invocation_path (invocation),
                  .details = swarm_invocation_details_text (invocation),
                  .action = swarm_action_to_string (method->action),
                  .error = error != NULL ? swarm_error_to_name (error) : NULL };
  find_caller (invocation, &trail);
  if (result == SWARM_AUDIT_DONE)
    find_result_id (method, value, trail.result_id);
  if (may_tell (api->agent, result, &trail))
    write_trail (invocation, result, &trail, error != NULL ? error->message : NULL);
  g_free (trail.who);
}

/* ---- what rpc turned away ---- */

void
swarm_agent_audit_connection (const char *address, const GError *error, guint suppressed, gpointer data)
{
  g_autofree char *more = suppressed > 0 ? g_strdup_printf (" (%u more not shown)", suppressed) : g_strdup ("");
  g_autofree char *count = suppressed > 0 ? g_strdup_printf ("%u", suppressed) : NULL;
  swarm_log (LOG_WARNING, swarm_log_id_connection_refused,
             SWARM_LOG_FIELDS ({ "SWARM_RESULT", "refused" }, { "SWARM_PEER", address }, { "SWARM_ERROR", error->message },
                               { "SWARM_SUPPRESSED", count }),
             "Refused a connection from %s: %s%s", address, error->message, more);
}

void
swarm_agent_audit_call (const SwarmPeer *peer, const char *member, const GError *error, guint suppressed, gpointer data)
{
  gboolean known = peer->role != SWARM_PEER_NONE;
  SwarmIdString node = swarm_id_string (&peer->node);
  g_autofree char *who = known ? g_strdup_printf ("node %s", node.str) : g_strdup ("a node without a certificate");
  g_autofree char *more = suppressed > 0 ? g_strdup_printf (" (%u more not shown)", suppressed) : g_strdup ("");
  g_autofree char *count = suppressed > 0 ? g_strdup_printf ("%u", suppressed) : NULL;
  swarm_log (LOG_WARNING, swarm_log_id_call_refused,
             SWARM_LOG_FIELDS ({ "SWARM_RESULT", "refused" }, { "SWARM_NODE_ID", known ? node.str : NULL }, { "SWARM_PEER", peer->address },
                               { "SWARM_METHOD", member }, { "SWARM_ERROR", error->message }, { "SWARM_SUPPRESSED", count }),
             "Refused a call of %s at %s, %s: %s%s", who, peer->address, member, error->message, more);
}
