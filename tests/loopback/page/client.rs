//! The client alone, in a page of another site.

use serde_json::json;

use super::*;
use crate::common::token::{KEY, mint};

/// A document of another origin, which restricts nothing.
fn open_elsewhere(browser: &mut Browser, elsewhere: &Server) -> Page {
    browser.open(&format!("http://{}/limits.json", elsewhere.addr))
}

/// Joins a room of `server` from a page of another site.
fn join(browser: &mut Browser, page: &Page, server: &Server, options: &str) {
    let script = format!(
        "window.heard = []; window.gaps = []; window.states = []; \
         import('http://{}/fanfare.js').then(({{ connect }}) => {{ \
           window.room = connect('lobby', {{ \
             onMessage: (text, id) => heard.push([text, id]), \
             onGap: (count, id) => gaps.push([count, id]), \
             onHere: (count) => (window.count = count), \
             onState: (name, detail) => states.push([name, detail]), \
             {options} }}); }})",
        server.addr
    );
    browser.evaluate(page, &script);
}

#[test]
fn a_page_of_a_listed_site_joins_says_and_receives() {
    let Some(mut browser) = turn() else { return };
    let elsewhere = Server::start(&[]);
    let origin = format!("http://{}", elsewhere.addr);
    let server = Server::start(&["--allow-origin", &origin]);
    publish_unseen(&server, "/ws/lobby", &["one", "two", "three"]);
    let page = open_elsewhere(&mut browser, &elsewhere);
    join(&mut browser, &page, &server, "last: 2");
    browser.wait_for(&page, "states.at(-1)?.[0] === 'open'");
    let said = browser.evaluate(&page, "room.say(' four\\nfive ')");
    browser.wait_for(&page, "heard.length === 3 && count === 1");
    let texts = browser.evaluate(&page, "heard.map(([text]) => text)");
    assert_eq!(texts, json!(["two", "three", "four five"]));
    assert_eq!(browser.evaluate(&page, "heard.at(-1)[1]"), said);
    assert!(said.as_str().is_some_and(|id| id.ends_with("-4")), "{said}");

    let end = "room.close(); room.close(); room.say('late').catch((error) => error.unsent)";
    assert_eq!(browser.evaluate(&page, end), true);
    let states = browser.evaluate(&page, "states.map(([name]) => name)");
    assert_eq!(states, json!(["connecting", "open", "closed"]));
}

#[test]
fn a_page_of_another_site_does_not_get_in() {
    let Some(mut browser) = turn() else { return };
    let (elsewhere, server) = (Server::start(&[]), Server::start(&[]));
    let page = open_elsewhere(&mut browser, &elsewhere);
    join(&mut browser, &page, &server, "");
    browser.wait_for(&page, "states.length >= 2");
    let states = browser.evaluate(&page, "room.close(); states.slice(0, 2)");
    let reason = "the server does not answer, or not to pages of this site (--allow-origin)";
    let expected = json!([["connecting", {}], ["lost", {"reason": reason}]]);
    assert_eq!(states, expected);
}

#[test]
fn a_page_of_a_listed_site_reads_what_the_server_answers() {
    let Some(mut browser) = turn() else { return };
    let elsewhere = Server::start(&[]);
    let origin = format!("http://{}", elsewhere.addr);
    let server = Server::start(&["--allow-origin", &origin, "--max-rooms", "1"]);
    publish_unseen(&server, "/ws/other", &["the only room"]);
    let page = open_elsewhere(&mut browser, &elsewhere);
    join(&mut browser, &page, &server, "");
    browser.wait_for(&page, "states.length >= 2");
    let states = browser.evaluate(&page, "room.close(); [states[1][0], states[1][1].status]");
    assert_eq!(states, json!(["lost", 426]));
}

#[test]
fn a_token_lets_a_page_in_and_a_refusal_is_told_in_words() {
    let Some(mut browser) = turn() else { return };
    let elsewhere = Server::start(&[]);
    let origin = format!("http://{}", elsewhere.addr);
    let server = Server::start(&["--allow-origin", &origin, "--jwt-key", KEY]);
    let token = |rooms: &str, may_say: bool| {
        let claims = json!({"exp": 1_u64 << 40, "rooms": [rooms], "say": may_say});
        format!("token: '{}'", mint(&claims))
    };
    for (options, status, reason) in [
        (String::new(), 401, "this takes a token"),
        ("token: 'x'".to_owned(), 401, "the token is not valid"),
        (token("other", true), 403, "the token does not allow this"),
    ] {
        let page = open_elsewhere(&mut browser, &elsewhere);
        join(&mut browser, &page, &server, &options);
        browser.wait_for(&page, "states.length === 2");
        let expected = json!(["refused", {"status": status, "reason": reason}]);
        assert_eq!(browser.evaluate(&page, "states[1]"), expected);
    }
    let page = open_elsewhere(&mut browser, &elsewhere);
    join(&mut browser, &page, &server, &token("lobby", true));
    browser.wait_for(&page, "states.at(-1)?.[0] === 'open'");
    browser.evaluate(&page, "room.say('hello')");
    browser.wait_for(&page, "heard.length === 1");

    let page = open_elsewhere(&mut browser, &elsewhere);
    join(&mut browser, &page, &server, &token("lobby", false));
    browser.wait_for(&page, "states.at(-1)?.[0] === 'open'");
    let failure = "room.say('no').catch(({ code, message }) => [code, message])";
    let failed = browser.evaluate(&page, failure);
    let lost = json!({"code": 1008, "reason": "no right to publish here"});
    browser.wait_for(&page, "states.some(([name]) => name === 'lost')");
    let told = "states.find(([name]) => name === 'lost')[1]";
    assert_eq!(browser.evaluate(&page, told), lost);
    assert_eq!(
        failed,
        json!([1008, "not published: no right to publish here"])
    );
}

#[test]
fn what_is_told_may_fail_and_may_close() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let page = open_with_sockets(&mut browser, &server);
    let script = "import('./fanfare.js').then(({ connect }) => { \
         window.heard = []; \
         window.reportError = (error) => heard.push(error.message); \
         const room = connect('lobby', { onMessage(text) { \
           heard.push(text); \
           if (text === 'bad') throw new Error('failed'); \
           if (text === 'end') room.close(); } }); \
         sockets[1].begin(':fresh a-0\\na-1 bad\\na-2 good\\na-3 end\\na-4 late'); \
         return heard; })";
    let heard = browser.evaluate(&page, script);
    assert_eq!(heard, json!(["bad", "failed", "good", "end"]));
    let attempts = "elapse(120_000); comeBack(); \
         sockets.filter((socket) => socket.path === '/ws/lobby').length";
    assert_eq!(browser.evaluate(&page, attempts), 1);
}

#[test]
fn the_client_takes_names_of_rooms_alone() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let page = open_with_sockets(&mut browser, &server);
    let script = "import('./fanfare.js').then(({ connect }) => \
         ['..', '.', 'a/b', 'a b', 'x'.repeat(65), 'a\\n'].map((name) => { \
           try { return connect(name); } catch (error) { return error.name; } }))";
    let told = browser.evaluate(&page, script);
    assert_eq!(told, json!(vec!["RangeError"; 6]));
    assert_eq!(browser.evaluate(&page, "sockets.length"), 1);
}

#[test]
fn the_lines_of_the_readme_go_on_where_they_were() {
    let Some(mut browser) = turn() else { return };
    let elsewhere = Server::start(&[]);
    let origin = format!("http://{}", elsewhere.addr);
    let server = Server::start(&["--allow-origin", &origin]);
    let proxy = Proxy::start(server.addr);
    let readme = include_str!("../../../README.md");
    let start = readme.find("    let last = null;").expect("the lines");
    let end = start + readme[start..].find("\n\n").expect("their end");
    let script =
        readme[start..end].replace("wss://chat.example.com", &format!("ws://{}", proxy.addr));
    let page = open_elsewhere(&mut browser, &elsewhere);
    let before =
        "window.printed = []; console.log = (line) => printed.push(line); Math.random = () => 0;";
    browser.evaluate(&page, &format!("{before} (0, eval)({});", json!(script)));
    browser.wait_for(&page, "printed.length === 1");
    publish_unseen(&server, "/ws/lobby", &["one", "two"]);
    browser.wait_for(&page, "printed.length === 3");
    proxy.cut();
    publish_unseen(&server, "/ws/lobby", &["three four"]);
    browser.wait_for(&page, "printed.length === 5");
    let printed = browser.evaluate(
        &page,
        "printed.map((line) => line.replace(/[a-z0-9]{8}-/, '#'))",
    );
    let expected = [
        ":fresh #0",
        "#1 one",
        "#2 two",
        ":resumed #2",
        "#3 three four",
    ];
    assert_eq!(printed, json!(expected));
}
