// SPDX-License-Identifier: LGPL-2.1-or-later
/* Some hosts as network namespaces on one wire, each with a real swarm-netd. Needs root; the machine's own network is not touched. */
#pragma once
#include "netd-rows.h"

#define BED_HOSTS 3

typedef struct {
  int netns;
  GPid netd; /* 0: does not run */
  int socket; /* to its netd */
  guint64 number; /* of the last batch */
  char *socket_path;
  char *state_path;
  int notify; /* where its netd notifies "systemd" */
  char *notify_path;
  char *status; /* what it says of itself to "systemctl status"; NULL: nothing yet */
  GPtrArray *stored; /* BedStored: "systemd's" descriptor store */
  char *sockets; /* its /run/wireguard */
  GArray *keys; /* SwarmNetdWireguard: its own, as it said last */
  GHashTable *ready; /* sandbox → descriptor of its namespace */
} BedHost;

typedef struct {
  char *dir;
  int fabric; /* the wire, and the client outside: 10.88.0.100 */
  BedHost hosts[BED_HOSTS + 1]; /* from 1 on */
  GArray *children; /* servers in tasks */
} Bed;

/* NULL: not possible here (not root, no such kernel); the test is skipped. */
Bed *bed_new (void);
void bed_free (Bed *bed);
/* All hosts' rows, one network 4097 and the ingress network 4096; for a full batch to begin with. */
void bed_begin (GByteArray *out, guint host);
/* Sends @out (emptied) and waits for the answer: its errors as lines, "" when all is well. Caller frees. */
char *bed_send (Bed *bed, guint host, GByteArray *out, guint32 flags);
/* Reads what it has reported since; the errors of the last report. Caller frees. */
char *bed_listen (Bed *bed, guint host);
/* What it has put into the descriptor store by that name; -1: nothing. */
int bed_stored (Bed *bed, guint host, const char *name);
/* Waits until its status says what it is to. */
void bed_wait_status (Bed *bed, guint host, const char *part);
/* What each netd that is started has for WireGuard (NULL: none; /run/wireguard must be there), and its --rotation. */
extern const char *bed_wireguard, *bed_rotation;
void bed_start (Bed *bed, guint host);
void bed_kill (Bed *bed, guint host);
/* What systemd and /run forget when netd is stopped, not started again: while it does not run. */
void bed_forget (Bed *bed, guint host);
/* The namespace of a task. */
int bed_task (Bed *bed, guint host, const char *sandbox);
/* A server (TCP and UDP) on @port in @netns that answers each client with "NAME CLIENT-ADDRESS". */
void bed_serve (Bed *bed, int netns, const char *name, guint16 port);
/* Ends the server that was started last. */
void bed_stop_serving (Bed *bed);
/* How many seconds a question waits for its answer: long, for the machine may be busy. */
extern guint bed_patience;
/* Asks from @netns; the answer, or "refused", "timeout", … Caller frees. @type: SOCK_STREAM or SOCK_DGRAM. */
char *bed_ask (int netns, const char *address, guint16 port, int type);
/* And it is @expected. */
void bed_assert_answer (int netns, const char *address, guint16 port, int type, const char *expected);
/* A connected socket; -1 with errno. */
int bed_open (int netns, const char *address, guint16 port, int type);
/* An open TCP connection, and that it still works: echoes. */
int bed_connect (int netns, const char *address, guint16 port);
void bed_assert_alive (int connection);
/* Runs a shell command in @netns; its output. Caller frees. */
char *bed_shell (int netns, const char *command);
