// SPDX-License-Identifier: LGPL-2.1-or-later
/* One session with the leader: dial a manager that we know, register, beat; on trouble look again, with growing pauses.
 *
 *   NONE → CONNECTING (dial, then Register) → REGISTERED → CONNECTING …
 *
 * The control link carries calls both ways; beats have a link of their own, so that no bulk delays them. */
#include "base/error.h"
#include "base/log.h"
#include "worker/private.h"
#include <string.h>

#define DISPATCHER "org.swarmagent1.Dispatcher"
#define CONNECT_LIMIT_US (5 * G_USEC_PER_SEC)
#define SILENT_LIMIT_US (1 * G_USEC_PER_SEC) /* while there are others, and nobody said that this one leads: several may be off (see UNKNOWN_MANAGER_US) */
#define REGISTER_LIMIT_US (5 * G_USEC_PER_SEC)
#define GOODBYE_LIMIT_US (2 * G_USEC_PER_SEC)
#define BACKOFF_FIRST_US (100 * 1000)
#define BACKOFF_LAST_US (8 * G_USEC_PER_SEC)
/* A new leader counts those down who have not come within six periods, and three seconds (manager/dispatcher/node.c): who waits for it asks in time. */
#define BACKOFF_LAST_PERIODS 3
#define BACKOFF_LAST_MIN_US (1500 * 1000)
#define BACKOFF_SILENT_US (400 * 1000) /* after one that did not answer (for a second at least): a host whose cable was out is to be back within two seconds */
#define REDIRECTS_MAX 3 /* from manager to manager without a pause */
#define DESCRIBE_RETRY_US (1000 * 1000) /* it may be told once a second */
#define BEAT_LINK_RETRY_US (200 * 1000)
#define PERIOD_MIN_US (10 * 1000)
#define PERIOD_MAX_US (600 * G_USEC_PER_SEC)
#define MISSED_MAX 3
#define QUICK_US (500 * 1000) /* an answer that says that the beat was not long on its way, to a leader that warns of clocks off by a second */
#define MANAGERS_MAX 100
#define TELL_FIRST 4 /* attempts in vain until it is said why, then four times as many, and so on */

struct _SwarmWorkerSession {
  SwarmWorker *worker;
  SwarmSessionState state;
  GPtrArray *managers; /* SwarmManagerAddress */
  SwarmId leader;      /* whom the last manager named; nil: nobody */
  guint next;          /* index of the manager to try next */
  guint attempts;
  guint backoff;
  guint redirects;
  char *address; /* of the link */
  gint64 dialled_at;   /* boottime; 0: it is up */
  gint64 limit;        /* for this try */
  GHashTable *silent;  /* addresses that did not answer when they were dialled last */
  char *avoid;   /* where the last session ended: others first */
  SwarmLink *link;
  SwarmLink *beat_link;
  GBytes *session; /* 16 bytes */
  GBytes *last;    /* the session before, to be taken up again */
  guint64 generation; /* of the link: late answers of an earlier one are dropped */
  gint64 period_us;
  gint64 answered_at; /* the last beat, boottime */
  gboolean beating;   /* a beat is under way */
  gint64 beat_at;     /* when it was sent, boottime */
  gboolean quick;     /* the last beat was answered quickly */
  SwarmTimer *timer;  /* CONNECTING: pause or limit; REGISTERED: next beat */
  SwarmTimer *beat_link_timer;
  SwarmTimer *describe_timer;
  gboolean undescribed; /* what this node is has changed since its registration was sent */
  GBytes *described;    /* what the leader was told last; NULL: it may not know */
  gboolean over; /* a goodbye was said or tried: no session any more, also when adoption ends only now */
  void (*goodbye_func) (gpointer data);
  gpointer goodbye_data;
};

static void connect_next (gpointer data);
static void dial_beat_link (gpointer data);
static void lost (SwarmWorkerSession *self, const GError *error);
static void limit_connecting (SwarmWorkerSession *self, gint64 limit_us);

/* ---- managers ---- */

SwarmManagerAddress *
swarm_manager_address_new (const SwarmId *node, const char *address)
{
  SwarmManagerAddress *self = g_new0 (SwarmManagerAddress, 1);

  self->node = *node;
  self->address = g_strdup (address);
  return self;
}

void
swarm_manager_address_free (SwarmManagerAddress *self)
{
  if (self == NULL)
    return;
  g_free (self->address);
  g_free (self);
}

void
swarm_worker_session_set_managers (SwarmWorkerSession *self, GPtrArray *managers)
{
  g_autoptr (GPtrArray) copy = g_ptr_array_new_with_free_func ((GDestroyNotify) swarm_manager_address_free);

  for (guint i = 0; managers != NULL && i < managers->len && i < MANAGERS_MAX; i++) {
    const SwarmManagerAddress *one = g_ptr_array_index (managers, i);
    if (one->address != NULL && one->address[0] != '\0')
      g_ptr_array_add (copy, swarm_manager_address_new (&one->node, one->address));
  }
  g_ptr_array_unref (self->managers);
  self->managers = g_steal_pointer (&copy);
  if (self->state == SWARM_SESSION_CONNECTING && self->link == NULL && self->timer == NULL)
    connect_next (self);
}

static const char *
address_of (SwarmWorkerSession *self, const SwarmId *node)
{
  for (guint i = 0; i < self->managers->len; i++) {
    const SwarmManagerAddress *one = g_ptr_array_index (self->managers, i);
    if (swarm_id_equal (&one->node, node))
      return one->address;
  }
  return NULL;
}

static const char *
one_after_the_other (SwarmWorkerSession *self)
{
  self->next = (self->next + 1) % self->managers->len;
  return ((SwarmManagerAddress *) g_ptr_array_index (self->managers, self->next))->address;
}

/* The one that is said to lead, else one after the other. */
static const char *
choose (SwarmWorkerSession *self)
{
  const char *address;
  const char *leader = swarm_id_is_nil (&self->leader) ? NULL : address_of (self, &self->leader);

  if (leader != NULL) {
    self->leader = SWARM_ID_NIL; /* once; if it does not answer, the others are asked */
    return leader;
  }
  if (self->managers->len == 0)
    return NULL;
  address = one_after_the_other (self);
  return g_strcmp0 (address, self->avoid) == 0 ? one_after_the_other (self) : address;
}

/* ---- states ---- */

static void
set_state (SwarmWorkerSession *self, SwarmSessionState state, const GError *error)
{
  const SwarmWorkerConfig *config = &self->worker->config;

  if (self->state == state)
    return;
  self->state = state;
  if (config->session_changed != NULL)
    config->session_changed (state, error, config->data);
}

static void
drop (SwarmWorkerSession *self)
{
  SwarmClock *clock = self->worker->config.clock;

  self->generation++;
  swarm_clock_clear_timer (clock, &self->timer);
  swarm_clock_clear_timer (clock, &self->beat_link_timer);
  swarm_clock_clear_timer (clock, &self->describe_timer);
  swarm_worker_reports_set_session (self->worker->reports, NULL, NULL);
  if (self->session != NULL) {
    g_clear_pointer (&self->last, g_bytes_unref);
    self->last = g_steal_pointer (&self->session);
  }
  swarm_link_drop (&self->beat_link);
  swarm_link_drop (&self->link);
  g_clear_pointer (&self->described, g_bytes_unref);
  self->beating = FALSE;
}

static gboolean
others_may_answer (SwarmWorkerSession *self)
{
  for (guint i = 0; i < self->managers->len; i++) {
    const char *address = ((SwarmManagerAddress *) g_ptr_array_index (self->managers, i))->address;
    if (g_strcmp0 (address, self->address) != 0 && !g_hash_table_contains (self->silent, address))
      return TRUE;
  }
  return FALSE;
}

/* Dialled in vain for so long that nobody is there, rather than somebody who sends us away. */
static gboolean
was_silent (SwarmWorkerSession *self)
{
  if (self->dialled_at == 0 || swarm_clock_boottime (self->worker->config.clock) - self->dialled_at < SILENT_LIMIT_US)
    return FALSE;
  if (g_hash_table_size (self->silent) < MANAGERS_MAX)
    g_hash_table_add (self->silent, g_strdup (self->address));
  return TRUE;
}

/* 100 ms, doubled up to three periods; of that a random half is waited at least. It spares who answers: after one that did not the next is asked soon, and when
 * none does there is nobody to be spared. */
static gint64
pause_us (SwarmWorkerSession *self)
{
  gboolean silent = was_silent (self), soon = silent && others_may_answer (self);
  gint64 last = self->period_us > 0 ? CLAMP (BACKOFF_LAST_PERIODS * self->period_us, BACKOFF_LAST_MIN_US, BACKOFF_LAST_US) : BACKOFF_LAST_US;
  gint64 whole = soon ? BACKOFF_FIRST_US : MIN (BACKOFF_FIRST_US << MIN (self->backoff, 8), silent ? BACKOFF_SILENT_US : last);

  self->attempts++;
  self->backoff += !soon;
  return whole / 2 + swarm_random_below (self->worker->config.random, (guint32) (whole / 2));
}

static void
try_later (SwarmWorkerSession *self, gint64 delay_us)
{
  swarm_clock_clear_timer (self->worker->config.clock, &self->timer);
  self->timer = swarm_clock_timer (self->worker->config.clock, delay_us, SWARM_PRIORITY_NORMAL, connect_next, self);
}

/* A closed connection comes from a living host: it is asked first. One that fell silent is asked last. */
static void
session_ended (SwarmWorkerSession *self, const GError *error)
{
  gboolean silent = g_error_matches (error, SWARM_ERROR, SWARM_ERROR_TIMED_OUT);

  self->leader = silent || self->link == NULL ? SWARM_ID_NIL : self->link->peer.node;
  g_free (self->avoid);
  self->avoid = silent ? g_strdup (self->address) : NULL;
}

/* Why no manager can be reached: soon, then ever more seldom. */
static void
tell_failure (SwarmWorkerSession *self, const GError *error)
{
  guint at = TELL_FIRST;

  while (at < self->attempts && at < G_MAXUINT / 4)
    at *= 4;
  if (self->attempts == at)
    swarm_warning ("No session with a leader after %u attempts; the last one, with the manager at %s: %s", at, self->address,
                   error != NULL ? error->message : "closed");
  else
    swarm_debug ("Manager %s: %s", self->address, error != NULL ? error->message : "closed");
}

/* The link or the session is gone, or never came to be. */
static void
lost (SwarmWorkerSession *self, const GError *error)
{
  if (self->state == SWARM_SESSION_NONE)
    return;
  if (self->state == SWARM_SESSION_REGISTERED) {
    swarm_notice ("The session with the leader at %s ended: %s", self->address, error != NULL ? error->message : "closed");
    session_ended (self, error);
  } else {
    tell_failure (self, error);
    if (g_error_matches (error, SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED) && self->worker->config.session_refused != NULL)
      self->worker->config.session_refused (self->address, error, self->worker->config.data);
  }
  drop (self);
  set_state (self, SWARM_SESSION_CONNECTING, error);
  try_later (self, pause_us (self));
}

/* ---- beats ---- */

static void
next_beat (SwarmWorkerSession *self);

/* The leader has told the time until the next beat, which is a little different each time. One that is much shorter holds from now on: the
 * leader waits for no more than three of them. */
static void
take_period (SwarmWorkerSession *self, gint64 period_ns)
{
  gint64 old = self->period_us;

  self->period_us = CLAMP (period_ns / 1000, PERIOD_MIN_US, PERIOD_MAX_US);
  if (self->period_us >= old / 2)
    return;
  swarm_clock_clear_timer (self->worker->config.clock, &self->timer);
  next_beat (self);
}

static void
on_beat_answered (GVariant *reply, const GError *error, gpointer data)
{
  SwarmWorkerOp op;
  SwarmWorkerSession *self;
  gint64 period_ns;

  if (!swarm_worker_op_take (data, &op) || op.worker->session->generation != op.tag)
    return;
  self = op.worker->session;
  self->beating = FALSE;
  self->quick = FALSE;
  if (g_error_matches (error, SWARM_ERROR, SWARM_ERROR_NOT_FOUND)) {
    swarm_worker_session_is_stale (self);
    return;
  }
  if (error != NULL || !g_variant_is_of_type (reply, G_VARIANT_TYPE ("(x)")))
    return; /* the next one may do; too many and the timer gives up */
  g_variant_get (reply, "(x)", &period_ns);
  self->answered_at = swarm_clock_boottime (self->worker->config.clock);
  self->quick = self->answered_at - self->beat_at <= QUICK_US;
  take_period (self, period_ns);
}

/* Our time with each beat says more than what the clock shows: that the beat before was answered quickly, so that what it said was not long on its
 * way. After one that was not, it is not told. */
static void
send_beat (SwarmWorkerSession *self, SwarmLink *link)
{
  SwarmClock *clock = self->worker->config.clock;
  GVariant *session = g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, self->session, TRUE);

  self->beating = TRUE;
  self->beat_at = swarm_clock_boottime (clock);
  swarm_link_call (link, DISPATCHER, "Heartbeat", g_variant_new ("(@ayx)", session, self->quick ? swarm_clock_now (clock) : 0),
                   2 * self->period_us, on_beat_answered, swarm_worker_op_new (self->worker, NULL, self->generation));
}

static void
beat (gpointer data)
{
  SwarmWorkerSession *self = data;
  gint64 silent = swarm_clock_boottime (self->worker->config.clock) - self->answered_at;

  self->timer = NULL;
  if (silent > MISSED_MAX * self->period_us + self->period_us / 2) {
    g_autoptr (GError) error = g_error_new (SWARM_ERROR, SWARM_ERROR_TIMED_OUT,
                                            "no answer to heartbeats for %" G_GINT64_FORMAT " ms", silent / 1000);
    lost (self, error);
    return;
  }
  /* The link for beats may be long in coming, where very many come back at once. */
  if (!self->beating)
    send_beat (self, self->beat_link != NULL && self->beat_link->is_up ? self->beat_link : self->link);
  next_beat (self);
}

/* Up to a tenth sooner, so that a thousand nodes do not beat in step. */
static void
next_beat (SwarmWorkerSession *self)
{
  gint64 delay = self->period_us - swarm_random_below (self->worker->config.random, (guint32) (self->period_us / 10 + 1));

  self->timer = swarm_clock_timer (self->worker->config.clock, delay, SWARM_PRIORITY_URGENT, beat, self);
}

static void
beat_link_up (SwarmLink *link, gpointer data)
{
  SwarmWorkerSession *self = data;

  if (self->state != SWARM_SESSION_REGISTERED)
    return;
  swarm_clock_clear_timer (self->worker->config.clock, &self->timer);
  beat (self);
}

static void
beat_link_down (SwarmLink *link, const GError *error, gpointer data)
{
  SwarmWorkerSession *self = data;

  swarm_link_drop (&self->beat_link);
  self->beating = self->quick = FALSE;
  self->beat_link_timer =
    swarm_clock_timer (self->worker->config.clock, BEAT_LINK_RETRY_US, SWARM_PRIORITY_URGENT, dial_beat_link, self);
}

static void
refuse_call (SwarmLink *link, SwarmCall *call, gpointer data)
{
  g_autoptr (GError) error = g_error_new (SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED, "nothing is served on this link");

  swarm_call_fail (call, error);
}

static const SwarmLinkEvents beat_link_events = { beat_link_up, beat_link_down, refuse_call };

static void
dial_beat_link (gpointer data)
{
  SwarmWorkerSession *self = data;
  SwarmTransport *transport = self->worker->config.transport;

  self->beat_link_timer = NULL;
  self->beat_link = transport->dial (transport, self->address, SWARM_LINK_CONSENSUS, &beat_link_events, self);
}

/* ---- registration ---- */

static void
registered (SwarmWorkerSession *self, GVariant *session, gint64 period_ns)
{
  gsize length;
  const guint8 *bytes = g_variant_get_fixed_array (session, &length, 1);

  self->session = g_bytes_new (bytes, length);
  self->attempts = self->backoff = self->redirects = 0;
  g_clear_pointer (&self->avoid, g_free);
  self->period_us = CLAMP (period_ns / 1000, PERIOD_MIN_US, PERIOD_MAX_US);
  self->answered_at = swarm_clock_boottime (self->worker->config.clock);
  self->quick = TRUE; /* the leader begins anew, too */
  swarm_clock_clear_timer (self->worker->config.clock, &self->timer);
  swarm_info ("Registered with the leader at %s", self->address);
  swarm_worker_session_began (self->worker);
  set_state (self, SWARM_SESSION_REGISTERED, NULL);
  if (!self->worker->draining)
    swarm_worker_reports_set_session (self->worker->reports, self->link, self->session);
  if (self->beat_link == NULL && self->beat_link_timer == NULL)
    dial_beat_link (self);
  next_beat (self);
  if (self->undescribed)
    swarm_worker_session_describe (self);
}

static void
on_registered (GVariant *reply, const GError *error, gpointer data)
{
  SwarmWorkerOp op;
  SwarmWorkerSession *self;
  g_autoptr (GVariant) session = NULL;
  g_autoptr (GVariant) managers = NULL;
  g_autoptr (GVariant) leader = NULL;
  g_autoptr (GError) problem = NULL;
  gint64 period_ns;

  if (!swarm_worker_op_take (data, &op) || op.worker->session->generation != op.tag)
    return;
  self = op.worker->session;
  if (error != NULL) {
    lost (self, error);
    return;
  }
  if (!g_variant_is_of_type (reply, G_VARIANT_TYPE ("(ayxa(ays)ay)"))) {
    problem = g_error_new (SWARM_ERROR, SWARM_ERROR_FAILED, "it answers Register with %s", g_variant_get_type_string (reply));
    lost (self, problem);
    return;
  }
  g_variant_get (reply, "(@ayx@a(ays)@ay)", &session, &period_ns, &managers, &leader);
  swarm_worker_managers_told (self->worker, managers, leader);
  if (self->link == NULL)
    return; /* what was told led elsewhere already */
  if (g_variant_n_children (session) == 16) {
    registered (self, session, period_ns);
    return;
  }
  problem = g_error_new (SWARM_ERROR, SWARM_ERROR_NOT_MANAGER, "it does not lead");
  if (!swarm_id_is_nil (&self->leader) && self->redirects < REDIRECTS_MAX && address_of (self, &self->leader) != NULL) {
    self->redirects++;
    drop (self);
    try_later (self, 0);
  } else
    lost (self, problem);
}

static void
register_now (SwarmWorkerSession *self)
{
  const SwarmWorkerConfig *config = &self->worker->config;
  g_autoptr (SwarmNodeDescription) description = config->describe (config->data);
  g_autoptr (GBytes) bytes = swarm_message_encode (description);
  g_autoptr (GBytes) none = g_bytes_new_static ("", 0);
  const char *address = self->worker->listen_address != NULL ? self->worker->listen_address : "";
  self->undescribed = FALSE;
  g_clear_pointer (&self->described, g_bytes_unref);
  self->described = g_bytes_ref (bytes);
  GVariant *args = g_variant_new ("(@ays@ay)", g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, bytes, TRUE), address,
                                  g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, self->last != NULL ? self->last : none, TRUE));

  swarm_link_call (self->link, DISPATCHER, "Register", args, REGISTER_LIMIT_US, on_registered,
                   swarm_worker_op_new (self->worker, NULL, self->generation));
}

static void
link_up (SwarmLink *link, gpointer data)
{
  SwarmWorkerSession *self = data;
  g_autoptr (GError) error = NULL;

  g_hash_table_remove (self->silent, self->address);
  self->dialled_at = 0;
  limit_connecting (self, CONNECT_LIMIT_US);
  if (link->peer.role == SWARM_PEER_MANAGER) {
    register_now (self);
    return;
  }
  error = g_error_new (SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED, "it is not a manager");
  lost (self, error);
}

static void
link_down (SwarmLink *link, const GError *error, gpointer data)
{
  lost (data, error);
}

static void
link_call (SwarmLink *link, SwarmCall *call, gpointer data)
{
  SwarmWorkerSession *self = data;

  swarm_worker_handle_call (self->worker, call);
}

static const SwarmLinkEvents link_events = { link_up, link_down, link_call };

static void
connect_takes_too_long (gpointer data)
{
  SwarmWorkerSession *self = data;
  g_autoptr (GError) error = g_error_new (SWARM_ERROR, SWARM_ERROR_TIMED_OUT, "no connection after %d s", (int) (self->limit / G_USEC_PER_SEC));

  self->timer = NULL;
  lost (self, error);
}

static void
limit_connecting (SwarmWorkerSession *self, gint64 limit_us)
{
  self->limit = limit_us;
  swarm_clock_clear_timer (self->worker->config.clock, &self->timer);
  self->timer = swarm_clock_timer (self->worker->config.clock, limit_us, SWARM_PRIORITY_NORMAL, connect_takes_too_long, self);
}

static void
connect_next (gpointer data)
{
  SwarmWorkerSession *self = data;
  SwarmTransport *transport = self->worker->config.transport;
  gboolean named = !swarm_id_is_nil (&self->leader);
  const char *address = choose (self);

  self->timer = NULL;
  if (address == NULL)
    return; /* until somebody names managers */
  g_free (self->address);
  self->address = g_strdup (address);
  /* One that is said to lead may be slow because all come at once. */
  limit_connecting (self, !named && others_may_answer (self) ? SILENT_LIMIT_US : CONNECT_LIMIT_US);
  self->dialled_at = swarm_clock_boottime (self->worker->config.clock);
  self->link = transport->dial (transport, self->address, SWARM_LINK_CONTROL, &link_events, self);
}

/* ---- what the worker asks ---- */

SwarmWorkerSession *
swarm_worker_session_new (SwarmWorker *worker)
{
  SwarmWorkerSession *self = g_new0 (SwarmWorkerSession, 1);

  self->worker = worker;
  self->managers = g_ptr_array_new_with_free_func ((GDestroyNotify) swarm_manager_address_free);
  self->silent = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  return self;
}

void
swarm_worker_session_free (SwarmWorkerSession *self)
{
  if (self == NULL)
    return;
  self->state = SWARM_SESSION_NONE;
  drop (self);
  g_ptr_array_unref (self->managers);
  g_clear_pointer (&self->last, g_bytes_unref);
  g_free (self->address);
  g_free (self->avoid);
  g_hash_table_unref (self->silent);
  g_free (self);
}

void
swarm_worker_session_start (SwarmWorkerSession *self, GPtrArray *managers)
{
  swarm_worker_session_set_managers (self, managers);
  if (self->state != SWARM_SESSION_NONE || self->over)
    return;
  if (self->managers->len > 0)
    self->next = swarm_random_below (self->worker->config.random, self->managers->len);
  set_state (self, SWARM_SESSION_CONNECTING, NULL);
  connect_next (self);
}

void
swarm_worker_session_stop (SwarmWorkerSession *self)
{
  drop (self);
  set_state (self, SWARM_SESSION_NONE, NULL);
}

SwarmSessionState
swarm_worker_session_state (SwarmWorkerSession *self)
{
  return self->state;
}

gboolean
swarm_worker_session_is (SwarmWorkerSession *self, GVariant *session)
{
  gsize length;
  const guint8 *bytes = g_variant_get_fixed_array (session, &length, 1);

  return self->session != NULL && g_bytes_get_size (self->session) == length
         && memcmp (g_bytes_get_data (self->session, NULL), bytes, length) == 0;
}

void
swarm_worker_session_leader_is (SwarmWorkerSession *self, const SwarmId *leader)
{
  self->leader = *leader;
  if (swarm_id_is_nil (leader) || self->link == NULL || self->state != SWARM_SESSION_REGISTERED)
    return;
  if (swarm_id_equal (&self->link->peer.node, leader) || address_of (self, leader) == NULL)
    return;
  swarm_info ("Another manager leads now");
  drop (self);
  set_state (self, SWARM_SESSION_CONNECTING, NULL);
  try_later (self, 0);
}

void
swarm_worker_session_is_stale (SwarmWorkerSession *self)
{
  g_autoptr (GError) error = g_error_new (SWARM_ERROR, SWARM_ERROR_NOT_FOUND, "the leader does not know the session any more");


  lost (self, error);
}

static void
describe_again (gpointer data)
{
  SwarmWorkerSession *self = data;

  self->describe_timer = NULL;
  swarm_worker_session_describe (self);
}

/* Of a later session the leader hears with its registration. */
static void
on_described (GVariant *reply, const GError *error, gpointer data)
{
  SwarmWorkerOp op;
  SwarmWorkerSession *self;

  if (!swarm_worker_op_take (data, &op) || op.worker->session->generation != op.tag || error == NULL)
    return;
  self = op.worker->session;
  swarm_debug ("The leader was not told what changed on this node: %s", error->message);
  g_clear_pointer (&self->described, g_bytes_unref);
  if (self->describe_timer == NULL)
    self->describe_timer =
      swarm_clock_timer (self->worker->config.clock, DESCRIBE_RETRY_US, SWARM_PRIORITY_NORMAL, describe_again, self);
}

void
swarm_worker_session_describe (SwarmWorkerSession *self)
{
  const SwarmWorkerConfig *config = &self->worker->config;
  g_autoptr (SwarmNodeDescription) description = NULL;
  g_autoptr (GBytes) bytes = NULL;

  self->undescribed = self->state != SWARM_SESSION_REGISTERED; /* the registration may be under way */
  if (self->undescribed || self->over)
    return;
  description = config->describe (config->data);
  bytes = swarm_message_encode (description);
  if (self->described != NULL && g_bytes_equal (self->described, bytes))
    return; /* it is to be free to hear the next thing at once */
  g_clear_pointer (&self->described, g_bytes_unref);
  self->described = g_bytes_ref (bytes);
  swarm_link_call (self->link, DISPATCHER, "Describe",
                   g_variant_new ("(@ay@ay)", g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, self->session, TRUE),
                                  g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, bytes, TRUE)),
                   REGISTER_LIMIT_US, on_described, swarm_worker_op_new (self->worker, NULL, self->generation));
}

gboolean
swarm_worker_session_call (SwarmWorkerSession *self, const char *member, GVariant *args, gint64 timeout_us, SwarmReplyFunc func, gpointer data)
{
  g_autoptr (GVariant) rest = g_variant_ref_sink (args);
  GVariantBuilder builder;

  if (self->state != SWARM_SESSION_REGISTERED || self->over)
    return FALSE;
  g_variant_builder_init (&builder, G_VARIANT_TYPE_TUPLE);
  g_variant_builder_add_value (&builder, g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, self->session, TRUE));
  for (gsize i = 0; i < g_variant_n_children (rest); i++) {
    g_autoptr (GVariant) child = g_variant_get_child_value (rest, i);
    g_variant_builder_add_value (&builder, child);
  }
  swarm_link_call (self->link, DISPATCHER, member, g_variant_builder_end (&builder), timeout_us, func, data);
  return TRUE;
}

static void
goodbye_over (SwarmWorkerSession *self)
{
  void (*func) (gpointer) = self->goodbye_func;

  self->goodbye_func = NULL;
  swarm_worker_session_stop (self);
  if (func != NULL)
    func (self->goodbye_data);
}

static void
on_goodbye_said (GVariant *reply, const GError *error, gpointer data)
{
  SwarmWorkerOp op;

  if (swarm_worker_op_take (data, &op))
    goodbye_over (op.worker->session);
}

static void
no_goodbye (gpointer data)
{
  SwarmWorkerSession *self = data;

  self->timer = NULL;
  goodbye_over (self);
}

void
swarm_worker_session_goodbye (SwarmWorkerSession *self, gboolean host_shutdown, void (*func) (gpointer data), gpointer data)
{
  SwarmClock *clock = self->worker->config.clock;

  self->over = TRUE;
  self->goodbye_func = func;
  self->goodbye_data = data;
  if (self->state != SWARM_SESSION_REGISTERED) {
    drop (self);
    self->state = SWARM_SESSION_NONE;
    self->timer = swarm_clock_timer (clock, 0, SWARM_PRIORITY_NORMAL, no_goodbye, self);
    return;
  }
  /* Whatever happens to the link now, it is not dialled again. */
  swarm_link_set_events (self->link, NULL, NULL);
  swarm_clock_clear_timer (clock, &self->timer);
  swarm_link_call (self->link, DISPATCHER, "Goodbye",
                   g_variant_new ("(@ayb)", g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, self->session, TRUE), host_shutdown),
                   GOODBYE_LIMIT_US, on_goodbye_said, swarm_worker_op_new (self->worker, NULL, self->generation));
}
