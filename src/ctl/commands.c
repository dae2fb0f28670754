// SPDX-License-Identifier: LGPL-2.1-or-later
/* The tables. Adding an option to a command is one row here and one look at it in the handler. */
#include "ctl/command.h"
#include "ctl/ca.h"
#include "ctl/network.h"
#include "ctl/service-policy.h"
#include "ctl/service-spec.h"
#include "ctl/values.h"
#include <string.h>

const CtlOption ctl_global_options[] = {
  { "help", 'h', CTL_BOOL, N_ ("Print usage") },
  { "host", 'H', CTL_STRING, N_ ("Talk to the agent of another machine over ssh"), .word = "[user@]host" },
  { NULL },
};

/* ---- options that several commands share ---- */

static const CtlOption listen_options[] = {
  { "advertise-addr", 0, CTL_STRING, N_ ("Advertised address (format: \"<ip|interface>[:port]\")") },
  { "availability", 0, CTL_STRING, N_ ("Availability of the node (\"active\", \"pause\", \"drain\")"),
    .fallback = "\"active\"", .choices = "active pause drain", .check = ctl_check_availability },
  { "listen-addr", 0, CTL_STRING, N_ ("Listen address (format: \"<ip|interface>[:port]\")"), .word = "node-addr",
    .fallback = "0.0.0.0:2377" },
  { NULL },
};

static const CtlOption list_options[] = {
  { "filter", 'f', CTL_LIST, N_ ("Filter output based on conditions provided"), .word = "filter",
    .check = ctl_check_filter },
  { "format", 0, CTL_STRING, N_ ("Format of the output: \"table\" or \"json\" (one object per line)"),
    .choices = "table json", .check = ctl_check_format },
  { "quiet", 'q', CTL_BOOL, N_ ("Only display IDs") },
  { NULL },
};

static const CtlOption task_list_options[] = {
  { "no-resolve", 0, CTL_BOOL, N_ ("Do not map IDs to Names") },
  { "no-trunc", 0, CTL_BOOL, N_ ("Do not truncate output") },
  { NULL },
};

static const CtlOption inspect_options[] = {
  { "format", 'f', CTL_STRING, N_ ("Format of the output: \"json\" (one line) or \"pretty\""), .choices = "json pretty",
    .check = ctl_check_inspect_format },
  { "pretty", 0, CTL_BOOL, N_ ("Print the information in a human friendly format") },
  { NULL },
};

static const CtlOption *const inspect_tables[] = { inspect_options, NULL };
static const CtlOption *const list_tables[] = { list_options, NULL };
static const CtlOption *const task_list_tables[] = { list_options, task_list_options, NULL };

/* ---- cluster ---- */

static const CtlOption keys_options[] = {
  { "autolock", 0, CTL_BOOL, N_ ("Enable manager autolocking (requiring an unlock key to start a stopped manager)") },
  { "seal", 0, CTL_STRING, N_ ("What seals the managers' keys on their disks: \"systemd-creds\" (TPM2 or the host's key), \"\": nothing"),
    .choices = "systemd-creds" },
  { NULL },
};
static const CtlOption cluster_options[] = {
  { "cert-expiry", 0, CTL_DURATION, N_ ("Validity period for node certificates (ns|us|ms|s|m|h)"), .fallback = "2160h0m0s" },
  { "cert-grace", 0, CTL_DURATION, N_ ("Time after its end in which a node that was away may still renew its certificate (ns|us|ms|s|m|h)"),
    .fallback = "2160h0m0s" },
  { "dispatcher-heartbeat", 0, CTL_DURATION, N_ ("Dispatcher heartbeat period (ns|us|ms|s|m|h)"), .fallback = "1s" },
  { "max-snapshots", 0, CTL_UINT, N_ ("Number of additional Raft snapshots to retain (only 0: none)"), .fallback = "0",
    .check = ctl_check_max_snapshots },
  { "node-down-grace", 0, CTL_DURATION,
    N_ ("Tasks of a node that is down for its silence move only after so long (ns|us|ms|s|m|h)"), .fallback = "0s" },
  { "snapshot-interval", 0, CTL_UINT, N_ ("Number of log entries between Raft snapshots"), .fallback = "10000" },
  { "strategy", 0, CTL_STRING, N_ ("Scheduler plugin that places the tasks of services that name none; \"\": spread"),
    .choices = "spread binpack random" },
  { "task-history-limit", 0, CTL_INT, N_ ("Task history retention limit"), .fallback = "5" },
  { NULL },
};
static const CtlOption external_ca_options[] = {
  { "external-ca", 0, CTL_LIST, N_ ("Specifications of one or more certificate signing endpoints"), .word = "external-ca",
    .check = ctl_check_external_ca },
  { NULL },
};
static const CtlOption init_options[] = {
  { "default-addr-pool", 0, CTL_LIST, N_ ("Subnets of which networks get theirs (CIDR)"), .word = "ipNetSlice", .fallback = SWARM_DEFAULT_ADDR_POOL },
  { "default-addr-pool-mask-length", 0, CTL_UINT, N_ ("Size of each of these pieces, in bits of its mask"), .fallback = "24" },
  { "force-new-cluster", 0, CTL_BOOL, N_ ("Force create a new cluster from current state") },
  { NULL },
};
static const CtlOption *const init_tables[] = { init_options, keys_options, external_ca_options, cluster_options, listen_options, NULL };
static const char *const init_unsupported[] = {
  "data-path-addr",
  "data-path-port",
  NULL,
};

static const CtlOption join_options[] = {
  { "token", 0, CTL_STRING, N_ ("Token for entry into the swarm"), .flags = CTL_OPTION_SECRET },
  { "token-file", 0, CTL_STRING, N_ ("Read the token from a file, \"-\" for standard input"), .word = "file" },
  { NULL },
};
static const CtlOption *const join_tables[] = { join_options, listen_options, NULL };
static const char *const join_unsupported[] = { "data-path-addr", NULL };

static const CtlOption join_token_options[] = {
  { "quiet", 'q', CTL_BOOL, N_ ("Only display token") },
  { "rotate", 0, CTL_BOOL, N_ ("Rotate join token") },
  { NULL },
};
static const CtlOption *const join_token_tables[] = { join_token_options, NULL };

static const CtlOption passphrase_options[] = {
  { "passphrase-file", 0, CTL_STRING, N_ ("Read the passphrase from a file, \"-\" for standard input; without it from the systemd credential "
                                         "\"swarm-backup\", or it is asked for"), .word = "file" },
  { NULL },
};
static const CtlOption backup_options[] = {
  { "force", 'f', CTL_BOOL, N_ ("Replace the file if it exists") },
  { NULL },
};
static const CtlOption *const backup_tables[] = { backup_options, passphrase_options, NULL };
static const CtlOption restore_options[] = {
  { "advertise-addr", 0, CTL_STRING, N_ ("Address for other nodes (format: \"<ip|interface>[:port]\")"), .word = "address" },
  { "listen-addr", 0, CTL_STRING, N_ ("Address to listen on (format: \"<ip|interface>[:port]\")"), .word = "address", .fallback = "0.0.0.0:2377" },
  { NULL },
};
static const CtlOption *const restore_tables[] = { restore_options, passphrase_options, NULL };

static const CtlOption unlock_key_options[] = {
  { "quiet", 'q', CTL_BOOL, N_ ("Only display token") },
  { "rotate", 0, CTL_BOOL, N_ ("Rotate unlock key") },
  { NULL },
};
static const CtlOption *const unlock_key_tables[] = { unlock_key_options, NULL };

static const CtlOption leave_options[] = {
  { "force", 'f', CTL_BOOL, N_ ("Force this node to leave the swarm, ignoring warnings") },
  { NULL },
};
static const CtlOption *const leave_tables[] = { leave_options, NULL };

static const CtlOption *const swarm_update_tables[] = { keys_options, external_ca_options, cluster_options, NULL };

static const CtlOption ca_options[] = {
  { "ca-cert", 0, CTL_STRING, N_ ("Path to the PEM-formatted root CA certificate to use for the new cluster"), .word = "file" },
  { "ca-key", 0, CTL_STRING, N_ ("Path to the PEM-formatted root CA key to use for the new cluster"), .word = "file" },
  { "cert-expiry", 0, CTL_DURATION, N_ ("Validity period for node certificates (ns|us|ms|s|m|h)"), .fallback = "2160h0m0s" },
  { "detach", 'd', CTL_BOOL, N_ ("Exit immediately instead of waiting for the root rotation to converge") },
  { "quiet", 'q', CTL_BOOL, N_ ("Suppress progress output") },
  { "rotate", 0, CTL_BOOL, N_ ("Rotate the swarm CA - if no certificate or key are provided, new ones will be generated") },
  { NULL },
};
static const CtlOption *const ca_tables[] = { ca_options, external_ca_options, NULL };

static const CtlOption info_options[] = {
  { "format", 'f', CTL_STRING, N_ ("Format of the output: \"json\""), .choices = "json", .check = ctl_check_format },
  { NULL },
};
static const CtlOption *const info_tables[] = { info_options, NULL };

/* ---- networks ---- */

static const CtlOption network_create_options[] = {
  { "attachable", 0, CTL_BOOL, N_ ("Enable manual container attachment") },
  { "driver", 'd', CTL_STRING, N_ ("Driver to manage the Network"), .fallback = "\"overlay\"", .choices = "overlay" },
  { "gateway", 0, CTL_LIST, N_ ("IPv4 or IPv6 Gateway for the master subnet") },
  { "ingress", 0, CTL_BOOL, N_ ("Create swarm routing-mesh network") },
  { "internal", 0, CTL_BOOL, N_ ("Restrict external access to the network") },
  { "ip-range", 0, CTL_LIST, N_ ("Allocate container ip from a sub-range") },
  { "ipv6", 0, CTL_BOOL, N_ ("Enable or disable IPv6 address assignment") },
  { "label", 0, CTL_LIST, N_ ("Set metadata on a network"), .check = ctl_check_label },
  { "opt", 'o', CTL_LIST, N_ ("Set driver specific options (\"encrypted\", \"mtu=1400\")"), .word = "map", .check = ctl_check_network_option },
  { "subnet", 0, CTL_LIST, N_ ("Subnet in CIDR format that represents a network segment") },
  { NULL },
};
static const CtlOption *const network_create_tables[] = { network_create_options, NULL };
static const char *const network_create_unsupported[] = { "aux-address", "config-from", "config-only", "ipam-driver", "ipam-opt", "ipv4", "scope", NULL };

static const CtlOption network_inspect_options[] = {
  { "verbose", 'v', CTL_BOOL, N_ ("Also who is in it: services with their tasks, containers, nodes") },
  { NULL },
};
static const CtlOption *const network_inspect_tables[] = { inspect_options, network_inspect_options, NULL };

static const CtlOption network_ls_options[] = {
  { "no-trunc", 0, CTL_BOOL, N_ ("Do not truncate the output") },
  { NULL },
};
static const CtlOption *const network_ls_tables[] = { list_options, network_ls_options, NULL };

static const CtlOption network_rm_options[] = {
  { "force", 'f', CTL_BOOL, N_ ("Do not error if the network does not exist") },
  { NULL },
};
static const CtlOption *const network_rm_tables[] = { network_rm_options, NULL };

/* ---- nodes ---- */

static const CtlOption node_update_options[] = {
  { "availability", 0, CTL_STRING, N_ ("Availability of the node (\"active\", \"pause\", \"drain\")"),
    .choices = "active pause drain", .check = ctl_check_availability },
  { "label-add", 0, CTL_LIST, N_ ("Add or update a node label (\"key=value\")"), .check = ctl_check_label },
  { "label-rm", 0, CTL_LIST, N_ ("Remove a node label if exists") },
  { "role", 0, CTL_STRING, N_ ("Role of the node (\"worker\", \"manager\")"), .choices = "worker manager",
    .check = ctl_check_role },
  { NULL },
};
static const CtlOption *const node_update_tables[] = { node_update_options, NULL };

static const CtlOption node_drain_options[] = {
  { "deadline", 0, CTL_DURATION, N_ ("Time after which no task waits for its replacement any more (ns|us|ms|s|m|h)"),
    .check = ctl_check_positive_duration },
  { "dry-run", 0, CTL_BOOL, N_ ("Only show what would be started and stopped, and where") },
  { "replacement-first", 0, CTL_BOOL, N_ ("Stop a task only when its replacement runs") },
  { "wait", 0, CTL_BOOL, N_ ("Wait until no task is left on the node") },
  { NULL },
};
static const CtlOption *const node_drain_tables[] = { node_drain_options, NULL };

static const CtlOption node_rm_options[] = {
  { "force", 'f', CTL_BOOL, N_ ("Force remove a node from the swarm") },
  { NULL },
};
static const CtlOption *const node_rm_tables[] = { node_rm_options, NULL };

/* ---- services ---- */

static const CtlOption detach_options[] = {
  { "detach", 'd', CTL_BOOL, N_ ("Exit immediately instead of waiting for the service to converge") },
  { NULL },
};
static const CtlOption *const detach_tables[] = { detach_options, NULL };

static const CtlOption rebalance_options[] = {
  { "dry-run", 0, CTL_BOOL, N_ ("Only show what would be started and stopped, and where") },
  { "max-moves", 0, CTL_UINT, N_ ("Move so many tasks at most (default 0 = as many as are needed)") },
  { "quiet", 'q', CTL_BOOL, N_ ("Suppress progress output") },
  { NULL },
};
static const CtlOption *const rebalance_tables[] = { rebalance_options, detach_options, NULL };

static const CtlOption rollback_options[] = {
  { "dry-run", 0, CTL_BOOL, N_ ("Only show what would be started and stopped, and where") },
  { "quiet", 'q', CTL_BOOL, N_ ("Suppress progress output") },
  { NULL },
};
static const CtlOption *const rollback_tables[] = { rollback_options, detach_options, NULL };

static const CtlOption logs_options[] = {
  { "follow", 'f', CTL_BOOL, N_ ("Follow log output") },
  { "no-task-ids", 0, CTL_BOOL, N_ ("Do not include task IDs in output") },
  { "no-trunc", 0, CTL_BOOL, N_ ("Do not truncate output") },
  { "raw", 0, CTL_BOOL, N_ ("Do not neatly format logs") },
  { "since", 0, CTL_STRING,
    N_ ("Show logs since timestamp (e.g. \"2013-01-02T13:23:37Z\") or relative (e.g. \"42m\" for 42 minutes)") },
  { "tail", 'n', CTL_STRING, N_ ("Number of lines to show from the end of the logs"), .fallback = "\"all\"" },
  { "timestamps", 't', CTL_BOOL, N_ ("Show timestamps") },
  { NULL },
};
static const CtlOption *const logs_tables[] = { logs_options, NULL };
static const char *const logs_unsupported[] = { "details", "no-resolve", NULL };

static const CtlOption *const create_tables[]
    = { ctl_service_create_options, ctl_service_options, detach_options, NULL };
static const CtlOption *const update_tables[]
    = { ctl_service_update_options, ctl_service_options, detach_options, NULL };

/* ---- the table ---- */

const CtlGroup ctl_groups[] = {
  { "network", N_ ("Manage networks") },
  { "node", N_ ("Manage Swarm nodes") },
  { "service", N_ ("Manage Swarm services") },
  { "task", N_ ("Look at the tasks of services") },
  { NULL, NULL },
};

const char *const ctl_unsupported_commands[] = {
  "secret",
  "config", "stack",  "volume", "system",     "events",           "plugin",  NULL,
};

const CtlCommand ctl_commands[] = {
  { "backup", NULL, "[OPTIONS] FILE", 1, 1, N_ ("Write the swarm's state to a file, sealed with a passphrase"), backup_tables, NULL,
    .run = ctl_cmd_backup,
    .examples = "backup /root/swarm.bak\tasks for a passphrase; the swarm goes on meanwhile\n"
                "backup --force --passphrase-file /root/passphrase /root/swarm.bak\tfor scripts" },
  { "ca", NULL, "[OPTIONS]", 0, 0, N_ ("Display and rotate the root CA"), ca_tables, NULL, .run = ctl_cmd_ca,
    .examples = "ca\tthe root certificate that the nodes trust\n"
                "ca --rotate\ta new root: all nodes get new certificates, the join tokens change\n"
                "ca --rotate --ca-cert ca.pem --ca-key ca.key\ta root of your own\n"
                "ca --rotate --ca-cert ca.pem --external-ca protocol=cfssl,url=https://ca.example:8888/api/v1/cfssl/sign\tkept elsewhere: cfssl signs" },
  { "info", NULL, "[OPTIONS]", 0, 0, N_ ("Display the state of this node and its swarm"), info_tables, NULL,
    .run = ctl_cmd_info,
    .examples = "info\tis this machine in a swarm, and in what state\n"
                "-H root@n2 info\tthe same of another machine, over ssh\n"
                "info --format json\tfor scripts" },
  { "init", NULL, "[OPTIONS]", 0, 0, N_ ("Initialize a swarm"), init_tables, init_unsupported, .run = ctl_cmd_init,
    .examples = "init\ton a machine with one address\n"
                "init --advertise-addr 10.99.0.1\twhen there are several addresses\n"
                "init --advertise-addr eth1 --availability drain\ta manager that runs no tasks\n"
                "init --force-new-cluster\ton a manager that is left when most others never come back; these leave (--force) before they join again" },
  { "join", NULL, "[OPTIONS] HOST:PORT", 1, 1, N_ ("Join a swarm as a node and/or manager"), join_tables,
    join_unsupported, .run = ctl_cmd_join,
    .examples = "join --token SWMTKN-1-… 10.99.0.1:2377\tas 'swarmctl join-token worker' says on a manager\n"
                "join --token-file - 10.99.0.1:2377\tthe token comes from standard input and is in no process list" },
  { "join-token", NULL, "[OPTIONS] (worker|manager)", 1, 1, N_ ("Manage join tokens"), join_token_tables, NULL,
    .objects = "role", .run = ctl_cmd_join_token,
    .examples = "join-token worker\tthe command that adds a worker\n"
                "join-token -q manager\tthe token alone\n"
                "join-token --rotate worker\tthe old token is refused from now on" },
  { "leave", NULL, "[OPTIONS]", 0, 0, N_ ("Leave the swarm"), leave_tables, NULL, .run = ctl_cmd_leave,
    .examples = "leave\ton a worker; a manager is demoted first (swarmctl node demote)\n"
                "leave --force\ton the last manager, or when its swarm is given up" },

  { "restore", NULL, "[OPTIONS] FILE", 1, 1, N_ ("Start a swarm from a backup"), restore_tables, NULL, .run = ctl_cmd_restore,
    .examples = "restore --advertise-addr 10.99.0.9 swarm.bak\ton a machine in no swarm; the others leave theirs (--force) and join it" },
  { "unlock", NULL, "", 0, 0, N_ ("Unlock swarm"), NULL, NULL, .run = ctl_cmd_unlock,
    .examples = "unlock\tafter a restart of a locked manager; asks for the key, or reads it from standard input" },
  { "unlock-key", NULL, "[OPTIONS]", 0, 0, N_ ("Manage the unlock key"), unlock_key_tables, NULL, .run = ctl_cmd_unlock_key,
    .examples = "unlock-key -q\tthe key alone\n"
                "unlock-key --rotate\ta new key for all managers" },
  { "update", NULL, "[OPTIONS]", 0, 0, N_ ("Update the swarm"), swarm_update_tables, NULL, .run = ctl_cmd_update,
    .examples = "update --task-history-limit 2\tkeep fewer of the tasks that have ended\n"
                "update --strategy binpack\tfill one machine before the next\n"
                "update --autolock\tfrom now on a manager that starts wants 'swarmctl unlock'; prints the key\n"
                "update --autolock=false\tand no more\n"
                "update --seal systemd-creds\tkeys open on their own host only, and without anybody" },

  { "network attach", NULL, "CONTAINER NETWORK", 2, 2, N_ ("Put a container of this host into an attachable network"), NULL, NULL,
    .run = ctl_cmd_network_attach,
    .examples = "network attach debug back\tthe podman container debug and the services there find each other by name; other names it asks whom it "
                "asked before (its resolv.conf needs an IPv4 server for that); prints its addresses" },
  { "network create", NULL, "[OPTIONS] NETWORK", 1, 1, N_ ("Create a network"), network_create_tables, network_create_unsupported,
    .run = ctl_cmd_network_create,
    .examples = "network create back\ta network for services, over all nodes\n"
                "network create --subnet 10.20.0.0/24 --internal data\twith addresses of your own, and no way out\n"
                "network create --opt encrypted secret\tbetween hosts inside WireGuard, or not at all" },
  { "network detach", NULL, "CONTAINER NETWORK", 2, 2, N_ ("Take a container of this host out of a network"), NULL, NULL,
    .run = ctl_cmd_network_detach, .examples = "network detach debug back\tthe container runs on without it" },
  { "network inspect", NULL, "[OPTIONS] NETWORK [NETWORK...]", 1, -1, N_ ("Display detailed information on one or more networks"), network_inspect_tables, NULL,
    .objects = "network", .run = ctl_cmd_network_inspect,
    .examples = "network inspect back\tits subnets among others\n"
                "network inspect --verbose --pretty back\twho is in it, to read" },
  { "network ls", "list", "[OPTIONS]", 0, 0, N_ ("List networks"), network_ls_tables, NULL, .run = ctl_cmd_network_ls,
    .examples = "network ls\tall networks\n"
                "network ls --filter driver=overlay\twithout those that every node has of its own" },
  { "network rm", "remove", "[OPTIONS] NETWORK [NETWORK...]", 1, -1, N_ ("Remove one or more networks"), network_rm_tables, NULL, .objects = "network",
    .run = ctl_cmd_network_rm, .examples = "network rm back\tonce no service and no task uses it" },

  { "node demote", NULL, "NODE [NODE...]", 1, -1, N_ ("Demote one or more nodes from manager in the swarm"), NULL, NULL,
    .objects = "node", .run = ctl_cmd_node_demote, .examples = "node demote n2\tn2 becomes a worker" },
  { "node drain", NULL, "[OPTIONS] NODE", 1, 1, N_ ("Move all tasks away from a node and give it no new ones"),
    node_drain_tables, NULL, .objects = "node", .run = ctl_cmd_node_drain,
    .examples = "node drain --replacement-first --wait n3\tbefore maintenance: nothing is missing meanwhile\n"
                "node drain --replacement-first --deadline 10m n3\twhat cannot be replaced in time is stopped all the same\n"
                "node drain --dry-run n3\twhere its tasks would go" },
  { "node inspect", NULL, "[OPTIONS] self|NODE [NODE...]", 1, -1,
    N_ ("Display detailed information on one or more nodes"), inspect_tables, NULL, .objects = "node",
    .run = ctl_cmd_node_inspect,
    .examples = "node inspect self\tthe node this command runs on\n"
                "node inspect --pretty n2\tto read" },
  { "node ls", "list", "[OPTIONS]", 0, 0, N_ ("List nodes in the swarm"), list_tables, NULL, .run = ctl_cmd_node_ls,
    .examples = "node ls\tall nodes, this one marked with *\n"
                "node ls --filter role=manager\tthe managers" },
  { "node promote", NULL, "NODE [NODE...]", 1, -1, N_ ("Promote one or more nodes to manager in the swarm"), NULL, NULL,
    .objects = "node", .run = ctl_cmd_node_promote, .examples = "node promote n2 n3\tn2 and n3 become managers" },
  { "node ps", NULL, "[OPTIONS] [NODE...]", 0, -1,
    N_ ("List tasks running on one or more nodes, defaults to current node"), task_list_tables, NULL, .objects = "node",
    .run = ctl_cmd_node_ps,
    .examples = "node ps\tthe tasks of this node\n"
                "node ps --filter desired-state=running n2\twithout the history" },
  { "node rm", "remove", "[OPTIONS] NODE [NODE...]", 1, -1, N_ ("Remove one or more nodes from the swarm"),
    node_rm_tables, NULL, .objects = "node", .run = ctl_cmd_node_rm,
    .examples = "node rm n3\ta node that has left or is down" },
  { "node update", NULL, "[OPTIONS] NODE", 1, 1, N_ ("Update a node"), node_update_tables, NULL, .objects = "node",
    .run = ctl_cmd_node_update,
    .examples = "node update --availability drain n1\tmove its tasks away, for maintenance or for a dedicated manager\n"
                "node update --label-add zone=a n2\tfor constraints such as node.labels.zone==a" },

  { "service create", NULL, "[OPTIONS] IMAGE [COMMAND] [ARG...]", 1, -1, N_ ("Create a new service"), create_tables,
    ctl_service_create_unsupported, .options_first = TRUE, .run = ctl_cmd_service_create,
    .examples = "service create --name my-web --replicas 3 --publish mode=host,target=80,published=8080 nginx"
                "\tthree web servers, one per host on port 8080\n"
                "service create --name work --detach busybox sleep 1d\tdo not wait\n"
                "service create --constraint node.labels.zone==a --limit-memory 256m busybox top\tplaced and limited" },
  { "service inspect", NULL, "[OPTIONS] SERVICE [SERVICE...]", 1, -1,
    N_ ("Display detailed information on one or more services"), inspect_tables, NULL, .objects = "service",
    .run = ctl_cmd_service_inspect,
    .examples = "service inspect my-web\tas JSON\n"
                "service inspect --pretty my-web\tto read" },
  { "service logs", NULL, "[OPTIONS] SERVICE|TASK", 1, 1, N_ ("Fetch the logs of a service or task"), logs_tables,
    logs_unsupported, .objects = "service", .run = ctl_cmd_service_logs,
    .examples = "service logs my-web\twhat its containers on all nodes wrote\n"
                "service logs --follow --tail 10 my-web\tand what they write from now on" },
  { "service ls", "list", "[OPTIONS]", 0, 0, N_ ("List services"), list_tables, NULL, .run = ctl_cmd_service_ls,
    .examples = "service ls\trunning and wanted tasks of every service\n"
                "service ls --filter name=my\tby the start of the name" },
  { "service plan", NULL, "FILE", 1, 1, N_ ("Show what a service's specification would do, without doing it"), NULL, NULL,
    .run = ctl_cmd_service_plan,
    .examples = "service plan web.json\ta new service, or another specification for the one of that name\n"
                "service plan -\tfrom standard input: what 'swarmctl service inspect web' prints, edited" },
  { "service ps", NULL, "[OPTIONS] SERVICE [SERVICE...]", 1, -1, N_ ("List the tasks of one or more services"),
    task_list_tables, NULL, .objects = "service", .run = ctl_cmd_service_ps,
    .examples = "service ps my-web\ttasks and their history, newest first\n"
                "service ps --no-trunc my-web\tthe whole error texts" },
  { "service rebalance", NULL, "[OPTIONS] SERVICE", 1, 1, N_ ("Even out the tasks of a service over the nodes"), rebalance_tables, NULL,
    .objects = "service", .run = ctl_cmd_service_rebalance,
    .examples = "service rebalance --dry-run my-web\twhich tasks would move, after a node has joined or come back\n"
                "service rebalance --max-moves 2 my-web\ttwo of them; nothing moves by itself" },
  { "service rm", "remove", "SERVICE [SERVICE...]", 1, -1, N_ ("Remove one or more services"), NULL, NULL,
    .objects = "service", .run = ctl_cmd_service_rm,
    .examples = "service rm my-web\tits tasks are stopped and removed" },
  { "service rollback", NULL, "[OPTIONS] SERVICE", 1, 1, N_ ("Revert changes to a service's configuration"), rollback_tables, NULL,
    .objects = "service", .run = ctl_cmd_service_rollback,
    .examples = "service rollback my-web\tas it was before the last update; once more: as it is now" },
  { "service scale", NULL, "[OPTIONS] SERVICE=REPLICAS [SERVICE=REPLICAS...]", 1, -1,
    N_ ("Scale one or multiple replicated services"), detach_tables, NULL,
    .objects = "service=", .run = ctl_cmd_service_scale,
    .examples = "service scale my-web=6\twait until six run\n"
                "service scale --detach my-web=6 work=0\tseveral at once, without waiting" },
  { "service update", NULL, "[OPTIONS] SERVICE", 1, 1, N_ ("Update a service"), update_tables,
    ctl_service_update_unsupported, .objects = "service", .run = ctl_cmd_service_update,
    .examples = "service update --image nginx:1.27 my-web\ta new version of the image\n"
                "service update --env-add DEBUG=1 --replicas 2 my-web\tseveral changes in one step\n"
                "service update --force my-web\tstart its tasks anew" },

  { "task inspect", NULL, "[OPTIONS] TASK [TASK...]", 1, -1, N_ ("Display detailed information on one or more tasks"),
    inspect_tables, NULL, .objects = "task", .run = ctl_cmd_task_inspect,
    .examples = "task inspect 50qe8lfnxaxk\tan id or its beginning, as 'swarmctl service ps' shows it" },
  { NULL },
};

const char *
ctl_command_word (const CtlCommand *command)
{
  const char *space = strrchr (command->path, ' ');

  return space != NULL ? space + 1 : command->path;
}

/* The number of @words that spell the command; 0: another one. */
static guint
matches (const CtlCommand *command, const char *const *words)
{
  g_auto (GStrv) path = g_strsplit (command->path, " ", -1);
  guint n = g_strv_length (path);

  for (guint i = 0; i < n; i++) {
    gboolean alias = i == n - 1 && command->alias != NULL && g_strcmp0 (words[i], command->alias) == 0;

    if (words[i] == NULL || !(alias || g_str_equal (words[i], path[i])))
      return 0;
  }
  return n;
}

const CtlCommand *
ctl_command_find (const char *const *words, guint *ret_used)
{
  for (const CtlCommand *command = ctl_commands; command->path != NULL; command++) {
    guint used = matches (command, words);

    if (used > 0) {
      *ret_used = used;
      return command;
    }
  }
  return NULL;
}
