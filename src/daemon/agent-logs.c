// SPDX-License-Identifier: LGPL-2.1-or-later
/* Logs of a service from all nodes: the leader opens a stream to each node with tasks and merges the lines into a pipe (OpenLogs), into a
 * stream to a follower (Logs.Read), or into pages (ReadLogs). A slow reader holds the nodes' streams back: nothing piles up here. */
#include "base/error.h"
#include "daemon/agent-private.h"
#include "daemon/log-lines.h"
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_HIGH (256 * 1024)
#define MAX_LINE (2 * 1024 * 1024)
#define MAX_PAGE 1000
#define TASKS_PER_STREAM 200
#define TAILED_PER_STREAM 64 /* each has a reader of its own */
#define STREAMS_PER_NODE 16
#define MAX_SESSIONS 64
#define MAX_SESSIONS_UID 16 /* one user shall not keep the others from theirs */
#define PAGE_BYTES (1024 * 1024)          /* text in one answer of ReadLogs */
#define PAGE_SOURCES_BYTES (4 * 1024 * 1024) /* what all nodes together may give for it … */
#define PAGE_SOURCE_MIN (16 * 1024)       /* … but each at least this */
#define PAGE_TIMEOUT_US (20 * G_USEC_PER_SEC)
#define RETIRE_S 3 /* after a task's end its last lines still arrive */

typedef struct _LogSession LogSession;

/* One node's stream. */
typedef struct {
  LogSession *owner;
  SwarmStream *stream;
  SwarmId node;
  char *hostname;
  GString *partial; /* a line that is not complete yet */
  gboolean ended;
  SwarmId task; /* the only one that it reads; nil: several */
  guint retire_source;
  /* pages: how much came, up to when */
  guint lines;
  gsize bytes;
  guint64 last;
} Source;

struct _LogSession {
  SwarmAgent *agent;
  guint32 uid; /* who reads; of one that reads through another manager only that manager is known */
  SwarmId service;
  char *service_name;
  gboolean follow;
  guint tail;
  guint64 since;
  SwarmId only_task; /* nil: all */
  GPtrArray *sources;
  GHashTable *covered; /* SwarmId of tasks that a source reads */
  GHashTable *tasks;   /* SwarmId → SwarmLogTask */
  guint watch;
  GString *buffer;
  gboolean held;
  gboolean freeing;
  /* one of the three sinks */
  int fd;
  guint fd_source;
  guint hangup_source;
  SwarmStream *stream;
  SwarmInvocation *page;
  SwarmLogPage page_of;
  SwarmTimer *page_timer;
  guint free_source;
};

static void session_flush (LogSession *self);

/* ---- life ---- */

static void
source_free (gpointer data)
{
  Source *source = data;
  if (source->stream != NULL)
    swarm_stream_close (source->stream);
  if (source->retire_source != 0)
    g_source_remove (source->retire_source);
  g_free (source->hostname);
  g_string_free (source->partial, TRUE);
  g_free (source);
}

static gboolean
session_free (gpointer data)
{
  LogSession *self = data;
  g_ptr_array_remove_fast (self->agent->log_sessions, self);
  g_ptr_array_unref (self->sources);
  g_hash_table_unref (self->covered);
  g_hash_table_unref (self->tasks);
  g_string_free (self->buffer, TRUE);
  g_free (self->service_name);
  g_free (self);
  return G_SOURCE_REMOVE;
}

static void
session_end (LogSession *self)
{
  if (self->freeing)
    return;
  self->freeing = TRUE;
  if (self->watch != 0 && self->agent->stack != NULL)
    swarm_store_unwatch (swarm_stack_store (self->agent->stack), self->watch);
  if (self->fd_source != 0)
    g_source_remove (self->fd_source);
  if (self->hangup_source != 0)
    g_source_remove (self->hangup_source);
  if (self->fd >= 0)
    close (self->fd);
  if (self->stream != NULL)
    swarm_stream_end (g_steal_pointer (&self->stream), NULL);
  swarm_clock_clear_timer (self->agent->clock, &self->page_timer);
  if (self->page != NULL)
    swarm_invocation_fail_literal (g_steal_pointer (&self->page), SWARM_ERROR_UNAVAILABLE, "this manager stops");
  for (guint i = 0; i < self->sources->len; i++) {
    Source *source = self->sources->pdata[i];
    source->ended = TRUE;
    g_clear_pointer (&source->stream, swarm_stream_close);
  }
  /* From idle: a source may be in its callback. */
  self->free_source = g_idle_add (session_free, self);
}

void
swarm_agent_end_logs (SwarmAgent *self)
{
  while (self->log_sessions->len > 0) {
    LogSession *session = self->log_sessions->pdata[0];
    session_end (session);
    g_source_remove (session->free_source);
    session_free (session);
  }
}

void
swarm_agent_logs_follow_lead (SwarmAgent *self)
{
  if (self->stack == NULL || swarm_consensus_is_leader (swarm_stack_consensus (self->stack)))
    return;
  for (guint i = 0; i < self->log_sessions->len; i++) {
    LogSession *session = self->log_sessions->pdata[i];
    if (session->watch != 0)
      session_end (session);
  }
}

static guint
count_sessions (SwarmAgent *agent, guint32 uid)
{
  guint n = 0;
  for (guint i = 0; i < agent->log_sessions->len; i++)
    n += ((LogSession *) agent->log_sessions->pdata[i])->uid == uid;
  return n;
}

static LogSession *
session_new (SwarmAgent *agent, const SwarmService *service, const SwarmCaller *caller, GError **error)
{
  if (agent->log_sessions->len >= MAX_SESSIONS) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED, "logs are read %u times at once on this manager already", MAX_SESSIONS);
    return NULL;
  }
  if (caller->on_bus && count_sessions (agent, caller->uid) >= MAX_SESSIONS_UID) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED, "you read logs %u times at once on this manager already", MAX_SESSIONS_UID);
    return NULL;
  }
  LogSession *self = g_new0 (LogSession, 1);
  self->agent = agent;
  self->uid = caller->on_bus ? caller->uid : G_MAXUINT32;
  self->page_of.until = G_MAXUINT64;
  self->page_of.max_bytes = PAGE_BYTES;
  g_ptr_array_add (agent->log_sessions, self);
  self->fd = -1;
  if (service != NULL) {
    self->service = service->object.id;
    self->service_name = g_strdup (service->spec->name);
  }
  self->sources = g_ptr_array_new_with_free_func (source_free);
  self->covered = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, g_free, NULL);
  self->tasks = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, g_free, g_free);
  self->buffer = g_string_new (NULL);
  return self;
}

/* ---- sinks ---- */

static void
hold_all (LogSession *self, gboolean hold)
{
  if (self->held == hold)
    return;
  self->held = hold;
  for (guint i = 0; i < self->sources->len; i++) {
    Source *source = self->sources->pdata[i];
    if (source->stream != NULL && !source->ended)
      swarm_stream_hold (source->stream, hold);
  }
}

static gboolean
all_ended (LogSession *self)
{
  for (guint i = 0; i < self->sources->len; i++)
    if (!((Source *) self->sources->pdata[i])->ended)
      return FALSE;
  return TRUE;
}

static gboolean
fd_writable (int fd, GIOCondition condition, gpointer data)
{
  LogSession *self = data;
  self->fd_source = 0;
  session_flush (self);
  return G_SOURCE_REMOVE;
}

static void
flush_fd (LogSession *self)
{
  while (self->buffer->len > 0) {
    ssize_t n = write (self->fd, self->buffer->str, self->buffer->len);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0 && errno == EAGAIN) {
      if (self->fd_source == 0)
        self->fd_source = g_unix_fd_add (self->fd, G_IO_OUT | G_IO_ERR, fd_writable, self);
      return;
    }
    if (n < 0) {
      session_end (self);
      return;
    }
    g_string_erase (self->buffer, 0, n);
  }
}

static void
flush_stream (LogSession *self)
{
  if (self->buffer->len == 0)
    return;
  g_autoptr (GBytes) chunk = g_bytes_new (self->buffer->str, self->buffer->len);
  g_string_truncate (self->buffer, 0);
  hold_all (self, !swarm_stream_write (self->stream, chunk));
}

static void
session_flush (LogSession *self)
{
  if (self->freeing)
    return;
  if (self->page != NULL) {
    if (!all_ended (self))
      return;
    swarm_invocation_return (g_steal_pointer (&self->page), swarm_log_page (self->buffer->str, &self->page_of));
    session_end (self);
    return;
  }
  if (self->fd >= 0)
    flush_fd (self);
  else if (self->stream != NULL)
    flush_stream (self);
  if (self->freeing)
    return;
  if (self->fd >= 0)
    hold_all (self, self->buffer->len > BUFFER_HIGH);
  if (!self->follow && self->buffer->len == 0 && all_ended (self))
    session_end (self);
}

/* ---- lines from nodes ---- */

static void
take_line (Source *source, const char *line)
{
  LogSession *self = source->owner;
  if (!swarm_log_line_append (self->buffer, line, self->tasks, &source->node, source->hostname, self->service_name))
    return;
  source->lines++;
  source->bytes += strlen (line);
  source->last = g_ascii_strtoull (line, NULL, 10);
}

/* A page needs no more lines of one node than it can hold. */
static void
limit_page_source (Source *source)
{
  LogSession *self = source->owner;
  gsize share = MAX (PAGE_SOURCES_BYTES / self->sources->len, PAGE_SOURCE_MIN);
  if (source->lines < self->page_of.max + self->page_of.skip && source->bytes < share)
    return;
  self->page_of.until = MIN (self->page_of.until, source->last);
  source->ended = TRUE;
  g_clear_pointer (&source->stream, swarm_stream_close);
}

static void
warn_missing (LogSession *self, const char *hostname, const char *reason)
{
  g_string_append_printf (self->buffer,
                          "0 - %s 2 %s.0 warning: incomplete log stream. some logs could not be retrieved for the following reasons: "
                          "node %s %s\n",
                          hostname, self->service_name, hostname, reason);
}

static void
source_data (GBytes *chunk, const GError *error, gpointer data)
{
  Source *source = data;
  LogSession *self = source->owner;
  if (chunk == NULL) {
    g_autofree char *reason = error != NULL ? g_strdup_printf ("says: %s", error->message) : NULL;
    source->ended = TRUE;
    if (reason != NULL)
      warn_missing (self, source->hostname, g_strdelimit (reason, "\r\n", ' ')); /* one line, whatever the node says */
    session_flush (self);
    return;
  }
  gsize len;
  const char *bytes = g_bytes_get_data (chunk, &len);
  g_string_append_len (source->partial, bytes, len);
  char *start = source->partial->str, *newline;
  while ((newline = strchr (start, '\n')) != NULL) {
    *newline = '\0';
    take_line (source, start);
    start = newline + 1;
  }
  g_string_erase (source->partial, 0, start - source->partial->str);
  if (source->partial->len > MAX_LINE)
    g_string_truncate (source->partial, 0);
  if (self->page != NULL)
    limit_page_source (source);
  session_flush (self);
}

static void
open_source (LogSession *self, SwarmLink *link, const SwarmId *node, const char *hostname, GPtrArray *tasks, const SwarmId *only)
{
  GVariantDict selector;
  g_variant_dict_init (&selector, NULL);
  g_variant_dict_insert (&selector, "task_ids", "^as", (const char **) tasks->pdata);
  g_variant_dict_insert (&selector, "since", "t", self->since);
  g_variant_dict_insert (&selector, "tail", "u", self->tail);
  g_variant_dict_insert (&selector, "follow", "b", self->follow);
  Source *source = g_new0 (Source, 1);
  source->owner = self;
  source->node = *node;
  source->hostname = g_strdup (hostname);
  source->partial = g_string_new (NULL);
  source->task = only != NULL ? *only : SWARM_ID_NIL;
  g_ptr_array_add (self->sources, source);
  source->stream = swarm_link_open (link, "org.swarmagent1.Worker", "ReadLogs", g_variant_new ("(@a{sv})", g_variant_dict_end (&selector)),
                                    source_data, source);
  source->ended = source->stream == NULL;
}

/* Several streams when a node has many tasks: one request, and one reader of the journal, takes no more. @only: follow a single task. */
static void
open_node (LogSession *self, const SwarmId *node, GPtrArray *ids, const SwarmId *only)
{
  SwarmStack *stack = self->agent->stack;
  const SwarmNode *object = swarm_store_get (swarm_stack_store (stack), SWARM_KIND_NODE, node);
  const char *name = object != NULL ? swarm_object_name (&object->object) : "", *hostname = *name != '\0' ? name : "?";
  SwarmLink *link = swarm_dispatcher_link (swarm_manager_dispatcher (swarm_stack_manager (stack)), node);
  guint left;
  if (link == NULL) {
    warn_missing (self, hostname, "is not available");
    return;
  }
  g_autoptr (GPtrArray) parts = swarm_log_parts (ids, self->tail > 0 ? TAILED_PER_STREAM : TASKS_PER_STREAM, STREAMS_PER_NODE, &left);
  for (guint i = 0; i < parts->len; i++)
    open_source (self, link, node, hostname, parts->pdata[i], only);
  if (left > 0) {
    g_autofree char *reason = g_strdup_printf ("has %u tasks more than can be read at once; name a task", left);
    warn_missing (self, hostname, reason);
  }
}

/* ---- which tasks ---- */

static gboolean
wanted (LogSession *self, const SwarmTask *task)
{
  return swarm_id_equal (&task->service_id, &self->service) && !swarm_id_is_nil (&task->node_id)
         && task->status->state >= SWARM_TASK_STARTING && (swarm_id_is_nil (&self->only_task) || swarm_id_equal (&self->only_task, &task->object.id))
         && !g_hash_table_contains (self->covered, &task->object.id);
}

static void
cover (LogSession *self, const SwarmTask *task)
{
  g_hash_table_add (self->covered, g_memdup2 (&task->object.id, sizeof (SwarmId)));
  SwarmLogTask *known = g_new (SwarmLogTask, 1);
  *known = (SwarmLogTask){ task->node_id, (guint) task->slot };
  g_hash_table_insert (self->tasks, g_memdup2 (&task->object.id, sizeof (SwarmId)), known);
}

static void
open_all (LogSession *self)
{
  g_autoptr (GPtrArray) tasks = swarm_store_tasks_of_service (swarm_stack_store (self->agent->stack), &self->service);
  g_autoptr (GHashTable) by_node = g_hash_table_new_full (swarm_id_hash, swarm_id_equal, NULL, (GDestroyNotify) g_ptr_array_unref);
  GHashTableIter iter;
  const SwarmId *node;
  GPtrArray *ids;
  for (guint i = 0; i < tasks->len; i++) {
    SwarmTask *task = tasks->pdata[i];
    if (!wanted (self, task))
      continue;
    cover (self, task);
    ids = g_hash_table_lookup (by_node, &task->node_id);
    if (ids == NULL) {
      ids = g_ptr_array_new_with_free_func (g_free);
      g_hash_table_insert (by_node, &task->node_id, ids);
    }
    g_ptr_array_add (ids, swarm_id_dup_string (&task->object.id));
  }
  g_hash_table_iter_init (&iter, by_node);
  while (g_hash_table_iter_next (&iter, (gpointer *) &node, (gpointer *) &ids))
    open_node (self, node, ids, NULL);
}

static gboolean
retire (gpointer data)
{
  Source *source = data;
  source->retire_source = 0;
  g_hash_table_remove (source->owner->tasks, &source->task);
  g_ptr_array_remove (source->owner->sources, source);
  return G_SOURCE_REMOVE;
}

/* Who follows a service whose tasks come and go must not keep a stream, and a reader of the journal, for each that ever was. */
static void
task_ended (LogSession *self, const SwarmId *task)
{
  for (guint i = 0; i < self->sources->len; i++) {
    Source *source = self->sources->pdata[i];
    if (swarm_id_equal (&source->task, task) && source->retire_source == 0)
      source->retire_source = g_timeout_add_seconds (RETIRE_S, retire, source);
  }
}

/* Tasks that start or end while somebody follows. */
static void
store_event (const SwarmEvent *event, gpointer data)
{
  LogSession *self = data;
  if (self->freeing || event->event == SWARM_EVENT_COMMIT || event->event == SWARM_EVENT_RESET)
    return;
  if (event->kind == SWARM_KIND_SERVICE) {
    if (event->event == SWARM_EVENT_REMOVE && swarm_id_equal (&SWARM_OBJECT (event->object)->id, &self->service))
      session_end (self);
    return;
  }
  const SwarmTask *task = event->object;
  if (event->event == SWARM_EVENT_REMOVE) {
    task_ended (self, &task->object.id);
    g_hash_table_remove (self->covered, &task->object.id);
    return;
  }
  if (task->status->state > SWARM_TASK_RUNNING && g_hash_table_contains (self->covered, &task->object.id))
    task_ended (self, &task->object.id);
  if (event->event != SWARM_EVENT_UPDATE || !wanted (self, task))
    return;
  g_autoptr (GPtrArray) ids = g_ptr_array_new_with_free_func (g_free);
  cover (self, task);
  g_ptr_array_add (ids, swarm_id_dup_string (&task->object.id));
  self->tail = 0;
  open_node (self, &task->node_id, ids, &task->object.id);
  session_flush (self);
}

static gboolean
parse_options (LogSession *self, GVariant *options, GError **error)
{
  const char *task = "";
  g_variant_lookup (options, "follow", "b", &self->follow);
  g_variant_lookup (options, "tail", "u", &self->tail);
  g_variant_lookup (options, "since", "t", &self->since);
  g_variant_lookup (options, "task", "&s", &task);
  if (*task == '\0' || swarm_id_parse (task, &self->only_task))
    return TRUE;
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "\"%s\" is not a task id", task);
  return FALSE;
}

static void
begin (LogSession *self)
{
  open_all (self);
  if (self->follow)
    self->watch = swarm_store_watch (swarm_stack_store (self->agent->stack), 1 << SWARM_KIND_TASK | 1 << SWARM_KIND_SERVICE, store_event, self);
  session_flush (self);
}

/* ---- a follower: everything comes from the leader ---- */

static void
leader_data (GBytes *chunk, const GError *error, gpointer data)
{
  Source *source = data;
  LogSession *self = source->owner;
  if (chunk == NULL) {
    source->ended = TRUE;
    self->follow = FALSE;
  } else {
    gsize len;
    const char *bytes = g_bytes_get_data (chunk, &len);
    g_string_append_len (self->buffer, bytes, len);
  }
  session_flush (self);
}

static gboolean
begin_at_leader (LogSession *self, const SwarmId *leader, GVariant *options)
{
  Source *source = g_new0 (Source, 1);
  source->owner = self;
  source->partial = g_string_new (NULL);
  g_ptr_array_add (self->sources, source);
  source->stream = swarm_peers_open (self->agent->peers, leader, "org.swarmagent1.Logs", "Read",
                                     g_variant_new ("(s@a{sv})", swarm_id_string (&self->service).str, options), leader_data, source);
  return source->stream != NULL;
}

static gboolean
leads (SwarmAgent *self)
{
  return swarm_consensus_is_leader (swarm_stack_consensus (self->stack));
}

/* ---- the three ways ---- */

static gboolean
hung_up (int fd, GIOCondition condition, gpointer data)
{
  LogSession *self = data;
  self->hangup_source = 0;
  session_end (self);
  return G_SOURCE_REMOVE;
}

/* OpenLogs at a follower: waits for the way to the leader. */
typedef struct {
  SwarmAgent *agent;
  SwarmInvocation *invocation;
  GVariant *options;
  SwarmId service;
  SwarmId leader;
} LogsRequest;

static void
open_pipe (SwarmAgent *self, const SwarmService *service, GVariant *options, const SwarmId *leader, SwarmInvocation *invocation)
{
  g_autoptr (GError) error = NULL;
  LogSession *session = session_new (self, service, swarm_invocation_caller (invocation), &error);
  int fds[2];
  if (session == NULL || !parse_options (session, options, &error) || !g_unix_open_pipe (fds, FD_CLOEXEC, &error)) {
    swarm_invocation_fail (invocation, error);
    if (session != NULL)
      session_free (session);
    return;
  }
  g_autoptr (GUnixFDList) list = g_unix_fd_list_new_from_array (fds, 1);
  g_unix_set_fd_nonblocking (fds[1], TRUE, NULL);
  session->fd = fds[1];
  session->hangup_source = g_unix_fd_add (session->fd, G_IO_ERR, hung_up, session);
  if (leader != NULL && !begin_at_leader (session, leader, options)) {
    swarm_invocation_fail_literal (invocation, SWARM_ERROR_UNAVAILABLE, "the leader cannot be reached for the logs; try again");
    session_end (session);
    return;
  }
  swarm_invocation_return_fds (invocation, g_variant_new ("(h)", 0), list);
  if (leader == NULL)
    begin (session);
}

static void
leader_reached (GVariant *reply, const GError *error, gpointer data)
{
  g_autofree LogsRequest *request = data;
  g_autoptr (GVariant) options = request->options;
  SwarmAgent *self = request->agent;
  const SwarmService *service
      = self->stack != NULL ? swarm_store_get (swarm_stack_store (self->stack), SWARM_KIND_SERVICE, &request->service) : NULL;
  if (error != NULL)
    swarm_invocation_fail (request->invocation, error);
  else if (service == NULL)
    swarm_invocation_fail_literal (request->invocation, SWARM_ERROR_NOT_FOUND, "the service is gone");
  else
    open_pipe (self, service, options, &request->leader, request->invocation);
}

void
swarm_agent_open_logs (gpointer agent, SwarmService *service, GVariant *options, SwarmInvocation *invocation)
{
  SwarmAgent *self = agent;
  if (leads (self)) {
    open_pipe (self, service, options, NULL, invocation);
    return;
  }
  LogsRequest *request = g_new (LogsRequest, 1);
  *request = (LogsRequest){ self, invocation, g_variant_ref (options), service->object.id,
                            swarm_consensus_leader (swarm_stack_consensus (self->stack)) };
  swarm_peers_reach (self->peers, &request->leader, leader_reached, request);
}

static void
page_too_late (gpointer data)
{
  LogSession *self = data;
  self->page_timer = NULL;
  for (guint i = 0; i < self->sources->len; i++) {
    const Source *source = self->sources->pdata[i];
    if (source->ended)
      continue;
    g_autoptr (GError) error = g_error_new (SWARM_ERROR, SWARM_ERROR_TIMED_OUT, "node %s does not answer for its logs", source->hostname);
    swarm_invocation_fail (g_steal_pointer (&self->page), error);
    break;
  }
  session_end (self);
}

void
swarm_agent_read_logs (gpointer agent, SwarmService *service, const char *cursor, guint max, SwarmInvocation *invocation)
{
  SwarmAgent *self = agent;
  g_autoptr (GError) error = NULL;
  LogSession *session = session_new (self, service, swarm_invocation_caller (invocation), &error);
  if (session == NULL) {
    swarm_invocation_fail (invocation, error);
    return;
  }
  if (!swarm_log_cursor_parse (cursor, &session->page_of)) {
    swarm_invocation_fail_literal (invocation, SWARM_ERROR_INVALID_ARGUMENT, "that cursor is not one that ReadLogs gave");
    session_free (session);
    return;
  }
  session->since = session->page_of.after;
  session->page = invocation;
  session->page_of.max = max == 0 ? MAX_PAGE : MIN (max, MAX_PAGE);
  session->page_timer = swarm_clock_timer (self->clock, PAGE_TIMEOUT_US, SWARM_PRIORITY_NORMAL, page_too_late, session);
  begin (session);
}

static void
stream_ready (SwarmStream *stream, gpointer data)
{
  LogSession *self = data;
  if (self->freeing)
    return;
  if (stream->broken) {
    session_end (self);
    return;
  }
  hold_all (self, FALSE);
  session_flush (self);
}

void
swarm_agent_stream_logs (gpointer agent, SwarmInvocation *invocation)
{
  SwarmAgent *self = agent;
  const char *id_text;
  SwarmId id;
  g_autoptr (GVariant) options = NULL;
  g_autoptr (GError) error = NULL;
  g_variant_get (swarm_invocation_args (invocation), "(&s@a{sv})", &id_text, &options);
  const SwarmService *service = swarm_id_parse (id_text, &id) ? swarm_store_get (swarm_stack_store (self->stack), SWARM_KIND_SERVICE, &id) : NULL;
  if (service == NULL || !leads (self)) {
    swarm_invocation_fail_literal (invocation, SWARM_ERROR_NOT_FOUND, "no such service here");
    return;
  }
  LogSession *session = session_new (self, service, swarm_invocation_caller (invocation), &error);
  if (session == NULL || !parse_options (session, options, &error)) {
    swarm_invocation_fail (invocation, error);
    if (session != NULL)
      session_free (session);
    return;
  }
  session->stream = swarm_invocation_stream (invocation, stream_ready, session);
  if (session->stream == NULL) {
    swarm_invocation_fail_literal (invocation, SWARM_ERROR_INVALID_ARGUMENT, "Read answers with a stream");
    session_free (session);
    return;
  }
  begin (session);
}
