//! SIGHUP: what can change while the server runs is read anew. What is wrong is logged, and the old stays.

use tracing::{error, info};

use crate::client::Stream;
use crate::config::Config;
use crate::engine::Engine;

/// The program's settings, which can be read again.
pub trait Reload {
    /// Reads and checks all settings, and applies those that are the program's own.
    ///
    /// # Errors
    /// A line that says what is wrong; nothing has changed then.
    fn read(&mut self) -> Result<Config, String>;
}

pub(super) fn reload<S: Stream>(engine: &mut Engine<S>, settings: &mut impl Reload) {
    match settings.read() {
        Ok(fresh) => {
            engine.reload(fresh);
            info!("the settings were read anew");
        }
        Err(reason) => error!(reason, "the settings stay as they are"),
    }
}
