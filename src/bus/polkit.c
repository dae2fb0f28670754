// SPDX-License-Identifier: LGPL-2.1-or-later
/* Who may: asks polkit about the sender of a call, which is parked meanwhile. See the polkit reference, "The polkit authority",
 * org.freedesktop.PolicyKit1.Authority.CheckAuthorization.
 *
 * root is let in without a question; the uid of a sender is asked of the bus once and kept while the sender is there. A parked
 * call ends when its sender vanishes. No polkit, no answer, a strange answer: denied. */
#include "base/error.h"
#include "bus/private.h"
#include <string.h>

#define POLKIT "org.freedesktop.PolicyKit1"
#define POLKIT_PATH "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_IFACE "org.freedesktop.PolicyKit1.Authority"

#define MAX_SENDERS 128 /* each costs a match rule; the system bus allows 512 */
/* One sender is bounded by SWARM_BUS_MAX_PENDING_SENDER. */
#define MAX_PARKED 512
#define MAX_PARKED_UID 64
#define MAX_PARKED_BYTES (32 * 1024 * 1024)
#define MAX_PARKED_BYTES_UID (8 * 1024 * 1024)
#define TIMEOUT_MS 25000
#define TIMEOUT_INTERACTIVE_MS (300 * 1000) /* a person types a password */

typedef struct {
  SwarmBusPolkit *polkit;
  char *name;
  guint32 uid; /* SWARM_BUS_UNKNOWN_UID until the bus told */
  guint watch;
  GQueue parked; /* Parked */
  gint64 used;
} Sender;

typedef struct {
  SwarmBusPolkit *polkit;
  Sender *sender;
  SwarmInvocation *invocation; /* NULL: dropped, only the reply function's memory is left */
  gsize bytes;
  gboolean asked;
  char *cancellation_id;
  GCancellable *cancellable;
} Parked;

struct _SwarmBusPolkit {
  SwarmBus *bus;
  GHashTable *senders; /* name (in it) → Sender */
  guint n_parked;
  gsize parked_bytes;
  guint next_id;
  gboolean stopped;
};

/* ---- parked calls ---- */

static void
free_parked (Parked *parked)
{
  g_object_unref (parked->cancellable);
  g_free (parked->cancellation_id);
  g_free (parked);
}

/* Takes the call out of the park; the caller answers or drops it. */
static SwarmInvocation *
unpark (Parked *parked)
{
  g_queue_remove (&parked->sender->parked, parked);
  parked->polkit->n_parked--;
  parked->polkit->parked_bytes -= parked->bytes;
  parked->sender = NULL;
  return g_steal_pointer (&parked->invocation);
}

static void
drop_parked (Parked *parked)
{
  SwarmBus *bus = parked->polkit->bus;

  swarm_invocation_drop (unpark (parked));
  if (!parked->asked) {
    free_parked (parked);
    return;
  }
  swarm_bus_send_call (bus, POLKIT, POLKIT_PATH, POLKIT_IFACE, "CancelCheckAuthorization",
                       g_variant_new ("(s)", parked->cancellation_id));
  g_cancellable_cancel (parked->cancellable); /* the reply function frees it */
}

static void
refuse (SwarmInvocation *invocation, const char *name, GError *error)
{
  swarm_invocation_audit (invocation, SWARM_AUDIT_REFUSED, NULL, error);
  swarm_invocation_fail_name (invocation, name != NULL ? name : swarm_error_to_name (error), error->code, error->message);
  g_error_free (error);
}

/* ---- senders ---- */

static void
drop_sender (Sender *sender)
{
  while (!g_queue_is_empty (&sender->parked))
    drop_parked (g_queue_peek_head (&sender->parked));
  swarm_bus_unsubscribe (sender->polkit->bus, sender->watch);
  g_hash_table_remove (sender->polkit->senders, sender->name);
}

static void
free_sender (gpointer data)
{
  Sender *sender = data;

  g_free (sender->name);
  g_free (sender);
}

static void
sender_changed (const char *driver, const char *path, const char *member, GVariant *args, gpointer data)
{
  const char *owner = "";

  if (g_variant_is_of_type (args, G_VARIANT_TYPE ("(sss)")))
    g_variant_get (args, "(&s&s&s)", NULL, NULL, &owner);
  if (*owner == '\0')
    drop_sender (data);
}

/* Forgets the one that was silent longest. FALSE: all of them wait for an answer. */
static gboolean
forget_oldest_sender (SwarmBusPolkit *self)
{
  GHashTableIter iter;
  gpointer value;
  Sender *oldest = NULL;

  g_hash_table_iter_init (&iter, self->senders);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    Sender *sender = value;

    if (g_queue_is_empty (&sender->parked) && (oldest == NULL || sender->used < oldest->used))
      oldest = sender;
  }
  if (oldest != NULL)
    drop_sender (oldest);
  return oldest != NULL;
}

static void got_uid (GVariant *reply, GUnixFDList *fds, const GError *error, gpointer data);

typedef struct {
  SwarmBusPolkit *polkit;
  char *name;
} UidQuery;

static Sender *
get_sender (SwarmBusPolkit *self, const char *name)
{
  Sender *sender = g_hash_table_lookup (self->senders, name);
  UidQuery *query;

  if (sender != NULL) {
    sender->used = g_get_monotonic_time ();
    return sender;
  }
  if (g_hash_table_size (self->senders) >= MAX_SENDERS && !forget_oldest_sender (self))
    return NULL;
  sender = g_new0 (Sender, 1);
  sender->polkit = self;
  sender->name = g_strdup (name);
  sender->uid = SWARM_BUS_UNKNOWN_UID;
  sender->used = g_get_monotonic_time ();
  g_queue_init (&sender->parked);
  g_hash_table_insert (self->senders, sender->name, sender);
  /* The watch goes first: a sender that leaves in between is noticed by the one or the other. */
  sender->watch = swarm_bus_subscribe_arg0 (self->bus, SWARM_BUS_DRIVER, SWARM_BUS_DRIVER_PATH, SWARM_BUS_DRIVER, "NameOwnerChanged",
                                            name, sender_changed, sender);
  query = g_new0 (UidQuery, 1);
  query->polkit = self;
  query->name = g_strdup (name);
  swarm_bus_call_full (self->bus, SWARM_BUS_DRIVER, SWARM_BUS_DRIVER_PATH, SWARM_BUS_DRIVER, "GetConnectionUnixUser",
                       g_variant_new ("(s)", name), SWARM_BUS_CALL_UNLIMITED, -1, NULL, got_uid, query);
  return sender;
}

/* ---- the question ---- */

/* `is_challenge` means: a person could be asked, had the caller allowed it. */
static GError *
judge (GVariant *reply, const GError *error, const char *action, gboolean *ret_challenge)
{
  gboolean authorised = FALSE;

  *ret_challenge = FALSE;
  if (error != NULL)
    return g_error_new (SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED, "not authorised for %s: polkit did not answer (%s)", action,
                        error->message);
  if (!g_variant_is_of_type (reply, G_VARIANT_TYPE ("((bba{ss}))")))
    return g_error_new (SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED, "not authorised for %s: polkit gave a strange answer", action);
  g_variant_get (reply, "((bb@a{ss}))", &authorised, ret_challenge, NULL);
  if (authorised)
    return NULL;
  if (*ret_challenge)
    return g_error_new (SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED, "interactive authentication is required for %s", action);
  return g_error_new (SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED, "not authorised for %s", action);
}

static void
got_answer (GVariant *reply, GUnixFDList *fds, const GError *error, gpointer data)
{
  Parked *parked = data;
  SwarmInvocation *invocation;
  gboolean challenge;
  GError *refusal;

  if (parked->invocation == NULL) {
    free_parked (parked);
    return;
  }
  if (error != NULL && (error->code == SWARM_ERROR_UNKNOWN || error->code == SWARM_ERROR_TIMED_OUT)) /* nobody waits any more */
    swarm_bus_send_call (parked->polkit->bus, POLKIT, POLKIT_PATH, POLKIT_IFACE, "CancelCheckAuthorization",
                         g_variant_new ("(s)", parked->cancellation_id));
  invocation = unpark (parked);
  refusal = judge (reply, error, swarm_action_to_string (invocation->method->action), &challenge);
  free_parked (parked);
  if (refusal == NULL)
    swarm_bus_run (invocation);
  else
    refuse (invocation, challenge ? DBUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED : NULL, refusal);
}

static GVariant *
details_of (SwarmInvocation *invocation, gpointer object)
{
  g_autoptr (GHashTable) details = swarm_invocation_details (invocation, object);
  GVariantBuilder builder;
  GHashTableIter iter;
  gpointer key, value;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a{ss}"));
  g_hash_table_iter_init (&iter, details);
  while (g_hash_table_iter_next (&iter, &key, &value))
    g_variant_builder_add (&builder, "{ss}", key, value);
  return g_variant_builder_end (&builder);
}

static void
ask (Parked *parked)
{
  SwarmBusPolkit *self = parked->polkit;
  SwarmInvocation *invocation = parked->invocation;
  gpointer object = invocation->kind->find (invocation->tail, invocation->data);
  GVariantBuilder subject;

  if (object == NULL) { /* says so */
    unpark (parked);
    free_parked (parked);
    swarm_bus_run (invocation);
    return;
  }
  parked->asked = TRUE;
  g_variant_builder_init (&subject, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&subject, "{sv}", "name", g_variant_new_string (invocation->sender));
  swarm_bus_call_full (self->bus, POLKIT, POLKIT_PATH, POLKIT_IFACE, "CheckAuthorization",
                       g_variant_new ("((sa{sv})s@a{ss}us)", "system-bus-name", &subject,
                                      swarm_action_to_string (invocation->method->action), details_of (invocation, object),
                                      invocation->interactive ? 1 : 0, parked->cancellation_id),
                       SWARM_BUS_CALL_UNLIMITED, invocation->interactive ? TIMEOUT_INTERACTIVE_MS : TIMEOUT_MS, parked->cancellable,
                       got_answer, parked);
}

/* All that wait with the same uid, this one included. */
static gboolean
within_uid_bounds (SwarmBusPolkit *self, guint32 uid)
{
  GHashTableIter iter;
  gpointer value;
  guint n = 0;
  gsize bytes = 0;

  g_hash_table_iter_init (&iter, self->senders);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    Sender *sender = value;

    for (GList *at = sender->parked.head; sender->uid == uid && at != NULL; at = at->next) {
      n++;
      bytes += ((Parked *) at->data)->bytes;
    }
  }
  return n <= MAX_PARKED_UID && bytes <= MAX_PARKED_BYTES_UID;
}

static GError *
too_many (void)
{
  return g_error_new_literal (SWARM_ERROR, SWARM_ERROR_LIMIT_EXCEEDED, "too many calls wait for authorisation; try again later");
}

/* The uid is known. */
static void
proceed (Parked *parked)
{
  Sender *sender = parked->sender;
  SwarmInvocation *invocation = parked->invocation;
  gboolean root = sender->uid == 0;

  invocation->caller.uid = sender->uid;
  if (!root && within_uid_bounds (parked->polkit, sender->uid)) {
    ask (parked);
    return;
  }
  unpark (parked);
  free_parked (parked);
  if (root)
    swarm_bus_run (invocation);
  else
    refuse (invocation, NULL, too_many ());
}

static void
uid_unknown (Parked *parked, const GError *error)
{
  SwarmInvocation *invocation = unpark (parked);

  free_parked (parked);
  refuse (invocation, NULL,
          g_error_new (SWARM_ERROR, SWARM_ERROR_ACCESS_DENIED, "not authorised for %s: the caller is not known to the bus%s%s",
                       swarm_action_to_string (invocation->method->action), error != NULL ? ": " : "",
                       error != NULL ? error->message : ""));
}

static void
got_uid (GVariant *reply, GUnixFDList *fds, const GError *error, gpointer data)
{
  UidQuery *query = data;
  Sender *sender = query->polkit->stopped ? NULL : g_hash_table_lookup (query->polkit->senders, query->name);
  g_autoptr (GPtrArray) waiting = g_ptr_array_new ();

  g_free (query->name);
  g_free (query);
  if (sender == NULL)
    return;
  if (reply != NULL && g_variant_is_of_type (reply, G_VARIANT_TYPE ("(u)")))
    g_variant_get (reply, "(u)", &sender->uid);
  for (GList *at = sender->parked.head; at != NULL; at = at->next)
    g_ptr_array_add (waiting, at->data);
  for (guint i = 0; i < waiting->len; i++)
    if (sender->uid == SWARM_BUS_UNKNOWN_UID)
      uid_unknown (waiting->pdata[i], error);
    else
      proceed (waiting->pdata[i]);
  if (sender->uid == SWARM_BUS_UNKNOWN_UID)
    drop_sender (sender);
}

/* ---- the face ---- */

void
swarm_bus_polkit_authorise (SwarmBusPolkit *self, SwarmInvocation *invocation)
{
  gsize bytes = g_variant_get_size (invocation->args);
  Sender *sender = NULL;
  Parked *parked;

  if (!self->stopped && self->n_parked < MAX_PARKED && self->parked_bytes + bytes <= MAX_PARKED_BYTES)
    sender = get_sender (self, invocation->sender);
  if (sender == NULL) {
    refuse (invocation, NULL, too_many ());
    return;
  }
  parked = g_new0 (Parked, 1);
  parked->polkit = self;
  parked->sender = sender;
  parked->invocation = invocation;
  parked->bytes = bytes;
  parked->cancellable = g_cancellable_new ();
  parked->cancellation_id = g_strdup_printf ("swarm-agent-%u", ++self->next_id);
  g_queue_push_tail (&sender->parked, parked);
  self->n_parked++;
  self->parked_bytes += bytes;
  if (sender->uid != SWARM_BUS_UNKNOWN_UID)
    proceed (parked);
}

SwarmBusPolkit *
swarm_bus_polkit_new (SwarmBus *bus)
{
  SwarmBusPolkit *self = g_new0 (SwarmBusPolkit, 1);

  self->bus = bus;
  self->senders = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, free_sender);
  return self;
}

void
swarm_bus_polkit_stop (SwarmBusPolkit *self)
{
  GHashTableIter iter;
  gpointer sender;

  self->stopped = TRUE;
  for (;;) {
    g_hash_table_iter_init (&iter, self->senders);
    if (!g_hash_table_iter_next (&iter, NULL, &sender))
      break;
    drop_sender (sender);
  }
}

void
swarm_bus_polkit_free (SwarmBusPolkit *self)
{
  g_hash_table_unref (self->senders);
  g_free (self);
}
