// SPDX-License-Identifier: LGPL-2.1-or-later
/* Field rules of specs, as the tables in spec.c name them. Texts are swarm's where it has one. */
#pragma once
#include "base/field.h"

/* More are a typing error: nobody's cluster is that big, and each task is an object on every manager. */
#define SWARM_MAX_REPLICAS 100000
#define SWARM_MAX_REPLICAS_TEXT "Number of replicas must be at most 100000"
#define SWARM_MAX_COMPLETIONS_TEXT "Number of completions must be at most 100000"
gboolean swarm_rule_max_concurrent (const SwarmField *field, const SwarmMessage *message, GError **error);
gboolean swarm_rule_completions (const SwarmField *field, const SwarmMessage *message, GError **error);
gboolean swarm_rule_replicas (const SwarmField *field, const SwarmMessage *message, GError **error);
gboolean swarm_rule_not_negative (const SwarmField *field, const SwarmMessage *message, GError **error);
gboolean swarm_rule_service_name (const SwarmField *field, const SwarmMessage *message, GError **error);
gboolean swarm_rule_cluster_name (const SwarmField *field, const SwarmMessage *message, GError **error);
gboolean swarm_rule_seal (const SwarmField *field, const SwarmMessage *message, GError **error);
gboolean swarm_rule_image (const SwarmField *field, const SwarmMessage *message, GError **error);
gboolean swarm_rule_nameservers (const SwarmField *field, const SwarmMessage *message, GError **error);
gboolean swarm_rule_dns_search (const SwarmField *field, const SwarmMessage *message, GError **error);
gboolean swarm_rule_dns_options (const SwarmField *field, const SwarmMessage *message, GError **error);
gboolean swarm_rule_no_template (const SwarmField *field, const SwarmMessage *message, GError **error);
gboolean swarm_rule_env (const SwarmField *field, const SwarmMessage *message, GError **error);
gboolean swarm_rule_mounts (const SwarmField *field, const SwarmMessage *message, GError **error);
gboolean swarm_rule_absolute_path (const SwarmField *field, const SwarmMessage *message, GError **error);
gboolean swarm_rule_cpus (const SwarmField *field, const SwarmMessage *message, GError **error);
gboolean swarm_rule_memory (const SwarmField *field, const SwarmMessage *message, GError **error);
gboolean swarm_rule_restart_delay (const SwarmField *field, const SwarmMessage *message, GError **error);
gboolean swarm_rule_restart_window (const SwarmField *field, const SwarmMessage *message, GError **error);
gboolean swarm_rule_constraints (const SwarmField *field, const SwarmMessage *message, GError **error);
gboolean swarm_rule_target_port (const SwarmField *field, const SwarmMessage *message, GError **error);
gboolean swarm_rule_published_port (const SwarmField *field, const SwarmMessage *message, GError **error);
gboolean swarm_rule_aliases (const SwarmField *field, const SwarmMessage *message, GError **error);
gboolean swarm_rule_ports (const SwarmField *field, const SwarmMessage *message, GError **error);
gboolean swarm_rule_log_driver (const SwarmField *field, const SwarmMessage *message, GError **error);
gboolean swarm_rule_heartbeat (const SwarmField *field, const SwarmMessage *message, GError **error);
gboolean swarm_rule_cert_expiry (const SwarmField *field, const SwarmMessage *message, GError **error);
gboolean swarm_rule_not_negative_duration (const SwarmField *field, const SwarmMessage *message, GError **error);
gboolean swarm_rule_health_test (const SwarmField *field, const SwarmMessage *message, GError **error);
gboolean swarm_rule_health_time (const SwarmField *field, const SwarmMessage *message, GError **error);
gboolean swarm_rule_health_retries (const SwarmField *field, const SwarmMessage *message, GError **error);
gboolean swarm_rule_spread_descriptor (const SwarmField *field, const SwarmMessage *message, GError **error);
gboolean swarm_rule_strategy (const SwarmField *field, const SwarmMessage *message, GError **error);
gboolean swarm_rule_update_delay (const SwarmField *field, const SwarmMessage *message, GError **error);
gboolean swarm_rule_update_monitor (const SwarmField *field, const SwarmMessage *message, GError **error);
gboolean swarm_rule_disconnect_wait (const SwarmField *field, const SwarmMessage *message, GError **error);
gboolean swarm_rule_down_grace (const SwarmField *field, const SwarmMessage *message, GError **error);
gboolean swarm_rule_failure_ratio (const SwarmField *field, const SwarmMessage *message, GError **error);

/* Rules of whole messages. */
gboolean swarm_check_generic_resource (const SwarmMessage *message, GError **error);
gboolean swarm_check_resource_requirements (const SwarmMessage *message, GError **error);
gboolean swarm_check_service_mode (const SwarmMessage *message, GError **error);
gboolean swarm_check_external_ca (const SwarmMessage *message, GError **error);
gboolean swarm_check_mount (const SwarmMessage *message, GError **error);
gboolean swarm_check_endpoint_spec (const SwarmMessage *message, GError **error);
gboolean swarm_check_service_spec (const SwarmMessage *message, GError **error);
