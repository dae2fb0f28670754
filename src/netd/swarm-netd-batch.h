/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a network plugin and swarm-netd say to each other. Plain C, no other library; installed beside swarm-plugin.h.
 *
 * swarm-netd listens on a Unix stream socket (SWARM_NETD_SOCKET, 0600). It speaks first: HELLO. The client sends batches, each is answered
 * by one ACK, in order. Every message is a SwarmNetdHeader followed by @length bytes of records. Numbers are in the host's byte order, for both
 * ends are on one host; addresses and MACs are in network order. All padding and reserved members are zero, or the batch is refused.
 *
 * The wanted state is a set of plain tables. A record carries the struct of its type and puts that row, or removes the one that has its key (the
 * first members, as the comments "key" mark; the others are not looked at then). A batch has up to SWARM_NETD_BATCH_MAX bytes in parts of up to SWARM_NETD_PART_MAX; all but
 * the last carry SWARM_NETD_MORE. It counts as a whole: until the last part is there nothing happens, a connection that breaks earlier, or one
 * bad record, drops all of it. FULL replaces every table by what it holds (cheap: only differences touch the kernel); otherwise it is a delta on
 * top of the batch @base, and refused when that is not the last one accepted.
 *
 * The order of records in a batch means nothing; the rows after it must fit together (an interface needs its sandbox and network, and so on).
 * Putting a row that is there replaces it; removing one that is not there is fine.
 *
 * swarm-netd keeps the accepted rows in a file of its own under /run: it goes on, and starts again, without the client. */
#ifndef SWARM_NETD_BATCH_H
#define SWARM_NETD_BATCH_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SWARM_NETD_SOCKET "/run/swarm-agent/netd.socket"
#define SWARM_NETD_MAGIC 0x424e5753u /* "SWNB" */
#define SWARM_NETD_VERSION 0         /* 0: may change without notice. Both ends must have the same */
#define SWARM_NETD_WIREGUARD_PORT 7946 /* swarm's firewalls have it open: elsewhere it is gossip's, which there is none of */
#define SWARM_NETD_PART_MAX (1024u * 1024u)
#define SWARM_NETD_BATCH_MAX (64u * 1024u * 1024u)

typedef enum {
  SWARM_NETD_HELLO = 1, /* from netd: @number is the last batch accepted (0: none), flags ENCRYPTS and IPV6; an ERROR record: why this host cannot have networks */
  SWARM_NETD_BATCH = 2, /* to netd */
  SWARM_NETD_ACK = 3,   /* from netd: @number of the batch; ERROR, READY and WIREGUARD records; flag REFUSED: nothing of the batch counts */
  SWARM_NETD_REPORT = 4 /* from netd, unasked: ERROR and READY records of what changed later, WIREGUARD records as in an ACK */
} SwarmNetdKind;

enum {
  SWARM_NETD_FULL = 1 << 0,
  SWARM_NETD_MORE = 1 << 1,
  SWARM_NETD_REFUSED = 1 << 2,
  SWARM_NETD_ENCRYPTS = 1 << 3, /* this host has WireGuard, the kernel's or wireguard-go: encrypted networks are possible */
  SWARM_NETD_IPV6 = 1 << 4 /* this host has IPv6: its gateways and its place in the ingress network may have such addresses */
};

typedef struct {
  uint32_t magic;
  uint16_t version;
  uint16_t kind;   /* SwarmNetdKind */
  uint64_t number; /* of the batch, greater than the one before by less than 2^32, never 0; all parts of a batch carry the same */
  uint64_t base;   /* of a delta: the batch that it changes */
  uint32_t flags;
  uint32_t length; /* of the records that follow */
} SwarmNetdHeader;

typedef enum {
  SWARM_NETD_PUT = 1,
  SWARM_NETD_REMOVE = 2
} SwarmNetdOp;

typedef struct {
  uint16_t type;   /* SwarmNetdType */
  uint16_t op;     /* SwarmNetdOp */
  uint32_t length; /* of this header and what follows, a multiple of 8 */
} SwarmNetdRecord;

typedef enum {
  SWARM_NETD_TYPE_HOST = 1,
  SWARM_NETD_TYPE_NODE = 2,
  SWARM_NETD_TYPE_NETWORK = 3,
  SWARM_NETD_TYPE_ENDPOINT = 4,
  SWARM_NETD_TYPE_SANDBOX = 5,
  SWARM_NETD_TYPE_INTERFACE = 6,
  SWARM_NETD_TYPE_SERVICE = 7,
  SWARM_NETD_TYPE_BACKEND = 8,
  SWARM_NETD_TYPE_PORT = 9,
  SWARM_NETD_TYPE_PORT_BACKEND = 10,
  SWARM_NETD_TYPE_NAME = 11,
  SWARM_NETD_TYPE_RESOLVER = 12,
  SWARM_NETD_TYPE_WIREGUARD = 13,
  /* from netd only */
  SWARM_NETD_TYPE_ERROR = 64,
  SWARM_NETD_TYPE_READY = 65
} SwarmNetdType;

/* IPv6, or IPv4 as ::ffff:a.b.c.d; all zero: none. */
typedef struct {
  uint8_t bytes[16];
} SwarmNetdAddress;

/* Text of up to 31 bytes of [A-Za-z0-9_.-], filled up with zeros. */
typedef struct {
  char text[32];
} SwarmNetdId;

/* This host. One row; without it nothing else is allowed. */
typedef struct {
  uint32_t node;       /* its own number: a NODE row */
  uint16_t vxlan_port; /* UDP port of the data path, 4789 as a rule */
  uint16_t wireguard_port; /* UDP port of every host's WireGuard (and the next one, while a key is replaced): SWARM_NETD_WIREGUARD_PORT; 0: none */
} SwarmNetdHost;

/* A host of the cluster, this one included. */
typedef struct {
  uint32_t node; /* key: 1 … 4095 */
  uint8_t gateway4_prefix;
  uint8_t gateway6_prefix;
  uint8_t ingress4_prefix;
  uint8_t ingress6_prefix;
  uint8_t ingress_mac[6]; /* of its bridge in the ingress network; zero: has none */
  uint8_t reserved[2];
  SwarmNetdAddress underlay; /* where its VXLAN packets go to and come from */
  SwarmNetdAddress gateway4; /* the host's own address in its task subnet, which no other host has: 10.88.101.1 of 10.88.101.0/24 */
  SwarmNetdAddress gateway6;
  SwarmNetdAddress ingress4; /* the host's own address in the ingress network */
  SwarmNetdAddress ingress6;
} SwarmNetdNode;

enum {
  SWARM_NETD_NETWORK_ENCRYPTED = 1 << 0, /* inside WireGuard, or not at all. Not for the ingress network in this version */
  SWARM_NETD_NETWORK_INGRESS = 1 << 1    /* the hosts themselves are its members; at most one */
};

/* A network that has, or may soon have, a task on this host. One without a way out (internal) is one whose tasks have no other interface. */
typedef struct {
  uint32_t vni; /* key: 1 … 16777215 */
  uint32_t flags;
  uint32_t mtu; /* 0: what the underlay leaves */
  uint32_t reserved;
  SwarmNetdId id;
} SwarmNetdNetwork;

/* A task's interface in a network, on whichever host. Those of this host may be among them; they are not used. */
typedef struct {
  uint32_t vni; /* key */
  uint8_t mac[6];
  uint8_t reserved[2]; /* key ends */
  uint32_t node;
  SwarmNetdAddress address4;
  SwarmNetdAddress address6;
} SwarmNetdEndpoint;

enum {
  SWARM_NETD_SANDBOX_ATTACH = 1 << 0 /* the network namespace of process @pid, which is there and began at @started; else one is made */
};

/* A task's (or container's) network namespace on this host. READY says where it is. */
typedef struct {
  SwarmNetdId id; /* key */
  uint32_t flags;
  uint32_t pid;
  uint64_t started; /* of @pid: field 22 of /proc/PID/stat, so that another process that gets its number is not taken for it */
} SwarmNetdSandbox;

/* A sandbox's interface. */
typedef struct {
  SwarmNetdId sandbox; /* key */
  uint32_t vni;        /* 0: the host's gateway bridge: the way out, and of published ports in; brings the default route */
  uint32_t reserved;   /* key ends */
  uint32_t index;      /* eth<index>, 0 … 255 */
  uint8_t mac[6];
  uint8_t prefix4;
  uint8_t prefix6;
  uint32_t reserved2;
  SwarmNetdAddress address4;
  SwarmNetdAddress address6;
} SwarmNetdInterface;

enum {
  SWARM_NETD_SERVICE_AFFINITY = 1 << 0 /* a client (by address) stays with its backend; also of PORT */
};

/* A virtual address in a network. All of its ports lead to its backends' ports; without one that takes connections they are refused at once. */
typedef struct {
  uint32_t vni; /* key */
  uint32_t reserved;
  SwarmNetdAddress address; /* key ends */
  uint32_t flags;
  uint32_t reserved2;
} SwarmNetdService;

enum {
  SWARM_NETD_BACKEND_DRAINING = 1 << 0 /* no new connections, what there is goes on; removing the row ends them. Also of PORT_BACKEND */
};

typedef struct {
  uint32_t vni; /* key */
  uint32_t reserved;
  SwarmNetdAddress address; /* the service's */
  SwarmNetdAddress backend; /* key ends; same family */
  uint32_t flags;
  uint32_t reserved2;
} SwarmNetdBackend;

/* A published port of every address of this host: with backends on all hosts (mesh) or on this one (host mode). */
typedef struct {
  uint16_t port;    /* key */
  uint8_t protocol; /* 6 tcp, 17 udp, 132 sctp */
  uint8_t reserved[5]; /* key ends */
  uint32_t flags;
  uint32_t reserved2;
} SwarmNetdPort;

typedef struct {
  uint16_t port; /* key */
  uint8_t protocol;
  uint8_t reserved[5];
  SwarmNetdAddress backend; /* the task's address on its host's gateway bridge */
  uint16_t target;          /* the port there */
  uint8_t reserved2[6];     /* key ends */
  uint32_t flags;
  uint32_t reserved3;
} SwarmNetdPortBackend;

/* Tasks with an interface in network @vni get @address (of several rows: all) for @name. The whole row is the key. */
typedef struct {
  uint32_t vni;
  uint32_t reserved;
  SwarmNetdAddress address;
  char name[]; /* lower case, no dot at its end, 1 … 253 bytes; zeros up to the record's end, at least one and at most 8 */
} SwarmNetdName;

/* Where a sandbox's questions about other names go, in order of @index; without any: to the host's own resolvers. */
typedef struct {
  SwarmNetdId sandbox; /* key */
  uint32_t index;
  uint32_t reserved; /* key ends */
  SwarmNetdAddress address;
} SwarmNetdResolver;

enum {
  SWARM_NETD_WIREGUARD_NEWEST = 1 << 0 /* packets to that host are for this key */
};

/* A host's public key. Its private key is made by that host's netd and stays there: netd says its own public keys, all of them, in every ACK and REPORT
 * by such records (none: there is no encrypted network on this host), the client makes them known to the other hosts. A host has two while one
 * replaces the other; when it says one of them no more, that one ends. Rows of this host itself are not used. */
typedef struct {
  uint32_t node; /* key */
  uint32_t slot; /* 0 or 1: which port; key ends */
  uint8_t key[32];
  uint32_t flags;
  uint32_t reserved;
} SwarmNetdWireguard;

/* An object that is not as it should be. In an ACK: of this batch; in a REPORT: since then; with empty @text: it is well again. netd tries again
 * by itself. */
typedef struct {
  uint32_t record; /* which one of the batch, from 0 on, made it be refused; UINT32_MAX: none, the kernel could not do it */
  uint16_t type;
  uint16_t reserved;
  char object[104]; /* "interface 0a… 4097", for people */
  char text[256];
} SwarmNetdError;

/* A sandbox is whole; after a FULL batch: each that is. Its namespace is /proc/<pid>/fd/<fd>: what is valid until netd is started again, then READY comes anew. */
typedef struct {
  SwarmNetdId sandbox;
  uint32_t pid;
  uint32_t fd;
} SwarmNetdReady;

#ifdef __cplusplus
}
#endif
#endif
