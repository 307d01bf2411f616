//! The browser's own `EventSource`, whose connection is cut in between.

use serde_json::json;

use super::*;

/// Listens to a room through `proxy`, from a document that restricts nothing.
fn listen(browser: &mut Browser, proxy: &Proxy) -> Page {
    let page = browser.open(&format!("http://{}/limits.json", proxy.addr));
    browser.evaluate(
        &page,
        "window.heard = []; window.opened = 0; \
         window.source = new EventSource('/room/lobby'); \
         source.onopen = () => (opened += 1); \
         const note = (event) => heard.push([event.type, event.data, event.lastEventId.split('-')[1]]); \
         source.onmessage = note; \
         source.addEventListener('gap', note); undefined",
    );
    browser.wait_for(&page, "opened === 1");
    page
}

#[test]
fn an_event_source_goes_on_by_itself_where_it_was_cut() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let proxy = Proxy::start(server.addr);
    let page = listen(&mut browser, &proxy);
    publish_unseen(&server, "/ws/lobby", &["one", "two"]);
    browser.wait_for(&page, "heard.length === 2");
    for (round, text) in ["three", "four"].into_iter().enumerate() {
        proxy.cut();
        publish_unseen(&server, "/ws/lobby", &[text]);
        browser.wait_for(&page, &format!("heard.length === {}", round + 3));
    }
    let expected = json!([
        ["message", "one", "1"],
        ["message", "two", "2"],
        ["message", "three", "3"],
        ["message", "four", "4"],
    ]);
    assert_eq!(browser.evaluate(&page, "heard"), expected);
}

#[test]
fn an_event_source_that_has_heard_nothing_yet_goes_on_too() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    publish_unseen(&server, "/ws/lobby", &["before it came"]);
    let proxy = Proxy::start(server.addr);
    let page = listen(&mut browser, &proxy);
    proxy.cut();
    publish_unseen(&server, "/ws/lobby", &["while it was away"]);
    browser.wait_for(&page, "heard.length === 1");
    let expected = json!([["message", "while it was away", "2"]]);
    assert_eq!(browser.evaluate(&page, "heard"), expected);
}

#[test]
fn an_event_source_is_told_how_much_is_missing() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&["--history", "1"]);
    let proxy = Proxy::start(server.addr);
    let page = listen(&mut browser, &proxy);
    publish_unseen(&server, "/ws/lobby", &["one"]);
    browser.wait_for(&page, "heard.length === 1");
    proxy.cut();
    publish_unseen(&server, "/ws/lobby", &["two", "three", "four"]);
    browser.wait_for(&page, "heard.length === 3");
    let expected = json!([
        ["message", "one", "1"],
        ["gap", "2", "3"],
        ["message", "four", "4"],
    ]);
    assert_eq!(browser.evaluate(&page, "heard"), expected);
}
