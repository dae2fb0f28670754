// SPDX-License-Identifier: LGPL-2.1-or-later
/* Containers that are no tasks: nobody else tells the agent when they end. A descriptor of each one's first process (pidfd_open(2)) becomes readable then;
 * they are gathered behind one that the agent's loop watches. */
#include "private.h"
#include <errno.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EVENTS_MAX 32

typedef struct {
  char *id;
  int fd;
} Process;

struct OverlayProcesses {
  SwarmPluginHost *host;
  OverlayProcessFunc func;
  gpointer data;
  GHashTable *by_id; /* id in the Process → Process */
  int epoll;         /* -1: none yet */
  guint64 watch;
};

static void
process_free (gpointer data)
{
  Process *process = data;
  close (process->fd); /* and thus gone from epoll */
  g_free (process->id);
  g_free (process);
}

/* What is told may take others away: each is looked for again. */
static void
on_event (int fd, uint32_t ready, void *data)
{
  OverlayProcesses *self = data;
  struct epoll_event events[EVENTS_MAX];
  g_autoptr (GPtrArray) ids = g_ptr_array_new_with_free_func (g_free);
  int n = epoll_wait (self->epoll, events, EVENTS_MAX, 0);
  for (int i = 0; i < n; i++)
    g_ptr_array_add (ids, g_strdup (((Process *) events[i].data.ptr)->id));
  for (guint i = 0; i < ids->len; i++) {
    const char *id = ids->pdata[i];
    const Process *process = g_hash_table_lookup (self->by_id, id);
    if (process == NULL)
      continue;
    g_hash_table_remove (self->by_id, id);
    self->func (self->data, id);
  }
}

OverlayProcesses *
overlay_processes_new (SwarmPluginHost *host, OverlayProcessFunc func, gpointer data)
{
  OverlayProcesses *self = g_new0 (OverlayProcesses, 1);
  self->host = host;
  self->func = func;
  self->data = data;
  self->epoll = -1;
  self->by_id = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, process_free);
  return self;
}

void
overlay_processes_free (OverlayProcesses *self)
{
  if (self->watch != 0)
    self->host->fd_unwatch (self->host, self->watch);
  g_hash_table_unref (self->by_id);
  if (self->epoll >= 0)
    close (self->epoll);
  g_free (self);
}

static gboolean
is_open (OverlayProcesses *self)
{
  if (self->epoll < 0)
    self->epoll = epoll_create1 (EPOLL_CLOEXEC);
  if (self->epoll >= 0 && self->watch == 0)
    self->watch = self->host->fd_watch (self->host, self->epoll, SWARM_PLUGIN_READABLE, on_event, self);
  if (self->epoll >= 0 && self->watch == 0)
    errno = EMFILE;
  return self->epoll >= 0 && self->watch != 0;
}

gboolean
overlay_processes_add (OverlayProcesses *self, const char *id, guint32 pid)
{
  overlay_processes_remove (self, id);
  if (pid == 0)
    errno = ESRCH;
  int fd = pid != 0 && is_open (self) ? (int) syscall (SYS_pidfd_open, (pid_t) pid, 0) : -1;
  if (fd < 0)
    return FALSE;
  Process *process = g_new (Process, 1);
  *process = (Process){ g_strdup (id), fd };
  struct epoll_event event = { .events = EPOLLIN, .data.ptr = process };
  if (epoll_ctl (self->epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
    int code = errno;
    process_free (process);
    errno = code;
    return FALSE;
  }
  g_hash_table_insert (self->by_id, process->id, process);
  return TRUE;
}

void
overlay_processes_remove (OverlayProcesses *self, const char *id)
{
  g_hash_table_remove (self->by_id, id);
}
