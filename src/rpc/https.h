// SPDX-License-Identifier: LGPL-2.1-or-later
/* One HTTPS POST, for external certificate authorities: TLS 1.2 or 1.3, HTTP/1.1, one answer, everything bounded. On the default main
 * context; nothing blocks. No redirects, no proxies, no cookies, no compression. */
#pragma once
#include "base/clock.h"
#include <gio/gio.h>

/* Longer answers are refused. */
#define SWARM_HTTPS_ANSWER_MAX (64 * 1024)

typedef struct _SwarmHttps SwarmHttps;
/* @body (borrowed) is that of a 2xx answer; any other is an error that quotes its status line. */
typedef void (*SwarmHttpsFunc) (GBytes *body, const GError *error, gpointer data);

typedef struct {
  SwarmClock *clock;
  const char *url;       /* https://HOST[:PORT]/PATH */
  const char *roots_pem; /* whom the server's certificate has to come from; its name has to be HOST */
  const char *cert_pem;  /* shown to the server, with what follows it; NULL: none */
  GBytes *key_pem;
  const char *content_type;
  GBytes *body;
  gint64 timeout_us; /* for all of it */
} SwarmHttpsRequest;

/* @func exactly once, from the loop, also for what is wrong with the request; then it is gone by itself. @request is copied. */
SwarmHttps *swarm_https_post (const SwarmHttpsRequest *request, SwarmHttpsFunc func, gpointer data);
/* Ends it; the function is not called any more. */
void swarm_https_cancel (SwarmHttps *self);
