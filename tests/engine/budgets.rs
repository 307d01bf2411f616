//! What a turn does at most for those who come, so that those who are there do not wait.

use fanfare::config::{Config, FLUSHED_LEN_PER_TURN, JOINS_PER_TURN};

use crate::world::{Peer, UPGRADE, World};

#[test]
fn so_many_join_in_a_turn_and_members_are_heard_meanwhile() {
    let mut world = World::new(Config::default());
    let member = world.join();
    let crowd: Vec<Peer> = (0..2 * JOINS_PER_TURN).map(|_| world.connect()).collect();
    world.settle();
    crowd.iter().for_each(|peer| peer.send(UPGRADE));
    member.say("in the turn of the crowd");
    let joined = world.engine.metrics().joined;
    world.turn();
    assert_eq!(
        world.engine.metrics().joined,
        joined + JOINS_PER_TURN as u64
    );
    assert_eq!(member.take_lines(), ["in the turn of the crowd"]);
    world.settle();
    assert_eq!(
        world.engine.metrics().joined,
        joined + 2 * JOINS_PER_TURN as u64
    );
}

#[test]
fn so_much_history_is_written_in_a_turn_and_all_of_it_in_the_end() {
    const MESSAGE_LEN: usize = 256 * 1024;
    const KEPT: usize = 4;
    let mut world = World::with(|config| {
        config.chat.max_message = MESSAGE_LEN;
        config.rooms.history_size = 2 * KEPT * MESSAGE_LEN;
    });
    let member = world.join();
    for _ in 0..KEPT {
        member.say(&"x".repeat(MESSAGE_LEN));
        world.settle();
    }
    member.take();
    let crowd: Vec<Peer> = (0..64)
        .map(|_| {
            let peer = world.connect();
            let upgrade = String::from_utf8_lossy(UPGRADE);
            peer.send(upgrade.replace("/ws", "/ws?last=4").as_bytes());
            peer
        })
        .collect();
    world.turn();
    let received = |crowd: &[Peer]| {
        crowd
            .iter()
            .map(|peer| peer.socket().outbound.len())
            .sum::<usize>()
    };
    let in_one_turn = received(&crowd);
    assert!(in_one_turn >= FLUSHED_LEN_PER_TURN, "{in_one_turn}");
    assert!(
        in_one_turn < FLUSHED_LEN_PER_TURN + 2 * KEPT * MESSAGE_LEN,
        "{in_one_turn}"
    );
    member.say("in between");
    world.settle();
    assert!(received(&crowd) > 64 * KEPT * MESSAGE_LEN);
    assert!(crowd.iter().all(|peer| !peer.is_closed()));
}
