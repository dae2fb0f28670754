// SPDX-License-Identifier: LGPL-2.1-or-later
/* Objects in their forms: storage (b), JSON (j), a{sv} in GVariant's text form (v); the second byte chooses the type. What is read can be written and
 * read again. */
#include "fuzz.h"
#include "model/objects.h"
#include <json-glib/json-glib.h>

static const SwarmType *const types[] = { &swarm_service_spec_type, &swarm_cluster_spec_type, &swarm_node_spec_type, &swarm_service_type,
                                          &swarm_task_type,         &swarm_node_type,         &swarm_cluster_type };

static void
check_storage (const SwarmType *type, gconstpointer message)
{
  g_autoptr (GBytes) bytes = swarm_message_encode (message), again = NULL;
  g_autoptr (GError) error = NULL;
  gpointer back = swarm_message_decode (type, bytes, &error);

  if (back == NULL)
    g_error ("an own message is refused: %s", error->message);
  again = swarm_message_encode (back);
  g_assert (g_bytes_equal (bytes, again));
  swarm_message_unref (back);
}

static void
check_forms (const SwarmType *type, gconstpointer message)
{
  g_autoptr (GVariant) dict = NULL;
  g_autoptr (JsonNode) node = NULL;

  check_storage (type, message);
  dict = g_variant_ref_sink (swarm_message_to_variant (message, SWARM_FORM_WITH_SECRETS));
  node = swarm_message_to_json (message, SWARM_FORM_COMPLETE);
  g_assert (dict != NULL && node != NULL);
}

static gpointer
from_storage (const SwarmType *type, const char *text, gsize len, GError **error)
{
  g_autoptr (GBytes) bytes = g_bytes_new (text, len);
  gpointer message = swarm_message_decode (type, bytes, error);

  if (message != NULL)
    swarm_message_validate (message, NULL);
  return message;
}

static gpointer
from_json (const SwarmType *type, const char *text, gsize len, GError **error)
{
  g_autoptr (JsonParser) parser = json_parser_new_immutable ();

  if (!g_utf8_validate (text, len, NULL) || !json_parser_load_from_data (parser, text, len, error) || json_parser_get_root (parser) == NULL)
    return NULL;
  return swarm_message_from_json (type, json_parser_get_root (parser), SWARM_FORM_FROM_USER, error);
}

static gpointer
from_variant (const SwarmType *type, const char *text, gsize len, GError **error)
{
  g_autoptr (GVariant) dict = g_variant_parse (G_VARIANT_TYPE_VARDICT, text, text + len, NULL, error);

  return dict != NULL ? swarm_message_from_variant (type, dict, SWARM_FORM_FROM_USER, error) : NULL;
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  g_autoptr (GError) error = NULL;
  const char *text = (const char *) data + 2;
  gpointer message = NULL;

  if (size < 2)
    return 0;
  const SwarmType *type = types[data[1] % G_N_ELEMENTS (types)];
  if (data[0] == 'b')
    message = from_storage (type, text, size - 2, &error);
  else if (data[0] == 'j')
    message = from_json (type, text, size - 2, &error);
  else if (data[0] == 'v')
    message = from_variant (type, text, size - 2, &error);
  if (message == NULL)
    return 0;
  check_forms (type, message);
  swarm_message_unref (message);
  return 0;
}
