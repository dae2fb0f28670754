// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/dispatcher/ticket.h"

struct _SwarmTicket {
  guint parts;
  GError *error;
  SwarmTicketFunc func;
  gpointer data;
};

SwarmTicket *
swarm_ticket_new (SwarmTicketFunc func, gpointer data)
{
  SwarmTicket *self = g_new0 (SwarmTicket, 1);
  self->parts = 1;
  self->func = func;
  self->data = data;
  return self;
}

SwarmTicket *
swarm_ticket_add (SwarmTicket *self)
{
  self->parts++;
  return self;
}

void
swarm_ticket_settle (SwarmTicket *self, const GError *error)
{
  if (error != NULL && self->error == NULL)
    self->error = g_error_copy (error);
  if (--self->parts > 0)
    return;
  if (self->func != NULL)
    self->func (self->error, self->data);
  g_clear_error (&self->error);
  g_free (self);
}

void
swarm_tickets_settle (GPtrArray *tickets, const GError *error)
{
  if (tickets == NULL)
    return;
  /* An answer may add tickets again: they are not ours. */
  gsize n;
  g_autofree gpointer *list = g_ptr_array_steal (tickets, &n);
  for (gsize i = 0; i < n; i++)
    swarm_ticket_settle (list[i], error);
}
