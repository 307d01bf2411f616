//! A connection that is refused: the page says why, and tries again where that is of use.

use serde_json::json;

use super::*;
use crate::common::wire::upgrade;

/// Why the page is not connected.
fn state_is(text: &str) -> String {
    format!("state.textContent === {text:?}")
}

#[test]
fn what_will_not_pass_is_told_and_not_tried_again_and_what_will_pass_is() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    for (status, kind, reason, told, is_final) in [
        (400, "text/plain", "bad id", "Refused: bad id.", true),
        (401, "text/plain", "no token", "Refused: no token.", true),
        (403, "text/plain", "foreign", "Refused: foreign.", true),
        (404, "text/plain", "nothing", "Refused: nothing.", true),
        (429, "text/plain", "too fast", "too fast", false),
        (503, "text/plain", "no seat", "no seat", false),
        (426, "text/plain", "upgrade", "a proxy", false),
        // The page of a proxy whose server is away.
        (404, "text/html", "<h1>Oops", "404 Status", false),
        (0, "", "", "the server does not answer", false),
    ] {
        let page = open_with_sockets(&mut browser, &server);
        let answer = json!({"status": status, "type": kind, "reason": reason});
        browser.evaluate(
            &page,
            "sockets[0].begin(':fresh a-0'); sockets[0].fall(); elapse(500)",
        );
        browser.evaluate(&page, &format!("answer = {answer}; fail()"));
        // Without an upgrade, to go on would be refused.
        assert_eq!(browser.evaluate(&page, "question"), "/ws?here=1");
        let shown = browser.evaluate(&page, "state.textContent");
        let shown = shown.as_str().expect("a text");
        assert!(shown.contains(told), "{status}: {shown}");
        assert_eq!(shown.starts_with("Not connected: "), !is_final, "{shown}");
        let attempts = browser.evaluate(
            &page,
            "elapse(60_000); comeBack(); elapse(60_000); sockets.length > 2",
        );
        assert_eq!(attempts, !is_final, "{status}");
        browser.close_pages();
    }
}

#[test]
fn a_proxy_that_hides_the_host_is_suspected() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let proxy = Proxy::start_as(server.addr, "other.example");
    let page = browser.open(&format!("http://{}/", proxy.addr));
    // This browser tells less of where a WebSocket comes from than of where a request does.
    server.wait_for_log(&["other.example", "--allow-origin"]);
    browser.wait_for(
        &page,
        "state.textContent.includes('a proxy has to pass on')",
    );
}

#[test]
fn a_server_that_takes_tokens_says_so_on_its_own_page() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&["--listen-token", "secret"]);
    let page = browser.open(&format!("http://{}/", server.addr));
    browser.wait_for(&page, &state_is("Refused: this takes a token."));
}

#[test]
fn a_token_that_expired_is_not_shown_again() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let page = open_with_sockets(&mut browser, &server);
    browser.evaluate(&page, "sockets[0].begin(':fresh aaaaaaaa-0')");
    browser.evaluate(&page, "sockets[0].fall(1008, 'a rule was broken')");
    let told = "Not connected: a rule was broken. Trying again …";
    assert_eq!(browser.evaluate(&page, &state_is(told)), true);
    browser.evaluate(
        &page,
        "elapse(500); sockets[1].begin(':resumed aaaaaaaa-0')",
    );
    browser.evaluate(&page, "sockets[1].fall(1008, 'token expired')");
    let told = "Refused: token expired.";
    assert_eq!(browser.evaluate(&page, &state_is(told)), true);
    let attempts = browser.evaluate(&page, "elapse(60_000); comeBack(); sockets.length");
    assert_eq!(attempts, 2);
}

#[test]
fn a_full_server_says_so_and_lets_the_page_in_when_there_is_a_seat() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&["--max-clients", "12"]);
    let (proxy, page) = open_through_proxy(&mut browser, &server);
    proxy.cut();
    browser.wait_for(&page, LOST);
    // The seats of what was cut become free one by one.
    let mut seated = Vec::new();
    while seated.len() < 12 {
        let mut peer = server.connect();
        peer.send(upgrade("/ws"));
        if peer.response_without_body().status == 101 {
            seated.push(peer);
        }
    }
    browser.evaluate(&page, "elapse(500)");
    let told = "Not connected: too many clients are connected (--max-clients). Trying again …";
    browser.wait_for(&page, &state_is(told));
    drop(seated);
    // Seats become free when the server has noticed, which may take more than one attempt.
    browser.wait_for(&page, &format!("comeBack(); {CONNECTED}"));
}
