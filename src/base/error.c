// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/error.h"
#include <string.h>

#define PREFIX "org.swarmagent1.Error."

static const char *const error_names[_SWARM_ERROR_MAX] = {
  [SWARM_ERROR_FAILED] = PREFIX "Failed",
  [SWARM_ERROR_NOT_MANAGER] = PREFIX "NotManager",
  [SWARM_ERROR_NOT_FOUND] = PREFIX "NotFound",
  [SWARM_ERROR_ALREADY_EXISTS] = PREFIX "AlreadyExists",
  [SWARM_ERROR_OUT_OF_SEQUENCE] = PREFIX "OutOfSequence",
  [SWARM_ERROR_NO_QUORUM] = PREFIX "NoQuorum",
  [SWARM_ERROR_INVALID_ARGUMENT] = PREFIX "InvalidArgument",
  [SWARM_ERROR_FAILED_PRECONDITION] = PREFIX "FailedPrecondition",
  [SWARM_ERROR_NOT_SUPPORTED] = PREFIX "NotSupported",
  [SWARM_ERROR_UNKNOWN] = PREFIX "Unknown",
  [SWARM_ERROR_ACCESS_DENIED] = PREFIX "AccessDenied",
  [SWARM_ERROR_TIMED_OUT] = PREFIX "TimedOut",
  [SWARM_ERROR_UNAVAILABLE] = PREFIX "Unavailable",
  [SWARM_ERROR_LIMIT_EXCEEDED] = PREFIX "LimitExceeded",
  [SWARM_ERROR_LOCKED] = PREFIX "Locked",
  [SWARM_ERROR_CANCELLED] = PREFIX "Cancelled",
  [SWARM_ERROR_TRY_AGAIN] = PREFIX "TryAgain",
};

/* What the bus itself answers, and the nearest of our codes. */
static const struct {
  const char *name;
  SwarmError code;
} foreign_names[] = {
  { "org.freedesktop.DBus.Error.AccessDenied", SWARM_ERROR_ACCESS_DENIED },
  { "org.freedesktop.DBus.Error.AuthFailed", SWARM_ERROR_ACCESS_DENIED },
  { "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", SWARM_ERROR_ACCESS_DENIED },
  { "org.freedesktop.DBus.Error.NoReply", SWARM_ERROR_UNKNOWN },
  { "org.freedesktop.DBus.Error.Timeout", SWARM_ERROR_TIMED_OUT },
  { "org.freedesktop.DBus.Error.TimedOut", SWARM_ERROR_TIMED_OUT },
  { "org.freedesktop.DBus.Error.ServiceUnknown", SWARM_ERROR_UNAVAILABLE },
  { "org.freedesktop.DBus.Error.NameHasNoOwner", SWARM_ERROR_UNAVAILABLE },
  { "org.freedesktop.DBus.Error.Disconnected", SWARM_ERROR_UNAVAILABLE },
  { "org.freedesktop.DBus.Error.NoServer", SWARM_ERROR_UNAVAILABLE },
  { "org.freedesktop.DBus.Error.InvalidArgs", SWARM_ERROR_INVALID_ARGUMENT },
  { "org.freedesktop.DBus.Error.InvalidSignature", SWARM_ERROR_INVALID_ARGUMENT },
  { "org.freedesktop.DBus.Error.UnknownMethod", SWARM_ERROR_NOT_SUPPORTED },
  { "org.freedesktop.DBus.Error.UnknownInterface", SWARM_ERROR_NOT_SUPPORTED },
  { "org.freedesktop.DBus.Error.NotSupported", SWARM_ERROR_NOT_SUPPORTED },
  { "org.freedesktop.DBus.Error.UnknownObject", SWARM_ERROR_NOT_FOUND },
  { "org.freedesktop.DBus.Error.LimitsExceeded", SWARM_ERROR_LIMIT_EXCEEDED },
};

GQuark
swarm_error_quark (void)
{
  return g_quark_from_static_string ("swarm-error-quark");
}

const char *
swarm_error_to_name (const GError *error)
{
  if (error->domain != SWARM_ERROR || error->code < 0 || error->code >= _SWARM_ERROR_MAX)
    return error_names[SWARM_ERROR_FAILED];
  return error_names[error->code];
}

GError *
swarm_error_from_name (const char *name, const char *message)
{
  SwarmError code = SWARM_ERROR_FAILED;

  for (guint i = 0; i < _SWARM_ERROR_MAX; i++)
    if (g_strcmp0 (name, error_names[i]) == 0)
      code = i;
  for (guint i = 0; i < G_N_ELEMENTS (foreign_names); i++)
    if (g_strcmp0 (name, foreign_names[i].name) == 0)
      code = foreign_names[i].code;
  return g_error_new_literal (SWARM_ERROR, code, message != NULL && *message != '\0' ? message : "unknown error");
}
