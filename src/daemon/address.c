// SPDX-License-Identifier: LGPL-2.1-or-later
#include "daemon/address.h"
#include "base/error.h"
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static gboolean
invalid (const char *text, GError **error)
{
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "\"%s\" is not an address (<ip|interface>[:port])", text);
  return FALSE;
}

gboolean
swarm_address_split (const char *text, guint default_port, char **ret_host, guint *ret_port, GError **error)
{
  const char *port = NULL;
  g_autofree char *host = NULL;
  guint64 number = default_port;
  if (*text == '[') {
    const char *end = strchr (text, ']');
    if (end == NULL || (end[1] != '\0' && end[1] != ':'))
      return invalid (text, error);
    host = g_strndup (text + 1, end - text - 1);
    port = end[1] == ':' ? end + 2 : NULL;
  } else {
    const char *colon = strrchr (text, ':');
    gboolean bare_v6 = colon != NULL && strchr (text, ':') != colon;
    host = colon != NULL && !bare_v6 ? g_strndup (text, colon - text) : g_strdup (text);
    port = colon != NULL && !bare_v6 ? colon + 1 : NULL;
  }
  if (*host == '\0' || strlen (host) > 255 || (port != NULL && !g_ascii_string_to_unsigned (port, 10, 1, 65535, &number, NULL)))
    return invalid (text, error);
  *ret_host = g_steal_pointer (&host);
  *ret_port = (guint) number;
  return TRUE;
}

char *
swarm_address_join (const char *host, guint port)
{
  return strchr (host, ':') != NULL ? g_strdup_printf ("[%s]:%u", host, port) : g_strdup_printf ("%s:%u", host, port);
}

static gboolean
is_numeric (const char *host)
{
  guint8 buffer[16];
  return inet_pton (AF_INET, host, buffer) == 1 || inet_pton (AF_INET6, host, buffer) == 1;
}

typedef struct {
  char *interface;
  char *address;
} OwnAddress;

static void
own_address_free (gpointer data)
{
  OwnAddress *own = data;
  g_free (own->interface);
  g_free (own->address);
  g_free (own);
}

/* Global addresses of interfaces that are up; @interface NULL: of all but loopback. */
static GPtrArray *
own_addresses (const char *interface)
{
  GPtrArray *list = g_ptr_array_new_with_free_func (own_address_free);
  struct ifaddrs *all = NULL;
  if (getifaddrs (&all) < 0)
    return list;
  for (struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
    char text[INET6_ADDRSTRLEN];
    const void *raw;
    if (i->ifa_addr == NULL || !(i->ifa_flags & IFF_UP))
      continue;
    if (interface != NULL ? strcmp (i->ifa_name, interface) != 0 : (i->ifa_flags & IFF_LOOPBACK) != 0)
      continue;
    if (i->ifa_addr->sa_family == AF_INET)
      raw = &((struct sockaddr_in *) i->ifa_addr)->sin_addr;
    else if (i->ifa_addr->sa_family == AF_INET6 && !IN6_IS_ADDR_LINKLOCAL (&((struct sockaddr_in6 *) i->ifa_addr)->sin6_addr))
      raw = &((struct sockaddr_in6 *) i->ifa_addr)->sin6_addr;
    else
      continue;
    OwnAddress *own = g_new0 (OwnAddress, 1);
    own->interface = g_strdup (i->ifa_name);
    own->address = g_strdup (inet_ntop (i->ifa_addr->sa_family, raw, text, sizeof text));
    g_ptr_array_add (list, own);
  }
  freeifaddrs (all);
  return list;
}

gboolean
swarm_address_is_own (const char *host)
{
  g_autoptr (GPtrArray) all = own_addresses (NULL), loopback = own_addresses ("lo");
  for (guint i = 0; i < all->len; i++)
    if (strcmp (((OwnAddress *) all->pdata[i])->address, host) == 0)
      return TRUE;
  for (guint i = 0; i < loopback->len; i++)
    if (strcmp (((OwnAddress *) loopback->pdata[i])->address, host) == 0)
      return TRUE;
  return FALSE;
}

static gboolean
is_v4 (const OwnAddress *own)
{
  return strchr (own->address, ':') == NULL;
}

/* docker's choice: the only IPv4 address, else the only IPv6 one, else an error with swarm's text. */
static char *
choose (GPtrArray *list, GError **error)
{
  const OwnAddress *chosen = NULL, *second = NULL;
  for (int v4 = 1; v4 >= 0 && chosen == NULL; v4--)
    for (guint i = 0; i < list->len; i++) {
      const OwnAddress *own = list->pdata[i];
      if (is_v4 (own) != v4)
        continue;
      if (chosen == NULL)
        chosen = own;
      else if (second == NULL)
        second = own;
    }
  if (chosen == NULL)
    return g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT,
                                "could not find the system's IP address - specify one with --advertise-addr"),
           NULL;
  if (second == NULL)
    return g_strdup (chosen->address);
  if (strcmp (chosen->interface, second->interface) == 0)
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT,
                 "could not choose an IP address to advertise since this system has multiple addresses on interface %s (%s and %s) - "
                 "specify one with --advertise-addr",
                 chosen->interface, chosen->address, second->address);
  else
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT,
                 "could not choose an IP address to advertise since this system has multiple addresses on different interfaces "
                 "(%s on %s and %s on %s) - specify one with --advertise-addr",
                 chosen->address, chosen->interface, second->address, second->interface);
  return NULL;
}

/* A numeric host from an address or an interface's name. */
static char *
host_of (const char *host, GError **error)
{
  if (is_numeric (host))
    return g_strdup (host);
  g_autoptr (GPtrArray) list = own_addresses (host);
  if (list->len > 0)
    return choose (list, error);
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "\"%s\" is neither an IP address nor an interface of this host with one", host);
  return NULL;
}

char *
swarm_address_listen (const char *text, GError **error)
{
  g_autofree char *host = NULL, *numeric = NULL;
  guint port;
  if (!swarm_address_split (text, SWARM_DEFAULT_PORT, &host, &port, error) || (numeric = host_of (host, error)) == NULL)
    return NULL;
  return swarm_address_join (numeric, port);
}

/* The local address that packets to @host leave from. A UDP connect sends nothing. */
static char *
local_towards (const char *host)
{
  struct sockaddr_storage address = { 0 };
  struct sockaddr_in *v4 = (struct sockaddr_in *) &address;
  struct sockaddr_in6 *v6 = (struct sockaddr_in6 *) &address;
  socklen_t len = sizeof address;
  char text[INET6_ADDRSTRLEN];
  if (inet_pton (AF_INET, host, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons (SWARM_DEFAULT_PORT);
  } else if (inet_pton (AF_INET6, host, &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons (SWARM_DEFAULT_PORT);
  } else {
    return NULL;
  }
  int fd = socket (address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return NULL;
  gboolean ok = connect (fd, (struct sockaddr *) &address, address.ss_family == AF_INET ? sizeof *v4 : sizeof *v6) == 0
                && getsockname (fd, (struct sockaddr *) &address, &len) == 0;
  close (fd);
  if (!ok)
    return NULL;
  const void *raw = address.ss_family == AF_INET ? (const void *) &v4->sin_addr : (const void *) &v6->sin6_addr;
  return g_strdup (inet_ntop (address.ss_family, raw, text, sizeof text));
}

char *
swarm_address_towards (const char *remote)
{
  g_autofree char *host = NULL;
  guint port;
  return swarm_address_split (remote, SWARM_DEFAULT_PORT, &host, &port, NULL) ? local_towards (host) : NULL;
}

char *
swarm_address_advertise (const char *text, const char *listen, const char *towards, GError **error)
{
  g_autofree char *listen_host = NULL, *host = NULL, *numeric = NULL, *remote = NULL;
  guint listen_port, port;
  if (!swarm_address_split (listen, SWARM_DEFAULT_PORT, &listen_host, &listen_port, error))
    return NULL;
  port = listen_port;
  if (text != NULL && *text != '\0') {
    if (!swarm_address_split (text, listen_port, &host, &port, error) || (numeric = host_of (host, error)) == NULL)
      return NULL;
    return swarm_address_join (numeric, port);
  }
  if (strcmp (listen_host, "0.0.0.0") != 0 && strcmp (listen_host, "::") != 0 && is_numeric (listen_host))
    return swarm_address_join (listen_host, port);
  if (towards != NULL && swarm_address_split (towards, SWARM_DEFAULT_PORT, &remote, &listen_port, NULL))
    numeric = local_towards (remote);
  if (numeric == NULL) {
    g_autoptr (GPtrArray) list = own_addresses (NULL);
    numeric = choose (list, error);
  }
  return numeric != NULL ? swarm_address_join (numeric, port) : NULL;
}
