// SPDX-License-Identifier: LGPL-2.1-or-later
#include "netd/servers.h"
#include "netd/netns.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX 65536
#define LINKS_MAX 16

static void
parse (const char *text, GArray *servers)
{
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  for (guint i = 0; lines[i] != NULL && servers->len < SWARM_NETD_SERVERS_MAX; i++) {
    SwarmNetdAddress address;
    char *at = g_strstrip (lines[i]);
    if (!g_str_has_prefix (at, "nameserver") || !g_ascii_isspace (at[10]))
      continue;
    at = g_strstrip (at + 10);
    at[strcspn (at, " \t%#;")] = '\0';
    if (swarm_netd_address_parse (at, &address))
      g_array_append_val (servers, address);
  }
}

static void
read_host (GArray *servers)
{
  g_autofree char *text = NULL;
  g_array_set_size (servers, 0);
  if (g_file_get_contents ("/etc/resolv.conf", &text, NULL, NULL))
    parse (text, servers);
}

void
swarm_netd_host_servers (GArray *servers)
{
  static GArray *kept;
  static struct timespec changed;
  struct stat st;
  if (kept == NULL)
    kept = g_array_new (FALSE, FALSE, sizeof (SwarmNetdAddress));
  if (stat ("/etc/resolv.conf", &st) == 0 && (st.st_mtim.tv_sec != changed.tv_sec || st.st_mtim.tv_nsec != changed.tv_nsec)) {
    changed = st.st_mtim;
    read_host (kept);
  }
  g_array_append_vals (servers, kept->data, kept->len);
}

/* Whoever is in the container may have put anything there: links lead nowhere but into its own root, and what is no file is not read. (openat2(2) would do it,
 * but not under RestrictSUIDSGID=.) @dir is taken. -1: @parts do not lead to a file; with @link when the first @n of them are a link, to that. */
static int
walk (int dir, char *const *parts, char **link, guint *n)
{
  for (*n = 0; dir >= 0 && parts[*n] != NULL; (*n)++) {
    gboolean last = parts[*n + 1] == NULL;
    char target[4096];
    struct stat st;
    ssize_t length = readlinkat (dir, parts[*n], target, sizeof target - 1);
    int next = length < 0 ? openat (dir, parts[*n], (last ? O_RDONLY | O_NONBLOCK | O_NOCTTY : O_PATH | O_DIRECTORY) | O_NOFOLLOW | O_CLOEXEC) : -1;
    close (dir);
    dir = next;
    if (length >= 0)
      *link = g_strndup (target, length);
    if (last && dir >= 0 && (fstat (dir, &st) < 0 || !S_ISREG (st.st_mode))) {
      close (dir);
      return -1;
    }
  }
  return dir;
}

/* Where @parts lead, the first @n of which are a link. What lies before a link is none: ".." at its beginning may be read as text. */
static char *
follow (char *const *parts, guint n, const char *link)
{
  g_autoptr (GString) before = g_string_new ("/");
  g_autofree char *rest = g_strjoinv ("/", (char **) parts + n), *after = g_build_filename (link, rest, NULL);
  for (guint i = 0; i + 1 < n; i++)
    g_string_append_printf (before, "%s/", parts[i]);
  return g_canonicalize_filename (after, before->str);
}

static int
open_there (int root)
{
  g_autofree char *path = g_strdup ("/etc/resolv.conf");
  for (guint i = 0; i < LINKS_MAX; i++) {
    g_auto (GStrv) parts = g_strsplit (path + 1, "/", -1);
    g_autofree char *link = NULL;
    guint n;
    int fd = walk (fcntl (root, F_DUPFD_CLOEXEC, 0), parts, &link, &n);
    if (link == NULL)
      return fd;
    g_free (path);
    path = follow (parts, n, link);
  }
  return -1;
}

void
swarm_netd_process_servers (guint32 pid, guint64 started, GArray *servers)
{
  g_autofree char *text = g_malloc (FILE_MAX + 1);
  int root = swarm_netd_process_root (pid, started), fd = root >= 0 ? open_there (root) : -1;
  ssize_t n = fd >= 0 ? read (fd, text, FILE_MAX) : -1;
  if (fd >= 0)
    close (fd);
  if (root >= 0)
    close (root);
  text[MAX (n, 0)] = '\0';
  parse (text, servers);
}
