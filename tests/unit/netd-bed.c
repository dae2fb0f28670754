// SPDX-License-Identifier: LGPL-2.1-or-later
#include "netd-bed.h"
#include "netd/netlink.h"
#include "netd/netns.h"
#include "netd/wireguard-device.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT_MS 60000

guint bed_patience = 20;
const char *bed_wireguard, *bed_rotation = "43200";

static gboolean
possible (void)
{
  g_autoptr (GError) error = NULL;
  if (geteuid () != 0 || !swarm_netd_netns_init (&error))
    return FALSE;
  int fd = swarm_netd_netns_new (&error);
  if (fd < 0)
    return FALSE;
  g_autoptr (SwarmNetdNetlink) netlink = swarm_netd_netlink_new_in (fd, &error);
  SwarmNetdAddress local = addr ("10.88.0.1");
  guint index;
  gboolean ok = netlink != NULL && swarm_netd_bridge_put (netlink, "b", 1450, NULL, &index, &error) &&
                swarm_netd_vxlan_put (netlink, "x", 1, &local, 4789, 1450, index, &index, &error);
  close (fd);
  return ok;
}

/* eth0 in the host, 10.88.0.N, on the wire. */
static void
plug_in (Bed *bed, int netns, guint bridge, guint number)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SwarmNetdNetlink) wire = swarm_netd_netlink_new_in (bed->fabric, &error), inside = swarm_netd_netlink_new_in (netns, &error);
  g_autofree char *name = g_strdup_printf ("p%u", number), *text = g_strdup_printf ("10.88.0.%u", number), *text6 = g_strdup_printf ("fd88::%u", number);
  SwarmNetdAddress address = addr (text), address6 = addr (text6);
  guint8 mac[6] = { 2, 0, 0, 0, 0, number };
  SwarmNetdLink link;
  g_assert_true (swarm_netd_veth_put (wire, name, bridge, 1500, FALSE, netns, "eth0", mac, &error));
  g_assert_true (swarm_netd_link_get (inside, "eth0", &link, &error));
  g_assert_true (swarm_netd_link_set (inside, link.index, 0, 0, NULL, &error));
  g_assert_true (swarm_netd_address_put (inside, link.index, &address, 24, &error));
  g_assert_true (swarm_netd_address_put (inside, link.index, &address6, 64, &error));
}

static int
connect_to (const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  for (guint i = 0; i < WAIT_MS / 10; i++) {
    int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect (fd, (struct sockaddr *) &address, sizeof address) == 0)
      return fd;
    close (fd);
    g_usleep (10000);
  }
  g_error ("netd does not listen at %s", path);
}

static void
receive (int fd, void *data, gsize length)
{
  for (gsize at = 0; at < length;) {
    struct pollfd p = { fd, POLLIN, 0 };
    g_assert_cmpint (poll (&p, 1, 60000), ==, 1);
    ssize_t n = recv (fd, (char *) data + at, length - at, 0);
    g_assert_cmpint (n, >, 0);
    at += n;
  }
}

/* ---- what systemd does: keeps descriptors for a netd that comes again ---- */

typedef struct {
  char *name;
  int fd;
} BedStored;

static void
stored_free (gpointer data)
{
  BedStored *stored = data;
  close (stored->fd);
  g_free (stored->name);
  g_free (stored);
}

static void
unstore (BedHost *host, const char *name)
{
  for (guint i = host->stored->len; i-- > 0;)
    if (strcmp (((BedStored *) host->stored->pdata[i])->name, name) == 0)
      g_ptr_array_remove_index_fast (host->stored, i);
}

/* Reads what the netd has notified so far. */
static void
take_notifications (BedHost *host)
{
  for (;;) {
    char text[1024], control[CMSG_SPACE (8 * sizeof (int))];
    struct iovec part = { text, sizeof text - 1 };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
    ssize_t n = recvmsg (host->notify, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0)
      return;
    text[n] = '\0';
    const char *name = strstr (text, "FDNAME=");
    g_autofree char *fdname = name != NULL ? g_strndup (name + 7, strcspn (name + 7, "\n")) : NULL;
    const char *status = strstr (text, "STATUS=");
    if (status != NULL) {
      g_free (host->status);
      host->status = g_strdup (status + 7);
    }
    if (g_str_has_prefix (text, "FDSTOREREMOVE=1"))
      unstore (host, fdname);
    struct cmsghdr *c = CMSG_FIRSTHDR (&message);
    for (guint i = 0; c != NULL && c->cmsg_type == SCM_RIGHTS && i < (c->cmsg_len - CMSG_LEN (0)) / sizeof (int); i++) {
      BedStored *stored = g_new0 (BedStored, 1);
      stored->name = g_strdup (fdname);
      memcpy (&stored->fd, CMSG_DATA (c) + i * sizeof (int), sizeof (int));
      g_ptr_array_add (host->stored, stored);
    }
  }
}

static void
open_notify (Bed *bed, BedHost *host, guint number)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  host->notify_path = g_strdup_printf ("%s/notify%u", bed->dir, number);
  host->stored = g_ptr_array_new_with_free_func (stored_free);
  g_strlcpy (address.sun_path, host->notify_path, sizeof address.sun_path);
  host->notify = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  g_assert_cmpint (bind (host->notify, (struct sockaddr *) &address, sizeof address), ==, 0);
}

/* In the child that becomes netd. */
static void
hand_over (BedHost *host)
{
  g_autoptr (GString) names = g_string_new (NULL);
  g_autofree char *pid = g_strdup_printf ("%d", getpid ()), *count = g_strdup_printf ("%u", host->stored->len);
  for (guint i = 0; i < host->stored->len; i++) { /* first out of the way of the numbers from 3 on */
    BedStored *stored = host->stored->pdata[i];
    stored->fd = fcntl (stored->fd, F_DUPFD_CLOEXEC, 200);
    g_string_append_printf (names, "%s%s", i > 0 ? ":" : "", stored->name);
  }
  for (guint i = 0; i < host->stored->len; i++)
    dup2 (((BedStored *) host->stored->pdata[i])->fd, 3 + i);
  g_setenv ("LISTEN_PID", pid, TRUE);
  g_setenv ("LISTEN_FDS", count, TRUE);
  g_setenv ("LISTEN_FDNAMES", names->str, TRUE);
  g_setenv ("NOTIFY_SOCKET", host->notify_path, TRUE);
}

static void
as_netd (gpointer data)
{
  BedHost *host = data;
  setns (host->netns, CLONE_NEWNET);
  prctl (PR_SET_PDEATHSIG, SIGKILL); /* nothing outlives the test */
  if (bed_wireguard != NULL && (unshare (CLONE_NEWNS) < 0 || mount ("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
                                mount (host->sockets, "/run/wireguard", NULL, MS_BIND, NULL) < 0))
    _exit (1); /* the hosts have the same names for their sockets there */
  hand_over (host);
}

static void
in_namespace (gpointer data)
{
  setns (GPOINTER_TO_INT (data), CLONE_NEWNET);
  prctl (PR_SET_PDEATHSIG, SIGKILL);
}

void
bed_start (Bed *bed, guint number)
{
  BedHost *host = &bed->hosts[number];
  const char *argv[] = { g_getenv ("SWARM_NETD"), "--socket", host->socket_path, "--state", host->state_path, "--rotation", bed_rotation,
                         "--wireguard-go", bed_wireguard != NULL ? bed_wireguard : "/nonexistent", NULL };
  g_autoptr (GError) error = NULL;
  g_unlink (host->socket_path);
  g_spawn_async (NULL, (char **) argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_LEAVE_DESCRIPTORS_OPEN, as_netd, host, &host->netd, &error);
  g_assert_no_error (error);
  host->socket = connect_to (host->socket_path);
  SwarmNetdHeader hello;
  receive (host->socket, &hello, sizeof hello);
  g_assert_cmpuint (hello.kind, ==, SWARM_NETD_HELLO);
  g_assert_cmpuint (hello.number, ==, host->number);
  g_autofree char *program = bed_wireguard != NULL ? g_find_program_in_path (bed_wireguard) : NULL;
  gboolean encrypts = program != NULL || swarm_netd_wireguard_kernel_is_there ();
  g_assert_cmpuint (hello.flags, ==, SWARM_NETD_IPV6 | (encrypts ? SWARM_NETD_ENCRYPTS : 0));
}

void
bed_kill (Bed *bed, guint number)
{
  BedHost *host = &bed->hosts[number];
  if (host->netd == 0)
    return;
  take_notifications (host);
  kill (host->netd, SIGKILL);
  waitpid (host->netd, NULL, 0);
  close (host->socket);
  host->netd = 0;
}

void
bed_forget (Bed *bed, guint number)
{
  BedHost *host = &bed->hosts[number];
  g_ptr_array_set_size (host->stored, 0);
  g_assert_cmpint (g_unlink (host->state_path), ==, 0);
  host->number = 0;
}

static void
close_fd (gpointer data)
{
  close (GPOINTER_TO_INT (data));
}

Bed *
bed_new (void)
{
  g_autoptr (GError) error = NULL;
  if (g_getenv ("SWARM_NETD") == NULL || !possible ()) {
    g_test_skip ("needs root, network namespaces and VXLAN");
    return NULL;
  }
  Bed *bed = g_new0 (Bed, 1);
  guint bridge;
  prctl (PR_SET_CHILD_SUBREAPER, bed_wireguard != NULL);
  bed->dir = g_dir_make_tmp ("netd-XXXXXX", NULL);
  bed->children = g_array_new (FALSE, FALSE, sizeof (GPid));
  bed->fabric = swarm_netd_netns_new (&error);
  g_autoptr (SwarmNetdNetlink) wire = swarm_netd_netlink_new_in (bed->fabric, &error);
  g_assert_true (swarm_netd_bridge_put (wire, "wire", 1500, NULL, &bridge, &error));
  SwarmNetdAddress client = addr ("10.88.0.100"), client6 = addr ("fd88::100");
  g_assert_true (swarm_netd_address_put (wire, bridge, &client, 24, &error));
  g_assert_true (swarm_netd_address_put (wire, bridge, &client6, 64, &error));
  for (guint i = 1; i <= BED_HOSTS; i++) {
    BedHost *host = &bed->hosts[i];
    host->netns = swarm_netd_netns_new (&error);
    host->socket_path = g_strdup_printf ("%s/socket%u", bed->dir, i);
    host->state_path = g_strdup_printf ("%s/state%u", bed->dir, i);
    host->sockets = g_strdup_printf ("%s/wireguard%u", bed->dir, i);
    g_assert_cmpint (g_mkdir (host->sockets, 0700), ==, 0);
    host->keys = g_array_new (FALSE, FALSE, sizeof (SwarmNetdWireguard));
    host->ready = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, close_fd);
    plug_in (bed, host->netns, bridge, i);
    open_notify (bed, host, i);
    bed_start (bed, i);
  }
  return bed;
}

/* wireguard-go ends when the last descriptor of its link's namespace is closed, and takes its socket away; one that was just coming when netd was killed
 * has its link in the host. */
static void
remove_sockets (BedHost *host)
{
  g_autoptr (SwarmNetdNetlink) netlink = swarm_netd_netlink_new_in (host->netns, NULL);
  for (guint i = 0; i < WAIT_MS / 10 && g_rmdir (host->sockets) < 0; i++) {
    swarm_netd_link_delete (netlink, "swg0", NULL);
    swarm_netd_link_delete (netlink, "swg1", NULL);
    g_usleep (10000);
  }
  while (bed_wireguard != NULL && waitpid (-1, NULL, WNOHANG) > 0) /* it is no child of netd's any more: it is ours */
    ;
  g_free (host->sockets);
}

void
bed_free (Bed *bed)
{
  for (guint i = 0; i < bed->children->len; i++) {
    GPid pid = g_array_index (bed->children, GPid, i);
    kill (pid, SIGKILL);
    waitpid (pid, NULL, 0);
  }
  for (guint i = 1; i <= BED_HOSTS; i++) {
    BedHost *host = &bed->hosts[i];
    bed_kill (bed, i);
    g_unlink (host->socket_path);
    g_unlink (host->state_path);
    g_unlink (host->notify_path);
    close (host->notify);
    g_ptr_array_unref (host->stored);
    remove_sockets (host);
    close (host->netns);
    g_array_unref (host->keys);
    g_free (host->notify_path);
    g_free (host->status);
    g_free (host->socket_path);
    g_free (host->state_path);
    g_hash_table_unref (host->ready);
  }
  close (bed->fabric);
  g_rmdir (bed->dir);
  g_free (bed->dir);
  g_array_unref (bed->children);
  g_free (bed);
}

/* ---- batches ---- */

void
bed_begin (GByteArray *out, guint host)
{
  put_host (out, host);
  for (guint i = 1; i <= BED_HOSTS; i++)
    put_node (out, i);
  put_network (out, 4096, SWARM_NETD_NETWORK_INGRESS);
  put_network (out, 4097, 0);
}

static void
note_ready (BedHost *host, const SwarmNetdReady *ready)
{
  if (g_hash_table_contains (host->ready, ready->sandbox.text))
    return; /* said again: the test has the descriptor in hand */
  g_autofree char *path = g_strdup_printf ("/proc/%u/fd/%u", ready->pid, ready->fd);
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  g_assert_cmpint (fd, >=, 0);
  g_hash_table_replace (host->ready, g_strdup (ready->sandbox.text), GINT_TO_POINTER (fd));
}

/* One ACK or REPORT. */
static void
take_message (BedHost *host, SwarmNetdHeader *answer, GString *errors)
{
  receive (host->socket, answer, sizeof *answer);
  g_autofree guint8 *records = g_malloc (answer->length);
  receive (host->socket, records, answer->length);
  g_array_set_size (host->keys, 0);
  for (gsize at = 0; at < answer->length;) {
    const SwarmNetdRecord *record = (void *) (records + at);
    const SwarmNetdError *e = (void *) (record + 1);
    if (record->type == SWARM_NETD_TYPE_ERROR)
      g_string_append_printf (errors, "%s: %s\n", e->object, e->text);
    else if (record->type == SWARM_NETD_TYPE_WIREGUARD)
      g_array_append_vals (host->keys, record + 1, 1);
    else
      note_ready (host, (void *) (record + 1));
    at += record->length;
  }
}

char *
bed_listen (Bed *bed, guint number)
{
  BedHost *host = &bed->hosts[number];
  struct pollfd p = { host->socket, POLLIN, 0 };
  SwarmNetdHeader report;
  GString *errors = g_string_new (NULL);
  while (poll (&p, 1, 0) == 1) {
    g_string_truncate (errors, 0);
    take_message (host, &report, errors);
  }
  take_notifications (host);
  return g_string_free (errors, FALSE);
}

int
bed_stored (Bed *bed, guint number, const char *name)
{
  BedHost *host = &bed->hosts[number];
  take_notifications (host);
  for (guint i = 0; i < host->stored->len; i++)
    if (strcmp (((BedStored *) host->stored->pdata[i])->name, name) == 0)
      return ((BedStored *) host->stored->pdata[i])->fd;
  return -1;
}

void
bed_wait_status (Bed *bed, guint number, const char *part)
{
  BedHost *host = &bed->hosts[number];
  take_notifications (host);
  for (guint i = 0; i < WAIT_MS / 10 && (host->status == NULL || strstr (host->status, part) == NULL); i++) {
    g_usleep (10000);
    take_notifications (host);
  }
  if (host->status == NULL || strstr (host->status, part) == NULL)
    g_error ("the status is \"%s\", not \"%s\"", host->status, part);
}

char *
bed_send (Bed *bed, guint number, GByteArray *out, guint32 flags)
{
  BedHost *host = &bed->hosts[number];
  guint64 base = host->number;
  SwarmNetdHeader header = header_for (out, base + 1, flags & SWARM_NETD_FULL ? 0 : base, flags), answer;
  g_assert_cmpint (send (host->socket, &header, sizeof header, MSG_NOSIGNAL), ==, sizeof header);
  for (gsize at = 0; at < out->len;) {
    ssize_t n = send (host->socket, out->data + at, out->len - at, MSG_NOSIGNAL);
    g_assert_cmpint (n, >, 0);
    at += n;
  }
  g_byte_array_set_size (out, 0);
  GString *errors = g_string_new (NULL);
  do
    take_message (host, &answer, errors);
  while (answer.kind != SWARM_NETD_ACK);
  g_assert_cmpuint (answer.number, ==, base + 1);
  take_notifications (host);
  if (!(answer.flags & SWARM_NETD_REFUSED))
    host->number = answer.number;
  return g_string_free (errors, FALSE);
}

int
bed_task (Bed *bed, guint host, const char *sandbox)
{
  gpointer fd;
  g_assert_true (g_hash_table_lookup_extended (bed->hosts[host].ready, sandbox, NULL, &fd));
  return GPOINTER_TO_INT (fd);
}

/* ---- traffic ---- */

/* Says "NAME CLIENT" and then whatever it is told, each in a process of its own. */
static void
answer_stream (int fd, const char *text, int n)
{
  char question[64];
  (void) !write (fd, text, n);
  if (fork () != 0)
    return;
  prctl (PR_SET_PDEATHSIG, SIGKILL);
  while ((n = read (fd, question, sizeof question)) > 0)
    (void) !write (fd, question, n);
  _exit (0);
}

static void
answer_clients (int stream, int datagram, const char *name)
{
  signal (SIGCHLD, SIG_IGN);
  for (;;) {
    struct pollfd p[2] = { { stream, POLLIN, 0 }, { datagram, POLLIN, 0 } };
    struct sockaddr_in6 peer;
    socklen_t length = sizeof peer;
    char address[INET6_ADDRSTRLEN], text[128], question[64];
    poll (p, 2, -1);
    gboolean tcp = p[0].revents != 0;
    int fd = tcp ? accept (stream, (struct sockaddr *) &peer, &length) : datagram;
    if (!tcp && recvfrom (fd, question, sizeof question, 0, (struct sockaddr *) &peer, &length) < 0)
      continue;
    const char *client = inet_ntop (AF_INET6, &peer.sin6_addr, address, sizeof address);
    client = g_str_has_prefix (client, "::ffff:") ? client + 7 : client;
    int n = snprintf (text, sizeof text, "%s %s", name, client);
    if (tcp) {
      answer_stream (fd, text, n);
      close (fd);
    } else {
      sendto (fd, text, n, 0, (struct sockaddr *) &peer, length);
    }
  }
}

static int
bound (int type, guint16 port)
{
  struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons (port) };
  int fd = socket (AF_INET6, type | SOCK_CLOEXEC, 0), off = 0, on = 1;
  setsockopt (fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  setsockopt (fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  g_assert_cmpint (bind (fd, (struct sockaddr *) &any, sizeof any), ==, 0);
  if (type == SOCK_STREAM)
    listen (fd, 64);
  return fd;
}

void
bed_serve (Bed *bed, int netns, const char *name, guint16 port)
{
  g_assert_true (swarm_netd_netns_enter (netns, NULL));
  int stream = bound (SOCK_STREAM, port), datagram = bound (SOCK_DGRAM, port);
  swarm_netd_netns_leave ();
  GPid self = getpid (), pid = fork ();
  if (pid == 0) {
    prctl (PR_SET_PDEATHSIG, SIGKILL);
    if (getppid () != self)
      _exit (1); /* the test failed before we could say that we end with it */
    answer_clients (stream, datagram, name);
  }
  close (stream);
  close (datagram);
  g_array_append_val (bed->children, pid);
}

void
bed_stop_serving (Bed *bed)
{
  GPid pid = g_array_index (bed->children, GPid, bed->children->len - 1);
  kill (pid, SIGKILL);
  waitpid (pid, NULL, 0);
  g_array_set_size (bed->children, bed->children->len - 1);
}

static const char *
word_for (int code)
{
  return code == ECONNREFUSED ? "refused" : code == ECONNRESET ? "reset" : code == EAGAIN || code == EINPROGRESS || code == ETIMEDOUT ? "timeout" : g_strerror (code);
}

int
bed_open (int netns, const char *address, guint16 port, int type)
{
  SwarmNetdAddress to = addr (address);
  struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons (port) };
  struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons (port) };
  gboolean is_v4 = swarm_netd_address_is_v4 (&to);
  struct timeval limit = { .tv_sec = bed_patience };
  memcpy (&v4.sin_addr, to.bytes + 12, 4);
  memcpy (&v6.sin6_addr, to.bytes, 16);
  g_assert_true (swarm_netd_netns_enter (netns, NULL));
  int fd = socket (is_v4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0);
  swarm_netd_netns_leave ();
  setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt (fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (connect (fd, is_v4 ? (struct sockaddr *) &v4 : (struct sockaddr *) &v6, is_v4 ? sizeof v4 : sizeof v6) == 0)
    return fd;
  int code = errno;
  close (fd);
  errno = code;
  return -1;
}

char *
bed_ask (int netns, const char *address, guint16 port, int type)
{
  char text[128];
  int fd = bed_open (netns, address, port, type);
  if (fd < 0)
    return g_strdup (word_for (errno));
  ssize_t n = type == SOCK_DGRAM ? send (fd, "?", 1, 0) : 0;
  if (n >= 0)
    n = recv (fd, text, sizeof text - 1, 0);
  int code = errno;
  close (fd);
  return n >= 0 ? g_strndup (text, n) : g_strdup (word_for (code));
}

void
bed_assert_answer (int netns, const char *address, guint16 port, int type, const char *expected)
{
  g_autofree char *answer = bed_ask (netns, address, port, type);
  if (strcmp (answer, expected) != 0)
    g_error ("%s port %u answers \"%s\", not \"%s\"", address, port, answer, expected);
}

int
bed_connect (int netns, const char *address, guint16 port)
{
  char text[128];
  int fd = bed_open (netns, address, port, SOCK_STREAM);
  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (recv (fd, text, sizeof text, 0), >, 0); /* who it is */
  bed_assert_alive (fd);
  return fd;
}

void
bed_assert_alive (int connection)
{
  char text[8];
  g_assert_cmpint (send (connection, "alive?", 6, MSG_NOSIGNAL), ==, 6);
  g_assert_cmpint (recv (connection, text, sizeof text, 0), ==, 6);
}

char *
bed_shell (int netns, const char *command)
{
  const char *argv[] = { "/bin/sh", "-c", command, NULL };
  g_autoptr (GError) error = NULL;
  char *output = NULL;
  g_spawn_sync (NULL, (char **) argv, NULL, G_SPAWN_DEFAULT, in_namespace, GINT_TO_POINTER (netns), &output, NULL, NULL, &error);
  g_assert_no_error (error);
  return output;
}
