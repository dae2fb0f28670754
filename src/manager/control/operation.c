// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/control/operation.h"
#include "base/error.h"
#include <string.h>

#define MAX_TRIES 20

/* An answer that is known at once is given from the loop all the same. */
typedef struct {
  SwarmOperation *operation;
  GError *error;
  SwarmControlReply reply;
} Answer;

/* Its transaction is not under way any more. */
static void
operation_land (SwarmOperation *self)
{
  g_hash_table_remove (self->control->flying, self);
  swarm_message_clear_pointer (&self->named);
  self->leaving = SWARM_ID_NIL;
  self->ingress = FALSE;
  self->container = NULL;
}

static void
operation_free (SwarmOperation *self)
{
  operation_land (self);
  swarm_control_unref (self->control);
  g_free (self->request_id);
  g_free (self->reference);
  g_free (self->text);
  swarm_message_unref (self->spec);
  for (guint i = 0; i < G_N_ELEMENTS (self->objects); i++)
    swarm_message_unref (self->objects[i]);
  g_clear_pointer (&self->set, g_hash_table_unref);
  g_clear_pointer (&self->remove, g_ptr_array_unref);
  g_clear_pointer (&self->moves, g_array_unref);
  g_free (self);
}

SwarmOperation *
swarm_operation_new (SwarmControl *control, SwarmOperationFill fill, const SwarmId *id, const char *request_id, SwarmControlFunc done,
                     gpointer data)
{
  SwarmOperation *self = g_new0 (SwarmOperation, 1);
  self->control = control;
  control->ref_count++;
  self->fill = fill;
  if (id != NULL)
    self->id = *id;
  self->request_id = request_id != NULL && *request_id != '\0' ? g_strdup (request_id) : NULL;
  self->done = done;
  self->data = data;
  return self;
}

static void
operation_answer (SwarmOperation *self, const SwarmControlReply *reply, const GError *error)
{
  if (self->done != NULL)
    self->done (error == NULL ? reply : NULL, error, self->data);
  operation_free (self);
}

static void
answer_due (gpointer data)
{
  Answer *answer = data;
  operation_answer (answer->operation, &answer->reply, answer->error);
  g_clear_error (&answer->error);
  g_free (answer);
}

void
swarm_operation_fail (SwarmOperation *self, GError *error)
{
  Answer *answer = g_new0 (Answer, 1);
  answer->operation = self;
  answer->error = error;
  swarm_clock_timer (self->control->clock, 0, SWARM_PRIORITY_NORMAL, answer_due, answer);
}

/* The result as it is kept with the request id. */
static GVariant *
result_of (const SwarmOperation *self)
{
  GVariant *id = g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, self->id.bytes, sizeof self->id.bytes, 1);
  return g_variant_new ("(@ays)", id, self->text != NULL ? self->text : "");
}

static void
operation_committed (guint64 index, GVariant *result, const GError *error, gpointer data)
{
  SwarmOperation *self = data;
  SwarmControlReply reply = { .index = index, .id = self->id };
  g_autoptr (GVariant) id = NULL;
  operation_land (self);
  if (error != NULL) {
    gboolean again = !self->pinned && !self->control->closed && ++self->tries < MAX_TRIES
                     && g_error_matches (error, SWARM_ERROR, SWARM_ERROR_OUT_OF_SEQUENCE);
    if (again)
      swarm_operation_run (self);
    else
      operation_answer (self, NULL, error);
    return;
  }
  if (result != NULL && g_variant_is_of_type (result, G_VARIANT_TYPE ("(ays)"))) {
    gsize len;
    g_variant_get (result, "(@ay&s)", &id, &reply.text);
    gconstpointer bytes = g_variant_get_fixed_array (id, &len, 1);
    if (len == sizeof reply.id.bytes)
      memcpy (reply.id.bytes, bytes, len);
  }
  if (reply.text != NULL && *reply.text == '\0')
    reply.text = NULL;
  operation_answer (self, &reply, NULL);
}

void
swarm_operation_run (SwarmOperation *self)
{
  g_autoptr (SwarmTx) tx = swarm_store_tx (self->control->store);
  GError *error = NULL;
  /* A repeat is not judged again: what it asked for has changed the state that it would be judged by. */
  if (!swarm_store_has_request (self->control->store, self->request_id) && !self->fill (self, tx, &error)) {
    swarm_operation_fail (self, error);
    return;
  }
  if (self->named != NULL || self->ingress || !swarm_id_is_nil (&self->leaving))
    g_hash_table_add (self->control->flying, self);
  swarm_tx_set_result (tx, result_of (self));
  swarm_tx_commit (g_steal_pointer (&tx), self->request_id, operation_committed, self);
}
