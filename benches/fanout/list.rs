//! What is measured: every scenario with its sizes, in the order in which it runs.

use crate::cases::{Case, Load, Pair, Schedule};
use crate::support::format::Format;
use crate::support::message::Filler;

pub(crate) const SCENARIOS: [&str; 19] = [
    "turn",
    "steady",
    "flood",
    "burst",
    LAGGARDS,
    "inbound",
    "visits",
    "turn-v1",
    "flood-v1",
    "turn-sse",
    "flood-sse",
    "rooms",
    "publish",
    "resume",
    "linger",
    "turn-json",
    "flood-json",
    "turn-deflate",
    "flood-deflate",
];

/// All cases, in the order in which they run.
pub(crate) const ALL: [Case; 70] = [
    case("turn", rounds(1), 10, 64),
    case("turn", rounds(1), 100, 64),
    case("turn", rounds(1), 1_000, 64),
    case("turn", rounds(1), 5_000, 64),
    case("turn", rounds(1), 1_000, 16),
    case("turn", rounds(1), 1_000, 512),
    case("steady", paced(1_000), 100, 64),
    case("steady", paced(100), 1_000, 64),
    case("flood", windows(1, 1), 100, 64),
    case("flood", windows(16, 1), 100, 64),
    case("flood", windows(16, 4), 100, 64),
    case("flood", windows(16, 16), 100, 64),
    case("flood", windows(1, 1), 1_000, 64),
    case("flood", windows(16, 1), 1_000, 64),
    case("flood", windows(16, 4), 1_000, 64),
    case("flood", windows(16, 16), 1_000, 64),
    case("flood", windows(16, 16), 1_000, 16),
    case("flood", windows(16, 16), 1_000, 512),
    case("burst", rounds(200), 100, 64),
    case("burst", rounds(200), 1_000, 64),
    case(LAGGARDS, windows(16, 16), 1_000, 64),
    // Fills what the kernel holds for a laggard, up to 4 MiB, several times over even on a slow machine.
    case(LAGGARDS, windows(16, 16), 1_000, 512),
    case("inbound", windows(1, 128), 1, 64),
    case("inbound", windows(1, 1_024), 1, 64),
    case("visits", Load::Visits { at_once: 64 }, 0, 0),
    case("turn-v1", rounds(1), 100, 64).by(Format::V1),
    case("turn-v1", rounds(1), 1_000, 64).by(Format::V1),
    case("flood-v1", windows(16, 1), 100, 64).by(Format::V1),
    case("flood-v1", windows(16, 16), 100, 64).by(Format::V1),
    case("flood-v1", windows(16, 1), 1_000, 64).by(Format::V1),
    case("flood-v1", windows(16, 16), 1_000, 64).by(Format::V1),
    case("turn-sse", rounds(1), 100, 64).by(Format::Events),
    case("turn-sse", rounds(1), 1_000, 64).by(Format::Events),
    case("flood-sse", windows(16, 16), 100, 64).by(Format::Events),
    case("flood-sse", windows(16, 16), 1_000, 64).by(Format::Events),
    case("rooms", rotation(1), 10_000, 64).in_rooms_of(10),
    case("rooms", rotation(16), 10_000, 64).in_rooms_of(10),
    case("publish", posts(1), 0, 64).by(Format::V1),
    case("publish", posts(16), 0, 64).by(Format::V1),
    case("publish", posts(1), 10, 64).by(Format::V1),
    case("publish", posts(16), 10, 64).by(Format::V1),
    case("resume", pair(200, false), 10_000, 64).by(Format::V1),
    case("resume", pair(2, true), 10_000, 64).by(Format::V1),
    case("linger", paced(500), 1_000, 64).lingering(0),
    case("linger", paced(500), 1_000, 64).lingering(10),
    case("linger", paced(500), 1_000, 64).lingering(50),
    case("turn-json", rounds(1), 100, 64).in_json(),
    case("turn-json", rounds(1), 100, 256).in_json(),
    case("turn-json", rounds(1), 100, 1_024).in_json(),
    case("turn-json", rounds(1), 1_000, 64).in_json(),
    case("turn-json", rounds(1), 1_000, 256).in_json(),
    case("turn-json", rounds(1), 1_000, 1_024).in_json(),
    case("flood-json", windows(16, 16), 100, 64).in_json(),
    case("flood-json", windows(16, 16), 100, 256).in_json(),
    case("flood-json", windows(16, 16), 100, 1_024).in_json(),
    case("flood-json", windows(16, 16), 1_000, 64).in_json(),
    case("flood-json", windows(16, 16), 1_000, 256).in_json(),
    case("flood-json", windows(16, 16), 1_000, 1_024).in_json(),
    case("turn-deflate", rounds(1), 100, 64)
        .in_json()
        .by(Format::Deflated),
    case("turn-deflate", rounds(1), 100, 256)
        .in_json()
        .by(Format::Deflated),
    case("turn-deflate", rounds(1), 100, 1_024)
        .in_json()
        .by(Format::Deflated),
    case("turn-deflate", rounds(1), 1_000, 64)
        .in_json()
        .by(Format::Deflated),
    case("turn-deflate", rounds(1), 1_000, 256)
        .in_json()
        .by(Format::Deflated),
    case("turn-deflate", rounds(1), 1_000, 1_024)
        .in_json()
        .by(Format::Deflated),
    case("flood-deflate", windows(16, 16), 100, 64)
        .in_json()
        .by(Format::Deflated),
    case("flood-deflate", windows(16, 16), 100, 256)
        .in_json()
        .by(Format::Deflated),
    case("flood-deflate", windows(16, 16), 100, 1_024)
        .in_json()
        .by(Format::Deflated),
    case("flood-deflate", windows(16, 16), 1_000, 64)
        .in_json()
        .by(Format::Deflated),
    case("flood-deflate", windows(16, 16), 1_000, 256)
        .in_json()
        .by(Format::Deflated),
    case("flood-deflate", windows(16, 16), 1_000, 1_024)
        .in_json()
        .by(Format::Deflated),
];

pub(crate) const LAGGARDS: &str = "laggards";

const fn case(scenario: &'static str, load: Load, clients: usize, message_len: usize) -> Case {
    Case {
        scenario,
        load,
        clients,
        message_len,
        format: Format::Plain,
        filler: Filler::Letters,
        room_len: None,
        linger_ms: None,
    }
}

const fn rounds(messages: usize) -> Load {
    Load::Chat(Schedule::Rounds { messages })
}

const fn windows(senders: usize, in_flight: usize) -> Load {
    Load::Chat(Schedule::Windows { senders, in_flight })
}

const fn paced(per_s: u32) -> Load {
    Load::Chat(Schedule::Paced { per_s })
}

const fn rotation(in_flight: usize) -> Load {
    Load::Chat(Schedule::Rotation { in_flight })
}

const fn posts(at_once: usize) -> Load {
    Load::Posts { at_once }
}

const fn pair(per_s: u32, is_among_readers: bool) -> Load {
    Load::Resume(Pair {
        per_s,
        is_among_readers,
    })
}

impl Case {
    const fn by(self, format: Format) -> Self {
        Self { format, ..self }
    }

    const fn in_json(self) -> Self {
        Self {
            filler: Filler::Json,
            ..self
        }
    }

    const fn in_rooms_of(self, members: usize) -> Self {
        Self {
            room_len: Some(members),
            ..self
        }
    }

    const fn lingering(self, ms: u32) -> Self {
        Self {
            linger_ms: Some(ms),
            ..self
        }
    }
}
