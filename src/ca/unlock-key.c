// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ca/unlock-key.h"
#include "base/error.h"
#include "base/secret.h"
#include "ca/cert.h"
#include <string.h>

#define DIGITS 43 /* of 32 bytes, without "=" */

char *
swarm_unlock_key_format (GBytes *key)
{
  gsize len;
  const guint8 *data = g_bytes_get_data (key, &len);
  g_autofree char *base64 = g_base64_encode (data, len);
  char *text;

  g_strdelimit (base64, "=", '\0');
  text = g_strconcat (SWARM_UNLOCK_KEY_PREFIX, base64, NULL);
  explicit_bzero (base64, strlen (base64));
  return text;
}

GBytes *
swarm_unlock_key_parse (const char *text, GError **error)
{
  const char *digits = text != NULL && g_str_has_prefix (text, SWARM_UNLOCK_KEY_PREFIX) ? text + strlen (SWARM_UNLOCK_KEY_PREFIX) : "";
  GBytes *key = NULL;

  if (strlen (digits) == DIGITS && strspn (digits, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") == DIGITS) {
    char padded[DIGITS + 2];
    gsize len;

    g_snprintf (padded, sizeof padded, "%s=", digits);
    guchar *raw = g_base64_decode_inplace (padded, &len);
    if (len == SWARM_UNLOCK_KEY_BYTES)
      key = swarm_secret_bytes (raw, len);
    explicit_bzero (padded, sizeof padded);
  }
  if (key == NULL)
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "swarm could not be unlocked: invalid key provided");
  return key;
}
