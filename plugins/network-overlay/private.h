// SPDX-License-Identifier: LGPL-2.1-or-later
/* network-overlay: the picture of the networks as rows for swarm-netd.
 *
 * overlay.c is the plugin's face: tasks come and go, waiting for their namespaces. objects.c keeps what the manager told (nodes, networks, services,
 * tasks) and the tasks that were attached here, and knows who mentions whom. render.c makes an object's rows. table.c knows which rows are wanted and which
 * swarm-netd has: the difference is the next batch. link.c is the socket. processes.c watches the containers that are no tasks. */
#pragma once
#include <glib.h>
#include <swarm-netd-batch.h>
#include <swarm-plugin.h>

typedef struct OverlayTable OverlayTable;
typedef struct OverlayLink OverlayLink;

/* ---- rows: table.c ---- */

typedef struct {
  guint16 type;
  guint16 length;
  guint8 data[] __attribute__ ((aligned (8))); /* structures of swarm-netd-batch.h */
} OverlayRow;

OverlayTable *overlay_table_new (void);
void overlay_table_free (OverlayTable *self);
/* Of several objects that want a row with one key the last one wins. @row is the caller's, and stays as it is until it is withdrawn. */
void overlay_table_want (OverlayTable *self, OverlayRow *row);
void overlay_table_withdraw (OverlayTable *self, OverlayRow *row);
gboolean overlay_table_is_dirty (OverlayTable *self);
/* The records that lead swarm-netd from what it was sent last to what is wanted (@full: from nothing), which counts as sent now. NULL: nothing to do. */
GByteArray *overlay_table_take (OverlayTable *self, gboolean full);

/* ---- objects: objects.c ---- */

typedef enum {
  OVERLAY_NODE,
  OVERLAY_NETWORK,
  OVERLAY_SERVICE,
  OVERLAY_TASK,
  OVERLAY_LOCAL, /* a task's place on this host */
  OVERLAY_N_KINDS
} OverlayKind;

typedef struct {
  char *network;
  char *driver;
  SwarmNetdAddress v4, v6; /* all zero: none */
  guint prefix4, prefix6;
  char **aliases;
} OverlayAttachment;

typedef struct {
  guint8 protocol; /* as in IP */
  guint16 target;
  guint16 published;
} OverlayPort;

/* One object of whichever kind; what a kind does not have is zero. */
typedef struct {
  OverlayKind kind;
  char *id;
  char *name; /* lower case, in names */
  char *service;
  char *node;
  guint32 number;
  guint32 flags;
  guint32 vni;
  guint32 mtu;
  gboolean overlay; /* network: of our driver */
  SwarmNetdAddress underlay, gateway4, gateway6, ingress4, ingress6;
  guint gateway4_prefix, gateway6_prefix, ingress4_prefix, ingress6_prefix;
  SwarmNetdWireguard keys[2]; /* node: by slot, without its number; all zero: none */
  GPtrArray *attachments; /* OverlayAttachment */
  GArray *ports;          /* OverlayPort */
  GArray *servers;        /* local: SwarmNetdAddress, whom it asks for names that are not the cluster's */
  GPtrArray *rows;        /* OverlayRow: in the table */
  char *sandbox;    /* local: its id or, of containers that are no tasks, one for all attachments of the container */
  guint32 pid;      /* local: of such a container's first process; 0: it is a task */
  guint64 started;
  guint interface;  /* local: number of the first one */
  gboolean implied; /* local: known from the picture only */
  guint dirty; /* its place among those that are to be rendered anew, from 1 on; 0: it has none */
} OverlayObject;

typedef struct {
  GHashTable *by_id[OVERLAY_N_KINDS]; /* id → OverlayObject */
  GHashTable *mentions;               /* id → set of OverlayObject that name it */
  GPtrArray *dirty;                   /* ids and kinds to render: OverlayObject */
  OverlayTable *table;
  char *self; /* this node's id; NULL: not told yet */
  guint16 data_port;
  guint32 abilities; /* of this host: SWARM_NETD_ENCRYPTS, SWARM_NETD_IPV6 */
  GHashTable *problems; /* id of an object → text: what render.c could not do */
} OverlayModel;

OverlayModel *overlay_model_new (void);
void overlay_model_free (OverlayModel *self);
/* What this host can (flags of swarm-netd's HELLO). */
void overlay_model_set_abilities (OverlayModel *self, guint32 flags);
OverlayObject *overlay_model_find (OverlayModel *self, OverlayKind kind, const char *id);
/* The network of that number; NULL: there is none. */
OverlayObject *overlay_model_find_vni (OverlayModel *self, guint32 vni);
void overlay_model_picture (OverlayModel *self, const SwarmPluginPicture *picture);
/* The place of a task on this host: told by attach, with the ports that are the host's; or that of a container that is none. */
void overlay_model_put_local (OverlayModel *self, const SwarmPluginTask *task);
/* The places of those of @picture's tasks on this node that nobody attached. For the first picture of an agent that starts. */
void overlay_model_imply_locals (OverlayModel *self, const SwarmPluginPicture *picture);
/* Places of the task's container are known from before it was restarted. */
gboolean overlay_model_has_former (OverlayModel *self, const SwarmPluginTask *task);
void overlay_model_remove_local (OverlayModel *self, const char *id);
/* Brings the table up to date. */
void overlay_model_render (OverlayModel *self);
/* All objects that name @id; may be NULL. */
GHashTable *overlay_model_mentions (OverlayModel *self, const char *id);
/* "10.0.1.7/24"; FALSE: it is none. @prefix may be NULL: then there must be none. */
gboolean overlay_address_parse (const char *text, SwarmNetdAddress *address, guint *prefix);
gboolean overlay_address_is_none (const SwarmNetdAddress *address);
gboolean overlay_address_is_v4 (const SwarmNetdAddress *address);

/* ---- render.c ---- */

/* The rows of @object as things are (OverlayRow). */
GPtrArray *overlay_render (OverlayModel *model, OverlayObject *object);
/* Why the task cannot have its networks on this host; NULL: nothing stands against it that is known. Caller frees. */
char *overlay_obstacle (OverlayModel *model, const OverlayObject *local);

/* ---- processes.c ---- */

typedef struct OverlayProcesses OverlayProcesses;
/* The process that was watched for @id ended. It is not watched any more. */
typedef void (*OverlayProcessFunc) (gpointer data, const char *id);

OverlayProcesses *overlay_processes_new (SwarmPluginHost *host, OverlayProcessFunc func, gpointer data);
void overlay_processes_free (OverlayProcesses *self);
/* From now on; instead of what was watched for @id. FALSE: there is no such process, or it cannot be watched (errno). */
gboolean overlay_processes_add (OverlayProcesses *self, const char *id, guint32 pid);
void overlay_processes_remove (OverlayProcesses *self, const char *id);

/* ---- link.c ---- */

typedef struct {
  /* swarm-netd is there (again) and wants everything, or is not, or can do nothing on this host (@reason). @flags: of its HELLO. */
  void (*state) (gpointer data, gboolean up, guint32 flags, const char *reason);
  /* A batch was answered: it counts, or @refused tells why not. After the calls for its records and end. */
  void (*acked) (gpointer data, const char *refused);
  /* What @report is FALSE for belongs to a batch; TRUE: what came before counts no more. */
  void (*begin) (gpointer data, gboolean report);
  /* All was said. @keys (@n of them): this host's own ones now. */
  void (*end) (gpointer data, const SwarmNetdWireguard *keys, guint n);
  void (*problem) (gpointer data, const char *object, const char *text);
  void (*ready) (gpointer data, const char *sandbox, guint pid, guint fd);
} OverlayLinkOps;

OverlayLink *overlay_link_new (SwarmPluginHost *host, const char *path, const OverlayLinkOps *ops, gpointer data);
void overlay_link_free (OverlayLink *self);
/* It is up and no batch is under way. */
gboolean overlay_link_is_idle (OverlayLink *self);
/* Takes @records. */
void overlay_link_send (OverlayLink *self, GByteArray *records, gboolean full);
