// SPDX-License-Identifier: LGPL-2.1-or-later
/* The bytes between agents: a fixed header of 24 bytes, then a payload whose bound depends on the kind. All numbers are
 * big-endian. Pure: bytes in, frames out; knows no socket.
 *
 *   0 length   u32  bytes of payload
 *   4 kind     u8   SwarmFrameKind
 *   5 flags    u8   SwarmFrameFlags
 *   6 zero     u16
 *   8 serial   u32  of the call or stream; each end counts its own calls, replies repeat the caller's
 *  12 deadline u32  ms that the caller will wait; 0: it does not wait
 *  16 index    u64  log index that the sender has applied; 0: says nothing */
#pragma once
#include "base/link.h"

#define SWARM_FRAME_HEADER_SIZE 24
#define SWARM_FRAME_MESSAGE_MAX (2 * 1024 * 1024)
#define SWARM_FRAME_CHUNK_MAX (64 * 1024)
#define SWARM_FRAME_CERTIFICATE_MAX (17 * 1024)
/* What a peer without a certificate may send in one message: a certificate request and a token fit easily. */
#define SWARM_FRAME_JOINING_MAX (32 * 1024)

typedef enum {
  SWARM_FRAME_HELLO = 1,   /* first frame in each direction, see SwarmHello */
  SWARM_FRAME_MESSAGE = 2, /* a D-Bus message: call, one-way call, reply or error */
  SWARM_FRAME_CHUNK = 3,   /* bytes of a stream, from the one who was called to the caller */
  SWARM_FRAME_CREDIT = 4,  /* u32: so many more chunks may be sent; from the caller */
  SWARM_FRAME_END = 5,     /* the stream is complete; a payload is the D-Bus error that broke it */
  SWARM_FRAME_CLOSE = 6,   /* the reader has enough; from the caller */
  SWARM_FRAME_GOODBYE = 7, /* a D-Bus error: why the connection ends now */
  SWARM_FRAME_CERTIFICATE = 8, /* the sender's next certificate, and proof that it has its key; see tls.h */
  _SWARM_FRAME_KIND_MAX,
} SwarmFrameKind;

typedef enum {
  SWARM_FRAME_REPLY = 1 << 0,   /* serial is one of the receiver's own calls */
  SWARM_FRAME_ONE_WAY = 1 << 1, /* nobody waits for an answer */
  SWARM_FRAME_STREAM = 1 << 2,  /* the caller expects a stream */
} SwarmFrameFlags;

typedef struct {
  guint32 length;
  SwarmFrameKind kind;
  SwarmFrameFlags flags;
  guint32 serial;
  guint32 deadline_ms;
  guint64 index;
} SwarmFrameHeader;

typedef struct {
  SwarmFrameHeader header;
  GBytes *payload; /* never NULL in a frame that the reader gave */
} SwarmFrame;

/* Drops the payload. */
void swarm_frame_clear (SwarmFrame *frame);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (SwarmFrame, swarm_frame_clear)

/* "message", or "kind 77" is never NULL for known kinds; NULL for others. */
const char *swarm_frame_kind_to_string (guint kind);

/* Appends header and payload; @header's length is taken from @len. */
void swarm_frame_append (GByteArray *out, const SwarmFrameHeader *header, const guint8 *payload, gsize len);

/* The incremental reader. Takes bytes as they come, never reserves memory for what a header only claims. */
typedef struct _SwarmFrameReader SwarmFrameReader;
SwarmFrameReader *swarm_frame_reader_new (gsize message_max);
void swarm_frame_reader_free (SwarmFrameReader *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SwarmFrameReader, swarm_frame_reader_free)
/* Another bound for messages, from the next header on. */
void swarm_frame_reader_set_message_max (SwarmFrameReader *self, gsize message_max);
/* Consumes from *@data, *@len (both are advanced) until one frame is complete or the bytes are used up. @ret_have tells
 * whether @ret_frame was set (caller clears it). FALSE with SWARM_ERROR_INVALID_ARGUMENT or _LIMIT_EXCEEDED when the
 * bytes are no frame that we take: the connection is beyond repair, and every later call fails in the same way. */
gboolean swarm_frame_reader_feed (SwarmFrameReader *self, const guint8 **data, gsize *len, SwarmFrame *ret_frame,
                                  gboolean *ret_have, GError **error);
/* TRUE while a frame has begun and is not complete. */
gboolean swarm_frame_reader_is_partial (const SwarmFrameReader *self);

#define SWARM_PROTOCOL_MIN 1
#define SWARM_PROTOCOL_MAX 1
#define SWARM_HELLO_VERSION_MAX 63

/* What each end says first. Longer Hellos of later versions are fine: what follows the known part is ignored. */
typedef struct {
  guint16 protocol_min; /* range of protocol versions that the sender speaks */
  guint16 protocol_max;
  guint32 feature_level;                     /* the sender's own, see DESIGN "Versions" */
  SwarmLinkKind link_kind;                   /* what the dialler wants; the listener repeats it */
  SwarmId cluster;                           /* nil: in no cluster yet */
  char version[SWARM_HELLO_VERSION_MAX + 1]; /* of the program, for people: "0.1.0" */
  guint64 epoch; /* of the cluster, as far as the sender knows: grows when one manager makes it anew */
} SwarmHello;

/* Appends a complete HELLO frame. */
void swarm_hello_append (GByteArray *out, const SwarmHello *hello, guint64 index);
/* Parses a HELLO payload. */
gboolean swarm_hello_parse (GBytes *payload, SwarmHello *ret, GError **error);
/* Whether the two may talk; @ret_protocol is the version to speak. The text says which side is too old, or both cluster
 * ids. */
gboolean swarm_hello_check (const SwarmHello *ours, const SwarmHello *theirs, guint *ret_protocol, GError **error);
