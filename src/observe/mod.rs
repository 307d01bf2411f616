//! What happened: counters, the reasons for which connections are closed, the limiter of the log.

pub mod close_reason;
pub mod log_limiter;
pub mod metrics;

pub use close_reason::CloseReason;
pub use log_limiter::LogLimiter;
pub use metrics::Metrics;
