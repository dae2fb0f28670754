// SPDX-License-Identifier: LGPL-2.1-or-later
/* The one error domain that callers tell apart, and its one table of D-Bus names.
 * Everything else (GIOError, …) is breakage: it becomes `.Failed` on a door and is logged. */
#pragma once
#include <glib.h>

#define SWARM_ERROR (swarm_error_quark ())

typedef enum {
  SWARM_ERROR_FAILED,           /* breakage without a better name */
  SWARM_ERROR_NOT_MANAGER,      /* this node cannot answer: worker, or in no cluster */
  SWARM_ERROR_NOT_FOUND,
  SWARM_ERROR_ALREADY_EXISTS,
  SWARM_ERROR_OUT_OF_SEQUENCE,  /* stale version */
  SWARM_ERROR_NO_QUORUM,        /* no leader, or the leader cannot commit */
  SWARM_ERROR_INVALID_ARGUMENT,
  SWARM_ERROR_FAILED_PRECONDITION, /* right call, wrong state (node is not down, last manager, …) */
  SWARM_ERROR_NOT_SUPPORTED,
  SWARM_ERROR_UNKNOWN,          /* the outcome cannot be known (reply lost after a write was sent) */
  SWARM_ERROR_ACCESS_DENIED,
  SWARM_ERROR_TIMED_OUT,
  SWARM_ERROR_UNAVAILABLE,      /* peer away, try again later */
  SWARM_ERROR_LIMIT_EXCEEDED,   /* a bound was hit: size, count, rate */
  SWARM_ERROR_LOCKED,           /* the manager's state is sealed */
  SWARM_ERROR_CANCELLED,
  SWARM_ERROR_TRY_AGAIN,        /* nothing was done, for want of something else that may be back in a moment */
  _SWARM_ERROR_MAX,
} SwarmError;

/* Behind SWARM_ERROR. */
GQuark swarm_error_quark (void);

/* The D-Bus error name of @error ("org.swarmagent1.Error.NotFound"); `.Failed` for foreign domains. Never NULL. */
const char *swarm_error_to_name (const GError *error);

/* A GError from a D-Bus error name and text; foreign names become SWARM_ERROR_FAILED (AccessDenied, NoReply,
 * ServiceUnknown and Timeout of org.freedesktop.DBus map to their nearest code). Caller frees. */
GError *swarm_error_from_name (const char *name, const char *message);
