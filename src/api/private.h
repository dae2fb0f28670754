// SPDX-License-Identifier: LGPL-2.1-or-later
/* Shared between the files of api/ only. */
#pragma once
#include "api/api.h"

typedef struct _SwarmTaskNews SwarmTaskNews;

extern const SwarmBusInterface swarm_api_manager_interface;
extern const SwarmBusInterface swarm_api_cluster_interface;
extern const SwarmBusInterface swarm_api_node_interface;
extern const SwarmBusInterface swarm_api_service_interface;
extern const SwarmBusInterface swarm_api_task_interface;
extern const SwarmBusInterface swarm_api_network_interface;
extern const SwarmBusInterface swarm_api_dispatcher_interface;
extern const SwarmBusInterface swarm_api_ca_interface;
extern const SwarmBusInterface swarm_api_consensus_interface;
extern const SwarmBusInterface swarm_api_relay_interface;
extern const SwarmBusInterface swarm_api_logs_interface;

/* The SwarmApi that an invocation belongs to. */
SwarmApi *swarm_api_of (SwarmInvocation *invocation);
/* TRUE when this node is a manager with a store; else answers NotManager with swarm's text and returns FALSE. */
gboolean swarm_api_need_manager (SwarmApi *self, SwarmInvocation *invocation);
/* swarm's text for why this node cannot answer. */
GError *swarm_api_not_manager_error (SwarmApi *self);
/* The common end of an operation of control: answers with nothing, or the error. @data is the invocation. */
void swarm_api_done (const SwarmControlReply *reply, const GError *error, gpointer data);

/* An object in the shape of the Engine API: its table's a{sv} with Version{Index}; floating dictionary builder, for additions. */
void swarm_api_object_dict (GVariantDict *dict, gconstpointer object, const SwarmApi *self);
/* A list of dictionaries from an array of floating a{sv}; floating "aa{sv}". */
GVariant *swarm_api_list (GPtrArray *variants);

/* One page of a list. It ends by number, by size (so that it fits into a message) or by time, whatever the filters let through. */
typedef struct {
  GPtrArray *items; /* GVariant */
  guint limit;
  gsize bytes;
  gint64 end; /* monotonic */
  guint n_seen;
  gboolean more; /* it ended before the list did */
} SwarmApiPage;
/* @limit as the caller gave it; 0: 500. */
void swarm_api_page_init (SwarmApiPage *self, guint limit);
void swarm_api_page_clear (SwarmApiPage *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (SwarmApiPage, swarm_api_page_clear)
/* The next one of the list; @item is consumed, NULL: the filters leave it out. FALSE: it is for the next page, this one is over. */
gboolean swarm_api_page_take (SwarmApiPage *self, GVariant *item);

/* Dictionaries as Inspect gives them; floating. */
GVariant *swarm_api_node_variant (SwarmApi *self, const SwarmNode *node);
/* The same with TLSInfo's certificates, which are too much for lists. */
GVariant *swarm_api_node_details_variant (SwarmApi *self, const SwarmNode *node);
GVariant *swarm_api_service_variant (SwarmApi *self, const SwarmService *service);
GVariant *swarm_api_network_variant (SwarmApi *self, const SwarmNetwork *network);
GVariant *swarm_api_task_variant (SwarmApi *self, const SwarmTask *task);
GVariant *swarm_api_cluster_variant (SwarmApi *self, const SwarmCluster *cluster);
/* The object under @id text, borrowed; NULL when absent or no manager. */
gpointer swarm_api_find (SwarmApi *self, SwarmKind kind, const char *tail);
/* Calls @func for each object of @kind, for SwarmBusKind.each. */
void swarm_api_each (SwarmApi *self, SwarmKind kind, SwarmBusEachFunc func, gpointer each_data);

/* Filters {name: [values]}: refuses unknown names. NULL terminated @allowed. */
gboolean swarm_api_check_filters (GVariant *filters, const char *const *allowed, GError **error);
/* TRUE when there is no filter @name, or @match says yes for one of its values. */
gboolean swarm_api_filter (GVariant *filters, const char *name, gboolean (*match) (const char *value, gpointer data), gpointer data);
/* Refuses options with a key that is not in @allowed ("RequestId:s", …). */
gboolean swarm_api_check_options (GVariant *options, const char *const *allowed, GError **error);

/* Answers @invocation with the steps of a plan. */
void swarm_api_plan (SwarmApi *self, SwarmInvocation *invocation, const SwarmPlanRequest *request);

/* Answers with the moves of a rebalance, in the same form. */
void swarm_api_plan_rebalance (SwarmApi *self, SwarmInvocation *invocation, const SwarmService *service, guint max_moves);

/* Handlers of Manager and Cluster in recovery.c. */
void swarm_api_unlock (SwarmInvocation *invocation, gpointer object, GVariant *args);
void swarm_api_backup (SwarmInvocation *invocation, gpointer object, GVariant *args);
void swarm_api_restore (SwarmInvocation *invocation, gpointer object, GVariant *args);
void swarm_api_get_unlock_key (SwarmInvocation *invocation, gpointer object, GVariant *args);
void swarm_api_rotate_unlock_key (SwarmInvocation *invocation, gpointer object, GVariant *args);

/* Handlers of Manager and Node that live in files of their own. */
void swarm_api_plan_service (SwarmInvocation *invocation, gpointer object, GVariant *args);
void swarm_api_plan_availability (SwarmInvocation *invocation, gpointer object, GVariant *args);
void swarm_api_create_network (SwarmInvocation *invocation, gpointer object, GVariant *args);
void swarm_api_create_service (SwarmInvocation *invocation, gpointer object, GVariant *args);
void swarm_api_list_tasks (SwarmInvocation *invocation, gpointer object, GVariant *args);
