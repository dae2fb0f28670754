/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The C ABI between swarm-agent and its plugins: the one header that a plugin includes. Plain C, no other library.
 *
 * A plugin is a shared object with exactly one exported symbol, its descriptor, made with SWARM_PLUGIN_DEFINE. The agent
 * checks the descriptor before it calls anything; what does not fit is refused by name and the agent lives on.
 *
 * Rules for both sides:
 *  - Everything runs on the agent's one thread. No function may block: no child to wait for, no socket, no slow file.
 *    What takes time is asked of the host (units, files, timers), which answers later by calling a function back.
 *  - An answer never comes from within the function that asked for it.
 *  - All strings are UTF-8. Pointers in arguments live until the call returns: copy what is needed longer.
 *  - Lists of strings end with NULL; a NULL list is empty. Times are microseconds.
 *
 * An ABI number is 0 while that kind may change without notice. From 1 on nothing of it changes without the number doing so, but in two
 * ways that a built plugin does not notice: what the host hands over in SwarmPluginTask and SwarmPluginCommand may grow at its end, and a
 * reserved member may get a meaning of which zero says "as before". Set what is reserved to zero (an initialiser with names does). */
#ifndef SWARM_PLUGIN_H
#define SWARM_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SWARM_PLUGIN_MAGIC 0x4d525753u /* "SWRM" */

#define SWARM_PLUGIN_ABI_RUNTIME 1
#define SWARM_PLUGIN_ABI_SCHEDULER 1
#define SWARM_PLUGIN_ABI_NETWORK 1

typedef enum {
  SWARM_PLUGIN_RUNTIME = 1,
  SWARM_PLUGIN_SCHEDULER = 2,
  SWARM_PLUGIN_NETWORK = 3
} SwarmPluginKind;

/* ---- the descriptor ---- */

typedef struct {
  uint32_t magic;           /* SWARM_PLUGIN_MAGIC */
  uint32_t descriptor_size; /* sizeof (SwarmPluginDescriptor) */
  uint32_t kind;            /* SwarmPluginKind */
  uint32_t abi;             /* SWARM_PLUGIN_ABI_… of the kind */
  uint32_t ops_size;        /* sizeof the kind's ops */
  uint32_t host_size;       /* sizeof (SwarmPluginHost) */
  const char *name;         /* "runtime-podman": equals the file's name without .so */
  const char *description;  /* one line for people */
  const char *version;
  const void *ops; /* SwarmRuntimeOps, SwarmSchedulerOps or SwarmNetworkOps */
} SwarmPluginDescriptor;

/* The name of the exported symbol. */
#define SWARM_PLUGIN_SYMBOL "swarm_plugin_descriptor"

#ifdef SWARM_PLUGIN_BUILTIN
#define SWARM_PLUGIN_SYMBOL_OF(ident) swarm_plugin_builtin_##ident
#else
#define SWARM_PLUGIN_SYMBOL_OF(ident) swarm_plugin_descriptor
#endif

#if defined(__GNUC__)
#define SWARM_PLUGIN_EXPORT __attribute__ ((visibility ("default")))
#else
#define SWARM_PLUGIN_EXPORT
#endif

/* SWARM_PLUGIN_DEFINE (RUNTIME, runtime_podman, "runtime-podman", "runs tasks with podman", "1.0", podman_ops)
 * Build with -fvisibility=hidden. With -DSWARM_PLUGIN_BUILTIN the same source links into a program, where the descriptor
 * is called swarm_plugin_builtin_<ident>. */
#define SWARM_PLUGIN_DEFINE(KIND, ident, plugin_name, plugin_description, plugin_version, plugin_ops) \
  extern const SwarmPluginDescriptor SWARM_PLUGIN_SYMBOL_OF (ident); \
  SWARM_PLUGIN_EXPORT const SwarmPluginDescriptor SWARM_PLUGIN_SYMBOL_OF (ident) = { \
    SWARM_PLUGIN_MAGIC,  (uint32_t) sizeof (SwarmPluginDescriptor), SWARM_PLUGIN_##KIND, SWARM_PLUGIN_ABI_##KIND, \
    (uint32_t) sizeof (plugin_ops), (uint32_t) sizeof (SwarmPluginHost), plugin_name, plugin_description, \
    plugin_version, &(plugin_ops) \
  }

/* ---- what the host gives ---- */

/* The plugin's own state, made by its init. */
typedef struct SwarmPluginInstance SwarmPluginInstance;
/* For a plugin that keeps nothing but its host: the type of its state, and host_only_init and host_only_fini for its table.
 * Include <stdio.h> and <stdlib.h> before it. */
#define SWARM_PLUGIN_HOST_ONLY \
  struct SwarmPluginInstance { \
    SwarmPluginHost *host; \
  }; \
  static SwarmPluginInstance *host_only_init (SwarmPluginHost *host, char *error, size_t error_length) \
  { \
    SwarmPluginInstance *self = (SwarmPluginInstance *) calloc (1, sizeof *self); \
    if (self == NULL) \
      snprintf (error, error_length, "out of memory"); \
    else \
      self->host = host; \
    return self; \
  } \
  static void host_only_fini (SwarmPluginInstance *self) \
  { \
    free (self); \
  } \
  struct SwarmPluginInstance

/* One asynchronous operation that the host asked for; answered exactly once with host->finish(). */
typedef struct SwarmPluginCall SwarmPluginCall;

/* How an operation ended. */
typedef enum {
  SWARM_PLUGIN_OK = 0,
  SWARM_PLUGIN_FAILED = 1,
  SWARM_PLUGIN_INVALID = 2,     /* the request cannot be carried out by this plugin at all */
  SWARM_PLUGIN_NOT_FOUND = 3,
  SWARM_PLUGIN_UNAVAILABLE = 4, /* later may do */
  SWARM_PLUGIN_TIMED_OUT = 5,
  SWARM_PLUGIN_CANCELLED = 6,
  SWARM_PLUGIN_EXISTS = 7
} SwarmPluginCode;

typedef enum {
  SWARM_PLUGIN_UNIT_ABSENT = 0,
  SWARM_PLUGIN_UNIT_STARTING = 1,
  SWARM_PLUGIN_UNIT_RUNNING = 2,
  SWARM_PLUGIN_UNIT_STOPPING = 3,
  SWARM_PLUGIN_UNIT_EXITED = 4 /* its main process ended; the unit is kept (RemainAfterExit=, failed) */
} SwarmPluginUnitPhase;

/* A unit as systemd has it. */
typedef struct {
  const char *name;
  uint32_t phase; /* SwarmPluginUnitPhase */
  uint32_t main_pid;
  int32_t exit_code;   /* EXITED: 0–255, 128 + signal when a signal ended it, -1 when no main process ran */
  const char *result;  /* systemd's Result=: "success", "exit-code", "signal", "oom-kill", "timeout" … */
  int64_t started_at;  /* µs since 1970, of the main process; 0: never */
  int64_t exited_at;   /* 0: not */
} SwarmPluginUnitState;

typedef struct {
  const char *type;        /* "ExecStart", "ExecStop", "ExecStopPost", … */
  const char *const *argv; /* argv[0] is an absolute path */
  bool ignore_failure;
} SwarmPluginExec;

/* A transient unit. Any local user can read a unit: no environment, argument of a container, token or password may be in it. */
typedef struct {
  const char *name;              /* "swarm-task-<id>.service" */
  const char *const *properties; /* "MemoryMax=1048576", as `systemd-run -p`; those that the host knows, else INVALID */
  const SwarmPluginExec *exec;
  size_t n_exec;
  const char *const *log_fields; /* "SWARM_SERVICE=my-web": LogExtraFields= */
  uint64_t reserved[4];
} SwarmPluginUnit;

/* @error is NULL when @code is OK. @state (may be NULL) is the unit after the job. */
typedef void (*SwarmPluginUnitFunc) (SwarmPluginCode code, const char *error, const SwarmPluginUnitState *state, void *data);
typedef void (*SwarmPluginUnitListFunc) (SwarmPluginCode code, const char *error, const SwarmPluginUnitState *states,
                                         size_t n_states, void *data);
/* A watched unit's phase, main process or exit changed; ABSENT: it vanished. */
typedef void (*SwarmPluginUnitWatchFunc) (const SwarmPluginUnitState *state, void *data);
/* @content (NULL but for reads) is zero terminated after @length. */
typedef void (*SwarmPluginFileFunc) (SwarmPluginCode code, const char *error, const char *content, size_t length, void *data);
typedef void (*SwarmPluginTimerFunc) (void *data);

typedef struct {
  const char *name;
  const void *data;
  size_t length;
} SwarmPluginFile;

/* A task that ended by itself. */
typedef struct {
  const char *task_id;
  int32_t exit_code; /* as in SwarmPluginUnitState */
  int64_t exited_at; /* µs since 1970 */
  const char *reason; /* more than the code says ("out of memory"), or NULL */
  uint64_t reserved[4];
} SwarmPluginExit;

/* A task that the runtime has, for adoption. */
typedef struct {
  const char *task_id;
  bool running;
  int32_t exit_code; /* when not running; -1: it has not started */
  int64_t started_at;
  int64_t exited_at;
  uint32_t pid;
  const char *container_id;
  uint64_t reserved[4];
} SwarmPluginTaskInfo;

/* How to ask a container whether it is well, as its image declares it. Times are µs; 0, and an empty test: nothing is said. */
typedef struct {
  const char *const *test; /* "NONE"; "CMD", arguments…; "CMD-SHELL", command */
  int64_t interval;
  int64_t timeout;
  int64_t start_period;
  int64_t start_interval;
  int32_t retries;
  uint32_t reserved;
} SwarmPluginHealth;

/* What an operation yields; zero what does not apply. */
typedef struct {
  SwarmPluginCode code;
  const char *error; /* for people, one line; NULL when OK */
  const char *container_id; /* prepare, start */
  uint32_t pid;             /* start: of the container's first process */
  const char *image;        /* resolve_image: the reference with its digest */
  const SwarmPluginTaskInfo *tasks; /* list */
  size_t n_tasks;
  const char *network_mode; /* attach: "bridge", "none", "host", "ns:PATH" */
  int32_t exit_code;        /* exec: as in SwarmPluginUnitState; stop: of the task, -1 when nobody can tell */
  const char *output;       /* exec: what the command wrote, standard output and error, its first bytes; need not be UTF-8 */
  size_t output_length;
  const SwarmPluginHealth *health; /* inspect_image; NULL: the image declares none */
  const char *resolver; /* attach: the task's name server; NULL: as the runtime has it without a network plugin */
  const char *name; /* find: of the container */
  uint64_t started; /* find: when its first process began, as the kernel counts: field 22 of /proc/PID/stat */
  uint64_t reserved[5];
} SwarmPluginResult;

/* A descriptor can be read or written (SwarmPluginReady, or-ed), or its other end is gone: then both. */
typedef void (*SwarmPluginFdFunc) (int fd, uint32_t ready, void *data);
typedef enum {
  SWARM_PLUGIN_READABLE = 1,
  SWARM_PLUGIN_WRITABLE = 2
} SwarmPluginReady;

/* Something that this host cannot have as it is wanted, and why. */
typedef struct {
  const char *object; /* "network <id>", "port 8080/tcp", "task <id>" */
  const char *text;   /* one line for people */
} SwarmPluginProblem;

/* A public key of a host for encrypted networks. The private one never leaves the host. */
typedef struct {
  uint32_t slot;  /* 0 or 1: two overlap while they are changed */
  uint32_t flags; /* 1: the newest */
  uint8_t key[32];
} SwarmPluginNetworkKey;

/* What a network plugin can do on this host, now. */
typedef struct {
  const char *const *drivers; /* of networks that tasks can be in here: "overlay", and "overlay-encrypted" when those of them that are encrypted, too */
  const char *reason;         /* why it is not more, one line for people; NULL: all is well */
  const SwarmPluginProblem *problems;
  size_t n_problems;
  const SwarmPluginNetworkKey *keys; /* of this host, all of them, at most two; none without an encrypted network. Other hosts are told of them */
  size_t n_keys;
  uint64_t reserved[4];
} SwarmPluginNetworkState;

/* The host's services. All take the host itself first. Bounded: at most 256 requests of each sort are under way per plugin, more fail with
 * UNAVAILABLE. Functions given are called once (watches: until unwatch) on the agent's thread, never after fini. */
typedef struct SwarmPluginHost SwarmPluginHost;
struct SwarmPluginHost {
  uint32_t size; /* sizeof (SwarmPluginHost) */
  uint32_t reserved;

  /* Writes one line to the journal; @priority as in syslog(3); @task_id may be NULL. */
  void (*log) (SwarmPluginHost *host, int priority, const char *task_id, const char *text);
  /* The value of @key in the section [<plugin name>] of agent.conf, or NULL; valid until fini. */
  const char *(*config) (SwarmPluginHost *host, const char *key);
  /* µs since 1970, and µs that only grow. */
  int64_t (*now) (SwarmPluginHost *host);
  int64_t (*monotonic) (SwarmPluginHost *host);
  /* Fills @buffer with random bytes: the one source of chance, so that a simulation can be repeated. */
  void (*random) (SwarmPluginHost *host, void *buffer, size_t length);
  /* Calls @func once after @delay_us. Returns a number for timer_cancel; 0: too many. */
  uint64_t (*timer) (SwarmPluginHost *host, int64_t delay_us, SwarmPluginTimerFunc func, void *data);
  void (*timer_cancel) (SwarmPluginHost *host, uint64_t timer);

  /* Starts a transient unit; @func when the start job is done: a oneshot unit then has run to its end. @state tells an exit. */
  void (*unit_start) (SwarmPluginHost *host, const SwarmPluginUnit *unit, SwarmPluginUnitFunc func, void *data);
  /* Stops a unit, resets it when it failed; @func when it is gone. A unit that is not there is fine. */
  void (*unit_stop) (SwarmPluginHost *host, const char *name, SwarmPluginUnitFunc func, void *data);
  void (*unit_query) (SwarmPluginHost *host, const char *name, SwarmPluginUnitFunc func, void *data);
  /* All loaded units whose name begins with @prefix. */
  void (*unit_list) (SwarmPluginHost *host, const char *prefix, SwarmPluginUnitListFunc func, void *data);
  /* From now on @func is told each change of the units whose name begins with @prefix. One watch per plugin; NULL @func ends it. */
  void (*unit_watch) (SwarmPluginHost *host, const char *prefix, SwarmPluginUnitWatchFunc func, void *data);

  /* Small files (up to 1 MiB, mode 0600, in memory) in the directory of @scope (mode 0700), usually a task's id. Names have no slash. */
  const char *(*scope_path) (SwarmPluginHost *host, const char *scope, char *buffer, size_t length);
  /* Makes the directory and writes all @files; what existed under a name is replaced. */
  void (*files_write) (SwarmPluginHost *host, const char *scope, const SwarmPluginFile *files, size_t n_files,
                       SwarmPluginFileFunc func, void *data);
  /* At most @max bytes of one file. */
  void (*file_read) (SwarmPluginHost *host, const char *scope, const char *name, size_t max, SwarmPluginFileFunc func, void *data);
  /* One file, or with NULL @name the whole directory. What is not there is fine. */
  void (*file_remove) (SwarmPluginHost *host, const char *scope, const char *name, SwarmPluginFileFunc func, void *data);

  /* Answers @call; @result lives until this returns. A second answer is logged and dropped. */
  void (*finish) (SwarmPluginCall *call, const SwarmPluginResult *result);
  /* Runtime: a started task ended by itself (not by stop). Network: the process of a container that was attached (attach_pid) ended. */
  void (*task_exited) (SwarmPluginHost *host, const SwarmPluginExit *exit);

  /* From now on @func is told when @fd (not blocking, the plugin's own) is ready for @events (SwarmPluginReady, or-ed). Returns a number for
   * fd_unwatch, to be called before @fd is closed; 0: too many. NULL: this host has no descriptors (a simulation). */
  uint64_t (*fd_watch) (SwarmPluginHost *host, int fd, uint32_t events, SwarmPluginFdFunc func, void *data);
  void (*fd_unwatch) (SwarmPluginHost *host, uint64_t watch);
  /* Network: what is possible on this host changed. */
  void (*network_state) (SwarmPluginHost *host, const SwarmPluginNetworkState *state);

  void (*later[5]) (void); /* reserved: NULL in this version */
};

/* ---- runtime ---- */

typedef struct {
  uint32_t type; /* 0 bind, 1 volume, 2 tmpfs */
  bool read_only;
  const char *source;
  const char *target;
} SwarmPluginMount;

typedef struct {
  uint32_t protocol; /* 0 tcp, 1 udp, 2 sctp */
  uint16_t target;
  uint16_t published; /* 0: any */
} SwarmPluginPort;

/* What a task, or a service, has in one network. */
typedef struct {
  const char *network_id;
  const char *driver;           /* of the network: "overlay" */
  const char *const *addresses; /* "10.0.1.7/24", "fd00:1::7/64": at most one of each family. Of a service: virtual ones; none: dnsrr */
  const char *const *aliases;   /* more names of the service there */
  uint64_t reserved[2];
} SwarmPluginAttachment;

/* A task to run. Environment, arguments and registry_auth are secret: never into a log, a unit or a process list. */
typedef struct {
  const char *id; /* 25 characters */
  const char *name; /* "my-web.1.<id>" */
  const char *service_id;
  const char *service_name;
  const char *node_id;
  const char *node_hostname;
  uint64_t slot;

  const char *image;
  const char *const *command; /* replaces the image's entry point */
  const char *const *args;
  const char *const *env; /* "KEY=value" */
  const char *const *labels; /* "key=value"; the com.docker.swarm ones are among them */
  const char *hostname;
  const char *dir;
  const char *user;
  bool init;
  bool read_only;
  const SwarmPluginMount *mounts;
  size_t n_mounts;
  const char *stop_signal;
  int64_t stop_grace; /* µs */
  const char *const *hosts; /* "IP name" */
  const char *const *capability_add;
  const char *const *capability_drop;
  const char *const *sysctls; /* "key=value" */

  int64_t limit_nano_cpus; /* 0: none, as for the two below */
  int64_t limit_memory;
  int64_t limit_pids;

  const char *network_mode; /* of the network plugin */
  const SwarmPluginPort *ports; /* of this host, for it: the runtime opens them, but with network_mode "ns:PATH", where the network plugin does */
  size_t n_ports;

  const char *registry_auth; /* prepare only: docker's X-Registry-Auth or NULL */

  const SwarmPluginAttachment *networks; /* in the order of its interfaces */
  size_t n_networks;
  const char *gateway_address; /* "10.0.7.3/24": its way out, and of published ports in, on this host; NULL: none */
  const char *resolver;        /* that attach yielded, or NULL */

  const char *const *dns; /* addresses of the servers for names that are not the cluster's: behind the resolver, when there is one; empty: the host's */
  const char *const *dns_search;
  const char *const *dns_options;

  /* network attach only: not a task to run, but a container that others run and that is to be in @networks, beside what it has; @name is its name. */
  const char *container_id; /* NULL: an ordinary task */
  uint32_t attach_pid;      /* of its first process, in whose namespace the interfaces are to be; 0: an ordinary task */
  uint64_t attach_started;  /* of that process, as find told: another process may get its number */
  uint32_t interface;       /* number of its first interface, of no other attachment of the container: "eth101", as a rule */
} SwarmPluginTask;

/* A command to run beside a task's first process, in its container. The arguments are as secret as the task's. */
typedef struct {
  const char *task_id;
  const char *const *argv;
  int64_t timeout;   /* µs: then the command is killed and the call answered with TIMED_OUT */
  size_t max_output; /* bytes; the rest is thrown away */
} SwarmPluginCommand;

/* All mandatory but cancel, exec, inspect_image and find. Operations on one task never overlap, but for exec; those on different tasks do. */
typedef struct {
  /* Makes the instance; NULL: failed, with the reason in @error. */
  SwarmPluginInstance *(*init) (SwarmPluginHost *host, char *error, size_t error_length);
  /* Forgets everything; running tasks stay as they are. */
  void (*fini) (SwarmPluginInstance *self);
  /* Everything that can be done before the start: the image, the container. */
  void (*prepare) (SwarmPluginInstance *self, const SwarmPluginTask *task, SwarmPluginCall *call);
  /* OK when the task runs. It must go on running when the agent ends. */
  void (*start) (SwarmPluginInstance *self, const SwarmPluginTask *task, SwarmPluginCall *call);
  /* OK when it runs no more: its stop signal, its grace period, then a kill. Fine when it does not run. Yields the exit_code. */
  void (*stop) (SwarmPluginInstance *self, const char *task_id, SwarmPluginCall *call);
  /* Takes away whatever there is of the task, running or not. */
  void (*remove) (SwarmPluginInstance *self, const char *task_id, SwarmPluginCall *call);
  /* All tasks that the runtime has; what is left of an earlier boot is removed first. From now on exits are reported. Called once,
   * before any other operation. */
  void (*list) (SwarmPluginInstance *self, SwarmPluginCall *call);
  /* Asks the registry for the digest of @image (normalised). @auth may be NULL. Also called on managers that run no tasks. */
  void (*resolve_image) (SwarmPluginInstance *self, const char *image, const char *auth, SwarmPluginCall *call);
  /* The host lost interest (deadline, removal): answer @call soon, with CANCELLED unless it is done. May be NULL. */
  void (*cancel) (SwarmPluginInstance *self, SwarmPluginCall *call);
  /* Runs a command in the container of a task that runs, as its user and in its directory. OK with exit_code and output, whatever the
   * code; NOT_FOUND when the task does not run. Also while the task is being stopped: it then ends with the container. NULL: the runtime
   * cannot, and tasks that ask for health commands are rejected here. */
  void (*exec) (SwarmPluginInstance *self, const SwarmPluginCommand *command, SwarmPluginCall *call);
  /* What @image, which is here, declares. NULL: images declare nothing. */
  void (*inspect_image) (SwarmPluginInstance *self, const char *image, SwarmPluginCall *call);
  /* A container that is not a task's, by name or id or the beginning of its id: yields container_id, name, pid (0: it does not run) and started. NOT_FOUND;
   * INVALID when it cannot be attached to a network: it has none of its own, or is a task's. NULL: containers cannot be attached here. */
  void (*find) (SwarmPluginInstance *self, const char *container, SwarmPluginCall *call);
  void (*later[5]) (void); /* reserved: NULL */
} SwarmRuntimeOps;

/* ---- scheduler ---- */

/* A part of the cluster that the service asked to spread over: the nodes with one value of a label, inside the branch above it. */
typedef struct {
  uint32_t parent;        /* index of the branch above; of branch 0, which is the whole cluster: 0 */
  uint32_t service_tasks; /* active tasks of the group's service in it, also those on nodes that passed no filter */
  const char *value;      /* of the label; "" where nodes have none */
} SwarmPluginBranch;

/* One node that passed all filters. */
typedef struct {
  const char *id;
  const char *hostname;
  const char *const *labels; /* "key=value" */
  uint32_t service_tasks;    /* active tasks of the group's service */
  uint32_t total_tasks;      /* active tasks in total */
  uint32_t failures;         /* of this version of the service in the last five minutes */
  uint32_t capacity;         /* at most so many tasks of the group fit, 1 or more */
  uint32_t branch;           /* the innermost one that it is in; 0 without preferences */
  uint32_t reserved;
  int64_t nano_cpus; /* what it has, 0: unknown; and what is not reserved of it */
  int64_t memory;
  int64_t free_nano_cpus;
  int64_t free_memory;
} SwarmPluginNode;

/* Identical tasks to be placed together. A large group comes in several calls, one soon after the other; counts then hold what the calls
 * before have placed. */
typedef struct {
  const char *service_id;
  const char *service_name;
  uint32_t count;
  uint32_t n_branches; /* 0: the service asks for no spread over labels */
  const SwarmPluginBranch *branches; /* each after the one above it */
  int64_t nano_cpus; /* reserved by each task */
  int64_t memory;
} SwarmPluginGroup;

/* Which nodes the strategy has to see when more pass the filters than the group has tasks. */
typedef enum {
  SWARM_PLUGIN_OFFER_ALL = 0, /* every one: a call costs as much as there are nodes */
  /* At least the first @count in the order: failures from 5 on, service_tasks, total_tasks. Enough for a strategy that prefers these. */
  SWARM_PLUGIN_OFFER_IDLEST = 1
} SwarmPluginOffer;

/* All mandatory. */
typedef struct {
  SwarmPluginInstance *(*init) (SwarmPluginHost *host, char *error, size_t error_length);
  void (*fini) (SwarmPluginInstance *self);
  /* Sets @placement[0 … group->count-1] to an index into @nodes or -1 (no place). No node may get more than its capacity. Same input,
   * same output, but for what host->random gives. FALSE: failed, nothing is placed. Returns at once: 10 ms at most. */
  bool (*place) (SwarmPluginInstance *self, const SwarmPluginGroup *group, const SwarmPluginNode *nodes, size_t n_nodes,
                 int32_t *placement);
  uint32_t offer; /* SwarmPluginOffer */
  uint32_t reserved;
} SwarmSchedulerOps;

/* ---- network ---- */

/* What a node must know of its cluster's networks. Addresses are text, with a prefix length where the comment shows one; NULL: there is none. Ids are those of tasks
 * and other objects. Only what concerns the node need be there: networks with a task on it and what is in them, all nodes, all published ports. */
typedef enum {
  SWARM_PLUGIN_NODE_DOWN = 1 << 0 /* no new connections to its tasks */
} SwarmPluginNetNodeFlag;

typedef struct {
  const char *id;
  uint32_t number; /* 1 … 4095 */
  uint32_t flags;  /* SwarmPluginNetNodeFlag */
  const char *address;          /* of the host in the network between hosts: "192.0.2.1" */
  const char *gateway_address;  /* its own in the subnet of its tasks: "10.0.7.1/24" */
  const char *gateway_address6;
  const char *ingress_address;  /* its own in the ingress network: "10.0.0.2/24" */
  const char *ingress_address6;
  const SwarmPluginNetworkKey *keys; /* of another node with a task in an encrypted network that has one here; without them nothing can be sent to it there */
  size_t n_keys;
  uint64_t reserved[2];
} SwarmPluginNetNode;

typedef enum {
  SWARM_PLUGIN_NETWORK_INGRESS = 1 << 0,
  SWARM_PLUGIN_NETWORK_INTERNAL = 1 << 1, /* no way out */
  SWARM_PLUGIN_NETWORK_ENCRYPTED = 1 << 2
} SwarmPluginNetworkFlag;

typedef struct {
  const char *id;
  const char *name;
  const char *driver;
  uint32_t vni;
  uint32_t flags; /* SwarmPluginNetworkFlag */
  uint32_t mtu;   /* 0: what fits */
  uint32_t reserved2;
  const char *const *subnets; /* "10.0.1.0/24" */
  uint64_t reserved[2];
} SwarmPluginNetwork;

typedef struct {
  uint32_t protocol; /* as in SwarmPluginPort */
  uint16_t target;
  uint16_t published;
} SwarmPluginMeshPort;

typedef enum {
  SWARM_PLUGIN_SERVICE_AFFINITY = 1 << 0 /* a client stays with its task */
} SwarmPluginServiceFlag;

typedef struct {
  const char *id;
  const char *name;
  uint32_t flags; /* SwarmPluginServiceFlag */
  uint32_t reserved2;
  const SwarmPluginAttachment *networks;
  size_t n_networks;
  const SwarmPluginMeshPort *ports; /* published on every node */
  size_t n_ports;
  uint64_t reserved[2];
} SwarmPluginService;

typedef enum {
  SWARM_PLUGIN_TASK_READY = 1 << 0 /* takes new connections: it runs, is well and is not about to stop. Without it those that it has go on */
} SwarmPluginNetTaskFlag;

/* A task that has addresses, on whichever node. */
typedef struct {
  const char *id;
  const char *name;       /* "my-web.1.<id>" */
  const char *service_id; /* NULL: of none */
  const char *node_id;
  uint32_t flags; /* SwarmPluginNetTaskFlag */
  uint32_t reserved2;
  const SwarmPluginAttachment *networks;
  size_t n_networks;
  const char *gateway_address; /* on its node */
  uint64_t reserved[2];
} SwarmPluginNetTask;

typedef enum {
  SWARM_PLUGIN_PICTURE_WHOLE = 1 << 0 /* what is not in it is gone; else: changes to the one before */
} SwarmPluginPictureFlag;

/* An object that is there replaces the one with its id. The order of objects means nothing; one may name another that is not there (yet): it then has
 * no effect in that. Removals come first. */
typedef struct {
  uint32_t flags; /* SwarmPluginPictureFlag */
  uint16_t data_port; /* UDP port of the data path: 4789 */
  uint16_t reserved2;
  const char *node_id; /* this one */
  const SwarmPluginNetNode *nodes;
  size_t n_nodes;
  const SwarmPluginNetwork *networks;
  size_t n_networks;
  const SwarmPluginService *services;
  size_t n_services;
  const SwarmPluginNetTask *tasks;
  size_t n_tasks;
  const char *const *removed_nodes; /* ids */
  const char *const *removed_networks;
  const char *const *removed_services;
  const char *const *removed_tasks;
  uint64_t reserved[4];
} SwarmPluginPicture;

/* All mandatory but picture, cancel and settle. Operations on one task never overlap. */
typedef struct {
  SwarmPluginInstance *(*init) (SwarmPluginHost *host, char *error, size_t error_length);
  /* What the host has of networks stays as it is: tasks run on. */
  void (*fini) (SwarmPluginInstance *self);
  /* Before prepare: OK when the task's network is there. Yields network_mode for the runtime, and resolver. Also for a task that has it already.
   * With attach_pid: OK when that container has it; then no network_mode. From then on task_exited tells when that process ends. */
  void (*attach) (SwarmPluginInstance *self, const SwarmPluginTask *task, SwarmPluginCall *call);
  /* After remove. Fine when not attached. OK may come before it is done: settle tells when. */
  void (*detach) (SwarmPluginInstance *self, const char *task_id, SwarmPluginCall *call);
  /* How the networks are to be from now on. The plugin brings it about, tries again what fails, and says by network_state what is not possible. An agent
   * that starts has no picture until a manager sends one: what the host has goes on. NULL: the plugin has no networks that span hosts. */
  void (*picture) (SwarmPluginInstance *self, const SwarmPluginPicture *picture);
  /* The host lost interest in an attach or a settle: answer @call soon, with CANCELLED unless it is done. May be NULL. */
  void (*cancel) (SwarmPluginInstance *self, SwarmPluginCall *call);
  /* OK when all that picture and detach asked for before this call is in force on this host: new connections go where they are to go. What was asked for
   * later is not waited for. The host waits for a second or so. NULL: they are in force when they return. */
  void (*settle) (SwarmPluginInstance *self, SwarmPluginCall *call);
  void (*later[5]) (void); /* reserved: NULL */
} SwarmNetworkOps;

#ifdef __cplusplus
}
#endif
#endif
