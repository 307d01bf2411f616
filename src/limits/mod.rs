//! Limits that concern several clients.

pub mod per_ip;

pub use per_ip::PerIpLimit;
