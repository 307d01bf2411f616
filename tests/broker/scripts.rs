//! Each script alone, on a real server: numbering, repetition, generations, bounds.

use crate::broker::Kind;
use crate::common::eventually;
use crate::resp::Reply;
use crate::scene::{Append, FIRST, STREAM, Scene, answered, appended, not_again};

const DAY: i64 = 24 * 3600;

#[test]
fn messages_are_numbered_by_room_without_a_hole_whoever_appends_them() {
    let Some(mut scene) = Scene::start() else {
        return;
    };
    let of = |node, counter, room, text| Append {
        node,
        counter,
        previous: counter - 1,
        room,
        text,
        candidate: if node == "n1" { "epoch001" } else { "epoch002" },
        ..FIRST
    };
    for (append, id) in [
        (of("n1", 1, "a", "one"), "epoch001-1"),
        (of("n2", 1, "a", "two\n\nfour"), "epoch001-4"),
        (of("n2", 2, "", "the default room"), "epoch002-1"),
        (of("n1", 2, "a", "five"), "epoch001-5"),
        (of("n1", 3, "", ""), "epoch002-2"),
    ] {
        assert_eq!(answered(&scene.append(append)), appended(id));
    }
    let entries = scene.entries();
    let fields: Vec<_> = entries.iter().map(|(_, fields)| fields.join(" ")).collect();
    assert_eq!(
        fields,
        [
            "r=a e=epoch001 f=1 c=1 o=n1 1 t=one",
            "r=a e=epoch001 f=2 c=3 o=n2 1 t=two\n\nfour",
            "r= e=epoch002 f=1 c=1 o=n2 2 t=the default room",
            "r=a e=epoch001 f=5 c=1 o=n1 2 t=five",
            "r= e=epoch002 f=2 c=1 o=n1 3 t=",
        ]
    );
}

#[test]
fn the_answer_to_an_append_has_the_id_of_its_entry() {
    let Some(mut scene) = Scene::start() else {
        return;
    };
    let reply = scene.append(FIRST);
    assert_eq!(reply.texts()[2], scene.entries()[0].0);
}

#[test]
fn an_append_that_is_sent_again_gets_the_first_answer_and_adds_nothing() {
    let Some(mut scene) = Scene::start() else {
        return;
    };
    let nth = |counter| Append {
        counter,
        previous: counter - 1,
        ..FIRST
    };
    for counter in 1..=5 {
        scene.append(nth(counter));
    }
    for counter in 1..=5 {
        let id = format!("epoch001-{counter}");
        assert_eq!(answered(&scene.append(nth(counter))), not_again(&id));
    }
    assert_eq!(scene.entries().len(), 5);
    // The counter of another node is another one.
    let other = Append {
        node: "n2",
        ..FIRST
    };
    assert_eq!(answered(&scene.append(other)), appended("epoch001-6"));
}

#[test]
fn a_node_is_remembered_for_1024_appends_and_an_hour() {
    let Some(mut scene) = Scene::start() else {
        return;
    };
    let nth = |counter| Append {
        counter,
        previous: counter - 1,
        ..FIRST
    };
    for counter in 1..=1024 {
        scene.append(nth(counter));
    }
    assert_eq!(
        answered(&scene.append(nth(1))),
        not_again("epoch001-1"),
        "the oldest of 1,024"
    );
    scene.append(nth(1025));
    assert_eq!(answered(&scene.append(nth(2))), not_again("epoch001-2"));
    assert_eq!(
        scene.append(nth(1)).error_code(),
        "LATE",
        "nobody knows any more whether it was appended"
    );
    assert_eq!(scene.entries().len(), 1025);
    let ttl = scene.ask("TTL {t}:node:n1").number();
    assert!((3590..=3600).contains(&ttl), "{ttl}");
    assert_eq!(scene.ask("HLEN {t}:node:n1").number(), 1025);
    assert_eq!(scene.ask("HGET {t}:node:n1 last").text(), "1025");
}

#[test]
fn an_append_whose_predecessor_is_missing_is_early() {
    let Some(mut scene) = Scene::start() else {
        return;
    };
    let third = Append {
        counter: 3,
        previous: 2,
        ..FIRST
    };
    scene.append(FIRST);
    assert_eq!(scene.append(third).error_code(), "EARLY");
    assert_eq!(scene.entries().len(), 1);
    let second = Append {
        counter: 2,
        previous: 1,
        ..FIRST
    };
    scene.append(second);
    assert_eq!(answered(&scene.append(third)), appended("epoch001-3"));
    // Counters may be left out: what was withdrawn is never sent.
    let tenth = Append {
        counter: 10,
        previous: 3,
        ..FIRST
    };
    assert_eq!(answered(&scene.append(tenth)), appended("epoch001-4"));
    // A node that the broker has forgotten goes on.
    scene.ask("DEL {t}:node:n1");
    let later = Append {
        counter: 12,
        previous: 11,
        ..FIRST
    };
    assert_eq!(answered(&scene.append(later)), appended("epoch001-5"));
}

#[test]
fn a_key_is_answered_with_its_first_id_on_every_node_for_five_minutes() {
    let Some(mut scene) = Scene::start() else {
        return;
    };
    let keyed = |node, counter, room| Append {
        node,
        counter,
        previous: counter - 1,
        room,
        key: Some("k:{1}"),
        ..FIRST
    };
    assert_eq!(
        answered(&scene.append(keyed("n1", 1, "a"))),
        appended("epoch001-1")
    );
    let without = Append {
        node: "n2",
        room: "a",
        ..FIRST
    };
    assert_eq!(answered(&scene.append(without)), appended("epoch001-2"));
    let by_another = keyed("n2", 2, "a");
    assert_eq!(answered(&scene.append(by_another)), not_again("epoch001-1"));
    // It is noted as every append is, so that the next one is not early, and this one is known.
    assert_eq!(scene.ask("HGET {t}:node:n2 last").text(), "2");
    scene.ask("DEL {t}:key:a:k:{1}");
    assert_eq!(answered(&scene.append(by_another)), not_again("epoch001-1"));
    assert_eq!(
        answered(&scene.append(keyed("n2", 3, "b"))),
        appended("epoch001-1"),
        "the key of another room is another one"
    );
    let ttl = scene.ask("TTL {t}:key:b:k:{1}").number();
    assert!((290..=300).contains(&ttl), "{ttl}");
}

#[test]
fn a_probe_is_an_entry_of_no_room_and_noted_as_appends_are() {
    let Some(mut scene) = Scene::start() else {
        return;
    };
    let reply = scene.probe(1);
    let (id, fields) = scene.entries().remove(0);
    assert_eq!(reply.texts(), ["", "0", &id]);
    assert_eq!(fields, ["p=n1 1"]);
    assert_eq!(scene.probe(1).texts(), ["", "0", ""]);
    assert_eq!(scene.ask("EXISTS {t}:room:").number(), 0);
    let second = Append {
        counter: 2,
        previous: 1,
        ..FIRST
    };
    assert_eq!(answered(&scene.append(second)), appended("epoch001-1"));
    assert_eq!(scene.probe(4).error_code(), "EARLY");
}

#[test]
fn a_new_generation_gives_every_room_a_new_epoch_and_starts_it_anew() {
    let Some(mut scene) = Scene::start() else {
        return;
    };
    scene.append(Append {
        text: "a\nb",
        ..FIRST
    });
    scene.touch("b", "epoch001");
    scene.sync("run2", false, "0-0", "", "gen00002");
    let second = Append {
        counter: 2,
        previous: 1,
        candidate: "epoch002",
        ..FIRST
    };
    assert_eq!(answered(&scene.append(second)), appended("epoch002-1"));
    assert_eq!(scene.touch("b", "epoch003").texts()[..2], ["epoch003", "0"]);
    // What was appended before is still known by its counter, so that it does not come twice.
    assert_eq!(answered(&scene.append(FIRST)), not_again("epoch001-2"));
}

#[test]
fn a_touch_draws_the_epoch_once_and_tells_the_heads_of_room_and_stream() {
    let Some(mut scene) = Scene::start() else {
        return;
    };
    assert_eq!(
        scene.touch("lobby", "epoch009").texts(),
        ["epoch009", "0", "0-0"]
    );
    assert_eq!(
        scene.touch("lobby", "other000").texts(),
        ["epoch009", "0", "0-0"]
    );
    let id = scene.append(FIRST).texts()[2].to_owned();
    assert_eq!(
        scene.touch("lobby", "other000").texts(),
        ["epoch009", "1", &id]
    );
    assert_eq!(scene.touch("a", "epoch001").texts(), ["epoch001", "0", &id]);
    // An entry that was deleted is none that could be waited for.
    let probe = scene.probe(2).texts()[2].to_owned();
    assert_eq!(scene.touch("a", "").texts()[2], probe);
    scene.ask(&format!("XDEL {STREAM} {probe}"));
    assert_eq!(scene.touch("a", "").texts()[2], id);
}

#[test]
fn a_room_outlives_its_last_append_by_a_week_and_a_touch_by_a_day() {
    let Some(mut scene) = Scene::start() else {
        return;
    };
    let ttl = |scene: &mut Scene, room: &str| scene.ask(&format!("TTL {{t}}:room:{room}")).number();
    let is_about = |ttl: i64, expected: i64| (expected - 10..=expected).contains(&ttl);
    scene.touch("a", "epoch001");
    assert!(is_about(ttl(&mut scene, "a"), DAY));
    scene.append(Append { room: "a", ..FIRST });
    assert!(is_about(ttl(&mut scene, "a"), 7 * DAY));
    scene.touch("a", "epoch001");
    assert!(is_about(ttl(&mut scene, "a"), 7 * DAY), "it never shortens");
    // A room with listeners, in which nothing is published.
    scene.ask("EXPIRE {t}:room:a 100");
    scene.touch("a", "epoch001");
    assert!(is_about(ttl(&mut scene, "a"), DAY));
}

#[test]
fn without_a_state_the_node_has_to_sync() {
    let Some(mut scene) = Scene::start() else {
        return;
    };
    scene.append(FIRST);
    scene.ask("FLUSHALL");
    let second = Append {
        counter: 2,
        previous: 1,
        ..FIRST
    };
    assert_eq!(scene.append(second).error_code(), "UNSYNCED");
    assert_eq!(scene.probe(2).error_code(), "UNSYNCED");
    assert_eq!(scene.touch("a", "epoch001").error_code(), "UNSYNCED");
    assert_eq!(scene.ask("DBSIZE").number(), 0);
}

#[test]
fn the_first_sync_draws_a_generation_and_others_agree() {
    let Some(mut scene) = Scene::start_empty(Kind::Memory) else {
        return;
    };
    let first = scene.sync("run1", false, "0-0", "", "gen00001");
    assert_eq!(first, ["gen00001", "0-0", "0-0"]);
    let second = scene.sync("run1", false, "0-0", "", "gen00002");
    assert_eq!(second, ["gen00001", "0-0", "0-0"]);
    let id = scene.append(FIRST).texts()[2].to_owned();
    let third = scene.sync("run1", false, &id, "gen00001", "gen00002");
    assert_eq!(third, ["gen00001", "0-0", &id]);
}

#[test]
fn a_restart_makes_a_new_generation_unless_the_server_keeps_its_data() {
    let Some(mut scene) = Scene::start() else {
        return;
    };
    let id = scene.append(FIRST).texts()[2].to_owned();
    let kept = scene.sync("run2", true, &id, "gen00001", "gen00002");
    assert_eq!(kept, ["gen00001", "0-0", &id]);
    // The run was noted, whatever it meant.
    let known = scene.sync("run2", false, &id, "gen00001", "gen00002");
    assert_eq!(known, ["gen00001", "0-0", &id]);
    let lost = scene.sync("run3", false, &id, "gen00001", "gen00003");
    assert_eq!(lost, ["gen00003", &id, &id]);
    // The second node comes to a decision that is made.
    let second = scene.sync("run3", false, &id, "gen00001", "gen00004");
    assert_eq!(second, ["gen00003", &id, &id]);
}

#[test]
fn a_node_that_has_read_more_than_there_is_makes_a_new_generation() {
    let Some(mut scene) = Scene::start() else {
        return;
    };
    scene.ask(&format!("XADD {STREAM} 1700000000000-9 p a"));
    let given = "1700000000000-9";
    for (position, known, generation) in [
        (given, "gen00001", "gen00001"),
        ("1700000000000-8", "gen00001", "gen00001"),
        ("999999999999-10", "gen00001", "gen00001"),
        // Of another generation nothing can be concluded.
        ("1700000000000-10", "gen00000", "gen00001"),
        ("1700000000000-10", "", "gen00001"),
        // As numbers: as texts, 10 would be before 9.
        ("1700000000000-10", "gen00001", "gen00002"),
        ("1700000000001-0", "gen00002", "gen00003"),
        ("10000000000000-0", "gen00003", "gen00004"),
    ] {
        let candidate = format!("gen0000{}", generation_number(generation, known));
        let [found, ..] = scene.sync("run1", true, position, known, &candidate);
        assert_eq!(found, generation, "{position} {known}");
    }
    let [_, start, tail] = scene.sync("run1", true, given, "gen00004", "gen00005");
    assert_eq!((&*start, &*tail), (given, given));
}

/// The number of the next generation where a new one is expected, and one that must not be taken otherwise.
fn generation_number(expected: &str, known: &str) -> u8 {
    match expected == known || known.is_empty() || known == "gen00000" {
        true => 99,
        false => expected.as_bytes()[7] - b'0',
    }
}

#[test]
fn what_was_deleted_last_counts_for_the_generation_and_not_for_the_tail() {
    let Some(mut scene) = Scene::start() else {
        return;
    };
    let id = scene.append(FIRST).texts()[2].to_owned();
    let probe = scene.probe(2).texts()[2].to_owned();
    scene.ask(&format!("XDEL {STREAM} {probe}"));
    let known = scene.sync("run1", false, &probe, "gen00001", "gen00002");
    assert_eq!(known, ["gen00001", "0-0", &id]);
    let fresh = scene.sync("run2", false, &probe, "gen00001", "gen00002");
    assert_eq!(fresh, ["gen00002", &probe, &id]);
    scene.ask(&format!("XDEL {STREAM} {id}"));
    let empty = scene.sync("run2", false, &probe, "gen00002", "gen00003");
    assert_eq!(empty, ["gen00002", &probe, "0-0"]);
}

#[test]
fn a_flushed_server_makes_a_new_generation() {
    let Some(mut scene) = Scene::start() else {
        return;
    };
    let id = scene.append(FIRST).texts()[2].to_owned();
    scene.ask("FLUSHALL");
    let fresh = scene.sync("run1", true, &id, "gen00001", "gen00002");
    assert_eq!(fresh, ["gen00002", "0-0", "0-0"]);
    // The stream alone: its ids may come again.
    let id = scene.append(FIRST).texts()[2].to_owned();
    scene.ask(&format!("DEL {STREAM}"));
    let fresh = scene.sync("run1", true, &id, "gen00002", "gen00003");
    assert_eq!(fresh, ["gen00003", "0-0", "0-0"]);
}

#[test]
fn a_server_with_an_append_only_file_loses_nothing_when_it_is_killed() {
    let Some(mut scene) = Scene::start_empty(Kind::AppendOnly) else {
        return;
    };
    scene.sync("run1", true, "0-0", "", "gen00001");
    let id = scene.append(FIRST).texts()[2].to_owned();
    scene.broker.kill();
    scene.broker.start_again();
    scene.resp = scene.broker.connect();
    let kept = scene.sync("run2", true, &id, "gen00001", "gen00002");
    assert_eq!(kept, ["gen00001", "0-0", &id]);
    assert_eq!(answered(&scene.append(FIRST)), not_again("epoch001-1"));
    let second = Append {
        counter: 2,
        previous: 1,
        ..FIRST
    };
    assert_eq!(answered(&scene.append(second)), appended("epoch001-2"));
}

#[test]
fn the_stream_is_trimmed_approximately() {
    let Some(mut scene) = Scene::start() else {
        return;
    };
    for counter in 1..=2_000 {
        scene.append(Append {
            counter,
            previous: counter - 1,
            entries: "1000",
            ..FIRST
        });
    }
    let len = scene.ask(&format!("XLEN {STREAM}")).number();
    assert!((1_000..1_100).contains(&len), "{len}");
    // Epoch and head outlive the entries.
    scene.ask(&format!("XTRIM {STREAM} MAXLEN 0"));
    assert_eq!(
        scene.touch("lobby", "other000").texts()[..2],
        ["epoch001", "2000"]
    );
    // Probes trim as well, or a server to which nothing is published would grow by those that were not deleted.
    for counter in 2_001..=4_000 {
        scene.probe(counter);
    }
    let len = scene.ask(&format!("XLEN {STREAM}")).number();
    assert!((1_000..1_100).contains(&len), "{len}");
}

#[test]
fn large_numbers_are_written_in_digits() {
    let Some(mut scene) = Scene::start() else {
        return;
    };
    // The largest that Lua counts without a mistake is 2^53 - 1.
    let counter = (1 << 53) - 2;
    scene.ask("HSET {t}:room:lobby generation gen00001 epoch epoch001 head 9007199254740988");
    scene.ask(&format!("HSET {{t}}:node:n1 last {}", counter - 1));
    let append = Append {
        counter,
        previous: counter - 1,
        text: "a\nb",
        ..FIRST
    };
    let id = "epoch001-9007199254740990";
    assert_eq!(answered(&scene.append(append)), appended(id));
    assert_eq!(answered(&scene.append(append)), not_again(id));
    let (_, fields) = scene.entries().remove(0);
    assert_eq!(
        fields[2..5].join(" "),
        format!("f=9007199254740989 c=2 o=n1 {counter}")
    );
    assert_eq!(scene.touch("lobby", "").texts()[1], "9007199254740990");
    assert_eq!(
        scene.ask("HGET {t}:node:n1 last").text(),
        counter.to_string()
    );
    assert_eq!(
        scene.ask("HGET {t}:node:n1 1022").text(),
        format!("{counter} epoch001 9007199254740990")
    );
}

#[test]
fn a_key_of_a_wrong_type_leaves_nothing_behind() {
    for key in ["room:lobby", "node:n1", "key:lobby:k", "state", "stream"] {
        let Some(mut scene) = Scene::start() else {
            return;
        };
        scene.ask(&format!("DEL {{t}}:{key}"));
        scene.ask(&format!("SADD {{t}}:{key} a"));
        let append = Append {
            key: Some("k"),
            ..FIRST
        };
        assert_eq!(scene.append(append).error_code(), "WRONGTYPE", "{key}");
        scene.ask(&format!("DEL {{t}}:{key}"));
        let keys = scene.ask("DBSIZE").number();
        assert_eq!(
            keys,
            i64::from(key != "state"),
            "{key}: nothing but the state"
        );
    }
}

#[test]
fn a_heartbeat_tells_the_others_that_live() {
    let Some(mut scene) = Scene::start() else {
        return;
    };
    assert_eq!(scene.heartbeat("n1", "15000"), [""; 0]);
    scene.ask("HSET {t}:here:n2 lobby 3");
    assert_eq!(scene.heartbeat("n2", "15000"), ["n1"]);
    assert_eq!(scene.heartbeat("n1", "15000"), ["n2"]);
    let ttl = scene.ask("PTTL {t}:here:n2").number();
    assert!((14_000..=15_000).contains(&ttl), "{ttl}");
    // By the server's clock, in milliseconds.
    let time = scene.ask("TIME");
    let now: f64 = time.texts()[0].parse().expect("seconds");
    let score: f64 = scene
        .ask("ZSCORE {t}:nodes n1")
        .text()
        .parse()
        .expect("a number");
    assert!((now * 1000.0 - score).abs() < 10_000.0, "{score}");
    let late = |ms: f64| format!("ZADD {{t}}:nodes {:.0} n2", score - ms);
    scene.ask(&late(10_000.0));
    assert_eq!(scene.heartbeat("n1", "15000"), ["n2"]);
    scene.ask(&late(15_001.0));
    assert_eq!(scene.heartbeat("n1", "15000"), [""; 0]);
    assert_eq!(scene.ask("ZCARD {t}:nodes").number(), 1);
}

/// All scripts, with a key that is known and without, and with one that is not of the room's generation.
fn run_all(scene: &mut Scene) {
    scene.sync("run1", false, "0-0", "", "gen00001");
    scene.touch("lobby", "epoch001");
    let key = Some("k:{1}");
    assert_eq!(
        answered(&scene.append(Append { key, ..FIRST })),
        appended("epoch001-1")
    );
    let second = Append {
        counter: 2,
        previous: 1,
        key,
        ..FIRST
    };
    assert_eq!(answered(&scene.append(second)), not_again("epoch001-1"));
    assert_eq!(scene.probe(3).texts()[..2], ["", "0"]);
    assert_eq!(scene.heartbeat("n1", "15000"), [""; 0]);
    assert_eq!(scene.entries().len(), 2);
}

#[test]
fn all_keys_lie_in_one_slot_of_a_cluster() {
    let Some(mut scene) = Scene::start_empty(Kind::Cluster) else {
        return;
    };
    scene.ask("CLUSTER ADDSLOTSRANGE 0 16383");
    let is_up = |scene: &mut Scene| scene.ask("CLUSTER INFO").text().contains("state:ok");
    eventually("the cluster is up", || is_up(&mut scene).then_some(()));
    let refused = scene.ask("MGET a b");
    assert_eq!(refused.error_code(), "CROSSSLOT");
    run_all(&mut scene);
    let expected = scene.ask("CLUSTER KEYSLOT {t}").number();
    let keys = scene.ask("KEYS *");
    assert_eq!(keys.list().len(), 6, "{keys:?}");
    for key in [&keys.texts()[..], &["{t}:here:n1"]].concat() {
        let slot = scene.resp.ask(&["CLUSTER", "KEYSLOT", key]).number();
        assert_eq!(slot, expected, "{key}");
    }
}

/// Before each script, a user is made who may use the script's keys alone.
#[test]
fn scripts_use_the_keys_that_they_are_given_and_no_others() {
    let Some(mut scene) = Scene::start_empty(Kind::Memory) else {
        return;
    };
    scene.limits_keys = true;
    run_all(&mut scene);
    let undeclared = scene.run("return redis.call('GET', 'other')", &[STREAM], &[]);
    assert!(matches!(undeclared, Reply::Error(_)), "{undeclared:?}");
}
