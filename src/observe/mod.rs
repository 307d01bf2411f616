//! What happened: counters, the reasons for which connections end, the limiter of the log.

pub mod log_limiter;
pub mod metrics;
