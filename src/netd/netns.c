// SPDX-License-Identifier: LGPL-2.1-or-later
#include "netd/netns.h"
#include "base/log.h"
#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int home = -1;

static gboolean
failed (const char *what, GError **error)
{
  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno), "%s: %s", what, g_strerror (errno));
  return FALSE;
}

gboolean
swarm_netd_netns_init (GError **error)
{
  home = open ("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  return home >= 0 || failed ("this network namespace", error);
}

int
swarm_netd_netns_home (void)
{
  return home;
}

/* Going on in the wrong namespace would break a task's network or the host's. */
void
swarm_netd_netns_leave (void)
{
  if (setns (home, CLONE_NEWNET) < 0)
    g_error ("cannot come back from a network namespace: %s", g_strerror (errno));
}

gboolean
swarm_netd_netns_enter (int fd, GError **error)
{
  return setns (fd, CLONE_NEWNET) == 0 || failed ("enter the network namespace", error);
}

static gboolean
loopback_up (void)
{
  int fd = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  struct ifreq request = { .ifr_flags = IFF_UP | IFF_RUNNING };
  strcpy (request.ifr_name, "lo");
  gboolean ok = fd >= 0 && ioctl (fd, SIOCSIFFLAGS, &request) == 0;
  if (fd >= 0)
    close (fd);
  return ok;
}

int
swarm_netd_fd_away (int fd)
{
  int away = fd >= 0 && fd < FD_SETSIZE ? fcntl (fd, F_DUPFD_CLOEXEC, FD_SETSIZE) : -1;
  if (away < 0)
    return fd;
  close (fd);
  return away;
}

int
swarm_netd_netns_new (GError **error)
{
  if (unshare (CLONE_NEWNET) < 0) {
    failed ("make a network namespace", error);
    return -1;
  }
  int fd = open ("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  if (fd < 0 || !loopback_up ()) {
    failed ("set up a network namespace", error);
    if (fd >= 0)
      close (fd);
    fd = -1;
  }
  swarm_netd_netns_leave ();
  return swarm_netd_fd_away (fd);
}

static gboolean
is_home (int fd)
{
  struct stat this, ours;
  return fstat (fd, &this) < 0 || fstat (home, &ours) < 0 || (this.st_dev == ours.st_dev && this.st_ino == ours.st_ino);
}

/* When the process of @proc (its directory) began, as the kernel counts. The second field, its name, may have anything in it. */
static guint64
start_of (int proc)
{
  char text[1024];
  int fd = openat (proc, "stat", O_RDONLY | O_CLOEXEC);
  ssize_t n = fd >= 0 ? read (fd, text, sizeof text - 1) : -1;
  if (fd >= 0)
    close (fd);
  text[MAX (n, 0)] = '\0';
  char *at = strrchr (text, ')');
  for (guint i = 2; i < 22 && at != NULL; i++)
    at = strchr (at + 1, ' ');
  return at != NULL ? g_ascii_strtoull (at + 1, NULL, 10) : 0;
}

guint64
swarm_netd_process_start (guint32 pid)
{
  g_autofree char *path = g_strdup_printf ("/proc/%u", pid);
  int proc = open (path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  guint64 start = proc >= 0 ? start_of (proc) : 0;
  if (proc >= 0)
    close (proc);
  return start;
}

/* An open /proc/PID stays that process's: when it is gone nothing is found there. */
int
swarm_netd_netns_open_pid (guint32 pid, guint64 started, GError **error)
{
  g_autofree char *path = g_strdup_printf ("/proc/%u", pid);
  int proc = open (path, O_PATH | O_DIRECTORY | O_CLOEXEC), fd = proc >= 0 ? openat (proc, "ns/net", O_RDONLY | O_CLOEXEC) : -1;
  if (fd < 0)
    failed ("the network namespace of the process", error);
  else if (start_of (proc) != started)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "process %u is another one by now: the one that was meant has ended", pid);
  else if (is_home (fd))
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "process %u is in the host's own network namespace", pid);
  else {
    close (proc);
    return swarm_netd_fd_away (fd);
  }
  if (fd >= 0)
    close (fd);
  if (proc >= 0)
    close (proc);
  return -1;
}

int
swarm_netd_process_root (guint32 pid, guint64 started)
{
  g_autofree char *path = g_strdup_printf ("/proc/%u", pid);
  int proc = open (path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  int root = proc >= 0 && start_of (proc) == started ? openat (proc, "root", O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
  if (proc >= 0)
    close (proc);
  return root;
}

gboolean
swarm_netd_sysctl (const char *path, const char *value)
{
  g_autofree char *full = g_strconcat ("/proc/sys/net/", path, NULL);
  int fd = open (full, O_WRONLY | O_CLOEXEC);
  gboolean ok = fd >= 0 && write (fd, value, strlen (value)) == (ssize_t) strlen (value);
  if (fd >= 0)
    close (fd);
  return ok;
}
