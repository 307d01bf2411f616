//! Settings of the network: where to listen, and for whom.

use std::net::IpAddr;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args};
use ipnet::IpNet;

use super::addr::{Addr, parse_addr, parse_mode};
use super::bounds::{CLIENTS_PER_IP_MIN, DEFAULT_ADDR};
use super::values::{parse_count, parse_len, parse_networks, parse_origins};

/// Origins that stood in one list.
#[derive(Debug, Clone)]
pub struct Origins(pub(super) Vec<String>);

/// Networks that stood in one list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Networks(pub(super) Vec<IpNet>);

/// Where to listen, and for whom.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Network")]
pub struct NetworkSettings {
    /// Where to listen: HOST:PORT for all addresses of the host, :PORT or PORT for all interfaces, IPv6 and
    /// IPv4; port 0 picks a free port; unix:/PATH for a Unix socket; repeatable, or separated by commas
    #[arg(
        long,
        env = "FANFARE_ADDR",
        value_name = "ADDR",
        default_value = DEFAULT_ADDR,
        value_parser = parse_addr,
        value_delimiter = ',',
        hide_env = true
    )]
    pub addr: Vec<Addr>,

    /// Where those who operate the server reach it, even when it is full; written like --addr [default: nowhere]
    #[arg(
        long,
        env = "FANFARE_ADMIN_ADDR",
        value_name = "ADDR",
        value_parser = parse_addr,
        hide_env = true
    )]
    pub admin_addr: Option<Addr>,

    /// Who may connect to the Unix sockets, as chmod takes it in digits
    #[arg(
        long,
        env = "FANFARE_UNIX_MODE",
        value_name = "MODE",
        default_value = "660",
        value_parser = parse_mode,
        hide_env = true
    )]
    pub unix_mode: u32,

    /// How many clients may be connected [default: what the descriptor limit allows]
    #[arg(
        long,
        env = "FANFARE_MAX_CLIENTS",
        value_name = "N",
        value_parser = parse_count,
        hide_env = true
    )]
    pub max_clients: Option<usize>,

    /// How many clients may be connected from one IPv4 address or IPv6 /64 [default: a quarter of
    /// --max-clients, at least 100, and no limit for loopback, where a proxy connects for all its clients]
    #[arg(
        long,
        env = "FANFARE_MAX_CLIENTS_PER_IP",
        value_name = "N",
        value_parser = parse_count,
        hide_env = true
    )]
    pub max_clients_per_ip: Option<usize>,

    /// The size of the kernel's send buffer of each client [default: the kernel's choice]
    #[arg(
        long,
        env = "FANFARE_SEND_BUFFER",
        value_name = "SIZE",
        value_parser = parse_len,
        hide_env = true
    )]
    pub send_buffer: Option<usize>,

    /// An origin whose pages may connect, besides the server's own: https://HOST:PORT, https://*.HOST:PORT for one or
    /// more labels before it, null or file:// for local files, * for all; repeatable, or separated by commas
    #[arg(
        long,
        env = "FANFARE_ALLOW_ORIGIN",
        value_name = "ORIGIN",
        value_parser = parse_origins,
        hide_env = true
    )]
    pub allow_origin: Vec<Origins>,

    /// A network whose proxies tell the client's address, in X-Forwarded-For or, where that is missing, in Forwarded:
    /// 10.0.0.0/8, fd00::/8, one address, or unix for those on Unix sockets; repeatable, or separated by commas. Its own
    /// addresses have no limit per address
    #[arg(
        long,
        env = "FANFARE_TRUSTED_PROXY",
        value_name = "CIDR",
        value_parser = parse_networks,
        hide_env = true
    )]
    pub trusted_proxy: Vec<Networks>,

    /// Require a PROXY header (version 1 or 2) at the beginning of every connection, and take the client's address from
    /// it. With --trusted-proxy only from there, and other connections are closed; without it from everybody: only
    /// where nobody but the proxy can reach the port
    #[arg(
        long,
        env = "FANFARE_PROXY_PROTOCOL",
        action = ArgAction::SetTrue,
        value_parser = BoolishValueParser::new(),
        hide_env = true
    )]
    pub proxy_protocol: bool,
}

impl NetworkSettings {
    /// The origins whose pages may connect, besides the server's own; `*` stands for all.
    pub fn allowed_origins(&self) -> impl Iterator<Item = &str> {
        let lists = self.allow_origin.iter();
        lists.flat_map(|list| list.0.iter().map(String::as_str))
    }

    /// Whether any proxy is trusted.
    pub fn trusts_some(&self) -> bool {
        !self.trusted_proxy.is_empty()
    }

    /// Whether a proxy with this address is trusted to tell the client's. An IPv4 address is not in its IPv6 form.
    pub fn trusts(&self, ip: IpAddr) -> bool {
        self.trusted_networks().any(|network| network.contains(&ip))
    }

    /// The networks of trusted proxies.
    pub fn trusted_networks(&self) -> impl Iterator<Item = &IpNet> {
        self.trusted_proxy.iter().flat_map(|list| &list.0)
    }

    /// How many clients one address may have, where `client_limit` may be connected in all, and whether
    /// that holds for loopback too.
    pub fn clients_per_ip(&self, client_limit: usize) -> (usize, bool) {
        match self.max_clients_per_ip {
            Some(max) => (max, true),
            None => ((client_limit / 4).max(CLIENTS_PER_IP_MIN), false),
        }
    }
}
