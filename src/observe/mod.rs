//! What happened: counters and what is told of them, the reasons for which connections are closed, the limiter of
//! the log.

pub mod backplane;
pub mod close_reason;
pub mod exposition;
mod families;
pub mod log_limiter;
pub mod metrics;
pub mod process;
pub mod times;

pub use backplane::BackplaneFigures;
pub use close_reason::CloseReason;
pub use log_limiter::LogLimiter;
pub use metrics::{CompressionCounts, Metrics, Transport};
