// SPDX-License-Identifier: LGPL-2.1-or-later
#include "model/rules.h"
#include "base/error.h"
#include "model/constraint.h"
#include "model/image.h"
#include "model/spec.h"
#include <string.h>

#define MEMBER(T, message, field) (*(T const *) ((const guint8 *) (message) + (field)->offset))

#define MIN_NANO_CPUS (1000 * 1000)
#define MIN_MEMORY (4 * 1024 * 1024)
#define MIN_CERT_EXPIRY (G_GINT64_CONSTANT (3600) * 1000 * 1000 * 1000)
#define MIN_HEARTBEAT (G_GINT64_CONSTANT (100) * 1000 * 1000)
#define MIN_HEALTH_TIME (1000 * 1000)
#define MAX_NAME 63

static gboolean
refuse (GError **error, const char *text)
{
  g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, text);
  return FALSE;
}

static gboolean
refuse_verbatim (GError **error, const char *text)
{
  swarm_field_error_verbatim (error, "%s", text);
  return FALSE;
}

/* Passes on the text of a parser that speaks swarm's words. */
static gboolean
refuse_as_parsed (GError **error, const GError *parsed)
{
  return refuse_verbatim (error, parsed->message);
}

gboolean
swarm_rule_not_negative (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  return MEMBER (gint64, message, field) >= 0 || refuse (error, "must not be negative");
}

gboolean
swarm_rule_replicas (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  return MEMBER (guint64, message, field) <= SWARM_MAX_REPLICAS || refuse_verbatim (error, SWARM_MAX_REPLICAS_TEXT);
}

gboolean
swarm_rule_max_concurrent (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  return MEMBER (guint64, message, field) <= SWARM_MAX_REPLICAS
         || refuse_verbatim (error, "Maximum concurrent jobs must be at most 100000");
}

gboolean
swarm_rule_completions (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  return MEMBER (guint64, message, field) <= SWARM_MAX_REPLICAS || refuse_verbatim (error, SWARM_MAX_COMPLETIONS_TEXT);
}

/* ---- names ---- */

/* ^[a-zA-Z0-9](?:[-_]*[A-Za-z0-9]+)*$ */
static gboolean
is_dns_name (const char *name)
{
  gsize len = strlen (name);

  for (gsize i = 0; i < len; i++)
    if (!g_ascii_isalnum (name[i]) && name[i] != '-' && name[i] != '_')
      return FALSE;
  return len > 0 && g_ascii_isalnum (name[0]) && g_ascii_isalnum (name[len - 1]);
}

static const char *
service_name_problem (const char *name)
{
  if (name == NULL || *name == '\0')
    return "meta: name must be provided";
  if (!is_dns_name (name))
    return "name must be valid as a DNS name component";
  if (strlen (name) > MAX_NAME)
    return "name must be 63 characters or fewer";
  return NULL;
}

gboolean
swarm_validate_service_name (const char *name, GError **error)
{
  const char *problem = service_name_problem (name);

  return problem == NULL || refuse (error, problem);
}

/* A spec without a name is fine here: control gives it one. */
gboolean
swarm_rule_service_name (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  const char *name = MEMBER (char *, message, field);
  const char *problem = name != NULL ? service_name_problem (name) : NULL;

  return problem == NULL || refuse_verbatim (error, problem);
}

gboolean
swarm_rule_cluster_name (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  const char *name = MEMBER (char *, message, field);

  return name == NULL || g_str_equal (name, "default") || refuse_verbatim (error, "swarm spec must be named \"default\"");
}

gboolean
swarm_rule_seal (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  const SwarmEncryptionConfig *config = (const SwarmEncryptionConfig *) message;

  if (config->seal == NULL || *config->seal == '\0')
    return TRUE;
  if (!g_str_equal (config->seal, "systemd-creds")) {
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "unknown seal \"%s\": only systemd-creds is supported", config->seal);
    return FALSE;
  }
  return !config->auto_lock_managers
         || refuse_verbatim (error, "autolock keeps the key off the disk, so that there is nothing to seal: give either autolock or a seal");
}

/* ---- containers ---- */

gboolean
swarm_rule_image (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  const char *image = MEMBER (char *, message, field);
  g_autoptr (GError) parsed = NULL;
  g_autofree char *normalised = NULL;

  if (image == NULL)
    return refuse_verbatim (error, "ContainerSpec: image reference must be provided");
  normalised = swarm_image_normalise (image, &parsed);
  return normalised != NULL || refuse_as_parsed (error, parsed);
}

/* Docker expands {{.Node.Hostname}} and the like there; as long as nothing does, nothing is taken as it stands. */
static gboolean
is_no_template (const char *text, GError **error)
{
  return text == NULL || strstr (text, "{{") == NULL || refuse (error, "templates ({{...}}) are not supported yet");
}

gboolean
swarm_rule_no_template (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  return is_no_template (MEMBER (char *, message, field), error);
}

gboolean
swarm_rule_env (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  GPtrArray *env = MEMBER (GPtrArray *, message, field);

  for (guint i = 0; env != NULL && i < env->len; i++) {
    const char *entry = env->pdata[i];

    if (*entry == '\0' || *entry == '=')
      return refuse (error, "an environment variable needs a name (NAME=VALUE)");
    if (!is_no_template (entry, error))
      return FALSE;
  }
  return TRUE;
}

/* ---- names of other machines ---- */

gboolean
swarm_rule_nameservers (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  GPtrArray *servers = MEMBER (GPtrArray *, message, field);

  for (guint i = 0; servers != NULL && i < servers->len; i++)
    if (!g_hostname_is_ip_address (servers->pdata[i]) || strchr (servers->pdata[i], '%') != NULL) {
      swarm_field_error_verbatim (error, "IP address is not correctly formatted: %s", (char *) servers->pdata[i]);
      return FALSE;
    }
  return servers == NULL || servers->len <= SWARM_MAX_NAMESERVERS || refuse (error, "there are more than 16");
}

/* They become words of one line in a file. */
static gboolean
are_words (GPtrArray *list, const char *what, GError **error)
{
  for (guint i = 0; list != NULL && i < list->len; i++) {
    const char *word = list->pdata[i];

    if (*word == '\0' || strlen (word) > 253 || strpbrk (word, " \t\r\n#;") != NULL) {
      swarm_field_error_verbatim (error, "invalid %s: %s", what, word);
      return FALSE;
    }
  }
  return TRUE;
}

gboolean
swarm_rule_dns_search (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  return are_words (MEMBER (GPtrArray *, message, field), "domain", error);
}

gboolean
swarm_rule_dns_options (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  return are_words (MEMBER (GPtrArray *, message, field), "DNS option", error);
}

gboolean
swarm_rule_mounts (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  GPtrArray *mounts = MEMBER (GPtrArray *, message, field);
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; mounts != NULL && i < mounts->len; i++) {
    const SwarmMount *mount = mounts->pdata[i];

    if (!g_hash_table_add (seen, mount->target)) {
      swarm_field_error_verbatim (error, "ContainerSpec: duplicate mount point: %s", mount->target);
      return FALSE;
    }
  }
  return TRUE;
}

gboolean
swarm_rule_health_test (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  GPtrArray *test = MEMBER (GPtrArray *, message, field);
  const char *kind = test != NULL && test->len > 0 ? test->pdata[0] : NULL;

  if (kind == NULL || (g_str_equal (kind, "NONE") && test->len == 1) || (g_str_equal (kind, "CMD") && test->len > 1)
      || (g_str_equal (kind, "CMD-SHELL") && test->len == 2))
    return TRUE;
  return refuse (error, "must be [], [\"NONE\"], [\"CMD\", arguments…] or [\"CMD-SHELL\", command]");
}

gboolean
swarm_rule_health_time (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  gint64 time = MEMBER (gint64, message, field);

  if (time == 0 || time >= MIN_HEALTH_TIME)
    return TRUE;
  swarm_field_error_verbatim (error, "ContainerSpec: %s in HealthConfig cannot be less than 1ms", field->name);
  return FALSE;
}

gboolean
swarm_rule_health_retries (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  return MEMBER (gint64, message, field) >= 0
         || refuse_verbatim (error, "ContainerSpec: Retries in HealthConfig cannot be negative");
}

gboolean
swarm_rule_absolute_path (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  const char *path = MEMBER (char *, message, field);

  return (path != NULL && *path == '/') || refuse (error, "must be an absolute path");
}

gboolean
swarm_check_mount (const SwarmMessage *message, GError **error)
{
  const SwarmMount *self = (const SwarmMount *) message;

  if (self->type == SWARM_MOUNT_BIND && (self->source == NULL || *self->source != '/'))
    return refuse (error, "a bind mount needs an absolute path as Source");
  if (self->type == SWARM_MOUNT_TMPFS && self->source != NULL)
    return refuse (error, "a tmpfs mount has no Source");
  return is_no_template (self->source, error) && is_no_template (self->target, error);
}

/* ---- resources, restart, placement ---- */

gboolean
swarm_rule_cpus (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  gint64 cpus = MEMBER (gint64, message, field);

  if (cpus == 0 || cpus >= MIN_NANO_CPUS)
    return TRUE;
  swarm_field_error_verbatim (error, "invalid cpu value %g: Must be at least 0.001", (double) cpus / 1e9);
  return FALSE;
}

gboolean
swarm_rule_memory (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  gint64 memory = MEMBER (gint64, message, field);

  if (memory == 0 || memory >= MIN_MEMORY)
    return TRUE;
  swarm_field_error_verbatim (error, "invalid memory value %" G_GINT64_FORMAT ": Must be at least 4MiB", memory);
  return FALSE;
}

gboolean
swarm_rule_restart_delay (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  return MEMBER (gint64, message, field) >= 0 || refuse_verbatim (error, "TaskSpec: restart-delay cannot be negative");
}

gboolean
swarm_rule_restart_window (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  return MEMBER (gint64, message, field) >= 0 || refuse_verbatim (error, "TaskSpec: restart-window cannot be negative");
}

gboolean
swarm_rule_constraints (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  g_autoptr (GError) parsed = NULL;
  g_autoptr (GPtrArray) constraints = swarm_constraints_parse (MEMBER (GPtrArray *, message, field), &parsed);

  return constraints != NULL || refuse_as_parsed (error, parsed);
}

gboolean
swarm_rule_spread_descriptor (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  static const char *const bases[] = { "node.labels.", "engine.labels." };
  const char *descriptor = MEMBER (char *, message, field);

  for (guint i = 0; descriptor != NULL && i < G_N_ELEMENTS (bases); i++)
    if (g_ascii_strncasecmp (descriptor, bases[i], strlen (bases[i])) == 0 && descriptor[strlen (bases[i])] != '\0')
      return TRUE;
  return refuse (error, "must be a label, node.labels.NAME or engine.labels.NAME");
}

gboolean
swarm_rule_strategy (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  const char *name = MEMBER (char *, message, field);

  return name == NULL || is_dns_name (name) || refuse (error, "must be the name of a scheduler plugin, such as spread, binpack or random");
}

gboolean
swarm_check_generic_resource (const SwarmMessage *message, GError **error)
{
  const SwarmGenericResource *self = (const SwarmGenericResource *) message;
  const char *kind = self->named != NULL ? self->named->kind : self->discrete != NULL ? self->discrete->kind : NULL;

  if ((self->named != NULL) == (self->discrete != NULL))
    return refuse (error, "needs either NamedResourceSpec or DiscreteResourceSpec");
  if (kind == NULL || (self->named != NULL && self->named->value == NULL))
    return refuse (error, "a generic resource needs a Kind and a Value");
  return self->discrete == NULL || self->discrete->value >= 0 || refuse (error, "a number of generic resources must not be negative");
}

/* What swarm lets pass and then never places: here it is an error (SWARM_BEHAVIOUR §4.1). */
static gboolean
check_reservation (const SwarmGenericResource *resource, GHashTable *seen, GError **error)
{
  const char *kind = resource->named != NULL ? resource->named->kind : resource->discrete->kind;

  if (resource->named != NULL)
    swarm_field_error_verbatim (error, "invalid argument for resource %s: a reservation is a number of them, not one by name", kind);
  else if (resource->discrete->value < 1)
    swarm_field_error_verbatim (error, "invalid argument for resource %s: a reservation is at least 1", kind);
  else if (!g_hash_table_add (seen, (gpointer) kind))
    swarm_field_error_verbatim (error, "invalid argument for resource %s: it is reserved twice", kind);
  else
    return TRUE;
  return FALSE;
}

gboolean
swarm_check_resource_requirements (const SwarmMessage *message, GError **error)
{
  const SwarmResourceRequirements *self = (const SwarmResourceRequirements *) message;
  GPtrArray *generic = self->reservations != NULL ? self->reservations->generic : NULL;
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);

  if (self->limits != NULL && self->limits->generic != NULL && self->limits->generic->len > 0)
    return refuse (error, "generic resources can be reserved, not limited");
  for (guint i = 0; generic != NULL && i < generic->len; i++)
    if (!check_reservation (generic->pdata[i], seen, error))
      return FALSE;
  return TRUE;
}

/* ---- updates ---- */

gboolean
swarm_rule_update_delay (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  return MEMBER (gint64, message, field) >= 0 || refuse_verbatim (error, "TaskSpec: update-delay cannot be negative");
}

gboolean
swarm_rule_update_monitor (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  return MEMBER (gint64, message, field) >= 0 || refuse_verbatim (error, "TaskSpec: update-monitor cannot be negative");
}

gboolean
swarm_rule_disconnect_wait (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  return MEMBER (gint64, message, field) >= 0 || refuse_verbatim (error, "the time to wait for a node that is cut off cannot be negative");
}

gboolean
swarm_rule_failure_ratio (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  double ratio = MEMBER (double, message, field);

  return (ratio >= 0 && ratio <= 1)
         || refuse_verbatim (error, "TaskSpec: update-maxfailureratio cannot be less than 0 or bigger than 1");
}

/* ---- ports ---- */

gboolean
swarm_rule_target_port (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  guint64 port = MEMBER (guint64, message, field);

  return (port >= 1 && port <= 65535) || refuse (error, "must be between 1 and 65535");
}

gboolean
swarm_rule_published_port (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  return MEMBER (guint64, message, field) <= 65535 || refuse (error, "must be between 0 (any) and 65535");
}

gboolean
swarm_rule_ports (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  GPtrArray *ports = MEMBER (GPtrArray *, message, field);
  g_autoptr (GHashTable) seen = g_hash_table_new (NULL, NULL);

  for (guint i = 0; ports != NULL && i < ports->len; i++) {
    const SwarmPortConfig *port = ports->pdata[i];

    if (port->published_port != 0
        && !g_hash_table_add (seen, GUINT_TO_POINTER ((guint) port->published_port << 2 | (guint) port->protocol)))
      return refuse_verbatim (error, "EndpointSpec: duplicate published ports provided");
  }
  return TRUE;
}

/* A name in the answers to tasks' questions, as a service's own. */
gboolean
swarm_rule_aliases (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  GPtrArray *aliases = MEMBER (GPtrArray *, message, field);

  for (guint i = 0; aliases != NULL && i < aliases->len; i++) {
    const char *problem = service_name_problem (aliases->pdata[i]);

    if (problem != NULL) {
      g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "alias \"%s\": %s", (const char *) aliases->pdata[i], problem);
      return FALSE;
    }
  }
  return TRUE;
}

gboolean
swarm_check_endpoint_spec (const SwarmMessage *message, GError **error)
{
  const SwarmEndpointSpec *self = (const SwarmEndpointSpec *) message;

  return self->mode != SWARM_ENDPOINT_DNSRR || !swarm_endpoint_spec_has_ingress (self)
         || refuse_verbatim (error, "EndpointSpec: port published with ingress mode can't be used with dnsrr mode");
}

/* ---- services and clusters ---- */

gboolean
swarm_check_service_mode (const SwarmMessage *message, GError **error)
{
  const SwarmServiceMode *self = (const SwarmServiceMode *) message;
  guint n = (self->replicated != NULL) + (self->global != NULL) + (self->replicated_job != NULL) + (self->global_job != NULL);

  return n <= 1 || refuse_verbatim (error, "must specify only one service mode");
}

gboolean
swarm_check_service_spec (const SwarmMessage *message, GError **error)
{
  const SwarmServiceSpec *self = (const SwarmServiceSpec *) message;

  if (self->task == NULL || self->task->container == NULL)
    return refuse_verbatim (error, "ContainerSpec: image reference must be provided");
  if (swarm_service_spec_kind (self) != SWARM_SERVICE_REPLICATED_JOB && swarm_service_spec_kind (self) != SWARM_SERVICE_GLOBAL_JOB)
    return TRUE;
  if (self->update != NULL)
    return refuse_verbatim (error, "Jobs may not have an update config");
  return self->rollback == NULL || refuse_verbatim (error, "Jobs may not have a rollback config");
}

gboolean
swarm_rule_log_driver (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  return g_strcmp0 (MEMBER (char *, message, field), "none") != 0
         || refuse_verbatim (error, "TaskSpec: log driver \"none\" is not available, tasks log to the journal");
}

gboolean
swarm_rule_heartbeat (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  gint64 period = MEMBER (gint64, message, field);

  if (period < 0)
    return refuse_verbatim (error, "heartbeat time period cannot be a negative duration");
  return period == 0 || period >= MIN_HEARTBEAT || refuse_verbatim (error, "minimum heartbeat time period is: 100ms");
}

gboolean
swarm_rule_down_grace (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  return MEMBER (gint64, message, field) >= 0 || refuse_verbatim (error, "the grace for nodes that are down cannot be negative");
}

gboolean
swarm_rule_cert_expiry (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  return MEMBER (gint64, message, field) >= MIN_CERT_EXPIRY
         || refuse_verbatim (error, "minimum certificate expiry time is: 1h0m0s");
}

gboolean
swarm_rule_not_negative_duration (const SwarmField *field, const SwarmMessage *message, GError **error)
{
  if (MEMBER (gint64, message, field) >= 0)
    return TRUE;
  g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "cannot be negative");
  return FALSE;
}

gboolean
swarm_check_external_ca (const SwarmMessage *message, GError **error)
{
  const SwarmExternalCA *ca = (const SwarmExternalCA *) message;
  if (g_strcmp0 (ca->protocol, "cfssl") != 0)
    g_set_error (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "unrecognized external CA protocol %s",
                 ca->protocol != NULL ? ca->protocol : "");
  else if (ca->url == NULL || !g_str_has_prefix (ca->url, "https://") || strlen (ca->url) <= strlen ("https://"))
    g_set_error_literal (error, SWARM_ERROR, SWARM_ERROR_INVALID_ARGUMENT, "the URL of an external CA begins with https://");
  else
    return TRUE;
  return FALSE;
}
