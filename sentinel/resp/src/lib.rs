//! RESP2 and RESP3 as a server needs them, without sockets, clock or runtime.
//!
//! Six things live here:
//!
//! - [`Reply`]: the value of one reply, in the words of RESP3;
//! - [`encode`]: a reply to bytes for a [`Protocol`] version, with the downgrades that a RESP2
//!   client expects;
//! - [`RequestDecoder`]: bytes to requests. A request is only ever a flat array of bulk strings or
//!   an inline line, so nothing here recurses on what a peer sends, and every length is bounded by
//!   [`Limits`] before memory is spent on it;
//! - [`ReplyDecoder`]: bytes to replies, for the connections on which a Sentinel is the client; nested as they come,
//!   and bounded;
//! - [`Frames`]: where requests and replies begin and end, for who passes bytes on and keeps none;
//! - [`text`]: how bytes that are no UTF-8 are held as text between the two.
//!
//! ```
//! use bytes::BytesMut;
//! use sentinel_resp::{Limits, Protocol, Reply, RequestDecoder, encode};
//!
//! let mut decoder = RequestDecoder::new(Limits::default());
//! decoder.feed(b"*2\r\n$4\r\nPING\r\n$2\r\nhi\r\n");
//! let request = decoder.next_request()?.expect("the request is complete");
//! assert_eq!(request, ["PING", "hi"]);
//!
//! let mut out = BytesMut::new();
//! encode(&Reply::bulk(request[1].clone()), Protocol::Resp2, &mut out);
//! assert_eq!(&out[..], b"$2\r\nhi\r\n");
//! # Ok::<(), sentinel_resp::ProtocolError>(())
//! ```

mod decode;
mod encode;
mod error;
mod frames;
mod inline;
mod limits;
mod reply;
mod reply_decode;
pub mod text;

pub use decode::{Refused, RequestDecoder};
pub use encode::{Protocol, encode, encode_strings};
pub use error::ProtocolError;
pub use frames::Frames;
pub use limits::Limits;
pub use reply::Reply;
pub use reply_decode::{ReplyDecoder, ReplyError};
