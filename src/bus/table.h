// SPDX-License-Identifier: LGPL-2.1-or-later
/* Interface tables: one row per method, property and signal. From them come dispatch, signature checks, introspection,
 * polkit and peer-role guards, on both doors (system bus and rpc). */
#pragma once
#include "base/link.h"
#include <gio/gio.h>
#include <gio/gunixfdlist.h>

typedef struct _SwarmInvocation SwarmInvocation;

/* Polkit actions; the strings are "org.swarmagent1." + name. */
typedef enum {
  SWARM_ACTION_NONE = 0, /* not allowed in a method row: the agent refuses to start */
  SWARM_ACTION_PUBLIC,   /* anyone who reaches the door (public properties, Info) */
  SWARM_ACTION_READ,
  SWARM_ACTION_READ_SECRETS,
  SWARM_ACTION_MANAGE_CLUSTER,
  SWARM_ACTION_MANAGE_NODES,
  SWARM_ACTION_PROMOTE_NODE,
  SWARM_ACTION_DEMOTE_NODE,
  SWARM_ACTION_MANAGE_SERVICES,
  SWARM_ACTION_ATTACH_NETWORK,
  SWARM_ACTION_WIRE_ONLY, /* not on the bus at all: Dispatcher, CA, Consensus, Relay */
  _SWARM_ACTION_MAX,
} SwarmAction;
/* "org.swarmagent1.manage-nodes"; NULL for the ones that polkit never sees. */
const char *swarm_action_to_string (SwarmAction action);

/* Which peers may call a row over rpc. 0 is not allowed in a row: write SWARM_ROLES_BUS_ONLY. */
typedef enum {
  SWARM_ROLES_BUS_ONLY = 1 << 0, /* never over rpc */
  SWARM_ROLES_JOINING = 1 << 1,  /* a peer without a certificate */
  SWARM_ROLES_WORKER = 1 << 2,
  SWARM_ROLES_MANAGER = 1 << 3,
  SWARM_ROLES_LAPSED = 1 << 4, /* a peer whose certificate is past its time or its root */
} SwarmRoles;
#define SWARM_ROLES_MEMBER (SWARM_ROLES_WORKER | SWARM_ROLES_MANAGER)

typedef enum {
  SWARM_METHOD_LOCAL = 1 << 0, /* answered by this agent, never relayed (Info, Init, Join, Leave) */
  SWARM_METHOD_WRITE = 1 << 1, /* changes the store: a follower relays it to the leader */
  SWARM_METHOD_SENSITIVE_ARGS = 1 << 2, /* arguments never reach a log */
} SwarmMethodFlags;

/* @object is what the object kind's find() gave (borrowed). @args is a tuple that matches the row's signature.
 * Answer exactly once, now or later, with swarm_invocation_return/_fail. */
typedef void (*SwarmMethodFunc) (SwarmInvocation *invocation, gpointer object, GVariant *args);
/* The value of a property; floating. NULL: the property is absent on this object. */
typedef GVariant *(*SwarmPropertyFunc) (gpointer object, gpointer data);
/* Details for polkit rules ("node", "service"): adds to @details (string → string, both copied). May be NULL in a row. */
typedef void (*SwarmDetailsFunc) (gpointer object, GVariant *args, GHashTable *details);

typedef struct {
  const char *name;      /* NULL ends the table */
  const char *in;        /* "s:role a{sv}:options": signature and name of each argument, NULL for none */
  const char *out;
  SwarmMethodFunc handler;
  SwarmAction action;
  SwarmRoles roles;
  SwarmMethodFlags flags;
  SwarmDetailsFunc details;
  const char *doc;       /* one or more sentences; goes to introspection and dbus/<interface>.xml */
} SwarmBusMethod;

typedef struct {
  const char *name;
  const char *signature; /* one complete type */
  SwarmPropertyFunc get; /* all properties are read-only and public */
  gboolean constant;     /* no PropertiesChanged */
  const char *doc;
} SwarmBusProperty;

typedef struct {
  const char *name;
  const char *args; /* as SwarmBusMethod.in */
  const char *doc;
} SwarmBusSignal;

typedef struct {
  const char *name; /* "org.swarmagent1.Node" */
  const SwarmBusMethod *methods;
  const SwarmBusProperty *properties;
  const SwarmBusSignal *signals;
  const char *doc;
} SwarmBusInterface;

/* Called for each object of a kind with the last part of its path. */
typedef void (*SwarmBusEachFunc) (const char *tail, gpointer object, gpointer each_data);

/* A kind of object in the tree: either one fixed path, or all paths below a prefix. */
typedef struct {
  const char *path; /* "/org/swarmagent1/cluster", or a prefix that ends with '/': "/org/swarmagent1/node/" */
  const SwarmBusInterface *const *interfaces; /* NULL terminated */
  /* The object for @tail ("" for a fixed path); NULL: UnknownObject. Looked up at every call and again after polkit answered. */
  gpointer (*find) (const char *tail, gpointer data);
  /* Lists them all, for GetManagedObjects and child introspection; NULL: on demand only (tasks). */
  void (*each) (gpointer data, SwarmBusEachFunc func, gpointer each_data);
  /* Why there can be no objects of this kind here now (this node is no manager), told to those who call a method of one that find() does not
   * know; NULL, or no function: UnknownObject. Caller frees. */
  GError *(*absent) (gpointer data);
} SwarmBusKind;

typedef enum {
  SWARM_AUDIT_DONE,
  SWARM_AUDIT_FAILED,  /* was let in */
  SWARM_AUDIT_REFUSED, /* was not */
} SwarmAuditResult;
typedef void (*SwarmBusAudit) (SwarmInvocation *invocation, SwarmAuditResult result, GVariant *value, const GError *error, gpointer data);

/* Who calls, whichever door. */
typedef struct {
  gboolean on_bus;
  guint32 uid;          /* bus callers and relayed ones; G_MAXUINT32: unknown */
  SwarmAction action;   /* what was granted */
  SwarmPeer peer;       /* rpc callers: the calling node; relayed: the relaying manager */
  char *request_id;     /* borrowed; empty: none given */
} SwarmCaller;

const SwarmCaller *swarm_invocation_caller (SwarmInvocation *self);
const SwarmBusMethod *swarm_invocation_method (SwarmInvocation *self);
const char *swarm_invocation_interface (SwarmInvocation *self);
const char *swarm_invocation_path (SwarmInvocation *self);
GVariant *swarm_invocation_args (SwarmInvocation *self); /* borrowed */
/* The descriptors that 'h' arguments name; NULL: none (borrowed). */
GUnixFDList *swarm_invocation_fds (SwarmInvocation *self);
/* Gives the call a request id found in its arguments, before it is relayed; copied. */
void swarm_invocation_set_request_id (SwarmInvocation *self, const char *request_id);
/* The data pointer given when the tables were added. */
gpointer swarm_invocation_data (SwarmInvocation *self);
/* NULL on the bus; the calling link over rpc (borrowed). */
SwarmLink *swarm_invocation_link (SwarmInvocation *self);
/* Another manager passed it on: the caller's peer is that manager. */
gboolean swarm_invocation_is_relayed (SwarmInvocation *self);
/* The row's details for polkit's rules and the audit trail, "node=n1 service=web", as the object was when the call came (borrowed). */
const char *swarm_invocation_details_text (SwarmInvocation *self);
/* For a filter that took the call over: it runs after all. @here: the filter is not asked again. */
void swarm_invocation_run (SwarmInvocation *self, gboolean here);
/* Answers and frees the invocation. @value: tuple matching the row's out signature, sunk; NULL for none. */
void swarm_invocation_return (SwarmInvocation *self, GVariant *value);
/* Same with descriptors for 'h' arguments (bus only). */
void swarm_invocation_return_fds (SwarmInvocation *self, GVariant *value, GUnixFDList *fds);
/* Answers with an error (borrowed) and frees the invocation. Foreign domains become .Failed. */
void swarm_invocation_fail (SwarmInvocation *self, const GError *error);
void swarm_invocation_fail_literal (SwarmInvocation *self, int code, const char *message);
/* Over rpc: answers with a stream instead of a value and frees the invocation; NULL (not answered) when not possible. */
SwarmStream *swarm_invocation_stream (SwarmInvocation *self, SwarmStreamReadyFunc ready, gpointer data);

/* Checks that every row is complete (action, roles, doc, valid signatures, an 'h' only with BUS_ONLY);
 * names the first bad row. The agent refuses to start otherwise. */
gboolean swarm_bus_tables_check (const SwarmBusKind *const *kinds, GError **error);
/* Complete introspection XML of one interface, with docs, as kept in dbus/<interface>.xml. Caller frees. */
char *swarm_bus_interface_xml (const SwarmBusInterface *iface);
/* The row, or NULL. */
const SwarmBusMethod *swarm_bus_find_method (const SwarmBusKind *kind, const char *iface, const char *member);
/* The tuple type string of "s:role a{sv}:options" → "(sa{sv})". Caller frees. */
char *swarm_bus_args_signature (const char *args);
