// SPDX-License-Identifier: LGPL-2.1-or-later
/* The agent's inside, for the agent-*.c files only. */
#pragma once
#include "base/log-limit.h"
#include "api/private.h"
#include "ca/authority.h"
#include "daemon/agent.h"
#include "daemon/oneshot.h"
#include "daemon/peers.h"
#include "manager/stack.h"
#include "plugin/scheduler-set.h"
#include "plugin/services.h"
#include "rpc/rpc.h"
#include "worker/worker.h"

/* One init, join or leave at a time. */
typedef struct _SwarmAgentJob SwarmAgentJob;
typedef struct _SwarmPurge SwarmPurge;
typedef struct _SwarmRecovery SwarmRecovery;
typedef struct _SwarmTransfer SwarmTransfer;

struct _SwarmAgent {
  SwarmConfig *config;
  GMainLoop *loop;
  int status;
  gboolean stopping;
  gboolean gone; /* being freed: what ends now starts nothing new */
  guint sources[2]; /* signals */
  guint idle_source;

  SwarmClock *clock;
  SwarmRandom *random;
  SwarmCrypto *crypto;
  char *hostname;
  char *boot_id;

  SwarmDisk *node_disk;
  SwarmDisk *log_disk;
  SwarmDisk *worker_disk;

  SwarmBus *bus; /* NULL with --bus none */
  SwarmApi *api;

  SwarmPluginServices *units;
  SwarmRuntimeHost *runtime;
  SwarmSchedulerSet *schedulers;
  SwarmNetworkHost *network;

  SwarmMembership *membership; /* NULL: in no cluster */
  SwarmRpc *rpc;
  SwarmTransport transport; /* own address: in process; others: rpc */
  GPtrArray *own_links;     /* SwarmLink: the manager's ends of the in-process links */
  SwarmPeers *peers;        /* managers only */
  SwarmStack *stack;        /* managers only */
  SwarmWorker *worker;
  SwarmId leader;           /* as the worker's session was told */
  SwarmAgentJob *job;
  SwarmPurge *purge; /* see agent-purge.c */
  gboolean changing_role; /* or renewing the certificate */
  GBytes *next_key;       /* that the certificate is asked for */
  gboolean keep_key;      /* managers refuse our certificate: the next is only given for the same key */
  gboolean to_join;       /* it has a manager's certificate; what is missing is its place in the consensus */
  gboolean unheard;       /* for long no leader spoke to this manager, which the cluster does not count as one */
  SwarmTimer *unheard_timer;
  SwarmNode *told_node;   /* this node as the leader told meanwhile: looked at when that is over; NULL: nothing */
  guint role_tries;       /* that failed in a row */
  guint memberships;      /* how many there have been: answers to calls of an earlier one are dropped */
  SwarmTimer *renewal;
  char *renewal_serial;   /* of the certificate that renewal_at is about */
  gint64 renewal_at;      /* µs since 1970 */
  gint64 asked_after_refusal; /* boottime of the last attempt to renew because managers refuse us; 0: none */
  SwarmClockState clock_state;
  SwarmTimer *clock_timer;
  gboolean asking_time;
  char *trust_digest;     /* of membership->root_cert */
  GPtrArray *signings;    /* see agent-external-ca.c */
  guint standing_watch;
  guint keys_watch;       /* see agent-keys.c */
  guint keys_source;
  gboolean changing_keys;
  guint keys_watches;     /* how often the keys began to follow the cluster: what was under way before is dropped */
  SwarmTimer *address_timer; /* see agent-address.c */
  gint64 address_delay;
  SwarmTransfer *transfer; /* see agent-backup.c */
  SwarmRecovery *recovery; /* see agent-recover.c */
  gboolean alone;          /* the log is started as that of the only manager */
  guint64 later_epoch;     /* of others, that this manager does not belong to */
  guint epoch_source;
  GArray *to_cut;         /* SwarmId; see agent-standing.c */
  GArray *to_cut_older;
  guint cut_source;
  guint roots_source;
  GPtrArray *log_sessions; /* see agent-logs.c */
  GPtrArray *relays;       /* calls that the leader has not answered; see agent-relay.c */
  guint relay_source;
  GPtrArray *held;         /* calls that wait for the next leader */
  SwarmTimer *held_timer;
  gint64 no_leader_since;  /* boottime; 0: one is known */
  gint64 old_answer_at;    /* boottime: the last read that was answered without the leader; 0: none */
  guint teardown_source;
  guint role_source;
  SwarmLogLimit audit_limit; /* of failures and refusals */
  char *plugin_error; /* why this host cannot run tasks */
};

/* ---- agent.c ---- */
/* This node has no place in its cluster: the agent stays up to tell why. */
void swarm_agent_no_place (SwarmAgent *self, const GError *error);
/* Tells systemd, the bus and the journal how things stand. */
void swarm_agent_update_status (SwarmAgent *self);

/* ---- agent-plugins.c ---- */
/* A plugin that is refused is named in the journal; the agent lives on without it. */
void swarm_agent_load_plugins (SwarmAgent *self);
void swarm_agent_unload_plugins (SwarmAgent *self);

/* ---- agent-cluster.c: init, join, leave ---- */
void swarm_agent_init (gpointer agent, GVariant *options, SwarmInvocation *invocation);
void swarm_agent_join (gpointer agent, GVariant *options, SwarmInvocation *invocation);
void swarm_agent_leave (gpointer agent, gboolean force, SwarmInvocation *invocation);
/* For --init and --join: as above without an invocation; failure ends the agent. */
void swarm_agent_init_from_command_line (SwarmAgent *self);
void swarm_agent_join_from_command_line (SwarmAgent *self);
/* The worker's session came or went: jobs wait for it. */
void swarm_agent_job_session (SwarmAgent *self, SwarmSessionState state, const GError *error);
void swarm_agent_job_stack_changed (SwarmAgent *self);
/* FALSE: this node is part of a cluster, or about to be; the invocation is answered. */
gboolean swarm_agent_may_begin (SwarmAgent *self, SwarmInvocation *invocation);
/* Back to "in no cluster"; then @done, but not when the agent is gone. */
void swarm_agent_forget_cluster (SwarmAgent *self, void (*done) (gpointer data), gpointer data);
gboolean swarm_agent_is_leaving (SwarmAgent *self);
/* The agent stops: the job under way is answered and forgotten; what it wrote is sorted out at the next start. */
void swarm_agent_job_abandon (SwarmAgent *self);

/* ---- agent-purge.c ---- */
/* Removes all tasks that the runtime has, while there is no worker; each in @limit_us at most. @done maybe at once, never after the agent is gone. */
void swarm_agent_purge_tasks (SwarmAgent *self, gint64 limit_us, void (*done) (gpointer data), gpointer data);
/* The runtime is gone: nobody will answer. */
void swarm_agent_forget_purge (SwarmAgent *self);

/* ---- agent-parts.c: bringing the cluster's parts up and down ---- */
/* Starts what @self->membership says: credentials, listener, stack, worker. Synchronous reads. */
gboolean swarm_agent_start_cluster (SwarmAgent *self, GError **error);
/* What belongs below node/ could not be written: a manager stops to be one and is in error, as when its log fails. */
void swarm_agent_node_disk_failed (SwarmAgent *self, const GError *error);
/* The manager's part: stack, peers, listener. @bootstrap: a new log with this node as its first member. */
gboolean swarm_agent_start_manager (SwarmAgent *self, gboolean bootstrap, GError **error);
gboolean swarm_agent_start_worker (SwarmAgent *self, GError **error);
void swarm_agent_stop_manager (SwarmAgent *self);
/* What this node says in Consensus.Join; floating. */
GVariant *swarm_agent_join_args (SwarmAgent *self);
/* Keeps what Consensus.Join answered: raft id and members. */
void swarm_agent_take_members (SwarmAgent *self, GVariant *reply);
/* Everything down; membership stays as it is. */
void swarm_agent_stop_cluster (SwarmAgent *self);
/* The rpc object exists from here on, without credentials. */
void swarm_agent_ensure_rpc (SwarmAgent *self);
/* Credentials from the membership. */
gboolean swarm_agent_use_credentials (SwarmAgent *self, GError **error);
/* Removes all files of @disk, after what is being written to it. */
void swarm_agent_wipe_disk (SwarmDisk *disk, SwarmDiskDoneFunc done, gpointer data);

/* ---- agent-role.c: certificates; promotion and demotion of this node ---- */
/* Asks for the next certificate when it is time: to be called whenever there is a new one. */
void swarm_agent_plan_renewal (SwarmAgent *self);
/* The cluster is left: what is under way here ends without effect. */
void swarm_agent_forget_role_change (SwarmAgent *self);
void swarm_agent_node_changed (SwarmAgent *self, const SwarmNode *node);
void swarm_agent_demoted (SwarmAgent *self);

/* ---- agent-keys.c: a manager's keys at rest ---- */
/* Loaded, but not open: locked, or sealed to this host; goes on with swarm_agent_start_cluster() when they are. */
void swarm_agent_open_keys (SwarmAgent *self);
void swarm_agent_unlock (gpointer agent, const char *text, SwarmInvocation *invocation);
/* Follows the cluster in the stack's store. */
void swarm_agent_watch_keys (SwarmAgent *self);
void swarm_agent_unwatch_keys (SwarmAgent *self);
/* Managers refuse us although our clock is right: they may know a newer root, or our certificate has expired. */
void swarm_agent_renew_refused (SwarmAgent *self);
/* The root to trust from now on, as the leader says. */
void swarm_agent_root_changed (SwarmAgent *self, const char *pem);

/* ---- agent-clock.c ---- */
/* Asks now and then whether the host's clock follows a time server. */
void swarm_agent_watch_clock (SwarmAgent *self);
void swarm_agent_unwatch_clock (SwarmAgent *self);
/* "The clock of this host is 1 h 3 min behind the manager's, … ." Caller frees. */
char *swarm_agent_clock_problem (SwarmAgent *self, gint64 ahead_us);
/* The manager at @address refuses us, or we it: looks for the reason, and what can be done. */
void swarm_agent_session_refused (SwarmAgent *self, const char *address);
/* The node is in the cluster, but something keeps it from working there: `info`, the unit's status, the journal (once). */
void swarm_agent_tell_trouble (SwarmAgent *self, const char *text);

/* ---- agent-external-ca.c ---- */
/* A SwarmExternalSigner's. */
void swarm_agent_external_sign (const SwarmExternalCA *ca, const char *root_cert_pem, const char *csr_pem, const SwarmPeer *subject,
                                SwarmExternalSigned done, gpointer done_data, gpointer agent);
void swarm_agent_external_cross_sign (const SwarmExternalCA *ca, const char *root_cert_pem, const char *next_cert_pem, GBytes *next_key_pem,
                                      SwarmExternalSigned done, gpointer done_data, gpointer agent);
/* The manager stops: what is under way fails. Before the stack goes. */
void swarm_agent_end_signings (SwarmAgent *self);

/* ---- agent-address.c: this host came back with another address ---- */
/* Before the parts start: takes the new address. */
void swarm_agent_look_at_address (SwarmAgent *self);
/* The manager's part is up: has the members know its address, in case they do not. */
void swarm_agent_tell_address (SwarmAgent *self);
void swarm_agent_forget_address (SwarmAgent *self);
void swarm_agent_manager_moved (gpointer agent, SwarmInvocation *invocation);

/* ---- agent-backup.c ---- */
void swarm_agent_backup (gpointer agent, SwarmInvocation *invocation);
void swarm_agent_restore (gpointer agent, GVariant *options, SwarmInvocation *invocation);
gboolean swarm_agent_is_restoring (SwarmAgent *self);
/* The agent stops: who waits is answered. */
void swarm_agent_transfer_abandon (SwarmAgent *self);

/* ---- agent-recover.c: a cluster made anew ---- */
void swarm_agent_force_new_cluster (SwarmAgent *self, const char *listen, const char *advertise, SwarmInvocation *invocation);
void swarm_agent_recovery_stack_changed (SwarmAgent *self);
/* The agent stops: who waits is answered. */
void swarm_agent_recovery_abandon (SwarmAgent *self);
/* The highest epoch of the cluster that is known here, and what another node's means; see SwarmRpcSettings. */
guint64 swarm_agent_epoch (gpointer agent);
gboolean swarm_agent_check_epoch (const SwarmPeer *peer, guint64 epoch, gpointer agent, GError **error);
void swarm_agent_forget_epoch (SwarmAgent *self);

/* ---- agent-standing.c ---- */
/* Follows the stack's store: nodes that are removed or demoted lose their open connections with this agent. */
void swarm_agent_watch_standing (SwarmAgent *self);
void swarm_agent_unwatch_standing (SwarmAgent *self);

/* ---- agent-hooks.c ---- */
const SwarmApiHooks *swarm_agent_hooks (void);
/* Refuses, relays or lets pass: the filter of both doors. */
/* µs since 1970: as of when this manager's state was the cluster's, as far as it knows. */
gint64 swarm_agent_known_at (SwarmAgent *self);
gboolean swarm_agent_filter (SwarmInvocation *invocation, gpointer data);
/* A call that came over a link (accepted or in process). */
void swarm_agent_wire_call (SwarmLink *link, SwarmCall *call, gpointer agent);

/* ---- agent-audit.c ---- */
/* A line in the journal for each call that changes something or tells a secret: SwarmBusAudit of both doors, data: the SwarmApi. */
void swarm_agent_audit (SwarmInvocation *invocation, SwarmAuditResult result, GVariant *value, const GError *error, gpointer data);
/* What rpc turned away: SwarmRpcSettings. */
void swarm_agent_audit_connection (const char *address, const GError *error, guint suppressed, gpointer data);
void swarm_agent_audit_call (const SwarmPeer *peer, const char *member, const GError *error, guint suppressed, gpointer data);

/* ---- agent-behind.c ---- */
/* @func is told when this manager has what the leader had at the time of the call; @error: it could not make sure of that. Once, never from within;
 * the manager's part may have ended by then. */
typedef void (*SwarmAgentCaughtUpFunc) (const GError *error, gpointer data);
void swarm_agent_catch_up (SwarmAgent *self, SwarmAgentCaughtUpFunc func, gpointer data);
gboolean swarm_agent_behind (SwarmBusMissing *missing, gpointer data);

/* ---- agent-relay.c ---- */
#define SWARM_NO_LEADER_TEXT \
  "The swarm does not have a leader. It's possible that too few managers are online. Make sure more than half of the managers are online."
/* Has the leader (maybe this manager) answer a call. @leader nil: none is known, a write waits a moment for the next one. */
void swarm_agent_relay (SwarmAgent *self, const SwarmId *leader, SwarmInvocation *invocation);
/* Another leader, or none: calls that wait for the one before end, or are asked anew. */
void swarm_agent_relays_follow_lead (SwarmAgent *self);
/* The agent leaves or stops: what waits for a leader is refused. */
void swarm_agent_relays_end (SwarmAgent *self);
/* This manager leads: FALSE: what it knows is current, the read can be answered at once. TRUE: it runs when that is proven. */
gboolean swarm_agent_confirm_read (SwarmAgent *self, SwarmInvocation *invocation);
/* The leader's side: Relay.Call. */
void swarm_agent_relay_hook (gpointer agent, SwarmInvocation *invocation);

/* ---- agent-logs.c ---- */
void swarm_agent_open_logs (gpointer agent, SwarmService *service, GVariant *options, SwarmInvocation *invocation);
void swarm_agent_read_logs (gpointer agent, SwarmService *service, const char *cursor, guint max, SwarmInvocation *invocation);
void swarm_agent_stream_logs (gpointer agent, SwarmInvocation *invocation);
/* Ends all reading of logs: before the stack goes, which they look at. */
void swarm_agent_end_logs (SwarmAgent *self);
/* Only the leader has the nodes' links: those that follow through this manager end when it leads no more, and ask anew. */
void swarm_agent_logs_follow_lead (SwarmAgent *self);
/* Worker.ReadLogs on this node. */
void swarm_agent_worker_logs (SwarmCall *call, gpointer agent);

/* ---- describe.c ---- */
SwarmNodeDescription *swarm_describe_node (const char *hostname, GHashTable *labels, GPtrArray *things, SwarmNetworkHost *network);
