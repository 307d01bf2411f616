//! A token that expires by the real clock.

use serde_json::json;

use super::{HOST, unix_seconds};
use crate::common::Server;
use crate::common::token::{KEY, mint};
use crate::common::wire::{request, upgrade};

#[test]
fn connections_end_in_the_second_in_which_their_token_expires() {
    let server = Server::start(&["--jwt-key", KEY]);
    let end = unix_seconds() + 2;
    let token = mint(&json!({"exp": end, "rooms": ["*"], "say": true}));
    let mut chat = server.connect();
    chat.send(upgrade(&format!("/ws?token={token}")));
    chat.expect_upgrade();
    let mut events = server.connect();
    events.send(request(
        &format!("GET /room?token={token} HTTP/1.1"),
        &[HOST],
    ));
    assert_eq!(events.response_without_body().status, 200);
    assert_eq!(events.block().len(), 3);

    assert_eq!(chat.expect_close(1008), "token expired");
    // A busy machine may be late to see it.
    assert!((end..end + 5).contains(&unix_seconds()));
    events.expect_end();
    let refused = server.ask(request(
        &format!("GET /room?token={token} HTTP/1.1"),
        &[HOST],
    ));
    assert_eq!(refused.status, 401);
    server.wait_for_log(&["token_expired"]);
}
