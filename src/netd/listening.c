// SPDX-License-Identifier: LGPL-2.1-or-later
#include "netd/listening.h"
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define TCP_LISTENS 0x0a
#define UDP_UNCONNECTED 0x07

struct _SwarmNetdListening {
  guint8 tcp[65536 / 8];
  guint8 udp[65536 / 8];
};

/* Lines "  0: 0100007F:0277 00000000:0000 0A …": number, own and other address with port, state. */
static void
read_table (const char *path, guint wanted, guint8 *ports)
{
  g_autofree char *text = NULL;
  if (!g_file_get_contents (path, &text, NULL, NULL))
    return;
  for (char *line = strchr (text, '\n'); line != NULL; line = strchr (line + 1, '\n')) {
    guint port, state;
    if (sscanf (line + 1, " %*u: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x", &port, &state) == 2 && state == wanted && port < 65536)
      ports[port / 8] |= 1 << port % 8;
  }
}

SwarmNetdListening *
swarm_netd_listening_read (void)
{
  SwarmNetdListening *self = g_new0 (SwarmNetdListening, 1);
  read_table ("/proc/thread-self/net/tcp", TCP_LISTENS, self->tcp);
  read_table ("/proc/thread-self/net/tcp6", TCP_LISTENS, self->tcp);
  read_table ("/proc/thread-self/net/udp", UDP_UNCONNECTED, self->udp);
  read_table ("/proc/thread-self/net/udp6", UDP_UNCONNECTED, self->udp);
  return self;
}

gboolean
swarm_netd_listening_has (SwarmNetdListening *self, guint8 protocol, guint16 port)
{
  const guint8 *ports = protocol == IPPROTO_TCP ? self->tcp : protocol == IPPROTO_UDP ? self->udp : NULL;
  return ports != NULL && (ports[port / 8] & 1 << port % 8) != 0;
}

void
swarm_netd_listening_free (SwarmNetdListening *self)
{
  g_free (self);
}
