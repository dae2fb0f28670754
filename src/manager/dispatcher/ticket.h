// SPDX-License-Identifier: LGPL-2.1-or-later
/* One answer that waits for several writes. */
#pragma once
#include <glib.h>

typedef void (*SwarmTicketFunc) (const GError *error, gpointer data);
typedef struct _SwarmTicket SwarmTicket;

/* The caller holds one part. */
SwarmTicket *swarm_ticket_new (SwarmTicketFunc func, gpointer data);
/* One more part that has to settle first. */
SwarmTicket *swarm_ticket_add (SwarmTicket *self);
/* A part is settled. The last one answers, with the first error that there was. */
void swarm_ticket_settle (SwarmTicket *self, const GError *error);
/* For lists of tickets: settles all and empties the list. NULL is fine. */
void swarm_tickets_settle (GPtrArray *tickets, const GError *error);
