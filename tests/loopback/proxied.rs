//! What real proxies do besides carrying a chat: they tell the client's address, pass events on as they come, check the
//! server's health, and reload.

use std::net::Ipv4Addr;

use rustix::process::Signal;

use crate::common::eventually;
use crate::common::wire::{get, request};
use crate::proxies::{Proxy, Recipe, recipes};

/// A client that is not on the proxy's address.
const CLIENT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 7);

/// The recipe for a program, with or without PROXY headers.
fn recipe(program: &str, has_proxy_header: bool) -> Recipe {
    let mut recipes = recipes().into_iter();
    let is_it = |it: &Recipe| it.program == program && it.has_proxy_header() == has_proxy_header;
    recipes.find(is_it).expect("the README has it")
}

#[test]
fn the_log_has_the_address_of_the_client_behind_each_proxy() {
    for recipe in recipes() {
        let server = recipe.start_server();
        let Some(proxy) = Proxy::start(&recipe, &server) else {
            continue;
        };
        let mut peer = proxy.ask_from(CLIENT, &recipe, &proxy.origin());
        peer.expect_upgrade();
        drop(peer);
        server.wait_for_log(&["connection closed", "peer_gone", "peer=127.0.0.7"]);
    }
}

#[test]
fn the_limit_per_address_holds_for_the_clients_behind_each_proxy() {
    for recipe in recipes() {
        let server = recipe.start_server_with(&["--max-clients-per-ip", "1"]);
        let Some(proxy) = Proxy::start(&recipe, &server) else {
            continue;
        };
        let mut one = proxy.ask_from(CLIENT, &recipe, &proxy.origin());
        one.expect_upgrade();
        let mut refused = proxy.ask_from(CLIENT, &recipe, &proxy.origin());
        assert_eq!(refused.response().status, 503, "{}", recipe.text);
        let other = Ipv4Addr::new(127, 0, 0, 8);
        let mut other = proxy.ask_from(other, &recipe, &proxy.origin());
        other.expect_upgrade();
    }
}

#[test]
fn an_event_passes_each_proxy_while_the_response_is_open() {
    for recipe in recipes() {
        let server = recipe.start_server();
        let Some(proxy) = Proxy::start(&recipe, &server) else {
            continue;
        };
        let mut source = proxy.connect_from(CLIENT);
        let line = format!("GET {}room/a HTTP/1.1", recipe.prefix);
        source.send(request(&line, &["Host: localhost"]));
        assert_eq!(source.response_without_body().status, 200);
        let mut wait_for = |wanted: &[u8]| while !source.take_through(b'\n').starts_with(wanted) {};
        wait_for(b"id: ");
        for _ in 0..3 {
            let mut publisher = proxy.connect_from(CLIENT);
            let line = format!("POST {}room/a HTTP/1.1", recipe.prefix);
            let head = request(&line, &["Host: localhost", "Content-Length: 5"]);
            publisher.send(head + "hello");
            assert_eq!(publisher.response().status, 200);
            wait_for(b"data: hello");
        }
    }
}

#[test]
fn the_checks_of_haproxy_leave_no_warning() {
    for check in ["option httpchk GET /readyz", "option tcp-check"] {
        let mut recipe = recipe("haproxy", true);
        let text = recipe.text.replace("option httpchk GET /readyz", check);
        recipe.text = text.replace(" check\n", " check inter 50ms\n");
        assert!(recipe.text.contains(check) && recipe.text.contains("inter 50ms"));
        let mut server = recipe.start_server();
        let Some(proxy) = Proxy::start(&recipe, &server) else {
            return;
        };
        server.wait_for_log_lines(&["connection closed", "peer=127.0.0.1"], 5);
        drop(proxy);
        server.signal("TERM");
        assert!(server.wait_for_exit().success());
        let (_, log) = server.output();
        let is_quiet = |line: &&String| line.contains("DEBUG");
        let loud: Vec<_> = log.iter().filter(|line| !is_quiet(line)).collect();
        let expected = ["ready", "shutting down", "done"];
        assert_eq!(loud.len(), expected.len(), "{loud:#?}");
        for (line, part) in loud.iter().zip(expected) {
            assert!(line.contains("INFO") && line.contains(part), "{line}");
        }
    }
}

#[test]
fn haproxy_sends_nobody_to_a_server_that_is_going_away() {
    let mut recipe = recipe("haproxy", true);
    recipe.text = recipe.text.replace(" check\n", " check inter 50ms\n");
    let server = recipe.start_server_with(&["--drain-delay", "1h"]);
    let Some(proxy) = Proxy::start(&recipe, &server) else {
        return;
    };
    let answer = || {
        let mut peer = proxy.connect_from(CLIENT);
        // It may be turned away before it has said anything.
        peer.try_send(get("/limits.json").as_bytes());
        peer.finish_and_take_all()
    };
    let mut member = proxy.ask_from(CLIENT, &recipe, &proxy.origin());
    member.expect_upgrade();
    assert!(answer().starts_with(b"HTTP/1.1 200"));
    server.signal("TERM");
    eventually("the proxy turns clients away", || {
        answer().is_empty().then_some(())
    });
    // Those who are there stay until the delay is over.
    member.say("hello");
    assert_eq!(member.hear(), "hello");
}

#[test]
fn a_websocket_outlives_a_reload_of_nginx() {
    let mut recipe = recipe("nginx", false);
    recipe.has_workers = true;
    let server = recipe.start_server();
    let Some(proxy) = Proxy::start(&recipe, &server) else {
        return;
    };
    let mut before = proxy.ask_from(CLIENT, &recipe, &proxy.origin());
    before.expect_upgrade();
    proxy.signal(Signal::HUP);
    proxy.wait_for_log("gracefully shutting down");
    let mut after = proxy.ask_from(CLIENT, &recipe, &proxy.origin());
    after.expect_upgrade();
    for text in ["from before", "from after"] {
        match text == "from before" {
            true => before.say(text),
            false => after.say(text),
        }
        assert_eq!(before.hear(), text);
        assert_eq!(after.hear(), text);
    }
}
