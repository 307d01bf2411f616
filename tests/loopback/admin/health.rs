//! `fanfare health` with the settings that the server has: from flags, the environment and the settings file.

use std::process::Command;

use crate::common::folder::Folder;
use crate::common::{Server, assert_fails, fanfare};
use crate::health::assert_healthy;
use crate::listeners::{end, unix};
use crate::settings::SettingsFile;

/// The program asked for its health, where the admin address is said in each of the ways.
fn asked(admin: &str, file: &SettingsFile) -> [Command; 4] {
    let [mut flag, mut variable, mut named, mut named_by_variable] = [(); 4].map(|()| fanfare());
    flag.args(["--admin-addr", admin, "health"]);
    variable.env("FANFARE_ADMIN_ADDR", admin).arg("health");
    file.write(&format!("addr = '127.0.0.1:1'\nadmin-addr = '{admin}'\n"));
    named.args(["--config", file.path(), "health"]);
    named_by_variable
        .env("FANFARE_CONFIG", file.path())
        .arg("health");
    [flag, variable, named, named_by_variable]
}

#[test]
fn health_is_asked_for_at_the_admin_address_wherever_it_is_said() {
    let file = SettingsFile::new("health", "");
    let folder = Folder::new();
    let socket = unix(&folder.file("admin.sock"));
    // The only seat is taken, so that the public address would not do for `/readyz`.
    for admin in ["127.0.0.1:0", &socket] {
        let server = Server::start(&["--admin-addr", admin, "--max-clients", "1"]);
        let admin = match admin == socket {
            true => socket.clone(),
            false => server.admin_addr().to_string(),
        };
        for command in asked(&admin, &file) {
            assert_healthy(command);
        }
        end(server);
        for command in asked(&admin, &file) {
            let line = assert_fails(command, 1);
            assert!(line.contains(&admin), "{line}");
        }
    }
}

#[test]
fn the_first_public_address_is_asked_where_there_is_no_other() {
    let file = SettingsFile::new("health-public", "");
    let server = Server::start(&[]);
    file.write(&format!("addr = ['{}', '127.0.0.1:1']\n", server.addr));
    let mut command = fanfare();
    command.args(["--config", file.path(), "health"]);
    assert_healthy(command);
    // What is said with more weight wins.
    let mut command = fanfare();
    command
        .env("FANFARE_ADDR", "127.0.0.1:1")
        .args(["--config", file.path(), "health"]);
    let line = assert_fails(command, 1);
    assert!(line.contains("127.0.0.1:1"), "{line}");
}

#[test]
fn settings_that_make_no_sense_are_told_as_such() {
    let file = SettingsFile::new("health-nonsense", "admin-addr = 'nowhere'\n");
    let mut command = fanfare();
    command.args(["--config", file.path(), "health"]);
    let line = assert_fails(command, 2);
    assert!(
        line.contains(":1: ") && line.contains("admin-addr"),
        "{line}"
    );
    // Behind the word stand its own arguments.
    let mut command = fanfare();
    command.args(["health", "--addr", ":1"]);
    let line = assert_fails(command, 2);
    assert!(line.contains("--help"), "{line}");
}
