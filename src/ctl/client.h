// SPDX-License-Identifier: LGPL-2.1-or-later
/* The agent as swarmctl sees it: calls on the bus, ids and names, the running command. */
#pragma once
#include "bus/bus.h"
#include "ctl/json.h"
#include "ctl/opts.h"

#define CTL_BUS_NAME "org.swarmagent1"
#define CTL_PATH "/org/swarmagent1"
#define CTL_MANAGER_IFACE "org.swarmagent1.Manager"
#define CTL_CLUSTER_PATH "/org/swarmagent1/cluster"
#define CTL_CLUSTER_IFACE "org.swarmagent1.Cluster"
#define CTL_NODE_IFACE "org.swarmagent1.Node"
#define CTL_NETWORK_IFACE "org.swarmagent1.Network"
#define CTL_SERVICE_IFACE "org.swarmagent1.Service"
#define CTL_TASK_IFACE "org.swarmagent1.Task"

/* One running command. */
struct _CtlContext {
  const CtlCommand *command;
  CtlArgs *args;
  const char *host;     /* -H; NULL: this machine */
  SwarmBus *bus;        /* opened by the first call */
  gboolean interrupted; /* Ctrl-C while waiting */
  gboolean has_read;    /* something of the cluster is shown, or decided upon */
};

void ctl_context_close (CtlContext *context);
/* Says how old what was read is when the manager knew of no leader. */
void ctl_warn_if_stale (CtlContext *context);
/* "WARNING: …"; NULL: it is current. Caller frees. */
char *ctl_stale_text (gint64 stale_since, gint64 now);

/* D-Bus address that reaches the system bus of @host over ssh. Caller frees. */
char *ctl_ssh_address (const char *host, GError **error);

/* A call; @args may be NULL (sunk). The reply is the tuple of out arguments. */
GVariant *ctl_call (CtlContext *context, const char *path, const char *iface, const char *member, GVariant *args,
                    GError **error);
/* A call that changes something; asks for authorisation on a terminal. When the reply is lost it is sent again: only
 * for calls that carry a request id. */
GVariant *ctl_call_write (CtlContext *context, const char *path, const char *iface, const char *member, GVariant *args,
                          gboolean retry, GError **error);
/* Reads the object at @path, applies what the command line says, and writes it with the version that it read. */
typedef gboolean (*CtlReadAndWrite) (CtlContext *context, const char *path, gpointer data, GError **error);
/* Does that, and once more from the beginning when the object was written meanwhile: the cluster itself writes objects, too (addresses of a
 * new service, the progress of an update), so this is nothing that a user did wrong. Gives up after two seconds. */
gboolean ctl_write_fresh (CtlContext *context, const char *path, CtlReadAndWrite func, gpointer data, GError **error);
GVariant *ctl_call_fds (CtlContext *context, const char *path, const char *iface, const char *member, GVariant *args,
                        GUnixFDList **ret_fds, GError **error);
/* A call that hands descriptors over, which changes something and may take long. */
GVariant *ctl_call_with_fds (CtlContext *context, const char *path, const char *iface, const char *member, GVariant *args,
                             GUnixFDList *fds, GError **error);
/* The first out argument of a call without arguments, or with @args, as JSON. */
JsonNode *ctl_call_json (CtlContext *context, const char *path, const char *iface, const char *member, GVariant *args,
                         GError **error);

/* A fresh request id. Caller frees. */
char *ctl_request_id (void);

/* Object path of "node"/"service"/"task"/"network" @reference by docker's rule (id, name, id prefix; "self" for nodes); @ret_id
 * may be NULL. Caller frees. */
char *ctl_resolve (CtlContext *context, const char *kind, const char *reference, char **ret_id, GError **error);
/* Inspect() of a resolved object. */
JsonNode *ctl_inspect (CtlContext *context, const char *kind, const char *path, GError **error);

/* "name=value" of --filter options as a{sv} with lists; the key is lower-cased. Floating. */
GVariant *ctl_filters (GPtrArray *filters);
/* Adds one more value to a key. */
GVariant *ctl_filters_with (GPtrArray *filters, const char *key, GPtrArray *values);
/* All tasks that match, page by page, as JsonNode (array). */
JsonNode *ctl_list_tasks (CtlContext *context, GVariant *filters, GError **error);
/* ListNodes, ListServices or ListNetworks. */
JsonNode *ctl_list (CtlContext *context, const char *member, GVariant *filters, GError **error);

/* Collects the errors of a command that goes on with the next argument; NULL text is fine. */
void ctl_errors_add (GString **errors, const GError *error, const char *prefix);
/* FALSE with all of them, one per line; frees the string. TRUE when there are none. */
gboolean ctl_errors_finish (GString *errors, GError **error);

/* Prints warnings (array of strings) on stderr. */
void ctl_print_warnings (GVariant *warnings);
/* Stdout is a terminal. */
gboolean ctl_on_terminal (void);
guint ctl_terminal_width (void);
