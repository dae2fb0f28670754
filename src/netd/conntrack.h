// SPDX-License-Identifier: LGPL-2.1-or-later
/* Ends connections: takes their tracked entry (and with it their translation) away, and destroys the sockets that wait for an answer. */
#pragma once
#include "netd/address.h"
#include <glib.h>

typedef struct {
  guint8 protocol;
  SwarmNetdAddress client;
  guint16 client_port;
  SwarmNetdAddress asked; /* whom the client asked */
  guint16 asked_port;
  SwarmNetdAddress backend; /* who answers */
  guint16 backend_port;
} SwarmNetdConnection;

typedef gboolean (*SwarmNetdConnectionFunc) (const SwarmNetdConnection *connection, gpointer data);

/* Ends those connections of the namespace of @netns (-1: where netd lives) of which @func says TRUE. How many; -1: the kernel did not do all of it. */
int swarm_netd_conntrack_end (int netns, SwarmNetdConnectionFunc func, gpointer data);
