// SPDX-License-Identifier: LGPL-2.1-or-later
/* Certificates from an external CA by cfssl's protocol: POST …/api/v1/cfssl/sign with the request and the subject that it is to have
 * (https://github.com/cloudflare/cfssl/blob/master/doc/api/endpoint_sign.txt). */
#include "base/error.h"
#include "base/log.h"
#include "ca/cert.h"
#include "daemon/agent-private.h"
#include "rpc/https.h"
#include <json-glib/json-glib.h>

#define TIMEOUT_US (8 * G_USEC_PER_SEC)

typedef struct {
  SwarmAgent *agent;
  SwarmHttps *https;
  SwarmExternalSigned done;
  gpointer data;
  char *root; /* of a cross-signature: what it is checked by; NULL: a node's certificate */
  char *next;
} Signing;

/* As swarm asks for it. */
static GBytes *
cross_request (const char *csr_pem)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "certificate_request");
  json_builder_add_string_value (builder, csr_pem);
  json_builder_set_member_name (builder, "profile");
  json_builder_add_string_value (builder, "CA");
  json_builder_end_object (builder);
  g_autoptr (JsonNode) root = json_builder_get_root (builder);
  char *text = json_to_string (root, FALSE);
  return g_bytes_new_take (text, strlen (text));
}

static GBytes *
sign_request (const char *csr_pem, const SwarmPeer *subject)
{
  const char *role = swarm_cert_role_to_string (subject->role);
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  SwarmIdString node = swarm_id_string (&subject->node), cluster = swarm_id_string (&subject->cluster);
  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "certificate_request");
  json_builder_add_string_value (builder, csr_pem);
  json_builder_set_member_name (builder, "hosts");
  json_builder_begin_array (builder);
  json_builder_add_string_value (builder, role);
  json_builder_add_string_value (builder, node.str);
  json_builder_end_array (builder);
  json_builder_set_member_name (builder, "subject");
  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "CN");
  json_builder_add_string_value (builder, node.str);
  json_builder_set_member_name (builder, "names");
  json_builder_begin_array (builder);
  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "O");
  json_builder_add_string_value (builder, cluster.str);
  json_builder_set_member_name (builder, "OU");
  json_builder_add_string_value (builder, role);
  json_builder_end_object (builder);
  json_builder_end_array (builder);
  json_builder_end_object (builder);
  json_builder_end_object (builder);
  g_autoptr (JsonNode) root = json_builder_get_root (builder);
  char *text = json_to_string (root, FALSE);
  return g_bytes_new_take (text, strlen (text));
}

static JsonObject *
object_member (JsonObject *object, const char *name)
{
  JsonNode *node = object != NULL ? json_object_get_member (object, name) : NULL;
  return node != NULL && JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
}

static const char *
string_member (JsonObject *object, const char *name)
{
  JsonNode *node = object != NULL ? json_object_get_member (object, name) : NULL;
  return node != NULL && json_node_get_value_type (node) == G_TYPE_STRING ? json_node_get_string (node) : NULL;
}

/* The first of cfssl's errors, in its words; borrowed. */
static const char *
first_error (JsonObject *answer)
{
  JsonNode *node = json_object_get_member (answer, "errors");
  JsonArray *errors = node != NULL && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;
  JsonNode *first = errors != NULL && json_array_get_length (errors) > 0 ? json_array_get_element (errors, 0) : NULL;
  const char *text = first != NULL && JSON_NODE_HOLDS_OBJECT (first) ? string_member (json_node_get_object (first), "message") : NULL;
  return text != NULL ? text : "it gives no certificate";
}

static char *
parse_answer (GBytes *body, GError **error)
{
  g_autoptr (JsonParser) parser = json_parser_new ();
  gsize len;
  const char *data = g_bytes_get_data (body, &len);
  JsonNode *root = len > 0 && json_parser_load_from_data (parser, data, (gssize) len, NULL) ? json_parser_get_root (parser) : NULL;
  JsonObject *answer = root != NULL && JSON_NODE_HOLDS_OBJECT (root) ? json_node_get_object (root) : NULL;
  const char *cert = string_member (object_member (answer, "result"), "certificate");
  if (cert != NULL)
    return g_strdup (cert);
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION, "the external CA did not sign: %s",
               answer != NULL ? first_error (answer) : "its answer is not cfssl's");
  return NULL;
}

static void
signing_free (Signing *signing)
{
  g_free (signing->root);
  g_free (signing->next);
  g_free (signing);
}

/* One that is away, or in trouble, may be back in a moment. What it says is refused, or is wrong about it, is so in a moment, too. */
static GError *
not_reached (const GError *error)
{
  gboolean away = g_error_matches (error, SWARM_ERROR, SWARM_ERROR_UNAVAILABLE) || g_error_matches (error, SWARM_ERROR, SWARM_ERROR_TIMED_OUT);
  return g_error_new (SWARM_ERROR, away ? SWARM_ERROR_TRY_AGAIN : SWARM_ERROR_FAILED_PRECONDITION, "the external CA did not sign: %s", error->message);
}

static void
answered (GBytes *body, const GError *error, gpointer data)
{
  Signing *signing = data;
  g_autoptr (GError) local = error != NULL ? not_reached (error) : NULL;
  g_autofree char *cert = local == NULL ? parse_answer (body, &local) : NULL;
  if (cert != NULL && signing->next != NULL && !swarm_cert_check_cross (cert, signing->root, signing->next, swarm_clock_now (signing->agent->clock), &local))
    g_clear_pointer (&cert, g_free);
  g_ptr_array_remove_fast (signing->agent->signings, signing);
  if (local != NULL)
    swarm_warning ("No certificate was issued: %s", local->message);
  signing->done (cert, local, signing->data);
  signing_free (signing);
}

static void
post (SwarmAgent *self, const SwarmExternalCA *ca, const char *root_cert_pem, GBytes *body, Signing *signing)
{
  /* Its own certificate is under the root that it signs for, or under the one that it names. */
  g_autofree char *roots = g_strconcat (root_cert_pem, ca->ca_cert, NULL);
  SwarmHttpsRequest request = { .clock = self->clock,
                                .url = ca->url,
                                .roots_pem = roots,
                                .cert_pem = self->membership->cert,
                                .key_pem = self->membership->key,
                                .content_type = "application/json",
                                .body = body,
                                .timeout_us = TIMEOUT_US };
  if (self->signings == NULL)
    self->signings = g_ptr_array_new ();
  g_ptr_array_add (self->signings, signing);
  signing->https = swarm_https_post (&request, answered, signing);
}

void
swarm_agent_external_sign (const SwarmExternalCA *ca, const char *root_cert_pem, const char *csr_pem, const SwarmPeer *subject,
                           SwarmExternalSigned done, gpointer done_data, gpointer agent)
{
  g_autoptr (GBytes) body = sign_request (csr_pem, subject);
  Signing *signing = g_new0 (Signing, 1);
  *signing = (Signing){ .agent = agent, .done = done, .data = done_data };
  post (agent, ca, root_cert_pem, body, signing);
}

void
swarm_agent_external_cross_sign (const SwarmExternalCA *ca, const char *root_cert_pem, const char *next_cert_pem, GBytes *next_key_pem,
                                 SwarmExternalSigned done, gpointer done_data, gpointer agent)
{
  /* What is wrong with it is found out when nobody signs it. */
  g_autofree char *csr = swarm_cert_create_root_csr (next_cert_pem, next_key_pem, NULL);
  g_autoptr (GBytes) body = cross_request (csr != NULL ? csr : "");
  Signing *signing = g_new0 (Signing, 1);
  *signing = (Signing){ .agent = agent, .done = done, .data = done_data, .root = g_strdup (root_cert_pem), .next = g_strdup (next_cert_pem) };
  post (agent, ca, root_cert_pem, body, signing);
}

void
swarm_agent_end_signings (SwarmAgent *self)
{
  g_autoptr (GPtrArray) signings = g_steal_pointer (&self->signings);
  g_autoptr (GError) error = g_error_new_literal (SWARM_ERROR, SWARM_ERROR_CANCELLED, "this manager is stopping");
  for (guint i = 0; signings != NULL && i < signings->len; i++) {
    Signing *signing = signings->pdata[i];
    swarm_https_cancel (signing->https);
    signing->done (NULL, error, signing->data);
    signing_free (signing);
  }
}
