//! HTTP/1.1 as far as a page, an upgrade and publishing need it (RFC 9110, RFC 9112): request heads and bodies in,
//! responses out.

pub mod body;
pub mod date;
pub mod forwarded;
pub mod head;
pub mod manner;
pub mod origin;
pub mod page;
pub mod query;
pub mod request;
pub mod response;
pub mod room_name;
pub mod route;
pub mod status;
mod target;

pub use body::{BodyLength, BodyReader};
pub use date::Date;
pub use head::{HEAD_MAX, HeadReader};
pub use query::Query;
pub use request::{HEADERS_MAX, HeaderStorage, Request, header_storage};
pub use response::{ROOM_METHODS, Response, preflight};
