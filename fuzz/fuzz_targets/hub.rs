//! Joins, words, stalls, drains and leaves of many clients against a simple model: the order, what is
//! joined into one frame, the bound of the queue, and who is dropped.
#![no_main]

#[path = "../support/model.rs"]
mod model;
#[path = "../../tests/world/mod.rs"]
mod world;

use fanfare::config::Config;
use libfuzzer_sys::fuzz_target;
use model::{Model, SEND_QUEUE};
use world::World;

#[derive(Debug, arbitrary::Arbitrary)]
enum Step {
    Join,
    Say(u8, Vec<u8>),
    Stall(u8),
    Drain(u8, u8),
    Leave(u8),
}

fuzz_target!(|steps: Vec<Step>| {
    let mut config = Config::default();
    config.chat.send_queue = SEND_QUEUE;
    let mut world = World::new(config);
    let mut clients: Vec<Model> = Vec::new();
    for step in steps.into_iter().take(200) {
        let count = clients.len().max(1);
        let pick = |by: u8| usize::from(by) % count;
        match step {
            Step::Join => clients.push(Model::new(world.join())),
            _ if clients.is_empty() => {}
            Step::Say(by, text) => {
                let text = String::from_utf8_lossy(&text[..text.len().min(100)]).into_owned();
                clients[pick(by)].peer.say(&text);
                world.settle();
                model::all_hear(&mut clients, &text);
            }
            Step::Stall(by) | Step::Drain(by, 0) => clients[pick(by)].set_room(0),
            Step::Drain(by, room) => {
                clients[pick(by)].set_room(room.into());
                world.settle();
                clients[pick(by)].flush();
            }
            Step::Leave(by) => {
                let client = clients.swap_remove(pick(by));
                client.peer.shut();
                world.settle();
                assert!(client.peer.is_closed());
            }
        }
        clients.iter().for_each(Model::check);
        assert_eq!(world.engine.client_count(), clients.len());
    }
});
