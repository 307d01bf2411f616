//! What happened in simulations of several nodes.

use crate::world::listener::Start;

/// How much happened, so that a simulation in which something never happens is noticed.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Happened {
    pub(crate) resumes: u64,
    pub(crate) gaps: u64,
    pub(crate) unknown_gaps: u64,
    pub(crate) holes: u64,
    pub(crate) unknown_holes: u64,
    pub(crate) skips: u64,
    pub(crate) given_up: u64,
    pub(crate) missed: u64,
    pub(crate) refused_posts: u64,
    pub(crate) repeated_posts: u64,
    pub(crate) outages: u64,
    pub(crate) losses: u64,
    pub(crate) deaths: u64,
}

impl Happened {
    pub(super) fn note_start(&mut self, start: Start) {
        match start {
            Start::Fresh => {}
            Start::Resumed => self.resumes += 1,
            Start::Gap(Some(_)) => self.gaps += 1,
            Start::Gap(None) => self.unknown_gaps += 1,
        }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            resumes: self.resumes + other.resumes,
            gaps: self.gaps + other.gaps,
            unknown_gaps: self.unknown_gaps + other.unknown_gaps,
            holes: self.holes + other.holes,
            unknown_holes: self.unknown_holes + other.unknown_holes,
            skips: self.skips + other.skips,
            given_up: self.given_up + other.given_up,
            missed: self.missed + other.missed,
            refused_posts: self.refused_posts + other.refused_posts,
            repeated_posts: self.repeated_posts + other.repeated_posts,
            outages: self.outages + other.outages,
            losses: self.losses + other.losses,
            deaths: self.deaths + other.deaths,
        }
    }

    pub(crate) fn counts(self) -> [(&'static str, u64); 13] {
        [
            ("resumes", self.resumes),
            ("gaps", self.gaps),
            ("unknown gaps", self.unknown_gaps),
            ("holes", self.holes),
            ("unknown holes", self.unknown_holes),
            ("skips", self.skips),
            ("given up", self.given_up),
            ("missed", self.missed),
            ("refused posts", self.refused_posts),
            ("repeated posts", self.repeated_posts),
            ("outages", self.outages),
            ("losses", self.losses),
            ("deaths", self.deaths),
        ]
    }
}
