// SPDX-License-Identifier: LGPL-2.1-or-later
/* The replicated store: tables and indexes of immutable objects. Writes are transactions: a list of create/update/remove actions in one log entry,
 * applied on every manager in the same order with the same result. Versions are checked when the entry is applied, so validating against a state
 * that changed meanwhile costs a SWARM_ERROR_OUT_OF_SEQUENCE, never a wrong write. Reads are direct and never block. */
#pragma once
#include "base/clock.h"
#include "base/random.h"
#include "model/objects.h"

typedef struct _SwarmStore SwarmStore;
typedef struct _SwarmTx SwarmTx;

#define SWARM_TX_MAX_CHANGES 200
#define SWARM_TX_MAX_BYTES (1536 * 1024)

/* Outcome of a proposal; @index is the log index. Errors: NO_QUORUM/NOT_MANAGER (nothing happened), UNKNOWN (nobody can know). */
typedef void (*SwarmProposedFunc) (guint64 index, const GError *error, gpointer data);
/* Handed in by the daemon (consensus) or the simulator: gets one entry into the log; calls back exactly once, not re-entrantly, after it was applied. */
typedef void (*SwarmProposeFunc) (GBytes *entry, SwarmProposedFunc done, gpointer done_data, gpointer data);

/* Empty; what it is given is borrowed and must outlive it. */
SwarmStore *swarm_store_new (SwarmClock *clock, SwarmRandom *random, SwarmProposeFunc propose, gpointer propose_data);
void swarm_store_free (SwarmStore *self);

/* ---- reading (borrowed objects, valid until the loop turns; take a reference to keep one) ---- */
gpointer swarm_store_get (SwarmStore *self, SwarmKind kind, const SwarmId *id);
/* By spec name (services, networks, …), exact. */
gpointer swarm_store_get_by_name (SwarmStore *self, SwarmKind kind, const char *name);
/* docker's rule: exact id, exact name (node: hostname), then id prefix. Errors: NOT_FOUND "no such service: X"/"node X not found",
 * INVALID_ARGUMENT "service X is ambiguous (N matches found)". */
gpointer swarm_store_resolve (SwarmStore *self, SwarmKind kind, const char *reference, GError **error);
/* The one cluster object, NULL before init. */
SwarmCluster *swarm_store_cluster (SwarmStore *self);
typedef gboolean (*SwarmStoreEach) (gpointer object, gpointer data); /* FALSE stops */
/* In order of id: the same on every manager. Do not commit synchronously from within. */
void swarm_store_foreach (SwarmStore *self, SwarmKind kind, SwarmStoreEach func, gpointer data);
/* The first one with an id above @after, NULL: of all; NULL at the end. For walks in parts: objects may come and go between two calls. */
gpointer swarm_store_next (SwarmStore *self, SwarmKind kind, const SwarmId *after);
guint swarm_store_count (SwarmStore *self, SwarmKind kind);
/* Index look-ups: arrays of borrowed SwarmTask *, sorted by slot then creation; caller frees the array only. Never NULL. */
GPtrArray *swarm_store_tasks_of_service (SwarmStore *self, const SwarmId *service);
GPtrArray *swarm_store_tasks_of_slot (SwarmStore *self, const SwarmId *service, guint64 slot);
/* Those of the slots from @first on: at least @n, but no slot in part, unless there are no more. For walks in parts. */
GPtrArray *swarm_store_tasks_from_slot (SwarmStore *self, const SwarmId *service, guint64 first, guint n);
GPtrArray *swarm_store_tasks_of_node (SwarmStore *self, const SwarmId *node);
/* Those of them that are in slot 0, as all tasks of global services and global jobs are. */
GPtrArray *swarm_store_unnumbered_tasks_of_node (SwarmStore *self, const SwarmId *node);
/* The first id above @after (NULL: of all) that is a node's, or a node's that is gone while tasks of it are left. FALSE: the end. */
gboolean swarm_store_next_node_id (SwarmStore *self, const SwarmId *after, SwarmId *ret);
/* The wall clock, but never behind what is stamped already: after a leader whose clock was ahead it goes on from there, a little slower, until
 * the two meet. Whatever is compared with a stamp is measured by it. */
gint64 swarm_store_now (SwarmStore *self);
/* Log index that the tables reflect. */
guint64 swarm_store_index (SwarmStore *self);

/* The latest stamp of any entry, µs; 0: none yet. */
gint64 swarm_store_newest_stamp (SwarmStore *self);

/* ---- feature levels (DESIGN "Versions") ---- */
/* What all managers know: no transaction may need more. 1 or above. */
guint swarm_store_cluster_level (SwarmStore *self);
/* The highest level that any entry applied so far needed (also before the snapshot): a program that knows less cannot be a manager any more. */
guint swarm_store_level_used (SwarmStore *self);
/* Tests of mixed versions: this store belongs to a program of another level than SWARM_FEATURE_LEVEL. */
void swarm_store_set_level_known (SwarmStore *self, guint level);

/* ---- writing ---- */
SwarmTx *swarm_store_tx (SwarmStore *self);
/* New object with a given id, or with a new one that is set in @object; versions and stamps are set when applied: each
 * entry's stamp is later than all before it, on every manager the same. From here on @object is the
 * store's to share (it takes a reference): it must not be changed any more, but for another swarm_tx_update() with it in this transaction.
 * A name that exists already fails the transaction with ALREADY_EXISTS "name conflicts with an existing object: service x already exists". */
void swarm_tx_create (SwarmTx *tx, gpointer object);
/* As swarm_tx_create(), @object must be left alone from here on. Replaces the object that has the copy's id (a second update of it in the same transaction replaces the first); fails with OUT_OF_SEQUENCE "update out of sequence" when its version differs from object->version. */
void swarm_tx_update (SwarmTx *tx, gpointer object);
/* The same by who has the object at hand that @object is a changed copy of, which spares looking for it. */
void swarm_tx_update_of (SwarmTx *tx, gconstpointer base, gpointer object);
/* @version 0: whatever version. Fails with NOT_FOUND when absent. */
void swarm_tx_remove (SwarmTx *tx, SwarmKind kind, const SwarmId *id, guint64 version);
guint swarm_tx_n_changes (SwarmTx *tx);
/* Room for @n more changes within the limits, when none is larger than the largest so far? */
gboolean swarm_tx_has_room (SwarmTx *tx, guint n);
/* What this transaction means is known from feature level @level on: for what no row's .since tells (a new enum value, a new rule). */
void swarm_tx_need_level (SwarmTx *tx, guint level);
/* Result bytes kept with the request id and given back on a repeat (e.g. the new id). */
void swarm_tx_set_result (SwarmTx *tx, GVariant *result);
/* All or nothing. @result: what set_result gave, or the first time's result when @request_id was seen already (then nothing is done again).
 * Called exactly once, never from within. An empty transaction succeeds at once without a log entry. */
typedef void (*SwarmTxDone) (guint64 index, GVariant *result, const GError *error, gpointer data);
/* @request_id NULL or "": none; at most 128 characters. Only success is remembered: a refused transaction changed nothing, so the same id may
 * be tried again. Consumes @tx; @done may be NULL. Commits that wait when the store is freed fail with CANCELLED from within. Limits:
 * LIMIT_EXCEEDED. NOT_SUPPORTED: it needs a feature level that not all managers have. */
void swarm_tx_commit (SwarmTx *tx, const char *request_id, SwarmTxDone done, gpointer data);
void swarm_tx_free (SwarmTx *tx);
/* A request with this id was done already: swarm_tx_commit() with it gives the first result, whatever the transaction holds. NULL or "": no. */
gboolean swarm_store_has_request (SwarmStore *self, const char *request_id);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmTx, swarm_tx_free)

/* ---- the log's side ---- */
/* Applies one committed entry; deterministic; local proposals complete afterwards through their proposal's done. An entry with an unknown action
 * or format is an error: the caller stops the manager. */
gboolean swarm_store_apply (SwarmStore *self, guint64 index, GBytes *entry, GError **error);
/* A consistent view by reference, at once however much there is; encoding and freeing may happen on another thread. */
typedef struct _SwarmSnapshot SwarmSnapshot;
SwarmSnapshot *swarm_store_snapshot (SwarmStore *self);
GBytes *swarm_snapshot_encode (SwarmSnapshot *snapshot);
/* Both in one step, for what is small or can wait. */
GBytes *swarm_store_encode (SwarmStore *self);
void swarm_snapshot_free (SwarmSnapshot *snapshot);
/* Puts up to @n more objects of @snapshot, from @cursor (0 at first) on, into @self: by reference, without events and requests. For a
 * copy of the store to try things in. FALSE: all of them are in. */
gboolean swarm_store_load (SwarmStore *self, SwarmSnapshot *snapshot, guint *cursor, guint n);
/* Replaces everything; watchers get one RESET event, for those who look at all anew, and then what differs, object by object. */
gboolean swarm_store_restore (SwarmStore *self, guint64 index, GBytes *snapshot, GError **error);

/* ---- watching ---- */
typedef enum { SWARM_EVENT_CREATE, SWARM_EVENT_UPDATE, SWARM_EVENT_REMOVE, SWARM_EVENT_RESET, SWARM_EVENT_COMMIT } SwarmEventKind;
typedef struct {
  SwarmEventKind event; /* COMMIT closes each applied entry, refused ones too: a good moment to schedule one pass */
  SwarmKind kind;
  gpointer object;   /* new (or removed) */
  gpointer previous; /* before an update */
} SwarmEvent;
/* Called while an entry is applied, in order: mark and defer, do not write from within. */
typedef void (*SwarmWatchFunc) (const SwarmEvent *event, gpointer data);
/* @kinds: bit mask 1 << SWARM_KIND_…; 0 = all. COMMIT and RESET always come. */
guint swarm_store_watch (SwarmStore *self, guint kinds, SwarmWatchFunc func, gpointer data);
void swarm_store_unwatch (SwarmStore *self, guint id);
