// SPDX-License-Identifier: LGPL-2.1-or-later
/* What the files of bus/ share. Included nowhere else. */
#pragma once
#include "bus/bus.h"
#include "bus/convert.h"

#define SWARM_BUS_OBJECT_MANAGER "org.freedesktop.DBus.ObjectManager"
#define SWARM_BUS_DRIVER "org.freedesktop.DBus"
#define SWARM_BUS_DRIVER_PATH "/org/freedesktop/DBus"
#define SWARM_BUS_UNKNOWN_UID G_MAXUINT32

/* Bounds. */
#define SWARM_BUS_MAX_MANAGED 5000               /* objects in GetManagedObjects */
#define SWARM_BUS_CALL_MAX (2 * 1024 * 1024)     /* arguments of one incoming call */
#define SWARM_BUS_MAX_PENDING 1024               /* calls not yet answered */
#define SWARM_BUS_MAX_PENDING_SENDER 128         /* of one sender */
#define SWARM_BUS_MAX_OUTGOING (8 * 1024 * 1024) /* bytes queued: above this no incoming call is taken */
#define SWARM_BUS_MAX_IN_FLIGHT 64               /* outgoing calls to one destination */
#define SWARM_BUS_MAX_QUEUED 4096                /* outgoing calls that wait for the former */

typedef struct _SwarmBusLoop SwarmBusLoop;
typedef struct _SwarmBusChanges SwarmBusChanges;
typedef struct _SwarmBusPolkit SwarmBusPolkit;
typedef struct _SwarmBusClient SwarmBusClient;

struct _SwarmBus {
  DBusConnection *connection;
  GMainContext *context;
  char *unique_name;
  char *name; /* owned */
  void (*lost) (gpointer data);
  gpointer lost_data;
  GSource *lost_source;
  gboolean dispatching; /* libdbus calls us: it would block for ever if asked to dispatch again */
  /* serving */
  char *root;
  const SwarmBusKind *const *kinds; /* NULL: serves nothing */
  gpointer data;
  SwarmBusFilter filter;
  gpointer filter_data;
  SwarmBusAudit audit;
  gpointer audit_data;
  SwarmBusBehind behind;
  gpointer behind_data;
  GHashTable *missing; /* SwarmBusMissing *: calls that wait for their object */
  gint64 last_activity;
  GHashTable *invocations;       /* SwarmInvocation *, not yet answered */
  GHashTable *pending_by_sender; /* name → count */
  GQueue lists; /* answers of GetManagedObjects under way */
  SwarmBusLoop *loop;
  SwarmBusChanges *changes;
  SwarmBusPolkit *polkit;
  SwarmBusClient *client;
};

/* ---- bus.c ---- */
gint64 swarm_bus_boottime (void);
/* FALSE and @error from @from, which is freed. */
gboolean swarm_bus_take_error (DBusError *from, const char *what, GError **error);
/* Too much is queued already: signals wait, calls are not taken. */
gboolean swarm_bus_congested (SwarmBus *self);
/* Sends a reply or signal after the changes that must not come later; unrefs @message. */
void swarm_bus_send (SwarmBus *self, DBusMessage *message);

/* ---- write.c ---- */
/* Alignment of a type in D-Bus; of numbers also their length. */
gsize swarm_bus_wire_size (char type);
/* Of an array's elements that GVariant and D-Bus keep alike: GVariant's booleans are one byte, handles need their check. */
gboolean swarm_bus_is_plain_fixed (char type);

typedef struct {
  gsize offset; /* from the start of the arguments, which begin at a multiple of 8 */
  gsize max;
  guint n_fds;     /* descriptors that may be named */
  GByteArray *out; /* NULL: values are only checked and measured */
  GError **error;
} SwarmBusWriter;

/* @depth: containers around it. */
gboolean swarm_bus_write_value (SwarmBusWriter *self, GVariant *value, guint depth);
gboolean swarm_bus_write_args (SwarmBusWriter *self, GVariant *args, GError **error);

/* A message piece by piece, without values in between: its head, then what @signature says, then the end, @good when all went well. Texts must be valid
 * (or libdbus refuses the whole), @type is 's', 'o' or 'g'; a struct or dict entry has no end. A variant is its signature and its value. */
typedef struct {
  gsize at, start;
} SwarmBusWriterArray;
void swarm_bus_writer_begin (SwarmBusWriter *self, const SwarmBusHead *head, const char *signature, gsize max);
gboolean swarm_bus_write_text (SwarmBusWriter *self, char type, const char *text);
gboolean swarm_bus_write_struct (SwarmBusWriter *self);
gboolean swarm_bus_write_array_begin (SwarmBusWriter *self, char element, SwarmBusWriterArray *array);
gboolean swarm_bus_write_array_end (SwarmBusWriter *self, const SwarmBusWriterArray *array);
GBytes *swarm_bus_writer_end (SwarmBusWriter *self, gboolean good);
DBusMessage *swarm_bus_message_of (GBytes *bytes, GError **error);

/* ---- loop.c ---- */
SwarmBusLoop *swarm_bus_loop_new (SwarmBus *bus);
void swarm_bus_loop_free (SwarmBusLoop *self);

/* ---- table.c ---- */
typedef struct {
  const char *signature;
  gsize signature_len;
  const char *name;
  gsize name_len;
} SwarmBusArg;
/* The next of "s:role a{sv}:options"; FALSE at the end. */
gboolean swarm_bus_arg_next (const char **cursor, SwarmBusArg *ret);
/* @signature without parentheses is that of the argument list. */
gboolean swarm_bus_args_match (const char *args, const char *signature);
/* An 'h' is among them. */
gboolean swarm_bus_args_have_fds (const char *args);
const SwarmBusInterface *swarm_bus_find_interface (const SwarmBusKind *kind, const char *iface);
const SwarmBusInterface *swarm_bus_method_interface (const SwarmBusKind *kind, const SwarmBusMethod *method);
const SwarmBusKind *swarm_bus_find_kind (const SwarmBusKind *const *kinds, const char *path, const char **ret_tail);
gboolean swarm_bus_interface_on_bus (const SwarmBusInterface *iface);
gboolean swarm_bus_kind_on_bus (const SwarmBusKind *kind);

/* ---- introspect.c ---- */
/* XML of @path with its children; @kind NULL: no object there. NULL: nothing there and nothing below. */
char *swarm_bus_introspect (SwarmBus *self, const SwarmBusKind *kind, const char *path);

/* ---- objects.c ---- */
/* Not floating; NULL: absent on this object (or of the wrong type, which is logged). */
GVariant *swarm_bus_property_value (const SwarmBusInterface *iface, const SwarmBusProperty *row, gpointer object, gpointer data);
/* a{sv} / a{sa{sv}}, floating. */
GVariant *swarm_bus_interface_properties (const SwarmBusInterface *iface, gpointer object, gpointer data);
GVariant *swarm_bus_object_interfaces (const SwarmBusKind *kind, gpointer object, gpointer data);
/* The latter, written into a message. */
gboolean swarm_bus_write_interfaces (SwarmBusWriter *writer, const SwarmBusKind *kind, gpointer object, gpointer data);
/* Answers a GetManagedObjects call of @sender, over several turns when there are many objects. FALSE: not answered. */
gboolean swarm_bus_managed_objects (SwarmBus *self, const char *sender, guint32 serial, GError **error);
/* Ends the answers under way. */
void swarm_bus_drop_lists (SwarmBus *self);

/* ---- server.c ---- */
void swarm_bus_server_call (SwarmBus *self, DBusMessage *message);
/* Calls that wait for their object are forgotten. */
void swarm_bus_drop_missing (SwarmBus *self);
/* Runs @invocation, which was let in: looks its object up, asks the filter, calls the handler. */
void swarm_bus_run (SwarmInvocation *invocation);

/* ---- invocation.c ---- */
typedef enum {
  SWARM_DOOR_BUS,
  SWARM_DOOR_WIRE,  /* a call over rpc */
  SWARM_DOOR_RELAY, /* a bus call of another manager, carried over rpc */
} SwarmDoor;

struct _SwarmInvocation {
  SwarmDoor door;
  SwarmCaller caller;
  char *request_id;
  const SwarmBusKind *kind;
  const SwarmBusInterface *iface;
  const SwarmBusMethod *method;
  char *path;
  const char *tail; /* in path */
  GVariant *args;
  GUnixFDList *fds;
  gpointer data;
  SwarmBusFilter filter;
  gpointer filter_data;
  SwarmBusAudit audit; /* NULL: told already, or nobody wants to know */
  gpointer audit_data;
  char *details_text; /* NULL: not looked at yet */
  /* bus */
  SwarmBus *bus; /* NULL: gone */
  char *sender;
  guint32 serial;
  gboolean no_reply;
  gboolean interactive;
  /* wire */
  SwarmCall *call;
  /* relay */
  SwarmReplyFunc func;
  gpointer func_data;
};

/* Nothing but the common part is set. @path is copied, the rest of the look-up borrowed. */
SwarmInvocation *swarm_invocation_new (SwarmDoor door, const SwarmBusKind *kind, const SwarmBusMethod *method, const char *path,
                                       const char *tail, GVariant *args, gpointer data);
/* Without an answer: whoever asked is gone. */
void swarm_invocation_drop (SwarmInvocation *self);
/* Of rows that leave a trail. */
void swarm_invocation_set_audit (SwarmInvocation *self, SwarmBusAudit audit, gpointer data);
/* Tells the audit trail, once. */
void swarm_invocation_audit (SwarmInvocation *self, SwarmAuditResult result, GVariant *value, const GError *error);
/* The row's details (string → string), of @object. */
GHashTable *swarm_invocation_details (SwarmInvocation *self, gpointer object);
/* Answers with an error of the D-Bus specification on the bus, of @code elsewhere. */
void swarm_invocation_fail_name (SwarmInvocation *self, const char *name, int code, const char *message);

/* ---- changes.c ---- */
SwarmBusChanges *swarm_bus_changes_new (SwarmBus *bus);
void swarm_bus_changes_free (SwarmBusChanges *self);
/* Sends all that may leave now: called before every reply and signal. */
void swarm_bus_changes_flush (SwarmBusChanges *self);
/* Between these two a list of all objects is being built, with some objects older than what clients are told meanwhile. The end says
 * all of that again, so that what comes last is true. */
void swarm_bus_changes_list_begun (SwarmBusChanges *self);
void swarm_bus_changes_list_ended (SwarmBusChanges *self);

/* ---- polkit.c ---- */
SwarmBusPolkit *swarm_bus_polkit_new (SwarmBus *bus);
/* Drops what is parked; no call is authorised afterwards. */
void swarm_bus_polkit_stop (SwarmBusPolkit *self);
void swarm_bus_polkit_free (SwarmBusPolkit *self);
/* Runs @invocation (swarm_bus_run) when its caller may, else answers it. */
void swarm_bus_polkit_authorise (SwarmBusPolkit *self, SwarmInvocation *invocation);

/* ---- client.c ---- */
SwarmBusClient *swarm_bus_client_new (SwarmBus *bus);
/* Calls under way end with CANCELLED from within. */
void swarm_bus_client_free (SwarmBusClient *self);
/* The connection is gone: fails the calls under way. */
void swarm_bus_client_lost (SwarmBusClient *self);
void swarm_bus_client_signal (SwarmBusClient *self, DBusMessage *message);

typedef enum {
  SWARM_BUS_CALL_INTERACTIVE = 1 << 0, /* the other end may ask a person */
  SWARM_BUS_CALL_UNLIMITED = 1 << 1,   /* the caller bounds the number in flight itself */
} SwarmBusCallFlags;
void swarm_bus_call_full (SwarmBus *self, const char *name, const char *path, const char *iface, const char *member, GVariant *args,
                          SwarmBusCallFlags flags, int timeout_ms, GCancellable *cancellable, SwarmBusReplyFunc func, gpointer data);
/* One way: no reply wanted. Sinks @args. */
void swarm_bus_send_call (SwarmBus *self, const char *name, const char *path, const char *iface, const char *member, GVariant *args);
