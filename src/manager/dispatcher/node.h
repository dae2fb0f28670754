// SPDX-License-Identifier: LGPL-2.1-or-later
/* What the leader knows of one node besides the store: its session, when it was heard last, until when it is waited for. */
#pragma once
#include "manager/dispatcher/node-writer.h"
#include "manager/dispatcher/session.h"

/* Why a node is waited for; says how the waiting ends. */
typedef enum {
  SWARM_WAIT_NONE,      /* down or never seen: nothing is expected */
  SWARM_WAIT_HEARTBEAT, /* it has a session */
  SWARM_WAIT_UNKNOWN,   /* it may have had one with an earlier leader */
  SWARM_WAIT_GRACE,     /* its agent said goodbye and will be back */
} SwarmWait;

typedef struct {
  const SwarmLeader *leader;
  SwarmNodeWriter *writer;
  SwarmId id;
  SwarmSession *session; /* NULL: none */
  gboolean link_up;      /* of the session */
  SwarmWait wait;
  gint64 deadline; /* boottime */
  gint64 told;     /* the heartbeat period it goes by, µs; 0: none yet */
  gint64 *returned_at; /* of any node; see swarm_node_record_new() */
  gint64 inherited_at; /* boottime */
  SwarmTimer *timer;
  gint64 described_at;  /* boottime of the last Describe */
  gint64 clock_offset;  /* µs, as the last beat had it, if it told: it counts when the next one tells again */
  gboolean clock_told;
  guint clock_strange;  /* measurements in a row that speak against what is stored */
  gint64 registrations[3]; /* boottime of the last ones, a ring */
  guint n_registrations;
  gint64 refused_at; /* boottime: when it was last said that reports were refused; 0: never */
} SwarmNodeRecord;

#define SWARM_TEXT_DISCONNECTED "node is currently trying to find new manager"
#define SWARM_TEXT_STOPPED "agent stopped"

/* @returned_at, the dispatcher's: when (boottime) the last of those came back that a new leader met, set by their records. */
SwarmNodeRecord *swarm_node_record_new (const SwarmLeader *leader, SwarmNodeWriter *writer, const SwarmId *id, gint64 *returned_at);
/* Closes the session's link with @reason (may be NULL) and forgets all. */
void swarm_node_record_close (SwarmNodeRecord *self, const GError *reason);
void swarm_node_record_free (SwarmNodeRecord *self);

/* The heartbeat period of the cluster, µs. */
gint64 swarm_heartbeat_period (SwarmStore *store);
/* The node was heard: a new deadline, and the time until its next beat with jitter, µs. */
gint64 swarm_node_record_beat (SwarmNodeRecord *self);
/* FALSE: it described itself anew less than a second ago; each one is written down. Counts this one. */
gboolean swarm_node_record_may_describe (SwarmNodeRecord *self);
/* The node's clock showed @time_us when it sent this beat, and the beat before was answered within half a second; 0: it was not. So each
 * measurement counts with the next one. Beyond a second, twice in a row, it is written down and told in the journal. */
void swarm_node_record_clock (SwarmNodeRecord *self, gint64 time_us);
/* FALSE: more than three registrations within 1.6 heartbeat periods; that it asked is a sign of life all the same. Counts this one. */
gboolean swarm_node_record_may_register (SwarmNodeRecord *self);
/* Takes over a new session; an earlier one ends, its link is closed unless it is the same. */
void swarm_node_record_open (SwarmNodeRecord *self, SwarmLink *link);
/* The session's link went down. */
void swarm_node_record_link_down (SwarmNodeRecord *self);
/* Ends the session: the host shuts down, or the agent comes back within a minute. */
void swarm_node_record_goodbye (SwarmNodeRecord *self, gboolean host_shutdown, SwarmTicket *ticket);
/* A new leader meets the node: what it was told before may be out of date. Of @n_managers, this one among them, it finds
 * the leader the later the more of them are off; when there is one it had nobody to turn to meanwhile. */
void swarm_node_record_inherit (SwarmNodeRecord *self, const SwarmNode *node, guint n_managers);
