// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a new cluster spec means for the root certificate: nothing, or a rotation that ca-rotation.c then leads to its end. */
#include "base/error.h"
#include "ca/token.h"
#include "manager/control/operation.h"
#include <string.h>

static gboolean
refuse (GError **error, const char *text)
{
  g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, text);
  return FALSE;
}

static gboolean
is_empty (const char *text)
{
  return text == NULL || *text == '\0';
}

/* PEM texts are the same but for white space around them. */
static gboolean
same_text (const char *a, const char *b)
{
  g_autofree char *left = g_strstrip (g_strdup (a != NULL ? a : "")), *right = g_strstrip (g_strdup (b != NULL ? b : ""));
  return strcmp (left, right) == 0;
}

const SwarmExternalCA *
swarm_control_external_ca (const SwarmCAConfig *config, const char *root_cert, const char *present_cert)
{
  for (guint i = 0; config->external_cas != NULL && i < config->external_cas->len; i++) {
    const SwarmExternalCA *ca = config->external_cas->pdata[i];
    if (same_text (is_empty (ca->ca_cert) ? present_cert : ca->ca_cert, root_cert))
      return ca;
  }
  return NULL;
}

/* The root to go to: the given one, or a new one of our own. */
static SwarmRootRotation *
next_root (SwarmControl *self, const SwarmCAConfig *config, const SwarmRootCA *root, GError **error)
{
  g_autoptr (SwarmRootRotation) next = swarm_root_rotation_new ();
  g_auto (SwarmRootInfo) info = { 0 };
  next->started_at = swarm_clock_now (self->clock);
  if (is_empty (config->signing_ca_cert)) {
    if (!self->crypto->create_root (self->crypto, next->started_at, &next->cert, &next->key, error))
      return NULL;
  } else {
    next->cert = g_strconcat (config->signing_ca_cert, g_str_has_suffix (config->signing_ca_cert, "\n") ? NULL : "\n", NULL);
    if (!is_empty (config->signing_ca_key))
      next->key = g_bytes_new (config->signing_ca_key, strlen (config->signing_ca_key));
    else if (swarm_control_external_ca (config, next->cert, root->cert) == NULL) {
      refuse (error, "the desired root certificate needs its signing key, or an external CA that signs under it");
      return NULL;
    }
  }
  if (!self->crypto->inspect_root (self->crypto, next->cert, next->key, next->started_at, &info, error))
    return NULL;
  next->digest = swarm_hex_encode (info.digest, sizeof info.digest);
  next->issuer_subject = g_steal_pointer (&info.subject);
  next->issuer_public_key = g_steal_pointer (&info.public_key);
  return g_steal_pointer (&next);
}

static gboolean
begin_rotation (SwarmControl *self, SwarmCluster *cluster, const SwarmCAConfig *config, GError **error)
{
  const SwarmRootCA *root = cluster->root_ca;
  if (root->rotation != NULL && root->rotation->cross_cert != NULL) {
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_FAILED_PRECONDITION,
                         "a root rotation is under way: wait for its end, or remove the nodes that it waits for");
    return FALSE;
  }
  if (root->key == NULL && swarm_control_external_ca (config, root->cert, root->cert) == NULL)
    return refuse (error, "the key of the present root certificate is not here, and has to sign the next: name the external CA that has it");
  g_autoptr (SwarmRootRotation) next = next_root (self, config, root, error);
  if (next == NULL)
    return FALSE;
  if (g_strcmp0 (next->digest, root->digest) == 0)
    return refuse (error, "the desired root certificate is the present one");
  if (root->key == NULL && next->key == NULL) {
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_NOT_SUPPORTED, "rotating from one external CA to a different external CA is not supported");
    return FALSE;
  }
  /* Without the key ca-rotation.c asks the external CA. */
  if (root->key != NULL && (next->cross_cert = self->crypto->cross_sign (self->crypto, root->cert, root->key, next->cert, error)) == NULL)
    return FALSE;
  SwarmRootCA *copy = swarm_root_ca_copy (root);
  swarm_message_set_pointer (&copy->rotation, next);
  copy->last_forced = config->force_rotate;
  swarm_root_ca_unref (cluster->root_ca);
  cluster->root_ca = copy;
  return TRUE;
}

gboolean
swarm_control_follow_ca (SwarmControl *self, SwarmCluster *cluster, const SwarmCAConfig *before, GError **error)
{
  const SwarmCAConfig *config = cluster->spec->ca_config;
  gboolean another = !is_empty (config->signing_ca_cert) && !same_text (config->signing_ca_cert, before != NULL ? before->signing_ca_cert : NULL);
  gboolean forced = config->force_rotate > (before != NULL ? before->force_rotate : 0);
  if (!is_empty (config->signing_ca_key) && is_empty (config->signing_ca_cert))
    return refuse (error, "a signing key needs its root certificate");
  if (self->crypto == NULL || cluster->root_ca == NULL)
    return TRUE;
  /* A certificate that led to a rotation before says nothing about this one. */
  g_autoptr (SwarmCAConfig) clean = swarm_ca_config_copy (config);
  g_clear_pointer (&clean->signing_ca_key, g_free);
  if (forced && !another)
    g_clear_pointer (&clean->signing_ca_cert, g_free);
  g_autoptr (SwarmCAConfig) wanted = swarm_ca_config_copy (clean);
  if (another)
    swarm_string_set (&wanted->signing_ca_key, config->signing_ca_key);
  if ((another || forced) && !begin_rotation (self, cluster, wanted, error))
    return FALSE;
  SwarmClusterSpec *spec = swarm_cluster_spec_copy (cluster->spec);
  swarm_message_set_pointer (&spec->ca_config, clean);
  swarm_cluster_spec_unref (cluster->spec);
  cluster->spec = spec;
  return TRUE;
}

/* ---- tokens ---- */

char *
swarm_control_make_token (SwarmRandom *random, const guint8 root_digest[32])
{
  SwarmToken token;
  swarm_token_generate (random, root_digest, &token);
  return swarm_token_format (&token);
}

char *
swarm_control_token_under (SwarmRandom *random, const char *hex_digest, GError **error)
{
  const char *hex = hex_digest != NULL ? hex_digest : "";
  guint8 digest[32];
  gboolean ok = strlen (hex) == 64;
  for (guint i = 0; ok && i < 32; i++) {
    int high = g_ascii_xdigit_value (hex[2 * i]), low = g_ascii_xdigit_value (hex[2 * i + 1]);
    ok = high >= 0 && low >= 0;
    digest[i] = (guint8) (high << 4 | low);
  }
  if (ok)
    return swarm_control_make_token (random, digest);
  g_set_error (error, SWARM_ERROR, SWARM_ERROR_FAILED, "the stored digest of the root certificate is damaged");
  return NULL;
}
