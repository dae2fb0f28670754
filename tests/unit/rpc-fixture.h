// SPDX-License-Identifier: LGPL-2.1-or-later
/* Two agents' transports in one process, with real certificates, over real TCP on loopback. For test-rpc*.c. */
#pragma once
#include "base/clock-glib.h"
#include "base/error.h"
#include "base/random-system.h"
#include "ca/authority.h"
#include "ca/cert.h"
#include "ca/crypto.h"
#include "rpc/conn.h"
#include "rpc/rpc.h"
#include "rpc/wire.h"
#include <glib-unix.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#define TEST_IFACE "org.swarmagent1.Test"
#define MS G_GINT64_CONSTANT (1000)
#define WORK_US 200

/* Real timers, a wall clock that can be moved. */
typedef struct {
  SwarmClock base;
  gint64 offset;
} TestClock;

/* A root and what it takes to issue with it. */
typedef struct {
  SwarmId cluster;
  char *cert, *worker_token, *manager_token;
  GBytes *key;
} TestCa;

typedef struct {
  char *cert;
  GBytes *key;
  SwarmPeer peer;
} TestIdentity;

/* One agent. */
typedef struct {
  SwarmRpc *rpc;
  TestClock clock;
  char *address;    /* it listens here */
  GPtrArray *links; /* that it accepted and are up, with a reference each */
  GPtrArray *calls; /* "Keep" calls that wait */
  SwarmStream *writer;
  gsize written, to_write;
  guint one_way, ready, downs;
  guint worked; /* "Work" calls, each of which takes WORK_US */
  GError *refused; /* the last */
  guint n_refused;
  char *denied; /* "MEMBER: why" of the last call that was told as refused */
  SwarmId denied_node;
  guint n_denied, suppressed;
  GError *standing; /* set: check_peer refuses with it */
  gboolean standing_at_call;
  guint64 index;
} TestAgent;

typedef struct {
  TestCa ca;
  TestIdentity manager_id, worker_id;
  TestAgent manager, worker;
  SwarmLink *link; /* worker → manager */
  gboolean up, down;
  GError *down_error;
} Fixture;

/* Turns the loop until @condition or 60 s. */
#define wait_until(condition) \
  do { \
    gint64 until_ = g_get_monotonic_time () + 60 * G_USEC_PER_SEC; \
    while (!(condition) && g_get_monotonic_time () < until_) \
      test_turn (); \
    g_assert_true (condition); \
  } while (0)

void test_turn (void);
/* So many milliseconds, and so many turns at least: a process that did not run has not waited. */
void test_turns (guint ms);

void test_ca_init (TestCa *ca);
void test_ca_clear (TestCa *ca);
void test_identity_init (TestIdentity *id, TestCa *ca, SwarmPeerRole role);
void test_identity_clear (TestIdentity *id);
/* The next certificate of @id's node, for another key. */
void test_identity_renew (TestIdentity *id, TestIdentity *ret, TestCa *ca, SwarmPeerRole role);
SwarmRpcCredentials test_credentials (TestIdentity *id, TestCa *ca);

void test_agent_init (TestAgent *agent, TestIdentity *id, TestCa *ca, const SwarmRpcLimits *limits);
void test_agent_clear (TestAgent *agent);

/* Both agents; the manager listens. @limits (may be NULL) are the manager's. */
void test_setup (Fixture *f, gconstpointer limits);
void test_teardown (Fixture *f, gconstpointer unused);
/* Dials from the worker; waits until up or down. */
void test_connect (Fixture *f, SwarmLinkKind kind);
extern const SwarmLinkEvents test_client_events;

/* A call with its outcome. */
typedef struct {
  guint n;
  GVariant *reply;
  GError *error;
} TestReply;
void test_reply_func (GVariant *reply, const GError *error, gpointer data);
void test_reply_clear (TestReply *reply);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (TestReply, test_reply_clear)

/* A reader with what it read. */
typedef struct {
  gsize bytes;
  guint8 sum;
  guint chunks;
  gsize largest;
  gboolean over;
  GError *error;
} TestRead;
void test_read_func (GBytes *chunk, const GError *error, gpointer data);

/* A TLS connection to the manager that is no agent: what it sends is up to the test. */
typedef struct {
  SwarmConnPool *pool;
  SwarmConn *conn;
  gboolean open;
  gboolean have_hello;
  GError *goodbye;
  GError *broken;
} RawPeer;
void raw_peer_connect (RawPeer *raw, Fixture *f, TestIdentity *id);
void raw_peer_send_hello (RawPeer *raw, const SwarmHello *hello);
void raw_peer_clear (RawPeer *raw);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (RawPeer, raw_peer_clear)
SwarmHello test_hello (Fixture *f);
/* A connected plain TCP socket, blocking. */
int test_tcp (const char *address);
#define assert_contains(text, part) \
  do { \
    if (strstr ((text), (part)) == NULL) \
      g_error ("%s:%d: \"%s\" lacks \"%s\"", __FILE__, __LINE__, (text), (part)); \
  } while (0)
